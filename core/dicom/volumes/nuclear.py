"""Say of each frame of an NM object what it is of: energy window, detector, phase, slot, slice (PS3.3 C.8.4.8).

Frame Increment Pointer is believed first, then the vectors, then the order of the standard (Table C.8-9). What had to
be taken by order is told in `notes`; what contradicts itself is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydicom import Dataset

from core.dicom.elements import items, text, whole
from core.dicom.frames import MANY, image_type, pointers, vector
from core.errors import Refused

ENERGY, DETECTOR = "EnergyWindowVector", "DetectorVector"
PHASE, TIME_SLICE = "PhaseVector", "TimeSliceVector"
ROTATION, VIEW = "RotationVector", "AngularViewVector"
INTERVAL, SLOT = "RRIntervalVector", "TimeSlotVector"
SLICE = "SliceVector"

Place = dict[str, int]
"""Index of a frame on each axis, from 1."""

AXES: Mapping[str, tuple[str, ...]] = {
    "STATIC": (ENERGY, DETECTOR),
    "WHOLE BODY": (ENERGY, DETECTOR),
    "DYNAMIC": (ENERGY, DETECTOR, PHASE, TIME_SLICE),
    "GATED": (ENERGY, DETECTOR, INTERVAL, SLOT),
    "TOMO": (ENERGY, DETECTOR, ROTATION, VIEW),
    "GATED TOMO": (ENERGY, DETECTOR, ROTATION, INTERVAL, SLOT, VIEW),
    "RECON TOMO": (SLICE,),
    "RECON GATED TOMO": (INTERVAL, SLOT, SLICE),
}
"""The axes of each image type, the last varying fastest."""

_COUNTED = {
    ENERGY: ("NumberOfEnergyWindows", "EnergyWindowInformationSequence"),
    DETECTOR: ("NumberOfDetectors", "DetectorInformationSequence"),
    PHASE: ("NumberOfPhases", "PhaseInformationSequence"),
    ROTATION: ("NumberOfRotations", "RotationInformationSequence"),
    INTERVAL: ("NumberOfRRIntervals", ""),
    SLOT: ("NumberOfTimeSlots", ""),
    SLICE: ("NumberOfSlices", ""),
    TIME_SLICE: ("NumberOfTimeSlices", ""),
}
_WITHIN = {
    VIEW: (ROTATION, "RotationInformationSequence", "NumberOfFramesInRotation"),
    TIME_SLICE: (PHASE, "PhaseInformationSequence", "NumberOfFramesInPhase"),
}


@dataclass(frozen=True, slots=True)
class Order:
    """What each frame is of, in the order of the frames, and what had to be taken as the standard has it."""

    places: tuple[Place, ...]
    notes: tuple[str, ...] = ()


def order_of(header: Dataset, frames: int) -> Order:
    """Return the place of every frame.

    Raises
    ------
    Refused
        The vectors contradict each other or the number of frames, and nothing tells the order.
    """
    if frames > MANY:
        raise Refused(f"it claims {frames} frames: its Number of Frames is broken")
    axes = _axes(header)
    _whole_object(header, axes, frames)
    known = {axis: list(vector(header, axis)) for axis in axes}
    good = {axis: values for axis, values in known.items() if len(values) == frames and _varies(header, axis, values)}
    lacking = [axis for axis in axes if axis not in good]
    for axis in [axis for axis in lacking if _extent(header, axis, {}) in (1, None) and len(lacking) > 1]:
        good[axis] = [1] * frames
        lacking.remove(axis)
    if len(lacking) == 1 and lacking[0] not in good:
        good[lacking[0]] = _counted_within([good[axis] for axis in axes if axis in good], frames)
    elif lacking:
        good |= _by_standard(header, axes, good, frames)
    places = tuple({axis: good[axis][frame] for axis in axes} for frame in range(frames))
    _once_each(places)
    told = [axis for axis in lacking if len(set(good[axis])) > 1]
    said = "{} is missing or does not fit the frames: they are taken in the order of the standard"
    return Order(places, tuple(said.format(axis) for axis in told))


def _whole_object(header: Dataset, axes: Sequence[str], frames: int) -> None:
    """Refuse an object whose vectors speak of more frames than it holds."""
    longest = max((len(vector(header, axis)) for axis in axes), default=0)
    if longest > frames:
        raise Refused(f"its vectors speak of {longest} frames, it holds {frames}: ask the camera for it again")


def _axes(header: Dataset) -> list[str]:
    """Return the axes, the fastest last: those of the image type, ordered by the pointers, which may name more."""
    pointed = list(pointers(header))
    own = AXES.get(image_type(header), ())
    if not own and not pointed:
        pointed = [axis for axis in _COUNTED if vector(header, axis)] or [SLICE]
    return [axis for axis in own if axis not in pointed] + pointed


def _varies(header: Dataset, axis: str, values: Sequence[int]) -> bool:
    """Whether a vector may be meant: one that never changes says nothing of an axis that is longer than 1."""
    return len(values) == 1 or len(set(values)) > 1 or (_extent(header, axis, {}) or 1) == 1


def _extent(header: Dataset, axis: str, place: Place) -> int | None:
    """Return how far an axis runs at a place, None where nothing tells."""
    if axis in _WITHIN:
        holder, sequence, name = _WITHIN[axis]
        parts = items(header, sequence)
        if parts:
            return whole(parts[min(place.get(holder, 1), len(parts)) - 1], name)
    if axis not in _COUNTED:
        return None
    name, sequence = _COUNTED[axis]
    return whole(header, name) or (len(items(header, sequence)) or None if sequence else None)


def named(header: Dataset, place: Place, axes: Sequence[str]) -> str:
    """Say in words what a frame is of, on the axes asked for: `R-R 1 slot 3`, `Dynamic frame 12`."""
    return " ".join(_word(header, axis, place[axis]) for axis in axes if axis in place)


def _word(header: Dataset, axis: str, index: int) -> str:
    sequence, name = _NAMED.get(axis, ("", ""))
    parts = items(header, sequence) if sequence else []
    said = text(parts[index - 1], name) if index <= len(parts) else ""
    return said or f"{_WORDS[axis]} {index}"


_WORDS = {
    ENERGY: "window", DETECTOR: "detector", PHASE: "phase", TIME_SLICE: "frame", ROTATION: "rotation", VIEW: "view",
    INTERVAL: "R-R", SLOT: "slot", SLICE: "slice",
}  # fmt: skip
_NAMED = {
    ENERGY: ("EnergyWindowInformationSequence", "EnergyWindowName"),
    PHASE: ("PhaseInformationSequence", "PhaseDescription"),
}


def _counted_within(others: Sequence[Sequence[int]], frames: int) -> list[int]:
    """Number the frames that agree in all other axes, as they come."""
    seen: Counter[tuple[int, ...]] = Counter()
    counted = []
    for frame in range(frames):
        key = tuple(values[frame] for values in others)
        seen[key] += 1
        counted.append(seen[key])
    return counted


def _by_standard(
    header: Dataset, axes: Sequence[str], known: Mapping[str, Sequence[int]], frames: int
) -> dict[str, list[int]]:
    """Return every axis as the standard orders them, if that fits the frames and the vectors there are."""
    places: list[Place] = [{}]
    for axis in axes:
        extents = [_extent(header, axis, place) or 1 for place in places]
        if sum(extents) > frames:
            raise _unfitting(f"at least {sum(extents)}", frames)
        places = [{**place, axis: n} for place, last in zip(places, extents, strict=True) for n in range(1, last + 1)]
    if len(places) != frames:
        raise _unfitting(str(len(places)), frames)
    if any([place[axis] for place in places] != list(values) for axis, values in known.items()):
        raise Refused("the vectors that are there contradict the order of the standard, and others are missing")
    return {axis: [place[axis] for place in places] for axis in axes}


def _unfitting(made: str, frames: int) -> Refused:
    return Refused(
        f"the object's numbers of windows, detectors and views make {made} frames, it holds {frames}, "
        "and its vectors are missing: ask the camera for the acquisition again"
    )


def _once_each(places: Sequence[Place]) -> None:
    seen: dict[tuple[int, ...], int] = {}
    for frame, place in enumerate(places, 1):
        first = seen.setdefault(tuple(place.values()), frame)
        if first != frame:
            raise Refused(
                f"frames {first} and {frame} claim the same place: the vectors of the object contradict themselves"
            )
