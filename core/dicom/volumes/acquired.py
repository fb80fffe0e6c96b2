"""Projections of an NM TOMO or GATED TOMO object, as the reconstruction takes them (PS3.3 C.8.4.12).

A view that is missing leaves its angle out. What the object does not say is refused or told, never guessed unseen.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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
from core.dicom.volumes.isotopes import isotope_of
from core.dicom.volumes.made import space_of
from core.dicom.volumes.orbit import Orbit, View, orbit_of
from core.dicom.volumes.planes import held_in, is_nuclear
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
    def frame_of_reference(self) -> str:
        """UID of the space its volumes lie in: the object's own, else one that follows from the object alone."""
        return space_of(self.header)

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
            frame_of_reference=self.frame_of_reference,
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
    if kind not in KINDS or not is_nuclear(header):
        raise Refused(f"it holds {kind or text(header, 'Modality')} images, not the projections of a rotation")
    frames = frames_of(path)
    order = nuclear.order_of(header, frames.total)
    orbit = orbit_of(header, sorted({_view(place) for place in order.places}))
    empty = _empty(header, frames.array, order)
    made = _projections(header, frames.array, order, orbit, interval, set(empty))
    notes = [*(f"{name}: no counts at all, left out" for name in empty.values()), *order.notes, *orbit.notes]
    notes += _intervals(order, interval)
    notes += [f"{name}: {odd}" for name, scans in made.items() for scan in scans for odd in scan.oddities()]
    nuclide, half_life = isotope_of(header)
    energies = sorted({place.get(nuclear.ENERGY, 1) for place in order.places})
    windows = {name: _window(header, energy) for energy, name in _names(header, energies).items()}
    slot_ms = number(item(header, "GatedInformationSequence", "DataInformationSequence"), "FrameTime")
    return Acquired(
        made, windows, orbit.started_s, half_life, nuclide, _at(header), (slot_ms or 0.0) if kind == KINDS[1] else 0.0,
        (0.0, 0.0, _middle(header)), header, tuple(dict.fromkeys(notes)),
    )  # fmt: skip


def _projections(
    header: Dataset,
    array: NDArray[np.generic],
    order: nuclear.Order,
    orbit: Orbit,
    interval: int,
    empty: Collection[int],
) -> dict[str, tuple[Projections, ...]]:
    """Return the projections of each energy window and time slot."""
    index = {_key(place): frame for frame, place in enumerate(order.places)}
    slots = sorted({place.get(nuclear.SLOT, 1) for place in order.places})
    names = _names(header, sorted({place.get(nuclear.ENERGY, 1) for place in order.places}))
    pixel_mm, slice_mm = _pixel(header)

    def scan(energy: int, slot: int) -> Projections:
        counts = _head_up(header, _chosen(array, index, orbit.views, (energy, interval, slot)))
        return Projections(counts, orbit.angles_deg, pixel_mm, slice_mm, orbit.radius_mm, view_s=orbit.view_s)

    return {name: tuple(scan(energy, slot) for slot in slots) for energy, name in names.items() if energy not in empty}


def _empty(header: Dataset, array: NDArray[np.generic], order: nuclear.Order) -> dict[int, str]:
    """Return the energy windows without a count, where others have some."""
    energies = np.asarray([place.get(nuclear.ENERGY, 1) for place in order.places])
    names = _names(header, sorted(set(energies.tolist())))
    found = {energy: name for energy, name in names.items() if not array[energies == energy].any()}
    return found if len(found) < len(names) else {}


def _intervals(order: nuclear.Order, interval: int) -> list[str]:
    intervals = {place.get(nuclear.INTERVAL, 1) for place in order.places}
    if interval not in intervals:
        raise Refused(f"there is no R-R interval {interval}; it has {len(intervals)}")
    return [f"{len(intervals)} R-R intervals: number {interval} is used"] if len(intervals) > 1 else []


def _view(place: nuclear.Place) -> View:
    return place.get(nuclear.ROTATION, 1), place.get(nuclear.DETECTOR, 1), place.get(nuclear.VIEW, 1)


def _key(place: nuclear.Place) -> tuple[int, int, int, View]:
    energy, interval, slot = (place.get(axis, 1) for axis in (nuclear.ENERGY, nuclear.INTERVAL, nuclear.SLOT))
    return energy, interval, slot, _view(place)


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


# -- the camera --------------------------------------------------------------------------------------------------------


def _names(header: Dataset, energies: Sequence[int]) -> dict[int, str]:
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


def _head_up(header: Dataset, counts: NDArray[np.float32]) -> NDArray[np.float32]:
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


def _at(header: Dataset) -> datetime | None:
    said = text(header, "AcquisitionDate") + text(header, "AcquisitionTime").partition(".")[0]
    try:
        return datetime.strptime(said, "%Y%m%d%H%M%S")  # noqa: DTZ007 - the time of the object, whose zone it may not say
    except ValueError:
        return None
