"""Put parallel slices in order: evenly spaced, gaps found, duplicates left out.

Nothing is invented: a slice nobody sent stays empty and is told.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.imaging.volume import Points, Unplaced

PARALLEL = 2e-3
"""Directions whose cosines differ by no more are the same: a tenth of a degree."""

SAME_MM = 0.01
_MANY = 1e6
_FARTHEST_MM = 1e5
UNEVEN = 0.02
"""Part of the step by which slices may stand off an even grid."""


@dataclass(frozen=True, eq=False)
class Row:
    """Slices in their order: `places[i]` is the slice index of the i-th given one, of `slices` in all.

    `origin` is the corner of the first slice, `step` leads to the next, both mm, (3,); `gaps` were never given.
    """

    places: NDArray[np.intp]
    slices: int
    origin: Points
    step: Points
    gaps: tuple[int, ...]
    notes: tuple[str, ...]


def normal_of(orientation: Points) -> Points:
    """Return the direction behind a slice (PS3.3 C.8.4.15), (3,), of its row and column directions, (6,)."""
    return np.asarray(np.cross(orientation[:3], orientation[3:]))


def arranged(corners: Points, orientation: Points, thickness_mm: float | None) -> Row:
    """Find the grid that slices stand on.

    Parameters
    ----------
    corners
        (slice, 3) Image Position of each, no two the same.
    orientation
        (6,) directions along a row and along a column.
    thickness_mm
        For a slice alone.

    Raises
    ------
    Unplaced
        They do not stand on an even grid.
    """
    normal = normal_of(orientation)
    heights = corners @ normal
    if np.abs(corners).max() > _FARTHEST_MM:
        raise Unplaced("a slice lies farther away than any patient is long: its position is broken")
    order = np.argsort(heights, kind="stable")
    if len(corners) == 1:
        return Row(np.zeros(1, np.intp), 1, corners[0], normal * (thickness_mm or 1.0), (), ())
    gaps_mm = np.diff(heights[order])
    unit = float(np.median(gaps_mm[gaps_mm <= 1.5 * gaps_mm.min()]))
    counted = np.rint(gaps_mm / unit)
    if np.abs(gaps_mm / unit - counted).max() > max(UNEVEN, SAME_MM / unit) * max(1.0, counted.max()):
        raise Unplaced(
            f"the slices are not evenly spaced: their distances run from {gaps_mm.min():.2f} to {gaps_mm.max():.2f} mm"
        )
    if counted.sum() > _MANY:
        raise Unplaced("the slices lie too far apart to make a volume")
    index = np.concatenate(([0], np.cumsum(counted))).astype(np.intp)
    slices = int(index[-1]) + 1
    refuse_holes(len(corners), slices)
    gaps = tuple(sorted(set(range(slices)) - set(index.tolist())))
    step = (corners[order[-1]] - corners[order[0]]) / index[-1]
    places = np.empty(len(corners), np.intp)
    places[order] = index
    origin = corners[order[0]]
    return Row(places, slices, origin, step, gaps, tuple(_told(gaps, slices, corners, places, origin, step, normal)))


def refuse_holes(given: int, slices: int) -> None:
    """Refuse a volume that is mostly holes."""
    if 2 * given < slices:
        raise Unplaced(f"{slices - given} of {slices} slices are missing: too many to make a volume")


def _told(
    gaps: tuple[int, ...],
    slices: int,
    corners: Points,
    places: NDArray[np.intp],
    origin: Points,
    step: Points,
    normal: Points,
) -> list[str]:
    off = np.abs(corners - (origin + places[:, None] * step)).max()
    if off > max(0.1 * float(np.linalg.norm(step)), 10 * SAME_MM):
        raise Unplaced(f"the slices do not stand in a row: one lies {off:.2f} mm beside the line of the others")
    notes = []
    if gaps:
        named = ", ".join(str(gap + 1) for gap in gaps[:10])
        notes.append(f"{len(gaps)} of {slices} slices are missing and empty here: number {named}")
    lean = float(np.linalg.norm(step - (step @ normal) * normal))
    if lean > UNEVEN * float(np.linalg.norm(step)):
        notes.append(f"the gantry was tilted: each slice lies {lean:.2f} mm aside of the one before")
    return notes
