"""Projections as a person reviews them before they are reconstructed: the sinogram and the linogram.

Both are pictures of raw counts, views downwards in the order they were taken: a patient who moved breaks the lines.
"""

from __future__ import annotations

import numpy as np

from core.imaging.reconstruction.projections import Counts, Projections


def sinogram(scan: Projections, row: int | None = None) -> Counts:
    """Return the counts of one row of the detector in every view, (view, bin); of all rows together without `row`.

    A still body draws sines; a step across is motion across the table, a wave that does not close a wrong centre.

    Raises
    ------
    IndexError
        The detector has no such row.
    """
    if row is None:
        return np.asarray(scan.counts.sum(axis=1, dtype=np.float64), np.float32)
    if not 0 <= row < scan.rows:
        raise IndexError(f"row {row} of a detector of {scan.rows} rows")
    return np.asarray(scan.counts[:, row])


def sinograms(scan: Projections) -> Counts:
    """Return the sinogram of every row, (row, view, bin): a stack to page through."""
    return np.ascontiguousarray(scan.counts.swapaxes(0, 1))


def linogram(scan: Projections) -> Counts:
    """Return the counts of every row in every view, summed across, (view, row).

    A still body draws straight lines; a step is motion along the table (creep, a breath, a sinking heart).
    """
    return np.asarray(scan.counts.sum(axis=2, dtype=np.float64), np.float32)
