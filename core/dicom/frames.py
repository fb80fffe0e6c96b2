"""Count the frames of an object, and say how many the object itself claims there should be.

Cameras contradict themselves: vectors of one number, absent pointers, counts of zero. Reading never raises; what makes
no sense is passed over, and where nothing tells, the expectation is None rather than a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

from pydicom import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, CTImageStorage, PositronEmissionTomographyImageStorage

from core.dicom import elements

Unit = Literal["frames", "instances"]

NM_STORAGE = ("1.2.840.10008.5.1.4.1.1.20", "1.2.840.10008.5.1.4.1.1.5")
"""Nuclear Medicine Image Storage and its retired predecessor."""

SINGLE_SLICE = (PositronEmissionTomographyImageStorage, CTImageStorage)

NO_IMAGES = (
    "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture and its multi-frame kinds
    "1.2.840.10008.5.1.4.1.1.11",  # presentation states
    "1.2.840.10008.5.1.4.1.1.66",  # raw data, registration, segmentation, surfaces
    "1.2.840.10008.5.1.4.1.1.67",  # real world value mapping
    "1.2.840.10008.5.1.4.1.1.88",  # structured reports
    "1.2.840.10008.5.1.4.1.1.9",  # waveforms
    "1.2.840.10008.5.1.4.1.1.104",  # encapsulated documents
    "1.2.840.10008.5.1.4.1.1.481",  # radiotherapy
)
"""Storage classes, each with all that begin with it and a point, that are no acquired image of a patient."""

MANY = 100_000
"""No acquisition has more frames: a larger claim is a broken value."""


@dataclass(frozen=True, slots=True)
class FrameCount:
    """`frames` received in this object; `expected_by_vectors` what the object itself says is due, or None.

    `unit` is `frames` where the object's own vectors say how many are due, else `instances`. `expected_in_series` is
    what a single-slice object (PET) says of its whole series.
    """

    frames: int
    expected_by_vectors: int | None
    unit: Unit
    expected_in_series: int | None = None


@dataclass(frozen=True, slots=True)
class _Axis:
    """One index of NM multi-frame images: its vector, the number that says how far it runs, where its parts are."""

    vector: str
    number: str = ""
    parts: tuple[str, str] | None = None


ENERGY = _Axis("EnergyWindowVector", "NumberOfEnergyWindows")
DETECTOR = _Axis("DetectorVector", "NumberOfDetectors")
PHASES = _Axis("PhaseVector", "NumberOfPhases", ("PhaseInformationSequence", "NumberOfFramesInPhase"))
ROTATIONS = _Axis("RotationVector", "NumberOfRotations", ("RotationInformationSequence", "NumberOfFramesInRotation"))
RR = _Axis("RRIntervalVector", "NumberOfRRIntervals")
TIME_SLOTS = _Axis("TimeSlotVector", "NumberOfTimeSlots")
SLICES = _Axis("SliceVector", "NumberOfSlices")
ANGULAR_VIEWS = _Axis("AngularViewVector")
TIME_SLICES = _Axis("TimeSliceVector", "NumberOfTimeSlices")

AXES: dict[str, tuple[_Axis, ...]] = {
    "STATIC": (ENERGY, DETECTOR),
    "WHOLE BODY": (ENERGY, DETECTOR),
    "DYNAMIC": (ENERGY, DETECTOR, PHASES),
    "GATED": (ENERGY, DETECTOR, RR, TIME_SLOTS),
    "TOMO": (ENERGY, DETECTOR, ROTATIONS),
    "GATED TOMO": (ENERGY, DETECTOR, ROTATIONS, RR, TIME_SLOTS),
    "RECON TOMO": (SLICES,),
    "RECON GATED TOMO": (RR, TIME_SLOTS, SLICES),
}
"""What multiplies for each image type (PS3.3 Table C.8-9). Phases and rotations say how many frames they hold."""

POINTED: dict[BaseTag, _Axis] = {
    Tag(axis.vector): axis
    for axis in (ENERGY, DETECTOR, PHASES, ROTATIONS, RR, TIME_SLOTS, SLICES, ANGULAR_VIEWS, TIME_SLICES)
}
_HELD_IN = {ANGULAR_VIEWS: ROTATIONS, TIME_SLICES: PHASES}
"""Axes whose extent another axis tells, for each of its parts."""


def frames_received(dataset: Dataset, pixel_bytes: int | None = None) -> FrameCount:
    """Count what an object holds against what its own vectors and sequences say (PS3.3 C.8.4.8).

    `pixel_bytes` tells the length of native pixel data where the dataset was read without them.
    """
    held = _held(dataset, pixel_bytes)
    if _text(dataset, "SOPClassUID") in NM_STORAGE or _text(dataset, "Modality") == "NM":
        expected = _expected(dataset)
        return FrameCount(held, expected, "instances" if expected is None else "frames")
    return FrameCount(held, None, "instances", _in_series(dataset))


def is_original(dataset: Dataset) -> bool:
    """Whether the object counts as an image acquired of the patient: SR, PDF, Secondary Capture and derived do not.

    An image without Image Type says nothing of a derivation and counts; without Rows it is no image.
    """
    storage_class = _text(dataset, "SOPClassUID")
    if any(storage_class == kind or storage_class.startswith(f"{kind}.") for kind in NO_IMAGES):
        return False
    if _whole(dataset, "Rows") is None:
        return False
    if _text(dataset, "ConversionType") or _text(dataset, "Modality") in {"SR", "PR", "KO", "SEG", "REG", "DOC", "OT"}:
        return False
    image_type = _texts(dataset, "ImageType")
    return not image_type or image_type[0] == "ORIGINAL" or not image_type[0]


def vector(dataset: Dataset, name: str) -> tuple[int, ...]:
    """Read a vector of frame indices, be it a list, a single number, absent or broken: then it is empty."""
    values = elements.value(dataset, name)
    if values is None:
        return ()
    listed = values if isinstance(values, Iterable) and not isinstance(values, str | bytes) else [values]
    found = [_as_whole(value) for value in listed]
    return tuple(value for value in found if value is not None) if None not in found else ()


def pointers(dataset: Dataset) -> tuple[str, ...]:
    """Keywords of the vectors that Frame Increment Pointer names, in its order; unknown ones are left out."""
    value = elements.value(dataset, "FrameIncrementPointer")
    listed = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]
    found = (POINTED.get(tag) for tag in map(_as_tag, listed) if tag is not None)
    return tuple(axis.vector for axis in found if axis is not None)


def image_type(dataset: Dataset) -> str:
    """The third value of Image Type, the kind of NM image, in capitals; empty where there is none."""
    values = _texts(dataset, "ImageType")
    return values[2] if len(values) > 2 else ""  # noqa: PLR2004 - the third value


def _held(dataset: Dataset, pixel_bytes: int | None) -> int:
    """Frames that are really there: the number stated, but no more than native pixel data have bytes for."""
    stated = _whole(dataset, "NumberOfFrames") or max(
        (len(vector(dataset, axis.vector)) for axis in POINTED.values()), default=0
    )
    stated = stated or (1 if _whole(dataset, "Rows") is not None else 0)
    fitting = _fitting(dataset, pixel_bytes)
    return stated if fitting is None else min(stated, fitting)


def _fitting(dataset: Dataset, pixel_bytes: int | None) -> int | None:
    """How many whole frames the pixel data hold; None where they are absent, deferred or compressed."""
    try:
        if pixel_bytes is None:
            data = dataset.get("PixelData")
            pixel_bytes = len(data) if isinstance(data, bytes) else None
        if pixel_bytes is None or UID(dataset.file_meta.TransferSyntaxUID).is_compressed:
            return None
    except Exception:  # noqa: BLE001 - whatever is wrong with a stranger's object, it tells nothing here
        return None
    sizes = [_whole(dataset, name) for name in ("Rows", "Columns", "BitsAllocated")]
    samples = _whole(dataset, "SamplesPerPixel") or 1
    bits = prod(size or 0 for size in sizes) * samples
    return pixel_bytes * 8 // bits if bits else None


def _expected(dataset: Dataset) -> int | None:
    axes = AXES.get(image_type(dataset)) or _pointed_axes(dataset)
    extents = [_extent(dataset, axis) for axis in axes]
    if not extents or all(extent is None for extent in extents):
        return None
    total = prod(extent or 1 for extent in extents)
    return total if 0 < total < MANY else None


def _pointed_axes(dataset: Dataset) -> tuple[_Axis, ...]:
    """The axes of an object whose image type says nothing: those it points at, else those that have a vector."""
    named = pointers(dataset) or tuple(axis.vector for axis in POINTED.values() if vector(dataset, axis.vector))
    axes = [axis for axis in POINTED.values() if axis.vector in named]
    return tuple(dict.fromkeys(_HELD_IN.get(axis, axis) for axis in axes))


def _extent(dataset: Dataset, axis: _Axis) -> int | None:
    """How far an axis runs: by the frames its parts tell, else by its number, else by its vector."""
    if axis.parts is not None:
        return _in_parts(dataset, *axis.parts) or _by_vectors(dataset, axis)
    return _whole(dataset, axis.number) or max(vector(dataset, axis.vector), default=None)


def _in_parts(dataset: Dataset, sequence: str, number: str) -> int | None:
    """Frames of all phases or rotations together, where each tells its own."""
    parts = elements.items(dataset, sequence)
    counts = [_whole(part, number) for part in parts]
    return sum(count for count in counts if count) if counts and all(counts) else None


def _by_vectors(dataset: Dataset, axis: _Axis) -> int | None:
    """Frames of all phases or rotations where only vectors tell: distinct pairs of part and step within it."""
    inner = next(held for held, holder in _HELD_IN.items() if holder == axis)
    steps = vector(dataset, inner.vector)
    of_part = vector(dataset, axis.vector)
    if len(steps) == len(of_part):
        return len(set(zip(of_part, steps, strict=True))) or None
    return max(steps, default=0) * max(1, *of_part, _whole(dataset, axis.number) or 1) or None


def _in_series(dataset: Dataset) -> int | None:
    """PET: slices times what the series repeats them for (PS3.3 C.8.9.1)."""
    if _text(dataset, "SOPClassUID") != PositronEmissionTomographyImageStorage:
        return None
    slices = _whole(dataset, "NumberOfSlices")
    if slices is None:
        return None
    kind = (_texts(dataset, "SeriesType") or [""])[0]
    repeats = {
        "DYNAMIC": ("NumberOfTimeSlices",),
        "GATED": ("NumberOfRRIntervals", "NumberOfTimeSlots"),
    }.get(kind, ())
    return slices * prod(_whole(dataset, name) or 1 for name in repeats)


def _texts(dataset: Dataset, name: str) -> list[str]:
    return [text.upper() for text in elements.texts(dataset, name)]


def _text(dataset: Dataset, name: str) -> str:
    return next(iter(_texts(dataset, name)), "")


def _whole(dataset: Dataset, name: str) -> int | None:
    """A positive whole number; the first of several; None for anything else."""
    values = vector(dataset, name)
    return values[0] if values and 0 < values[0] < MANY else None


def _as_whole(value: object) -> int | None:
    try:
        return int(float(str(value)))
    except (ValueError, OverflowError):
        return None


def _as_tag(value: object) -> BaseTag | None:
    try:
        return Tag(value)  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001 - no tag
        return None
