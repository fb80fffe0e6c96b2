"""Which values are shown black and which white.

Nuclear medicine shows counts from zero; what a hot bladder or an injection site does to the scale is a matter of
percentiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Automatic = Literal["robust", "maximum", "range"]

HOT_PERCENT = 99.5
COLD_PERCENT = 0.5
ENOUGH = 300_000
"""Of more values than this every n-th decides: a percentile does not need them all."""


@dataclass(frozen=True, slots=True)
class Window:
    """Values at or below `lower` take the first colour, at or above `upper` the last."""

    lower: float
    upper: float

    @classmethod
    def centred(cls, centre: float, width: float) -> Window:
        """Give the window a centre and a width mean (PS3.3 C.11.2.1.2.1); a width below 1 is taken as plain extent."""
        if width < 1:
            return cls(centre - width / 2, centre + width / 2)
        return cls(centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2)

    @property
    def centre(self) -> float:
        """The centre that `centred` would take to give this window."""
        return (self.lower + self.upper) / 2 + 0.5

    @property
    def width(self) -> float:
        """The width that `centred` would take to give this window."""
        return self.upper - self.lower + 1

    def levels(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Map values to 0..255, linearly inside the window; what is no number is shown as the lower end."""
        extent = self.upper - self.lower
        if extent <= 0:
            return np.where(np.nan_to_num(values.astype(np.float32)) > self.lower, 255, 0).astype(np.uint8)
        scaled = (np.nan_to_num(values.astype(np.float32), nan=self.lower) - self.lower) * (256.0 / extent)
        return np.clip(scaled, 0, 255).astype(np.uint8)


def automatic(values: NDArray[np.generic], how: Automatic = "robust") -> Window:
    """Choose a window from the values themselves.

    `maximum` runs from zero to the hottest pixel; `robust` stops at the 99.5th percentile of what is not zero, so that
    a few outliers do not darken the rest; `range` is smallest to largest. Images with negative values (CT) start at
    their own lower end. Empty or constant images get a window one wide.
    """
    finite = values if values.dtype.kind in "iub" else values[np.isfinite(values)]
    if finite.size == 0:
        return Window(0.0, 1.0)
    smallest, largest = float(finite.min()), float(finite.max())
    if how == "range" or largest <= 0:
        return _at_least_something(smallest, largest)
    if how == "maximum":
        return _at_least_something(min(smallest, 0.0), largest)
    return _robust(finite, smallest)


def _robust(finite: NDArray[Any], smallest: float) -> Window:
    finite = finite.reshape(-1)[:: 1 + finite.size // ENOUGH]
    telling = finite[finite != 0] if smallest >= 0 else finite[finite > smallest]
    if telling.size == 0:
        return _at_least_something(smallest, smallest)
    lower = 0.0 if smallest >= 0 else float(np.percentile(telling, COLD_PERCENT))
    return _at_least_something(lower, float(np.percentile(telling, HOT_PERCENT)))


def _at_least_something(lower: float, upper: float) -> Window:
    return Window(lower, upper if upper > lower else lower + 1.0)
