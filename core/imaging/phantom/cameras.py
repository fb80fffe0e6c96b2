"""How a camera blurs, dims and scatters what it looks at: expected counts, of several energy windows.

Planes of the body are projected one by one, each blurred by an exact Gaussian as wide as its distance makes it. Nothing
here is shared with the reconstruction, so that each judges the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.imaging.acquisition import Orbit
from core.imaging.phantom.shapes import FWHM_PER_SIGMA
from core.imaging.phantom.volumes import WATER_PER_MM, Volume, depth_under_skin, falling

Expected = NDArray[np.float32]

NARROW_BEAM_PER_MM = 0.0151
"""Water at 140 keV, where scatter is counted apart."""
WINDOWS = ("Tc99m", "Tc99m lower", "Tc99m upper")
"""The photopeak and the two windows beside it that tell of scatter."""
_SLAB_MM = 10.0
"""Over so much depth a collimator's width hardly changes."""


@dataclass(frozen=True, slots=True)
class Optics:
    """What stands between a body and its counts.

    Attributes
    ----------
    intrinsic_mm, slope
        FWHM(d) = hypot(intrinsic, slope * d), as a parallel collimator's.
    attenuation_per_mm
        Of the body, uniform within its outline.
    scatter
        Scattered counts in the photopeak for each that is not.
    scatter_mm
        How wide scatter spreads, FWHM.
    """

    intrinsic_mm: float = 3.8
    slope: float = 0.05
    attenuation_per_mm: float = WATER_PER_MM
    scatter: float = 0.0
    scatter_mm: float = 110.0

    def fwhm_mm(self, distance_mm: float) -> float:
        """Return the width of a point at this distance from the collimator."""
        return float(np.hypot(self.intrinsic_mm, self.slope * max(distance_mm, 0.0)))


def contour(orbit: Orbit, outline: tuple[float, float], gap_mm: float = 20.0) -> tuple[float, ...]:
    """Return the radii of detectors that keep `gap_mm` from an elliptic outline (half axes), in the orbit's order."""
    turn = np.deg2rad(orbit.angles_deg())
    touching = np.hypot(outline[0] * np.sin(turn), outline[1] * np.cos(turn))
    return tuple(float(radius) for radius in touching + gap_mm)


def primary(volume: Volume, voxel_mm: float, orbit: Orbit, outline: tuple[float, float], optics: Optics) -> Expected:
    """Project a volume (z, y, x): (view, row, bin), head up, dimmed and blurred by depth, without scatter."""
    slices, size, _ = volume.shape
    rows, columns = np.nonzero(volume.any(axis=0))
    y, x = ((places - (size - 1) / 2) * voxel_mm for places in (rows, columns))
    voxels = np.ascontiguousarray(volume[::-1, rows, columns].T)
    views = np.zeros((len(orbit.angles_deg()), slices, size), np.float32)
    for view, (angle, radius) in enumerate(zip(np.deg2rad(orbit.angles_deg()), orbit.distances_mm(), strict=True)):
        distance = radius - (x * np.sin(angle) + y * np.cos(angle))
        across = (-x * np.cos(angle) + y * np.sin(angle)) / voxel_mm + (size - 1) / 2
        seen = np.exp(-optics.attenuation_per_mm * depth_under_skin(x, y, float(angle), outline))
        slabs, middles = _slabs(distance)
        seen_in = (falling(across, seen, size, slabs) @ voxels).reshape(len(middles), size, slices)
        for slab, middle in zip(seen_in, middles, strict=True):
            sigma = optics.fwhm_mm(middle) / voxel_mm / FWHM_PER_SIGMA
            views[view] += ndimage.gaussian_filter(slab, sigma, mode="constant").T
    return views


def _slabs(distance: NDArray[np.float64]) -> tuple[NDArray[np.intp], list[float]]:
    """Deal points into slabs by their distance from the detector: the number of each point's, and their middles."""
    slabs = np.floor((distance - distance.min()) / _SLAB_MM).astype(np.intp)
    return slabs, [float(distance.min() + (number + 0.5) * _SLAB_MM) for number in range(int(slabs.max()) + 1)]


def scattered(seen: Expected, voxel_mm: float, optics: Optics) -> Expected:
    """Return the scatter that goes with primary counts (view, row, bin): as many as said, spread wide."""
    sigma = optics.scatter_mm / voxel_mm / FWHM_PER_SIGMA
    wide = ndimage.gaussian_filter(seen, (0, sigma, sigma), mode="constant")
    return np.asarray(wide * (optics.scatter * seen.sum() / max(float(wide.sum()), 1e-12)), np.float32)


def in_windows(seen: Expected, scatter: Expected, widths_kev: Sequence[float]) -> Expected:
    """Return what the photopeak and the windows below and above it expect, (window, view, row, bin).

    Scatter falls in a straight line from nine tenths below to one tenth above, so that Ogawa's estimate is exact.
    """
    main, lower, upper = widths_kev
    density = scatter * (2 / main)
    return np.stack((seen + scatter, density * (0.9 * lower), density * (0.1 * upper))).astype(np.float32)


def counted_together(expected: Expected, main_counts: float, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Count several windows for real; the first is to have `main_counts` in all."""
    scale = main_counts / max(float(expected[0].sum()), 1e-12)
    return np.minimum(rng.poisson(np.clip(expected, 0, None) * scale), 65535).astype(np.uint16)
