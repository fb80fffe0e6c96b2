"""Projections of an NM TOMO or GATED TOMO object, as the reconstruction takes them (PS3.3 C.8.4.12).

Angles are those of the rotation, each detector's own where it stood elsewhere; a view that is missing leaves its angle
out. What the object does not say is refused or told, never guessed unseen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from core.dicom.elements import item, items, number, numbers, text, whole
from core.dicom.frames import image_type
from core.dicom.pixels import frames_of
from core.dicom.tracers import NUCLIDES
from core.dicom.volumes import nuclear
from core.dicom.volumes.planes import held_in
from core.errors import Refused
from core.imaging.reconstruction.placing import placed
from core.imaging.reconstruction.projections import Projections, Unusable
from core.imaging.volume import Volume

KINDS = ("TOMO", "GATED TOMO")


@dataclass(frozen=True, eq=False, slots=True)
class Window:
    """An energy window: the ranges it counts, keV."""

    ranges_kev: tuple[tuple[float, float], ...]

    @property
    def limits_kev(self) -> tuple[float, float]:
        """Its lowest and highest energy; 0 and 0 where the object does not say."""
        return (
            (min(low for low, _ in self.ranges_kev), max(high for _, high in self.ranges_kev))
            if self.ranges_kev
            else (0, 0)
        )

    @property
    def width_kev(self) -> float:
        """How much of the spectrum it counts; 0 where the object does not say."""
        return sum(high - low for low, high in self.ranges_kev)


@dataclass(frozen=True, eq=False, slots=True)
class Acquired:
    """What a rotating camera handed over.

    Attributes
    ----------
    projections
        By name of the energy window, in the order of the object, one for each time slot (one alone where not gated).
    windows
        The energy windows by name.
    started_s
        (view,) when each view began, seconds from the first; the same for all windows and slots.
    half_life_s, nuclide
        Of the isotope, None and empty where the object does not say.
    at
        When the first view began, in the time of the object.
    slot_ms
        Duration of a time slot of the heart; 0 where not gated.
    middle_mm
        Where the middle of rotation and of the rows lies, LPS: x and y are counted from it, z is as the detector says.
    header
        The object without its pixels.
    notes
        What was odd and how it was taken, for people to read.
    """

    projections: Mapping[str, tuple[Projections, ...]]
    windows: Mapping[str, Window]
    started_s: NDArray[np.float64]
    half_life_s: float | None
    nuclide: str
    at: datetime | None
    slot_ms: float
    middle_mm: tuple[float, float, float]
    header: Dataset
    notes: tuple[str, ...] = ()

    @property
    def sop_uid(self) -> str:
        """SOP Instance UID of the object."""
        return text(self.header, "SOPInstanceUID")

    @property
    def main(self) -> str:
        """Name of the window of the photopeak: the one around the isotope's line, else the one of most counts."""
        line = np.mean(NUCLIDES[self.nuclide].window_kev) if self.nuclide in NUCLIDES else 0.0
        around = [name for name, one in self.windows.items() if one.limits_kev[0] <= line <= one.limits_kev[1]]
        return around[0] if len(around) == 1 else max(self.projections, key=self._counts)

    def _counts(self, name: str) -> float:
        return sum(float(one.counts.sum(dtype=np.float64)) for one in self.projections[name])

    def beside(self, name: str) -> tuple[str | None, str | None]:
        """Return the names of the windows next below and above a window: those that measure its scatter."""
        low, high = self.windows[name].limits_kev
        below = [one for one, window in self.windows.items() if one != name and 0 < window.limits_kev[1] <= low + 1]
        above = [one for one, window in self.windows.items() if one != name and window.limits_kev[0] >= high - 1 > 0]
        return (
            max(below, key=lambda one: self.windows[one].limits_kev[1], default=None),
            min(above, key=lambda one: self.windows[one].limits_kev[0], default=None),
        )

    def volume(self, bodies: Sequence[NDArray[np.float32]], unit: str = "counts") -> Volume:
        """Place reconstructed bodies, (row, column, slice), one for each time slot, in the patient."""
        scan = next(iter(self.projections.values()))[0]
        slots = [placed(body, scan, self.middle_mm, unit) for body in bodies]
        several = len(slots) > 1
        return replace(
            slots[0],
            array=np.stack([one.array for one in slots]) if several else slots[0].array,
            moments=tuple(f"slot {number}" for number in range(1, len(slots) + 1)) if several else (),
            frame_of_reference=text(self.header, "FrameOfReferenceUID"),
            sources=(self.sop_uid,),
            notes=self.notes,
        )


