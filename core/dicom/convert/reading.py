"""Read what calls itself DICOM and is not quite: no preamble or meta, wrong VRs, lengths that lie, items without end.

An element is believed where the next one follows it; where none does, the reader looks for the next that holds
together. What it had to overrule is said in `findings`, by keyword and without values, since values name patients.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian
from pydicom.uid import ImplicitVRLittleEndian as ImplicitLittle

from core.errors import Refused

LONG_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
SHORT_VRS = frozenset("AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())  # noqa: SIM905 - a table
PIXEL_DATA = 0x7FE00010
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_DELIMITERS = frozenset({ITEM, ITEM_END, SEQUENCE_END})
_UNDEFINED = 0xFFFFFFFF
_PREAMBLE, _MAGIC = 128, b"DICM"
_HEADER = 8  # bytes of the shortest element
_DEEPEST = 24
_WINDOW = 1 << 16
_MOST_SEARCHED = 1 << 19
_LOOKED_AT = 24  # elements that decide about the encoding
_LARGEST_INFLATED = 1 << 31
_SOP = frozenset({0x00080016, 0x00080018})
_ACR_NEMA = frozenset({0x00080001, 0x00080010})  # Length to End, Recognition Code


@dataclass(slots=True)
class Element:
    """An element as it stands in the bytes: `vr` is empty where none is written, `items` is set for a sequence."""

    tag: int
    vr: str
    value: memoryview
    items: list[list[Element]] | None = None
    encapsulated: bool = False


@dataclass(frozen=True, slots=True)
class Encoding:
    """How elements are written."""

    explicit: bool
    little: bool

    @property
    def order(self) -> str:
        """Byte order as `int.from_bytes` names it."""
        return "little" if self.little else "big"

    @property
    def said(self) -> str:
        """In words."""
        return f"{'explicit' if self.explicit else 'implicit'} VR {self.order} endian"


_EXPLICIT, _IMPLICIT = Encoding(explicit=True, little=True), Encoding(explicit=False, little=True)
_BIG, _IMPLICIT_BIG = Encoding(explicit=True, little=False), Encoding(explicit=False, little=False)
_OF_SYNTAX = {str(ImplicitLittle): _IMPLICIT, str(ExplicitVRBigEndian): _BIG, "1.2.840.113619.5.2": _IMPLICIT}


@dataclass
class Read:
    """A file's elements, its file meta as text, how they were written, and what was wrong with them."""

    elements: list[Element]
    meta: dict[int, str]
    encoding: Encoding
    named_syntax: str
    has_preamble: bool
    findings: list[str] = field(default_factory=list)

    @property
    def is_acr_nema(self) -> bool:
        """Whether the object is of the standard before DICOM (ACR-NEMA 300-1988), which knew no SOP Classes."""
        tags = {element.tag for element in self.elements}
        return not tags & _SOP and bool(tags & _ACR_NEMA)


