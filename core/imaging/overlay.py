"""Two pictures of one place as one: mixed, in squares, or by wavelets.

Both were drawn at one size with the same request, so that their pixels lie upon each other. A picture has 256 colours:
the levels of both share them out, the same for every frame, so that a cine does not flicker.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pywt
from numpy.typing import NDArray

from core.imaging.display import Picture
from core.imaging.fusion import FusionRule, blended, checkerboard, fused
from core.imaging.palettes import FIXED_COLOURS
from core.imaging.window import Window

_LEVELS = 256
_WAVELET = "db2"
_MOSTLY = 0.35
"""With less than this share of one picture, the other gets more of the levels."""


def mixed(below: Picture, above: Picture, share: float) -> Picture:
    """Lay one picture over another; `share` of the upper one, 0 to 1."""
    if share <= 0:
        return below
    if share >= 1:
        return replace(below, indices=above.indices, palette=above.palette, own_colours=above.own_colours)
    many = 32 if share < _MOSTLY else (8 if share > 1 - _MOSTLY else 16)  # of the lower picture's levels
    others = _LEVELS // many
    indices = _nearest(many)[below.indices] * np.uint8(others) + _nearest(others)[above.indices]
    lower, upper = below.colours[_evenly(many)], above.colours[_evenly(others)]
    colours = blended(np.repeat(lower, others, axis=0), np.tile(upper, (many, 1)), share)
    return replace(below, indices=indices, palette=FIXED_COLOURS, own_colours=colours)


def checkered(below: Picture, above: Picture, squares: int = 8) -> Picture:
    """Let squares of both alternate within each frame shown, the lower picture's in the corner."""
    half = _LEVELS // 2
    lower, upper = below.indices // 2, above.indices // 2 + half
    indices = lower.copy()
    for tile in below.tiles:
        place = (slice(tile.top, tile.top + tile.height), slice(tile.left, tile.left + tile.width))
        indices[place] = checkerboard(lower[place], upper[place], squares)
    colours = np.concatenate([below.colours[_evenly(half)], above.colours[_evenly(half)]])
    return replace(below, indices=indices, palette=FIXED_COLOURS, own_colours=colours)


def fused_levels(
    below: NDArray[np.float32], above: NDArray[np.float32], windows: tuple[Window, Window], share: float = 0.5
) -> NDArray[np.float32]:
    """Fuse (frame, row, column) planes by wavelets, each as bright as its window makes it: 0 to 1.

    Edges are those of either, whichever are stronger; `share` is that of the upper one in what is left.
    """
    one, other = (
        np.asarray(window.levels(values) / np.float32(_LEVELS - 1), np.float32)
        for values, window in zip((below, above), windows, strict=True)
    )
    deepest = min(pywt.dwt_max_level(size, _WAVELET) for size in one.shape[1:])
    if deepest < 1:  # too few rows or columns for details
        return np.asarray(one * (1 - share) + other * share, np.float32)
    rule = FusionRule(_WAVELET, levels=min(3, deepest), weight=1 - share)
    return np.clip(fused(one, other, rule, axes=(1, 2)), 0, 1)


def _evenly(many: int) -> NDArray[np.intp]:
    return np.rint(np.linspace(0, _LEVELS - 1, many)).astype(np.intp)


def _nearest(many: int) -> NDArray[np.uint8]:
    """Return which of so many levels is nearest to each of all."""
    return np.rint(np.linspace(0, many - 1, _LEVELS)).astype(np.uint8)
