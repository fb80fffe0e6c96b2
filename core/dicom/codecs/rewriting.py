"""Rewrite a dataset in another encoding without reading its values.

Headers, byte order and what is replaced change; every other value travels as it is, broken or not. A dataset that is
rewritten and rewritten back is the same byte for byte, which is what lets the archive prove a compressed file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.uid import UID

from core.errors import Refused

Piece = bytes | memoryview

UNDEFINED = 0xFFFFFFFF
PIXEL_DATA = 0x7FE00010
_PIXEL_REPRESENTATION = 0x00280103
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_SHORT = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
)  # PS3.5 7.1.2: two bytes of length; all others, also those to come, have four
_LONGEST_SHORT = 0xFFFF
_WORD = {b"US": 2, b"SS": 2, b"OW": 2, b"AT": 2, b"UL": 4, b"SL": 4, b"FL": 4, b"OF": 4, b"OL": 4} | dict.fromkeys(
    (b"FD", b"OD", b"OV", b"SV", b"UV"), 8
)
_AMBIGUOUS = {"OB or OW": b"OW", "US or OW": b"OW", "US or SS or OW": b"OW"}
_DEEPEST = 64


class Unwalkable(Refused):
    """The elements of a dataset do not follow each other as its transfer syntax says."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How elements are written (PS3.5 7.1, 7.3)."""

    implicit: bool = False
    big: bool = False

    @property
    def order(self) -> Literal["little", "big"]:
        """The byte order, as int has it."""
        return "big" if self.big else "little"


IMPLICIT, EXPLICIT, BIG = Encoding(implicit=True), Encoding(), Encoding(big=True)


def encoding_of(syntax: str) -> Encoding:
    """Return the encoding of a transfer syntax; that of a deflated one is what inflating it gives."""
    uid = UID(syntax)
    return Encoding(implicit=uid.is_implicit_VR, big=not uid.is_little_endian)


@dataclass(frozen=True, slots=True)
class Element:
    """An element of a dataset: its tag, its VR, where header, value and all of it begin or end, in bytes."""

    tag: int
    vr: bytes
    start: int
    value: int
    end: int
    undefined: bool


def elements(data: memoryview, encoding: Encoding) -> Iterator[Element]:
    """Yield the elements of a dataset, not those inside sequences; zeros at its end are no element.

    Raises
    ------
    Unwalkable
        One breaks off, or is none.
    """
    return _Walk(data, encoding).elements(0, len(data))


def rewritten(
    data: memoryview, source: Encoding, target: Encoding, replaced: Mapping[int, list[Piece]] | None = None
) -> bytes:
    """Return a dataset in another encoding; `replaced` holds whole elements in that encoding, by tag, [] to leave out.

    Raises
    ------
    Unwalkable
        The dataset is not in the encoding it should be in.
    """
    return b"".join(_Rewriter(_Walk(data, source), target).dataset(replaced or {}))


def element(tag: int, vr: bytes, value: list[Piece], encoding: Encoding, *, undefined: bool = False) -> list[Piece]:
    """Return an element as `encoding` writes it; the delimiter of one of undefined length is the value's own last."""
    length = UNDEFINED if undefined else sum(map(len, value))
    return [_header(tag, vr, length, encoding), *value]


def _header(tag: int, vr: bytes, length: int, encoding: Encoding) -> bytes:
    order = ">" if encoding.big else "<"
    group, number = tag >> 16, tag & 0xFFFF
    if encoding.implicit:
        return struct.pack("<HHI", group, number, length)
    if vr in _SHORT and length <= _LONGEST_SHORT:
        return struct.pack(order + "HH2sH", group, number, vr, length)
    return struct.pack(order + "HH2sxxI", group, number, b"UN" if vr in _SHORT else vr, length)


# -- walking ---------------------------------------------------------------------------------------------------------


