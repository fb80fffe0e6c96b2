"""The heart as it is read: its long axis found, and slices across and along it.

A shell with the shape of a left ventricle, open at its base, is laid on the image: first everywhere and in every
direction, then moved, turned and sized until the image is most like it. Everything is done in patient millimetres, so
that another grid over the same patient finds the same axis. Slices are cut as ASNC and SNMMI display them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize, signal

from core.imaging.volume import Affine, Points, Volume

Floats: TypeAlias = NDArray[np.float64]

_SEARCH_MM = 6.0
_FIELD_MM = 204.8
"""Side of a slice: 32 pixels of 6.4 mm, the whole heart and what lies beside it."""
_MARGIN_MM = 20.0
"""How far slices go on past both ends of the wall's middle."""
_SOLID_MM = 15.0
_RADII_MM = (22.0, 28.0, 36.0)
_SMALLEST_MM, _LARGEST_MM = 10.0, 60.0
_CANDIDATES, _REFINED = 10, 5
_OTHER_MM, _OTHER_DEG = 20.0, 40.0
"""Starts closer than this end as the same."""
_WALL_MM = 7.0
"""Standard deviation of the wall as an emission image shows it."""
_BLUR_MM = 8.0
"""Standard deviation of blur and half thickness together: what is bent looks nearer to its middle than it is."""
_OFFSETS_MM = np.arange(-24.0, 15.1, 3.0)
_LEAST = 0.35
"""A likeness below this is no heart: noise reaches 0.3."""
_TELLS_UP = 0.3


class Unfound(ValueError):
    """No heart was found; the text is fit for a person."""


@dataclass(frozen=True, eq=False)
class HeartAxis:
    """The long axis of the left ventricle.

    Attributes
    ----------
    base_mm, apex_mm
        (3,) patient millimetres: the middle of the valve plane, and the middle of the wall at the apex.
    radius_mm
        Of the middle of the wall, where it is widest.
    certainty
        Likeness to a ventricle, 0 to 1: the correlation with its shape.
    """

    base_mm: Points
    apex_mm: Points
    radius_mm: float
    certainty: float = 1.0

    def __post_init__(self) -> None:
        """Refuse an axis without direction."""
        if not np.linalg.norm(np.subtract(self.apex_mm, self.base_mm)) > 1:
            raise Unfound("base and apex of the heart lie on one point: move one of them")

    @property
    def direction(self) -> Points:
        """From base to apex, of length 1."""
        along = np.subtract(self.apex_mm, self.base_mm)
        return np.asarray(along / np.linalg.norm(along), np.float64)

    @property
    def length_mm(self) -> float:
        """From the valve plane to the middle of the wall at the apex."""
        return float(np.linalg.norm(np.subtract(self.apex_mm, self.base_mm)))

    @property
    def anterior(self) -> Points:
        """At right angles to the axis, towards the anterior wall: as near to the head as that allows."""
        axis = self.direction
        head = np.asarray((0.0, 0.0, 1.0))
        if abs(axis[2]) > np.cos(np.deg2rad(5)):  # an axis from head to feet: the front decides
            head = np.asarray((0.0, -1.0, 0.0))
        up = head - axis * (head @ axis)
        return np.asarray(up / np.linalg.norm(up), np.float64)

    @property
    def lateral(self) -> Points:
        """At right angles to both, towards the lateral wall: to the right of who looks from the apex to the base."""
        return np.asarray(np.cross(-self.direction, self.anterior), np.float64)

    def moved(self, base_mm: Sequence[float], apex_mm: Sequence[float]) -> HeartAxis:
        """Return the axis with its ends moved by hand; it is certain then."""
        return replace(
            self, base_mm=self.base_mm + np.asarray(base_mm), apex_mm=self.apex_mm + np.asarray(apex_mm), certainty=1.0
        )


def heart_axis(volume: Volume) -> HeartAxis:
    """Find the long axis of the left ventricle in transverse slices of its wall's uptake, all moments together.

    Raises
    ------
    Unfound
        Nothing in the image looks like a left ventricle.
    """
    whole = volume.summed()
    array = np.nan_to_num(np.maximum(whole.array, 0).astype(np.float32))
    if not array.any():
        raise Unfound("the image is empty: no heart can be found in it")
    image = _Image(replace(whole, array=array))
    fitted = [_fitted(image, _Shell(10, 16, 2), start) for start in _starts(image)]
    if not fitted:
        raise Unfound("nothing in the image is shaped like a left ventricle")
    likeness, shape = max(fitted, key=lambda one: one[0] * _placed(one[1]))
    if likeness < _LEAST:
        raise Unfound("nothing in the image is shaped like a left ventricle: set base and apex by hand")
    middle, axis, radius, apex, base = _parts(shape)
    return HeartAxis(middle - axis * base, middle + axis * apex, radius, float(np.clip(likeness, 0, 1)))


