"""Decoded frames on their way to a picture or a measurement.

Values are what the camera meant (counts, Bq/ml, HU), never stored numbers; how they look is decided in `display`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.imaging.window import Window


@dataclass(frozen=True, slots=True)
class Frames:
    """Some or all frames of one image or series.

    `array` is (frame, row, column), any real type; a colour image is (frame, row, column, 3) uint8, red green blue.
    `indices` tells which of the `total` frames these are, from 0; `labels` has one text per frame held.
    `inverted` is true where small values are to be shown bright (MONOCHROME1).
    """

    array: NDArray[np.generic]
    spacing_mm: tuple[float, float] | None = None
    labels: tuple[str, ...] = ()
    window: Window | None = None
    modality: str = ""
    unit: str = ""
    inverted: bool = False
    indices: tuple[int, ...] = ()
    total: int = 0
    frame_ms: float | None = None

    def __post_init__(self) -> None:
        """Fill in what follows from the array; refuse an array that is no stack of frames."""
        if self.array.ndim not in (3, 4) or (self.array.ndim == 4 and self.array.shape[3] != 3):  # noqa: PLR2004 - axes
            detail = f"frames are (frame, row, column) or (frame, row, column, 3), not {self.array.shape}"
            raise ValueError(detail)
        held = self.array.shape[0]
        object.__setattr__(self, "indices", self.indices or tuple(range(held)))
        object.__setattr__(self, "labels", self.labels or ("",) * held)
        object.__setattr__(self, "total", self.total or held)

    @property
    def colour(self) -> bool:
        """Whether the frames are red, green and blue rather than values."""
        return self.array.ndim == 4  # noqa: PLR2004 - (frame, row, column, 3)


def picked(frames: Frames, numbers: range) -> Frames:
    """Return some of the frames held, as a view: `numbers` count within those, from 0."""
    return replace(
        frames,
        array=frames.array[numbers.start : numbers.stop : numbers.step],
        labels=tuple(frames.labels[number] for number in numbers),
        indices=tuple(frames.indices[number] for number in numbers),
    )


def stacked(parts: list[Frames]) -> Frames:
    """Make one stack of single-slice images (PET, CT) in the order given; they must agree in size and kind."""
    if not parts:
        detail = "there is no frame to stack"
        raise ValueError(detail)
    first = parts[0]
    if any(part.array.shape[1:] != first.array.shape[1:] for part in parts):
        detail = "frames of different sizes make no stack; show them one by one"
        raise ValueError(detail)
    return replace(
        first,
        array=np.concatenate([part.array for part in parts]),
        labels=tuple(label for part in parts for label in part.labels),
        indices=(),
        total=0,
    )
