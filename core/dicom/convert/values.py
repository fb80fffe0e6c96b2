"""Make one value what its value representation demands (PS3.5 6.2), or say that it cannot be.

Text rules take and give decoded text, one function a VR; each gives None where nothing can be made of the value, and
the value itself where it was right all along.
"""

from __future__ import annotations

import re
import struct
import uuid
from collections.abc import Callable
from datetime import date

LONGEST = {"AE": 16, "SH": 16, "LO": 64, "ST": 1024, "LT": 10240}
ASCII_VRS = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"})
TEXT_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
WIDTH = {"US": 2, "SS": 2, "AT": 2, "OW": 2, "UL": 4, "SL": 4, "FL": 4, "OL": 4, "OF": 4}
WIDTH |= {"FD": 8, "OD": 8, "OV": 8, "SV": 8, "UV": 8}
NUMBER_FORMATS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "SV": "q", "UV": "Q"}
_PADDING = " \0"
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_LONGEST_UID = 64
_LONGEST_DECIMAL, _LONGEST_INTEGER = 16, 12
_LONGEST_GROUP = 64
_LEAST, _MOST = -(2**31), 2**31 - 1
SEXES = {"MALE": "M", "FEMALE": "F", "W": "F", "OTHER": "O", "1": "M", "2": "F", "U": "", "男": "M", "女": "F"}
"""Words of devices for Patient's Sex."""


def derived_uid(*said: str) -> str:
    """A UID that follows from what was said alone (PS3.5 B.2): the same words give the same UID again."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, chr(31).join(said)).int}"


def is_uid(text: str) -> bool:
    """Whether a text is digits and dots of the length a UID may have."""
    return len(text) <= _LONGEST_UID and _UID.fullmatch(text) is not None


def mended(vr: str, text: str, *, cut: bool = True) -> str | None:
    """Return one value as its VR has it; None where nothing can be made of it. Without `cut` it may be too long."""
    plain = text.strip(_PADDING) if vr not in {"LT", "ST", "UT"} else text.rstrip(_PADDING)
    if not plain:
        return ""
    if vr in _RULES:
        return _RULES[vr](plain)
    return _of_length(vr, plain) if cut else _printable(vr, plain)


def _of_length(vr: str, text: str) -> str:
    clean = _printable(vr, text)
    return clean[: LONGEST.get(vr, len(clean))]


def _printable(vr: str, text: str) -> str:
    controls = "\r\n\f\t\x1b" if vr in {"LT", "ST", "UT"} else "\x1b"
    return "".join(sign for sign in text if sign.isprintable() or sign in controls or ord(sign) > 0x9F)  # noqa: PLR2004


def _name(text: str) -> str:
    groups = [group[:_LONGEST_GROUP] for group in _of_length("PN", text).split("=")[:3]]
    return "=".join(groups)


def _date(text: str) -> str | None:
    found = re.match(r"(\d{4})([.\-/]?)(\d{1,2})\2(\d{1,2})(?!\d)", text) or re.match(r"(\d{4})()(\d{2})(\d{2})", text)
    if found is None:
        return None
    try:
        return f"{date(int(found[1]), int(found[3]), int(found[4])):%Y%m%d}".rjust(8, "0")
    except ValueError:
        return None


def _time(text: str) -> str | None:
    found = re.fullmatch(r"(\d{1,2}):?(\d{2})?:?(\d{2})?(?:[.,](\d{1,9}))?\s*", text)
    if found is None:
        return None
    hour, minute, second, fraction = found.groups()
    if int(hour) > 23 or int(minute or 0) > 59 or int(second or 0) > 60:  # noqa: PLR2004 - a leap second is one
        return None
    whole = hour.rjust(2, "0") + (minute or "") + (second or "")
    return f"{whole}.{fraction[:6]}" if fraction and second else whole


def _moment(text: str) -> str | None:
    found = re.fullmatch(r"(\d{4})[-./]?(\d{2})?[-./]?(\d{2})?[ T]?([\d:.,]*)([+-]\d{4})?", text)
    if found is None:
        return None
    day = "".join(part or "" for part in found.groups()[:3])
    clock = _time(found[4]) if found[4] else ""
    complete = len(day) == len("YYYYMMDD")
    if clock is None or (clock and not complete) or (complete and _date(day) is None):
        return None
    return day + clock + (found[5] or "")


def _decimal(text: str) -> str | None:
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        return None
    if number != number or abs(number) == float("inf"):  # noqa: PLR0124 - it is not itself when it is no number
        return None
    fits = len(text) <= _LONGEST_DECIMAL and re.fullmatch(r"[0-9+\-.eE]+", text)
    if fits:
        return text
    return next(short for digits in range(12, 4, -1) if len(short := f"{number:.{digits}g}") <= _LONGEST_DECIMAL)


def _integer(text: str) -> str | None:
    if len(text) <= _LONGEST_INTEGER and re.fullmatch(r"[+-]?\d+", text) and _LEAST <= int(text) <= _MOST:
        return text
    decimal = _decimal(text)
    if decimal is None or not float(decimal).is_integer() or not _LEAST <= float(decimal) <= _MOST:
        return None
    return str(int(float(decimal)))


def _code(text: str) -> str:
    return re.sub(r"[^A-Z0-9_ ]", "_", text.upper())[:16].rstrip()


def _age(text: str) -> str | None:
    found = re.fullmatch(r"(\d{1,3})\s*([DWMYdwmy])?", text)
    return f"{int(found[1]):03d}{(found[2] or 'Y').upper()}" if found else None


def _uid(text: str) -> str:
    return text if is_uid(text) else derived_uid(text)


def _title(text: str) -> str:
    return "".join(sign for sign in text if " " <= sign <= "~" and sign != "\\")[:16].strip()


_RULES: dict[str, Callable[[str], str | None]] = {
    "PN": _name, "DA": _date, "TM": _time, "DT": _moment, "DS": _decimal, "IS": _integer, "CS": _code, "AS": _age,
    "UI": _uid, "AE": _title,
}  # fmt: skip


# -- numbers ---------------------------------------------------------------------------------------------------------


def swapped(vr: str, value: bytes) -> bytes:
    """Return a value with the bytes of each of its numbers the other way round."""
    width = WIDTH.get(vr, 1)
    whole = len(value) - len(value) % width
    out = bytearray(value[:whole])
    for at in range(width):
        out[at::width] = value[width - 1 - at : whole : width]
    return bytes(out) + value[whole:]


def number_as_text(vr: str, value: bytes) -> str:
    """Read little endian numbers as the text of an IS or DS has them."""
    width = WIDTH[vr]
    numbers = struct.unpack(f"<{len(value) // width}{NUMBER_FORMATS[vr]}", value[: len(value) - len(value) % width])
    return "\\".join(f"{number:.10g}" if vr in {"FL", "FD"} else str(number) for number in numbers)


def text_as_number(vr: str, text: str) -> bytes | None:
    """Write the numbers of a text as little endian binary; None where they are none."""
    try:
        numbers = [float(part) for part in text.strip(_PADDING).split("\\")]
        whole = vr not in {"FL", "FD"}
        return struct.pack(f"<{len(numbers)}{NUMBER_FORMATS[vr]}", *[int(n) if whole else n for n in numbers])
    except (ValueError, OverflowError, struct.error):
        return None
