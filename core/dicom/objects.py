"""What an object says of itself, read so that nothing a camera sends can stop the reading.

A value is believed only after it was read by hand from its bytes: what is broken becomes None or empty, and is named in
`problems`. Nothing here changes a Dataset.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import pydicom
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from core.dicom.charset import Charset, DecodedName, charset_of, decode_name, decode_text
from core.dicom.convert.values import derived_uid
from core.errors import Refused
from core.naming import PersonName, is_placeholder, romanise
from core.naming.readings import fold

LONGEST_TEXT = 1024
"""Characters kept of any one value; PS3.5 allows no name, number or description more."""
LONGEST_COMPONENT = 64

_UID = re.compile(r"[0-9]+(?:\.[0-9]+)+")
_LONGEST_UID = 64
_TEXT_VRS = frozenset("AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT UN OB".split())  # noqa: SIM905 - a table
_PADDING = " \t\r\n\0"
_DICOMDIR = "1.2.840.10008.1.3.10"
_SEXES = {"m": "M", "male": "M", "男": "M", "f": "F", "w": "F", "female": "F", "女": "F", "o": "O", "other": "O"}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SentIdentity:
    """An object's own words about patient, study, series and itself; dates and times are the device's local ones."""

    study_instance_uid: str = ""
    series_instance_uid: str = ""
    sop_instance_uid: str = ""
    sop_class_uid: str = ""
    transfer_syntax_uid: str = ""
    patient_id: str = ""
    issuer: str = ""
    name: PersonName = field(default_factory=PersonName)
    birth_date: date | None = None
    sex: str = ""
    accession: str = ""
    request_accessions: tuple[str, ...] = ()
    study_id: str = ""
    requested_procedure_id: str = ""
    scheduled_step_id: str = ""
    modality: str = ""
    body_part: str = ""
    study_at: datetime | None = None
    series_at: datetime | None = None
    acquired_at: datetime | None = None
    study_description: str = ""
    series_description: str = ""
    series_number: int | None = None
    instance_number: int | None = None
    frames: int | None = None
    station_name: str = ""
    station_ae: str = ""
    device_serial: str = ""
    manufacturer: str = ""
    model: str = ""
    image_type: tuple[str, ...] = ()
    charset: Charset = ()
    name_charset: Charset = ()
    name_confidence: float = 1.0
    repaired: bool = False
    problems: tuple[str, ...] = ()


def identity_of(dataset: Dataset) -> SentIdentity:
    """Read what an object says of itself; never raises, whatever its elements hold."""
    reader = _Reader(dataset)
    name = reader.name("PatientName")
    requests = [_Reader(item, reader.charset) for item in reader.items("RequestAttributesSequence")]
    asked = tuple(dict.fromkeys(number for item in requests if (number := item.text("AccessionNumber"))))
    if name.repaired or reader.repaired:
        reader.problems.append(_mislabelled(reader.charset, name))
    return SentIdentity(
        study_instance_uid=reader.uid("StudyInstanceUID", derive=True),
        series_instance_uid=reader.uid("SeriesInstanceUID", derive=True),
        sop_instance_uid=reader.uid("SOPInstanceUID"),
        sop_class_uid=reader.uid("SOPClassUID"),
        transfer_syntax_uid=_transfer_syntax(dataset),
        patient_id=reader.text("PatientID"),
        issuer=reader.text("IssuerOfPatientID"),
        name=PersonName.parse(name.text),
        birth_date=reader.parsed("PatientBirthDate", _as_date),
        sex=reader.parsed("PatientSex", _as_sex) or "",
        accession=reader.text("AccessionNumber") or (asked[0] if asked else ""),
        request_accessions=asked,
        study_id=reader.text("StudyID"),
        requested_procedure_id=reader.text("RequestedProcedureID") or _first(requests, "RequestedProcedureID"),
        scheduled_step_id=_first(requests, "ScheduledProcedureStepID") or reader.text("ScheduledProcedureStepID"),
        modality=reader.text("Modality"),
        body_part=reader.text("BodyPartExamined"),
        study_at=reader.moment("StudyDate", "StudyTime"),
        series_at=reader.moment("SeriesDate", "SeriesTime"),
        acquired_at=_acquired_at(reader),
        study_description=reader.text("StudyDescription"),
        series_description=reader.text("SeriesDescription"),
        series_number=reader.parsed("SeriesNumber", _as_int),
        instance_number=reader.parsed("InstanceNumber", _as_int),
        frames=reader.parsed("NumberOfFrames", _as_int),
        station_name=reader.text("StationName"),
        station_ae=reader.text("PerformedStationAETitle") or _source_ae(dataset),
        device_serial=reader.text("DeviceSerialNumber"),
        manufacturer=reader.text("Manufacturer"),
        model=reader.text("ManufacturerModelName"),
        image_type=tuple(value.upper() for value in reader.texts("ImageType")),
        charset=reader.charset,
        name_charset=name.charset,
        name_confidence=name.confidence,
        repaired=name.repaired or reader.repaired,
        problems=tuple(dict.fromkeys(reader.problems + [problem for item in requests for problem in item.problems])),
    )


def in_study(shared: SentIdentity, own: Mapping[str, bytes]) -> SentIdentity | None:
    """Say of another series of a study what it says of its `own`, and what is `shared` with an object read before.

    `own` holds by keyword the bytes of its UID, number, description, date and time, all else being equal. None where
    something is wrong with either: then it is read whole. The object's own words are still those of the other.
    """
    reader = _Plain(own, shared.charset)
    mine = replace(
        shared,
        series_instance_uid=reader.uid("SeriesInstanceUID"),
        series_at=reader.moment("SeriesDate", "SeriesTime"),
        series_description=reader.text("SeriesDescription"),
        series_number=reader.parsed("SeriesNumber", _as_int),
    )
    return None if reader.problems or reader.repaired or shared.problems or shared.repaired else mine


def in_series(shared: SentIdentity, own: Mapping[str, bytes]) -> SentIdentity | None:
    """Say of one more object of a series what it says of its `own`, as `in_study` does of a series.

    `own` holds the bytes of its SOP Instance UID, its number, and the times of its acquisition.
    """
    reader = _Plain(own, shared.charset)
    mine = replace(
        shared,
        sop_instance_uid=reader.uid("SOPInstanceUID"),
        acquired_at=_acquired_at(reader),
        instance_number=reader.parsed("InstanceNumber", _as_int),
    )
    return None if reader.problems or reader.repaired or shared.problems or shared.repaired else mine


def _acquired_at(reader: _Reader) -> datetime | None:
    together = reader.parsed("AcquisitionDateTime", _as_datetime)
    return together or reader.moment("AcquisitionDate", "AcquisitionTime")


def _mislabelled(said: Charset, name: DecodedName) -> str:
    """What is wrong with the character set of an object whose text was found to be in another."""
    label = "\\".join(said) or "nothing"
    if not name.repaired:
        return f"SpecificCharacterSet says {label}, which the text is not in"
    found = "\\".join(name.charset)
    return f"SpecificCharacterSet says {label}, the text is {found} (confidence {name.confidence:.0%})"


def identity_key(identity: SentIdentity) -> str:
    """A stable hash of the identity as sent: who and which request, whatever the site, charset, study or padding.

    Objects of one site and Study Instance UID with the same key are one batch.
    """
    born = identity.birth_date.isoformat() if identity.birth_date else ""
    said = (identity.patient_id, identity.issuer, str(identity.name), born, identity.sex)
    asked = (identity.accession, identity.study_id)
    return hashlib.sha256("\x1f".join(said + asked).encode()).hexdigest()


def read_header(source: Path | str | bytes) -> Dataset:
    """Read an object's elements up to the pixel data, Part 10 file or bare dataset.

    Raises
    ------
    Refused
        It is no DICOM, a DICOMDIR, breaks off, or lacks its SOP Class or SOP Instance UID; the message says which.
        (Study and Series UID may be absent: palettes and templates belong to no study.)
    """
    place = BytesIO(source) if isinstance(source, bytes) else source
    try:
        dataset = pydicom.dcmread(place, force=True, stop_before_pixels=True)
        identity = identity_of(dataset)
    except Exception as failure:  # pydicom raises anything on broken bytes, and any of it means this
        raise Refused(f"This is not a readable DICOM object ({type(failure).__name__}); send it again.") from failure
    _demand_object(identity, dataset)
    return dataset


def is_qc(identity: SentIdentity) -> bool:
    """Whether an object shows a phantom or a quality control instead of a patient.

    The patient's number or name must say so, or a description of an object that names nobody, or nobody born who was
    sent for: a wrong yes would take a patient's images off the worklist.
    """
    number, name = _words(identity.patient_id), _words(str(identity.name).replace("^", " "))
    if number & _QC_WORDS or name & (_QC_WORDS - _QC_SURNAMES) or (name & _QC_WORDS and not number):
        return True
    if any(sign in identity.patient_id + str(identity.name) for sign in _QC_CHINESE):
        return True
    nobody = is_placeholder(str(identity.name).replace("^", " ")) or is_placeholder(identity.patient_id)
    nobody = nobody or identity.birth_date is None
    described = f"{identity.series_description} {identity.study_description}"
    hints = _words(described) | {word for value in identity.image_type for word in _words(value)}
    chinese = any(sign in described for sign in _QC_CHINESE)
    return nobody and not identity.accession and bool(hints & _QC_WORDS or chinese)


_QC_WORDS = frozenset(
    {"qc", "qa", "phantom", "phantoms", "flood", "uniformity", "jaszczak", "nema", "linearity", "qualitycontrol"}
    | {"calibration", "intrinsic", "extrinsic", "barphantom", "floodfield", "blankscan", "dailyqc", "unif"}
)
_QC_SURNAMES = frozenset({"flood", "qa"})
_QC_CHINESE = ("质控", "质量控制", "模体", "体模", "均匀性", "泛源")


def safe_component(text: str, *, limit: int = LONGEST_COMPONENT) -> str:
    """One readable, harmless component of a path: letters, digits, `.`, `_` and `-`, Chinese as pinyin.

    Where something had to be left out, six signs of a hash keep two texts apart that would look the same. Never empty,
    never hidden, never a way out of the folder, at most `limit` characters.
    """
    plain = text.strip(_PADDING)
    spelled = re.sub(r"[^A-Za-z0-9._-]+", "_", _ascii(romanise(plain[:LONGEST_TEXT])))
    clean = re.sub(r"\.{2,}", ".", spelled).strip("._-")
    if clean == plain and 0 < len(clean) <= limit:
        return clean
    mark = hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return f"{clean[: limit - 7].rstrip('._-')}-{mark}".lstrip("-")


def content_digest(path: Path | str) -> str:
    """SHA-256 of a file's dataset bytes, without preamble and file meta information, read in pieces."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        file.seek(_dataset_offset(file.read(_LONGEST_META)))
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def dataset_offset(path: Path | str) -> int:
    """Where a file's dataset begins, behind preamble and file meta information, in bytes."""
    with Path(path).open("rb") as file:
        return _dataset_offset(file.read(_LONGEST_META))


