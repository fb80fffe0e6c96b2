"""Whether two names can be one person's, and whether two people look like one.

An absent name contradicts nothing; scripts that cannot be compared contradict nothing; order, case, accents, blanks,
initials and names cut short do not count. Homophones agree: a clerk picks 伟 for 玮 every day.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum, auto

from core.naming.numbers import is_placeholder, normalise_identifier
from core.naming.people import NameGroup, PersonName
from core.naming.readings import divide, fold, given_readings, has_ideographs, is_ideographic, split_surname
from core.naming.readings import surname_readings as readings_of_surname

Words = tuple[str, ...]

_LONG_ENOUGH_TO_BE_CUT = 12
_MOST_WORDS = 4
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "ß": "ss"})


class Agreement(StrEnum):
    """What comparing two names says."""

    AGREE = auto()
    DIFFER = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of somebody at the desk; anything may be absent."""

    name: PersonName = field(default_factory=PersonName)
    birth_date: date | None = None
    phone: str = ""
    numbers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Likeness:
    """How much two people look like one, 0 to 1, and by what; 0.5 and more is worth a warning."""

    score: float
    reasons: tuple[str, ...]


def names_agree(one: PersonName | str, other: PersonName | str) -> Agreement:
    """Compare two names in any script, by ideographs or pinyin, whatever their order."""
    first, second = (PersonName.parse(name) if isinstance(name, str) else name for name in (one, other))
    if _says_nothing(first) or _says_nothing(second):
        return Agreement.UNKNOWN
    own = _ideographs(first), _ideographs(second)
    if all(own) and sorted(own[0]) == sorted(own[1]):
        return Agreement.AGREE
    pairs = [pair for pair in itertools.product(_ways(first), _ways(second)) if _script(pair[0]) == _script(pair[1])]
    if any(_words_agree(a, b) for a, b in pairs):
        return Agreement.AGREE
    return Agreement.DIFFER if pairs or all(own) else Agreement.UNKNOWN


def same_name_key(name: PersonName | str) -> str:
    """A key alike for `张伟`, `Zhang^Wei` and `WEI ZHANG`: the sorted syllables, or words, of the name."""
    known = PersonName.parse(name) if isinstance(name, str) else name
    for words in _ways(known):
        parts = (divide(word) or (word,) for word in words)
        return " ".join(sorted(itertools.chain.from_iterable(parts)))
    return _ideographs(known)


def similar(one: Person, other: Person) -> Likeness:
    """Weigh what two people have in common, for the warning before a duplicate is made."""
    reasons: list[tuple[float, str]] = []
    born = one.birth_date is not None and one.birth_date == other.birth_date
    phone = _same_phone(one.phone, other.phone)
    name = names_agree(one.name, other.name) is Agreement.AGREE
    written = bool(_ideographs(one.name)) and _ideographs(one.name) == _ideographs(other.name)
    if _shared_number(one.numbers, other.numbers):
        reasons.append((1.0, "same number"))
    if written or name:
        reasons.append((0.5, "same name") if written else (0.4, "name sounds alike"))
    if born:
        reasons.append((0.3, "same birth date"))
    if phone:
        reasons.append((0.3, "same phone"))
    if one.birth_date and other.birth_date and not born:
        reasons.append((-0.2, "birth dates differ"))
    score = min(1.0, max(0.0, sum(weight for weight, _ in reasons)))
    return Likeness(round(score, 2), tuple(reason for weight, reason in reasons if weight > 0))


def _says_nothing(name: PersonName) -> bool:
    return all(is_placeholder(" ".join(group.parts)) for group in name.groups)


def _ideographs(name: PersonName) -> str:
    """The Chinese characters of a name, wherever they stand."""
    for group in name.groups:
        if has_ideographs(str(group)):
            return re.sub(r"[\s·•‧・]", "", "".join(group.parts[:3]))
    return ""


def _ways(name: PersonName) -> list[Words]:
    """Every way to spell a name in plain letters, as words."""
    return list(dict.fromkeys(way for group in name.groups for way in _group_ways(group) if way))


def _group_ways(group: NameGroup) -> Iterator[Words]:
    text = " ".join(group.parts[:3])
    if has_ideographs(text):
        yield from _pinyin_ways(group)
    elif text and not is_ideographic(text) and not is_placeholder(text):
        for spelling in dict.fromkeys((text.casefold(), text.casefold().translate(_UMLAUTS))):
            words = [_letters(word) for word in _components(group, spelling)]
            if any(words):
                yield tuple(word for word in words if word)


def _pinyin_ways(group: NameGroup) -> Iterator[Words]:
    family, given = group.family, group.given + group.middle
    if not given:
        family, given = split_surname(re.sub(r"\s", "", family))
    for surname in readings_of_surname(family) if family else ("",):
        for syllables in given_readings(given):
            yield tuple(_letters(word) for word in (surname, "".join(syllables)) if word)


def _components(group: NameGroup, spelling: str) -> Iterable[str]:
    """The words to compare: components where they were told apart, else whatever blanks and commas divide."""
    if len(group.parts[:3]) > 1:
        said = [len(part) for part in group.parts[:3]]
        if len(spelling) == sum(said) + len(said) - 1:
            starts = itertools.accumulate(said, lambda total, size: total + size + 1, initial=0)
            return [spelling[start : start + size] for start, size in zip(starts, said, strict=False)]
    return re.split(r"[\s,;]+", spelling)


def _letters(word: str) -> str:
    """Only letters, folded, and ü as u however it was typed."""
    bare = "".join(sign for sign in fold(word) if sign.isalpha())
    return re.sub(r"(?<=[ln])(?:v|yu)", "u", bare)


def _script(words: Words) -> str:
    """`LATIN`, `CYRILLIC` ...: names in different scripts cannot be compared here."""
    return unicodedata.name(words[0][0], "").partition(" ")[0]


def _words_agree(one: Words, other: Words) -> bool:
    short, long = sorted((one[:_MOST_WORDS], other[:_MOST_WORDS]), key=len)
    orders = ["".join(order) for order in itertools.permutations(long)]
    joined = ["".join(order) for order in itertools.permutations(short)]
    if any(_cut(a, b) or a == b for a in joined for b in orders):
        return True
    if len(short) == 1 and any(short[0] == _initials(order) for order in itertools.permutations(long)):
        return True
    chosen = itertools.permutations(long, len(short))
    return any(all(map(_abbreviates, short, order)) for order in chosen)


def _cut(one: str, other: str) -> bool:
    """Whether one is the other cut off by a field that was too short."""
    short, long = sorted((one, other), key=len)
    return len(short) >= _LONG_ENOUGH_TO_BE_CUT and long.startswith(short)


def _abbreviates(one: str, other: str) -> bool:
    """Equal, an initial, initials of the syllables, or cut in the middle of a syllable."""
    short, long = sorted((one, other), key=len)
    if short == long or len(short) == 1:
        return long.startswith(short)
    if short == "".join(syllable[0] for syllable in divide(long) or ()):
        return True
    return long.startswith(short) and divide(short) is None


def _initials(words: Iterable[str]) -> str:
    return "".join(part[0] for word in words for part in (divide(word) or (word,)))


def _same_phone(one: str, other: str) -> bool:
    first, second = (re.sub(r"\D", "", fold(phone)).removeprefix("86") for phone in (one, other))
    return bool(first) and first == second and not is_placeholder(first)


def _shared_number(some: Iterable[str], others: Iterable[str]) -> bool:
    known = {normalise_identifier(number) for number in some if not is_placeholder(number)}
    return any(normalise_identifier(number) in known for number in others if not is_placeholder(number))
