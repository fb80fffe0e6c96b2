"""Coregistration of surfaces: closest points, a rigid transform by SVD, again and again.

Besl & McKay 1992 with the trimming of Chetverikov 2002: the worst pairs of each round are left out, for a lesion or a
table is in one image alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

from core.imaging.coregistration.rigid import Rigid
from core.imaging.volume import Volume

Points: TypeAlias = NDArray[np.float64]

_FEWEST = 50
_ROUNDS = 200
_STILL_MM = 1e-5
_SPECK = 0.05
_MOST_POINTS = 20_000


class NoContour(ValueError):
    """An image in which no surface was found; the text is fit for a person."""


@dataclass(frozen=True, eq=False)
class Matched:
    """A transform from fixed to moving millimetres, and the distance the pairs kept have left."""

    transform: Rigid
    distance_mm: float
    rounds: int


def contour(volume: Volume, level: float) -> Points:
    """Return points of the surface where the image crosses `level`, (point, 3), between voxels.

    Along each axis the crossing is found by linear interpolation. Specks, pieces below a twentieth of the largest, are
    left out and holes are filled.

    Raises
    ------
    NoContour
        Too little is above the level, or everything is.
    """
    array = volume.summed().array.astype(np.float32)
    body = _whole(array > level)
    places = np.concatenate([_crossings(array, body, level, axis) for axis in range(3)])
    if len(places) < _FEWEST:
        raise NoContour(f"no surface at {level:g} {volume.unit}: choose a level between background and organ".rstrip())
    return volume.points(places[:: max(1, len(places) // _MOST_POINTS)])


def _whole(above: NDArray[np.bool_]) -> NDArray[np.bool_]:
    pieces, count = ndimage.label(above)
    if count == 0:
        return above
    sizes = np.bincount(pieces.ravel())[1:]
    kept = np.flatnonzero(sizes >= _SPECK * sizes.max()) + 1
    return np.asarray(ndimage.binary_fill_holes(np.isin(pieces, kept)))


def _crossings(array: NDArray[np.float32], body: NDArray[np.bool_], level: float, axis: int) -> Points:
    first: tuple[slice, ...] = tuple(slice(None, -1) if n == axis else slice(None) for n in range(3))
    then: tuple[slice, ...] = tuple(slice(1, None) if n == axis else slice(None) for n in range(3))
    one, other = array[first], array[then]
    # a hole that was filled has an edge in `array` but none in `body`
    where = np.nonzero((body[first] != body[then]) & ((one > level) != (other > level)))
    below = (level - one[where]) / (other[where] - one[where])
    places = np.stack(where, axis=1).astype(np.float64)
    places[:, axis] += below
    return places


def kabsch(fixed: Points, moving: Points, centre: Points) -> Rigid:
    """Return the rigid transform that takes points to their partners with the least squared distance (Kabsch 1976)."""
    middle, other = fixed.mean(axis=0), moving.mean(axis=0)
    u, _, vt = np.linalg.svd((fixed - middle).T @ (moving - other))
    upright = np.diag([1, 1, np.sign(np.linalg.det(vt.T @ u.T))])
    matrix = np.eye(4)
    matrix[:3, :3] = vt.T @ upright @ u.T
    matrix[:3, 3] = other - matrix[:3, :3] @ middle
    return Rigid.from_matrix(matrix, centre)


def match(fixed: Points, moving: Points, start: Rigid | None = None, keep: float = 0.9) -> Matched:
    """Lay one surface on the other.

    Parameters
    ----------
    fixed, moving
        (point, 3) in the millimetres of their images.
    start
        Where to begin; both middles on each other when absent.
    keep
        Part of the pairs each round keeps, the closest first.

    Raises
    ------
    NoContour
        There are too few points.
    """
    if min(len(fixed), len(moving)) < _FEWEST:
        raise NoContour(f"at least {_FEWEST} points of each surface are needed")
    centre = fixed.mean(axis=0)
    found = start or Rigid(move_mm=moving.mean(axis=0) - centre, centre=centre)
    tree, before, distance = KDTree(moving), np.inf, np.inf
    rounds = 0
    for rounds in range(1, _ROUNDS + 1):  # noqa: B007 - told at the end
        distances, partners = (np.atleast_1d(one) for one in tree.query(found.apply(fixed)))
        kept = np.argsort(distances)[: max(_FEWEST, int(keep * len(distances)))]
        found = kabsch(fixed[kept], moving[partners[kept]], found.centre)
        distance = float(np.sqrt((distances[kept] ** 2).mean()))
        if before - distance < _STILL_MM:
            break
        before = distance
    return Matched(found, distance, rounds)
