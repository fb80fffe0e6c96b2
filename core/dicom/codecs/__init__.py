"""Objects from one transfer syntax to another, their pixels untouched.

Only lossless ways are taken, and only the pixel data and what describes them change: all other elements keep their
bytes. A way back gives the bytes there were. What may lose something is a new object: see `derive`.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import uid
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from core.dicom.codecs import jpeg, raster
from core.dicom.codecs.raster import Header, Raster, Shape, Unpictured
from core.dicom.codecs.rewriting import (
    EXPLICIT,
    PIXEL_DATA,
    Encoding,
    Piece,
    element,
    encoding_of,
    rewritten,
)
from core.dicom.codecs.table import LOSSLESS_BY_SYNTAX, Codec, Loss
from core.errors import Refused

__all__ = ["compressed", "converted", "decoded", "inflated", "transcode", "transcoded"]

_SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"
_LARGEST_INFLATED = 1 << 31
_LARGEST_OFFSET = 1 << 32
_LEVEL = 6
_LOSSY_JPEG = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)

jpeg.introduce()


def transcode(path: Path, offset: int, stored_syntax: str, wanted: Collection[str]) -> tuple[str, bytes]:
    """Return an object's dataset in the first of the `wanted` transfer syntaxes that can hold it without loss.

    Parameters
    ----------
    path, offset
        Its file, and where the dataset begins, behind the file meta.
    stored_syntax
        The transfer syntax it is stored in.
    wanted
        Transfer syntaxes, the best first; one that is stored already comes before all.

    Raises
    ------
    Refused
        None of them can; the text says why.
    """
    return transcoded(memoryview(path.read_bytes())[offset:], stored_syntax, wanted)


def transcoded(data: memoryview, stored_syntax: str, wanted: Collection[str]) -> tuple[str, bytes]:
    """Do as `transcode` does with the bytes of a dataset."""
    if stored_syntax in wanted:
        return stored_syntax, bytes(data)
    reason = "no transfer syntax is asked for"
    for syntax in wanted:
        try:
            return syntax, converted(data, stored_syntax, syntax)
        except Refused as error:
            reason = error.detail
    raise Refused(f"the object cannot be had in the transfer syntax asked for: {reason}")


def converted(data: memoryview, stored: str, target: str, *, pixel_vr: bytes = b"") -> bytes:
    """Return a dataset in another transfer syntax.

    `pixel_vr` is the VR of native pixels of one byte, which may be OB or OW; by itself it is OB (PS3.5 A.2).

    Raises
    ------
    Refused
        It cannot be without loss, or what is stored cannot be read.
    """
    codec = LOSSLESS_BY_SYNTAX.get(target)
    if codec is None and UID(target).is_compressed and target != uid.DeflatedExplicitVRLittleEndian:
        raise Refused(f"{UID(target).name} is not written here without loss")
    source, to = encoding_of(stored), encoding_of(target)
    plain = inflated(data) if stored == uid.DeflatedExplicitVRLittleEndian else data
    changes: dict[int, list[Piece]] = {}
    writes = codec is not None and codec.encode is not None
    if writes or _is_encapsulated(stored):
        header = raster.header_of(plain, source)
        picture = decoded(plain, stored, header)
        changes = _compressed(picture, codec) if codec and writes else _native(picture, header, to, pixel_vr)
    out = rewritten(plain, source, to, changes)
    return _deflated(out) if target == uid.DeflatedExplicitVRLittleEndian else out


def _is_encapsulated(syntax: str) -> bool:
    return bool(UID(syntax).is_encapsulated)


# -- compressing -----------------------------------------------------------------------------------------------------


def _compressed(picture: Raster, codec: Codec) -> dict[int, list[Piece]]:
    changes = {PIXEL_DATA: compressed(picture, codec, Loss())}
    if picture.shape.planar:
        changes[raster.PLANAR] = element(raster.PLANAR, b"US", [b"\0\0"], EXPLICIT)
    return changes


def compressed(picture: Raster, codec: Codec, loss: Loss) -> list[Piece]:
    """Return the pixel data element of a picture, encapsulated with a basic offset table (PS3.5 A.4)."""
    if codec.encode is None:
        raise Refused(f"{codec.title} holds whole datasets, no frames")
    try:
        frames = [codec.encode(frame, picture.shape, loss) for frame in picture.frames()]
    except (RuntimeError, ValueError) as error:
        raise Refused(f"{codec.title} does not take the object's pixels") from error
    table = sum(len(frame) + 9 for frame in frames) < _LARGEST_OFFSET
    value = encapsulate(frames, has_bot=table)
    return element(PIXEL_DATA, b"OB", [value, _SEQUENCE_END], EXPLICIT, undefined=True)


# -- decompressing ---------------------------------------------------------------------------------------------------


def decoded(data: memoryview, syntax: str, header: Header) -> Raster:
    """Return the pixels of a dataset as the native transfer syntaxes have them, little endian.

    Raises
    ------
    Unpictured
        There are none, or no decoder reads them.
    """
    pixels, shape = header.pixels, header.shape
    if pixels is None:
        raise Unpictured("the object has no pixels to compress or decode")
    value = data[pixels.value : pixels.end]
    if not pixels.undefined:
        if encoding_of(syntax).big and pixels.vr == b"OW":
            return Raster(shape, np.frombuffer(value, "u2").byteswap().tobytes())
        return Raster(shape, value)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a stranger's padding; the pixels decide
            native, photometric = _native_cells(bytes(value[: -len(_SEQUENCE_END)]), syntax, shape)
    except Exception as error:  # codecs raise anything on broken bytes, and any of it means this
        raise Unpictured(f"its {UID(syntax).name} pixels cannot be decoded ({type(error).__name__})") from error
    if len(native) != shape.size:
        raise Unpictured("the object has not as many pixels as it says")
    told = {name: getattr(shape, name) for name in Shape.__dataclass_fields__}
    return Raster(Shape(**{**told, "photometric": photometric, "planar": False}), native)


def _native_cells(value: bytes, syntax: str, shape: Shape) -> tuple[bytes, str]:
    """Decode all frames by pydicom's plugins; return their cells, and the photometric interpretation they have then."""
    options: dict[str, Any] = {
        "rows": shape.rows, "columns": shape.columns, "samples_per_pixel": shape.samples,
        "bits_allocated": shape.allocated, "bits_stored": shape.stored, "number_of_frames": shape.frames,
        "photometric_interpretation": shape.photometric, "pixel_representation": int(shape.signed),
        "planar_configuration": int(shape.planar), "pixel_keyword": "PixelData", "correct_unused_bits": False,
    }  # fmt: skip
    raw = shape.samples > 1 and syntax not in _LOSSY_JPEG  # a JPEG's colours are given as red, green, blue
    kind = f"{'i' if shape.signed else 'u'}{shape.allocated // 8}"
    array, meta = get_decoder(UID(syntax)).as_array(value, raw=raw, **options)
    return array.astype(f"<{kind}").tobytes(), str(meta["photometric_interpretation"])


