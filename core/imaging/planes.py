"""Planes through a volume, where they lie in the patient, and the volume seen through from any side.

A plane is looked at as the department hangs it: the patient's right on the left of axial and coronal ones, the front on
the left of sagittal ones, head up. A grid that lies along the patient is read as it is, voxel for voxel; an oblique one
is interpolated, one plane at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.imaging.volume import Affine, Points, Volume

PlaneName = Literal["axial", "coronal", "sagittal", "native"]
Triple: TypeAlias = tuple[float, float, float]
Grid: TypeAlias = tuple[int, int, int]

PLANES: tuple[PlaneName, ...] = ("axial", "coronal", "sagittal", "native")
FINEST_PROJECTION = 192
"""A volume with more voxels along a side is thinned, by maxima, before it is seen through."""

_HUNG: dict[str, tuple[Triple, Triple, Triple]] = {
    "axial": ((1, 0, 0), (0, 1, 0), (0, 0, -1)),
    "coronal": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "sagittal": ((0, 1, 0), (0, 0, -1), (1, 0, 0)),
}
"""Directions of a row, of a column, and from slice to slice, in LPS."""

_LETTERS = ("RL", "AP", "FH")
_ALONG = float(np.cos(np.deg2rad(1.0)))
"""A grid axis within a degree of the patient's is taken as it is; its affine still says where it truly lies."""


@dataclass(frozen=True, eq=False)
class Cut:
    """Parallel planes through a volume.

    `affine` takes (column, row, slice, 1), counted at the middles of pixels, to patient millimetres; `grid` is slices,
    rows, columns. `axes` are the volume's own axes (slice, row, column by number) along slice, row and column of the
    planes, each with its sign, where no interpolation is needed.
    """

    name: str
    affine: Affine
    grid: Grid
    axes: tuple[tuple[int, int], ...] = ()

    @property
    def step_mm(self) -> float:
        """From one plane to the next."""
        return float(np.linalg.norm(self.affine[:3, 2]))

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """Between rows, between columns."""
        return float(np.linalg.norm(self.affine[:3, 1])), float(np.linalg.norm(self.affine[:3, 0]))

    @property
    def letters(self) -> tuple[str, str, str, str]:
        """What part of the patient lies to the left, right, top and bottom."""
        across, down = _side(self.affine[:3, 0]), _side(self.affine[:3, 1])
        return across[0], across[1], down[0], down[1]

    def slice_at(self, point: Points) -> float:
        """Return the slice a patient point lies in, not rounded; the nearest there is where it lies outside."""
        inverse = np.linalg.inv(self.affine)
        return float(np.clip(inverse[2, :3] @ point + inverse[2, 3], 0, self.grid[0] - 1))

    def pixel_at(self, point: Points) -> tuple[float, float]:
        """Return the row and column of a patient point, counted from the upper left corner of the first pixel."""
        inverse = np.linalg.inv(self.affine)
        column, row, _ = inverse[:3, :3] @ point + inverse[:3, 3]
        return float(row) + 0.5, float(column) + 0.5

    def point_of(self, row: float, column: float, number: float) -> Points:
        """Return where a point of a plane lies, rows and columns counted as in `pixel_at`."""
        return np.asarray(self.affine @ (column - 0.5, row - 0.5, number, 1.0))[:3]

    def finer(self, times: int) -> Cut:
        """Return the same planes with so many times the rows and columns."""
        if times == 1:
            return self
        affine = self.affine.copy()
        affine[:3, :2] /= times
        affine[:3, 3] = self.point_of(0.5 / times, 0.5 / times, 0.0)
        slices, rows, columns = self.grid
        return Cut(self.name, affine, (slices, rows * times, columns * times))


def cut(volume: Volume, name: PlaneName) -> Cut:
    """Return the planes of a name through a volume; `native` are its own slices as they came."""
    if name == "native":
        return Cut(name, volume.affine, volume.grid, ((0, 1), (1, 1), (2, 1)))
    hung = np.array(_HUNG[name], np.float64)
    axes = _own_axes(volume, hung)
    return _along(volume, name, axes) if axes else _across(volume, name, hung)


def plane(volume: Volume, through: Cut, number: float, outside: float = np.nan) -> NDArray[np.float32]:
    """Return the (row, column) values of a plane of one moment; between two slices they are interpolated.

    `outside` is what stands where an oblique volume has nothing.
    """
    if not through.axes:
        return sampled(volume, through, number, outside=outside)
    array = _turned(volume.array, through.axes)
    lower = int(np.floor(np.clip(number, 0, len(array) - 1)))
    share = float(np.clip(number, 0, len(array) - 1)) - lower
    if share < 1e-3:  # noqa: PLR2004 - of a slice: nothing a person sees
        return np.asarray(array[lower], np.float32)
    return np.asarray(array[lower] * (1 - share) + array[lower + 1] * share, np.float32)


