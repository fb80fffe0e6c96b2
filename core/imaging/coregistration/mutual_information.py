"""Coregistration by normalised mutual information over a Haar pyramid, coarse to fine.

The approximation band of the Haar wavelet is the mean of 2 x 2 x 2 voxels but for a factor, so it is taken as that. At
each level each image's samples are read in the other one, so that it makes no difference which of them is called fixed.
Images and joint histogram are smoothed, so that the information has one top and not the ripples of its samples.
Powell's method climbs the coarsest level, the slope leads to the top of each. The samples are chosen by a fixed seed:
the same images give the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from core.imaging.coregistration.histogram import Reading, Samples, read
from core.imaging.coregistration.rigid import Rigid
from core.imaging.volume import Volume

Array: TypeAlias = NDArray[np.float32]

LEVELS = 3
_BINS = 96
_SMOOTH_BINS = 1.0
_FEWEST_SAMPLES, _MOST_SAMPLES = 10_000, 60_000
_LEAST_OVERLAP = 0.2
_EVEN_MM = 3.5
"""Standard deviation of the smoothing of both images: without it every voxel makes a ripple of its own."""
_EMISSION = frozenset({"NM", "PT"})
_NEARLY_STILL, _STILL = 0.05, 0.002
"""Voxels."""
_PROBE, _TINY = 0.25, 1e-4
_ROUNDS = 15
_RIPPLE = 1e-4
_COARSEST = 8  # voxels along the shortest axis: a level below that tells nothing
_FINEST_MM = 6.0


class Featureless(ValueError):
    """An image in which there is nothing to go by; the text is fit for a person."""


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

    Raises
    ------
    Featureless
        An image is the same everywhere, or holds values that are no numbers.
    """
    _refuse_featureless("the image that stays", fixed)
    _refuse_featureless("the image that is laid on it", moving)
    pyramid = list(zip(_pyramid(fixed, levels), _pyramid(moving, levels), strict=True))
    centre = fixed.centre_of_mass()
    starts = {"given": start} if start else _starts(moving, centre)
    first = _Likeness(*pyramid[0])
    name = max(starts, key=lambda one: first.of(starts[one]))
    found, likeness = _climb(first, starts[name]), first
    for number, level in enumerate(pyramid):
        likeness = _Likeness(*level) if number else first
        found = _refine(likeness, found, _STILL if number == len(pyramid) - 1 else _NEARLY_STILL)
    back = _there_and_back(fixed, moving, found, starts[name], levels) if check else None
    return Coregistered(found, likeness.of(found), name, likeness.overlap(found), back)


def likeness_of(fixed: Volume, moving: Volume, transform: Rigid, levels: int = LEVELS) -> tuple[float, float]:
    """Return normalised mutual information and overlap, as `coregister` tells them, of any place of the moving image.

    Raises
    ------
    Featureless
        As `coregister` does.
    """
    _refuse_featureless("the image that stays", fixed)
    _refuse_featureless("the image that is laid on it", moving)
    likeness = _Likeness(_pyramid(fixed, levels)[-1], _pyramid(moving, levels)[-1])
    return likeness.of(transform), likeness.overlap(transform)


def _refuse_featureless(name: str, volume: Volume) -> None:
    low, high = float(volume.array.min()), float(volume.array.max())
    if not np.isfinite(high - low):
        raise Featureless(f"{name} holds values that are no numbers: reconstruct it again, or send it again")
    if low == high:
        raise Featureless(f"{name} has the same value everywhere: nothing in it can be coregistered")


