"""The joint histogram of two images, the inner loop of mutual information, and how it answers to a small step.

Samples are worked through in pieces that stay in the processor's cache: the same operations on all of them at once
take ten times as long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float32]
Counts: TypeAlias = NDArray[np.float64]

_PIECE = 8192  # samples


@dataclass(frozen=True, eq=False)
class Samples:
    """Places of one image, and its grades there.

    Attributes
    ----------
    points
        (4, sample) x, y, z in the image's patient millimetres, and 1.
    grades
        (sample,) whole numbers, the histogram's first axis.
    """

    points: NDArray[np.float64]
    grades: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Reading:
    """What another image has at the samples: grades from 0 to the last bin, and how fast they change.

    `slopes` are (3, sample), in grades per slice, row and column; empty where nobody asked.
    """

    samples: Samples
    grades: Array
    slopes: Array

    def counts(self, bins: int) -> Counts:
        """Return the joint histogram (own, other); between two bins a sample counts for both."""
        lower = np.minimum(self.grades.astype(np.intp), bins - 2)
        share = self.grades - lower
        cell = self.samples.grades * bins + lower
        made = np.bincount(cell, 1 - share, bins * bins)
        made += np.bincount(cell + 1, share, bins * bins)
        return made.reshape(bins, bins)

    def slope(self, worth: Counts) -> NDArray[np.float64]:
        """Return how the sum of `worth` (own, other) over the samples answers to each number of `to_index`, (3, 4)."""
        lower = np.minimum(self.grades.astype(np.intp), worth.shape[1] - 2)
        rise = np.diff(worth, axis=1)[self.samples.grades, lower]
        return np.asarray((self.slopes * rise) @ self.samples.points.T)


def read(samples: Samples, to_index: NDArray[np.float64], image: Array, *, slopes: bool = False) -> Reading:
    """Read an image between its voxels at the samples; those outside of it are left out.

    Parameters
    ----------
    samples
        Of the other image.
    to_index
        (3, 4) from their millimetres to this image's slice, row and column.
    image
        (slice, row, column) grades.
    slopes
        Whether they are wanted.
    """
    pieces = [
        _read(samples, slice(start, start + _PIECE), to_index, image, slopes=slopes)
        for start in range(0, len(samples.grades), _PIECE)
    ]
    points, own = np.concatenate([p[0] for p in pieces], axis=1), np.concatenate([p[1] for p in pieces])
    grades, rates = np.concatenate([p[2] for p in pieces]), np.concatenate([p[3] for p in pieces], axis=1)
    return Reading(Samples(points, own), grades, rates)


def _read(
    samples: Samples, piece: slice, to_index: NDArray[np.float64], image: Array, *, slopes: bool
) -> tuple[NDArray[np.float64], NDArray[np.intp], Array, Array]:
    points = samples.points[:, piece]
    places = to_index @ points
    ends = np.asarray(image.shape)[:, None] - 1.001
    inside = ((places >= 0) & (places <= ends)).all(axis=0)
    places = places[:, inside]
    corner = places.astype(np.intp)
    c, b, a = (places - corner).astype(np.float32)
    across, row = image.shape[1] * image.shape[2], image.shape[2]
    first = corner[0] * across + corner[1] * row + corner[2]
    flat = image.ravel()
    # lines along columns, planes of two lines, the cube of two planes
    starts = [flat[first + offset] for offset in (0, row, across, across + row)]
    rises = [
        flat[first + offset + 1] - left for left, offset in zip(starts, (0, row, across, across + row), strict=True)
    ]
    lines = [left + rise * a for left, rise in zip(starts, rises, strict=True)]
    top, bottom = lines[1] - lines[0], lines[3] - lines[2]
    plane, under = lines[0] + top * b, lines[2] + bottom * b
    depth = under - plane
    rates = np.empty((3, 0), np.float32)
    if slopes:
        near, far = rises[0] + (rises[1] - rises[0]) * b, rises[2] + (rises[3] - rises[2]) * b
        rates = np.stack((depth, top + (bottom - top) * c, near + (far - near) * c))
    return points[:, inside], samples.grades[piece][inside], plane + depth * c, rates