def sampled(
    volume: Volume, onto: Cut, number: float, transform: Affine | None = None, outside: float = np.nan
) -> NDArray[np.float32]:
    """Return a volume's values on a plane of another's cut, interpolated linearly; `outside` where it has none.

    `transform` takes the cut's patient millimetres to the volume's own; none where they are the same.
    """
    to_here = np.linalg.inv(volume.affine) @ (np.eye(4) if transform is None else transform) @ onto.affine
    to_here[:3, 3] += to_here[:3, 2] * number
    matrix, offset = to_here[:3, :3][::-1, ::-1], to_here[:3, 3][::-1]
    made = ndimage.affine_transform(
        volume.array, matrix, offset, (1, *onto.grid[1:]), output=np.float32, order=1, mode="constant", cval=outside
    )
    return np.asarray(made[0], np.float32)


def moment_of(volume: Volume, number: int) -> Volume:
    """Return one moment alone, or with -1 all together: counts added up, everything else averaged.

    Raises
    ------
    ValueError
        There is no such moment.
    """
    if volume.array.ndim == 3:  # noqa: PLR2004 - slice, row, column
        if number > 0:
            raise ValueError(f"there is no moment {number}; the volume has one")
        return volume
    if number >= len(volume.array):
        raise ValueError(f"there is no moment {number}; the volume has {len(volume.array)}, counted from 0")
    if number >= 0:
        return volume.moment(number)
    together = volume.summed()
    counted = volume.unit.casefold().startswith(("count", "cnt", "cps")) or not volume.unit
    return together if counted else replace(together, array=together.array / np.float32(len(volume.array)))


