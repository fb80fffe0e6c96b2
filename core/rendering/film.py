"""Lay out one image of a film: the picture, and under it who it shows and what.

Everything is in grey levels of the film's own depth; letters are drawn with our own font, so that a name in Chinese
stands on every printer's film.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from noto_cjk_sans_otc import FONT_PATH
from numpy.typing import NDArray
from PIL import Image as Pictures
from PIL import ImageDraw, ImageFont

_PART_OF_HEIGHT = 40  # a line of letters is this part of an image's height
_PART_OF_WIDTH = 34  # a narrow image has smaller letters, so that some sixty fit into its width
_SMALLEST, _LARGEST = 12, 48
_LINE = 1.3


class Caption:
    """Writes lines of text as grey levels."""

    def __init__(self) -> None:
        self._fonts: dict[int, ImageFont.FreeTypeFont] = {}

    def height(self, size: tuple[int, int], lines: int) -> int:
        """How much of an image's height the lines take."""
        letters = self._letters(size)
        return round(letters * _LINE) * lines + letters // 2 if lines else 0

    def drawn(self, size: tuple[int, int], lines: Sequence[str], bits: int) -> NDArray[np.uint16]:
        """Return the strip of an image `size` high and wide that holds the lines, bright on dark."""
        letters, step = self._letters(size), round(self._letters(size) * _LINE)
        strip = Pictures.new("L", (size[1], self.height(size, len(lines))))
        pen = ImageDraw.Draw(strip)
        for number, line in enumerate(lines):
            pen.text((letters // 3, number * step), self._cut(line, size), font=self._font(letters), fill=255)
        return (np.asarray(strip, np.uint16) * ((1 << bits) - 1) // 255).astype(np.uint16)

    def _cut(self, line: str, size: tuple[int, int]) -> str:
        """Shorten a line that would run out of its image, and show that it was."""
        font, room = self._font(self._letters(size)), size[1] - self._letters(size) * 2 // 3
        if font.getlength(line) <= room:
            return line
        while line and font.getlength(line + "…") > room:
            line = line[:-1]
        return line + "…"

    @staticmethod
    def _letters(size: tuple[int, int]) -> int:
        return min(max(min(size[0] // _PART_OF_HEIGHT, size[1] // _PART_OF_WIDTH), _SMALLEST), _LARGEST)

    def _font(self, letters: int) -> ImageFont.FreeTypeFont:
        if letters not in self._fonts:
            self._fonts[letters] = ImageFont.truetype(str(FONT_PATH), letters)
        return self._fonts[letters]


def tile(
    picture: NDArray[np.uint16], caption: NDArray[np.uint16], size: tuple[int, int], *, bits: int, inverse: bool = False
) -> NDArray[np.uint16]:
    """Return an image of a film, `size` high and wide: the picture in the middle above its caption.

    `inverse` gives dark on bright, as bone scans are shown.
    """
    room = size[0] - caption.shape[0]
    top, left = (room - picture.shape[0]) // 2, (size[1] - picture.shape[1]) // 2
    made = np.zeros(size, np.uint16)
    made[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    made[room:] = caption
    return ((1 << bits) - 1 - made).astype(np.uint16) if inverse else made