class _Walk:
    """Finds elements in the bytes of a dataset."""

    def __init__(self, data: memoryview, encoding: Encoding) -> None:
        self.data, self.encoding = data, encoding
        order = ">" if encoding.big else "<"
        self._tag, self._short, self._long = (struct.Struct(order + each) for each in ("HH", "H", "I"))

    def elements(self, at: int, end: int, depth: int = 0, *, to_delimiter: bool = False) -> Iterator[Element]:
        """Yield elements from `at` to `end`, or to the delimiter of an item."""
        while at < end:
            tag = self.tag(at, end)
            if tag == _ITEM_END and to_delimiter:
                return
            if not tag and not any(self.data[at:end]):
                return
            found = self._element(tag, at, end, depth)
            yield found
            at = found.end
        if to_delimiter:
            raise Unwalkable("an item of the object does not end: have it sent again")

    def tag(self, at: int, end: int) -> int:
        """Return the tag at a place; what is too short for one counts as none if it is zeros."""
        if at + 8 > end:
            if any(self.data[at:end]):
                raise Unwalkable("the object breaks off inside an element: have it sent again")
            return 0
        group, number = self._tag.unpack_from(self.data, at)
        return int(group) << 16 | int(number)

    def _element(self, tag: int, at: int, end: int, depth: int) -> Element:
        vr, length, value = self._head(tag, at)
        if length != UNDEFINED:
            if value + length > end:
                raise Unwalkable("an element of the object is longer than the object: have it sent again")
            return Element(tag, vr, at, value, value + length, undefined=False)
        inside = self if vr != b"UN" or self.encoding.implicit else _Walk(self.data, IMPLICIT)  # PS3.5 6.2.2
        return Element(tag, vr, at, value, inside.items_end(value, end, depth + 1), undefined=True)

    def _head(self, tag: int, at: int) -> tuple[bytes, int, int]:
        """Read the header at a place: VR (empty where none is written), length, and where the value begins."""
        if self.encoding.implicit:
            return b"", self._long.unpack_from(self.data, at + 4)[0], at + 8
        vr = bytes(self.data[at + 4 : at + 6])
        if vr in _SHORT:
            return vr, self._short.unpack_from(self.data, at + 6)[0], at + 8
        if not (vr.isalpha() and vr.isupper()) or at + 12 > len(self.data):
            raise Unwalkable(f"element {tag:08X} of the object has no value representation: have it sent again")
        return vr, self._long.unpack_from(self.data, at + 8)[0], at + 12

    def items(self, at: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield where the items of a sequence begin, and how long each says it is; the last is its delimiter if any."""
        while at < end:
            tag, length = self.tag(at, end), self._long.unpack_from(self.data, at + 4)[0]
            if tag == _SEQUENCE_END:
                yield at, -1
                return
            if tag != _ITEM:
                raise Unwalkable("a sequence of the object holds what is no item: have it sent again")
            yield at, length
            at = self.item_end(at, length, end, 0)

    def item_end(self, at: int, length: int, end: int, depth: int) -> int:
        """Return where an item ends, with its delimiter."""
        if length != UNDEFINED:
            return min(at + 8 + length, end + 1)
        if depth > _DEEPEST:
            raise Unwalkable("the sequences of the object are nested without end: have it sent again")
        last = at + 8
        for each in self.elements(last, end, depth, to_delimiter=True):
            last = each.end
        return last + 8

    def items_end(self, at: int, end: int, depth: int) -> int:
        """Return where a sequence of undefined length ends, with its delimiter."""
        while at + 8 <= end:
            tag, length = self.tag(at, end), self._long.unpack_from(self.data, at + 4)[0]
            if tag == _SEQUENCE_END:
                return at + 8
            if tag != _ITEM:
                break
            at = self.item_end(at, length, end, depth)
        raise Unwalkable("a sequence of the object does not end: have it sent again")


# -- rewriting -------------------------------------------------------------------------------------------------------


@dataclass
class _Group:
    """A group whose length stands before it (PS3.5 7.2): it grows and shrinks with what it holds."""

    number: int
    place: int
    stated: int
    grown: int = 0


@dataclass
class _Rewriter:
    walk: _Walk
    target: Encoding
    signed: list[bool] = field(default_factory=lambda: [False])

    def dataset(self, replaced: Mapping[int, list[Piece]]) -> list[Piece]:
        """Return the pieces of the whole dataset."""
        data, end = self.walk.data, len(self.walk.data)
        return self._elements(self.walk.elements(0, end), replaced, data)

    def _elements(
        self, found: Iterator[Element], replaced: Mapping[int, list[Piece]], whole: memoryview | None = None
    ) -> list[Piece]:
        out: list[Piece] = []
        waiting, group, last = sorted(replaced), None, 0
        for each in found:
            while waiting and waiting[0] < each.tag:
                out += replaced[waiting.pop(0)]
            group = self._in_group(group, each, out)
            instead = waiting and waiting[0] == each.tag
            pieces = list(replaced[waiting.pop(0)]) if instead else self._element(each)
            if group and each.tag & 0xFFFF:
                group.grown += sum(map(len, pieces)) - (each.end - each.start)
            out += pieces
            last = each.end
        self._close(group, out)
        for tag in waiting:
            out += replaced[tag]
        return out if whole is None else [*out, whole[last:]]  # zeros at the end stay

    def _in_group(self, group: _Group | None, each: Element, out: list[Piece]) -> _Group | None:
        number = each.tag >> 16
        if group and group.number != number:
            self._close(group, out)
            group = None
        if each.tag & 0xFFFF == 0 and each.end - each.value == 4:  # noqa: PLR2004 - a UL
            stated = int.from_bytes(self.walk.data[each.value : each.end], self.walk.encoding.order)
            return _Group(number, len(out), stated)
        return group

    def _close(self, group: _Group | None, out: list[Piece]) -> None:
        if group and group.grown:
            length = ((group.stated + group.grown) & UNDEFINED).to_bytes(4, self.target.order)
            out[group.place : group.place + 2] = element(group.number << 16, b"UL", [length], self.target)

    def _element(self, each: Element) -> list[Piece]:
        data, source, target = self.walk.data, self.walk.encoding, self.target
        if source == target and each.tag & 0xFFFF:
            return [data[each.start : each.end]]
        vr = each.vr or self._vr(each)
        if each.tag == _PIXEL_REPRESENTATION:
            self.signed[-1] = any(data[each.value : each.end])
        if vr == b"SQ" or (each.undefined and source.implicit and each.tag != PIXEL_DATA):
            value, vr = self._items(each), b"SQ"
        else:
            value = [self._turned(data[each.value : each.end], vr)]
        return element(each.tag, vr, value, target, undefined=each.undefined)

    def _turned(self, value: memoryview, vr: bytes) -> Piece:
        """Return a value in the byte order of the target."""
        width = _WORD.get(vr, 1)
        if self.walk.encoding.big == self.target.big or width == 1 or len(value) % width:
            return value
        return np.frombuffer(value, f"u{width}").byteswap().tobytes()

    def _vr(self, each: Element) -> bytes:
        """Return the VR of an element that was written without: the dictionary's (PS3.6), UN where that has none."""
        if each.tag & 0xFFFF == 0:
            return b"UL"
        if not dictionary_has_tag(each.tag):
            return b"UN"
        said = dictionary_VR(each.tag)
        if said == "US or SS":
            return b"SS" if self.signed[-1] else b"US"
        return _AMBIGUOUS.get(said) or said.encode()

    def _items(self, each: Element) -> list[Piece]:
        out: list[Piece] = []
        order = ">" if self.target.big else "<"
        for at, length in self.walk.items(each.value, each.end):
            if length < 0:
                out.append(struct.pack(order + "HHI", 0xFFFE, 0xE0DD, 0))
                break
            self.signed.append(self.signed[-1])
            stop = each.end if length == UNDEFINED else min(at + 8 + length, each.end)
            inside = self._elements(self.walk.elements(at + 8, stop, to_delimiter=length == UNDEFINED), {})
            self.signed.pop()
            size = UNDEFINED if length == UNDEFINED else sum(map(len, inside))
            out.append(struct.pack(order + "HHI", 0xFFFE, 0xE000, size))
            out += inside
            if length == UNDEFINED:
                out.append(struct.pack(order + "HHI", 0xFFFE, 0xE00D, 0))
        return out
