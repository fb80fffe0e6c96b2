"""Wrap pictures and papers as standard objects: Secondary Capture (PS3.3 A.8) and Encapsulated PDF (PS3.3 A.45).

A picture says nothing of a patient: that is asked for, never guessed. A baseline JPEG stays the very stream it was;
what else comes is decoded once and kept without loss.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, ImageSequence
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.tag import Tag
from pydicom.uid import (
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

from core.dicom.convert.mending import sniffed_syntax
from core.dicom.convert.values import derived_uid
from core.errors import Refused

_PIXELS = 512_000_000
_BYTE, _COLOURS = 8, 3


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a picture or paper is of; what an exam knows already, or a person says."""

    patient_id: str
    patient_name: str
    birth_date: date | None = None
    sex: str = ""
    accession: str = ""
    study_uid: str = ""
    description: str = ""
    issuer: str = ""


@dataclass(frozen=True, slots=True)
class Wrapped:
    """An object made of something that was none, and its transfer syntax."""

    dataset: Dataset
    syntax: str
    repairs: tuple[str, ...]


def picture(data: bytes, kind: str, subject: Subject, digest: str, at: datetime) -> Wrapped:
    """Make a Secondary Capture of a PNG, JPEG or TIFF; `at` is when it was made.

    Raises
    ------
    Refused
        It is no picture that can be decoded here, or too large.
    """
    out = _about(subject, digest, at, "OT", "SC")
    out.ConversionType = "WSD"
    out.ImageType = ["DERIVED", "SECONDARY"]
    out.DateOfSecondaryCapture, out.TimeOfSecondaryCapture = f"{at:%Y%m%d}", f"{at:%H%M%S}"
    out.PatientOrientation = ""
    out.BurnedInAnnotation = "YES"  # nobody knows what is written in it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of a stranger's notes beside the picture
        if kind == "jpeg" and (kept := _kept_jpeg(data, out)) is not None:
            return kept
        frames = _frames(data)
    _put_frames(out, frames)
    return Wrapped(out, str(ExplicitVRLittleEndian), (f"a {kind.upper()} file: became a Secondary Capture",))


def paper(data: bytes, subject: Subject, digest: str, at: datetime) -> Wrapped:
    """Make an Encapsulated PDF."""
    out = _about(subject, digest, at, "DOC", "PDF")
    out.SOPClassUID = EncapsulatedPDFStorage
    out.ConversionType = "WSD"
    out.SeriesNumber = out.InstanceNumber = 1
    out.AcquisitionDateTime = ""
    out.BurnedInAnnotation = "YES"
    out.DocumentTitle = subject.description[:1024]
    out.ConceptNameCodeSequence = []
    out.MIMETypeOfEncapsulatedDocument = "application/pdf"
    out.EncapsulatedDocumentLength = len(data)
    out.add_new("EncapsulatedDocument", "OB", data + b"\0" * (len(data) % 2))
    return Wrapped(out, str(ExplicitVRLittleEndian), ("a PDF file: became an Encapsulated PDF",))


def _about(subject: Subject, digest: str, at: datetime, modality: str, kind: str) -> Dataset:
    """Patient, study, series and equipment of an object somebody brings in."""
    out = Dataset()
    out.SpecificCharacterSet = "ISO_IR 192"
    out.PatientID, out.PatientName, out.PatientSex = subject.patient_id, subject.patient_name, subject.sex
    out.PatientBirthDate = f"{subject.birth_date:%Y%m%d}" if subject.birth_date else ""
    if subject.issuer:
        out.IssuerOfPatientID = subject.issuer
    who = (subject.patient_id, subject.accession)
    out.StudyInstanceUID = subject.study_uid or derived_uid("study", *who, *(() if subject.accession else (digest,)))
    out.SeriesInstanceUID = derived_uid("series", out.StudyInstanceUID, kind, modality)
    out.SOPInstanceUID = derived_uid("object", digest, *who)
    out.StudyDate = out.ContentDate = f"{at:%Y%m%d}"
    out.StudyTime = out.ContentTime = f"{at:%H%M%S}"
    out.AccessionNumber, out.StudyID, out.ReferringPhysicianName = subject.accession, "", ""
    out.StudyDescription = out.SeriesDescription = subject.description[:64]
    out.Modality, out.SeriesNumber, out.InstanceNumber = modality, None, None
    out.Laterality = ""
    out.Manufacturer = ""
    return out


# -- pixels ----------------------------------------------------------------------------------------------------------