def short_axis(volume: Volume, axis: HeartAxis, voxel_mm: float | None = None) -> Volume:
    """Cut slices across the long axis, the first at the apex, the last at the base; moments are kept.

    As they are displayed: the anterior wall on top, the septum on the left, the lateral wall on the right (Cerqueira
    2002). Voxels are cubes of `voxel_mm`, the smallest edge of the volume's when absent.
    """
    step = voxel_mm or min(volume.voxel_mm)
    slices = int(np.ceil((axis.length_mm + 2 * _MARGIN_MM) / step))
    first = axis.apex_mm + axis.direction * _MARGIN_MM
    return _cut(volume, (axis.lateral, -axis.anterior, -axis.direction), first, slices, step)


def vertical_long_axis(volume: Volume, axis: HeartAxis, voxel_mm: float | None = None) -> Volume:
    """Cut slices along axis and anterior wall, the first at the septum, the last at the lateral wall.

    As they are displayed: the anterior wall on top, the apex on the right.
    """
    step = voxel_mm or min(volume.voxel_mm)
    half = axis.radius_mm + _MARGIN_MM
    first = (axis.base_mm + axis.apex_mm) / 2 - axis.lateral * half
    return _cut(volume, (axis.direction, -axis.anterior, axis.lateral), first, int(np.ceil(2 * half / step)), step)


def horizontal_long_axis(volume: Volume, axis: HeartAxis, voxel_mm: float | None = None) -> Volume:
    """Cut slices along axis and lateral wall, the first at the inferior wall, the last at the anterior wall.

    As they are displayed: the apex on top, the septum on the left, the lateral wall on the right.
    """
    step = voxel_mm or min(volume.voxel_mm)
    half = axis.radius_mm + _MARGIN_MM
    first = (axis.base_mm + axis.apex_mm) / 2 - axis.anterior * half
    return _cut(volume, (axis.lateral, -axis.direction, axis.anterior), first, int(np.ceil(2 * half / step)), step)


def _cut(volume: Volume, directions: tuple[Points, Points, Points], first: Points, slices: int, step: float) -> Volume:
    """Cut square slices; `directions` of column, row and slice, `first` the middle of the first slice."""
    side = int(np.ceil(_FIELD_MM / step))
    affine: Affine = np.eye(4)
    affine[:3, :3] = np.stack(directions, axis=1) * step
    affine[:3, 3] = first - affine[:3, :2].sum(axis=1) * (side - 1) / 2
    onto = Volume(np.zeros((slices, side, side), np.float32), affine, frame_of_reference=volume.frame_of_reference)
    return volume.resampled(onto)


class _Image:
    """The image as the search sees it: values at any patient point, 0 outside."""

    def __init__(self, volume: Volume) -> None:
        self._sigma = [max(0.0, 4.0 / size) for size in volume.voxel_mm]
        self._volume = replace(volume, array=ndimage.gaussian_filter(volume.array, self._sigma))
        inverse = np.linalg.inv(volume.affine)
        self._turn, self._shift = inverse[:3, :3][::-1], inverse[:3, 3][::-1]

    def at(self, points: Points) -> NDArray[np.float32]:
        """Return the values at points, (..., 3)."""
        places = points.reshape(-1, 3) @ self._turn.T + self._shift
        found = ndimage.map_coordinates(self._volume.array, places.T, order=1, cval=0.0, prefilter=False)
        return np.asarray(found.reshape(points.shape[:-1]))

    def coarse(self) -> Volume:
        """Return it on cubes, transverse, over all of the grid."""
        ends = np.asarray(self._volume.grid) - 1
        corners = self._volume.points(np.stack(np.meshgrid(*[(0, n) for n in ends], indexing="ij"), -1).reshape(-1, 3))
        low, high = corners.min(axis=0), corners.max(axis=0)
        grid = np.ceil((high - low) / _SEARCH_MM).astype(int)[::-1] + 1
        affine = np.diag([_SEARCH_MM] * 3 + [1.0])
        affine[:3, 3] = low
        onto = Volume(np.zeros((int(grid[0]), int(grid[1]), int(grid[2])), np.float32), affine)
        return self._volume.resampled(onto)


