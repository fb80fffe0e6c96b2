"""Which codec for which data: rules such as "important: lossless; backup: 10:1" (mission D2, G9).

What the archive rests on is important and is never written with loss; a backup is a second copy and may be. A rule can
name modalities, or `derived` for what is no acquired image; the most particular one that fits is taken.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum, auto

from core.dicom.codecs.table import LOSSY, Codec, Loss, named
from core.errors import Invalid, Refused

USUAL = "important: lossless; backup: 10:1"
_RATIO = re.compile(r"(\d+(?:\.\d+)?):1")
_QUALITY = re.compile(r"(\d+(?:\.\d+)?) ?dB", re.IGNORECASE)
_SELECTOR = re.compile(r"[A-Z][A-Z0-9]{1,15}")
_LOSSLESS, _AS_IT_IS, _DERIVED = "lossless", "as-is", "derived"


class Purpose(StrEnum):
    """What a file is written for: to be the object from now on, or to be a second copy of it."""

    IMPORTANT = auto()
    BACKUP = auto()


@dataclass(frozen=True, slots=True)
class Rule:
    """What is written how; no codec means as it is, no modalities mean all."""

    purpose: Purpose
    codec: Codec | None
    loss: Loss = field(default_factory=Loss)
    modalities: frozenset[str] = frozenset()
    derived: bool = False

    @property
    def lossy(self) -> bool:
        """Whether something is lost."""
        return self.codec is not None and not self.codec.lossless

    def fits(self, purpose: Purpose, modality: str, *, derived: bool) -> bool:
        """Whether it is for such an object."""
        meant = not self.modalities or modality in self.modalities
        return self.purpose is purpose and meant and (derived or not self.derived)

    def __str__(self) -> str:
        """Write it as it is read."""
        who = " ".join([self.purpose.value, *([_DERIVED] if self.derived else []), *sorted(self.modalities)])
        return f"{who}: {_AS_IT_IS if self.codec is None else self.loss if self.lossy else self.codec.name}"


def read(text: str) -> tuple[Rule, ...]:
    """Read rules, those for everything added where they are missing.

    Raises
    ------
    Invalid
        A rule is not understood, names a codec that is not here, or would lose something of what is important.
    """
    written = [part for part in (part.strip() for part in text.split(";")) if part]
    rules = [_rule(part) for part in written]
    general = {rule.purpose for rule in rules if not rule.modalities and not rule.derived}
    rules += [rule for rule in map(_rule, USUAL.split(";")) if rule.purpose not in general]
    return tuple(sorted(rules, key=lambda rule: (not rule.modalities, not rule.derived)))


def choose(rules: Sequence[Rule], purpose: Purpose, modality: str, *, derived: bool) -> Rule:
    """Return the rule for an object: one of its modality before one for derived ones before one for all."""
    return next(rule for rule in rules if rule.fits(purpose, modality, derived=derived))


def _rule(text: str) -> Rule:
    who, found, how = text.partition(":")
    words = who.split()
    if not found or not words or words[0] not in list(Purpose):
        raise Invalid(f"'{text.strip()}' is no rule: write such as '{USUAL}' or 'important CT: jpeg-ls'")
    others = [word for word in words[1:] if word != _DERIVED]
    if not all(_SELECTOR.fullmatch(word) for word in others):
        raise Invalid(f"'{who.strip()}' names no data: important or backup, then derived or modalities such as NM PT")
    codec, loss = _codec(how.strip())
    rule = Rule(Purpose(words[0]), codec, loss, frozenset(others), derived=_DERIVED in words)
    if rule.lossy and rule.purpose is Purpose.IMPORTANT:
        raise Invalid(f"'{text.strip()}' would lose what reports rest on: only a backup may be lossy")
    return rule


def _codec(text: str) -> tuple[Codec | None, Loss]:
    if text == _AS_IT_IS:
        return None, Loss()
    if ratio := _RATIO.fullmatch(text):
        if float(ratio[1]) <= 1:
            raise Invalid(f"'{text}' compresses nothing: write such as 10:1")
        return LOSSY, Loss(ratio=float(ratio[1]))
    if quality := _QUALITY.fullmatch(text):
        return LOSSY, Loss(psnr_db=float(quality[1]))
    try:
        codec = named("jpeg-lossless" if text == _LOSSLESS else text)
    except Refused as error:
        raise Invalid(f"{error.detail}, or write lossless, as-is, 10:1 or 50 dB") from error
    if not codec.lossless:
        raise Invalid(f"'{text}' does not say how much may be lost: write such as 10:1 or 50 dB")
    return codec, Loss()
