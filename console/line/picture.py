"""A picture of the service on a terminal: half blocks anywhere, real graphics where the terminal has them.

A cell shows two pixels, the upper in the foreground's colour, the lower in the background's.
"""

from __future__ import annotations

import base64
import os
import warnings
import zlib
from collections.abc import Mapping
from typing import Any

BLOCK, KITTY, ITERM2 = "block", "kitty", "iterm2"
STYLES = ("auto", BLOCK, KITTY, ITERM2)
FINER = 8  # pixels of a graphic in a cell, along each side
_UPPER_HALF = "▀"
_RESET = "\x1b[0m"
_CUBE = 6


def colours_of(picture: dict[str, Any]) -> tuple[bytes, list[tuple[int, int, int]]]:
    """Return the picture's palette indices, row by row from the top, and the palette's colours."""
    pixels = zlib.decompress(base64.b64decode(picture["pixels"]))
    table = base64.b64decode(picture["colours"])
    return pixels, [(table[at], table[at + 1], table[at + 2]) for at in range(0, len(table), 3)]


def blocks(picture: dict[str, Any]) -> str:
    """Draw with half blocks, in true colour where the terminal says it has it, else in 256 colours."""
    pixels, table = colours_of(picture)
    true_colour = os.environ.get("COLORTERM") in {"truecolor", "24bit"}
    codes = [_code(colour, true_colour=true_colour) for colour in table]
    width = picture["columns"]
    lines = []
    for row in range(picture["rows"]):
        upper = pixels[2 * row * width : (2 * row + 1) * width]
        lower = pixels[(2 * row + 1) * width : (2 * row + 2) * width]
        lines.append(_line(upper, lower, codes))
    return "\n".join(lines)


def _line(upper: bytes, lower: bytes, codes: list[str]) -> str:
    """Join cells; a colour is said only where it changes."""
    said, before = [], (-1, -1)
    for cell in zip(upper, lower, strict=True):
        if cell != before:
            said.append(f"\x1b[38;{codes[cell[0]]};48;{codes[cell[1]]}m")
            before = cell
        said.append(_UPPER_HALF)
    return "".join((*said, _RESET))


def _code(colour: tuple[int, int, int], *, true_colour: bool) -> str:
    if true_colour:
        return "2;{};{};{}".format(*colour)
    if max(colour) - min(colour) < 16:  # noqa: PLR2004 - the terminal's own ramp of grays is finer than its cube
        return f"5;{232 + min(23, colour[0] * 24 // 256)}"
    red, green, blue = (level * _CUBE // 256 for level in colour)
    return f"5;{16 + _CUBE * _CUBE * red + _CUBE * green + blue}"


def style_of(environment: Mapping[str, str]) -> str:
    """Return the best this terminal is known to draw: kitty's or iTerm2's graphics, else blocks.

    What the terminal says of itself is believed, and a multiplexer between it and us takes graphics away. Nothing is
    asked of the terminal: the answer would be typed into whatever comes next.
    """
    if environment.get("TMUX") or environment.get("STY"):
        return BLOCK
    if environment.get("TERM") == "xterm-kitty" or "KITTY_WINDOW_ID" in environment:
        return KITTY
    named = {environment.get("TERM_PROGRAM"), environment.get("LC_TERMINAL")}
    return ITERM2 if named & {"iTerm.app", "iTerm2", "WezTerm"} else BLOCK


def graphics(picture: dict[str, Any], style: str) -> str:
    """Draw with the terminal's own graphics."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that standard output is no terminal is the person's wish then
        import term_image  # noqa: PLC0415 - only terminals with graphics pay for it
        from PIL import Image  # noqa: PLC0415 - as above
        from term_image.image import ITerm2Image, KittyImage  # noqa: PLC0415 - as above

    term_image.disable_queries()
    kind = KittyImage if style == KITTY else ITerm2Image
    kind.forced_support = True  # the person, or the terminal's own name, says so
    pixels, table = colours_of(picture)
    flat = Image.frombytes("P", (picture["columns"], 2 * picture["rows"]), pixels)
    flat.putpalette([level for colour in table for level in colour])
    return str(kind(flat.convert("RGB"), width=max(1, picture["columns"] // FINER)))