def _middles(image: _Image) -> list[Points]:
    """Return where a hollow ball fits best, in patient millimetres: the hearts that may be."""
    volume = image.coarse()
    array = volume.array
    capped = np.minimum(array, 4 * array[array > array.mean()].mean())
    found = [peak for radius in _RADII_MM for peak in _peaks(_hollow(capped, radius))]
    smooth = ndimage.gaussian_filter(capped, _SOLID_MM / _SEARCH_MM)  # of a small heart the blur leaves no cavity
    return _apart(found, volume, _CANDIDATES) + _apart(_peaks(smooth), volume, _CANDIDATES // 2)


def _peaks(score: NDArray[np.float32]) -> list[tuple[float, NDArray[np.int64]]]:
    """Return where a score is highest in its neighbourhood, and how high."""
    places = np.argwhere((score == ndimage.maximum_filter(score, 5)) & (score > 0))
    return [(float(score[tuple(place)]), place) for place in places]


def _apart(peaks: list[tuple[float, NDArray[np.int64]]], volume: Volume, most: int) -> list[Points]:
    """Return the highest of them that lie apart, in patient millimetres."""
    kept: list[Points] = []
    for _, place in sorted(peaks, key=lambda one: -one[0]):
        point = volume.points(place.astype(np.float64))
        if all(np.linalg.norm(point - other) > 2 * _SEARCH_MM for other in kept):
            kept.append(point)
    return kept[:most]


def _hollow(array: NDArray[np.float32], radius_mm: float) -> NDArray[np.float32]:
    """Return how much brighter a ball's surface is than its middle, relative to how much values vary there."""
    reach = int(np.ceil((radius_mm + 2 * _WALL_MM) / _SEARCH_MM))
    axis = np.arange(-reach, reach + 1) * _SEARCH_MM
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2)
    wall = np.exp(-0.5 * ((distance - radius_mm) / _WALL_MM) ** 2)
    wall[distance > radius_mm + 1.5 * _WALL_MM] = 0
    middle = np.exp(-0.5 * (distance / (0.4 * radius_mm)) ** 2)
    kernel = wall / wall.sum() - middle / middle.sum()
    contrast = signal.oaconvolve(array, kernel.astype(np.float32), mode="same")
    ball = (distance <= radius_mm + _WALL_MM).astype(np.float32)
    ball /= ball.sum()
    mean = signal.oaconvolve(array, ball, mode="same")
    spread = np.sqrt(np.maximum(signal.oaconvolve(array**2, ball, mode="same") - mean**2, 0))
    return np.asarray(contrast / (spread + 0.1 * array.max()), np.float32)


class _Shell:
    """The ventricle's shape as places round it and how bright each should be.

    A shape is nine numbers: middle x, y, z (mm), a vector along the axis towards the apex (its length does not count),
    the wall's radius, and how far apex and base lie from the middle, in mm.
    """

    def __init__(self, rings: int, around: int, every: int) -> None:
        # from beyond the base (-1.6 of base) to the apex, 1
        self._angle = np.linspace(0, 2 * np.pi, around, endpoint=False)
        self._offsets = _OFFSETS_MM[::every]
        self._latitude = (np.arange(rings) + 0.5) / rings * np.pi / 2  # of the part towards the apex
        self._towards_base = np.asarray([0.15, 0.45, 0.75, 1.25, 1.5])
        wall = np.exp(-0.5 * (self._offsets / _WALL_MM) ** 2)
        there = np.concatenate((np.ones(rings), np.asarray([1.0, 1, 1, 0, 0])))
        weight = np.concatenate((np.cos(self._latitude), np.full(5, 0.35 * rings / 5)))
        outside = np.where(self._offsets > _WALL_MM, 0.4, 1.0)
        self.bright = np.broadcast_to((there[:, None] * wall)[:, None, :], (rings + 5, around, len(wall)))
        self.weight = np.broadcast_to((weight[:, None] * outside)[:, None, :], self.bright.shape)
        self.weight = self.weight / self.weight.sum()
        self._unlike = self.bright - (self.weight * self.bright).sum()
        self._spread = float(np.sqrt((self.weight * self._unlike**2).sum()))

    def places(self, shape: Floats) -> Points:
        """Return (ring, angle, offset, 3) patient millimetres."""
        middle, axis, radius, apex, base = _parts(shape)
        first, second = _across(axis)
        sine, cosine = np.sin(self._latitude), np.cos(self._latitude)
        along = np.concatenate((apex * sine, -base * self._towards_base))
        out = np.concatenate((radius * cosine, np.full(5, radius)))
        # normals of the ellipsoid; straight out beside the base
        normal_along = np.concatenate((sine / apex, np.zeros(5)))
        normal_out = np.concatenate((cosine / radius, np.ones(5)))
        length = np.hypot(normal_along, normal_out)
        offsets = (
            self._offsets - _BLUR_MM**2 * np.concatenate((_bent(sine, apex, radius), np.full(5, 0.5 / radius)))[:, None]
        )
        along_at = along[:, None] + offsets * (normal_along / length)[:, None]
        out_at = out[:, None] + offsets * (normal_out / length)[:, None]
        round_it = np.cos(self._angle)[:, None] * first + np.sin(self._angle)[:, None] * second
        return np.asarray(
            middle
            + along_at[:, None, :, None] * axis
            + np.maximum(out_at, 0)[:, None, :, None] * round_it[None, :, None, :]
        )

    def likeness(self, image: _Image, shape: Floats) -> float:
        """Return the correlation of the image with the shape, -1 to 1."""
        values = image.at(self.places(shape))
        level = float(np.median(values[:-5, :, np.abs(self._offsets) < 4]))
        values = np.minimum(values, 1.5 * level)
        apart = values - (self.weight * values).sum()
        spread = float(np.sqrt((self.weight * apart**2).sum()))
        return float((self.weight * apart * self._unlike).sum() / max(spread * self._spread, 1e-12)) if level else -1.0