def dataset_start(head: bytes) -> int:
    """Where the dataset begins in a file that begins with `head`, in bytes."""
    return _dataset_offset(head[:_LONGEST_META])


def same_elements(path_a: Path | str, path_b: Path | str) -> bool:
    """Whether two files hold equal elements once decoded, whatever their transfer syntaxes.

    What cannot be decoded is not equal: the caller quarantines rather than lose an object.
    """
    try:
        one, other = (pydicom.dcmread(path, force=True) for path in (path_a, path_b))
        return _same_pixels(one, other) and _canonical(one) == _canonical(other)
    except Exception:  # noqa: BLE001 - codecs raise anything on broken bytes; that is not "equal"
        return False


class _Reader:
    """Reads values out of one Dataset by keyword and keeps what was wrong with them."""

    def __init__(self, dataset: Dataset, inherited: Charset = ()) -> None:
        self.dataset = dataset
        self.problems: list[str] = []
        self.repaired = False
        self.charset = inherited
        self.charset = charset_of(self.texts("SpecificCharacterSet", keep_empty=True)) or inherited

    def name(self, keyword: str) -> DecodedName:
        """A Person Name, decoded by its bytes where they are still there."""
        value = self._value(keyword)
        raw = getattr(value, "original_string", value)
        if isinstance(raw, bytes):
            return decode_name(self._bounded(raw, keyword), self.charset)
        text = str(value or "")[:LONGEST_TEXT].strip(_PADDING)
        return DecodedName(text, self.charset, 1.0, repaired=False)

    def texts(self, keyword: str, *, keep_empty: bool = False) -> list[str]:
        """Every value of a text element, trimmed."""
        value = self._value(keyword)
        if isinstance(value, bytes):
            decoded = decode_text(self._bounded(value, keyword), self.charset)
            self.repaired = self.repaired or decoded.repaired
            values = decoded.text.split("\\")
        elif isinstance(value, MultiValue | list | tuple):
            values = [str(part) for part in value[:LONGEST_TEXT]]
        else:
            values = ["" if value is None else str(value)[:LONGEST_TEXT]]
        trimmed = [part.strip(_PADDING) for part in values]
        return trimmed if keep_empty else [part for part in trimmed if part]

    def text(self, keyword: str) -> str:
        """The value of a text element; the first where there should be one and there are more."""
        values = self.texts(keyword)
        if len(values) > 1:
            self.problems.append(f"{keyword} has more than one value")
        return values[0] if values else ""

    def uid(self, keyword: str, *, derive: bool = False) -> str:
        """A UID of digits and dots, at most 64; what is none is empty, or derived from what stands there."""
        text = self.text(keyword)
        if text and (len(text) > _LONGEST_UID or not _UID.fullmatch(text)):
            self.problems.append(f"{keyword} is not a UID")
            return derived_uid(text) if derive else ""
        return text

    def parsed(self, keyword: str, parse: Callable[[str], T | None]) -> T | None:
        """A value made of text by `parse`, None where that cannot be."""
        text = self.text(keyword)
        try:
            return parse(text) if text else None
        except (ValueError, OverflowError):
            self.problems.append(f"{keyword} cannot be read")
            return None

    def moment(self, date_keyword: str, time_keyword: str) -> datetime | None:
        """Date and time of two elements; midnight where only the date is known."""
        day = self.parsed(date_keyword, _as_date)
        clock = self.parsed(time_keyword, _as_time)
        return datetime.combine(day, clock or time()) if day else None

    def items(self, keyword: str) -> list[Dataset]:
        """The items of a sequence; none where it cannot be read."""
        try:
            value = self.dataset[keyword].value if keyword in self.dataset else None
        except Exception:  # noqa: BLE001 - pydicom raises anything on broken sequences
            self.problems.append(f"{keyword} cannot be read")
            return []
        if value is not None and not isinstance(value, DicomSequence):
            self.problems.append(f"{keyword} is not a sequence")
            return []
        return list(value or [])

    def _value(self, keyword: str) -> object:
        """The value as bytes where pydicom has not converted it yet, since its conversion may raise."""
        try:
            element = self.dataset.get_item(keyword)
        except Exception:  # noqa: BLE001 - as above
            element = None
        if isinstance(element, RawDataElement):
            return self._believed(element.value, element.VR, keyword)
        if isinstance(element, DataElement):
            return self._believed(element.value, element.VR, keyword)
        return None

    def _believed(self, value: object, vr: str | None, keyword: str) -> object:
        if isinstance(value, DicomSequence) or (vr is not None and vr not in _TEXT_VRS):
            self.problems.append(f"{keyword} has the value representation {vr}")
            return None
        return value

    def _bounded(self, raw: bytes, keyword: str) -> bytes:
        if len(raw) > LONGEST_TEXT:
            self.problems.append(f"{keyword} is too long")
        return raw[:LONGEST_TEXT]