def _native(picture: Raster, header: Header, to: Encoding, pixel_vr: bytes) -> dict[int, list[Piece]]:
    """Return the elements of native pixels, and of the description where decoding changed it."""
    shape = picture.shape
    vr = pixel_vr or (b"OB" if shape.allocated <= 8 and not to.implicit else b"OW")  # noqa: PLR2004 - a byte
    value = bytes(picture.value) + b"\0" * (len(picture.value) % 2)
    if to.big and vr == b"OW":
        value = np.frombuffer(value, "u2").byteswap().tobytes()
    changes = {PIXEL_DATA: element(PIXEL_DATA, vr, [value], to)}
    if shape.photometric != header.shape.photometric:
        text = shape.photometric.encode("ascii")
        changes[raster.PHOTOMETRIC] = element(raster.PHOTOMETRIC, b"CS", [text + b" " * (len(text) % 2)], to)
    if header.shape.planar:
        changes[raster.PLANAR] = element(raster.PLANAR, b"US", [b"\0\0"], to)
    return changes


# -- deflating -------------------------------------------------------------------------------------------------------


def inflated(data: memoryview) -> memoryview:
    """Inflate a dataset (PS3.5 A.5); raises Refused when it is broken or too large to hold."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        out = inflater.decompress(data, _LARGEST_INFLATED)
    except zlib.error as error:
        raise Refused("the deflated object is broken: have it sent again") from error
    if not inflater.eof:
        raise Refused("the deflated object breaks off, or is too large to be inflated")
    return memoryview(out)


def _deflated(data: bytes) -> bytes:
    deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    out = deflater.compress(data) + deflater.flush()
    return out + b"\0" * (len(out) % 2)
