"""What every object we make says of itself: whose it is, from what, by what, how and when.

Patient and study are the source's, word for word; a value of theirs that no standard object may hold is left out.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian

from core.dicom.charset import Charset, charset_of, fit_text
from core.dicom.convert.values import derived_uid
from core.dicom.elements import items, text, texts
from core.dicom.volumes.taking_over import copied
from core.errors import Refused
from core.imaging.volume import Volume

UidMaker = Callable[[], str]

MAKER = "photopeak"

SUBJECT = (
    "SpecificCharacterSet", "TimezoneOffsetFromUTC", "StudyDate", "StudyTime", "AccessionNumber",
    "IssuerOfAccessionNumberSequence", "ReferringPhysicianName", "StudyDescription", "PatientName", "PatientID",
    "IssuerOfPatientID", "OtherPatientIDsSequence", "PatientBirthDate", "PatientSex", "PatientAge", "PatientSize",
    "PatientWeight", "StudyInstanceUID", "StudyID", "BodyPartExamined", "RequestAttributesSequence", "ProtocolName",
    "InstitutionName",
)  # fmt: skip
"""Modules of patient, study and request (PS3.3 C.7.1, C.7.2), taken over as they are."""

EMPTY = (
    "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "PatientName", "PatientID",
    "PatientBirthDate", "PatientSex", "StudyID",
)  # fmt: skip
"""Type 2 of them."""

SINGLE = frozenset(
    (
        "ABDOMEN", "ABDOMENPELVIS", "AORTA", "BACK", "BLADDER", "BRAIN", "CHEST", "COCCYX", "COLON", "CSPINE", "FACE",
        "HEAD", "HEADNECK", "HEART", "ILIUM", "JAW", "LIVER", "LSPINE", "MAXILLA", "MEDIASTINUM", "NECK", "PANCREAS",
        "PELVIS", "PENIS", "PROSTATE", "SCALP", "SKULL", "SPINE", "SPLEEN", "SSPINE", "STERNUM", "STOMACH", "THYROID",
        "TSPINE", "URETER", "UTERUS", "WHOLEBODY",
    )
)  # fmt: skip
"""Body parts that have no sides (PS3.16 Annex L)."""

_CODES: Mapping[str, Code] = {
    "FBP": codes.DCM.FilteredBackProjection,
    "OSEM": codes.DCM.IterativeReconstruction,
    "MLEM": codes.DCM.IterativeReconstruction,
    "MAP": codes.DCM.IterativeReconstruction,
    "MPR": codes.DCM.MultiplanarReformatting,
    "RESAMPLED": codes.DCM.SpatialResampling,
}
_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class Made:
    """How an object was made: what stands in it for those who read it later.

    Attributes
    ----------
    method, parameters
        Written into Derivation Description; a method that begins with `FBP`, `OSEM`, `MLEM`, `MAP`, `MPR` or
        `RESAMPLED` is coded too.
    inputs
        (SOP Class UID, SOP Instance UID) of each object it was made from.
    version
        Of this software.
    at
        When; with a time zone it is written in that of the source object.
    """

    method: str
    parameters: Mapping[str, str | float | int | bool]
    inputs: tuple[tuple[str, str], ...]
    version: str
    at: datetime
    series_uid: str
    series_number: int
    series_description: str

    @property
    def said(self) -> str:
        """Method, parameters and version in one line; of at most 1024 characters."""
        listed = "; ".join(f"{name}={_written(one)}" for name, one in self.parameters.items())
        return f"{self.method}{': ' if listed else ''}{listed}; {MAKER} {self.version}"[:_LONGEST]


def _written(one: str | float | bool) -> str:  # noqa: FBT001 - a value of a parameter
    return f"{one:g}" if isinstance(one, float) else str(one).lower() if isinstance(one, bool) else str(one)


def begun(storage_class: str, like: Dataset, made: Made, new_uid: UidMaker, modality: str) -> Dataset:
    """Return the modules common to all we make: patient, study, series, equipment, SOP common.

    Raises
    ------
    Refused
        The source belongs to no study.
    """
    out = Dataset()
    out.update(_subject(like))
    charset = charset_of(texts(out, "SpecificCharacterSet"))
    out.SOPClassUID, out.SOPInstanceUID = storage_class, new_uid()
    out.Modality, out.SeriesInstanceUID = modality, made.series_uid
    out.SeriesNumber, out.InstanceNumber = made.series_number, 1
    out.SeriesDescription = fit_text(made.series_description, charset)[:64]
    _put_side(out, like)
    out.Manufacturer = out.ManufacturerModelName = MAKER
    out.DeviceSerialNumber, out.SoftwareVersions = "1", made.version[:64]
    at = _local(made.at, text(out, "TimezoneOffsetFromUTC"))
    for kind in ("InstanceCreation", "Series", "Content"):
        setattr(out, f"{kind}Date", f"{at:%Y%m%d}")
        setattr(out, f"{kind}Time", f"{at:%H%M%S}")
    out.ContributingEquipmentSequence = list(_equipment(like, made, charset, at))
    out.file_meta = file_meta(out)
    return out


def _put_side(out: Dataset, like: Dataset) -> None:
    """Say of which side the images are; asked for wherever the body part is not single (PS3.3 C.7.3.1)."""
    image, series = text(like, "ImageLaterality"), text(like, "Laterality")
    if image in {"L", "R", "U", "B"}:
        out.ImageLaterality = image
    elif text(out, "BodyPartExamined") not in SINGLE:
        out.Laterality = series if series in {"L", "R"} else ""


def derived(out: Dataset, made: Made) -> None:
    """Add where the image comes from and how (PS3.3 C.7.6.1.1.3, C.12.4)."""
    charset = charset_of(texts(out, "SpecificCharacterSet"))
    out.DerivationDescription = fit_text(made.said, charset)[:_LONGEST]
    if (known := _CODES.get(re.split(r"\W", made.method.upper(), maxsplit=1)[0])) is not None:
        out.DerivationCodeSequence = [code(known)]
    if made.inputs:
        out.SourceImageSequence = [
            reference(*one, codes.DCM.SourceImageForImageProcessingOperation) for one in made.inputs
        ]


def acquired_times(out: Dataset, like: Dataset) -> None:
    """Take over when the source was acquired."""
    for name in ("AcquisitionDate", "AcquisitionTime"):
        copied(out, like, (name,))


def frame_of_reference(volume: Volume, like: Dataset) -> str:
    """Return the UID of the space a volume lies in: its own, its source's, else one that follows from the source."""
    return volume.frame_of_reference or space_of(like)