class _Plain(_Reader):
    """Reads what is there as bytes already, all of a text VR."""

    def __init__(self, values: Mapping[str, bytes], charset: Charset) -> None:
        self._values = values
        self.problems = []
        self.repaired = False
        self.charset = charset

    def texts(self, keyword: str, *, keep_empty: bool = False) -> list[str]:
        raw = self._values.get(keyword, b"")
        if not raw.isascii() or b"\x1b" in raw or len(raw) > LONGEST_TEXT:
            return super().texts(keyword, keep_empty=keep_empty)
        trimmed = [part.strip(_PADDING) for part in raw.decode("ascii").split("\\")]
        return trimmed if keep_empty else [part for part in trimmed if part]

    def _value(self, keyword: str) -> object:
        return self._values.get(keyword, b"")


def _first(readers: list[_Reader], keyword: str) -> str:
    return next((value for reader in readers if (value := reader.text(keyword))), "")


def _as_date(text: str) -> date | None:
    """`19610304`, and `1961.03.04`, `1961-03-04`, `1961/3/4` as old devices write it; zeros say nothing."""
    if not text.strip("0"):
        return None
    found = re.fullmatch(r"(\d{4})[.\-/]?(\d{1,2})[.\-/]?(\d{1,2})", text)
    if found is None or (text.isdigit() and len(text) != len("YYYYMMDD")):
        raise ValueError("not a date")
    year, month, day = map(int, found.groups())
    return date(year, month, day)


