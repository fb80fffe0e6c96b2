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
    sinograms = filtered(projections, chosen, threads, shares(projections.angles_deg))
    matrices = _matrices(tuple(projections.angles_deg), tuple(projections.centres()), projections.bins, threads)
    rays = sinograms.reshape(projections.views * projections.bins, projections.rows)
    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(lambda matrix: matrix @ rays, matrices))
    size = projections.bins
    body = np.zeros((size * size, projections.rows), np.float32)
    body[_circle(size)] = np.concatenate(parts)
    return body.reshape(size, size, projections.rows)


def shares(angles_deg: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the arc each view stands for, (view,), in radians: half the way to its neighbours; pi in all."""
    turned = np.mod(np.round(angles_deg, 3), 180.0)
    order = np.argsort(turned, kind="stable")
    gaps = np.diff(np.append(turned[order], turned[order[0]] + 180.0))
    own = np.empty(len(turned))
    own[order] = (gaps + np.roll(gaps, 1)) / 2
    return np.deg2rad(own).astype(np.float32)


def filtered(
    projections: Projections, chosen: Filter, threads: int = THREADS, shared: NDArray[np.float32] | None = None
) -> Body:
    """Return the projections after the filter, (view, bin, slice), each view times its share where one is given."""
    bins = projections.bins
    kernel = response(chosen, bins, projections.pixel_mm).astype(np.float32)
    spectrum = scipy.fft.rfft(projections.counts, padded(bins), axis=2, workers=threads)
    spectrum *= kernel if shared is None else kernel * shared[:, None, None]
    back = scipy.fft.irfft(spectrum, padded(bins), axis=2, workers=threads, overwrite_x=True)[:, :, :bins]
    return np.ascontiguousarray(back.swapaxes(1, 2))


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
    across = np.arange(size, dtype=np.float32) - (size - 1) / 2
    y, x = (np.broadcast_to(axis, (size, size)).ravel()[_circle(size)] for axis in (across[:, None], across[None, :]))
    turn, views = np.deg2rad(np.asarray(angles_deg)), len(angles_deg)
    place = np.outer(-x, np.cos(turn)) + np.outer(y, np.sin(turn)) + np.asarray(centres)
    left = np.floor(place).astype(np.int32)
    share = (place - left).astype(np.float32)
    bins = np.stack((left, left + 1), axis=2)
    weights = np.stack((1 - share, share), axis=2)
    weights[(bins < 0) | (bins >= size)] = 0
    columns = np.clip(bins, 0, size - 1) + (np.arange(views, dtype=np.int32) * size)[None, :, None]
    pieces = np.array_split(np.arange(len(x)), parts)
    return [_rows(weights[piece], columns[piece], views * size) for piece in pieces]


def _rows(weights: NDArray[np.float32], columns: NDArray[np.int32], rays: int) -> scipy.sparse.csr_matrix[np.float32]:
    pixels, each = len(weights), weights.shape[1] * 2
    starts = np.arange(0, pixels * each + 1, each, dtype=np.int32)
    return scipy.sparse.csr_matrix((weights.ravel(), columns.ravel().astype(np.int32), starts), shape=(pixels, rays))
