"""Regions drawn on a frame or a plane, and what they hold.

Pixel (0, 0) reaches from (0.0, 0.0) to (1.0, 1.0); a pixel belongs to a region when its middle does. Values are those
of the image, never of the picture shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Kind = Literal["rectangle", "ellipse", "polygon", "line"]
Points: TypeAlias = NDArray[np.float64]
"""(point, 2): row and column."""
Mask: TypeAlias = NDArray[np.bool_]

_FEWEST = {"rectangle": 2, "ellipse": 2, "polygon": 3, "line": 2}


class NoRegion(ValueError):
    """A region that holds nothing; the text says why and is fit for a person."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a region holds; `sd` is that of a sample (n - 1). Lengths and areas in mm are none where sizes are unknown.

    `profile` are the values along a line, sampled once a pixel; for a line the numbers speak of these.
    """

    pixels: int
    total: float
    mean: float
    maximum: float
    minimum: float
    sd: float
    area_mm2: float | None = None
    length_mm: float | None = None
    length_pixels: float | None = None
    maximum_at: tuple[float, float] | None = None
    profile: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()


def mask_of(kind: Kind, points: Sequence[Sequence[float]], size: tuple[int, int]) -> Mask:
    """Return which pixels, (row, column), of a frame of a size belong to a region.

    Parameters
    ----------
    kind
        rectangle and ellipse take two opposite corners, a polygon three corners or more (crossing itself, what is
        enclosed once counts); a line has no pixels.
    points
        Row and column of each.

    Raises
    ------
    NoRegion
        Too few points, or no pixel's middle lies inside.
    """
    inside = _DRAWN[kind](_checked(kind, points), size)
    if not inside.any():
        raise NoRegion("the region holds no pixel: draw it larger, and on the image")
    return inside


def held_by(
    values: NDArray[Any], kind: Kind, points: Sequence[Sequence[float]], spacing_mm: tuple[float, float] | None = None
) -> Held:
    """Measure a region on (row, column) values; `spacing_mm` is between rows and between columns.

    Raises
    ------
    NoRegion
        See `mask_of`; or none of its values is a number.
    """
    if values.ndim != 2:  # noqa: PLR2004 - row, column
        raise NoRegion("a picture in colour has no values to measure")
    if kind == "line":
        return _along(values, _checked(kind, points), spacing_mm)
    inside = mask_of(kind, points, (values.shape[0], values.shape[1]))
    where = np.argwhere(inside)
    held, notes = _numbers(values[inside])
    row, column = where[np.flatnonzero(held.telling)[int(np.argmax(held.values))]]
    if _leaves(_checked(kind, points), values.shape):
        notes = (*notes, "part of the region lies outside of the image")
    area = len(where) * spacing_mm[0] * spacing_mm[1] if spacing_mm else None
    return _held(
        held.values, len(where), area_mm2=area, maximum_at=(float(row) + 0.5, float(column) + 0.5), notes=notes
    )


def curve_of(frames: NDArray[Any], inside: Mask) -> NDArray[np.float64]:
    """Return the sum within a region of each of the (frame, row, column) frames."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    cut = frames[:, box[0], box[1]]
    return np.asarray(np.nansum(cut, axis=(1, 2), where=inside[box][None], dtype=np.float64))


# -- shapes ----------------------------------------------------------------------------------------------------------


def _checked(kind: Kind, points: Sequence[Sequence[float]]) -> Points:
    array = np.asarray(points, np.float64)
    if array.ndim != 2 or array.shape[1] != 2 or len(array) < _FEWEST[kind] or not np.isfinite(array).all():  # noqa: PLR2004
        raise NoRegion(f"a {kind} has {_FEWEST[kind]} points or more, each a row and a column")
    return array


def _rectangle(points: Points, size: tuple[int, int]) -> Mask:
    rows, columns = _middles(size)
    (top, left), (bottom, right) = points[:2].min(axis=0), points[:2].max(axis=0)
    return np.outer((rows >= top) & (rows < bottom), (columns >= left) & (columns < right))