def _as_time(text: str) -> time:
    found = re.fullmatch(r"(\d{2}):?(\d{2})?:?(\d{2})?(?:\.(\d{1,6})\d*)?", text)
    if found is None:
        raise ValueError("not a time")
    hour, minute, second, fraction = found.groups(default="0")
    return time(int(hour), int(minute), min(int(second), 59), int(fraction.ljust(6, "0")))


def _as_datetime(text: str) -> datetime | None:
    """A DT value in the device's own time; its offset from UTC is left aside."""
    local = re.sub(r"[+-]\d{4}$", "", text)
    size = len("YYYYMMDD")
    day = _as_date(local[:size])
    return datetime.combine(day, _as_time(local[size:] or "00")) if day else None


def _as_int(text: str) -> int:
    number = float(text)
    if not number.is_integer() or abs(number) >= 2**31:
        raise ValueError("not an integer string")
    return int(number)


def _as_sex(text: str) -> str:
    sex = _SEXES.get(fold(text))
    if sex is None:
        raise ValueError("not a sex")
    return sex


def _transfer_syntax(dataset: Dataset) -> str:
    """The transfer syntax the file names, or the one its bytes were found to be in."""
    meta = getattr(dataset, "file_meta", None)
    named = _Reader(meta).uid("TransferSyntaxUID") if meta is not None else ""
    if named:
        return named
    found: dict[tuple[bool | None, bool | None], str] = {
        (True, True): ImplicitVRLittleEndian,
        (False, True): ExplicitVRLittleEndian,
        (False, False): ExplicitVRBigEndian,
    }
    return str(found.get(getattr(dataset, "original_encoding", (None, None)), ""))


