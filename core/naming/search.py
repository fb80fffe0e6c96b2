"""What a person can be found by: every beginning a clerk might type, normalised when written.

A query is a prefix of one of the terms, so that SQLite and PostgreSQL answer alike from a plain index, and Chinese
names of two characters are found, which trigram indexes miss.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date

from core.naming.people import NameGroup, PersonName
from core.naming.readings import divide, fold, given_readings, has_ideographs, is_ideographic, surname_readings

_SHORTEST_PHONE_END = 4
_NUMBER_MARKS = re.compile(r"[\s\-\u2010-\u2015\u2212./_()+]")
_CHINESE_DATE = re.compile(r"(\d{4})\s*[年./-]\s*(\d{1,2})(?:\s*[月./-]\s*(?:(\d{1,2})\s*日?)?)?")
_NAME_MARKS = re.compile(r"[\^=,;·•‧・\s]+")
_SILENT_MARKS = re.compile(r"['’`\"\0*]")


def search_terms(
    name: PersonName | str,
    *,
    numbers: Iterable[str] = (),
    phone: str = "",
    birth_date: date | None = None,
) -> set[str]:
    """The normalised strings a person is found by, for a table searched by prefix.

    Ideographs (whole and every ending of them), pinyin of every usual reading (joined, spaced, either order, given
    name, initials), letters of the name, numbers (as typed, without marks, without leading zeros), phone (whole, and
    each ending of four digits or more), birth date (`1961-03-04` and `19610304`).
    """
    known = PersonName.parse(name) if isinstance(name, str) else name
    terms = {term for group in known.groups for term in _group_terms(group)}
    for number in numbers:
        terms |= _number_terms(number)
    terms |= _phone_terms(phone)
    if birth_date is not None:
        terms |= {birth_date.isoformat(), birth_date.strftime("%Y%m%d")}
    return {term for term in terms if term}


def normalise_query(text: str) -> str:
    """What was typed, in the form of the terms: `张 伟` is `张伟`, `Zhang^Wei` `zhang wei`, `1961/3/4` `19610304`."""
    plain = _SILENT_MARKS.sub("", fold(text)).strip()
    spoken = _CHINESE_DATE.fullmatch(plain)
    if spoken:
        year, month, day = spoken.groups()
        return f"{year}{int(month):02d}" + (f"{int(day):02d}" if day else "")
    if any(sign.isdigit() for sign in plain):
        return _NUMBER_MARKS.sub("", plain)
    spaced = _NAME_MARKS.sub(" ", plain).strip()
    return spaced.replace(" ", "") if is_ideographic(spaced) else spaced.replace("-", " ")


def _group_terms(group: NameGroup) -> Iterator[str]:
    if is_ideographic(str(group)):
        yield from _ideograph_terms(group)
    if has_ideographs(str(group)):
        for surname in surname_readings(group.family) if group.family else ("",):
            for given in given_readings(group.given):
                for way in _spellings((surname, *given)):
                    yield from _letter_terms(way[0], list(way[1:]))
    elif not is_ideographic(str(group)):
        family, *rest = (normalise_query(part) for part in (group.family, group.given, group.middle))
        yield from _letter_terms(family, [word for part in rest for word in (divide(part) or part.split())])


def _ideograph_terms(group: NameGroup) -> Iterator[str]:
    whole = normalise_query("".join(group.parts[:3]))
    for start in range(len(whole)):
        yield whole[start:]


def _spellings(way: tuple[str, ...]) -> set[tuple[str, ...]]:
    """ü is typed as v, u or yu."""
    return {tuple(re.sub(r"(?<=[ln])v", vowel, part) for part in way) for vowel in ("v", "u", "yu")}


def _letter_terms(family: str, given: list[str]) -> Iterator[str]:
    """`zhangwei`, `zhang wei`, `weizhang`, `wei zhang`, `wei`, `zw`, `wz`, each syllable of a longer given name."""
    second = "".join(given)
    surnames = family.split()
    yield from (family, "".join(surnames), f"{family} {second}".strip(), "".join(surnames) + second)
    yield from (second, f"{second} {family}".strip(), second + "".join(surnames))
    yield " ".join([family, *given]).strip()
    yield " ".join([*given, family]).strip()
    for start in range(len(given)):
        yield "".join(given[start:])
    first_letters = "".join(word[0] for word in surnames), "".join(word[0] for word in given)
    yield from ("".join(first_letters), "".join(reversed(first_letters)), *surnames)
    syllables = divide("".join(surnames)) or surnames  # a surname of two characters: oyx for Ouyang Xue
    if len(syllables) > len(surnames):
        yield "".join(word[0] for word in (*syllables, *given))


def _number_terms(number: str) -> set[str]:
    typed = fold(number).strip(" \0")
    bare = _NUMBER_MARKS.sub("", typed)
    zeros = len(bare) - len(bare.lstrip("0"))
    return {typed, bare, *(bare[start:] for start in range(zeros + 1))}


def _phone_terms(phone: str) -> set[str]:
    digits = re.sub(r"\D", "", fold(phone))
    endings = range(len(digits) - _SHORTEST_PHONE_END + 1)
    return {digits, *(digits[start:] for start in endings)}
