"""Find the planes an object holds, and where each lies in the patient.

NM says it in its detectors (PS3.3 C.8.4.11, C.8.4.15), enhanced objects in their functional groups (C.7.6.16), others
at the top. A plane nobody placed is kept, without a place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset

from core.dicom.frames import NM_STORAGE, image_type
from core.dicom.pixels import read_header
from core.dicom.volumes import nuclear
from core.dicom.volumes.elements import item, items, number, numbers, text, whole
from core.errors import Refused
from core.imaging.slices import normal_of
from core.imaging.volume import Points

_PROJECTED = ("STATIC", "WHOLE BODY", "DYNAMIC", "GATED", "TOMO", "GATED TOMO")


@dataclass(frozen=True, eq=False, slots=True)
class Plane:
    """One frame of an object.

    `corner` and `orientation` are Image Position and Orientation (Patient), None where nobody says; `index` counts the
    slices of such. `when` are the names and values by which planes of one place differ in time.
    """

    held: Held
    frame: int
    index: int
    corner: Points | None
    orientation: Points | None
    spacing: tuple[float, float] | None
    thickness_mm: float | None
    when: dict[str, str]


@dataclass(frozen=True, eq=False, slots=True)
class Held:
    """An object whose planes may stand in a volume."""

    path: Path
    header: Dataset
    sop_uid: str
    nuclear: bool
    notes: tuple[str, ...] = ()


_TIMES = (
    "TemporalPositionIdentifier", "TemporalPositionIndex", "NominalCardiacTriggerDelayTime", "TriggerTime",
    "FrameReferenceTime", "EchoNumbers", "EchoTime", "DiffusionBValue", "AcquisitionNumber", "AcquisitionTime",
    "AcquisitionDateTime", "FrameAcquisitionDateTime", "ContentTime",
)  # fmt: skip
"""By what the moments of one place are told apart, the surest first."""


def held_in(path: Path) -> Held:
    """Read an object's header.

    Raises
    ------
    Refused
        It holds no image, or cannot be read; `Refused.detail` names it.
    """
    header = read_header(path)
    uid = text(header, "SOPInstanceUID")
    if whole(header, "Rows") is None or whole(header, "Columns") is None:
        raise Refused(f"object {uid or '(without a UID)'} holds no image")
    return Held(path, header, uid, is_nuclear(header))


def is_nuclear(header: Dataset) -> bool:
    """Whether it is a nuclear medicine multi-frame object."""
    return text(header, "SOPClassUID") in NM_STORAGE


def is_projected(header: Dataset) -> bool:
    """Whether its frames are projections of the patient: they have no depth."""
    return is_nuclear(header) and image_type(header) in _PROJECTED


def planes_of(held: Held) -> list[Plane]:
    """Return the planes of an object that may stand in a volume.

    Raises
    ------
    Refused
        Its vectors contradict themselves.
    """
    if held.nuclear:
        return list(_of_nuclear(held))
    if items(held.header, "PerFrameFunctionalGroupsSequence"):
        return list(_of_enhanced(held))
    return [_single(held)]


def _single(held: Held) -> Plane:
    header = held.header
    when = {name: said for name in _TIMES if (said := text(header, name))}
    slices, index = whole(header, "NumberOfSlices"), whole(header, "ImageIndex")
    if slices and index:  # PET tells its moment by its place in the series (PS3.3 C.8.9.4.1.9)
        when = {"ImageIndex": str((index - 1) // slices), **when}
    return Plane(
        held, 0, whole(header, "InstanceNumber") or 0, _triple(header), _directions(header), _spacing(header),
        number(header, "SpacingBetweenSlices") or number(header, "SliceThickness"), when,
    )  # fmt: skip


def _of_nuclear(held: Held) -> Iterator[Plane]:
    header = held.header
    order = nuclear.order_of(header, whole(header, "NumberOfFrames") or 1)
    object.__setattr__(held, "notes", order.notes)
    detector = item(header, "DetectorInformationSequence")
    corner, directions = _triple(detector), _directions(detector)
    if corner is None or directions is None:
        corner, directions = _triple(header), _directions(header)
    step = number(header, "SpacingBetweenSlices") or number(header, "SliceThickness")
    first = min(place.get(nuclear.SLICE, 1) for place in order.places)
    for frame, place in enumerate(order.places):
        index = place.get(nuclear.SLICE, 1)
        when = {axis: str(place[axis]) for axis in place if axis != nuclear.SLICE}
        lies = corner
        if corner is not None and directions is not None and step:
            lies = corner + normal_of(directions) * step * (index - first)
        yield Plane(held, frame, index, lies, directions, _spacing(header), step, {"frame": _said(when), **when})


def _said(when: dict[str, str]) -> str:
    return " ".join(f"{value:0>4}" for value in when.values())


def _of_enhanced(held: Held) -> Iterator[Plane]:
    shared = item(held.header, "SharedFunctionalGroupsSequence")
    for frame, own in enumerate(items(held.header, "PerFrameFunctionalGroupsSequence")):
        group = _Groups(own, shared)
        measures = group.first("PixelMeasuresSequence")
        content = group.first("FrameContentSequence")
        content.update(group.first("MREchoSequence"))
        content.update(group.first("CardiacSynchronizationSequence"))
        content.update(group.first("MRDiffusionSequence"))
        when = {name: said for name in _TIMES if (said := text(content, name))}
        yield Plane(
            held, frame, frame,
            _triple(group.first("PlanePositionSequence")), _directions(group.first("PlaneOrientationSequence")),
            _spacing(measures), number(measures, "SpacingBetweenSlices") or number(measures, "SliceThickness"), when,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Groups:
    own: Dataset
    shared: Dataset

    def first(self, name: str) -> Dataset:
        """Return the first item of a functional group: the frame's own, else the shared one."""
        found = Dataset()
        found.update(next(iter(items(self.own, name) or items(self.shared, name)), Dataset()))
        return found


def _triple(dataset: Dataset) -> Points | None:
    found = numbers(dataset, "ImagePositionPatient")
    return np.asarray(found) if len(found) == 3 else None  # noqa: PLR2004 - x, y, z


def _directions(dataset: Dataset) -> Points | None:
    """Return Image Orientation (Patient) where it is two directions at right angles, of length 1."""
    found = np.asarray(numbers(dataset, "ImageOrientationPatient"))
    if found.shape != (6,):
        return None
    row, column = found[:3], found[3:]
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if max(abs(length - 1) for length in lengths) > 0.01 or abs(row @ column) > 0.01:  # noqa: PLR2004 - cosines
        return None
    return np.concatenate((row / lengths[0], column / lengths[1]))


def _spacing(dataset: Dataset) -> tuple[float, float] | None:
    found = numbers(dataset, "PixelSpacing")
    return (found[0], found[1]) if len(found) == 2 and min(found) > 0 else None  # noqa: PLR2004 - rows, columns
