"""Draw expected counts: organs as soft ellipses and rods on a canvas measured in millimetres.

An organ is as bright as it is thick: a full ellipse is a lit dome, not a flat disc, as a projection of an ellipsoid is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Point = tuple[float, float]
Expected = NDArray[np.float32]

FWHM_PER_SIGMA = 2.3548


@dataclass(slots=True)
class Canvas:
    """A field of view of (rows, columns) pixels; `left` and `top` are where its first pixel lies, in mm.

    With `mirrored` x runs to the left of the picture: the same body seen from behind.
    """

    rows: int
    columns: int
    pixel_mm: float
    left: float = 0.0
    top: float = 0.0
    mirrored: bool = False
    activity: Expected = field(init=False)

    def __post_init__(self) -> None:
        """Start with nothing in the field."""
        self.activity = np.zeros((self.rows, self.columns), np.float32)

    @classmethod
    def centred(cls, rows: int, columns: int, pixel_mm: float, middle: Point = (0.0, 0.0), **kind: bool) -> Canvas:
        """Give a field whose middle lies at `middle`, in mm."""
        x, y = middle
        kind_left = -x if kind.get("mirrored") else x
        return cls(rows, columns, pixel_mm, kind_left - columns * pixel_mm / 2, y - rows * pixel_mm / 2, **kind)

    def pixel(self, point: Point) -> Point:
        """Where a point of the body falls: (row, column), fractional."""
        x = -point[0] if self.mirrored else point[0]
        return (point[1] - self.top) / self.pixel_mm - 0.5, (x - self.left) / self.pixel_mm - 0.5

    def ellipse(
        self, middle: Point, radii: Point, level: float = 1.0, tilt_deg: float = 0.0, *, flat: bool = False
    ) -> None:
        """Add an ellipse of peak `level`; `flat` has the same level all over."""
        rows, columns, x, y = self._around(middle, max(radii), max(radii))
        turn = np.deg2rad(tilt_deg)
        along = (x * np.cos(turn) + y * np.sin(turn)) / radii[0]
        across = (-x * np.sin(turn) + y * np.cos(turn)) / radii[1]
        inside = np.clip(1 - along**2 - across**2, 0, None)
        self.activity[rows, columns] += level * ((inside > 0) if flat else np.sqrt(inside))

    def rod(self, points: Sequence[Point], radius: float, level: float = 1.0) -> None:
        """Add a round rod along a line of points; where its parts meet it is not brighter."""
        xs, ys = [point[0] for point in points], [point[1] for point in points]
        middle = ((min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2)
        half = (max(xs) - min(xs)) / 2 + radius, (max(ys) - min(ys)) / 2 + radius
        rows, columns, x, y = self._around(middle, *half)
        thickness = np.zeros(np.broadcast_shapes(x.shape, y.shape), np.float32)
        for start, end in pairwise(points):
            run = (end[0] - start[0], end[1] - start[1])
            from_start = x - (start[0] - middle[0]), y - (start[1] - middle[1])
            length = max(run[0] ** 2 + run[1] ** 2, 1e-6)
            t = np.clip((from_start[0] * run[0] + from_start[1] * run[1]) / length, 0, 1)
            distance = (from_start[0] - t * run[0]) ** 2 + (from_start[1] - t * run[1]) ** 2
            np.maximum(thickness, np.sqrt(np.clip(1 - distance / radius**2, 0, None)), out=thickness)
        self.activity[rows, columns] += level * thickness

    def _around(self, middle: Point, half_x: float, half_y: float) -> tuple[slice, slice, Expected, Expected]:
        """Cut out the pixels near a shape: slices, and x, y of their middles from the shape's own, in mm."""
        row, column = self.pixel(middle)
        reach_y, reach_x = half_y / self.pixel_mm + 1, half_x / self.pixel_mm + 1
        top, bottom = max(0, int(row - reach_y)), min(self.rows, int(row + reach_y) + 2)
        left, right = max(0, int(column - reach_x)), min(self.columns, int(column + reach_x) + 2)
        rows, columns = slice(top, max(top, bottom)), slice(left, max(left, right))
        y = (np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - row) * self.pixel_mm
        x = (np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] - column) * self.pixel_mm
        return rows, columns, (-x if self.mirrored else x), y


def blurred(expected: Expected, fwhm_pixels: float) -> Expected:
    """Blur the last two axes as a collimator does, keeping the sum (except what leaves the field)."""
    sigma = max(fwhm_pixels, 1e-3) / FWHM_PER_SIGMA
    made = ndimage.gaussian_filter(expected, sigma, axes=(-2, -1), mode="constant", truncate=7.5)
    return np.asarray(made, np.float32)


def counted(expected: NDArray[np.floating], counts: float, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Count for real: the expectation scaled to `counts` in all, each pixel drawn from its Poisson distribution."""
    scale = counts / max(float(expected.sum()), 1e-12)
    return np.minimum(rng.poisson(np.clip(expected, 0, None) * scale), 65535).astype(np.uint16)
