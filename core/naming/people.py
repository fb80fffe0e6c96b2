"""A person's name in the three groups DICOM gives it (PS3.5 6.2.1.1): alphabetic, ideographic, phonetic.

Reading never fails, since cameras send anything; building from what a clerk typed does, since the clerk can mend it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from core.errors import Invalid
from core.naming.readings import (
    COMPOUND_SURNAMES,
    divide,
    fold,
    given_readings,
    has_ideographs,
    is_ideographic,
    spelled,
    split_surname,
    surname_readings,
)

LONGEST_GROUP = 64
"""Characters in one group of a Person Name (PS3.5 table 6.2-1)."""

_PADDING = " \t\r\n\0\u3000"
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\\]")
_MIDDLE_DOT = re.compile("[·•‧・]")
_IDEOGRAPHIC_RUN = re.compile(r"[^\x00-\u2e7f\uff00-\uff65]+(?:[ ·•‧・]*[^\x00-\u2e7f\uff00-\uff65]+)*")


@dataclass(frozen=True, slots=True)
class NameGroup:
    """The five components of one group; each is empty where it was not said."""

    family: str = ""
    given: str = ""
    middle: str = ""
    prefix: str = ""
    suffix: str = ""

    @classmethod
    def parse(cls, text: str) -> NameGroup:
        """Read `Zhang^Wei`; components past the fifth are kept in the suffix."""
        family, given, middle, prefix, *rest = [part.strip(_PADDING) for part in f"{text}^^^".split("^")]
        return cls(family, given, middle, prefix, " ".join(rest).strip())

    @property
    def parts(self) -> tuple[str, ...]:
        """The components that were said, family first."""
        said = (self.family, self.given, self.middle, self.prefix, self.suffix)
        return tuple(part for part in said if part)

    def __bool__(self) -> bool:
        return bool(self.parts)

    def __str__(self) -> str:
        return f"{self.family}^{self.given}^{self.middle}^{self.prefix}^{self.suffix}".rstrip("^")


@dataclass(frozen=True, slots=True)
class PersonName:
    """A name as DICOM writes it: `Zhang^Wei=张^伟`."""

    alphabetic: NameGroup = NameGroup()
    ideographic: NameGroup = NameGroup()
    phonetic: NameGroup = NameGroup()

    @classmethod
    def parse(cls, text: str) -> PersonName:
        """Read a Person Name value literally; never raises."""
        groups = [NameGroup.parse(group) for group in text.split("=", 2)]
        return cls(*groups)

    @property
    def groups(self) -> tuple[NameGroup, ...]:
        """The groups that were said."""
        return tuple(group for group in (self.alphabetic, self.ideographic, self.phonetic) if group)

    def __bool__(self) -> bool:
        return bool(self.groups)

    def __str__(self) -> str:
        return "=".join((str(self.alphabetic), str(self.ideographic), str(self.phonetic))).rstrip("=")

    def settled(self) -> PersonName:
        """The same name with ideographs moved out of the alphabetic group, and pinyin put where that group is empty."""
        alphabetic, ideographic = self.alphabetic, self.ideographic
        if is_ideographic(str(alphabetic)):
            misplaced, alphabetic = alphabetic, NameGroup()
            ideographic = ideographic or _chinese(misplaced)
        if not alphabetic and ideographic:
            alphabetic = _pinyin(ideographic)
        return PersonName(alphabetic, ideographic, self.phonetic)

    def display(self) -> str:
        """One line for people, family name first: `张伟  Zhang Wei`."""
        own = "".join(self.ideographic.parts)
        latin = " ".join(self.alphabetic.parts)
        return "  ".join(part for part in (own, latin) if part) or " ".join(self.phonetic.parts)


def build_name(text: str) -> PersonName:
    """Make a name of what a clerk typed.

    `张伟` becomes `Zhang^Wei=张^伟`; `张伟 Zhang Wei`, `Zhang^Wei=张^伟`, `Smith, John`, `John Smith` are understood.

    Raises
    ------
    Invalid
        Nothing was typed, a control sign or backslash is in it, or a group exceeds 64 characters.
    """
    typed = unicodedata.normalize("NFKC", text).strip(_PADDING)
    if _FORBIDDEN.search(typed):
        raise Invalid("The name holds a control sign or a backslash; type it again.")
    name = PersonName.parse(typed).settled() if re.search(r"[\^=]", typed) else _from_words(typed)
    if not name:
        raise Invalid("The name is empty; type at least the family name.")
    if any(len(str(group)) > LONGEST_GROUP for group in name.groups):
        raise Invalid(f"The name is longer than {LONGEST_GROUP} characters; shorten it.")
    return name


def _from_words(typed: str) -> PersonName:
    """Read a name typed without DICOM's separators, its ideographs before or after its letters."""
    own = _IDEOGRAPHIC_RUN.search(typed)
    if own is None or not is_ideographic(own.group()):
        return PersonName(_latin(typed))
    ideographic = _chinese(NameGroup(own.group()))
    letters = (typed[: own.start()] + " " + typed[own.end() :]).strip(" ()/,")
    return PersonName(_latin(letters, chinese=True) if letters else _pinyin(ideographic), ideographic)


