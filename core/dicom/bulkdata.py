"""Give out parts of a stored object: a frame as its file holds it, a frame uncompressed, one element's bytes.

Only what is asked for is read: an object of a thousand frames gives its last one without the others.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from core.dicom.header import Found, dataset_of, scan, tag_of
from core.dicom.objects import dataset_start
from core.dicom.pixels import Undecodable
from core.errors import NotFound

PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
PLAIN = str(ExplicitVRLittleEndian)
_PATH = "a tag of eight hexadecimal digits, with items between slashes, such as 00283010/1/00283006"
_SHORT_HEAD, _LONG_HEAD = 8, 12  # tag, VR and length of an element (PS3.5 7.1)
_OPEN_ENDED = 0xFFFFFFFF
_STRAIGHT = frozenset({PLAIN, str(ImplicitVRLittleEndian)})
_PIXEL_DATA = 0x7FE00010
_NUMBERS = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated")
_SAID = frozenset(map(tag_of, (*_NUMBERS, "NumberOfFrames")))
_TRANSFER_SYNTAX = b"\x02\x00\x10\x00UI"
_LONGEST_META, _SHORTEST_FILE = 1 << 16, 132

# The media a compressed frame is told as (PS3.18 Table 8.7.3-5).
_MEDIA = {
    "1.2.840.10008.1.2.5": "image/dicom-rle",
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70)), "image/jpeg"),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{n}" for n in (80, 81)), "image/jls"),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{n}" for n in (90, 91)), "image/jp2"),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{n}" for n in (92, 93)), "image/jpx"),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{n}" for n in (201, 202, 203)), "image/jphc"),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{n}" for n in (110, 111, 112)), "image/jxl"),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{n}" for n in ("100", "100.1", "101", "101.1")), "video/mpeg"),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{n}" for n in range(102, 109)), "video/mp4"),
}
BYTES = "application/octet-stream"


def media_of(syntax: str) -> str:
    """Return the media type of frames as a transfer syntax holds them."""
    return _MEDIA.get(syntax, BYTES)


class StoredObject:
    """An object's file: its header, and where its pixels begin; plain ones are told without reading the header."""

    def __init__(self, path: Path, *, with_header: bool = False) -> None:
        """Look at a file that has its file meta, as every file of the archive has; `with_header`: it is wanted too."""
        self.path = path
        self._numbers = None if with_header else _Plain.of(path)
        if self._numbers is not None:
            plain = self._numbers
            self.syntax, self._tag, self._vr = plain.syntax, plain.tag, plain.vr
            self._length, self._begin = plain.length, plain.begin
        else:
            self._read()

    def _read(self) -> None:
        with self.path.open("rb") as file:
            self.header = pydicom.dcmread(file, stop_before_pixels=True, force=True)
            self.syntax = str(self.header.file_meta.get("TransferSyntaxUID", ImplicitVRLittleEndian))
            deflated = UID(self.syntax).is_deflated
            self._tag, self._vr, self._length, self._begin = (
                (0, "", 0, 0) if deflated else _pixels_at(file, self.syntax)
            )
        if deflated:
            self.header = pydicom.dcmread(self.path, force=True)
            self._tag = next((int(tag) for tag in self.header.keys() & PIXEL_TAGS), 0)

    @cached_property
    def header(self) -> Dataset:
        """All that stands before the pixels."""
        return pydicom.dcmread(self.path, stop_before_pixels=True, force=True)

    @property
    def frames(self) -> int:
        """How many frames there are; 0 without pixels."""
        if self._numbers is not None:
            return self._numbers.frames
        try:
            return max(1, int(self.header.get("NumberOfFrames") or 1)) if self._tag else 0
        except (TypeError, ValueError):
            return 1

    @property
    def compressed(self) -> bool:
        """Whether the frames are compressed each by itself."""
        return self._length == _OPEN_ENDED

    @property
    def pixel_element(self) -> tuple[str, str] | None:
        """Tag and VR of the pixels, which the header leaves out; None where there are none, or the header has them."""
        apart = self._numbers is not None or self._tag not in self.header
        return (f"{self._tag:08X}", self._vr) if self._tag and apart else None

    def stored(self, index: int) -> bytes:
        """Return a frame as its transfer syntax has it; uncompressed ones as Explicit VR Little Endian does."""
        self._demand(index)
        if not self.compressed:
            return self.plain(index)
        with self.path.open("rb") as file:
            file.seek(self._begin)
            try:
                return get_frame(file, index, number_of_frames=self.frames)
            except Exception as error:
                raise Undecodable(
                    f"frame {index + 1} cannot be found ({type(error).__name__}): the object is kept as it came"
                ) from error

    def plain(self, index: int) -> bytes:
        """Return a frame uncompressed, little endian, as the stored values are (no rescaling), colour by pixel.

        Raises
        ------
        NotFound
            There is no such frame.
        Undecodable
            It cannot be decoded.
        """
        self._demand(index)
        bits = self._frame_bits()
        if self.syntax in _STRAIGHT and self._length != _OPEN_ENDED and bits % 8 == 0:
            return self._slice(index, bits // 8)
        decoded = self._decoded(index)
        if int(self.header.get("BitsAllocated") or 8) == 1:
            return np.packbits(decoded.reshape(-1), bitorder="little").tobytes()
        return decoded.astype(decoded.dtype.newbyteorder("<")).tobytes()

    def value(self, path: str) -> bytes:
        """Return the bytes of an element, named by its path as `json_model` has it; pixels are uncompressed."""
        tags = path.upper().split("/")
        if len(tags) == 1 and self.pixel_element and tags[0] == self.pixel_element[0]:
            return b"".join(self.plain(index) for index in range(self.frames))
        try:
            dataset: Dataset = self.header
            for tag, item in zip(tags[0:-1:2], tags[1::2], strict=True):
                dataset = dataset[int(tag, 16)].value[int(item) - 1]
            value = dataset[int(tags[-1], 16)].value
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise NotFound(f"the object has no element there; a path is {_PATH}") from error
        if not isinstance(value, bytes):
            raise NotFound("this element has no bytes of its own: read it from the metadata")
        return value

    def _demand(self, index: int) -> None:
        if not 0 <= index < self.frames:
            raise NotFound(f"there is no frame {index + 1}; the object has {self.frames}, counted from 1")

    def _frame_bits(self) -> int:
        if self._numbers is not None:
            return self._numbers.frame_bits
        said = (self.header.get(name) for name in ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated"))
        rows, columns, samples, allocated = (int(value or 1) for value in said)
        if self.header.get("PhotometricInterpretation") == "YBR_FULL_422":
            return rows * columns * 2 * allocated  # chrominance is halved across (PS3.3 C.7.6.3.1.2)
        return rows * columns * samples * allocated

    def _slice(self, index: int, length: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self._begin + index * length)
            piece = file.read(length)
        if len(piece) < length:
            raise Undecodable(f"frame {index + 1} is cut short; ask its device to send the object again")
        return piece

    def _decoded(self, index: int) -> np.ndarray[Any, np.dtype[Any]]:
        source: Any = self.header if UID(self.syntax).is_deflated else self.path
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pydicom warns of a stranger's padding and lengths
                return pixel_array(source, index=index)
        except Exception as error:
            raise Undecodable(
                f"frame {index + 1} cannot be decoded here ({type(error).__name__}): ask for transfer-syntax=*"
            ) from error


@dataclass(frozen=True, slots=True)
class _Plain:
    """What an object of one uncompressed sample a pixel says of its frames, and where their bytes lie."""

    syntax: str
    tag: int
    vr: str
    length: int
    begin: int
    frames: int
    frame_bits: int

    @classmethod
    def of(cls, path: Path) -> _Plain | None:
        """Look for it in a file; None where it is not as plain as that, and the header must be read."""
        if path.stat().st_size < _SHORTEST_FILE:
            return None
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as view:
            head = view[:_LONGEST_META]
            begin = dataset_start(head)
            syntax = _syntax_of(head[:begin])
            found = scan(view, begin, len(view), syntax) if syntax in _STRAIGHT else None
        if found is None or list(found.pixels) != [_PIXEL_DATA] or found.pixels[_PIXEL_DATA] is None:
            return None
        said = dataset_of(Found({tag: found.elements[tag] for tag in _SAID & found.elements.keys()}, {}, {}), syntax)
        try:
            rows, columns, samples, bits = (int(said[name].value) for name in _NUMBERS)
            frames = max(1, int(said.get("NumberOfFrames") or 1))
        except (KeyError, ValueError, TypeError):
            return None
        vr, at = found.places[_PIXEL_DATA]
        length = found.pixels[_PIXEL_DATA] or 0
        plain = cls(syntax, _PIXEL_DATA, vr.decode() or "OW", length, at, frames, rows * columns * bits)
        return plain if samples == 1 and bits % 8 == 0 else None


def _syntax_of(meta: bytes) -> str:
    at = meta.find(_TRANSFER_SYNTAX)
    if at < 0:
        return ""
    begin = at + len(_TRANSFER_SYNTAX) + 2
    value = meta[begin : begin + int.from_bytes(meta[begin - 2 : begin], "little")]
    return value.decode("ascii", "replace").strip("\0 ")


def pieces(stored: StoredObject) -> Iterator[bytes]:
    """Yield the frames uncompressed, one at a time."""
    return (stored.plain(index) for index in range(stored.frames))


def _pixels_at(file: BinaryIO, syntax: str) -> tuple[int, str, int, int]:
    """Tag, VR, length and place of the value of the pixel element `file` stands at; zeros where it is at its end."""
    head = file.read(_LONG_HEAD)
    order: Any = "big" if syntax == ExplicitVRBigEndian else "little"
    tag = int.from_bytes(head[:2], order) << 16 | int.from_bytes(head[2:4], order)
    if len(head) < _SHORT_HEAD or tag not in PIXEL_TAGS:
        return 0, "", 0, 0
    if syntax == ImplicitVRLittleEndian:
        return tag, "OW", int.from_bytes(head[4:8], order), file.tell() - len(head) + _SHORT_HEAD
    return tag, head[4:6].decode("ascii", "replace"), int.from_bytes(head[8:12], order), file.tell()
