"""The colour maps of the department's screens, each 256 steps of red, green and blue.

Hot Iron, PET, Hot Metal Blue and PET 20 Step are the well-known palettes of PS3.6 Annex B, given here by their corners.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Corners = Sequence[tuple[int, int]]

FIXED_COLOURS = "true_colour"


def _ramp(corners: Corners) -> NDArray[np.uint8]:
    positions, levels = zip(*corners, strict=True)
    return np.rint(np.interp(np.arange(256), positions, levels)).astype(np.uint8)


def _map(red: Corners, green: Corners, blue: Corners) -> NDArray[np.uint8]:
    table = np.stack([_ramp(red), _ramp(green), _ramp(blue)], axis=1)
    table.flags.writeable = False
    return table


def _steps(colours: Sequence[tuple[int, int, int]]) -> NDArray[np.uint8]:
    table = np.array(colours, np.uint8)[np.minimum(np.arange(256) * len(colours) // 255, len(colours) - 1)]
    table.flags.writeable = False
    return table


def _fixed_colours() -> NDArray[np.uint8]:
    """Give 40 grays, then a cube of 6 x 6 x 6 colours: what colour images are reduced to."""
    grays = np.rint(np.linspace(0, 255, 40))[:, None].repeat(3, axis=1)
    level = np.arange(6) * 51
    cube = np.stack(np.meshgrid(level, level, level, indexing="ij"), axis=-1).reshape(-1, 3)
    table = np.concatenate([grays, cube]).astype(np.uint8)
    table.flags.writeable = False
    return table


_UP = ((0, 0), (255, 255))
_DOWN = ((0, 255), (255, 0))
_TWENTY = (
    (0, 0, 0), (96, 0, 80), (48, 48, 80), (48, 48, 112), (80, 80, 128), (96, 96, 176), (112, 112, 192),
    (128, 128, 224), (48, 96, 48), (48, 144, 48), (80, 192, 80), (64, 224, 64), (224, 224, 80), (208, 208, 96),
    (208, 176, 64), (208, 144, 0), (192, 96, 0), (176, 48, 0), (255, 0, 0), (255, 255, 255),
)  # fmt: skip

PALETTES: Mapping[str, NDArray[np.uint8]] = MappingProxyType(
    {
        "gray": _map(_UP, _UP, _UP),
        "inverted_gray": _map(_DOWN, _DOWN, _DOWN),
        "hot_iron": _map(
            ((0, 0), (127, 254), (128, 255), (255, 255)),
            ((0, 0), (128, 0), (254, 252), (255, 255)),
            ((0, 0), (191, 0), (254, 252), (255, 255)),
        ),
        "hot_metal_blue": _map(
            ((0, 0), (85, 0), (103, 52), (119, 90), (127, 114), (153, 190), (170, 255), (255, 255)),
            ((0, 0), (119, 0), (174, 104), (233, 215), (255, 255)),
            (
                (0, 0),
                (94, 184),
                (102, 200),
                (119, 150),
                (124, 121),
                (136, 50),
                (153, 0),
                (170, 0),
                (240, 206),
                (255, 255),
            ),
        ),
        "rainbow": _map(
            ((0, 0), (26, 66), (52, 24), (78, 0), (128, 0), (160, 120), (192, 255), (244, 255), (255, 255)),
            ((0, 0), (26, 0), (52, 24), (92, 200), (128, 220), (192, 250), (216, 130), (240, 10), (255, 255)),
            ((0, 0), (26, 120), (52, 230), (92, 230), (128, 40), (160, 0), (192, 0), (240, 10), (255, 255)),
        ),
        "pet": _map(
            ((0, 0), (63, 0), (192, 255), (255, 255)),
            ((0, 0), (31, 62), (32, 65), (63, 128), (127, 1), (128, 0), (254, 252), (255, 255)),
            ((0, 0), (1, 1), (128, 255), (129, 252), (192, 0), (254, 250), (255, 255)),
        ),
        "pet_20_step": _steps(_TWENTY),
        FIXED_COLOURS: _fixed_colours(),
    }
)

CHOICES: tuple[str, ...] = tuple(name for name in PALETTES if name != FIXED_COLOURS)


def indices_of(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Reduce (row, column, 3) colours to indices of the `true_colour` palette: grays finely, colours to the cube."""
    values = colours.astype(np.int16)
    gray = values.max(axis=-1) - values.min(axis=-1) <= 12  # noqa: PLR2004 - what JPEG does to a gray pixel
    cube = 40 + np.rint(values / 51.0).astype(np.int16) @ np.array([36, 6, 1], np.int16)
    return np.where(gray, np.rint(values.mean(axis=-1) * (39 / 255)), cube).astype(np.uint8)
