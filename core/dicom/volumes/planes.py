"""Find the planes an object holds, and where each lies in the patient.

NM says it in its detectors (PS3.3 C.8.4.11, C.8.4.15), enhanced objects in their functional groups (C.7.6.16), others
at the top. A slice of NM nobody placed is kept, without a place; of others it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from pydicom import Dataset

from core.dicom.elements import item, items, number, numbers, text, whole
from core.dicom.frames import NM_STORAGE, image_type
from core.dicom.pixels import read_header
from core.dicom.volumes import nuclear
from core.errors import Refused
from core.imaging.slices import normal_of
from core.imaging.volume import Points

_PROJECTED = ("STATIC", "WHOLE BODY", "DYNAMIC", "GATED", "TOMO", "GATED TOMO")


@dataclass(frozen=True, eq=False, slots=True)
class Held:
    """An object whose planes may stand in a volume."""

    path: Path
    header: Dataset
    sop_uid: str
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of its frames."""
        return whole(self.header, "Rows") or 0, whole(self.header, "Columns") or 0


@dataclass(frozen=True, eq=False, slots=True)
class Plane:
    """One frame of an object.

    `corner` and `orientation` are Image Position and Orientation (Patient), None where nobody says; `index` counts the
    slices of such. `step_mm` leads to the next slice where the object says it, negative in front. `when` gives names
    and values by which planes of one place differ in time, read where that is asked; `stack` tells stacks of a series
    apart.
    """

    held: Held
    frame: int
    index: int
    corner: Points | None
    orientation: Points | None
    spacing: tuple[float, float]
    step_mm: float | None
    when: Callable[[], Mapping[str, str]]
    stack: str = ""
    counted: bool = field(default=False)


TIMES = {
    "TemporalPositionIdentifier": "time {}", "TemporalPositionIndex": "time {}",
    "NominalCardiacTriggerDelayTime": "{} ms", "TriggerTime": "{} ms", "FrameReferenceTime": "{} ms",
    "EchoNumbers": "echo {}", "EchoTime": "TE {} ms", "EffectiveEchoTime": "TE {} ms", "DiffusionBValue": "b {}",
    "AcquisitionNumber": "acquisition {}", "AcquisitionTime": "{}", "AcquisitionDateTime": "{}",
    "FrameAcquisitionDateTime": "{}", "ImageIndex": "time {}", "ContentTime": "{}",
}  # fmt: skip
"""By what the moments of one place are told apart, the surest first, and how they are called."""


