"""Write a volume as a series of CT, PET or MR images, one slice each (PS3.3 A.3, A.4, A.21): what was resampled.

What the source says of its acquisition is kept; that the values were made is said by Image Type and Derivation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import UID, CTImageStorage, MRImageStorage, PositronEmissionTomographyImageStorage

from core.dicom.elements import text
from core.dicom.volumes.made import (
    Made,
    UidMaker,
    acquired_times,
    begun,
    decimal,
    decimals,
    derived,
    frame_of_reference,
    put_isotope,
    put_pixels,
)
from core.dicom.volumes.storing import in_words
from core.dicom.volumes.taking_over import copied
from core.dicom.volumes.tomographic import recon_tomo
from core.errors import Refused
from core.imaging.volume import Volume


@dataclass(frozen=True, slots=True)
class _Kind:
    """What images of a modality take over from their source, and what they cannot be without."""

    storage_class: UID
    image_type: tuple[str, ...]
    taken: tuple[str, ...]
    at_least: Mapping[str, object] = field(default_factory=dict)


_KINDS: Mapping[str, _Kind] = MappingProxyType(
    {
        "CT": _Kind(
            CTImageStorage, ("DERIVED", "SECONDARY", "AXIAL"),
            ("KVP", "AcquisitionNumber", "PatientPosition", "WindowCenter", "WindowWidth", "ContrastBolusAgent"),
            {"KVP": "", "AcquisitionNumber": None, "PatientPosition": ""},
        ),
        "PT": _Kind(
            PositronEmissionTomographyImageStorage, ("DERIVED", "PRIMARY"),
            (
                "Units", "SUVType", "CountsSource", "CorrectedImage", "DecayCorrection", "AttenuationCorrectionMethod",
                "ScatterCorrectionMethod", "RandomsCorrectionMethod", "ReconstructionMethod", "CollimatorType",
                "RadiopharmaceuticalInformationSequence", "PatientOrientationCodeSequence", "FrameReferenceTime",
                "PatientGantryRelationshipCodeSequence", "ActualFrameDuration", "DecayFactor",
            ),
            {
                "Units": "BQML", "CountsSource": "EMISSION", "CorrectedImage": "", "DecayCorrection": "NONE",
                "CollimatorType": "NONE", "PatientOrientationCodeSequence": [], "FrameReferenceTime": "0",
                "PatientGantryRelationshipCodeSequence": [], "RadiopharmaceuticalInformationSequence": [],
                "ActualFrameDuration": None,
            },
        ),
        "MR": _Kind(
            MRImageStorage, ("DERIVED", "SECONDARY", "OTHER"),
            (
                "ScanningSequence", "SequenceVariant", "ScanOptions", "MRAcquisitionType", "RepetitionTime", "EchoTime",
                "EchoTrainLength", "InversionTime", "TriggerTime", "FlipAngle", "MagneticFieldStrength",
                "PatientPosition",
            ),
            {
                "ScanningSequence": "RM", "SequenceVariant": "NONE", "ScanOptions": "", "MRAcquisitionType": "",
                "EchoTime": "", "EchoTrainLength": "", "PatientPosition": "", "RepetitionTime": "",
            },
        ),
    }
)  # fmt: skip


def written_like(volume: Volume, like: Dataset, made: Made, new_uid: UidMaker) -> list[Dataset]:
    """Return the objects of a volume in the modality of its source: a series of CT, PET or MR, else NM slices.

    Raises
    ------
    Refused
        As `resampled_series` and `recon_tomo` do.
    """
    if text(like, "Modality") in _KINDS and volume.array.ndim == 3:  # noqa: PLR2004 - (slice, row, column)
        return resampled_series(volume, like, made, new_uid)
    return [recon_tomo(volume, like, made, new_uid)]


def resampled_series(volume: Volume, like: Dataset, made: Made, new_uid: UidMaker) -> list[Dataset]:
    """Return a CT, PET or MR series of a volume of one moment, in the modality of `like`.

    Raises
    ------
    Refused
        The modality has no such images (NM has `recon_tomo`), there are moments, or a value is no number.
    """
    modality = text(like, "Modality")
    if modality not in _KINDS:
        raise Refused(f"{modality or 'an object of no modality'} has no series of single slices to be written")
    if volume.array.ndim != 3:  # noqa: PLR2004 - (slice, row, column)
        raise Refused("a series of single slices holds one moment; choose one of the volume")
    stored, slope = in_words(np.rint(volume.array) if modality == "CT" else volume.array, signed=modality != "PT")
    reference = frame_of_reference(volume, like)
    return [
        _slice(volume, place, stored[place], slope, (like, made, new_uid), reference) for place in range(len(stored))
    ]


def _slice(
    volume: Volume,
    place: int,
    stored: NDArray[np.generic],
    slope: float,
    origin: tuple[Dataset, Made, UidMaker],
    reference: str,
) -> Dataset:
    like, made, new_uid = origin
    modality = text(like, "Modality")
    kind = _KINDS[modality]
    out = begun(kind.storage_class, like, made, new_uid, modality)
    out.ImageType, out.InstanceNumber = list(kind.image_type), place + 1
    out.PatientOrientation = ""
    acquired_times(out, like)
    derived(out, made)
    copied(out, like, kind.taken)
    for name, value in kind.at_least.items():
        if name not in out:
            setattr(out, name, value)
    out.FrameOfReferenceUID, out.PositionReferenceIndicator = reference, ""
    _put_plane(out, volume, place)
    put_pixels(out, stored[None])
    if modality == "PT":
        _put_pet(out, volume.grid[0])
    out.RescaleIntercept, out.RescaleSlope = "0", decimal(slope)
    out.RescaleType = {"CT": "HU", "PT": text(out, "Units")}.get(modality, "US")
    return out


def _put_plane(out: Dataset, volume: Volume, place: int) -> None:
    step_mm, row_mm, column_mm = volume.voxel_mm
    out.PixelSpacing = decimals((row_mm, column_mm))
    out.SliceThickness = decimal(step_mm)
    out.ImagePositionPatient = decimals(volume.points(np.asarray((place, 0.0, 0.0))))
    out.ImageOrientationPatient = decimals(
        np.concatenate((volume.affine[:3, 0] / column_mm, volume.affine[:3, 1] / row_mm))
    )


def _put_pet(out: Dataset, slices: int) -> None:
    """Complete PET Series and Image (PS3.3 C.8.9.1, C.8.9.4)."""
    out.SeriesType, out.NumberOfSlices, out.ImageIndex = ["STATIC", "IMAGE"], slices, out.InstanceNumber
    for name in ("AcquisitionDate", "AcquisitionTime"):
        if name not in out:
            setattr(out, name, "")
    put_isotope(out)
    for given in out.RadiopharmaceuticalInformationSequence:
        given.RadionuclideTotalDose = text(given, "RadionuclideTotalDose")


def uids_of(objects: Sequence[Dataset]) -> tuple[tuple[str, str], ...]:
    """Return SOP Class and Instance UID of each object, as `Made.inputs` takes them."""
    return tuple((text(one, "SOPClassUID"), text(one, "SOPInstanceUID")) for one in objects)
