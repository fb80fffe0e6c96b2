"""A lesion: where it is, how large, how active; and what became of it since the examination before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist
from scipy.special import erf

from core.imaging.coregistration.rigid import Rigid
from core.imaging.regions import NoRegion, mask_of
from core.imaging.volume import Volume

Mask = NDArray[np.bool_]

_ROUNDS = 6
_FLAT = float(1 / np.sqrt(2 * np.pi))
_SMALL = 3.0
"""Diameters below this many FWHM of the image lose activity to their surroundings."""


class NoLesion(ValueError):
    """Nothing was found where one was looked for; the text is fit for a person."""


@dataclass(frozen=True, slots=True)
class Lesion:
    """What was measured, in patient millimetres and the unit of the image.

    `longest_mm` is the longest diameter, `across_mm` the longest at right angles to it, `equivalent_mm` that of a
    sphere of the same volume. `partial_volume` says that the lesion is too small for its values to be trusted.
    """

    centroid_mm: tuple[float, float, float]
    volume_ml: float
    longest_mm: float
    across_mm: float
    equivalent_mm: float
    mean: float
    maximum: float
    total: float
    unit: str
    voxels: int
    partial_volume: bool


def by_threshold(volume: Volume, seed: tuple[int, int, int], fraction: float = 0.41, reach_mm: float = 60.0) -> Mask:
    """Return the connected region around `seed` (slice, row, column) above a fraction of its maximum.

    The maximum is the one uphill from the seed, not farther than `reach_mm`.

    Raises
    ------
    NoLesion
        The seed lies outside, or nothing is there.
    """
    array = volume.summed().array
    _within(volume, seed)
    near = _ball(volume, seed, reach_mm)
    return _connected(volume, (array >= fraction * _peak(array, seed, near)) & near, seed)


def by_edge(volume: Volume, seed: tuple[int, int, int], fwhm_mm: float, reach_mm: float = 60.0) -> Mask:
    """Return the region whose edge lies where a sphere of its size, seen through a Gaussian, has it.

    Midway between background and peak is right for a plane; round things need less, the more the smaller they are. The
    background is what surrounds the region by two to four FWHM.
    """
    if not fwhm_mm > 0:
        raise NoLesion("to find the edge by, the resolution (FWHM) of the image has to be known")
    array = volume.summed().array
    _within(volume, seed)
    near = _ball(volume, seed, reach_mm)
    peak = _peak(array, seed, near)
    sigma, level = fwhm_mm / np.sqrt(8 * np.log(2)), 0.5 * peak
    region = _connected(volume, (array >= level) & near, seed)
    for _ in range(_ROUNDS):
        radius = (3 * region.sum() * abs(np.linalg.det(volume.affine[:3, :3])) / (4 * np.pi)) ** (1 / 3)
        background = _around(volume, region, fwhm_mm)
        level = background + (peak / _middle(radius, sigma) - background) * _edge(radius, sigma)
        region = _connected(volume, (array >= level) & near, seed)
    return region


def _edge(radius: float, sigma: float) -> float:
    """Return how bright a Gaussian-blurred sphere of brightness 1 is on its surface."""
    return float(
        0.5 * erf(np.sqrt(2) * radius / sigma) - sigma / radius * (1 - np.exp(-2 * (radius / sigma) ** 2)) * _FLAT
    )


def _middle(radius: float, sigma: float) -> float:
    """Return how bright it is in its middle."""
    r = radius / sigma
    return float(erf(r / np.sqrt(2)) - 2 * _FLAT * r * np.exp(-(r**2) / 2))


def _around(volume: Volume, region: Mask, fwhm_mm: float) -> float:
    """Return the median between two and four FWHM outside of a region."""
    away = ndimage.distance_transform_edt(~region, volume.voxel_mm)
    ring = (away > 2 * fwhm_mm) & (away <= 4 * fwhm_mm)
    return float(np.median(volume.summed().array[ring])) if ring.any() else 0.0


def by_level(volume: Volume, seed: tuple[int, int, int], level: float) -> Mask:
    """Return the region connected with `seed` in which values are at least `level`: SUV 4, say."""
    _within(volume, seed)
    return _connected(volume, volume.summed().array >= level, seed)


def grown(volume: Volume, seed: tuple[int, int, int], tolerance: float = 2.5, rounds: int = 20) -> Mask:
    """Grow a region from `seed`: its neighbours belong to it while within `tolerance` standard deviations of its mean.

    Each round takes mean and deviation anew (confidence connected); it ends when nothing changes.
    """
    array = volume.summed().array
    _within(volume, seed)
    region = np.zeros(array.shape, bool)
    region[seed] = True
    region = ndimage.binary_dilation(region, iterations=1)
    for _ in range(rounds):
        mean, deviation = float(array[region].mean()), max(float(array[region].std()), 1e-6 * abs(float(array[seed])))
        alike = np.abs(array - mean) <= tolerance * deviation
        alike[seed] = True
        now = _connected(volume, alike, seed)
        if (now == region).all():
            break
        region = now
    return region


def drawn(volume: Volume, outlines: Mapping[int, Sequence[Sequence[float]]]) -> Mask:
    """Return the region drawn by hand: by slice the corners (row, column) of a polygon, pixel 0 from 0.0 to 1.0.

    Raises
    ------
    NoLesion
        A slice is outside of the image, or what is drawn encloses nothing.
    """
    region = np.zeros(volume.grid, bool)
    for number, corners in outlines.items():
        if not 0 <= number < len(region):
            raise NoLesion(f"slice {number} is not one of the {len(region)} of the image")
        try:
            region[number] = mask_of("polygon", corners, volume.grid[1:])
        except NoRegion as none:
            raise NoLesion(f"slice {number}: {none}") from none
    if not region.any():
        raise NoLesion("what is drawn encloses no voxel's middle: draw it larger")
    return region


def measured(volume: Volume, mask: Mask, fwhm_mm: float = 0.0) -> Lesion:
    """Measure a region.

    Raises
    ------
    NoLesion
        The region is empty, or on another grid.
    """
    array = volume.summed().array
    if mask.shape != array.shape:
        raise NoLesion("the region is on another grid than the image")
    if not mask.any():
        raise NoLesion("the region is empty: lower the threshold, or put the seed on the lesion")
    places = np.argwhere(mask).astype(np.float64)
    values = array[mask].astype(np.float64)
    points = volume.points(places)
    voxel_ml = float(abs(np.linalg.det(volume.affine[:3, :3]))) / 1000
    millilitres = voxel_ml * len(values)
    equivalent = (6 * millilitres * 1000 / np.pi) ** (1 / 3)
    longest, across = _diameters(volume, mask)
    return Lesion(
        centroid_mm=_triple(points.mean(axis=0)), volume_ml=millilitres, longest_mm=longest, across_mm=across,
        equivalent_mm=equivalent, mean=float(values.mean()), maximum=float(values.max()),
        total=float(values.sum()), unit=volume.unit, voxels=len(values), partial_volume=equivalent < _SMALL * fwhm_mm,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """A lesion then and now: how far it moved after coregistration, and ratios of now to then."""

    moved_mm: float
    volume: float
    mean: float
    total: float


def compared(now: Lesion, before: Lesion, to_before: Rigid) -> Change:
    """Compare; `to_before` takes the present image's millimetres to the earlier one's."""
    there = to_before.apply(np.asarray(now.centroid_mm))
    moved = float(np.linalg.norm(there - np.asarray(before.centroid_mm)))
    return Change(
        moved, now.volume_ml / before.volume_ml, _ratio(now.mean, before.mean), _ratio(now.total, before.total)
    )


def _ratio(now: float, before: float) -> float:
    return now / before if before else float("nan")


def _triple(point: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(point[0]), float(point[1]), float(point[2])


def _within(volume: Volume, seed: tuple[int, int, int]) -> None:
    if not all(0 <= place < size for place, size in zip(seed, volume.grid, strict=True)):
        raise NoLesion(f"the seed {seed} lies outside of the image {volume.grid}")


def _peak(array: NDArray[np.floating], seed: tuple[int, int, int], near: Mask) -> float:
    """Return the value at the top of the hill the seed stands on."""
    place = seed
    while True:
        around = tuple(slice(max(0, p - 1), p + 2) for p in place)
        values = np.where(near[around], array[around], -np.inf)
        best = np.unravel_index(int(np.argmax(values)), values.shape)
        then = tuple(int(s.start + b) for s, b in zip(around, best, strict=True))
        if array[then] <= array[place]:
            return float(array[place])
        place = (then[0], then[1], then[2])


def _ball(volume: Volume, seed: tuple[int, int, int], radius_mm: float) -> Mask:
    axes = [
        (np.arange(size) - place) * step for size, place, step in zip(volume.grid, seed, volume.voxel_mm, strict=True)
    ]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    return np.asarray(z**2 + y**2 + x**2 <= radius_mm**2)


def _connected(volume: Volume, above: Mask, seed: tuple[int, int, int]) -> Mask:
    if not above[seed]:
        raise NoLesion(
            f"at the seed {seed} nothing is above the threshold; the image has {volume.unit or 'values'} there"
        )
    pieces, _ = ndimage.label(above)
    return np.asarray(pieces == pieces[seed])


def _diameters(volume: Volume, mask: Mask) -> tuple[float, float]:
    """Return the longest diameter and the longest at right angles to it, between outer faces of voxels."""
    edge = mask & ~ndimage.binary_erosion(mask)
    offsets = np.stack(np.meshgrid(*[(-0.5, 0.5)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    corners = (np.argwhere(edge)[:, None, :] + offsets).reshape(-1, 3)
    points = volume.points(np.unique(corners, axis=0).astype(np.float64))
    with suppress(QhullError):  # flat or tiny: all points are few
        points = points[ConvexHull(points).vertices]
    distances = pdist(points)
    longest = float(distances.max())
    first, second = _pair(int(np.argmax(distances)), len(points))
    along = (points[second] - points[first]) / longest
    flat = points - np.outer(points @ along, along)
    return longest, float(pdist(flat).max())


def _pair(number: int, count: int) -> tuple[int, int]:
    """Return the two points of an entry of a condensed distance matrix."""
    first = 0
    while number >= count - first - 1:
        number -= count - first - 1
        first += 1
    return first, first + 1 + number
