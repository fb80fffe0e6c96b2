"""The Chinese national identity number: read, checked, masked.

18 characters by GB 11643-1999 (region 6, birth date 8, sequence 3, ISO 7064 MOD 11-2 check), or the 15 digits of cards
before 1999, which have no check character.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date

from core.errors import Invalid

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"
_REGION_LIST = (
    "11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82 83 91"
)
_REGIONS = frozenset(_REGION_LIST.split())
_EARLIEST_YEAR = 1850
_SHORTEST_MASKED = 12


@dataclass(frozen=True, slots=True)
class NationalId:
    """What a national identity number says of its holder; `sex` is DICOM's `M` or `F`."""

    number: str
    birth_date: date
    sex: str


def read_national_id(text: str, *, today: date | None = None) -> NationalId:
    """Read a number as typed or scanned, blanks and hyphens aside.

    Raises
    ------
    Invalid
        It has not 15 or 18 places, its region or date does not exist, its date is after `today`, or its check
        character does not fit. The message never repeats the number.
    """
    number = re.sub(r"[\s\0-]", "", unicodedata.normalize("NFKC", text)).upper()
    if re.fullmatch(r"[0-9]{17}[0-9X]", number):
        _demand_checksum(number)
        born, sequence = number[6:14], number[14:17]
    elif re.fullmatch(r"[0-9]{15}", number):
        born, sequence = "19" + number[6:12], number[12:15]
    else:
        raise Invalid("A national id has 18 characters (17 digits and a digit or X), or 15 digits; type it again.")
    if number[:2] not in _REGIONS:
        raise Invalid("The national id begins with a region that does not exist; type it again.")
    return NationalId(number, _birth_date(born, today), "M" if int(sequence) % 2 else "F")


def mask_national_id(text: str) -> str:
    """The number fit for a screen: first three and last four shown, so `110101199003072316` is `110***********2316`."""
    number = text.strip()
    if len(number) < _SHORTEST_MASKED:
        return "*" * len(number)
    return number[:3] + "*" * (len(number) - 7) + number[-4:]


def _demand_checksum(number: str) -> None:
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, number[:17], strict=True))
    if _CHECK[total % 11] != number[17]:
        raise Invalid("The check character of the national id does not fit; one place is mistyped.")


def _birth_date(digits: str, today: date | None) -> date:
    try:
        born = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        raise Invalid("The birth date inside the national id does not exist; type it again.") from None
    if born.year < _EARLIEST_YEAR or (today is not None and born > today):
        raise Invalid("The birth date inside the national id cannot be; type it again.")
    return born