def _kept_jpeg(data: bytes, out: Dataset) -> Wrapped | None:
    """Take a baseline JPEG as it is; None where it must be decoded: progressive, turned, four colours."""
    head = b"\xfe\xff\x00\xe0\0\0\0\0" + b"\xfe\xff\x00\xe0" + len(data).to_bytes(4, "little")
    with _opened(data) as image:
        turned = image.getexif().get(0x0112, 1) != 1
        if turned or image.mode not in {"L", "RGB"} or sniffed_syntax(head + data[: 1 << 16]) != JPEGBaseline8Bit:
            return None
        columns, rows = image.size
        samples = len(image.getbands())
        layers = getattr(image, "layer", [])
    _describe(out, rows, columns, samples, _BYTE)
    if samples == _COLOURS:
        halved = bool(layers) and layers[0][1] == 2 and all(one[1] == 1 for one in layers[1:])  # noqa: PLR2004
        out.PhotometricInterpretation = "YBR_FULL_422" if halved else "YBR_FULL"
    out.SOPClassUID = SecondaryCaptureImageStorage
    out.LossyImageCompression, out.LossyImageCompressionMethod = "01", "ISO_10918_1"
    out.LossyImageCompressionRatio = f"{rows * columns * samples / len(data):.3g}"
    out.add_new("PixelData", "OB", encapsulate([data]))
    out["PixelData"].is_undefined_length = True
    return Wrapped(out, str(JPEGBaseline8Bit), ("a JPEG file: became a Secondary Capture, its stream unchanged",))


def _opened(data: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data))
        pixels = image.size[0] * image.size[1] * getattr(image, "n_frames", 1)
    except Exception as error:  # Pillow raises anything on broken bytes
        raise Refused(f"the picture cannot be read ({type(error).__name__}): save it anew") from error
    if pixels > _PIXELS:
        raise Refused("the picture is too large: bring it in parts")
    return image


def _frames(data: bytes) -> NDArray[Any]:
    """Decode every page: (frame, row, column) or (frame, row, column, 3)."""
    try:
        with _opened(data) as image:
            pages = [_page(page) for page in ImageSequence.Iterator(image)]
    except Refused:
        raise
    except Exception as error:
        raise Refused(f"the picture cannot be decoded ({type(error).__name__}): save it anew") from error
    if len({page.shape for page in pages}) > 1 or len({page.dtype for page in pages}) > 1:
        raise Refused("its pages are of different sizes: bring them as files of their own")
    return np.stack(pages)


def _page(page: Image.Image) -> NDArray[Any]:
    upright = ImageOps.exif_transpose(page) or page
    if upright.mode.startswith("I;16") or upright.mode == "I":
        values = np.asarray(upright)
        if values.min() < 0 or values.max() > np.iinfo(np.uint16).max:
            raise Refused("its values do not fit 16 bits: save it with 16 bits")
        return values.astype("<u2")
    if upright.mode == "F":
        raise Refused("its values are fractions: save it with 16 bits")
    if upright.mode in {"1", "L"}:
        return np.asarray(upright.convert("L"))
    if upright.mode in {"LA", "La"}:
        return np.asarray(upright.convert("RGBA").convert("L"))
    return np.asarray(upright.convert("RGB"))


def _put_frames(out: Dataset, frames: NDArray[Any]) -> None:
    samples = _COLOURS if frames.ndim == 4 else 1  # noqa: PLR2004 - with colours
    bits = frames.dtype.itemsize * 8
    _describe(out, frames.shape[1], frames.shape[2], samples, bits)
    out.SOPClassUID = SecondaryCaptureImageStorage
    if len(frames) > 1:
        _describe_many(out, len(frames), samples, bits)
    raw = np.ascontiguousarray(frames).tobytes()
    out.add_new("PixelData", "OW" if bits > _BYTE else "OB", raw + b"\0" * (len(raw) % 2))


def _describe(out: Dataset, rows: int, columns: int, samples: int, bits: int) -> None:
    out.SamplesPerPixel, out.Rows, out.Columns = samples, rows, columns
    out.PhotometricInterpretation = "RGB" if samples == _COLOURS else "MONOCHROME2"
    out.BitsAllocated, out.BitsStored, out.HighBit, out.PixelRepresentation = bits, bits, bits - 1, 0
    if samples == _COLOURS:
        out.PlanarConfiguration = 0


def _describe_many(out: Dataset, count: int, samples: int, bits: int) -> None:
    """Many pages are the frames of one object (PS3.3 C.8.6.3)."""
    out.NumberOfFrames = count
    out.FrameIncrementPointer = [Tag("PageNumberVector")]
    out.PageNumberVector = list(range(1, count + 1))
    if samples == _COLOURS:
        out.SOPClassUID = MultiFrameTrueColorSecondaryCaptureImageStorage
        return
    wide = bits > _BYTE
    out.SOPClassUID = (
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage
        if wide
        else MultiFrameGrayscaleByteSecondaryCaptureImageStorage
    )
    out.PresentationLUTShape = "IDENTITY"
    out.RescaleIntercept, out.RescaleSlope, out.RescaleType = "0", "1", "US"