def _there_and_back(fixed: Volume, moving: Volume, found: Rigid, start: Rigid, levels: int) -> float:
    """Find the way back from the same start, knowing nothing of what was found."""
    back = coregister(moving, fixed, start.inverse(), levels).transform
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
    """Normalised mutual information (Studholme 1999) of one level, for one transform after another.

    Each image's samples are read in the other image and both histograms are put together: it makes no difference which
    image is called fixed. Samples lie between the voxels, or grids that fall on each other would look alike.
    """

    def __init__(self, fixed: Volume, moving: Volume) -> None:
        self._images = _graded(fixed), _graded(moving)
        self._to_index = tuple(np.linalg.inv(one.affine)[2::-1] for one in (fixed, moving))
        self._samples = tuple(_samples(one, image) for one, image in zip((fixed, moving), self._images, strict=True))
        own = self._samples[0].points[:3]
        self.voxel_mm = max(fixed.voxel_mm + moving.voxel_mm)
        self.reach_mm = float(np.sqrt(((own - own.mean(axis=1, keepdims=True)) ** 2).sum(axis=0).mean()))

    def of(self, transform: Rigid) -> float:
        """Return the normalised mutual information; 1 where too little overlaps."""
        readings = self._read(transform.matrix)
        return _information(_joint(readings)) if self._enough(readings) else 1.0

    def steepest(self, transform: Rigid) -> tuple[float, NDArray[np.float64]]:
        """Return it, and how it answers to each number of the transform's matrix, (4, 4)."""
        there = transform.matrix
        back = np.asarray(np.linalg.inv(there))
        readings = self._read(there)
        if not self._enough(readings):
            return 1.0, np.zeros((4, 4))
        joint = _joint(readings)
        worth = np.asarray(ndimage.gaussian_filter(_worth(joint), _SMOOTH_BINS)) / 2
        forward, backward = (
            to_index.T @ reading.slope(table) / len(reading.grades)
            for to_index, reading, table in zip(self._to_index[::-1], readings, (worth, worth.T), strict=True)
        )
        return _information(joint), np.asarray(forward - back.T @ backward @ back.T)

    def overlap(self, transform: Rigid) -> float:
        """Return the part of the fixed image's samples that fall into the moving image."""
        there, _ = self._read(transform.matrix)
        return len(there.grades) / len(self._samples[0].grades)

    def _read(self, matrix: NDArray[np.float64]) -> tuple[Reading, Reading]:
        """Read the moving image at the fixed one's samples, and the other way round."""
        back = np.asarray(np.linalg.inv(matrix), np.float64)
        return (
            read(self._samples[0], self._to_index[1] @ matrix, self._images[1]),
            read(self._samples[1], self._to_index[0] @ back, self._images[0]),
        )

    def _enough(self, readings: tuple[Reading, Reading]) -> bool:
        """Tell whether enough overlaps: an agreement on little is none."""
        covered = [len(r.grades) / len(own.grades) for r, own in zip(readings, self._samples, strict=True)]
        return max(covered) >= _LEAST_OVERLAP and min(covered) > 0


def _joint(readings: tuple[Reading, Reading]) -> NDArray[np.float64]:
    """Return the smoothed joint histogram (fixed, moving) as shares: half from either image's samples."""
    there, back = readings
    counts = there.counts(_BINS) / (2 * len(there.grades)) + back.counts(_BINS).T / (2 * len(back.grades))
    return np.asarray(ndimage.gaussian_filter(counts, _SMOOTH_BINS))  # its ends reflect: it is its own adjoint


def _information(joint: NDArray[np.float64]) -> float:
    return (_entropy(joint.sum(axis=1)) + _entropy(joint.sum(axis=0))) / max(_entropy(joint), 1e-12)