def acquired_in(path: Path, interval: int = 1) -> Acquired:
    """Read the projections of an NM TOMO or GATED TOMO object; of several R-R intervals the one numbered `interval`.

    Raises
    ------
    Refused
        It is no such object, or lacks what a reconstruction needs; the text names the object and what is missing.
    """
    held = held_in(path)
    try:
        return _acquired(path, held.header, interval)
    except (Refused, Unusable) as refused:
        raise Refused(f"object {held.sop_uid}: {refused}") from refused


def _acquired(path: Path, header: Dataset, interval: int) -> Acquired:
    kind = image_type(header)
    if not (kind in KINDS and nuclear_object(header)):
        raise Refused(f"it holds {kind or text(header, 'Modality')} images, not the projections of a rotation")
    frames = frames_of(path)
    order = nuclear.order_of(header, frames.total)
    places = order.places
    notes = [*order.notes, *_saturated(frames.array, header)]
    intervals = sorted({place.get(nuclear.INTERVAL, 1) for place in places})
    if len(intervals) > 1:
        notes.append(f"{len(intervals)} R-R intervals: number {interval} is used")
    orbit = _orbit(header, places, notes)
    windows = _windows(header, sorted({place.get(nuclear.ENERGY, 1) for place in places}))
    slots = sorted({place.get(nuclear.SLOT, 1) for place in places})
    index = {_key(place): frame for frame, place in enumerate(places)}
    pixel_mm, slice_mm = _pixel(header)
    made = {
        name: tuple(
            Projections(
                _facing(header, _chosen(frames.array, index, orbit.views, (energy, interval, slot))), orbit.angles_deg,
                pixel_mm, slice_mm, orbit.radius_mm, view_s=orbit.view_s,
            )
            for slot in slots
        )
        for energy, name in windows.items()
    }  # fmt: skip
    notes += [f"{name}: view {view + 1} has no counts" for name, scans in made.items() for view in _empty(scans)]
    nuclide, half_life = _isotope(header)
    return Acquired(
        made, {name: _window(header, energy) for energy, name in windows.items()}, orbit.started_s, half_life, nuclide,
        _at(header), _slot_ms(header) if kind == "GATED TOMO" else 0.0, (0.0, 0.0, _middle(header)), header, tuple(dict.fromkeys(notes)),
    )  # fmt: skip


def nuclear_object(header: Dataset) -> bool:
    """Whether it is an NM object."""
    return text(header, "Modality") == "NM"


View = tuple[int, int, int]
"""Rotation, detector, angular view."""


def _key(place: nuclear.Place) -> tuple[int, int, int, View]:
    get = place.get
    view = (get(nuclear.ROTATION, 1), get(nuclear.DETECTOR, 1), get(nuclear.VIEW, 1))
    return get(nuclear.ENERGY, 1), get(nuclear.INTERVAL, 1), get(nuclear.SLOT, 1), view


def _chosen(
    array: NDArray[np.generic],
    index: Mapping[tuple[int, int, int, View], int],
    views: Sequence[View],
    which: tuple[int, int, int],
) -> NDArray[np.float32]:
    lacking = [view for view in views if (*which, view) not in index]
    if lacking:
        energy, _, slot = which
        raise Refused(f"{len(lacking)} of {len(views)} views are missing in energy window {energy}, time slot {slot}")
    return np.asarray(array[[index[*which, view] for view in views]], np.float32)


