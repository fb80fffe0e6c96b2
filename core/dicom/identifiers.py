"""Write the identifiers of C-FIND answers straight from the texts of a row.

What is the same in every answer is encoded once; an answer whose texts are ASCII is its bytes joined. Only the others
choose a character set, as `answering` does.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.tag import BaseTag
from pydicom.uid import UID

from core.dicom.answering import charset_asked, fitted
from core.dicom.charset import Charset, choose_charset, encoded, holds_all
from core.dicom.matching import QUERY_RETRIEVE_LEVEL, SPECIFIC_CHARACTER_SET, TEXTS, level_of

RETRIEVE_AE_TITLE = 0x00080054
TIMEZONE_OFFSET = 0x00080201
_BYTES = "latin-1"  # a sign for every byte
_PADDED_WITH_NUL = frozenset({"UI", "UN", "OB"})  # PS3.5 6.2
_LONG_FORM = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})


@dataclass(frozen=True, slots=True)
class Shown:
    """How answers are to be written: the transfer syntax, the device's character set (or empty), what is always said.

    `always` holds attributes that are the same in every answer, by tag; an answer has those that were asked for, and
    Retrieve AE Title in any case (PS3.4 C.4.1.1.3.2).
    """

    transfer_syntax: str
    device_charset: str
    always: Mapping[int, str]


class _Form:
    """How a transfer syntax writes elements (PS3.5 7.1)."""

    def __init__(self, transfer_syntax: str) -> None:
        syntax = UID(transfer_syntax)
        self._implicit, self._order = syntax.is_implicit_VR, "<" if syntax.is_little_endian else ">"

    def head(self, tag: int, vr: str, length: int) -> bytes:
        """Return an element's tag, VR and length."""
        number = struct.pack(f"{self._order}HH", tag >> 16, tag & 0xFFFF)
        if self._implicit:
            return number + struct.pack(f"{self._order}I", length)
        if vr in _LONG_FORM:
            return number + vr.encode() + b"\0\0" + struct.pack(f"{self._order}I", length)
        return number + vr.encode() + struct.pack(f"{self._order}H", length)

    def element(self, tag: int, vr: str, value: bytes) -> bytes:
        """Return an element."""
        data = _even(value, _padding(vr))
        return self.head(tag, vr, len(data)) + data


class _Heads(dict[int, bytes]):
    """What stands before a value (the constant elements, then its own tag, VR and length), by the value's length."""

    def __init__(self, form: _Form, tag: int, vr: str, before: bytes) -> None:
        super().__init__()
        self._form, self._tag, self._vr, self._before = form, tag, vr, before

    def __missing__(self, length: int) -> bytes:
        head = self[length] = self._before + self._form.head(self._tag, self._vr, length)
        return head


class _TextHeads(dict[int, str]):
    """The same, as text whose signs are bytes."""

    def __init__(self, heads: _Heads) -> None:
        super().__init__()
        self._heads = heads

    def __missing__(self, length: int) -> str:
        head = self[length] = self._heads[length].decode(_BYTES)
        return head


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where a row's value goes: its place in the row, and what stands before it."""

    at: int
    vr: str
    letters: bool
    padding: bytes
    heads: _Heads


class IdentifierWriter:
    """Writes what a query is answered with; `held` are the attributes whose values each row brings, in its order."""

    def __init__(self, keys: Dataset, held: Sequence[int], shown: Shown) -> None:
        self._form = _Form(shown.transfer_syntax)
        self._asked, self._device = charset_asked(keys), shown.device_charset or None
        self._plain = self._charset(choose_charset([], self._asked, self._device))
        self._codec = holds_all(self._asked, self._device)
        self._lettered = self._charset(choose_charset(["\U0001f926"], self._asked, self._device))
        places, constant = {tag: at for at, tag in enumerate(held)}, b""
        self._slots: list[_Slot] = []
        said = {QUERY_RETRIEVE_LEVEL: level_of(keys), **shown.always}
        for tag, vr in _answered(keys):
            if tag in places:
                self._slots.append(
                    _Slot(places[tag], vr, vr in TEXTS, _padding(vr), _Heads(self._form, tag, vr, constant))
                )
                constant = b""
            else:
                constant += self._form.element(tag, vr, said.get(tag, "").encode("ascii", "replace"))
        self._after = constant
        self._plain_text, self._after_text = self._plain.decode(_BYTES), constant.decode(_BYTES)
        self._plainly = [(slot.at, slot.padding.decode(_BYTES), _TextHeads(slot.heads)) for slot in self._slots]

    def write(self, values: Sequence[str]) -> bytes:
        """Return one answer, encoded."""
        if "".join(values).isascii():
            return self._in_ascii(values)
        if self._codec is None:
            return self._in_letters(values)
        parts = [self._lettered]
        for slot in self._slots:
            data = _even(values[slot.at].encode(self._codec if slot.letters else "ascii", "ignore"), slot.padding)
            parts += (slot.heads[len(data)], data)
        return b"".join((*parts, self._after))

    def _in_ascii(self, values: Sequence[str]) -> bytes:
        """Write what most answers are, as text whose signs are bytes: encoded once, not value by value."""
        parts = [self._plain_text]
        for at, padding, heads in self._plainly:
            value = values[at]
            length = len(value)
            if length & 1:
                parts += (heads[length + 1], value, padding)
            else:
                parts += (heads[length], value)
        parts.append(self._after_text)
        return "".join(parts).encode(_BYTES)

    def _in_letters(self, values: Sequence[str]) -> bytes:
        texts = [values[slot.at] for slot in self._slots if slot.letters]
        charset = choose_charset(texts, self._asked, self._device)
        parts = [self._charset(charset)]
        for slot in self._slots:
            value = values[slot.at]
            in_letters = slot.letters and not value.isascii()
            data = encoded(fitted(value, slot.vr, charset), charset) if in_letters else value.encode("ascii", "ignore")
            data = _even(data, slot.padding)
            parts += (slot.heads[len(data)], data)
        return b"".join((*parts, self._after))

    def _charset(self, charset: Charset) -> bytes:
        return self._form.element(SPECIFIC_CHARACTER_SET, "CS", "\\".join(charset).encode()) if charset else b""


def _answered(keys: Dataset) -> Iterator[tuple[int, str]]:
    """Yield the attributes of an answer in order, with their VRs; private ones and group lengths are not answered."""
    asked = {*keys.keys(), BaseTag(QUERY_RETRIEVE_LEVEL), BaseTag(RETRIEVE_AE_TITLE)}
    for tag in sorted(asked):
        if tag > SPECIFIC_CHARACTER_SET and tag.element and not tag.is_private:
            yield int(tag), _vr(keys, tag)


def _vr(keys: Dataset, tag: int) -> str:
    try:
        return dictionary_VR(tag).split(" or ")[0]
    except KeyError:
        return getattr(keys.get_item(tag), "VR", None) or "UN"


def _padding(vr: str) -> bytes:
    return b"\0" if vr in _PADDED_WITH_NUL else b" "


def _even(data: bytes, padding: bytes) -> bytes:
    return data + padding if len(data) & 1 else data
