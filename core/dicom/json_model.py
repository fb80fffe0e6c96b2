"""Write a Dataset as the DICOM JSON Model has it (PS3.18 F).

Text is read by its bytes, whatever its label says, and comes out as UTF-8; numbers stay numbers. What is large or can
only be told as bytes is named by a URL, the rest is written inline. An element that cannot be read does not stop the
others: its bytes are shown as UN.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from core.dicom.charset import Charset, charset_of, decode_name, decode_text

LONGEST_INLINE = 1024
"""Bytes of a binary value written into the answer; a longer one is fetched by its URL."""

Locate = Callable[[str], str]
"""Turns the path of an element, such as `00283010/1/00283006`, into the URL its bytes are fetched by."""
Written = dict[str, dict[str, Any]]

_CHARSET = BaseTag(0x00080005)
_UTF8 = ["ISO_IR 192"]
_ONE_TEXT = frozenset({"LT", "ST", "UR", "UT"})
_TEXTS = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "PN", "SH", "TM", "UC", "UI"}) | _ONE_TEXT
_FORMATS = {"FD": "d", "FL": "f", "SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q"}
_NUMBERS = frozenset(_FORMATS)
_BYTES = frozenset({"OB", "OD", "OF", "OL", "OV", "OW"})
_ESC = b"\x1b"
_PADDING = " \0"
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def as_json(dataset: Dataset, locate: Locate | None = None) -> Written:
    """Return a Dataset in the DICOM JSON Model, ready for `json.dumps`.

    Parameters
    ----------
    locate
        Names the URL of what is not written inline; without it every value is.
    """
    written = dict(_elements(dataset, (), "", locate))
    if f"{_CHARSET:08X}" in written:
        written[f"{_CHARSET:08X}"] = {"vr": "CS", "Value": _UTF8}
    return written


def texts_as_json(texts: Mapping[int, str]) -> Written:
    """Return attributes in the DICOM JSON Model that are known as text, their values parted by backslashes."""
    return {f"{tag:08X}": _of_text(tag, texts[tag]) for tag in sorted(texts)}


def _of_text(tag: int, text: str) -> dict[str, Any]:
    vr = dictionary_VR(tag).split(" or ")[0]
    values = [text] if vr in _ONE_TEXT else text.split("\\")
    if vr in _NUMBERS:
        return _holding(vr, [_number(one) if one else None for one in values])
    return _holding(vr, [_text_value(one, vr) for one in values] if vr in _TEXTS else [])


def _elements(dataset: Dataset, inherited: Charset, path: str, locate: Locate | None) -> Iterator[tuple[str, Any]]:
    charset = _charset(dataset) or inherited
    for tag in sorted(dataset.keys(), key=int):
        if tag.element == 0:  # group lengths mean nothing outside of files
            continue
        name = f"{tag:08X}"
        yield name, _element(dataset, tag, charset, f"{path}{name}", locate)


def _charset(dataset: Dataset) -> Charset:
    try:
        value = dataset[_CHARSET].value if _CHARSET in dataset else None
    except Exception:  # noqa: BLE001 - pydicom raises anything on broken elements
        return ()
    return charset_of([str(one) for one in value] if isinstance(value, MultiValue | list) else value)


def _element(dataset: Dataset, tag: BaseTag, charset: Charset, path: str, locate: Locate | None) -> dict[str, Any]:
    raw: DataElement | RawDataElement = dataset.get_item(tag)
    vr = _vr(raw, tag)
    try:
        if vr in _TEXTS:
            return _holding(vr, _text_values(raw, vr, charset))
        if isinstance(raw, RawDataElement) and isinstance(raw.value, bytes) and (vr in _FORMATS or vr in _BYTES):
            return _unread(raw, vr, path, locate)
        element = dataset[tag]
        if element.VR == "SQ":
            items = (dict(_elements(item, charset, f"{path}/{n}/", locate)) for n, item in enumerate(element.value, 1))
            return _holding("SQ", list(items))
        return _other(element, path, locate)
    except Exception:  # noqa: BLE001 - as above: the other elements are still to be read
        value = raw.value if isinstance(raw, RawDataElement) else None
        return _binary("UN", value if isinstance(value, bytes) else b"", path, locate)


def _unread(raw: RawDataElement, vr: str, path: str, locate: Locate | None) -> dict[str, Any]:
    """Read numbers and bytes without pydicom, which is slow at it."""
    content: bytes = raw.value or b""
    if vr in _BYTES:
        return _binary(vr, content, path, locate)
    kind = _FORMATS[vr]
    numbers = struct.unpack(
        f"{'<' if raw.is_little_endian else '>'}{len(content) // struct.calcsize(kind)}{kind}", content
    )
    return _holding(vr, [_finite(one) for one in numbers] if vr in {"FD", "FL"} else list(numbers))


def _vr(raw: RawDataElement | DataElement | None, tag: BaseTag) -> str:
    said = str(raw.VR or "") if raw is not None else ""
    return said or (dictionary_VR(tag) if dictionary_has_tag(tag) else "UN")


def _holding(vr: str, values: list[Any]) -> dict[str, Any]:
    return {"vr": vr, "Value": values} if any(value is not None for value in values) else {"vr": vr}


# -- text ------------------------------------------------------------------------------------------------------------


def _text_values(raw: RawDataElement | DataElement | None, vr: str, charset: Charset) -> list[Any]:
    value = raw.value if raw is not None else None
    value = getattr(value, "original_string", None) or value  # the bytes of a name already read
    if isinstance(value, bytes):
        text = _decoded(value, vr, charset)
        values = [text] if vr in _ONE_TEXT else text.split("\\")
    elif isinstance(value, MultiValue | list | tuple):
        values = [str(one) for one in value]
    else:
        values = [] if value is None else [str(value)]
    return [_text_value(one, vr) for one in values]


def _decoded(value: bytes, vr: str, charset: Charset) -> str:
    if value.isascii() and _ESC not in value:
        return value.decode("ascii")
    return (decode_name if vr == "PN" else decode_text)(value, charset).text


def _text_value(text: str, vr: str) -> object:
    trimmed = text.rstrip(_PADDING) if vr in _ONE_TEXT else text.strip(_PADDING)
    if not trimmed:
        return None
    if vr == "PN":
        return {name: group for name, group in zip(_GROUPS, trimmed.split("="), strict=False) if group}
    return _number(trimmed) if vr in {"DS", "IS"} else trimmed


def _number(text: str) -> object:
    """Read a number string; one that is none stays text (PS3.18 F.2.3.1 allows both)."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return _finite(float(text))
    except ValueError:
        return text


def _finite(number: float) -> object:
    return number if math.isfinite(number) else str(number)


# -- everything else -------------------------------------------------------------------------------------------------


def _other(element: DataElement, path: str, locate: Locate | None) -> dict[str, Any]:
    vr, value = str(element.VR), element.value
    if isinstance(value, bytes):
        return _binary(vr, value, path, locate)
    values = list(value) if isinstance(value, MultiValue | list | tuple) else [] if value is None else [value]
    if vr == "AT":
        return _holding(vr, [f"{int(one):08X}" for one in values])
    if vr in _NUMBERS:
        return _holding(vr, [_finite(one) if isinstance(one, float) else int(one) for one in values])
    return _holding(vr, [str(one) for one in values])


def _binary(vr: str, value: bytes, path: str, locate: Locate | None) -> dict[str, Any]:
    if not value:
        return {"vr": vr}
    if locate is not None and len(value) > LONGEST_INLINE:
        return {"vr": vr, "BulkDataURI": locate(path)}
    return {"vr": vr, "InlineBinary": base64.b64encode(value).decode("ascii")}
