"""Write a volume as NM RECON TOMO or RECON GATED TOMO (PS3.3 A.5, C.8.4.15).

Stored numbers are 16 bits; what they stand for is told by Rescale Slope and by a Real World Value Mapping alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.tag import Tag
from pydicom.uid import NuclearMedicineImageStorage

from core.dicom.elements import item, items, text
from core.dicom.volumes.made import (
    Made,
    UidMaker,
    acquired_times,
    begun,
    code,
    decimal,
    decimals,
    derived,
    frame_of_reference,
    put_isotope,
    put_pixels,
)
from core.dicom.volumes.storing import in_words
from core.dicom.volumes.taking_over import copied
from core.errors import Refused
from core.imaging.slices import normal_of
from core.imaging.volume import Volume
from core.imaging.window import Window

_NM = (
    "EnergyWindowInformationSequence", "RadiopharmaceuticalInformationSequence",
    "PatientOrientationCodeSequence", "PatientGantryRelationshipCodeSequence", "AnatomicRegionSequence",
    "TypeOfDetectorMotion",
)  # fmt: skip
_GATING = ("BeatRejectionFlag", "HeartRate", "TriggerSourceOrType", "GatedInformationSequence")
UNITS = {
    "counts": codes.UCUM.Counts,
    "BQML": codes.UCUM.BecquerelsPerMilliliter,
    "HU": codes.UCUM.HounsfieldUnit,
    "SUVbw": Code("g/ml{SUVbw}", "UCUM", "Standardized Uptake Value body weight"),
}
_CLEAR = 50.0
"""A window must be this wide to be written: the standard takes 1 off its width, which others do not (C.11.2.1.2)."""


def recon_tomo(volume: Volume, like: Dataset, made: Made, new_uid: UidMaker) -> Dataset:
    """Return a RECON TOMO object of a volume, RECON GATED TOMO where it has moments.

    Parameters
    ----------
    volume
        Slices in their order; its affine must have square corners (no gantry tilt).
    like
        Header of the object it was made from: patient, study, isotope, energy windows, rotation and gating are its.

    Raises
    ------
    Refused
        A value is no number, or the slices lean: NM has no place for that.
    """
    array = volume.array if volume.array.ndim == 4 else volume.array[None]  # noqa: PLR2004 - moments first
    gated = volume.array.ndim == 4  # noqa: PLR2004
    out = begun(NuclearMedicineImageStorage, like, made, new_uid, "NM")
    out.ImageType = ["DERIVED", "PRIMARY", "RECON GATED TOMO" if gated else "RECON TOMO", "EMISSION"]
    acquired_times(out, like)
    derived(out, made)
    copied(out, like, _NM)
    _filled_in(out)
    out.FrameOfReferenceUID = frame_of_reference(volume, like)
    out.PositionReferenceIndicator = ""
    _put_frames(out, *array.shape[:2], gated=gated)
    _put_geometry(out, volume, like)
    _put_rotation(out, like)
    if gated:
        _put_gating(out, like)
    _put_values(out, array.reshape(-1, *array.shape[2:]), volume.unit)
    return out


def _filled_in(out: Dataset) -> None:
    """Add what NM cannot be without and the source did not say, empty (PS3.3 C.8.4.6, C.8.4.10)."""
    out.PatientOrientation = ""
    for name in (
        "EnergyWindowInformationSequence", "RadiopharmaceuticalInformationSequence",
        "PatientOrientationCodeSequence", "PatientGantryRelationshipCodeSequence",
    ):  # fmt: skip
        if name not in out:
            setattr(out, name, [])
    put_isotope(out)
    out.NumberOfEnergyWindows = max(1, len(out.EnergyWindowInformationSequence))
    out.CountsAccumulated = None


def _put_frames(out: Dataset, moments: int, slices: int, *, gated: bool) -> None:
    frames = moments * slices
    out.NumberOfFrames, out.NumberOfSlices = frames, slices
    out.SliceVector = [number for _ in range(moments) for number in range(1, slices + 1)]
    pointers = ["SliceVector"]
    if gated:
        out.NumberOfRRIntervals, out.NumberOfTimeSlots = 1, moments
        out.RRIntervalVector = [1] * frames
        out.TimeSlotVector = [slot for slot in range(1, moments + 1) for _ in range(slices)]
        pointers = ["RRIntervalVector", "TimeSlotVector", "SliceVector"]
    out.FrameIncrementPointer = [Tag(name) for name in pointers]


def _put_geometry(out: Dataset, volume: Volume, like: Dataset) -> None:
    affine = volume.affine
    column, row, step = (affine[:3, axis] for axis in range(3))
    step_mm, row_mm, column_mm = volume.voxel_mm
    directions = np.concatenate((column / column_mm, row / row_mm))
    normal = normal_of(directions)
    if abs(abs(step @ normal) - step_mm) > 1e-3 * step_mm:
        raise Refused("the slices lean against each other: NM has no place for that, resample them first")
    detector = Dataset()
    source = item(like, "DetectorInformationSequence")
    copied(
        detector, source, ("CollimatorGridName", "CollimatorType", "FieldOfViewShape", "FocalDistance", "ZoomFactor")
    )
    if not text(detector, "CollimatorType"):
        detector.CollimatorType = ""
    detector.FocalDistance = text(detector, "FocalDistance")
    detector.ImagePositionPatient = decimals(affine[:3, 3])
    detector.ImageOrientationPatient = decimals(directions)
    out.DetectorInformationSequence, out.NumberOfDetectors = [detector], 1
    out.PixelSpacing = decimals((row_mm, column_mm))
    out.SliceThickness = decimal(step_mm)
    out.SpacingBetweenSlices = decimal(float(step @ normal))


def _put_rotation(out: Dataset, like: Dataset) -> None:
    copied(out, like, ("RotationInformationSequence",))
    if not items(out, "RotationInformationSequence"):
        out.RotationInformationSequence = []
    out.NumberOfRotations = max(1, len(out.RotationInformationSequence))


def _put_gating(out: Dataset, like: Dataset) -> None:
    copied(out, like, _GATING)
    if not items(out, "GatedInformationSequence"):
        out.GatedInformationSequence = []
    for name in ("BeatRejectionFlag",):
        if name not in out:
            setattr(out, name, "")


def _put_values(out: Dataset, values: NDArray[np.floating], unit: str) -> None:
    stored, slope = in_words(values)
    put_pixels(out, stored)
    out.RescaleIntercept, out.RescaleSlope = "0", decimal(slope)
    out.RealWorldValueMappingSequence = [_mapping(stored, slope, unit)]
    shown = Window(max(float(values.min()), 0.0), float(values.max()))
    if shown.upper - shown.lower > _CLEAR:
        out.WindowCenter, out.WindowWidth = decimal(shown.centre), decimal(shown.width)


def _mapping(stored: NDArray[np.generic], slope: float, unit: str) -> Dataset:
    out = Dataset()
    out.RealWorldValueFirstValueMapped = int(stored.min())
    out.RealWorldValueLastValueMapped = int(stored.max())
    out.RealWorldValueIntercept, out.RealWorldValueSlope = 0.0, slope
    out.LUTExplanation, out.LUTLabel = unit or "value", (unit or "value").upper()[:16]
    out.MeasurementUnitsCodeSequence = [code(UNITS.get(unit, codes.UCUM.NoUnits))]
    return out
