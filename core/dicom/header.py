"""Find the few elements the archive needs in the bytes of a dataset, without reading the rest.

Only what is plain is read here: little endian, ascending tags, known value representations, every length within its
bytes. Anything else is left to pydicom by answering None, so that both always say the same of an object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from mmap import mmap
from struct import Struct

from pydicom import Dataset
from pydicom.datadict import dictionary_has_tag, dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement, empty_value_for_VR
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

Bytes = bytes | bytearray | memoryview | mmap

IMPLICIT = str(ImplicitVRLittleEndian)
_NOT_PLAIN = (str(ExplicitVRBigEndian), "1.2.840.10008.1.2.1.99")  # byte order and deflation are pydicom's
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_FIRST, _DELIMITERS = 0x00080000, 0xFFFE0000  # below are command and file meta
_DEEPEST = 24
_SHORTEST = 8  # bytes of an element
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_SHORT = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO"}
    | {b"LT", b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}
)
_explicit_head = Struct("<HH2sH").unpack_from
_implicit_head = Struct("<HHL").unpack_from
_long = Struct("<L").unpack_from


def tag_of(keyword: str) -> int:
    """Return the tag of an element as a number."""
    return tag_for_keyword(keyword) or 0


def _tags(*keywords: str) -> frozenset[int]:
    return frozenset(map(tag_of, keywords))


def _own(**said: bytes) -> dict[int, tuple[str, bytes]]:
    return {tag_of(keyword): (keyword, vr) for keyword, vr in said.items()}


OF_THE_OBJECT = _own(
    SOPInstanceUID=b"UI", InstanceNumber=b"IS", AcquisitionDate=b"DA", AcquisitionTime=b"TM", AcquisitionDateTime=b"DT"
)
"""What differs between the objects of one series: keyword and VR by tag."""

OF_THE_SERIES = _own(
    SeriesInstanceUID=b"UI", SeriesNumber=b"IS", SeriesDescription=b"LO", SeriesDate=b"DA", SeriesTime=b"TM"
)
"""What differs between the series of one study."""

SHARED = _tags(
    "SpecificCharacterSet", "ImageType", "SOPClassUID", "StudyDate", "StudyTime",
    "AccessionNumber", "Modality", "ConversionType", "Manufacturer", "ReferringPhysicianName", "StationName",
    "StudyDescription", "ManufacturerModelName", "PatientName", "PatientID", "IssuerOfPatientID",
    "PatientBirthDate", "PatientSex", "BodyPartExamined", "DeviceSerialNumber", "StudyInstanceUID",
    "StudyID", "SamplesPerPixel", "NumberOfFrames", "FrameIncrementPointer",
    "Rows", "Columns", "BitsAllocated", "EnergyWindowVector", "NumberOfEnergyWindows", "DetectorVector",
    "NumberOfDetectors", "PhaseVector", "NumberOfPhases", "PhaseInformationSequence", "NumberOfFramesInPhase",
    "RotationVector", "NumberOfRotations", "RotationInformationSequence", "NumberOfFramesInRotation",
    "RRIntervalVector", "NumberOfRRIntervals", "TimeSlotVector", "NumberOfTimeSlots", "SliceVector", "NumberOfSlices",
    "AngularViewVector", "TimeSliceVector", "NumberOfTimeSlices", "SeriesType", "ScheduledProcedureStepID",
    "PerformedStationAETitle", "RequestAttributesSequence", "RequestedProcedureID",
)  # fmt: skip
"""What mostly is the same in alike objects of a study, and what their frames are counted by."""

PIXELS = _tags("PixelData", "FloatPixelData", "DoubleFloatPixelData", "PixelDataProviderURL")
_PIXEL_DATA = tag_of("PixelData")
WANTED = OF_THE_OBJECT.keys() | OF_THE_SERIES.keys() | SHARED | PIXELS


@dataclass(frozen=True, slots=True)
class Found:
    """The elements that were wanted: VR and value of each, and sequences of undefined length as they stand.

    Pixel data are not copied: only the length of each element of them is kept, None where it is undefined, and its VR
    and the place of its value in `places`.
    """

    elements: dict[int, tuple[bytes, bytes]]
    sequences: dict[int, bytes]
    pixels: dict[int, int | None]
    places: dict[int, tuple[bytes, int]] = field(default_factory=dict)


def scan(data: Bytes, at: int, end: int, syntax: str) -> Found | None:
    """Find the wanted elements of the dataset that lies in `data[at:end]`; None where it is not plain or not whole."""
    if syntax in _NOT_PLAIN:
        return None
    explicit = syntax != IMPLICIT
    if not explicit and _looks_explicit(data, at):
        return None
    found = Found({}, {}, {})
    last = _FIRST - 1
    head = _explicit if explicit else _implicit
    while end - at >= _SHORTEST:
        start = at
        tag, vr, length, at = head(data, at)
        if tag <= last or tag >= _DELIMITERS or length < 0:
            return None
        last = tag
        stop = at + length if length != _UNDEFINED else _past_items(data, at, end, explicit=explicit, of=(tag, vr))
        if stop > end or stop < at:
            return None
        if tag in WANTED:
            if length == _UNDEFINED and tag in PIXELS and syntax == ExplicitVRLittleEndian:
                return None
            _keep(found, data, tag, vr, length, (start, at, stop))
        at = stop
    return found if at == end and last >= _FIRST else None


def _keep(found: Found, data: Bytes, tag: int, vr: bytes, length: int, place: tuple[int, int, int]) -> None:
    start, at, stop = place
    if tag in PIXELS:
        found.pixels[tag] = None if length == _UNDEFINED else length
        found.places[tag] = (vr, at)
    elif length == _UNDEFINED:
        found.sequences[tag] = bytes(data[start:stop])
    else:
        found.elements[tag] = (vr, bytes(data[at:stop]))


def _looks_explicit(data: Bytes, at: int) -> bool:
    """Whether what is called implicit carries a VR nevertheless, as pydicom looks for it."""
    return bytes(data[at + 4 : at + 6]).isalpha()


def _explicit(data: Bytes, at: int) -> tuple[int, bytes, int, int]:
    """Read an element's head (PS3.5 7.1.2): tag, VR, length (-1 where it is none) and where the value begins."""
    group, element, vr, length = _explicit_head(data, at)
    if vr in _SHORT:
        return group << 16 | element, vr, length, at + 8
    if vr in _LONG and len(data) - at >= 12:  # noqa: PLR2004 - the shortest long element
        return group << 16 | element, vr, _long(data, at + 8)[0], at + 12
    return group << 16 | element, vr, -1, at