# -- the rotation ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, slots=True)
class _Orbit:
    views: tuple[View, ...]
    angles_deg: NDArray[np.float64]
    radius_mm: NDArray[np.float64]
    started_s: NDArray[np.float64]
    view_s: float


def _orbit(header: Dataset, places: Sequence[nuclear.Place], notes: list[str]) -> _Orbit:
    views = tuple(sorted({_key(place)[3] for place in places}))
    rotations = items(header, "RotationInformationSequence")
    if not rotations:
        raise Refused("the rotation is missing: Rotation Information Sequence is empty")
    turns = _detector_turns(header, max(view[1] for view in views), notes)
    of = {number: rotations[min(number, len(rotations)) - 1] for number in {view[0] for view in views}}
    angles = [_angle(of[rotation], view) + turns[detector - 1] for rotation, detector, view in views]
    view_s = max((number_of(one, "ActualFrameDuration") or 0.0) for one in of.values()) / 1000
    per_rotation = {number: max(view[2] for view in views if view[0] == number) for number in of}
    before = {number: sum(per_rotation[one] for one in of if one < number) for number in of}
    started = np.asarray([(before[rotation] + view - 1) * view_s for rotation, _, view in views])
    expected = sum(whole(one, "NumberOfFramesInRotation") or per_rotation[n] for n, one in of.items()) * len(turns)
    if len(views) < expected:
        notes.append(f"{expected - len(views)} of {expected} views are missing")
    return _Orbit(views, np.mod(angles, 360.0), _radii(header, of, views, notes), started, view_s)


def number_of(dataset: Dataset, name: str) -> float | None:
    """Return a number of a rotation."""
    return number(dataset, name)


def _angle(rotation: Dataset, view: int) -> float:
    """Return the angle of a view (PS3.3 C.8.4.12): clockwise seen from the feet it falls."""
    start, step = number(rotation, "StartAngle"), number(rotation, "AngularStep")
    frames, arc = whole(rotation, "NumberOfFramesInRotation"), number(rotation, "ScanArc")
    if not step and arc and frames:
        step = arc / frames
    if start is None or not step:
        raise Refused("an angle is missing: the rotation says no start angle or no angular step")
    direction = text(rotation, "RotationDirection")
    if direction not in {"CW", "CC", "CCW"}:
        raise Refused("the direction of rotation is missing")
    return start + (view - 1) * (-abs(step) if direction == "CW" else abs(step))


def _detector_turns(header: Dataset, detectors: int, notes: list[str]) -> list[float]:
    """Return how far each detector stood from the first, in degrees."""
    if detectors == 1:
        return [0.0]
    said = [_detector_angle(one) for one in items(header, "DetectorInformationSequence")[:detectors]]
    known = [angle for angle in said if angle is not None]
    if len(known) < detectors or len({round(angle % 360, 1) for angle in known}) < detectors:
        raise Refused(f"{detectors} detectors, but where each stood is missing: Start Angle of the detectors")
    notes.extend([])
    return [angle - known[0] for angle in known]


def _detector_angle(detector: Dataset) -> float | None:
    """Return where a detector stood: as it says, else by the direction its image faces."""
    said = number(detector, "StartAngle")
    directions = numbers(detector, "ImageOrientationPatient")
    if said is None and len(directions) == 6:  # noqa: PLR2004 - two directions
        return float(np.rad2deg(np.arctan2(directions[1], -directions[0])))
    return said


def _radii(
    header: Dataset, rotations: Mapping[int, Dataset], views: Sequence[View], notes: list[str]
) -> NDArray[np.float64]:
    """Return the radius of each view, mm: one value for all, or one for each view of a rotation."""
    detectors = items(header, "DetectorInformationSequence")
    found = []
    for rotation, detector, view in views:
        said = numbers(rotations[rotation], "RadialPosition")
        own = numbers(detectors[detector - 1], "RadialPosition") if detector <= len(detectors) else []
        said = own if len(own) > 1 or not said else said
        found.append(said[0] if len(said) == 1 else said[view - 1] if view <= len(said) else 0.0)
    if all(radius > 0 for radius in found):
        return np.asarray(found)
    if any(found):
        notes.append("the radius of some views is missing: none is used")
    return np.empty(0)


