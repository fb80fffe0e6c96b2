"""Where photons are lost: maps of attenuation, and Chang's correction for back-projection.

A map is mu per mm, (row, column, slice), in the geometry of the projections.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.imaging.reconstruction.projections import Projections
from core.imaging.reconstruction.projector import THREADS, seen_from

Body: TypeAlias = NDArray[np.float32]

NARROW_BEAM_PER_MM = {
    "TC-99M": 0.0151,
    "TL-201": 0.0187,
    "I-123": 0.0147,
    "I-131": 0.0110,
    "GA-67": 0.0160,
    "IN-111": 0.0135,
}
"""Water, at the isotope's main photon energy (NIST XCOM), for projections whose scatter is modelled."""

BROAD_BEAM_PER_MM = {"TC-99M": 0.0115, "TL-201": 0.0150, "I-123": 0.0112}
"""What stands in for it where scatter is left in."""


def uniform(outline: NDArray[np.bool_], mu_per_mm: float) -> Body:
    """Return the map of a body that is water everywhere within its outline, (row, column, slice)."""
    return np.where(outline, np.float32(mu_per_mm), np.float32(0))


def outline_of(body: Body, fraction: float = 0.08) -> NDArray[np.bool_]:
    """Return the body's outline, found on a first reconstruction; to be looked at, and adjusted by `fraction`.

    What exceeds `fraction` of a robust maximum is body, roughly; its skin lies where half of what is just beneath it is
    reached (at 0.08; a smaller fraction takes less than half and finds a larger body, and the other way round). Each
    slice is reduced to its largest piece, and closed and filled so that it holds cold organs. Counts without scatter
    give the truer outline.
    """
    smooth = ndimage.gaussian_filter(body, (1.5, 1.5, 1))
    if not (smooth > 0).any():
        return np.zeros(body.shape, bool)
    rough = smooth > fraction * float(np.percentile(smooth[smooth > 0], 99))
    level = float(np.median(smooth[rough])) / 2
    share = min(0.9, 0.5 * float(np.sqrt(fraction / 0.08)))
    found = np.zeros(body.shape, bool)
    for number in range(body.shape[2]):
        cut = smooth[:, :, number]
        first = _whole(cut > level)
        beneath = ndimage.binary_erosion(first, iterations=3) & ~ndimage.binary_erosion(first, iterations=6)
        found[:, :, number] = _whole(cut > share * np.median(cut[beneath])) if beneath.any() else first
    return found


def _whole(cut: NDArray[np.bool_]) -> NDArray[np.bool_]:
    pieces, count = ndimage.label(cut)
    if count == 0:
        return cut
    sizes = np.bincount(pieces.ravel())[1:]
    largest = pieces == int(np.argmax(sizes)) + 1
    reach = max(2, cut.shape[0] // 16)
    near = ndimage.iterate_structure(ndimage.generate_binary_structure(2, 1), reach)
    padded = np.pad(largest, reach)
    closed = ndimage.binary_closing(padded, near)[reach:-reach, reach:-reach]
    return np.asarray(ndimage.binary_fill_holes(closed))


def from_ct(hounsfield: Body, water_per_mm: float, bone_slope: float = 0.6) -> Body:
    """Return the map from CT numbers by two lines (Brown 2008): air to water, and flatter above it.

    `bone_slope` is what the contrast of bone at the CT's effective energy becomes at the emission's.
    """
    soft = water_per_mm * (1 + hounsfield / 1000)
    bone = water_per_mm * (1 + bone_slope * hounsfield / 1000)
    return np.maximum(np.where(hounsfield <= 0, soft, bone), 0).astype(np.float32)


def chang(scan: Projections, attenuation: Body, threads: int = THREADS) -> Body:
    """Return Chang's first-order factors: the reciprocal of the mean over views of what reaches the detector."""
    return np.asarray(1 / np.maximum(seen_from(scan, attenuation, threads), 1e-3), np.float32)
