"""Turn values into the grey levels of a picture of any size and depth, for a browser or a film.

The values are windowed at full precision after they were brought to the size asked for; nothing is rounded twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.imaging.display import COUNTED, resampled
from core.imaging.frames import Frames
from core.imaging.window import Automatic, Window, automatic

Curve = Literal["linear", "linear-exact", "sigmoid"]


@dataclass(frozen=True, slots=True)
class Voi:
    """A window as a person asks for it: centre, width and how values run inside (PS3.3 C.11.2.1.3)."""

    centre: float
    width: float
    curve: Curve = "linear"


def window_of(frames: Frames, how: Automatic = "robust") -> Window:
    """Choose a window: the object's own, but what was counted (NM, PET) by the counts themselves."""
    own = frames.window if frames.modality not in COUNTED else None
    return own or automatic(frames.array, how)


def fitted(frames: Frames, height: int, width: int) -> tuple[int, int]:
    """Return the largest height and width within the given ones that keep a frame's shape as the patient's is."""
    row_mm, column_mm = frames.spacing_mm or (1.0, 1.0)
    aspect = (frames.array.shape[2] * column_mm) / (frames.array.shape[1] * row_mm)
    down = max(1, min(height, round(width / aspect)))
    return down, max(1, min(width, round(down * aspect)))


def levels(values: NDArray[np.generic], window: Window, bits: int = 8) -> NDArray[np.uint16]:
    """Map values to 0 .. 2**bits - 1, linearly inside the window; what is no number is shown as the lower end."""
    steps = 1 << bits
    extent = window.upper - window.lower
    clean = np.nan_to_num(values.astype(np.float32), nan=window.lower)
    if extent <= 0:
        return np.where(clean > window.lower, steps - 1, 0).astype(np.uint16)
    return np.clip((clean - window.lower) * (steps / extent), 0, steps - 1).astype(np.uint16)


def drawn(
    frames: Frames, index: int, size: tuple[int, int], shown: Window | Voi, bits: int = 8
) -> NDArray[np.uint16 | np.uint8]:
    """Draw one frame at a size: (row, column) levels of `bits`, or (row, column, 3) uint8 where it is in colour.

    Small values of MONOCHROME1 come out bright, as the object means it.
    """
    frame = frames.array[index]
    if frames.colour:
        channels = [resampled(frame[..., channel], *size) for channel in range(3)]
        return np.clip(np.rint(np.stack(channels, axis=-1)), 0, 255).astype(np.uint8)
    values = resampled(frame, *size)
    if isinstance(shown, Voi):
        values, shown = _along(values, shown)
    grey = levels(values, shown, bits)
    return ((1 << bits) - 1 - grey).astype(np.uint16) if frames.inverted else grey


def _along(values: NDArray[np.float32], voi: Voi) -> tuple[NDArray[np.float32], Window]:
    if voi.curve == "sigmoid":
        bent = 1 / (1 + np.exp(np.clip(-4 * (values - voi.centre) / voi.width, -60, 60)))
        return bent.astype(np.float32), Window(0.0, 1.0)
    if voi.curve == "linear-exact":
        return values, Window(voi.centre - voi.width / 2, voi.centre + voi.width / 2)
    return values, Window.centred(voi.centre, voi.width)
