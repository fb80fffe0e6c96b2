"""Two images of one place in one picture: by wavelets, by mixing, by squares.

Both are on one grid already, (slice, row, column), and as bright as they should be: values from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Any, TypeAlias

import numpy as np
import pywt
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float32]

_GREATEST_LEVEL = 6


class DetailRule(StrEnum):
    """Which image's edges are taken."""

    MAX_ABS = auto()
    MEAN = auto()


@dataclass(frozen=True, slots=True)
class FusionRule:
    """How images are fused by a wavelet pyramid.

    Attributes
    ----------
    wavelet
        A discrete wavelet as PyWavelets names them.
    levels
        Of the pyramid.
    detail
        How details are chosen.
    weight
        Of the first image in what is left after all details are taken out, 0 to 1.
    """

    wavelet: str = "db2"
    levels: int = 3
    detail: DetailRule = DetailRule.MAX_ABS
    weight: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what is no rule."""
        if self.wavelet not in pywt.wavelist(kind="discrete"):
            raise ValueError(f"'{self.wavelet}' is no discrete wavelet: haar, db2, sym4, bior2.2 and others are")
        if not 1 <= self.levels <= _GREATEST_LEVEL or not 0 <= self.weight <= 1:
            raise ValueError(f"levels run from 1 to {_GREATEST_LEVEL}, the weight from 0 to 1")


def fused(one: Array, other: Array, rule: FusionRule | None = None, axes: Sequence[int] = (0, 1, 2)) -> Array:
    """Return both images in one, of the same shape; `axes` (1, 2) fuses slice by slice.

    Raises
    ------
    ValueError
        The images are on different grids, or too small for the levels.
    """
    rule = rule or FusionRule()
    if one.shape != other.shape:
        raise ValueError(f"images on different grids cannot be fused: {one.shape} and {other.shape}")
    deepest = min(pywt.dwt_max_level(one.shape[axis], rule.wavelet) for axis in axes)
    if rule.levels > max(deepest, 1):
        raise ValueError(f"{rule.levels} levels are too many for {one.shape} by {rule.wavelet}: at most {deepest}")
    coefficients = [pywt.wavedecn(image, rule.wavelet, "periodization", rule.levels, axes) for image in (one, other)]
    mixed = _mixed(coefficients[0], coefficients[1], rule)
    made = pywt.waverecn(mixed, rule.wavelet, "periodization", axes)
    inside = tuple(slice(0, size) for size in one.shape)
    return np.asarray(made[inside], np.float32)


def _mixed(one: list[Any], other: list[Any], rule: FusionRule) -> list[Any]:
    choose = _DETAILS[rule.detail]
    weight = np.float32(rule.weight)
    rest = one[0] * weight
    rest += other[0] * (1 - weight)
    levels = [{band: choose(a[band], b[band]) for band in a} for a, b in zip(one[1:], other[1:], strict=True)]
    return [rest, *levels]


def _stronger(one: Array, other: Array) -> Array:
    np.copyto(one, other, where=np.abs(other) > np.abs(one))
    return one


def _mean(one: Array, other: Array) -> Array:
    one += other
    one *= np.float32(0.5)
    return one


_DETAILS: dict[DetailRule, Callable[[Array, Array], Array]] = {DetailRule.MAX_ABS: _stronger, DetailRule.MEAN: _mean}


def blended(below: NDArray[np.uint8], above: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """Mix two coloured pictures (..., 3): `share` of the upper one, 0 to 1."""
    mixed = below.astype(np.float32) * (1 - share) + above.astype(np.float32) * share
    return np.asarray(np.rint(mixed), np.uint8)


def checkerboard(one: NDArray[Any], other: NDArray[Any], squares: int = 8) -> NDArray[Any]:
    """Return (row, column, ...) in which squares of both alternate, the first image's in the corner."""
    rows, columns = one.shape[:2]
    pattern = (np.arange(rows)[:, None] * squares // rows + np.arange(columns)[None, :] * squares // columns) % 2 == 0
    return np.where(pattern.reshape(pattern.shape + (1,) * (one.ndim - 2)), one, other)
