"""Filtered back-projection: all slices at once, by one sparse matrix.

Each pixel takes from each view the two bins beside the place it falls on, weighted by nearness. The matrix of a
geometry is built once and kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import scipy.fft
import scipy.linalg
import scipy.sparse
from numpy.typing import NDArray

from core.imaging.reconstruction.filters import Filter, padded, response
from core.imaging.reconstruction.projections import Projections

Body: TypeAlias = NDArray[np.float32]
THREADS = 2


def filtered_backprojection(projections: Projections, chosen: Filter | None = None, threads: int = THREADS) -> Body:
    """Return the slices, (row, column, slice), in counts per pixel of the whole acquisition.

    Without attenuation the sum over a slice equals the mean over views of the counts in its row. Each view counts for
    the arc it stands for, opposite views sharing theirs, so that arcs between 180 and 360 degrees are right too.
    """
    chosen = chosen or Filter()
    sinograms = filtered(projections, chosen, shares(projections.angles_deg))
    matrices = _matrices(tuple(projections.angles_deg), tuple(projections.centres()), projections.bins, threads)
    rays = sinograms.reshape(projections.views * projections.bins, projections.rows)
    size = projections.bins
    body = np.zeros((size * size, projections.rows), np.float32)
    places = np.array_split(np.flatnonzero(_circle(size)), threads)

    def sum_into(part: int) -> None:
        body[places[part]] = matrices[part] @ rays

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(sum_into, range(threads)))
    return body.reshape(size, size, projections.rows)


def shares(angles_deg: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the arc each view stands for, (view,), in radians: half the way to its neighbours; pi in all."""
    turned = np.mod(np.round(angles_deg, 3), 180.0)
    order = np.argsort(turned, kind="stable")
    gaps = np.diff(np.append(turned[order], turned[order[0]] + 180.0))
    own = np.empty(len(turned))
    own[order] = (gaps + np.roll(gaps, 1)) / 2
    return np.deg2rad(own).astype(np.float32)


def filtered(projections: Projections, chosen: Filter, shared: NDArray[np.float32] | None = None) -> Body:
    """Return the projections after the filter, (view, bin, slice), each view times its share where one is given.

    The filter is a convolution of so few bins that one product by its matrix is quicker than going through frequencies.
    """
    bins = projections.bins
    kernel = scipy.fft.irfft(response(chosen, bins, projections.pixel_mm), padded(bins))[:bins]
    matrix = scipy.linalg.toeplitz(kernel).astype(np.float32)
    made = np.matmul(matrix, projections.counts.swapaxes(1, 2))
    if shared is not None:
        made *= shared[:, None, None]
    return np.ascontiguousarray(made)


@lru_cache(maxsize=8)
def _circle(size: int) -> NDArray[np.bool_]:
    """Return which pixels every view sees, (size * size,)."""
    across = np.arange(size) - (size - 1) / 2
    inside = np.hypot(across[:, None], across[None, :]) <= (size - 1) / 2
    return np.asarray(inside.ravel())


@lru_cache(maxsize=4)
def _matrices(
    angles_deg: Sequence[float], centres: Sequence[float], size: int, parts: int
) -> list[scipy.sparse.csr_matrix[np.float32]]:
    """Return the matrix that sums rays into pixels of the circle, split into `parts` by pixels."""
    pixels = np.array_split(np.flatnonzero(_circle(size)), parts)
    turn, middles = np.deg2rad(np.asarray(angles_deg)), np.asarray(centres, np.float32)
    cosine, sine = np.cos(turn).astype(np.float32), np.sin(turn).astype(np.float32)

    def of(piece: NDArray[np.intp]) -> scipy.sparse.csr_matrix[np.float32]:
        y, x = (axis.astype(np.float32) - np.float32((size - 1) / 2) for axis in np.divmod(piece, size))
        return _rows(y[:, None] * sine - x[:, None] * cosine + middles, size)

    with ThreadPoolExecutor(parts) as pool:
        return list(pool.map(of, pixels))


def _rows(place: NDArray[np.float32], size: int) -> scipy.sparse.csr_matrix[np.float32]:
    """Return the matrix of pixels that fall on places, (pixel, view): the bins on both sides, by nearness."""
    pixels, views = place.shape
    left = np.floor(place)
    columns, weights = np.empty((pixels, views, 2), np.int32), np.empty((pixels, views, 2), np.float32)
    columns[:, :, 0] = left
    columns[:, :, 1] = columns[:, :, 0] + 1
    np.subtract(place, left, out=weights[:, :, 1])
    np.subtract(1, weights[:, :, 1], out=weights[:, :, 0])
    if left.min() < 0 or left.max() >= size - 1:
        weights[(columns < 0) | (columns >= size)] = 0
        np.clip(columns, 0, size - 1, out=columns)
    columns += np.arange(0, views * size, size, dtype=np.int32)[None, :, None]
    starts = np.arange(0, 2 * pixels * views + 1, 2 * views, dtype=np.int32)
    return scipy.sparse.csr_matrix((weights.ravel(), columns.ravel(), starts), shape=(pixels, views * size))
