"""Coregistration by normalised mutual information over a Haar pyramid, coarse to fine.

The approximation band of the Haar wavelet is the mean of 2 x 2 x 2 voxels but for a factor, so it is taken as that. At
each level the joint histogram of the fixed image's samples and what the moving image has there is smoothed, so that its
information has one top and not the ripples of its samples; Powell's method climbs it. The samples are chosen by a fixed
seed: the same images give the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from core.imaging.coregistration.histogram import joint_histogram
from core.imaging.coregistration.rigid import Rigid
from core.imaging.volume import Volume

Array: TypeAlias = NDArray[np.float32]

LEVELS = 3
_BINS = 48
_SMOOTH_BINS = 1.0
_MOST_SAMPLES = 60_000
_COARSEST = 8  # voxels along the shortest axis: a level below that tells nothing
_FINEST_MM = 6.0


@dataclass(frozen=True, eq=False)
class Coregistered:
    """A transform from fixed to moving millimetres, and how good it is."""

    transform: Rigid
    information: float  # normalised mutual information, 1 (nothing shared) to 2
    started: str  # which start won: position or mass
    overlap: float  # part of the fixed image's content that the moving image covers
    inverse_mm: float | None = None  # how far there and back ends from where it began


def coregister(
    fixed: Volume, moving: Volume, start: Rigid | None = None, levels: int = LEVELS, *, check: bool = False
) -> Coregistered:
    """Find where the moving image lies.

    Starts from `start`, or from the better of the patient positions as they stand and both centres of mass. With
    `check` the other direction is found as well, and the mean distance there and back is told.
    """
    pyramid = list(zip(_pyramid(fixed, levels), _pyramid(moving, levels), strict=True))
    centre = fixed.centre_of_mass()
    starts = {"given": start} if start else _starts(moving, centre)
    first = _Likeness(*pyramid[0])
    name = max(starts, key=lambda one: first.of(starts[one]))
    found = starts[name]
    for number, (coarse_fixed, coarse_moving) in enumerate(pyramid):
        found = _climb(_Likeness(coarse_fixed, coarse_moving), found, last=number == len(pyramid) - 1)
    likeness = _Likeness(*pyramid[-1])
    back = _there_and_back(fixed, moving, found, levels) if check else None
    return Coregistered(found, likeness.of(found), name, likeness.overlap(found), back)


def _there_and_back(fixed: Volume, moving: Volume, found: Rigid, levels: int) -> float:
    back = coregister(moving, fixed, found.inverse(), levels).transform
    corners = np.stack(np.meshgrid(*[[0.25 * n, 0.75 * n] for n in fixed.grid], indexing="ij"), axis=-1).reshape(-1, 3)
    points = fixed.points(corners)
    return float(np.linalg.norm(back.apply(found.apply(points)) - points, axis=1).mean())


def _starts(moving: Volume, centre: NDArray[np.float64]) -> dict[str, Rigid]:
    return {
        "position": Rigid(centre=centre),
        "mass": Rigid(move_mm=moving.centre_of_mass() - centre, centre=centre),
    }


def _pyramid(volume: Volume, levels: int) -> list[Volume]:
    """Return the levels, the coarsest first; the finest is as fine as emission images are, and no finer."""
    while 2 * max(volume.voxel_mm) <= _FINEST_MM and min(volume.grid) >= 2 * _COARSEST:
        volume = halved(volume)
    made = [volume]
    while len(made) < levels:
        made.append(halved(made[-1]) if min(made[-1].grid) >= 2 * _COARSEST else made[-1])
    return made[::-1]


def halved(volume: Volume) -> Volume:
    """Return the next level of the Haar pyramid: means of 2 x 2 x 2 voxels; what is left over at the end is dropped."""
    slices, rows, columns = (size // 2 * 2 for size in volume.grid)
    array = volume.summed().array[:slices, :rows, :columns].astype(np.float32)
    array = array.reshape(slices // 2, 2, rows // 2, 2, columns // 2, 2).mean(axis=(1, 3, 5))
    affine = volume.affine.copy()
    affine[:3, 3] = volume.points(np.full(3, 0.5))
    affine[:3, :3] *= 2
    return Volume(array, affine, volume.unit, volume.modality)


class _Likeness:
    """Normalised mutual information (Studholme 1999) of one level, for one transform after another."""

    def __init__(self, fixed: Volume, moving: Volume) -> None:
        self._moving = _graded(moving)
        self._inverse = np.linalg.inv(moving.affine)
        values = _graded(fixed)
        where = _samples(values)
        self.points = fixed.points(where.astype(np.float64))
        self._values = np.ascontiguousarray(values[tuple(where.T)].astype(np.int32))
        self.voxel_mm = max(fixed.voxel_mm + moving.voxel_mm)
        self.reach_mm = float(np.sqrt(((self.points - self.points.mean(axis=0)) ** 2).sum(axis=1).mean()))

    def of(self, transform: Rigid) -> float:
        """Return the normalised mutual information; 1 where too little overlaps."""
        counts = self._counts(transform)
        total = counts.sum()
        if total < 0.2 * len(self._values):  # an agreement on so little is none
            return 1.0
        joint = counts / total
        one, other = _entropy(joint.sum(axis=1)), _entropy(joint.sum(axis=0))
        return (one + other) / max(_entropy(joint), 1e-12)

    def overlap(self, transform: Rigid) -> float:
        """Return the part of the samples that fall into the moving image."""
        return float(self._counts(transform).sum() / len(self._values))

    def _counts(self, transform: Rigid) -> NDArray[np.float64]:
        to_index = (self._inverse @ transform.matrix)[::-1][1:]  # rows slice, row, column
        counts = joint_histogram(self._values, self.points, to_index, self._moving, _BINS)
        return np.asarray(ndimage.gaussian_filter(counts, _SMOOTH_BINS, mode="nearest"))


def _entropy(p: NDArray[np.float64]) -> float:
    kept = p[p > 0]
    return float(-(kept * np.log(kept)).sum())


def _graded(volume: Volume) -> Array:
    """Return values as grades from 0 to the last bin: from the lowest to the 99.9th percentile, clipped."""
    array = volume.array.astype(np.float32)
    low, high = np.percentile(array[::2, ::2, ::2], (0.1, 99.9))
    scaled = (array - low) * np.float32((_BINS - 1) / max(float(high - low), 1e-12))
    return np.ascontiguousarray(np.clip(scaled, 0, _BINS - 1))


def _samples(values: Array) -> NDArray[np.int64]:
    """Return which voxels are asked, (sample, 3): all in the content's box, or as many as time allows, by chance."""
    inside = ndimage.find_objects((values > 1).astype(np.int8))
    box = inside[0] if inside and inside[0] else tuple(slice(0, size) for size in values.shape)
    grown = tuple(slice(max(0, s.start - 2), min(n, s.stop + 2)) for s, n in zip(box, values.shape, strict=True))
    shape = tuple(s.stop - s.start for s in grown)
    count = int(np.prod(shape))
    chosen = np.arange(count)
    if count > _MOST_SAMPLES:
        chosen = np.sort(np.random.default_rng(0).choice(count, _MOST_SAMPLES, replace=False, shuffle=False))
    places = np.stack(np.unravel_index(chosen, shape), axis=1)
    return np.asarray(places + [s.start for s in grown], np.int64)


def _climb(likeness: _Likeness, start: Rigid, *, last: bool) -> Rigid:
    """Climb by Powell's method; a unit along each axis moves the image by about a voxel."""
    turn = np.rad2deg(likeness.voxel_mm / max(likeness.reach_mm, likeness.voxel_mm))
    units = np.asarray([turn] * 3 + [likeness.voxel_mm] * 3)
    origin = np.concatenate((start.turn_deg, start.move_mm))

    def unlike(step: NDArray[np.float64]) -> float:
        values = origin + step * units
        return -likeness.of(Rigid(values[:3], values[3:], start.centre))

    precision = 0.01 if last else 0.05
    found = optimize.minimize(
        unlike, np.zeros(6), method="Powell",
        options={"xtol": precision, "ftol": 1e-6 if last else 1e-5, "maxiter": 12, "maxfev": 900},
    )  # fmt: skip
    values = origin + np.asarray(found.x) * units
    return Rigid(values[:3], values[3:], start.centre)
