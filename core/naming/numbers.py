"""Patient numbers and accession numbers: how they compare, which mean nothing, how ours are made.

Two numbers are the same when their normalised forms are; a placeholder is the same as nothing.
"""

from __future__ import annotations

import re
import unicodedata

from core.errors import Invalid

LONGEST_NUMBER = 16
"""Characters of an accession number (VR SH, PS3.5 table 6.2-1); patient numbers of ours keep to it too."""

_PADDING = " \t\r\n\0\u3000"
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PLACEHOLDER_LIST = """
    1 12345 123456 1234567 12345678 123456789 1234567890 0123456789 abc abcd na n/a nil null none no noid nopid no-id
    unknown unkown unnamed undefined unspecified notknown notavailable anon anonymous anonymized anonymised test tests
    testing tester testpatient patienttest testtest patient patientid pid id accession name noname temp tmp dummy demo
    default blank empty x y z xx xxx q qq asdf 无 無 无名 无名氏 不详 未知 未命名 测试 測試 空 匿名
"""
_PLACEHOLDERS = frozenset(_PLACEHOLDER_LIST.split())
_SAME_SIGN = re.compile(r"(.)\1{3,}")
_TEST_SERIES = re.compile(r"(?:test|demo|dummy|unknown|anon|anonymous|测试)[ _^.-]*\d*")


def normalise_identifier(value: str, *, ignore_zeros_and_hyphens: bool = False) -> str:
    """The form in which two identifiers are compared.

    Spaces and NULs at the ends go, compatibility forms and letter case are folded. With `ignore_zeros_and_hyphens`, for
    sites that say so, `00-123` and `123` are the same too; the caller sees to it that the result is unique.
    """
    plain = unicodedata.normalize("NFKC", value).strip(_PADDING).casefold()
    if ignore_zeros_and_hyphens:
        bare = re.sub(r"[-\u2010-\u2015\u2212\s]", "", plain)
        plain = bare.lstrip("0") or bare[:1]
    return plain


def is_placeholder(value: str) -> bool:
    """Whether a value stands for "nothing was said": blank, 0, 1, TEST, UNKNOWN, XXXX, 123456 ..."""
    plain = normalise_identifier(value)
    bare = re.sub(r"[\s\W_]", "", plain)
    if not bare.strip("0"):
        return True
    words = {plain, bare}
    return bool(words & _PLACEHOLDERS or _SAME_SIGN.fullmatch(bare) or _TEST_SERIES.fullmatch(plain))


def with_check_digit(prefix: str, serial: int, *, width: int = 6) -> str:
    """A number of our own: prefix, serial, and a check character (ISO 7064 MOD 37,36).

    Raises
    ------
    Invalid
        The prefix is not upper-case ASCII letters and digits, the serial is negative, or 16 characters do not hold it.
    """
    stem = f"{prefix}{serial:0{width}d}"
    if serial < 0 or not set(stem) <= set(_DIGITS):
        raise Invalid("A numbering prefix consists of upper-case letters A-Z and digits; change the site's rule.")
    if len(stem) >= LONGEST_NUMBER:
        raise Invalid(f"The number would exceed {LONGEST_NUMBER} characters; shorten the site's prefix.")
    remainder = _mod_37_36(stem)
    return stem + _DIGITS[(37 - remainder) % 36]


def check(number: str) -> bool:
    """Whether a number made by `with_check_digit` was copied without a slip (case and spaces at the ends aside)."""
    plain = number.strip(_PADDING).upper()
    if len(plain) < 2 or not set(plain) <= set(_DIGITS):  # noqa: PLR2004 - one sign and its check character
        return False
    return (_mod_37_36(plain[:-1]) + _DIGITS.index(plain[-1])) % 36 == 1


def _mod_37_36(stem: str) -> int:
    """The running product of ISO 7064's hybrid system MOD 37,36, before the check character is added."""
    product = 36
    for sign in stem:
        total = (product + _DIGITS.index(sign)) % 36 or 36
        product = total * 2 % 37
    return product
