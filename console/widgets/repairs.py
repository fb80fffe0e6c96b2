"""What was mended in an object that came non-standard, in a few lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from console.words import _

_MOST = 4


def mended_lines(instance: Mapping[str, Any]) -> Text:
    """Tell what was mended in an object, and which character set its text was found to be in."""
    text = repair_lines(instance.get("repairs") or [])
    charset = instance.get("charset") or {}
    if charset and charset["found"] != charset["said"]:
        said = charset["said"] or _("nothing")
        words = _("text: {found}, called {said} ({sure:.0%})").format(
            found=charset["found"] or "ASCII", said=said, sure=charset["confidence"]
        )
        text.append(f"{words}\n", "italic")
    return text


def repair_lines(repairs: Sequence[str]) -> Text:
    """Tell repairs, the first of them in full."""
    text = Text()
    if not repairs:
        return text
    text.append(_("mended: {count}").format(count=len(repairs)) + "\n", "bold")
    for repair in repairs[:_MOST]:
        text.append(f"  {repair}\n", "dim")
    if len(repairs) > _MOST:
        text.append("  " + _("and {count} more").format(count=len(repairs) - _MOST) + "\n", "dim")
    return text
