"""What is put right on projections before they are reconstructed, each by itself, each to be looked at.

A correction takes projections and returns projections; what it found (the shift of each view, say) is returned beside
them, so that a person can see it on the sinogram.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from core.imaging.reconstruction.projections import Projections, Unusable

Counts: TypeAlias = NDArray[np.float32]


# -- uniformity and decay --------------------------------------------------------------------------------------------


def uniform(scan: Projections, flood: Counts, dead_below: float = 0.2) -> Projections:
    """Divide by the flood, (row, bin), made mean 1; what is dead (below `dead_below` of the mean) is left as it is.

    Raises
    ------
    Unusable
        The flood has another size, or no counts.
    """
    if flood.shape != scan.counts.shape[1:]:
        raise Unusable(f"the flood is {flood.shape}, the projections are {scan.counts.shape[1:]}")
    if not flood.sum() > 0:
        raise Unusable("the flood has no counts")
    factor = np.asarray(flood / float(flood[flood > 0].mean()), np.float32)
    return replace(scan, counts=np.asarray(scan.counts / np.where(factor > dead_below, factor, np.float32(1))))


def undecayed(scan: Projections, started_s: NDArray[np.float64], half_life_s: float) -> Projections:
    """Bring every view to the moment the first began, and to the activity at its own beginning within each.

    Parameters
    ----------
    started_s
        (view,) when each view began, in seconds from the first.
    half_life_s
        Of the isotope, in seconds.
    """
    if not half_life_s > 0:
        raise Unusable("the half-life of the isotope is missing")
    rate = np.log(2) / half_life_s
    within = rate * scan.view_s / -np.expm1(-rate * scan.view_s) if scan.view_s > 0 else 1.0
    factor = (within * np.exp(rate * np.asarray(started_s))).astype(np.float32)
    return replace(scan, counts=scan.counts * factor[:, None, None])


# -- centre of rotation and motion -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Motion:
    """How far each view lies from where the rest says it should, in bins (across) and rows (down), (view,)."""

    across: NDArray[np.float64]
    down: NDArray[np.float64]

    @property
    def largest(self) -> float:
        """The longest of them."""
        return float(max(np.abs(self.across).max(), np.abs(self.down).max()))


def centre_of_rotation(scan: Projections) -> float:
    """Return the bin on which the middle of rotation falls, from the centroids of the sinogram.

    The centroid of a body goes round as c + a cos + b sin; over 360 degrees the three are fitted by least squares.

    Raises
    ------
    Unusable
        Over less than a full circle c cannot be told from a source at the side.
    """
    if scan.arc_deg < 270:  # noqa: PLR2004 - degrees
        raise Unusable("the centre of rotation can be found over 360 degrees alone: take it from the camera's own test")
    return float(_fitted(scan.angles_deg, _centroids(scan.counts, axis=2))[0])


def centred(scan: Projections, centre: float) -> Projections:
    """Note where the middle of rotation falls; the projector and back-projection reckon with it."""
    return replace(scan, centre=np.full(scan.views, centre))


def motion_of(scan: Projections) -> Motion:
    """Estimate the patient's motion: each view against what the others make one expect.

    Down, rows' totals of a view are compared with their running median (the linogram); across, the centroid with the
    sine through all of them (the sinogram).
    """
    return Motion(_across(scan), _down(scan))


def _across(scan: Projections) -> NDArray[np.float64]:
    centroids = _centroids(scan.counts, axis=2)
    fitted = _design(scan.angles_deg, harmonics=2) @ _robust(_design(scan.angles_deg, harmonics=2), centroids)
    return np.asarray(centroids - fitted)


def _down(scan: Projections) -> NDArray[np.float64]:
    """Return the shift in rows that lays each view's totals best over the median of all, to a tenth of a row."""
    profiles = scan.counts.sum(axis=2, dtype=np.float64)
    profiles /= np.maximum(profiles.sum(axis=1, keepdims=True), 1)
    usual = np.median(profiles, axis=0)
    shifts = [_shift_between(usual, profile) for profile in profiles]
    return np.asarray(shifts) - np.median(shifts)


