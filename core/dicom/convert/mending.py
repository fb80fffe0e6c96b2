"""Make a standard object of what was read: VRs by the dictionary, values by their VR, one character set, sound pixels.

What is right stays as it is, byte for byte; private elements are carried along unseen. The same input gives the same
output, and each repair is told in words, without values. What cannot be mended truthfully (missing pixels) is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pydicom.datadict import dictionary_has_tag, dictionary_VM, dictionary_VR
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from core.dicom.charset import ASCII, UTF8, Charset, charset_of, decode_name, decode_text, encoded, is_known
from core.dicom.convert import required, values
from core.dicom.convert.reading import LONG_VRS, PIXEL_DATA, SHORT_VRS, Element, Read, name_of
from core.errors import Refused

_CHARSET, _SEX = 0x00080005, 0x00100040
_IDENTIFIERS = frozenset(
    {0x00080050, 0x00100020, 0x00100021, 0x00200010, 0x00401001, 0x00400009}  # cut short they would be another's
)
_GE_SWAPPED = "1.2.840.113619.5.2"
_PLAIN = frozenset({str(ImplicitVRLittleEndian), str(ExplicitVRLittleEndian), str(ExplicitVRBigEndian), ""})
_PLAIN_OR_DEFLATED = _PLAIN | {"1.2.840.10008.1.2.1.99", _GE_SWAPPED}
_ACR_ONLY = frozenset({0x00080001, 0x00080010, 0x00080040, 0x00080041, 0x00280005, 0x00280040, 0x00280060, 0x00280200})
_AMBIGUOUS_WIDE = 8
_MOST_REPAIRS = 100
_KEEP_FIRST = frozenset({"CS", "DA", "DS", "IS", "LO", "SH", "TM", "UI", "AE", "AS", "DT"})


@dataclass
class Mended:
    """A standard object: its elements, what it is, and all that was done to it."""

    elements: list[Element]
    sop_class: str
    sop_uid: str
    syntax: str
    repairs: list[str]
    charset_said: Charset = ASCII
    charset: Charset = ASCII
    confidence: float = 1.0

    def encoded(self) -> bytes:
        """Its dataset in Explicit VR Little Endian, without file meta."""
        return written(self.elements)


def mend(read: Read, *, sop_class: str = "", sop_uid: str = "", digest: str = "") -> Mended:
    """Make a standard object of what was read.

    Parameters
    ----------
    read
        What the reader made of the bytes.
    sop_class, sop_uid
        What the object is known by already; it keeps both whatever its own elements say.
    digest
        Of the bytes; an object without a UID of its own gets one that follows from it.

    Raises
    ------
    Refused
        Pixels are missing, or compressed in a way nobody can name.
    """
    work = _Mending(read)
    elements = work.dataset(read.elements, (), depth=0)
    syntax = work.pixels_and_syntax(elements)
    required.complete(elements, read, work.say, digest)
    if sop_class and sop_uid:
        elements[0x00080016], elements[0x00080018] = (
            replace(elements.get(tag) or Element(tag, "UI", memoryview(b"")), vr="UI", value=_uid(uid))
            for tag, uid in ((0x00080016, sop_class), (0x00080018, sop_uid))
        )
    charset = work.settle_charset(elements)
    if work.repairs or read.findings:
        required.fill(elements, work.say)
    return Mended(
        elements=[elements[tag] for tag in sorted(elements)],
        sop_class=required.text_of(elements, "SOPClassUID"),
        sop_uid=required.text_of(elements, "SOPInstanceUID"),
        syntax=syntax,
        repairs=[*read.findings, *work.repairs][:_MOST_REPAIRS],
        charset_said=work.charset_said,
        charset=charset,
        confidence=work.confidence,
    )


def _uid(text: str) -> memoryview:
    return memoryview(text.encode() + b"\0" * (len(text) % 2))


def noted(mended: Mended) -> Mended:
    """Write what was done into the object itself, as equipment that contributed to it (PS3.3 C.12.1.1.5)."""
    said = "; ".join(mended.repairs)[:1024]
    item = required.contribution(said)
    kept = [element for element in mended.elements if element.tag != item.tag]
    own = next((element for element in mended.elements if element.tag == item.tag), None)
    item.items = [*((own.items or []) if own else []), *(item.items or [])]
    return replace(mended, elements=sorted([*kept, item], key=lambda element: element.tag))


@dataclass
class _Text:
    """A text element that waits for the character set of the whole object."""

    element: Element
    text: str
    raw: bytes
    charset: Charset
    confidence: float
    repaired: bool
    changed: bool


@dataclass
class _Mending:
    """One object on the bench."""

    source: Read
    repairs: list[str] = field(default_factory=list)
    texts: list[_Text] = field(default_factory=list)
    charset_said: Charset = ASCII
    confidence: float = 1.0
    labels: set[Charset] = field(default_factory=set)

    def __post_init__(self) -> None:
        values_ = {element.tag: element for element in self.source.elements}
        self._signed = self._us(values_, 0x00280103) == 1
        self._bits = self._us(values_, 0x00280100) or 16

    def _us(self, elements: dict[int, Element], tag: int) -> int:
        element = elements.get(tag)
        return int.from_bytes(element.value[:2], "little" if self.source.encoding.little else "big") if element else 0

    def say(self, repair: str) -> None:
        """Note a repair once."""
        if repair not in self.repairs:
            self.repairs.append(repair)

    # -- elements ----------------------------------------------------------------------------------------------------

    def dataset(self, elements: list[Element], inherited: Charset, depth: int) -> dict[int, Element]:
        """Mend elements in any order; of two with one tag the later counts, as with other readers."""
        charset = self._label(elements, inherited, depth)
        if [element.tag for element in elements] != sorted({element.tag for element in elements}):
            self.say("elements were repeated or out of order")
        found: dict[int, Element] = {}
        for element in elements:
            tag = element.tag
            if tag >> 16 in (0, 2) or tag & 0xFFFF == 0 or (tag in _ACR_ONLY and self.source.is_acr_nema):
                continue  # commands, file meta and group lengths (PS3.5 7.2)
            mended = self._element(element, charset, depth)
            if mended is not None:
                found[tag] = mended
        return found

    def _label(self, elements: list[Element], inherited: Charset, depth: int) -> Charset:
        own = next((element for element in elements if element.tag == _CHARSET), None)
        label = charset_of(bytes(own.value).decode("latin-1")) if own and own.items is None else inherited
        if depth == 0:
            self.charset_said = label
        self.labels.add(label)
        return label

    def _element(self, element: Element, charset: Charset, depth: int) -> Element | None:
        vr = self._vr(element)
        if element.tag >> 16 & 1 and vr != "SQ":
            return self._private(element, vr)
        if vr == "SQ":
            return self._sequence(element, charset, depth)
        if element.items is not None:
            self.say(f"{name_of(element.tag)}: a sequence stood where none belongs; left out")
            return None
        if element.encapsulated:
            return replace(element, vr="OB")
        if element.tag == _CHARSET:
            return None  # settled for the whole object at the end
        return self._valued(element, vr, charset)

    def _vr(self, element: Element) -> str:
        """The VR of an element: the written one where the standard allows it, else the standard's."""
        if not dictionary_has_tag(element.tag):
            return element.vr or ("SQ" if element.items is not None else "UN")
        allowed = dictionary_VR(element.tag).split(" or ")
        if element.vr in allowed:
            return element.vr
        usual = self._among(allowed, element.tag)
        if element.vr not in ("", "UN", usual) and usual != "NONE":
            self.say(f"{name_of(element.tag)}: its value representation was not {usual}")
        return usual

    def _among(self, allowed: list[str], tag: int) -> str:
        if len(allowed) == 1:
            return allowed[0]
        if "SS" in allowed and tag != PIXEL_DATA:
            return "SS" if self._signed else "US"
        return "OB" if "OB" in allowed and self._bits <= _AMBIGUOUS_WIDE and self.source.encoding.explicit else "OW"

    def _private(self, element: Element, vr: str) -> Element:
        value = bytes(element.value)
        if not self.source.encoding.little and element.vr:
            value = values.swapped(vr, value)
        known = vr if vr in LONG_VRS | SHORT_VRS else "UN"
        if known in SHORT_VRS and len(value) > 0xFFFE:  # noqa: PLR2004 - the longest a short length can say
            known = "UN"
        return replace(element, vr=known, value=memoryview(value + b"\0" * (len(value) % 2)))

    def _sequence(self, element: Element, charset: Charset, depth: int) -> Element | None:
        if element.items is None:
            if any(element.value):
                self.say(f"{name_of(element.tag)}: it is not a sequence; left out")
                return None
            element = replace(element, items=[])
        items = [self.dataset(item, charset, depth + 1) for item in element.items or []]
        mended = [[item[tag] for tag in sorted(item)] for item in items]
        return replace(element, vr="SQ", items=mended)

    def _valued(self, element: Element, vr: str, charset: Charset) -> Element | None:
        value = self._little(element, vr)
        if element.tag == PIXEL_DATA and self.source.named_syntax == _GE_SWAPPED:
            value = values.swapped("OW", value)
        if vr in values.TEXT_VRS:
            return self._text(replace(element, vr=vr), vr, self._as_text(element, value), charset)
        if vr in values.ASCII_VRS:
            return self._ascii(element, vr, self._as_text(element, value), charset)
        if vr in values.NUMBER_FORMATS or vr == "AT":
            return self._numbers(element, vr, value)
        if len(value) % 2:
            self.say(f"{name_of(element.tag)}: an odd length")
        return replace(element, vr=vr, value=memoryview(value + b"\0" * (len(value) % 2)))

    def _little(self, element: Element, vr: str) -> bytes:
        """An element's bytes, its numbers little endian: by the VR it was written in, where that says how wide."""
        wide = element.vr if element.vr in values.WIDTH else vr
        value = bytes(element.value)
        return value if self.source.encoding.little else values.swapped(wide, value)

    def _as_text(self, element: Element, value: bytes) -> bytes:
        """Numbers that were written in binary where text is due become text."""
        if element.vr not in values.NUMBER_FORMATS or len(value) % values.WIDTH[element.vr]:
            return value
        if value.strip(b"\0 ").isalnum() and len(value.strip(b"\0 ")) == len(value):
            return value  # text all the same, under a wrong label
        return values.number_as_text(element.vr, value).encode()

    def _numbers(self, element: Element, vr: str, value: bytes) -> Element | None:
        width = 4 if vr == "AT" else values.WIDTH[vr]
        if element.vr in values.ASCII_VRS | values.TEXT_VRS and len(value) != width:
            number = values.text_as_number(vr, value.decode("latin-1")) if vr != "AT" else None
            if number is not None:
                return replace(element, vr=vr, value=memoryview(number))
        if len(value) % width:
            self.say(f"{name_of(element.tag)}: its length is no multiple of its numbers'")
            value = value[: len(value) - len(value) % width]
        return replace(element, vr=vr, value=memoryview(value))

    # -- text --------------------------------------------------------------------------------------------------------

    def _ascii(self, element: Element, vr: str, value: bytes, charset: Charset) -> Element:
        text = value.decode("latin-1") if value.isascii() else decode_text(value, charset).text
        padding = "\0" if vr == "UI" else " "
        if vr == "UR":
            out = text.rstrip(" \0")
        else:
            out = "\\".join(self._each(element.tag, vr, self._single(element.tag, text)))
        pad = padding if len(out) % 2 else ""
        if (out + pad) != text and out.strip(" \0") == text.strip(" \0"):
            if len(text) % 2 or (vr == "UI" and " " in text) or (vr != "UI" and "\0" in text):
                self.say(f"{name_of(element.tag)}: wrong padding")
            elif vr != "UI":
                return replace(element, vr=vr, value=memoryview(value))  # spaces around a value mean nothing
        return replace(element, vr=vr, value=memoryview((out + pad).encode("latin-1", "replace")))

    def _single(self, tag: int, text: str) -> list[str]:
        parts = text.split("\\")
        if len(parts) > 1 and dictionary_VM(tag) == "1" if dictionary_has_tag(tag) else False:
            self.say(f"{name_of(tag)}: more than one value; the first was kept")
            return parts[:1]
        return parts

    def _each(self, tag: int, vr: str, parts: list[str]) -> list[str]:
        return [self._one(tag, vr, part) for part in parts]

    def _one(self, tag: int, vr: str, part: str) -> str:
        known = values.SEXES.get(part.strip(" \0").upper(), part) if tag == _SEX else part
        made = values.mended(vr, known, cut=tag not in _IDENTIFIERS)
        if made is None:
            self.say(f"{name_of(tag)}: no {vr} can be made of it; left empty")
            return ""
        if made != part.strip(" \0") and not (vr in {"LT", "ST", "UT"} and made == part.rstrip(" \0")):
            self.say(f"{name_of(tag)}: " + ("no UID; one was derived" if vr == "UI" else f"written as {vr} demands"))
        return made

    def _text(self, element: Element, vr: str, raw: bytes, charset: Charset) -> Element:
        decoded = decode_name(raw, charset) if vr == "PN" else decode_text(raw, charset)
        whole = vr in {"LT", "ST", "UT"}
        parts = [decoded.text] if whole else self._single(element.tag, decoded.text)
        text = "\\".join(self._each(element.tag, vr, parts))
        changed = text.strip(" \0") != decoded.text.strip(" \0")
        if len(raw) % 2 or raw.endswith(b"\0"):
            self.say(f"{name_of(element.tag)}: wrong padding")
        repaired = decoded.repaired or (not raw.isascii() and not decoded.charset)
        found = decoded.charset or (("ISO_IR 100",) if not raw.isascii() else ASCII)
        self.texts.append(_Text(element, text, raw, found, decoded.confidence, repaired, changed))
        return element

    # -- character set -----------------------------------------------------------------------------------------------

    def settle_charset(self, elements: dict[int, Element]) -> Charset:
        """Find the one character set the object is labelled with, and write its texts so."""
        beyond = [each for each in self.texts if not each.raw.isascii() or b"\x1b" in each.raw]
        self.confidence = min((each.confidence for each in beyond), default=1.0)
        overruled = [each for each in beyond if each.repaired]
        label = self.charset_said
        if overruled or not is_known(label) or len(self.labels) > 1:
            found = {each.charset for each in beyond}
            label = next(iter(found)) if len(found) == 1 else UTF8 if found else ASCII
            if not is_known(label) or len(label) > 1 or label[0:1] == ("ISO_IR 13",) or not _has_term(label):
                label = UTF8 if beyond else ASCII
        if overruled or not is_known(self.charset_said):
            said = "\\".join(self.charset_said) or "nothing"
            self.say(f"SpecificCharacterSet: {said} was said, the text is {_called(overruled)}".rstrip())
        for each in self.texts:
            each.element.value = memoryview(self._in_charset(each, label))
        if label:
            value = "\\".join(label).encode()
            elements[_CHARSET] = Element(_CHARSET, "CS", memoryview(value + b" " * (len(value) % 2)))
        return label

    def _in_charset(self, each: _Text, label: Charset) -> bytes:
        same = each.charset == label or each.raw.isascii()
        if same and not each.changed:
            value = each.raw
        else:
            try:
                value = encoded(each.text, label)
            except (UnicodeError, LookupError, ValueError):
                value = each.raw
        value = value.rstrip(b"\0") if value.endswith(b"\0") else value
        return value + b" " * (len(value) % 2)

    # -- pixels ------------------------------------------------------------------------------------------------------

    def pixels_and_syntax(self, elements: dict[int, Element]) -> str:
        """Check the pixels against their description; return the transfer syntax of the object."""
        pixels = elements.get(PIXEL_DATA)
        if pixels is None:
            if "Rows" in {name_of(tag) for tag in elements} and not any(
                tag >> 16 == PIXEL_DATA >> 16 for tag in elements
            ):
                raise Refused("the image breaks off before its pixel data: send it again")
            return str(ExplicitVRLittleEndian)
        if pixels.encapsulated:
            return self._compressed(pixels)
        if self.source.named_syntax == _GE_SWAPPED:
            self.say("the transfer syntax was GE's own, with the bytes of its pixels swapped")
        if self.source.named_syntax not in _PLAIN_OR_DEFLATED:
            self.say("the file meta names a transfer syntax its pixels are not in")
        required.describe_pixels(elements, pixels, self.say)
        return str(ExplicitVRLittleEndian)

    def _compressed(self, pixels: Element) -> str:
        named, sniffed = self.source.named_syntax, sniffed_syntax(bytes(pixels.value[:4096]))
        if named not in _PLAIN_OR_DEFLATED and named.startswith("1.2.840.10008.1.2."):
            return named
        if not sniffed:
            raise Refused("the pixels are compressed in a way nobody can name: ask its device to send it uncompressed")
        self.say("the transfer syntax was not named, and found by its pixels")
        return sniffed