def _worth(joint: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how the information answers to each share of the joint histogram."""
    own, other = joint.sum(axis=1), joint.sum(axis=0)
    together = max(_entropy(joint), 1e-12)
    apart = _entropy(own) + _entropy(other)
    one, two, both = (np.log(np.maximum(p, 1e-15)) for p in (own, other, joint))
    return np.asarray(apart / together**2 * both - (one[:, None] + two[None, :]) / together)


def _entropy(p: NDArray[np.float64]) -> float:
    kept = p[p > 0]
    return float(-(kept * np.log(kept)).sum())


def _graded(volume: Volume) -> Array:
    """Return values, smoothed, as grades from 0 to the last bin: from the lowest to the 99.9th percentile, clipped.

    Of what is counted the square root is graded: so the grain of Poisson's distribution is alike everywhere, and the
    faint outline of the body is told by as many grades as a hot organ.
    """
    array = ndimage.gaussian_filter(volume.array.astype(np.float32), [_EVEN_MM / size for size in volume.voxel_mm])
    if volume.modality in _EMISSION:
        array = np.sqrt(np.maximum(array, 0))
    low, high = np.percentile(array[::2, ::2, ::2], (0.1, 99.9))
    array -= np.float32(low)
    array *= np.float32((_BINS - 1) / max(float(high - low), 1e-12))
    return np.ascontiguousarray(np.clip(array, 0, _BINS - 1, out=array))


def _samples(volume: Volume, image: Array) -> Samples:
    """Return places spread by a fixed chance over the content's box, between the voxels, and the grades there."""
    inside = ndimage.find_objects((image > 1).astype(np.int8))
    box = inside[0] if inside and inside[0] else tuple(slice(0, size) for size in image.shape)
    low = np.asarray([max(0, one.start - 2) for one in box])
    high = np.asarray([min(size - 1, one.stop + 1) for one, size in zip(box, image.shape, strict=True)])
    count = int(np.clip(np.prod(high - low + 1), _FEWEST_SAMPLES, _MOST_SAMPLES))
    places = np.random.default_rng(0).random((count, 3)) * (high - low) + low
    places = places[np.argsort(np.ravel_multi_index(places.astype(np.intp).T, image.shape))]  # neighbours in memory
    values = ndimage.map_coordinates(image, places.T, order=1, prefilter=False)
    points = np.vstack((volume.points(places).T, np.ones(count)))
    return Samples(points, np.rint(values).astype(np.intp))


def _climb(likeness: _Likeness, start: Rigid) -> Rigid:
    """Climb line by line (Powell), for the way is long; a unit along each axis moves the image by about a voxel."""

    def unlike(step: NDArray[np.float64]) -> float:
        return -likeness.of(_stepped(start, step, likeness))

    found = optimize.minimize(
        unlike, np.zeros(6), method="Powell", options={"xtol": 0.05, "ftol": 1e-5, "maxiter": 12, "maxfev": 900}
    )
    return _stepped(start, np.asarray(found.x), likeness)


def _refine(likeness: _Likeness, start: Rigid, still: float) -> Rigid:
    """Go to where the slope is nothing, by Newton's method with a curvature that learns from each step (SR1).

    The top is found by its slope, not by its height: within a tenth of a voxel the heights differ by less than their
    ripples. It ends when a step is shorter than `still` voxels.
    """
    place, shape = np.zeros(6), np.eye(6)
    height, slope = _slope(likeness, start, place)
    curve = np.stack([(_slope(likeness, start, side)[1] - slope) / _PROBE for side in shape * _PROBE])
    curve = (curve + curve.T) / 2
    for _ in range(_ROUNDS):
        step = _uphill(curve, slope)
        there = _slope(likeness, start, place + step)
        while there[0] < height - _RIPPLE and np.linalg.norm(step) > still:
            step = step / 2
            there = _slope(likeness, start, place + step)
        off = there[1] - slope - curve @ step
        if abs(off @ step) > 1e-8 * np.linalg.norm(off) * np.linalg.norm(step):
            curve = curve + np.outer(off, off) / (off @ step)
        place, (height, slope) = place + step, there
        if np.linalg.norm(step) < still:
            break
    return _stepped(start, place, likeness)


def _uphill(curve: NDArray[np.float64], slope: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Newton's step, turned uphill where the image is not curved like a top, and of one voxel at most."""
    bends, ways = np.linalg.eigh(curve)
    bends = np.maximum(np.abs(bends), 0.02 * max(float(np.abs(bends).max()), 1e-12))
    step = ways @ ((ways.T @ slope) / bends)
    return np.asarray(step * min(1.0, 1 / max(float(np.linalg.norm(step)), 1e-12)))


def _slope(likeness: _Likeness, start: Rigid, place: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Return the likeness some units away from a start, and how it answers to each unit."""
    height, by_matrix = likeness.steepest(_stepped(start, place, likeness))
    turns = [
        (_stepped(start, place + tiny, likeness).matrix - _stepped(start, place - tiny, likeness).matrix) / (2 * _TINY)
        for tiny in np.eye(6) * _TINY
    ]
    return height, np.asarray([(by_matrix * turn).sum() for turn in turns])


def _stepped(start: Rigid, step: NDArray[np.float64], likeness: _Likeness) -> Rigid:
    """Return a transform some units away; a unit moves the image by about a voxel, by turning or by moving it."""
    turn = np.rad2deg(likeness.voxel_mm / max(likeness.reach_mm, likeness.voxel_mm))
    return Rigid(start.turn_deg + step[:3] * turn, start.move_mm + step[3:] * likeness.voxel_mm, start.centre)