def space_of(header: Dataset) -> str:
    """Return the UID of an object's frame of reference; one that follows from the object where it names none."""
    return text(header, "FrameOfReferenceUID") or derived_uid("frame of reference", text(header, "SOPInstanceUID"))


def put_isotope(out: Dataset) -> None:
    """Complete what was given: the nuclide's code is asked for, and may be empty (PS3.3 C.8.4.10, C.8.9.2)."""
    for given in items(out, "RadiopharmaceuticalInformationSequence"):
        if "RadionuclideCodeSequence" not in given:
            given.RadionuclideCodeSequence = []


def reference(storage_class: str, uid: str, purpose: Code | None = None) -> Dataset:
    """Return a reference to an object, with its purpose where one is asked for.

    Raises
    ------
    Refused
        It has no UID to be named by.
    """
    if not (storage_class and uid):
        raise Refused("an object it was made from has no SOP Class or Instance UID to be named by")
    out = Dataset()
    out.ReferencedSOPClassUID, out.ReferencedSOPInstanceUID = storage_class, uid
    if purpose is not None:
        out.PurposeOfReferenceCodeSequence = [code(purpose)]
    return out


def code(said: Code) -> Dataset:
    """Return a code as an item of a sequence (PS3.3 8.8)."""
    out = Dataset()
    out.CodeValue, out.CodingSchemeDesignator, out.CodeMeaning = said.value, said.scheme_designator, said.meaning
    return out