def _implicit(data: Bytes, at: int) -> tuple[int, bytes, int, int]:
    """Read an element's head (PS3.5 7.1.3), which names no VR."""
    group, element, length = _implicit_head(data, at)
    return group << 16 | element, b"", length, at + 8


def _past_items(data: Bytes, at: int, end: int, *, explicit: bool, of: tuple[int, bytes], depth: int = 0) -> int:
    """Return where a value of undefined length ends, behind its delimiter (PS3.5 7.5, A.4); -1 if it is not plain."""
    fragments = explicit and of[0] == _PIXEL_DATA and of[1] in {b"OB", b"OW"}
    if depth > _DEEPEST or not (fragments or _is_sequence(*of, explicit=explicit)):
        return -1
    while at + _SHORTEST <= end:
        tag, _, length, at = _implicit(data, at)
        if tag == _SEQUENCE_END:
            return at if length == 0 else -1
        if tag != _ITEM or (fragments and length == _UNDEFINED):
            return -1
        if fragments:
            at += length
            continue
        stop = end if length == _UNDEFINED else at + length
        at = _past_item(data, at, stop, explicit=explicit, depth=depth) if stop <= end else -1
        if at < 0 or (length != _UNDEFINED and at != stop):
            return -1
    return -1


def _is_sequence(tag: int, vr: bytes, *, explicit: bool) -> bool:
    return vr == b"SQ" if explicit else not dictionary_has_tag(tag) or dictionary_VR(tag) == "SQ"


def _past_item(data: Bytes, at: int, end: int, *, explicit: bool, depth: int) -> int:
    """Return where an item ends: at `end`, or behind a delimiter before it; -1 where it is not plain."""
    head: Callable[[Bytes, int], tuple[int, bytes, int, int]] = _explicit if explicit else _implicit
    while at + _SHORTEST <= end:
        if _implicit_head(data, at) == (_ITEM_END >> 16, _ITEM_END & 0xFFFF, 0):
            return at + 8
        tag, vr, length, at = head(data, at)
        if tag >= _DELIMITERS or tag < _FIRST or length < 0:
            return -1
        if length == _UNDEFINED:
            at = _past_items(data, at, end, explicit=explicit, of=(tag, vr), depth=depth + 1)
        else:
            at += length
        if at < 0:
            return -1
    return at if at == end else -1


def shared_part(found: Found) -> tuple[object, ...]:
    """Return all that was found but what is the object's own, to be looked up by."""
    elements = tuple((tag, said) for tag, said in found.elements.items() if tag in SHARED)
    return elements, tuple(found.sequences.items()), tuple(found.pixels.items())


def own_part(found: Found, of: Mapping[int, tuple[str, bytes]]) -> dict[str, bytes] | None:
    """Return what was found of an object's or a series' own by keyword; None where a VR is not what it should be."""
    own: dict[str, bytes] = {}
    for tag, (keyword, vr) in of.items():
        if tag in found.elements:
            said, own[keyword] = found.elements[tag]
            if said not in (vr, b""):
                return None
    return own if found.sequences.keys().isdisjoint(of) else None


def dataset_of(found: Found, syntax: str) -> Dataset:
    """Make a Dataset of what was found, as pydicom would have read it."""
    implicit = syntax == IMPLICIT
    raw: dict[BaseTag, RawDataElement | DataElement] = {}
    for tag, (vr, value) in found.elements.items():
        name = vr.decode("ascii") or None
        held = value or empty_value_for_VR(name, raw=True)
        raw[BaseTag(tag)] = RawDataElement(BaseTag(tag), name, len(value), held, 0, implicit, True)  # type: ignore[arg-type]
    dataset = Dataset(raw)
    for whole in found.sequences.values():
        dataset.update(read_dataset(BytesIO(whole), is_implicit_VR=implicit, is_little_endian=True))
    return dataset