# -- the camera --------------------------------------------------------------------------------------------------------


def _windows(header: Dataset, energies: Sequence[int]) -> dict[int, str]:
    """Return the name of each energy window, each another."""
    said = items(header, "EnergyWindowInformationSequence")
    names: dict[int, str] = {}
    for energy in energies:
        name = text(said[energy - 1], "EnergyWindowName") if energy <= len(said) else ""
        names[energy] = name if name and name not in names.values() else f"{name} window {energy}".strip()
    return names


def _window(header: Dataset, energy: int) -> Window:
    said = items(header, "EnergyWindowInformationSequence")
    ranges = items(said[energy - 1], "EnergyWindowRangeSequence") if energy <= len(said) else []
    limits = [(number(one, "EnergyWindowLowerLimit"), number(one, "EnergyWindowUpperLimit")) for one in ranges]
    return Window(tuple((low, high) for low, high in limits if low is not None and high is not None and high > low))


def _pixel(header: Dataset) -> tuple[float, float]:
    """Return the width of a bin and the distance of rows, mm."""
    said = numbers(header, "PixelSpacing")
    if len(said) != 2 or min(said) <= 0:  # noqa: PLR2004 - rows, columns
        raise Refused("the size of a pixel is missing: Pixel Spacing is empty")
    return said[1], said[0]


def _facing(header: Dataset, counts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the views with the head up, as the directions of the detector say."""
    directions = numbers(item(header, "DetectorInformationSequence"), "ImageOrientationPatient")
    upside_down = len(directions) == 6 and directions[5] > 0.9  # noqa: PLR2004 - two directions; nearly straight
    return counts[:, ::-1] if upside_down else counts


def _middle(header: Dataset) -> float:
    """Return z of the middle row as the detector says it, else 0."""
    detector = item(header, "DetectorInformationSequence")
    corner, directions = numbers(detector, "ImagePositionPatient"), numbers(detector, "ImageOrientationPatient")
    if len(corner) != 3 or len(directions) != 6 or abs(directions[5]) < 0.9:  # noqa: PLR2004 - x, y, z; two directions
        return 0.0
    return corner[2] + directions[5] * ((whole(header, "Rows") or 1) - 1) / 2 * _pixel(header)[1]


def _isotope(header: Dataset) -> tuple[str, float | None]:
    """Return the isotope's short name and half-life in seconds: as the object says it, else as its code tells."""
    given = item(header, "RadiopharmaceuticalInformationSequence")
    code = item(given, "RadionuclideCodeSequence")
    said = number(given, "RadionuclideHalfLife")
    meaning = "".join(text(code, "CodeMeaning").replace("^", "").lower().split())
    for name, nuclide in NUCLIDES.items():
        if text(code, "CodeValue") == nuclide.code[0] or meaning == "".join(
            nuclide.code[2].replace("^", "").lower().split()
        ):
            return name, said or nuclide.half_life_s
    return "", said


def _slot_ms(header: Dataset) -> float:
    return number(item(header, "GatedInformationSequence", "DataInformationSequence"), "FrameTime") or 0.0


def _at(header: Dataset) -> datetime | None:
    said = text(header, "AcquisitionDate") + text(header, "AcquisitionTime").partition(".")[0]
    try:
        return datetime.strptime(said, "%Y%m%d%H%M%S")  # noqa: DTZ007 - the time of the object, whose zone it may not say
    except ValueError:
        return None


def _saturated(array: NDArray[np.generic], header: Dataset) -> list[str]:
    top = 2 ** (whole(header, "BitsStored") or 16) - 1
    full = int((array >= top).sum()) if array.dtype.kind == "u" else 0
    return [f"{full} pixels are saturated: counts there are too low"] if full else []


def _empty(scans: Sequence[Projections]) -> list[int]:
    totals = sum(one.counts.sum(axis=(1, 2)) for one in scans)
    return [int(view) for view in np.flatnonzero(np.asarray(totals) == 0)]
