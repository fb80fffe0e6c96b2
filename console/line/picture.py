"""A picture of the service on a terminal: half blocks anywhere, real graphics where the terminal has them.

A cell shows two pixels, the upper in the foreground's colour, the lower in the background's.
"""

from __future__ import annotations

import base64
import os
import zlib
from typing import Any

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


def graphics(picture: dict[str, Any]) -> str:
    """Draw with the terminal's own graphics."""
    from PIL import Image  # noqa: PLC0415 - only terminals with graphics pay for it
    from term_image.image import AutoImage  # noqa: PLC0415 - as above

    pixels, table = colours_of(picture)
    flat = Image.frombytes("P", (picture["columns"], 2 * picture["rows"]), pixels)
    flat.putpalette([level for colour in table for level in colour])
    return str(AutoImage(flat.convert("RGB")))
