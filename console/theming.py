"""Themes: one TOML file each, in `themes/` and in the person's own folder, which goes first.

Only the named theme is read at start. A theme that is unknown or broken falls back to `dark`, and says so.
"""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path

from textual.color import Color, ColorParseError
from textual.theme import Theme

from console.words import _

OWN = Path(__file__).parent.parent / "themes"
FALLBACK = "dark"
_FIELDS = {one.name for one in fields(Theme)} - {"name"}
_COLOURS = _FIELDS - {"dark", "ansi", "luminosity_spread", "text_alpha", "variables"}


class BrokenTheme(Exception):
    """A theme file that cannot be used; the text says what is wrong with it."""


def names(folder: Path) -> list[str]:
    """Return the themes there are: ours, then the person's own in `folder`."""
    ours = sorted(path.stem for path in OWN.glob("*.toml"))
    return ours + sorted(path.stem for path in folder.glob("*.toml") if path.stem not in ours)


def read(name: str, folder: Path) -> Theme:
    """Read one theme.

    Raises
    ------
    BrokenTheme
        When there is no such theme, or its file is not one.
    """
    for path in (folder / f"{name}.toml", OWN / f"{name}.toml"):
        if path.exists():
            return _theme(name, path)
    raise BrokenTheme(_("there is no theme {name}").format(name=name))


def choose(name: str, folder: Path) -> tuple[Theme, str]:
    """Return the theme, or the fallback and why."""
    try:
        return read(name, folder), ""
    except BrokenTheme as broken:
        return _theme(FALLBACK, OWN / f"{FALLBACK}.toml"), str(broken)


def _theme(name: str, path: Path) -> Theme:
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
        told.pop("title", None)
        if unknown := set(told) - _FIELDS:
            raise BrokenTheme(_("theme {name}: unknown {keys}").format(name=name, keys=", ".join(sorted(unknown))))
        for key in _COLOURS & set(told):
            Color.parse(told[key])
        return Theme(name=name, **told)
    except (OSError, ValueError, TypeError, ColorParseError) as error:
        raise BrokenTheme(_("theme {name}: {error}").format(name=name, error=error)) from error