def _ellipse(points: Points, size: tuple[int, int]) -> Mask:
    rows, columns = _middles(size)
    middle, half = points[:2].mean(axis=0), np.ptp(points[:2], axis=0) / 2
    if not half.all():
        return np.zeros(size, bool)
    away = ((rows - middle[0]) / half[0])[:, None] ** 2 + ((columns - middle[1]) / half[1])[None, :] ** 2
    return np.asarray(away <= 1)


def _polygon(points: Points, size: tuple[int, int]) -> Mask:
    """Go along each row of middles: what lies behind an odd number of edges is inside."""
    rows, _ = _middles(size)
    start, end = points, np.roll(points, -1, axis=0)
    crossed = (start[:, 0] > rows[:, None]) != (end[:, 0] > rows[:, None])  # (row, edge)
    row, edge = np.nonzero(crossed)
    share = (rows[row] - start[edge, 0]) / (end[edge, 0] - start[edge, 0])
    at = start[edge, 1] + share * (end[edge, 1] - start[edge, 1])
    first = np.clip(np.ceil(at - 0.5), 0, size[1]).astype(np.intp)
    edges = np.zeros((size[0], size[1] + 1), np.intp)
    np.add.at(edges, (row, first), 1)
    return np.asarray(np.cumsum(edges, axis=1)[:, :-1] % 2 == 1)


def _nothing(points: Points, size: tuple[int, int]) -> Mask:  # noqa: ARG001 - the shape of a drawer
    return np.zeros(size, bool)


_DRAWN: dict[str, Callable[[Points, tuple[int, int]], Mask]] = {
    "rectangle": _rectangle,
    "ellipse": _ellipse,
    "polygon": _polygon,
    "line": _nothing,
}


def _middles(size: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.arange(size[0], dtype=np.float64) + 0.5, np.arange(size[1], dtype=np.float64) + 0.5


def _leaves(points: Points, size: tuple[int, ...]) -> bool:
    return bool((points < 0).any() or (points > np.asarray(size[:2])).any())


# -- numbers ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Telling:
    values: NDArray[np.float64]
    telling: Mask


def _numbers(values: NDArray[Any]) -> tuple[_Telling, tuple[str, ...]]:
    wide = values.astype(np.float64)
    telling = np.isfinite(wide)
    if not telling.any():
        raise NoRegion("none of the values in the region is a number")
    lost = int((~telling).sum())
    notes = (f"{lost} of its pixels are no numbers and are left out",) if lost else ()
    return _Telling(wide[telling], telling), notes


def _held(values: NDArray[np.float64], pixels: int, **more: Any) -> Held:  # noqa: ANN401 - fields of Held
    return Held(
        pixels=pixels, total=float(values.sum()), mean=float(values.mean()), maximum=float(values.max()),
        minimum=float(values.min()), sd=float(values.std(ddof=1)) if len(values) > 1 else 0.0, **more,
    )  # fmt: skip


def _along(values: NDArray[Any], points: Points, spacing_mm: tuple[float, float] | None) -> Held:
    steps = np.diff(points, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    length = float(lengths.sum())
    if length <= 0:
        raise NoRegion("the line has no length: set its ends apart")
    count = max(2, int(np.ceil(length)) + 1)
    behind = np.concatenate([[0.0], np.cumsum(lengths)])
    at = np.linspace(0, length, count)
    places = np.stack([np.interp(at, behind, points[:, axis]) for axis in (0, 1)]) - 0.5
    profile = ndimage.map_coordinates(values.astype(np.float64), places, order=1, mode="nearest")
    held, notes = _numbers(profile)
    if _leaves(points, values.shape):
        notes = (*notes, "part of the line lies outside of the image")
    millimetres = float(np.linalg.norm(steps * spacing_mm, axis=1).sum()) if spacing_mm else None
    return _held(
        held.values, count, length_mm=millimetres, length_pixels=length, notes=notes,
        profile=tuple(float(value) for value in profile if np.isfinite(value)),
    )  # fmt: skip
