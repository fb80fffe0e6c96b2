"""A copy that lost something: another object with its own UID, which says what it came from (PS3.3 C.7.6.1.1.5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydicom import Dataset, uid
from pydicom.sequence import Sequence

from core.dicom.codecs import compressed, decoded, inflated, raster
from core.dicom.codecs.raster import Raster, Unpictured
from core.dicom.codecs.rewriting import (
    EXPLICIT,
    PIXEL_DATA,
    Encoding,
    Piece,
    element,
    elements,
    encoding_of,
    rewritten,
)
from core.dicom.codecs.table import LOSSY, Loss
from core.dicom.encoding import encoded
from core.errors import Refused

_SOP_CLASS, _SOP_INSTANCE, _IMAGE_TYPE = 0x00080016, 0x00080018, 0x00080008
_LOSSY_RATIO, _LOSSY_METHOD = 0x00282112, 0x00282114
_METHOD = "ISO_15444_1"
_GRAY = ("MONOCHROME1", "MONOCHROME2")


@dataclass(frozen=True, slots=True)
class Derived:
    """A lossy copy: its dataset in JPEG 2000, its UID, and what it cost."""

    dataset: bytes
    sop_uid: str
    ratio: float
    psnr_db: float | None  # None where nothing was lost after all


def derive(data: memoryview, stored: str, loss: Loss, new_uid: str) -> Derived:
    """Return a lossy copy of an object's dataset.

    Raises
    ------
    Unpictured
        It has no pixels that may lose anything: none, coded colours, or other cells than of 8 or 16 bits.
    """
    plain, picture = _picture(data, stored)
    source, colour = encoding_of(stored), picture.shape.samples > 1
    pixels = compressed(picture, LOSSY, loss)
    ratio = picture.shape.size / sum(map(len, pixels))
    said = _values(plain, source)
    changes = _described(said, new_uid, ratio)
    changes[PIXEL_DATA] = pixels
    if colour:
        changes[raster.PHOTOMETRIC] = element(raster.PHOTOMETRIC, b"CS", [b"YBR_ICT "], EXPLICIT)
        changes[raster.PLANAR] = element(raster.PLANAR, b"US", [b"\0\0"], EXPLICIT)
    out = rewritten(plain, source, EXPLICIT, changes)
    return Derived(out, new_uid, ratio, _psnr(picture, out))


def may_lose(data: memoryview, stored: str) -> bool:
    """Whether an object has pixels that may be a little wrong."""
    try:
        _picture(data, stored)
    except Refused:
        return False
    return True


def _picture(data: memoryview, stored: str) -> tuple[memoryview, Raster]:
    plain = inflated(data) if stored == uid.DeflatedExplicitVRLittleEndian else data
    picture = decoded(plain, stored, raster.header_of(plain, encoding_of(stored)))
    shape = picture.shape
    if shape.allocated not in (8, 16) or shape.photometric not in (("RGB",) if shape.samples > 1 else _GRAY):
        raise Unpictured(f"{shape.photometric} pixels of {shape.allocated} bits are not compressed with loss")
    return plain, picture


def _values(data: memoryview, encoding: Encoding) -> dict[int, str]:
    wanted = {_SOP_CLASS, _SOP_INSTANCE, _IMAGE_TYPE, _LOSSY_RATIO, _LOSSY_METHOD}
    found = (each for each in elements(data, encoding) if each.tag in wanted)
    return {each.tag: bytes(data[each.value : each.end]).decode("ascii", "replace").strip(" \0") for each in found}


def _described(said: dict[int, str], new_uid: str, ratio: float) -> dict[int, list[Piece]]:
    """Return the elements that tell a lossy copy from what it was made of, by tag."""
    told = Dataset()
    told.ImageType = ["DERIVED", *(said.get(_IMAGE_TYPE) or "ORIGINAL\\PRIMARY").split("\\")[1:]]
    told.SOPInstanceUID = new_uid
    told.DerivationDescription = f"JPEG 2000 with loss, {ratio:.1f}:1"
    told.SourceImageSequence = Sequence([_source(said)])
    told.DerivationCodeSequence = Sequence([_code("113040", "Lossy Compression")])
    told.LossyImageCompression = "01"
    told.LossyImageCompressionRatio = [*filter(None, said.get(_LOSSY_RATIO, "").split("\\")), f"{ratio:.2f}"]
    told.LossyImageCompressionMethod = [*filter(None, said.get(_LOSSY_METHOD, "").split("\\")), _METHOD]
    written = memoryview(encoded(told, uid.ExplicitVRLittleEndian))
    return {each.tag: [written[each.start : each.end]] for each in elements(written, EXPLICIT)}


def _source(said: dict[int, str]) -> Dataset:
    source = Dataset()
    source.ReferencedSOPClassUID = said.get(_SOP_CLASS, "")
    source.ReferencedSOPInstanceUID = said.get(_SOP_INSTANCE, "")
    source.PurposeOfReferenceCodeSequence = Sequence([_code("121320", "Uncompressed predecessor")])
    return source


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code


def _psnr(picture: Raster, dataset: bytes) -> float | None:
    """Return the peak signal-to-noise ratio of a copy in dB, its peak the range of the values there were."""
    data = memoryview(dataset)
    again = decoded(data, uid.JPEG2000, raster.header_of(data, EXPLICIT))
    before, after = (np.stack(list(each.frames())).astype(np.float64) for each in (picture, again))
    noise = float(np.mean((before - after) ** 2))
    span = float(np.ptp(before)) or 1.0
    return 20 * float(np.log10(span / np.sqrt(noise))) if noise else None