def file_meta(dataset: Dataset) -> FileMetaDataset:
    """Return file meta of an object in Explicit VR Little Endian."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return meta


def decimal(number: float) -> str:
    """Return a number as a decimal string of at most 16 characters, as exact as they allow (PS3.5 6.2)."""
    for digits in range(15, 0, -1):
        said = f"{float(number) + 0.0:.{digits}g}"
        if len(said) <= 16:  # noqa: PLR2004 - characters of a DS
            return said
    raise ValueError("a number that no decimal string holds")


def decimals(numbers: Iterable[float]) -> list[str]:
    """Return numbers as decimal strings."""
    return [decimal(one) for one in numbers]


def put_pixels(out: Dataset, stored: NDArray[np.generic]) -> None:
    """Describe (frame, row, column) of 8 or 16 bits, or (frame, row, column, 3) of 8, and put them in."""
    bits = stored.dtype.itemsize * 8
    out.SamplesPerPixel = 3 if stored.ndim == 4 else 1  # noqa: PLR2004 - (frame, row, column, colour)
    out.PhotometricInterpretation = "RGB" if out.SamplesPerPixel == 3 else "MONOCHROME2"  # noqa: PLR2004
    if out.SamplesPerPixel == 3:  # noqa: PLR2004
        out.PlanarConfiguration = 0
    out.Rows, out.Columns = stored.shape[1:3]
    out.BitsAllocated, out.BitsStored, out.HighBit = bits, bits, bits - 1
    out.PixelRepresentation = int(stored.dtype.kind == "i")
    data = np.ascontiguousarray(stored, stored.dtype.newbyteorder("<")).tobytes()
    out.add_new("PixelData", "OB" if bits == 8 else "OW", data + b"\0" * (len(data) % 2))  # noqa: PLR2004


def _subject(like: Dataset) -> Dataset:
    out = Dataset()
    copied(out, like, SUBJECT)
    if "StudyInstanceUID" not in out:
        raise Refused("the object it was made from has no Study Instance UID: nothing can be filed beside it")
    for name in EMPTY:
        if name not in out:
            setattr(out, name, "")
    return out


def _local(at: datetime, zone: str) -> datetime:
    """Return a moment in the zone an object is written in (0008,0201), where it says one."""
    if at.tzinfo is None or len(zone) != 5 or not zone[1:].isdigit():  # noqa: PLR2004 - +hhmm
        return at
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:]))
    return at.astimezone(timezone(-offset if zone[0] == "-" else offset))


def _equipment(like: Dataset, made: Made, charset: Charset, at: datetime) -> Iterable[Dataset]:
    """Yield what contributed: what the source names, the camera it came from, and we (PS3.3 C.12.1.1.5)."""
    yield from copy.deepcopy(items(like, "ContributingEquipmentSequence"))
    if maker := text(like, "Manufacturer"):
        camera = Dataset()
        camera.PurposeOfReferenceCodeSequence = [code(codes.DCM.AcquisitionEquipment)]
        camera.Manufacturer = maker
        copied(
            camera,
            like,
            ("ManufacturerModelName", "StationName", "DeviceSerialNumber", "SoftwareVersions", "InstitutionName"),
        )
        yield camera
    ours = Dataset()
    ours.PurposeOfReferenceCodeSequence = [code(codes.DCM.ProcessingEquipment)]
    ours.Manufacturer = ours.ManufacturerModelName = MAKER
    ours.SoftwareVersions = made.version[:64]
    ours.ContributionDateTime = f"{at:%Y%m%d%H%M%S}"
    ours.ContributionDescription = fit_text(made.said, charset)[:_LONGEST]
    yield ours