def held_in(path: Path) -> Held:
    """Read an object's header.

    Raises
    ------
    Refused
        It holds no image, or cannot be read; the text names it where it can.
    """
    header = read_header(path)
    uid = text(header, "SOPInstanceUID")
    if whole(header, "Rows") is None or whole(header, "Columns") is None:
        raise Refused(f"object {uid or 'without a UID'} holds no image")
    return Held(path, header, uid)


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
        It does not say where they lie or how large a pixel is, or its vectors contradict themselves.
    """
    if is_nuclear(held.header):
        return list(_of_nuclear(held))
    if items(held.header, "PerFrameFunctionalGroupsSequence"):
        return list(_of_enhanced(held))
    return [_single(held)]


def _single(held: Held) -> Plane:
    header = held.header
    if (frames := whole(header, "NumberOfFrames") or 1) > 1:
        raise Refused(f"it holds {frames} frames and does not say where each lies")
    step = number(header, "SpacingBetweenSlices") or number(header, "SliceThickness")
    return _placed(
        Plane(
            held, 0, whole(header, "InstanceNumber") or 0, corner_of(header), directions_of(header), _spacing(header),
            step and abs(step), partial(_times_of, header),
        )
    )  # fmt: skip


def _times_of(header: Dataset) -> dict[str, str]:
    when = {name: said for name in TIMES if (said := text(header, name))}
    slices, index = whole(header, "NumberOfSlices"), whole(header, "ImageIndex")
    when.pop("ImageIndex", None)
    if slices and index:  # PET tells its moment by its place in the series (PS3.3 C.8.9.4)
        when["ImageIndex"] = str((index - 1) // slices + 1)
    return when


def _placed(plane: Plane) -> Plane:
    """Refuse a plane without a place."""
    if plane.corner is None or plane.orientation is None:
        lacking = "Image Position (Patient)" if plane.corner is None else "Image Orientation (Patient)"
        raise Refused(
            f"{lacking} is missing or no position in a patient: where frame {plane.frame + 1} lies is unknown"
        )
    return plane


def _of_nuclear(held: Held) -> Iterator[Plane]:
    header = held.header
    frames = whole(header, "NumberOfFrames") or 1
    order = nuclear.order_of(header, frames)
    held = replace(held, notes=order.notes)
    detector = item(header, "DetectorInformationSequence")
    corner, directions = corner_of(detector), directions_of(detector)
    if corner is None or directions is None:
        corner, directions = corner_of(header), directions_of(header)
    step, spacing = number(header, "SpacingBetweenSlices") or number(header, "SliceThickness"), _spacing(header)
    first = min(place.get(nuclear.SLICE, 1) for place in order.places)
    several = [axis for axis in order.places[0] if len({place[axis] for place in order.places}) > 1]
    moments = [axis for axis in several if axis != nuclear.SLICE]
    for frame, place in enumerate(order.places):
        index = place.get(nuclear.SLICE, 1)
        lies = corner
        if corner is not None and directions is not None and step:
            lies = corner + normal_of(directions) * step * (index - first)
        when = {"": nuclear.named(header, place, moments)} if moments else {}
        yield Plane(
            held, frame, index if frames > 1 else whole(header, "InstanceNumber") or 1, lies, directions, spacing, step,
            partial(dict, when), held.sop_uid if frames > 1 else "", counted=True,
        )  # fmt: skip


def _of_enhanced(held: Held) -> Iterator[Plane]:
    shared = item(held.header, "SharedFunctionalGroupsSequence")
    joined = text(held.header, "ConcatenationUID") or held.sop_uid
    for frame, own in enumerate(items(held.header, "PerFrameFunctionalGroupsSequence")):
        group = _Groups(own, shared)
        measures, content = group.first("PixelMeasuresSequence"), Dataset()
        for name in _TIMED:
            content.update(group.first(name))
        yield _placed(
            Plane(
                held, frame, frame, corner_of(group.first("PlanePositionSequence")),
                directions_of(group.first("PlaneOrientationSequence")), _spacing(measures),
                number(measures, "SpacingBetweenSlices") or number(measures, "SliceThickness"),
                partial(_times_of, content),
                f"{joined} {text(content, 'StackID')}",
            )
        )  # fmt: skip


_TIMED = ("FrameContentSequence", "CardiacSynchronizationSequence", "MREchoSequence", "MRDiffusionSequence")


@dataclass(frozen=True, slots=True)
class _Groups:
    own: Dataset
    shared: Dataset

    def first(self, name: str) -> Dataset:
        """Return the first item of a functional group: the frame's own, else the shared one."""
        return next(iter(items(self.own, name) or items(self.shared, name)), Dataset())


def corner_of(dataset: Dataset) -> Points | None:
    """Return Image Position (Patient) where it is a position."""
    found = numbers(dataset, "ImagePositionPatient")
    return np.asarray(found) if len(found) == 3 else None  # noqa: PLR2004 - x, y, z


def directions_of(dataset: Dataset) -> Points | None:
    """Return Image Orientation (Patient), (6,), where it is two directions at right angles, of length 1."""
    found = np.asarray(numbers(dataset, "ImageOrientationPatient"))
    if found.shape != (6,):
        return None
    row, column = found[:3], found[3:]
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if max(abs(length - 1) for length in lengths) > 0.01 or abs(row @ column) > 0.01:  # noqa: PLR2004 - cosines
        return None
    return np.concatenate((row / lengths[0], column / lengths[1]))


def _spacing(dataset: Dataset) -> tuple[float, float]:
    found = numbers(dataset, "PixelSpacing")
    if len(found) == 1:
        found *= 2
    if len(found) != 2 or min(found) <= 0:  # noqa: PLR2004 - rows, columns
        said = "missing" if not found else "not above 0" if len(found) == 2 else "not two numbers"  # noqa: PLR2004
        raise Refused(f"Pixel Spacing is {said}: the size of a pixel is unknown")
    return found[0], found[1]
