"""The heart as it is read: its long axis found, and slices across and along it.

A shell with the shape of a left ventricle, open at its base, is laid on the image: first everywhere and in every
direction, then moved, turned and sized until the image is most like it. Everything is done in patient millimetres, so
that another grid over the same patient finds the same axis. Slices are cut as ASNC and SNMMI display them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
_SMALLEST_MM, _LARGEST_MM = 8.0, 110.0
_CANDIDATES, _STARTS = 10, 4
_OTHER_MM, _OTHER_DEG = 20.0, 40.0
"""Starts closer than this end as the same."""
_WALL_MM = 7.0
"""Standard deviation of the wall as an emission image shows it."""
_BLUR_MM = 9.0
"""Standard deviation of blur and half thickness together: what is bent looks nearer to its middle than it is."""
_OFFSETS_MM = np.arange(-24.0, 15.1, 3.0)
_LEAST = 0.5
"""A likeness below this is no heart."""
_FAINTEST = 1.4
"""How bright the wall has to be beside cavity and surroundings: noise reaches 1.15, hearts begin at 1.8."""
_TO_BASE = np.asarray((0.15, 0.45, 0.75, 1.25, 1.5))
"""Rings on the way to the base, 1; past it no wall is left."""


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
    shell = _Shell(10, 16, 2)
    near = [_fitted(image, start, shell.likeness, 3) for start in _starts(image)]
    near.sort(key=lambda shape: -shell.likeness(image, shape) * _placed(shape))
    if not near:
        raise Unfound("nothing in the image is shaped like a left ventricle")
    shape = max(
        (_fitted(image, one, shell.explained, 8) for one in near[:2]),
        key=lambda one: shell.explained(image, one) * _placed(one),
    )
    likeness = shell.likeness(image, shape)
    if likeness < _LEAST or shell.contrast(image, shape) < _FAINTEST:
        raise Unfound("nothing in the image is shaped like a left ventricle: set base and apex by hand")
    middle, axis, radius, apex, base = _parts(shape)
    return HeartAxis(middle - axis * base, middle + axis * apex, radius, float(np.clip(likeness, 0, 1)))


def short_axis(volume: Volume, axis: HeartAxis, voxel_mm: float | None = None) -> Volume:
    """Cut slices across the long axis, the first at the apex, the last at the base; moments are kept.

    As they are displayed: the anterior wall on top, the septum on the left, the lateral wall on the right (Cerqueira
    2002). Voxels are cubes of `voxel_mm`, the smallest edge of the volume's when absent.
    """
    step = voxel_mm or min(volume.voxel_mm)
    slices = _count(axis.length_mm + 2 * _MARGIN_MM, step)
    first = axis.apex_mm + axis.direction * _MARGIN_MM
    return _cut(volume, (axis.lateral, -axis.anterior, -axis.direction), first, slices, step)


def vertical_long_axis(volume: Volume, axis: HeartAxis, voxel_mm: float | None = None) -> Volume:
    """Cut slices along axis and anterior wall, the first at the septum, the last at the lateral wall.

    As they are displayed: the anterior wall on top, the apex on the right.
    """
    step = voxel_mm or min(volume.voxel_mm)
    half = axis.radius_mm + _MARGIN_MM
    first = (axis.base_mm + axis.apex_mm) / 2 - axis.lateral * half
    return _cut(volume, (axis.direction, -axis.anterior, axis.lateral), first, _count(2 * half, step), step)


def horizontal_long_axis(volume: Volume, axis: HeartAxis, voxel_mm: float | None = None) -> Volume:
    """Cut slices along axis and lateral wall, the first at the inferior wall, the last at the anterior wall.

    As they are displayed: the apex on top, the septum on the left, the lateral wall on the right.
    """
    step = voxel_mm or min(volume.voxel_mm)
    half = axis.radius_mm + _MARGIN_MM
    first = (axis.base_mm + axis.apex_mm) / 2 - axis.anterior * half
    return _cut(volume, (axis.lateral, -axis.direction, axis.anterior), first, _count(2 * half, step), step)


def _count(length_mm: float, step: float) -> int:
    """Return how many steps cover a length, whatever the last digits of the step are."""
    return int(np.ceil(length_mm / step - 1e-6))


def _cut(volume: Volume, directions: tuple[Points, Points, Points], first: Points, slices: int, step: float) -> Volume:
    """Cut square slices; `directions` of column, row and slice, `first` the middle of the first slice."""
    side = _count(_FIELD_MM, step)
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
        if len(kept) == most:
            break
    return kept


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
    """The ventricle's shape as places round it, and how bright each should be.

    A shape is nine numbers: middle x, y, z (mm), a vector along the axis towards the apex (its length does not count),
    the wall's radius, and how far apex and base lie from the middle, in mm. Places are (ring, angle, offset): rings
    from the widest place to the apex, then towards the base and beyond it; offsets across the wall.
    """

    def __init__(self, rings: int, around: int, every: int) -> None:
        self._angle = np.linspace(0, 2 * np.pi, around, endpoint=False)
        self._offsets = _OFFSETS_MM[::every]
        self._latitude = (np.arange(rings) + 0.5) / rings * np.pi / 2
        self._wall = np.abs(self._offsets) < _WALL_MM / 2
        across = np.exp(-0.5 * (self._offsets / _WALL_MM) ** 2)
        there = np.concatenate((np.ones(rings), _TO_BASE < 1))
        area = np.concatenate((np.cos(self._latitude), np.full(len(_TO_BASE), 0.35 * rings / len(_TO_BASE))))
        outside = np.where(self._offsets > _WALL_MM, 0.4, 1.0)  # what lies beside the heart may be bright or dark
        whole = (len(there), around, len(across))
        self._bright = np.broadcast_to((there[:, None] * across)[:, None, :], whole)
        weight = np.broadcast_to((area[:, None] * outside)[:, None, :], whole)
        self._weight = weight / weight.sum()
        self._apex = slice(rings - rings // 3, rings)

    def likeness(self, image: _Image, shape: Floats) -> float:
        """Return the correlation of the image with the shape, -1 to 1."""
        values = self._values(image, shape)
        unlike = self._bright - (self._weight * self._bright).sum()
        apart = values - (self._weight * values).sum()
        spread = np.sqrt((self._weight * apart**2).sum() * (self._weight * unlike**2).sum())
        return float((self._weight * apart * unlike).sum() / max(spread, 1e-12))

    def explained(self, image: _Image, shape: Floats) -> float:
        """Return the part of the image's variance the shape explains when each sector is as bright as it is.

        A defect is a wall less bright, not a wall elsewhere. Sectors are an eighth of the circumference, those near
        the apex apart; each is drawn half way towards the mean of all, or a defect could be explained by anything.
        """
        values = self._values(image, shape)
        dark = self._weight * (1 - self._bright)
        apart = values - (dark * values).sum() / dark.sum()
        shared = self._of_sectors(self._weight * self._bright * apart)
        own = self._of_sectors(self._weight * self._bright**2)
        level = np.maximum((shared / own + shared.sum() / own.sum()) / 2, 0).repeat(len(self._angle) // 8, axis=1)
        wall = np.broadcast_to(level[0][:, None], values.shape).copy()
        wall[self._apex] = level[1][:, None]
        left = apart - wall * self._bright
        mean = (self._weight * values).sum()
        return float(1 - (self._weight * left**2).sum() / max((self._weight * (values - mean) ** 2).sum(), 1e-12))

    def contrast(self, image: _Image, shape: Floats) -> float:
        """Return how bright the wall is beside what should be dark."""
        values = self._values(image, shape)
        wall, dark = self._weight * self._bright, self._weight * (1 - self._bright)
        return float((wall * values).sum() / wall.sum() / max((dark * values).sum() / dark.sum(), 1e-12))

    def _of_sectors(self, values: Floats) -> Floats:
        """Return sums (2, 8): of the body and of the apex, by sector."""
        by_ring = values.reshape(len(values), 8, -1).sum(axis=2)
        apex = by_ring[self._apex].sum(axis=0)
        return np.stack((by_ring.sum(axis=0) - apex, apex))

    def _values(self, image: _Image, shape: Floats) -> Floats:
        """Return what the image has there; what is far brighter than the wall counts as a little brighter."""
        values = image.at(self.places(shape))
        return np.asarray(np.minimum(values, 1.5 * np.median(values[: -len(_TO_BASE), :, self._wall])))

    def places(self, shape: Floats) -> Points:
        """Return (ring, angle, offset, 3) patient millimetres."""
        middle, axis, radius, apex, base = _parts(shape)
        first, second = _across(axis)
        sine, cosine = np.sin(self._latitude), np.cos(self._latitude)
        beside = np.ones(len(_TO_BASE))
        bent = np.concatenate((_bent(sine, apex, radius), beside / (2 * radius)))
        offsets = self._offsets - _BLUR_MM**2 * bent[:, None]
        # normals of the ellipsoid towards the apex, straight out towards the base
        normal = np.stack((np.concatenate((sine / apex, 0 * beside)), np.concatenate((cosine / radius, beside))))
        normal /= np.hypot(*normal)
        along = np.concatenate((apex * sine, -base * _TO_BASE))[:, None] + offsets * normal[0][:, None]
        out = np.concatenate((radius * cosine, radius * beside))[:, None] + offsets * normal[1][:, None]
        turned = np.cos(self._angle)[:, None] * first + np.sin(self._angle)[:, None] * second
        out = np.maximum(out, 0)
        return np.asarray(middle + (along[..., None] * axis)[:, None] + out[:, None, :, None] * turned[:, None, :])


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
        if len(kept) == _STARTS:
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


def _fitted(image: _Image, start: Floats, score: Callable[[_Image, Floats], float], rounds: int) -> Floats:
    """Move, turn and size the shape until its score on the image is best."""
    axis = start[3:6] / np.linalg.norm(start[3:6])
    first, second = _across(axis)

    def shape_of(step: Floats) -> Floats:
        turned = axis + 0.1 * (step[3] * first + step[4] * second)
        sizes = np.clip(start[6:9] + 3 * step[5:8], _SMALLEST_MM, _LARGEST_MM)
        return np.concatenate((start[:3] + 3 * step[:3], turned, sizes))

    def unlike(step: Floats) -> float:
        shape = shape_of(step)
        return _odd(shape) - score(image, shape)

    found = optimize.minimize(
        unlike, np.zeros(8), method="Powell", options={"xtol": 0.02, "ftol": 1e-5, "maxiter": rounds}
    )
    return shape_of(np.asarray(found.x))


def _odd(shape: Floats) -> float:
    """Return how odd the proportions are: any are possible, unusual ones have to be clear."""
    radius, apex, base = shape[6:9]
    return float(0.3 * np.log(apex / radius / 1.65) ** 2 + 0.15 * np.log(base / radius / 0.65) ** 2)
