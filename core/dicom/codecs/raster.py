"""The pixels of an object as bytes, and what the object says of their shape (PS3.3 C.7.6.3, PS3.5 8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.dicom.codecs.rewriting import PIXEL_DATA, Element, Encoding, elements
from core.errors import Refused

SAMPLES, PHOTOMETRIC, PLANAR, FRAMES = 0x00280002, 0x00280004, 0x00280006, 0x00280008
ROWS, COLUMNS, ALLOCATED, STORED, HIGH, REPRESENTATION = (
    0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102, 0x00280103,
)  # fmt: skip
_NUMBERS = (SAMPLES, PLANAR, ROWS, COLUMNS, ALLOCATED, STORED, HIGH, REPRESENTATION)
_BYTE, _WORD = 8, 16


class Unpictured(Refused):
    """The object has no pixels, or none that fit their own description."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What an object says of its pixels; numbers it lacks are 0, or 1 where the standard means one."""

    rows: int
    columns: int
    frames: int
    samples: int
    allocated: int
    stored: int
    high: int
    signed: bool
    planar: bool
    photometric: str

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame, native."""
        return self.rows * self.columns * self.samples * self.allocated // 8

    @property
    def size(self) -> int:
        """Bytes of all frames, native, without padding."""
        return self.frame_bytes * self.frames


@dataclass(frozen=True, slots=True)
class Header:
    """The elements of a dataset that describe its pixels, and where the pixels are."""

    shape: Shape
    pixels: Element | None


def header_of(data: memoryview, encoding: Encoding) -> Header:
    """Find the pixels of a dataset and their description; raises Unwalkable where its elements cannot be followed."""
    found: dict[int, Element] = {}
    for each in elements(data, encoding):
        found[each.tag] = each
    return Header(_shape(data, encoding, found), found.get(PIXEL_DATA))


def _shape(data: memoryview, encoding: Encoding, found: Mapping[int, Element]) -> Shape:
    def number(tag: int) -> int:
        one = found.get(tag)
        return int.from_bytes(data[one.value : min(one.end, one.value + 2)], encoding.order) if one else 0

    def text(tag: int) -> str:
        one = found.get(tag)
        return bytes(data[one.value : one.end]).decode("ascii", "replace").strip(" \0") if one else ""

    frames = text(FRAMES)
    samples, planar, rows, columns, allocated, stored, high, representation = map(number, _NUMBERS)
    return Shape(
        rows=rows, columns=columns, frames=max(1, int(frames)) if frames.isdigit() else 1, samples=samples or 1,
        allocated=allocated, stored=stored or allocated, high=high, signed=representation == 1, planar=planar == 1,
        photometric=text(PHOTOMETRIC),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Raster:
    """Native pixels, little endian, colour by pixel unless the shape says by plane."""

    shape: Shape
    value: bytes | memoryview

    def frames(self) -> Iterator[NDArray[Any]]:
        """Yield frames of 8 or 16 bits: (row, column) or (row, column, sample), signed as the object says.

        Raises
        ------
        Unpictured
            There are more or fewer bytes than the description asks for, or cells of another size.
        """
        shape = self.shape
        if shape.allocated not in (_BYTE, _WORD) or shape.samples not in (1, 3) or not shape.size:
            raise Unpictured(
                f"pixels of {shape.samples} samples in {shape.allocated} bits are not compressed as pictures"
            )
        if len(self.value) - shape.size not in (0, shape.size % 2):
            raise Unpictured("the object has not as many pixels as it says")
        kind = np.dtype(f"{'i' if shape.signed else 'u'}{shape.allocated // 8}").newbyteorder("<")
        for start in range(0, shape.size, shape.frame_bytes):
            flat = np.frombuffer(self.value, kind, shape.frame_bytes // kind.itemsize, start)
            yield self._shaped(flat)

    def _shaped(self, flat: NDArray[Any]) -> NDArray[Any]:
        shape = self.shape
        if shape.samples == 1:
            return flat.reshape(shape.rows, shape.columns)
        if shape.planar:
            return np.ascontiguousarray(flat.reshape(shape.samples, shape.rows, shape.columns).transpose(1, 2, 0))
        return flat.reshape(shape.rows, shape.columns, shape.samples)