def _shift_between(usual: NDArray[np.float64], profile: NDArray[np.float64]) -> float:
    def apart(shift: float) -> float:
        moved = ndimage.shift(profile, -shift, order=1, mode="nearest")
        return float(((moved - usual) ** 2).sum())

    coarse = min(np.arange(-4, 4.5, 0.5), key=apart)
    found = optimize.minimize_scalar(
        apart, bounds=(coarse - 0.5, coarse + 0.5), method="bounded", options={"xatol": 0.02}
    )
    return float(found.x)


def still(scan: Projections, motion: Motion) -> Projections:
    """Move each view back to where it belongs; counts are interpolated, and none are made."""
    moved = np.stack(
        [
            ndimage.shift(view, (-down, -across), order=1, mode="nearest")
            for view, across, down in zip(scan.counts, motion.across, motion.down, strict=True)
        ]
    )
    return replace(scan, counts=np.maximum(moved, 0))


def _centroids(counts: Counts, axis: int) -> NDArray[np.float64]:
    places = np.arange(counts.shape[axis])
    totals = counts.sum(axis=3 - axis, dtype=np.float64)
    return np.asarray((totals * places).sum(axis=1) / np.maximum(totals.sum(axis=1), 1e-9))


def _design(angles_deg: NDArray[np.float64], harmonics: int = 1) -> NDArray[np.float64]:
    turn = np.deg2rad(angles_deg)
    waves = [f(number * turn) for number in range(1, harmonics + 1) for f in (np.cos, np.sin)]
    return np.stack((np.ones_like(turn), *waves), axis=1)


def _fitted(angles_deg: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.lstsq(_design(angles_deg), values, rcond=None)[0])


def _robust(design: NDArray[np.float64], values: NDArray[np.float64], rounds: int = 10) -> NDArray[np.float64]:
    """Fit by least absolute deviations, so that views that moved do not bend the curve they are measured against."""
    weight = np.ones(len(values))
    found: NDArray[np.float64] = np.zeros(design.shape[1])
    for _ in range(rounds):
        found = np.asarray(np.linalg.lstsq(design * weight[:, None], values * weight, rcond=None)[0], np.float64)
        weight = 1 / np.sqrt(np.maximum(np.abs(values - design @ found), 0.02))
    return np.asarray(found)


# -- scatter ---------------------------------------------------------------------------------------------------------


def triple_energy_window(
    main_kev: float, lower: Counts, lower_kev: float, upper: Counts | None, upper_kev: float
) -> Counts:
    """Return the scatter expected in the main window (Ogawa 1991): S = (C_l/W_l + C_u/W_u) W_m / 2.

    Widths are in keV. Without an upper window its counts are taken as 0, as for Tc-99m.

    Raises
    ------
    Unusable
        A width is missing, or the windows have different sizes.
    """
    if not (main_kev > 0 and lower_kev > 0) or (upper is not None and not upper_kev > 0):
        raise Unusable("the width of an energy window is missing")
    if upper is not None and upper.shape != lower.shape:
        raise Unusable("the energy windows have images of different sizes")
    density = lower / np.float32(lower_kev)
    if upper is not None:
        density = density + upper / np.float32(upper_kev)
    return np.asarray(density * np.float32(main_kev / 2))


def with_scatter(scan: Projections, scatter: Counts, smooth_bins: float = 2.0) -> Projections:
    """Attach an estimate of scatter, smoothed, for the denominator of iterative reconstruction."""
    if scatter.shape != scan.counts.shape:
        raise Unusable("scatter does not fit the projections")
    return replace(scan, scatter=ndimage.gaussian_filter(scatter, (0, smooth_bins, smooth_bins)).astype(np.float32))


def without_scatter(scan: Projections) -> Projections:
    """Subtract scatter, for back-projection alone, which has no other way; never below zero."""
    if scan.scatter is None:
        return scan
    return replace(scan, counts=np.maximum(scan.counts - scan.scatter, 0), scatter=None)
