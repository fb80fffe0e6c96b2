"""What stored numbers mean, and how values become gray and colours: rescale, SUV, windows and colour maps in one place.

Formulas of uptake carry their source; windows are `window`'s and colour maps `palettes`'.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.imaging.palettes import CHOICES, PALETTES
from core.imaging.window import Automatic, Window, automatic

__all__ = ["CHOICES", "PALETTES", "Automatic", "Body", "Rescale", "Sex", "Window", "automatic", "decayed", "painted"]

Sex = Literal["M", "F"]


@dataclass(frozen=True, slots=True)
class Rescale:
    """A straight line from stored numbers to values: slope, intercept, and the unit of what comes out."""

    slope: float = 1.0
    intercept: float = 0.0
    unit: str = ""

    @property
    def plain(self) -> bool:
        """Whether it changes nothing."""
        return (self.slope, self.intercept) == (1.0, 0.0)

    def values(self, stored: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return what stored numbers stand for."""
        values = np.multiply(stored, np.float32(self.slope), dtype=np.float32)
        return values if self.intercept == 0 else np.add(values, np.float32(self.intercept), out=values)


@dataclass(frozen=True, slots=True)
class Body:
    """A patient's body, for uptake per mass."""

    weight_kg: float
    height_m: float | None = None
    sex: Sex | None = None

    def lean_james_kg(self) -> float:
        """Lean body mass by James 1976, with the male coefficient 128 (the widely copied 120 is a misprint)."""
        ratio = (self.weight_kg / (self._height() * 100)) ** 2
        return 1.10 * self.weight_kg - 128 * ratio if self._is_male() else 1.07 * self.weight_kg - 148 * ratio

    def lean_janmahasatian_kg(self) -> float:
        """Lean body mass by Janmahasatian 2005."""
        index = self.weight_kg / self._height() ** 2
        return 9270 * self.weight_kg / (6680 + 216 * index if self._is_male() else 8780 + 244 * index)

    def surface_m2(self) -> float:
        """Body surface by Du Bois 1916."""
        return 0.007184 * self.weight_kg**0.425 * (self._height() * 100) ** 0.725

    def _height(self) -> float:
        if not self.height_m:
            raise ValueError("the patient's height is missing")
        return self.height_m

    def _is_male(self) -> bool:
        if self.sex is None:
            raise ValueError("the patient's sex is missing: lean body mass is known for men and women")
        return self.sex == "M"


def decayed(seconds: float, half_life_s: float) -> float:
    """Return what is left of an activity after a time."""
    return float(2.0 ** (-seconds / half_life_s))


def painted(values: NDArray[np.generic], window: Window, palette: str = "gray") -> NDArray[np.uint8]:
    """Return values, of any shape, as red, green and blue, (..., 3); outside the window they take its end's colour."""
    return np.asarray(PALETTES[palette][window.levels(values)])
