"""Read Interfile 3.3, the exchange format of nuclear medicine before DICOM, and make NM objects of it (PS3.3 A.5).

The header is text, `key := value`; the counts follow it or lie in a file it names. What it does not say is left empty:
a view or collimator nobody named is not invented. (Cradduck et al. 1989; Todd-Pokropek et al. 1992.)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, NuclearMedicineImageStorage

from core.dicom.charset import decode_text
from core.dicom.convert import values
from core.dicom.convert.wrapping import Subject, Wrapped
from core.errors import Refused

_BLOCK = 2048
_LONGEST_HEADER = 1 << 20
_TOP = 65535
_MOST_VALUES = 512_000_000
_FLOATS = {"short float": "f4", "float": "f4", "long float": "f8"}
_KINDS = {
    "static": "STATIC", "dynamic": "DYNAMIC", "tomographic": "TOMO", "gated": "GATED", "gspect": "GATED TOMO",
    "pet": "RECON TOMO", "wholebody": "WHOLE BODY",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Header:
    """The keys of a header, folded (no mark, one space, small letters), each with all its values."""

    keys: dict[str, list[str]]
    size: int

    def text(self, *names: str) -> str:
        """The first value of the first of these keys that says something."""
        return next((value for name in names for value in self.keys.get(name, []) if value), "")

    def number(self, *names: str, otherwise: float = 0.0) -> float:
        """As a number."""
        found = re.match(r"[+-]?[\d.]+(?:[eE][+-]?\d+)?", self.text(*names))
        try:
            return float(found.group()) if found else otherwise
        except ValueError:
            return otherwise

    def total(self, name: str) -> int:
        """All values of a key that is repeated for each group, added up."""
        return sum(int(value) for value in self.keys.get(name, []) if value.isdigit())


def is_interfile(data: bytes) -> bool:
    """Whether bytes begin as an Interfile header does."""
    return re.match(rb"\s*!?\s*interfile\s*:=", data[:64].lower()) is not None


def read_header(data: bytes) -> Header:
    """Read the keys up to the end of the header."""
    found = re.search(rb"!?\s*end\s+of\s+interfile\s*:?=?[^\n]*\n?", data[:_LONGEST_HEADER], re.IGNORECASE)
    size = found.end() if found else min(len(data), _LONGEST_HEADER)
    keys: dict[str, list[str]] = {}
    for line in data[:size].splitlines():
        name, mark, value = line.split(b";")[0].partition(b":=")
        if mark:
            folded = re.sub(r"\s+", " ", name.decode("latin-1").replace("!", "").strip().lower())
            folded = re.sub(r" ?\[ ?(\d+) ?\]", r" [\1]", folded)
            keys.setdefault(folded, []).append(decode_text(value.strip(), None).text)
    return Header(keys, size)


def convert(data: bytes, beside: Callable[[str], bytes], subject: Subject | None, digest: str, at: datetime) -> Wrapped:
    """Make an NM object of an Interfile header and its counts.

    Parameters
    ----------
    data
        The header, with its counts behind it where it names no other file.
    beside
        Reads a file that lies beside the header, by its bare name.
    subject
        Whom the images are of; what the header says counts where it is None.

    Raises
    ------
    Refused
        The counts are missing, fewer than described, or of a format nobody can name.
    """
    head = read_header(data)
    frames, said = _counts(head, data, beside)
    out = _about(head, subject, digest, at)
    kind = _kind(head)
    _describe(out, head, kind, frames)
    repairs = ("an Interfile: became an NM image", *said)
    return Wrapped(out, str(ExplicitVRLittleEndian), repairs)


def _kind(head: Header) -> str:
    kind = _KINDS.get(head.text("type of data").lower().replace(" ", ""), "STATIC")
    if kind in {"TOMO", "GATED TOMO"} and head.text("process status").lower().startswith("recon"):
        return f"RECON {kind}"
    return kind


# -- counts ----------------------------------------------------------------------------------------------------------


def _counts(head: Header, data: bytes, beside: Callable[[str], bytes]) -> tuple[NDArray[np.uint16], tuple[str, ...]]:
    """The frames as 16 bit, and what was done to make them so."""
    columns, rows = int(head.number("matrix size [1]")), int(head.number("matrix size [2]"))
    kind, width = head.text("number format").lower(), int(head.number("number of bytes per pixel"))
    code = _FLOATS.get(kind) or {"unsigned integer": "u", "signed integer": "i"}.get(kind, "u") + str(width)
    if not (0 < rows < 1 << 16 and 0 < columns < 1 << 16) or code not in {
        "u1",
        "u2",
        "u4",
        "i1",
        "i2",
        "i4",
        "f4",
        "f8",
    }:
        raise Refused("the Interfile does not say how large its images are, or how its counts are written")
    order: Literal["<", ">"] = "<" if "LITTLE" in head.text("imagedata byte order").upper() else ">"
    raw = _raw(head, data, beside)
    size = rows * columns * np.dtype(code).itemsize
    said = int(head.number("total number of images")) or _frames_said(head)
    count = said or len(raw) // size
    if not count or count * rows * columns > _MOST_VALUES or len(raw) < count * size:
        raise Refused("the Interfile has fewer counts than it says: bring both of its files, whole")
    values_ = np.frombuffer(raw[: count * size], dtype=np.dtype(code).newbyteorder(order))
    return _sixteen_bits(values_.reshape(count, rows, columns))


def _frames_said(head: Header) -> int:
    for key in ("number of images/energy window", "number of projections", "number of slices"):
        if total := head.total(key):
            return total
    return 0


def _raw(head: Header, data: bytes, beside: Callable[[str], bytes]) -> bytes:
    named = head.text("name of data file").replace("\\", "/").rpartition("/")[2]
    begin = int(head.number("data offset in bytes")) or int(head.number("data starting block")) * _BLOCK
    if named:
        try:
            raw = beside(named)
        except OSError as error:
            raise Refused("the file of counts the Interfile names is not beside it: bring both") from error
        return raw[begin:]
    return data[begin or head.size :]


def _sixteen_bits(frames: NDArray[Any]) -> tuple[NDArray[np.uint16], tuple[str, ...]]:
    least, most = float(frames.min()), float(frames.max())
    if not np.isfinite(frames).all():
        raise Refused("the Interfile holds values that are no numbers")
    if least >= 0 and most <= _TOP and (frames.dtype.kind != "f" or bool((frames == np.rint(frames)).all())):
        return frames.astype("<u2"), ()
    raise Refused(
        "the Interfile's values are no counts of 16 bits (negative, fractions or too large); scale them first"
    )


# -- what is said ----------------------------------------------------------------------------------------------------


def _about(head: Header, subject: Subject | None, digest: str, at: datetime) -> Dataset:
    out = Dataset()
    out.SpecificCharacterSet = "ISO_IR 192"
    number = subject.patient_id if subject else head.text("patient id")
    out.PatientID = number[:64]
    out.PatientName = (subject.patient_name if subject else head.text("patient name"))[:64]
    born = subject.birth_date if subject else None
    out.PatientBirthDate = f"{born:%Y%m%d}" if born else _day(head, "patient dob")
    sex = subject.sex if subject else head.text("patient sex")[:1].upper()
    out.PatientSex = sex if sex in {"M", "F", "O"} else ""
    study = head.text("study id") or head.text("exam type")
    day, hour = _day(head, "study date"), _hour(head, "study time")
    out.StudyDate, out.StudyTime = day or f"{at:%Y%m%d}", hour
    out.AcquisitionDate, out.AcquisitionTime = out.StudyDate, hour
    out.ContentDate, out.ContentTime = out.StudyDate, hour or "000000"
    out.AccessionNumber = subject.accession if subject else ""
    out.StudyID = head.text("study id")[:16]
    out.ReferringPhysicianName = ""
    out.StudyDescription = (subject.description if subject and subject.description else head.text("exam type"))[:64]
    out.SeriesDescription = head.text("data description", "study id")[:64]
    told = subject.study_uid if subject else ""
    out.StudyInstanceUID = told or values.derived_uid("study", number, day, study)
    out.SeriesInstanceUID = values.derived_uid("series", digest)
    out.SOPInstanceUID = values.derived_uid("object", digest, number, out.AccessionNumber)
    out.SOPClassUID = NuclearMedicineImageStorage
    out.Modality, out.SeriesNumber, out.InstanceNumber = "NM", None, 1
    out.Laterality = ""
    out.Manufacturer = head.text("originating system")[:64]
    out.InstitutionName = head.text("institution")[:64]
    return out


def _day(head: Header, name: str) -> str:
    return values.mended("DA", head.text(name).replace(":", "-")) or ""


def _hour(head: Header, name: str) -> str:
    return values.mended("TM", head.text(name)) or ""


def _describe(out: Dataset, head: Header, kind: str, frames: NDArray[np.uint16]) -> None:
    out.ImageType = ["ORIGINAL", "PRIMARY", kind, "EMISSION"]
    if kind.startswith("RECON"):
        out.ImageType = ["DERIVED", "PRIMARY", kind, "EMISSION"]
    out.SamplesPerPixel, out.PhotometricInterpretation = 1, "MONOCHROME2"
    out.Rows, out.Columns = frames.shape[1:]
    out.BitsAllocated, out.BitsStored, out.HighBit, out.PixelRepresentation = 16, 16, 15, 0
    across = head.number("scaling factor (mm/pixel) [1]")
    down = head.number("scaling factor (mm/pixel) [2]", otherwise=across)
    out.PixelSpacing = [f"{down:g}", f"{across:g}"] if across > 0 and down > 0 else None
    out.CountsAccumulated = min(int(frames.sum(dtype=np.int64)), 2**31 - 1)
    out.NumberOfFrames = len(frames)
    duration = head.number("image duration (sec)")
    if duration > 0 and kind in {"STATIC", "WHOLE BODY"}:
        out.ActualFrameDuration = round(duration * 1000)
    if kind == "WHOLE BODY":
        out.ScanVelocity = out.ScanLength = None
    out.EnergyWindowInformationSequence = _windows(head)
    out.RadiopharmaceuticalInformationSequence = _given(head)
    out.PatientOrientation = ""
    out.PatientOrientationCodeSequence, out.PatientGantryRelationshipCodeSequence = [], []
    _axes(out, head, kind, len(frames))
    out.add_new("PixelData", "OW", frames.tobytes())


def _windows(head: Header) -> list[Dataset]:
    named = head.text("energy window [1]")
    if not named:
        return []
    item = Dataset()
    item.EnergyWindowName = named[:16]
    return [item]


def _given(head: Header) -> list[Dataset]:
    product, isotope = head.text("radiopharmaceutical"), head.text("isotope name")
    if not (product or isotope):
        return []
    item = Dataset()
    item.RadionuclideCodeSequence = []
    item.Radiopharmaceutical = (product or isotope)[:64]
    return [item]


def _axes(out: Dataset, head: Header, kind: str, count: int) -> None:
    """The vectors of the kind (PS3.3 C.8.4.8): what the header divides its frames by, else one of each."""
    windows = int(head.number("number of energy windows", otherwise=1)) or 1
    heads = int(head.number("number of detector heads", otherwise=1)) or 1
    if kind.startswith("RECON"):
        out.NumberOfSlices = count
        out.SpacingBetweenSlices = f"{head.number('slice thickness (pixels)', otherwise=1) * (_spacing(out) or 1):g}"
        out.SliceVector = list(range(1, count + 1))
        out.FrameIncrementPointer = [Tag("SliceVector")]
        out.ImagePositionPatient = out.ImageOrientationPatient = None
        out.SliceThickness = None
        out.DetectorInformationSequence = []
        out.NumberOfEnergyWindows = out.NumberOfDetectors = out.NumberOfRotations = 1
        out.RotationInformationSequence = []
        return
    if count % (windows * heads):
        windows = heads = 1
    each = count // (windows * heads)
    if kind in {"STATIC", "WHOLE BODY"} and each > 1:
        heads, each = heads * each, 1
    out.NumberOfEnergyWindows, out.NumberOfDetectors = windows, heads
    own: dict[str, tuple[str, ...]] = {
        "DYNAMIC": ("PhaseVector", "TimeSliceVector"), "TOMO": ("RotationVector", "AngularViewVector"),
        "GATED": ("RRIntervalVector", "TimeSlotVector"),
        "GATED TOMO": ("RotationVector", "RRIntervalVector", "TimeSlotVector", "AngularViewVector"),
    }  # fmt: skip
    names = ("EnergyWindowVector", "DetectorVector", *own.get(kind, ()))
    slots = int(head.number("number of time slots", "number of time windows", otherwise=1)) or 1
    sizes = [windows, heads] + [1] * (len(names) - 2)
    if len(sizes) > 2:  # noqa: PLR2004 - what runs fastest has all the frames of one window and head
        sizes[-1] = each
    if kind == "GATED TOMO" and each % slots == 0:
        sizes[-2], sizes[-1] = slots, each // slots
    grid = np.indices(sizes).reshape(len(sizes), -1) + 1
    for name, values_ in zip(names, grid, strict=True):
        setattr(out, name, [int(value) for value in values_])
    out.FrameIncrementPointer = [Tag(name) for name in names]
    out.DetectorInformationSequence = [Dataset() for _ in range(heads)]
    for item in out.DetectorInformationSequence:
        item.CollimatorType, item.ImagePositionPatient, item.ImageOrientationPatient = "", None, None
    _groups(out, head, kind, each)


def _spacing(out: Dataset) -> float:
    return float(out.PixelSpacing[0]) if out.PixelSpacing else 0.0


def _groups(out: Dataset, head: Header, kind: str, each: int) -> None:
    """Phases, rotations and gates as far as the header tells of them."""
    milliseconds = round(head.number("image duration (sec)", "study duration (sec)") * 1000)
    if kind == "DYNAMIC":
        phase = Dataset()
        phase.PhaseDelay, phase.PauseBetweenFrames = 0, round(head.number("pause between images (sec)") * 1000)
        phase.ActualFrameDuration, phase.NumberOfFramesInPhase = milliseconds, each
        out.PhaseInformationSequence, out.NumberOfPhases = [phase], 1
    if "TOMO" in kind:
        turn = Dataset()
        extent = head.number("extent of rotation", otherwise=360)
        views = _highest(out.AngularViewVector)
        turn.StartAngle = f"{head.number('start angle'):g}"
        turn.AngularStep = f"{extent / views:g}"
        turn.RotationDirection = "CC" if head.text("direction of rotation").upper().startswith("CC") else "CW"
        turn.ScanArc = f"{extent:g}"
        turn.ActualFrameDuration = milliseconds
        turn.RadialPosition = f"{head.number('radius'):g}"
        turn.NumberOfFramesInRotation = views
        out.RotationInformationSequence, out.NumberOfRotations = [turn], 1
    if "GATED" in kind:
        out.GatedInformationSequence = []
        out.NumberOfRRIntervals = 1
        out.NumberOfTimeSlots = _highest(out.TimeSlotVector)


def _highest(vector: Any) -> int:  # noqa: ANN401 - pydicom gives one number as itself, several as a list
    return int(vector) if isinstance(vector, int) else max(int(each) for each in vector)