def _bent(sine: Floats, apex: float, radius: float) -> Floats:
    """Return the mean curvature of an ellipsoid of revolution, in 1/mm, where its parametric latitude has that sine."""
    scale = np.sqrt(apex**2 * (1 - sine**2) + radius**2 * sine**2)
    return np.asarray(apex * (radius**2 + scale**2) / (2 * radius * scale**3))


def _parts(shape: Floats) -> tuple[Points, Points, float, float, float]:
    axis = shape[3:6] / np.linalg.norm(shape[3:6])
    return shape[:3], axis, float(shape[6]), float(shape[7]), float(shape[8])


def _across(axis: Points) -> tuple[Points, Points]:
    """Return two directions at right angles to an axis and each other."""
    other = np.eye(3)[int(np.argmin(np.abs(axis)))]
    first = np.cross(axis, other)
    first /= np.linalg.norm(first)
    return np.asarray(first), np.asarray(np.cross(axis, first))


def _directions(count: int = 60) -> Points:
    """Return directions spread evenly, those a heart's apex may point to: not backwards, not to the head."""
    number = np.arange(count) + 0.5
    z = 1 - 2 * number / count
    turn = np.pi * (1 + np.sqrt(5)) * number
    all_of_them = np.stack((np.sqrt(1 - z**2) * np.cos(turn), np.sqrt(1 - z**2) * np.sin(turn), z), axis=1)
    forward = all_of_them @ np.asarray((0, -0.9, -0.45))
    return np.asarray(all_of_them[forward > -0.1])  # noqa: PLR2004 - a little backwards


def _starts(image: _Image) -> list[Floats]:
    """Return the shapes most like the image, of all places, directions and some sizes, each unlike those before."""
    shell = _Shell(5, 8, 3)
    shapes = [
        np.concatenate((middle, axis, (radius, 1.5 * radius, 0.6 * radius)))
        for middle in _middles(image) for axis in _directions() for radius in _RADII_MM
    ]  # fmt: skip
    likeness = np.asarray([shell.likeness(image, shape) * _placed(shape) for shape in shapes])
    kept: list[Floats] = []
    for number in np.argsort(-likeness):
        shape = shapes[int(number)]
        if all(_far(shape, other) for other in kept):
            kept.append(shape)
        if len(kept) == _REFINED:
            break
    return kept


def _far(one: Floats, other: Floats) -> bool:
    """Tell whether two shapes would not end as the same when fitted."""
    moved_mm = np.linalg.norm(one[:3] - other[:3])
    return bool(moved_mm > _OTHER_MM or one[3:6] @ other[3:6] < np.cos(np.deg2rad(_OTHER_DEG)))


def _placed(shape: Floats) -> float:
    """Return how usual a place and direction are: an apex that points left, forward and down counts in full."""
    _, axis, *_ = _parts(shape)
    usual = axis @ np.asarray((0.6, -0.65, -0.45))
    return float(1 - 0.15 * (1 - usual))


def _fitted(image: _Image, shell: _Shell, start: Floats) -> tuple[float, Floats]:
    """Move, turn and size the shape until it is most like the image."""
    first, second = _across(start[3:6])
    axis = start[3:6] / np.linalg.norm(start[3:6])

    def shape_of(step: Floats) -> Floats:
        turned = axis + 0.1 * (step[3] * first + step[4] * second)
        sizes = np.clip(start[6:9] + 3 * step[5:8], _SMALLEST_MM, 2 * _LARGEST_MM)
        return np.concatenate((start[:3] + 3 * step[:3], turned, sizes))

    def unlike(step: Floats) -> float:
        shape = shape_of(step)
        _, _, radius, apex, base = _parts(shape)
        # hearts are one and a quarter to twice as long as wide; what is not is possible, but has to be clear
        odd = np.log(apex / radius / 1.5) ** 2 + 0.5 * np.log(base / radius / 0.6) ** 2
        return -shell.likeness(image, shape) + 0.15 * float(odd)

    found = optimize.minimize(unlike, np.zeros(8), method="Powell", options={"xtol": 0.02, "ftol": 1e-5, "maxiter": 8})
    shape = shape_of(np.asarray(found.x))
    return shell.likeness(image, shape), shape