@dataclass(frozen=True, eq=False)
class Projector:
    """A volume seen through from any side around the patient's long axis, the hottest voxel on each way shown."""

    array: NDArray[np.float32]  # (y, x, z), z from head to feet: what lies side by side in a picture lies so in memory
    affine: Affine  # from (x, y, z, 1) of it to patient millimetres
    width_mm: float
    nothing: float
    kept: dict[float, NDArray[np.float32]] = field(default_factory=dict)

    @classmethod
    def of(cls, volume: Volume) -> Projector:
        """Prepare one moment of a volume."""
        standing = cut(volume, "axial")
        straight = _turned(volume.array, standing.axes) if standing.axes else _whole(volume, standing)
        thinned, affine = _thinned(straight, standing.affine)
        array, nothing = _upright(thinned)
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        width = _width(array, (float(spacing[1]), float(spacing[0])))
        return cls(array, affine, width, nothing)

    def laid(self, other: Volume, transform: Affine) -> Projector:
        """Prepare another volume to be seen pixel upon pixel; `transform` takes this one's millimetres to its own."""
        thinned, affine = _thinned(other.array, other.affine)
        to_there = np.linalg.inv(affine) @ transform @ self.affine
        matrix, offset = to_there[:3, :3][::-1, ::-1], to_there[:3, 3][::-1]
        rows, columns, slices = self.array.shape
        made = ndimage.affine_transform(
            thinned, matrix, offset, (slices, rows, columns), output=np.float32, order=1, cval=_least(other)
        )
        array, nothing = _upright(made)
        return Projector(array, self.affine, self.width_mm, nothing)

    @property
    def spacing_mm(self) -> Triple:
        """Between voxels along y, x and z."""
        column, row, step = (float(one) for one in np.linalg.norm(self.affine[:3, :3], axis=0))
        return row, column, step

    @property
    def centre(self) -> Points:
        """The middle of the grid, around which it turns."""
        rows, columns, slices = self.array.shape
        return np.asarray(self.affine @ ((columns - 1) / 2, (rows - 1) / 2, (slices - 1) / 2, 1.0))[:3]

    @property
    def pixel_mm(self) -> float:
        """Between columns, and between the samples on a way through."""
        return min(self.spacing_mm[:2])

    def cut(self, angle: float) -> Cut:
        """Return the plane through the middle that an angle (degrees; 0 from the front, 90 from the left) looks at."""
        turn = np.deg2rad(angle)
        across, away = np.array([np.cos(turn), np.sin(turn), 0.0]), np.array([-np.sin(turn), np.cos(turn), 0.0])
        down = np.array([0.0, 0.0, -1.0])
        rows, columns = self.array.shape[2], self._columns
        affine = np.eye(4)
        affine[:3, 0], affine[:3, 1] = across * self.pixel_mm, down * self.spacing_mm[2]
        affine[:3, 2] = away * self.pixel_mm
        affine[:3, 3] = self.centre - affine[:3, 0] * (columns - 1) / 2 - affine[:3, 1] * (rows - 1) / 2
        return Cut("mip", affine, (1, rows, columns))

    def seen(self, angle: float) -> NDArray[np.float32]:
        """Return the (row, column) maxima seen from an angle, to the degree; each is worked out once."""
        angle = float(round(angle) % 360)
        if angle not in self.kept:
            opposite = (angle + 180) % 360
            self.kept[angle] = self.kept[opposite][:, ::-1] if opposite in self.kept else self._seen(angle)
        return self.kept[angle]

    def found(self, angle: float, row: float, column: float) -> Points:
        """Return the patient point of what is seen at a pixel, which is the hottest on its way through."""
        through = self.cut(angle)
        z = int(np.clip(row, 0, through.grid[1] - 1))
        ys, xs = self._ways(angle, np.array([column - 0.5 - (self._columns - 1) / 2]))
        values = self._interpolated(ys, xs)[:, 0, z]
        deep = int(np.argmax(values)) - (len(values) - 1) / 2
        return through.point_of(z + 0.5, column, deep)

    @property
    def _columns(self) -> int:
        return max(1, round(self.width_mm / self.pixel_mm))

    def _seen(self, angle: float) -> NDArray[np.float32]:
        columns = np.arange(self._columns, dtype=np.float64) - (self._columns - 1) / 2
        ys, xs = self._ways(angle, columns)
        best = np.full((len(columns), self.array.shape[2]), self.nothing, np.float32)
        for y, x in zip(ys, xs, strict=True):
            np.maximum(best, self._interpolated(y, x), out=best)
        return np.ascontiguousarray(best.T)

    def _ways(self, angle: float, columns: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the y and x indices, (depth, column), of the samples behind each column (from the middle)."""
        turn = np.deg2rad(angle)
        deep = (np.arange(self._columns) - (self._columns - 1) / 2)[:, None] * self.pixel_mm
        aside = columns[None, :] * self.pixel_mm
        x = (aside * np.cos(turn) - deep * np.sin(turn)) / self.spacing_mm[1] + (self.array.shape[1] - 1) / 2
        y = (aside * np.sin(turn) + deep * np.cos(turn)) / self.spacing_mm[0] + (self.array.shape[0] - 1) / 2
        return y, x

    def _interpolated(self, y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return values, (..., z), at places of the (y, x) grid; `nothing` outside of it."""
        height, width, _ = self.array.shape
        inside = (np.abs(2 * y - height + 1) < height) & (np.abs(2 * x - width + 1) < width)
        made = np.full((*y.shape, self.array.shape[2]), self.nothing, np.float32)
        here_y, here_x = np.clip(y[inside], 0, height - 1), np.clip(x[inside], 0, width - 1)
        top, left = (
            np.minimum(here_y.astype(np.intp), max(height - 2, 0)),
            np.minimum(here_x.astype(np.intp), max(width - 2, 0)),
        )
        down, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
        fy, fx = (here_y - top).astype(np.float32)[:, None], (here_x - left).astype(np.float32)[:, None]
        upper = self.array[top, left] * (1 - fx) + self.array[top, right] * fx
        lower = self.array[down, left] * (1 - fx) + self.array[down, right] * fx
        made[inside] = upper * (1 - fy) + lower * fy
        return made


# -- geometry --------------------------------------------------------------------------------------------------------


def _own_axes(volume: Volume, hung: NDArray[np.float64]) -> tuple[tuple[int, int], ...]:
    """Return the volume's axes along slice, row, column of the planes, each (axis, sign); none where it is oblique."""
    directions = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
    axes = []
    for wanted in hung[::-1]:  # slice, row, column
        alike = wanted @ directions
        best = int(np.argmax(np.abs(alike)))
        if abs(alike[best]) < _ALONG:
            return ()
        axes.append((2 - best, 1 if alike[best] > 0 else -1))
    return tuple(axes) if len({axis for axis, _ in axes}) == len(axes) else ()


def _along(volume: Volume, name: str, axes: tuple[tuple[int, int], ...]) -> Cut:
    """Return planes that are the grid's own, reordered and mirrored."""
    affine = np.eye(4)
    affine[:3, 3] = volume.affine[:3, 3]
    for place, (axis, sign) in zip((2, 1, 0), axes, strict=True):
        direction = volume.affine[:3, 2 - axis]
        affine[:3, place] = direction * sign
        if sign < 0:
            affine[:3, 3] += direction * (volume.grid[axis] - 1)
    slices, rows, columns = (volume.grid[axis] for axis, _ in axes)
    return Cut(name, affine, (slices, rows, columns), axes)


def _across(volume: Volume, name: str, hung: NDArray[np.float64]) -> Cut:
    """Return planes along the patient through the box around an oblique grid, as fine as its finest side."""
    fine = min(volume.voxel_mm)
    last = np.asarray(volume.grid) - 1
    corners = volume.points(np.stack(np.meshgrid(*[(0, end) for end in last], indexing="ij"), -1).reshape(-1, 3))
    seen = corners @ hung.T  # along the row, the column, the slices
    extents = np.ptp(seen, axis=0)
    sizes = np.maximum(np.ceil(extents / fine - 1e-6).astype(int) + 1, 1)
    affine = np.eye(4)
    affine[:3, :3] = hung.T * fine
    middle = hung.T @ ((seen.min(axis=0) + seen.max(axis=0)) / 2)
    affine[:3, 3] = middle - affine[:3, :3] @ ((sizes - 1) / 2)
    return Cut(name, affine, (int(sizes[2]), int(sizes[1]), int(sizes[0])))


def _turned(array: NDArray[np.floating], axes: tuple[tuple[int, int], ...]) -> NDArray[np.floating]:
    return array.transpose([axis for axis, _ in axes])[tuple(slice(None, None, sign) for _, sign in axes)]


def _whole(volume: Volume, onto: Cut) -> NDArray[np.floating]:
    to_here = np.linalg.inv(volume.affine) @ onto.affine
    matrix, offset = to_here[:3, :3][::-1, ::-1], to_here[:3, 3][::-1]
    return np.asarray(
        ndimage.affine_transform(
            volume.array, matrix, offset, onto.grid, output=np.float32, order=1, cval=_least(volume)
        )
    )


def _least(volume: Volume) -> float:
    least = float(np.fmin.reduce(volume.array, axis=None))
    return min(0.0, least) if np.isfinite(least) else 0.0


def _side(direction: NDArray[np.float64]) -> tuple[str, str]:
    """Return what part of the patient a direction comes from and goes to."""
    main = int(np.argmax(np.abs(direction)))
    first, last = _LETTERS[main][0], _LETTERS[main][1]
    return (first, last) if direction[main] > 0 else (last, first)


def _thinned(array: NDArray[np.floating], affine: Affine) -> tuple[NDArray[np.floating], Affine]:
    """Take maxima of blocks so that no side is longer than `FINEST_PROJECTION`; return where these lie, too."""
    by = [-(-size // FINEST_PROJECTION) for size in array.shape]
    for axis, block in enumerate(by):
        if block > 1:
            whole = array.shape[axis] // block * block
            kept = array.take(range(whole), axis) if whole < array.shape[axis] else array
            shape = (*kept.shape[:axis], whole // block, block, *kept.shape[axis + 1 :])
            array = kept.reshape(shape).max(axis=axis + 1)
    blocks = np.asarray(by[::-1], np.float64)
    coarse = affine.copy()
    coarse[:3, :3] *= blocks
    coarse[:3, 3] += affine[:3, :3] @ ((blocks - 1) / 2)
    return array, coarse


def _upright(array: NDArray[np.floating]) -> tuple[NDArray[np.float32], float]:
    """Return (z, y, x) values as (y, x, z), and what stands for nothing among them."""
    least = float(np.fmin.reduce(array, axis=None))
    least = least if np.isfinite(least) else 0.0
    upright = np.ascontiguousarray(array.transpose(1, 2, 0), np.float32)
    return np.nan_to_num(upright, nan=least), least


def _width(array: NDArray[np.float32], spacing_mm: tuple[float, float]) -> float:
    """Return how wide a picture must be for nothing that is seen to leave it as it turns."""
    top = array.max(axis=2)
    y, x = ((np.arange(size) - (size - 1) / 2) * spacing for size, spacing in zip(top.shape, spacing_mm, strict=True))
    far = np.hypot(y[:, None], x[None, :])
    least, most = float(top.min()), float(top.max())
    telling = top > least + 0.02 * (most - least)
    reach = 2 * float(far[telling].max()) if telling.any() else 0.0
    longest = max(size * spacing for size, spacing in zip(top.shape, spacing_mm, strict=True))
    return max(reach + 2 * min(spacing_mm), longest)
