"""What a standard object cannot be without: its UIDs, its description of pixels, the modules of patient and study.

Type 1 elements are derived from what is there, or the object becomes a Secondary Capture, which asks for little;
type 2 elements are added empty (PS3.5 7.4).
"""

from __future__ import annotations

from collections.abc import Callable

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.uid import (
    CTImageStorage,
    EncapsulatedPDFStorage,
    MRImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    NuclearMedicineImageStorage,
    PositronEmissionTomographyImageStorage,
    SecondaryCaptureImageStorage,
)

from core.dicom.convert.reading import PIXEL_DATA, Element, Read
from core.dicom.convert.values import derived_uid
from core.errors import Refused

Say = Callable[[str], None]
Elements = dict[int, Element]

EMPTY = (
    *("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "PatientName", "PatientID"),
    *("PatientBirthDate", "PatientSex", "StudyID", "SeriesNumber", "InstanceNumber", "Manufacturer"),
)
"""Type 2 of the Patient, General Study, General Series, General Equipment and General Image modules (PS3.3 C.7)."""

_BY_MODALITY = {
    "CT": CTImageStorage, "MR": MRImageStorage, "NM": NuclearMedicineImageStorage,
    "PT": PositronEmissionTomographyImageStorage,
}  # fmt: skip
_NO_PATIENT = (
    "1.2.840.10008.5.1.4.39",
    "1.2.840.10008.5.1.4.38",
    "1.2.840.10008.5.1.4.43",
    "1.2.840.10008.5.1.4.44",
    "1.2.840.10008.5.1.4.45",
)
_SINGLE_FRAME = frozenset(
    {str(CTImageStorage), str(MRImageStorage), str(PositronEmissionTomographyImageStorage)}
    | {"1.2.840.10008.5.1.4.1.1.1", str(SecondaryCaptureImageStorage)}
)
_BYTE, _COLOURS = 8, 3


def put(elements: Elements, keyword: str, value: str | int, vr: str = "") -> None:
    """Set an element of text or of one unsigned short."""
    tag = int(tag_for_keyword(keyword) or 0)
    kind = vr or dictionary_VR(tag).split(" or ")[0]
    raw = value.to_bytes(2, "little") if isinstance(value, int) else value.encode()
    raw += (b"\0" if kind == "UI" else b" ") * (len(raw) % 2)
    elements[tag] = Element(tag, kind, memoryview(raw))


def text_of(elements: Elements, keyword: str) -> str:
    """An element's text, trimmed; empty where it is absent."""
    element = elements.get(int(tag_for_keyword(keyword) or 0))
    return bytes(element.value).decode("latin-1").strip(" \0") if element and element.items is None else ""


def number_of(elements: Elements, keyword: str) -> int:
    """An unsigned short, or the number of an IS; 0 where it is absent."""
    element = elements.get(int(tag_for_keyword(keyword) or 0))
    if element is None or not len(element.value):
        return 0
    if element.vr == "IS":
        text = text_of(elements, keyword).split("\\")[0].strip()
        return int(text) if text.lstrip("+-").isdigit() else 0
    return int.from_bytes(element.value[:2], "little")


# -- pixels ----------------------------------------------------------------------------------------------------------


def describe_pixels(elements: Elements, pixels: Element, say: Say) -> None:
    """Complete the description of uncompressed pixels and hold them against it (PS3.3 C.7.6.3).

    Raises
    ------
    Refused
        There are fewer pixels than described.
    """
    rows, columns = number_of(elements, "Rows"), number_of(elements, "Columns")
    bits = number_of(elements, "BitsAllocated")
    if not (rows and columns and bits):
        raise Refused("the image does not say how large it is: have its maker send it again")
    samples = _samples(elements, len(pixels.value), rows * columns * bits // 8, say)
    for keyword, value in (("BitsStored", bits), ("HighBit", bits - 1), ("PixelRepresentation", 0)):
        if not _has(elements, keyword):
            put(elements, keyword, number_of(elements, "BitsStored") - 1 if keyword == "HighBit" else value, "US")
            say(f"{keyword}: absent; added")
    if samples > 1 and not _has(elements, "PlanarConfiguration"):
        put(elements, "PlanarConfiguration", 0)
        say("PlanarConfiguration: absent; added")
    frame_bits = rows * columns * samples * bits
    if text_of(elements, "PhotometricInterpretation") in {"YBR_FULL_422", "YBR_PARTIAL_422"}:
        frame_bits = rows * columns * 2 * bits
    _hold_length(elements, pixels, frame_bits, say)
    if bits > _BYTE and pixels.vr != "OW":
        pixels.vr = "OW"
        say("PixelData: its value representation was not OW")


def _samples(elements: Elements, length: int, plane: int, say: Say) -> int:
    samples = number_of(elements, "SamplesPerPixel")
    colour = "RGB" in text_of(elements, "PhotometricInterpretation") or text_of(
        elements, "PhotometricInterpretation"
    ).startswith("YBR")
    if not samples:
        samples = _COLOURS if colour or length == plane * _COLOURS else 1
        put(elements, "SamplesPerPixel", samples)
        say("SamplesPerPixel: absent; added")
    if not text_of(elements, "PhotometricInterpretation"):
        put(elements, "PhotometricInterpretation", "RGB" if samples == _COLOURS else "MONOCHROME2")
        say("PhotometricInterpretation: absent; added")
    return samples


def _hold_length(elements: Elements, pixels: Element, frame_bits: int, say: Say) -> None:
    frames = max(number_of(elements, "NumberOfFrames"), 1)
    length = len(pixels.value)
    due = (frame_bits * frames + 7) // 8
    if length < due:
        raise Refused("there are fewer pixels than its rows, columns and frames say: have its maker send it again")
    whole, rest = divmod(length * 8, frame_bits)
    uncounted = not number_of(elements, "NumberOfFrames")
    single = text_of(elements, "SOPClassUID") in _SINGLE_FRAME
    if whole > 1 and rest < 16 and uncounted and not single:  # noqa: PLR2004 - padding to an even length
        put(elements, "NumberOfFrames", str(whole), "IS")
        say("NumberOfFrames: absent; counted from the pixels")
        due = (frame_bits * whole + 7) // 8
    if length > due + due % 2:
        say("PixelData: more bytes than its rows, columns and frames say; left out")
    pixels.value = memoryview(bytes(pixels.value[:due]) + b"\0" * (due % 2))


def _has(elements: Elements, keyword: str) -> bool:
    element = elements.get(int(tag_for_keyword(keyword) or 0))
    return element is not None and len(element.value) > 0


# -- what it is ------------------------------------------------------------------------------------------------------


def complete(elements: Elements, read: Read, say: Say, digest: str) -> None:
    """Give an object the class, the UIDs and the empty elements it must have."""
    if read.is_acr_nema:
        say("an ACR-NEMA object: became a Secondary Capture")
        _as_secondary_capture(elements, say)
    elif not text_of(elements, "SOPClassUID"):
        _find_class(elements, read, say)
    if not text_of(elements, "SOPInstanceUID"):
        named = read.meta.get(0x00020003, "")
        put(elements, "SOPInstanceUID", named or derived_uid("object", digest))
        say("SOPInstanceUID: absent; " + ("taken from the file meta" if named else "one was derived"))
    storage_class = text_of(elements, "SOPClassUID")
    if storage_class.startswith(_NO_PATIENT):
        return
    _complete_uids(elements, say)
    if not text_of(elements, "Modality"):
        put(elements, "Modality", "OT")
        say("Modality: absent; OT added")


def fill(elements: Elements, say: Say) -> None:
    """Add empty what must be there but may be empty."""
    if text_of(elements, "SOPClassUID").startswith(_NO_PATIENT):
        return
    absent = [keyword for keyword in EMPTY if tag_for_keyword(keyword) not in elements]
    for keyword in absent:
        put(elements, keyword, "")
    if absent:
        say(f"{', '.join(absent)}: absent; added empty")


def _find_class(elements: Elements, read: Read, say: Say) -> None:
    named, modality = read.meta.get(0x00020002, ""), text_of(elements, "Modality")
    if named:
        put(elements, "SOPClassUID", named)
        say("SOPClassUID: absent; taken from the file meta")
    elif modality in _BY_MODALITY and PIXEL_DATA in elements:
        put(elements, "SOPClassUID", str(_BY_MODALITY[modality]))
        say("SOPClassUID: absent; chosen by the modality")
    elif PIXEL_DATA in elements:
        say("SOPClassUID: absent; became a Secondary Capture")
        _as_secondary_capture(elements, say)
    else:
        raise Refused("it has no SOP Class UID and no picture: it is no object of an archive")


def _as_secondary_capture(elements: Elements, say: Say) -> None:
    """Make an image a Secondary Capture (PS3.3 A.8), of one frame or many."""
    many = number_of(elements, "NumberOfFrames") > 1
    wide = number_of(elements, "BitsAllocated") > _BYTE
    kind = SecondaryCaptureImageStorage
    if many and number_of(elements, "SamplesPerPixel") <= 1:
        kind = (
            MultiFrameGrayscaleWordSecondaryCaptureImageStorage
            if wide
            else MultiFrameGrayscaleByteSecondaryCaptureImageStorage
        )
        make_multi_frame(elements, wide=wide)
    put(elements, "SOPClassUID", str(kind))
    put(elements, "ConversionType", "DI")
    if not text_of(elements, "ImageType"):
        put(elements, "ImageType", "DERIVED\\SECONDARY")
    for keyword in ("Laterality", "PatientOrientation"):  # type 2C of General Series and General Image
        if tag_for_keyword(keyword) not in elements:
            put(elements, keyword, "")
    if PIXEL_DATA not in elements:
        say("there are no pixels")
    for keyword in ("ImagePosition", "ImageOrientation", "Location"):  # retired with ACR-NEMA
        elements.pop(int(tag_for_keyword(keyword) or 0), None)


def make_multi_frame(elements: Elements, *, wide: bool) -> None:
    """Add what many frames of one Secondary Capture ask for (PS3.3 C.8.6.3): a page vector, plain values."""
    put(elements, "BurnedInAnnotation", "YES")
    frames, pointer = number_of(elements, "NumberOfFrames"), int(tag_for_keyword("FrameIncrementPointer") or 0)
    elements[pointer] = Element(pointer, "AT", memoryview(b"\x18\x00\x65\x10"))  # at the Frame Time Vector
    put(elements, "FrameTimeVector", "\\".join(["0"] + ["1000"] * (frames - 1)))
    if wide:
        put(elements, "RescaleIntercept", "0")
        put(elements, "RescaleSlope", "1")
        put(elements, "RescaleType", "US")
    put(elements, "PresentationLUTShape", "IDENTITY")


def _complete_uids(elements: Elements, say: Say) -> None:
    """Derive the UIDs of study and series from what else tells them apart."""
    who = [text_of(elements, keyword) for keyword in ("PatientID", "PatientName", "StudyDate", "StudyTime", "StudyID")]
    which = [text_of(elements, keyword) for keyword in ("Modality", "SeriesNumber", "SeriesDate", "SeriesTime")]
    own = text_of(elements, "SOPInstanceUID")
    if not text_of(elements, "StudyInstanceUID"):
        put(elements, "StudyInstanceUID", derived_uid("study", *(who if any(who) else [own])))
        say("StudyInstanceUID: absent; one was derived")
    if not text_of(elements, "SeriesInstanceUID"):
        study = text_of(elements, "StudyInstanceUID")
        put(elements, "SeriesInstanceUID", derived_uid("series", study, *which))
        say("SeriesInstanceUID: absent; one was derived")


def contribution(said: str) -> Element:
    """An item of Contributing Equipment that tells what photopeak did to the object (PS3.3 C.12.1.1.5)."""
    code: Elements = {}
    put(code, "CodeValue", "109103")
    put(code, "CodingSchemeDesignator", "DCM")
    put(code, "CodeMeaning", "Modifying Equipment")
    item: Elements = {}
    put(item, "Manufacturer", "photopeak")
    put(item, "ContributionDescription", said)
    purpose = int(tag_for_keyword("PurposeOfReferenceCodeSequence") or 0)
    item[purpose] = Element(purpose, "SQ", memoryview(b""), [[code[tag] for tag in sorted(code)]])
    tag = int(tag_for_keyword("ContributingEquipmentSequence") or 0)
    return Element(tag, "SQ", memoryview(b""), [[item[each] for each in sorted(item)]])


__all__ = ["EMPTY", "EncapsulatedPDFStorage", "complete", "contribution", "describe_pixels", "put", "text_of"]