def _source_ae(dataset: Dataset) -> str:
    meta = getattr(dataset, "file_meta", None)
    return _Reader(meta).text("SourceApplicationEntityTitle") if meta is not None else ""


def _demand_object(identity: SentIdentity, dataset: Dataset) -> None:
    meta = getattr(dataset, "file_meta", None) or Dataset()
    stored_class = _Reader(meta).uid("MediaStorageSOPClassUID")
    if _DICOMDIR in {stored_class, identity.sop_class_uid}:
        raise Refused("This is a DICOMDIR, a table of contents; import the files beside it.")
    if not (identity.sop_class_uid or identity.sop_instance_uid or stored_class):
        raise Refused("This is not DICOM: it has neither a SOP Class nor a SOP Instance UID; leave it out.")
    uids = {"SOP Class UID": identity.sop_class_uid, "SOP Instance UID": identity.sop_instance_uid}
    lacking = [name for name, uid in uids.items() if not uid]
    if lacking:
        raise Refused(f"The object has no usable {' nor '.join(lacking)}; have its maker send it again.")


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", fold(text).replace("_", " ")))


def _ascii(text: str) -> str:
    plain = "".join(sign if sign.isascii() else fold(sign) for sign in text)
    return plain.encode("ascii", "replace").decode()


_LONGEST_META = 1 << 16
_LONG_VRS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})


def _dataset_offset(head: bytes) -> int:
    """Where the dataset begins: behind preamble and group 0002, walked since its stated length may be wrong."""
    at = 132 if head[128:132] == b"DICM" else 0
    while head[at : at + 2] == b"\x02\x00":
        if head[at + 4 : at + 6] in _LONG_VRS:
            at += 12 + int.from_bytes(head[at + 8 : at + 12], "little")
        else:
            at += 8 + int.from_bytes(head[at + 6 : at + 8], "little")
    return at


_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def _same_pixels(one: Dataset, other: Dataset) -> bool:
    if not any(keyword in dataset for keyword in _PIXELS for dataset in (one, other)):
        return True
    if all(one.get(keyword) == other.get(keyword) for keyword in _PIXELS) and not _is_swapped(one, other):
        return True
    first, second = one.pixel_array, other.pixel_array
    return bool(first.shape == second.shape and (first == second).all())


def _is_swapped(one: Dataset, other: Dataset) -> bool:
    """Equal bytes in different byte orders are different pixels."""
    return (_transfer_syntax(one) == ExplicitVRBigEndian) != (_transfer_syntax(other) == ExplicitVRBigEndian)


def _canonical(dataset: Dataset) -> bytes:
    """The elements without pixels, group lengths and padding, written as Implicit VR Little Endian."""
    plain = Dataset()
    for element in dataset:
        if element.tag.element != 0 and keyword_for_tag(element.tag) not in {*_PIXELS, "DataSetTrailingPadding"}:
            plain.add(element)
    for element in _every_element(plain):
        element.is_undefined_length = False
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, plain, implicit_vr=True, little_endian=True, overwrite=True)
    return buffer.getvalue()


def _every_element(dataset: Dataset) -> Iterator[DataElement]:
    for element in dataset:
        yield element
        if element.VR == "SQ":
            for item in element.value:
                item.is_undefined_length_sequence_item = False
                yield from _every_element(item)