def _has_term(label: Charset) -> bool:
    return bool(label) and label[0] != ""


def _called(overruled: list[_Text]) -> str:
    names = sorted({"\\".join(each.charset) for each in overruled})
    if not names:
        return "plain"
    least = min(each.confidence for each in overruled)
    return f"{' and '.join(names)} (confidence {least:.0%})"


_JPEG_OF = {0xC0: "50", 0xC1: "51", 0xC3: "57", 0xF7: "80"}
_START_OF_SCAN = 0xDA


def sniffed_syntax(value: bytes) -> str:
    """Tell a transfer syntax by the first bytes of encapsulated pixels; empty where they are nothing known."""
    at = 8 + int.from_bytes(value[4:8], "little") + 8  # behind the offset table and the first item's header
    first = value[at : at + 2]
    if first == b"\xff\x4f":
        return "1.2.840.10008.1.2.4.90"
    if first == b"\xff\xd8":
        return _jpeg_syntax(value, at + 2)
    segments = int.from_bytes(value[at : at + 4], "little")
    return str(RLELossless) if 0 < segments <= 15 and value[at + 4 : at + 8] == b"\x40\0\0\0" else ""  # noqa: PLR2004


def _jpeg_syntax(value: bytes, at: int) -> str:
    while at + 4 <= len(value) and value[at] == 0xFF and value[at + 1] != _START_OF_SCAN:  # noqa: PLR2004 - a marker
        if value[at + 1] in _JPEG_OF:
            return f"1.2.840.10008.1.2.4.{_JPEG_OF[value[at + 1]]}"
        at += 2 + int.from_bytes(value[at + 2 : at + 4], "big")
    return ""


# -- writing ---------------------------------------------------------------------------------------------------------


def written(elements: list[Element]) -> bytes:
    """Encode elements in Explicit VR Little Endian, sequences and items with their lengths (PS3.5 7)."""
    return b"".join(part for element in elements for part in _written(element))


def _written(element: Element) -> tuple[bytes, ...]:
    value: bytes | memoryview = element.value
    if element.items is not None:
        items = (written(item) for item in element.items)
        value = b"".join(b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item for item in items)
    tag = (element.tag >> 16).to_bytes(2, "little") + (element.tag & 0xFFFF).to_bytes(2, "little")
    vr = element.vr.encode()
    if element.encapsulated:
        return tag, vr, b"\0\0\xff\xff\xff\xff", bytes(value), b"\xfe\xff\xdd\xe0\0\0\0\0"
    if element.vr in LONG_VRS:
        return tag, vr, b"\0\0", len(value).to_bytes(4, "little"), bytes(value)
    if len(value) > 0xFFFF:  # noqa: PLR2004 - a length of two bytes
        return tag, b"UN\0\0", len(value).to_bytes(4, "little"), bytes(value)
    return tag, vr, len(value).to_bytes(2, "little"), bytes(value)