def _chinese(group: NameGroup) -> NameGroup:
    """Divide an undivided Chinese name; a blank divides it, a middle dot marks a name that has no surname."""
    if len(group.parts) != 1 or not has_ideographs(group.parts[0]):
        return group
    words = group.parts[0].split()
    whole = "".join(words)
    if _MIDDLE_DOT.search(whole):
        return NameGroup(whole)
    if len(words) > 1 and len("".join(words[:1])) <= 2:  # noqa: PLR2004 - no surname has three characters
        return NameGroup(words[0], "".join(words[1:]))
    return NameGroup(*split_surname(whole))


def _pinyin(group: NameGroup) -> NameGroup:
    """The pinyin of a Chinese name; empty for kana and hangul, whose reading is not guessed."""
    if not all(has_ideographs(part) for part in (group.family, group.given) if part):
        return NameGroup()
    if _MIDDLE_DOT.search(group.family):
        words = (given_readings(word)[0] for word in _MIDDLE_DOT.split(group.family) if word)
        return NameGroup(" ".join(_capital(word) for word in words))
    family = _capital((surname_readings(group.family)[0],)) if group.family else ""
    return NameGroup(family, _capital(given_readings(group.given)[0]))


def _capital(word: tuple[str, ...]) -> str:
    return "".join(spelled(syllable) for syllable in word).capitalize()


def _latin(typed: str, *, chinese: bool = False) -> NameGroup:
    """Family and given name: `Smith, John`, `John Smith`, `SMITH John`, `Zhang Wei`; Chinese has the family first."""
    family, comma, given = typed.partition(",")
    if comma:
        return NameGroup(family.strip(), *given.split(maxsplit=1))
    words = (typed.title() if typed.islower() else typed).split()
    if len(words) < 2:  # noqa: PLR2004 - one word is a family name
        return NameGroup(*words)
    if chinese or _family_first(words):
        return NameGroup(words[0], _joined_given(words[1:]))
    return NameGroup(words[-1], words[0], " ".join(words[1:-1]))


def _family_first(words: list[str]) -> bool:
    """Chinese order: a surname in capitals, or a surname of one syllable and pinyin to the end."""
    if words[0].isupper() and not words[-1].isupper() and len(words[0]) > 1:
        return True
    read = [divide(fold(word).replace("'", "")) for word in words]
    surname = "".join(read[0] or ())
    return all(read) and (read[0] == (surname,) or surname in COMPOUND_SURNAMES.values())


def _joined_given(words: list[str]) -> str:
    """`Wei Ming` is one given name of two characters; other words stay apart."""
    if all(divide(fold(word)) for word in words):
        return "".join(words).capitalize() if not words[0].isupper() else "".join(words)
    return " ".join(words)
