"""When the frames of an object were taken, and how long each lasts.

A dynamic study says it in its phases (PS3.3 C.8.4.14), a gated one in its data sequence (C.8.4.13), others by Frame
Time.
Where nobody says it, frames are only numbered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydicom import Dataset

from core.dicom.elements import item, items, number, text, whole
from core.dicom.volumes import nuclear
from core.errors import Refused
from core.imaging.window import Window

_MS = 1000.0


@dataclass(frozen=True, slots=True)
class Part:
    """A phase: so many frames of the same length, from frame `first` of the points on."""

    name: str
    first: int
    frames: int
    frame_s: float


@dataclass(frozen=True, slots=True)
class Timing:
    """The frames of one detector and energy window in the order they were taken.

    `middles_s` count from the beginning of the first frame (in a gated study from the R wave); `timed` is false where
    they are mere numbers.
    """

    frames: tuple[int, ...]
    middles_s: tuple[float, ...]
    durations_s: tuple[float, ...]
    timed: bool
    parts: tuple[Part, ...] = ()
    notes: tuple[str, ...] = ()


def timing_of(header: Dataset, detector: int | None = None, energy: int | None = None) -> Timing:
    """Return when the frames of a detector and an energy window (from 1; the first ones) were taken.

    Raises
    ------
    Refused
        There is no such detector or window, or the object's vectors contradict themselves.
    """
    total = whole(header, "NumberOfFrames") or 1
    if not nuclear_of(header):
        return _even(tuple(range(total)), number(header, "FrameTime"))
    order = nuclear.order_of(header, total)
    frames = _chosen(order, {nuclear.DETECTOR: detector or 1, nuclear.ENERGY: energy or 1})
    places = [order.places[frame] for frame in frames]
    if items(header, "PhaseInformationSequence") and nuclear.PHASE in places[0]:
        return _phases(header, frames, [place[nuclear.PHASE] for place in places], order.notes)
    if nuclear.SLOT in places[0]:
        return _gated(header, frames, [place[nuclear.SLOT] for place in places], order.notes)
    return _even(frames, number(header, "FrameTime") or number(header, "ActualFrameDuration"), order.notes)


def timing_of_moments(headers: Sequence[Dataset], count: int) -> Timing:
    """Return when the moments of a volume were taken, by one header of each, or by the one header of all.

    Gated moments count from the R wave (Trigger Time, or the length of a slot), others from the first one's beginning.
    """
    numbers = tuple(range(count))
    if len(headers) != count or count == 1:
        return _even(numbers, frame_ms(headers[0]) if headers else None)
    triggers = [number(header, "TriggerTime") for header in headers]
    if None not in triggers and len(set(triggers)) == count:
        lasts = (number(headers[0], "FrameTime") or 0.0) / _MS
        return Timing(numbers, tuple((one or 0.0) / _MS for one in triggers), (lasts,) * count, timed=True)
    begun = [acquired(header) for header in headers]
    lasting = [(number(header, "ActualFrameDuration") or 0.0) / _MS for header in headers]
    starts = [(one - begun[0]).total_seconds() for one in begun if one is not None and begun[0] is not None]
    if len(set(starts)) != count:
        return _even(numbers, frame_ms(headers[0]))
    middles = tuple(start + lasts / 2 for start, lasts in zip(starts, lasting, strict=True))
    return Timing(numbers, middles, tuple(lasting), timed=True)


def acquired(header: Dataset) -> datetime | None:
    """Return when an image was begun, in the object's own time."""
    said = text(header, "AcquisitionDateTime") or text(header, "AcquisitionDate") + text(header, "AcquisitionTime")
    whole_, _, fraction = said.partition("+")[0].partition("-")[0].partition(".")
    try:
        moment = datetime.strptime(whole_[:14], "%Y%m%d%H%M%S")  # noqa: DTZ007 - both ends are in the object's own time
    except ValueError:
        return None
    return moment + timedelta(seconds=float(f"0.{fraction}") if fraction.isdigit() else 0.0)


def nuclear_of(header: Dataset) -> bool:
    """Whether the frames are indexed as nuclear medicine does."""
    return text(header, "Modality") == "NM"


def frame_ms(header: Dataset) -> float | None:
    """Return how long a frame, or a time slot, lasts in a cine."""
    gated = item(header, "GatedInformationSequence", "DataInformationSequence")
    known = number(gated, "FrameTime") or number(header, "FrameTime")
    return known or number(item(header, "PhaseInformationSequence"), "ActualFrameDuration")


def shown_window(header: Dataset) -> Window | None:
    """Return the first window an object carries (PS3.3 C.11.2.1.2)."""
    centre, width = number(header, "WindowCenter"), number(header, "WindowWidth")
    return Window.centred(centre, width) if centre is not None and width and width > 0 else None


def _chosen(order: nuclear.Order, wanted: dict[str, int]) -> tuple[int, ...]:
    frames = range(len(order.places))
    for axis, index in wanted.items():
        there = sorted({place[axis] for place in order.places if axis in place})
        if there and index not in there:
            what = "detector" if axis == nuclear.DETECTOR else "energy window"
            raise Refused(f"there is no {what} {index}; the object has {', '.join(map(str, there))}")
    chosen = [
        frame
        for frame in frames
        if all(order.places[frame].get(axis, index) == index for axis, index in wanted.items())
    ]
    later = (nuclear.PHASE, nuclear.TIME_SLICE, nuclear.INTERVAL, nuclear.SLOT)
    return tuple(sorted(chosen, key=lambda frame: [order.places[frame].get(axis, 0) for axis in later]))


def _phases(header: Dataset, frames: tuple[int, ...], of_phase: list[int], notes: tuple[str, ...]) -> Timing:
    sequence = items(header, "PhaseInformationSequence")
    middles: list[float] = []
    durations: list[float] = []
    parts: list[Part] = []
    now = 0.0
    for number_, phase in enumerate(sequence, 1):
        count = of_phase.count(number_)
        length = number(phase, "ActualFrameDuration")
        if count and not length:
            return _even(frames, None, (*notes, f"phase {number_} does not say how long its frames last"))
        lasts, pause = (length or 0.0) / _MS, (number(phase, "PauseBetweenFrames") or 0.0) / _MS
        now += (number(phase, "PhaseDelay") or 0.0) / _MS
        parts.append(Part(text(phase, "PhaseDescription") or f"phase {number_}", len(middles), count, lasts))
        for _ in range(count):
            middles.append(now + lasts / 2)
            durations.append(lasts)
            now += lasts + pause
    if len(middles) != len(frames):
        return _even(frames, None, (*notes, "the phases do not tell of all frames"))
    return Timing(frames, tuple(middles), tuple(durations), timed=True, parts=tuple(parts), notes=notes)


def _gated(header: Dataset, frames: tuple[int, ...], slots: list[int], notes: tuple[str, ...]) -> Timing:
    lasts = frame_ms(header)
    if not lasts:
        return _even(frames, None, notes)
    seconds = lasts / _MS
    return Timing(
        frames, tuple((slot - 0.5) * seconds for slot in slots), (seconds,) * len(frames), timed=True, notes=notes
    )


def _even(frames: tuple[int, ...], lasts_ms: float | None, notes: tuple[str, ...] = ()) -> Timing:
    count = range(len(frames))
    if not lasts_ms:
        return Timing(frames, tuple(float(k) for k in count), (0.0,) * len(frames), timed=False, notes=notes)
    seconds = lasts_ms / _MS
    return Timing(frames, tuple((k + 0.5) * seconds for k in count), (seconds,) * len(frames), timed=True, notes=notes)