def name_of(tag: int) -> str:
    """An element's keyword, or its number where it has none."""
    return keyword_for_tag(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def read(data: bytes) -> Read:
    """Read an object's elements, whatever is wrong with them.

    Raises
    ------
    Refused
        Nothing in the bytes holds together as elements.
    """
    view = memoryview(data)
    findings: list[str] = []
    start, has_preamble = _start(view)
    meta, body = _meta(view, start, findings)
    named = meta.get(0x00020010, "")
    if named == DeflatedExplicitVRLittleEndian:
        view, body = memoryview(_inflated(view[body:])), 0
    encoding = _encoding(view, body, _OF_SYNTAX.get(named, _EXPLICIT))
    if named and encoding != _OF_SYNTAX.get(named, _EXPLICIT):
        findings.append(f"the file meta names a transfer syntax the elements are not in: they are {encoding.said}")
    elements, _ = _Reader(view, encoding, findings).dataset(body, len(view), 0)
    if not elements:
        raise Refused("there are no elements to be read: it is no DICOM")
    return Read(elements, meta, encoding, named, has_preamble, findings)


def _start(view: memoryview) -> tuple[int, bool]:
    """Where meta or dataset begins, and whether a preamble says so (PS3.10 7.1)."""
    if view[_PREAMBLE : _PREAMBLE + 4] == _MAGIC:
        return _PREAMBLE + 4, True
    starts = [start for start in (4 if view[:4] == _MAGIC else 0, _PREAMBLE) if start < len(view)]
    best = max(starts, key=lambda start: max(_score(view, start, each) for each in _ENCODINGS), default=0)
    return best, False


def _meta(view: memoryview, start: int, findings: list[str]) -> tuple[dict[int, str], int]:
    """Read group 0002 element by element, since its stated length may be wrong."""
    found: dict[int, str] = {}
    reader = _Reader(view, _EXPLICIT, findings)
    at = start
    while at + _HEADER <= len(view) and bytes(view[at : at + 2]) == b"\x02\x00":
        tag = reader.tag(at)
        _, value, length = reader.header(at, len(view))
        found[tag] = bytes(view[value : value + length]).decode("latin-1").strip(" \0")
        at = value + length
    return found, at


def _inflated(view: memoryview) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(view, _LARGEST_INFLATED)
    except zlib.error as error:
        raise Refused("the deflated dataset cannot be inflated: have its maker send it again") from error
    if not inflater.eof:
        raise Refused("the deflated dataset breaks off: have its maker send it again")
    return data


_ENCODINGS = (_EXPLICIT, _IMPLICIT, _BIG, _IMPLICIT_BIG)


def _encoding(view: memoryview, body: int, named: Encoding) -> Encoding:
    """The encoding in which the first elements hold together best; the one named where that is as good."""
    scores = {each: _score(view, body, each) for each in (named, *_ENCODINGS)}
    best = max(scores, key=lambda each: scores[each])
    if not scores[best]:
        raise Refused("nothing in it is an element: it is no DICOM")
    return best


def _score(view: memoryview, at: int, encoding: Encoding) -> int:
    """How many elements follow each other from here."""
    reader, after, count = _Reader(view, encoding, []), -1, 0
    while count < _LOOKED_AT and at + _HEADER <= len(view) and reader.follows(at, len(view), after):
        after = reader.tag(at)
        if after in _DELIMITERS or (encoding.explicit and not reader.writes_vr(at)):
            break
        _, value, length = reader.header(at, len(view))
        count += 1
        if length == _UNDEFINED or not any(view[at : at + _HEADER]):
            break
        at = value + length
    return count


class _Reader:
    """Walks through bytes in one encoding."""

    def __init__(self, view: memoryview, encoding: Encoding, findings: list[str]) -> None:
        self.view = view
        self.encoding = encoding
        self.findings = findings
        self._searched = 0

    # -- numbers -----------------------------------------------------------------------------------------------------

    def _number(self, at: int, size: int) -> int:
        return int.from_bytes(self.view[at : at + size], "little" if self.encoding.little else "big")

    def tag(self, at: int) -> int:
        """The tag at a place."""
        return self._number(at, 2) << 16 | self._number(at + 2, 2)

    def writes_vr(self, at: int) -> bool:
        """Whether the VR of an element is written beside its tag."""
        letters = bytes(self.view[at + 4 : at + 6]).decode("latin-1")
        return letters in SHORT_VRS or letters in LONG_VRS

    def header(self, at: int, end: int) -> tuple[str, int, int]:
        """An element's VR (empty where none is written), where its value begins, and its stated length."""
        letters = bytes(self.view[at + 4 : at + 6]).decode("latin-1")
        explicit = self._number(at + 6, 2)
        if not self.encoding.explicit:
            length = self._number(at + 4, 4)
            slipped = length != _UNDEFINED and at + _HEADER + length > end and letters in SHORT_VRS
            return (letters, at + 8, explicit) if slipped else ("", at + 8, length)
        if letters in SHORT_VRS:
            return letters, at + 8, explicit
        if letters in LONG_VRS:
            length = self._number(at + 8, 4)
            shortened = explicit and length != _UNDEFINED and at + 12 + length > end and at + _HEADER + explicit <= end
            return (letters, at + 8, explicit) if shortened else (letters, at + 12, length)
        return self._oddly(at, end)

    def _oddly(self, at: int, end: int) -> tuple[str, int, int]:
        """Read an element whose VR is none: as implicit, short or long, whichever the next element follows."""
        tag = self.tag(at)
        ways = (
            (at + 8, self._number(at + 4, 4)),
            (at + 8, self._number(at + 6, 2)),
            (at + 12, self._number(at + 8, 4)),
        )
        for value, length in ways:
            if length == _UNDEFINED or (value + length <= end and self.follows(value + length, end, tag)):
                return "", value, length
        return "", *ways[1]

    def follows(self, at: int, end: int, after: int) -> bool:
        """Whether what stands here can be the element behind `after`, or the end."""
        if at >= end:
            return at == end
        if end - at < _HEADER or not any(self.view[at : at + _HEADER]):
            return not any(self.view[at:end])  # padding
        tag = self.tag(at)
        if tag in _DELIMITERS:
            return True
        known = dictionary_has_tag(tag)
        if not (known or tag > after) or tag >> 16 in (0, 0xFFFF):
            return False
        if not self.encoding.explicit:
            length = self._number(at + 4, 4)
            fits = length == _UNDEFINED or at + _HEADER + length <= end
            return fits and (known or tag & 0xFFFF == 0 or bool(tag >> 16 & 1) or tag >> 16 == after >> 16)
        return self.writes_vr(at) or (known and tag > after)

    # -- elements ----------------------------------------------------------------------------------------------------

    def dataset(self, at: int, end: int, depth: int, *, item: bool = False) -> tuple[list[Element], int]:
        """Read elements up to `end`, or up to the end of an item of undefined length."""
        found: list[Element] = []
        while at + _HEADER <= end:
            tag = self.tag(at)
            if item and tag in _DELIMITERS:
                return found, at + _HEADER if tag == ITEM_END else at
            if tag in _DELIMITERS:
                self._say("a delimiter stands where there is nothing to end")
                at += _HEADER
            elif not any(self.view[at:end][: 1 << 20]):
                break
            else:
                element, at = self._element(at, end, depth)
                found.append(element)
        return found, at

    def _element(self, at: int, end: int, depth: int) -> tuple[Element, int]:
        tag = self.tag(at)
        vr, value, length = self.header(at, end)
        if self.encoding.explicit and not vr:
            self._say(f"{name_of(tag)}: no value representation is written")
        usual = _usual(tag)
        if length == _UNDEFINED and tag == PIXEL_DATA:
            return self._fragments(tag, value, end)
        nested = vr == "SQ" or (vr in ("", "UN") and (usual == "SQ" or length == _UNDEFINED))
        if nested and depth < _DEEPEST:
            return self._sequence(tag, vr, value, length, end, depth)
        if length == _UNDEFINED:
            raise Refused(f"{name_of(tag)} has no length and no items: have its maker send it again")
        used, stop = self._extent(tag, value, length, end)
        return Element(tag, vr, self.view[value : value + used]), stop

    def _extent(self, tag: int, value: int, length: int, end: int) -> tuple[int, int]:
        """How long a value is and where the next element begins: as stated, where that holds together."""
        stop = value + length
        if stop <= end and self.follows(stop, end, tag):
            return length, stop
        if length % 2 and self.follows(stop + 1, end, tag):
            self._say(f"{name_of(tag)}: an odd length, and a byte that is not counted")
            return length, stop + 1
        found = self._next(value, end, tag)
        if found is None:
            if tag != PIXEL_DATA and stop > len(self.view):
                raise Refused("the object breaks off: have its maker send it again")
            if tag == PIXEL_DATA or stop > end:
                self._say(f"{name_of(tag)}: its length leads past the end")
                return end - value, end
            return length, stop
        self._say(f"{name_of(tag)}: its length is wrong")
        return found - value, found

    def _next(self, at: int, end: int, after: int) -> int | None:
        """Where the next element that holds together begins."""
        for place in range(at, min(end - _HEADER, at + _WINDOW)):
            if self._holds(place, end, after):
                self._searched += place - at
                return place
        self._searched += _WINDOW
        if self._searched > _MOST_SEARCHED:
            raise Refused("too much of it is broken: have its maker send it again")
        return None

    def _holds(self, at: int, end: int, after: int) -> bool:
        """Whether an element of the standard stands here, a later one, with another or the end behind it."""
        if not self.view[at] | self.view[at + 1]:
            return False
        tag = self.tag(at)
        if tag <= after or not dictionary_has_tag(tag) or tag in _DELIMITERS:
            return False
        if self.encoding.explicit and not self.writes_vr(at):
            return False
        _, value, length = self.header(at, end)
        return length == _UNDEFINED or (value + length <= end and self.follows(value + length, end, tag))

    # -- sequences and fragments -------------------------------------------------------------------------------------

    def _sequence(self, tag: int, vr: str, value: int, length: int, end: int, depth: int) -> tuple[Element, int]:
        # A sequence of unknown VR is always implicit little endian (PS3.5 6.2.2 note 4)
        inner = _Reader(self.view, _IMPLICIT, self.findings) if vr == "UN" and self.encoding.explicit else self
        sized = length != _UNDEFINED and inner.spans(value, min(value + length, end))
        stop = value + length if sized else end
        if length not in (_UNDEFINED, 0) and not sized:
            self._say(f"{name_of(tag)}: its length is wrong")
        items, at = inner.items(tag, value, stop, depth)
        if at >= len(self.view) and (length == _UNDEFINED or value + length > len(self.view)) and not inner.ended(at):
            raise Refused("the object breaks off: have its maker send it again")
        return Element(tag, "SQ", self.view[value:at], items), at

    def spans(self, at: int, stop: int) -> bool:
        """Whether items fill the bytes up to `stop`, as far as they say how long they are."""
        while at + _HEADER <= stop and self.tag(at) == ITEM:
            length = self._number(at + 4, 4)
            if length == _UNDEFINED:
                return True
            at += _HEADER + length
        return at == stop

    def ended(self, at: int) -> bool:
        """Whether a delimiter of a sequence stands before this place."""
        return at >= _HEADER and self.tag(at - _HEADER) == SEQUENCE_END

    def items(self, tag: int, at: int, end: int, depth: int) -> tuple[list[list[Element]], int]:
        """Read the items of a sequence."""
        found: list[list[Element]] = []
        while at + _HEADER <= end:
            kind, length = self.tag(at), self._number(at + 4, 4)
            if kind == SEQUENCE_END:
                return found, at + _HEADER
            if kind == ITEM_END:
                at += _HEADER
                continue
            if kind != ITEM:
                if f"{name_of(tag)}: its length is wrong" not in self.findings:
                    self._say(f"{name_of(tag)}: the sequence has no end")
                break
            begin = at + _HEADER
            if length == _UNDEFINED:
                elements, at = self.dataset(begin, end, depth + 1, item=True)
            else:
                elements, at = self._sized_item(tag, begin, length, end, depth)
            found.append(elements)
        return found, at

    def _sized_item(self, tag: int, begin: int, length: int, end: int, depth: int) -> tuple[list[Element], int]:
        stop = begin + length
        if stop <= end and (end - stop < _HEADER or self.tag(stop) in _DELIMITERS or self.follows(stop, end, tag)):
            return self.dataset(begin, stop, depth + 1)[0], stop
        self._say(f"{name_of(tag)}: the length of an item is wrong")
        return self.dataset(begin, end, depth + 1, item=True)

    def _fragments(self, tag: int, value: int, end: int) -> tuple[Element, int]:
        """Read encapsulated pixels (PS3.5 A.4): their items, without the delimiter behind them."""
        at = value
        while at + _HEADER <= end and self.tag(at) == ITEM:
            at += _HEADER + self._number(at + 4, 4)
        if at + _HEADER <= end and self.tag(at) == SEQUENCE_END:
            return Element(tag, "OB", self.view[value:at], encapsulated=True), at + _HEADER
        if at > end:
            raise Refused("the compressed pixels break off: have its maker send it again")
        self._say(f"{name_of(tag)}: the compressed pixels have no end")
        return Element(tag, "OB", self.view[value:at], encapsulated=True), end

    def _say(self, finding: str) -> None:
        if finding not in self.findings:
            self.findings.append(finding)


def _usual(tag: int) -> str:
    return dictionary_VR(tag) if dictionary_has_tag(tag) else ""
