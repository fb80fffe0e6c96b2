"""The joint histogram of two images, the inner loop of mutual information, and how it answers to a small step.

Samples are worked through in pieces that stay in the processor's cache: the same operations on all of them at once
take ten times as long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.imaging.coregistration.interpolation import between

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

    `slopes` are (3, sample), in grades per slice, row and column.
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
        return np.asarray(made.reshape(bins, bins), np.float64)

    def slope(self, worth: Counts) -> NDArray[np.float64]:
        """Return how the sum of `worth` (own, other) over the samples answers to each number of `to_index`, (3, 4)."""
        lower = np.minimum(self.grades.astype(np.intp), worth.shape[1] - 2)
        rise = np.diff(worth, axis=1)[self.samples.grades, lower]
        return np.asarray((self.slopes * rise) @ self.samples.points.T)


def read(samples: Samples, to_index: NDArray[np.float64], image: Array) -> Reading:
    """Read an image between its voxels at the samples; those outside of it are left out.

    Parameters
    ----------
    samples
        Of the other image.
    to_index
        (3, 4) from their millimetres to this image's slice, row and column.
    image
        (slice, row, column) grades.
    """
    ends = np.asarray(image.shape)[:, None] - 1.001
    points, own, values = [], [], []
    for start in range(0, len(samples.grades), _PIECE):
        piece = samples.points[:, start : start + _PIECE]
        places = to_index @ piece
        inside = ((places >= 0) & (places <= ends)).all(axis=0)
        points.append(piece[:, inside])
        own.append(samples.grades[start : start + _PIECE][inside])
        values.append(between(places[:, inside], image))
    read_there = np.concatenate(values, axis=1)
    return Reading(Samples(np.concatenate(points, axis=1), np.concatenate(own)), read_there[0], read_there[1:])
