"""Projections as the reconstruction takes them: counts, angles, and what is known of the camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FEWEST_VIEWS = 8
"""Fewer views than this make no slice worth looking at."""
_WIDEST_GAP_DEG = 10.5
"""A gap between views, opposite ones counted too, that back-projection and the eye bear."""
_SPARSE = 100
"""Counts a view from which on a view without any is no chance: windows beside a photopeak may hold a few alone."""
_FULL_SCALE = (255, 1023, 4095, 16383, 32767, 65535)
"""The largest numbers cameras store: a pixel that reads one of them has stopped counting."""

Counts: TypeAlias = NDArray[np.float32]


class Unusable(ValueError):
    """Projections that cannot be reconstructed; the text says what is missing and is fit for a person."""


@dataclass(frozen=True, eq=False)
class Projections:
    """What a rotating camera counted, one energy window, one time slot.

    Attributes
    ----------
    counts
        (view, row, bin), rows from the head down, bins as the detector faces the patient.
    angles_deg
        (view,) Start Angle as PS3.3 C.8.4.11 counts it: 0 behind the patient, 90 at the left side.
    pixel_mm, slice_mm
        Width of a bin, and distance of rows.
    radius_mm
        (view,) from the middle of rotation to the collimator; empty where the camera does not say.
    centre
        (view,) or one number: the bin on which the middle of rotation falls; the middle of the detector when empty.
    scatter
        Counts of scatter expected in each bin, as `counts`; None where none was estimated.
    view_s
        Duration of one view, in seconds.
    part
        One detector's or object's share, to be `joined` with the others: its arc alone need not suffice.
    """

    counts: Counts
    angles_deg: NDArray[np.float64]
    pixel_mm: float
    slice_mm: float
    radius_mm: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    centre: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    scatter: Counts | None = None
    view_s: float = 0.0
    part: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be reconstructed; nothing is guessed."""
        object.__setattr__(self, "counts", np.ascontiguousarray(self.counts, np.float32))
        object.__setattr__(self, "angles_deg", np.asarray(self.angles_deg, np.float64))
        for complaint in self._complaints():
            raise Unusable(complaint)

    def _complaints(self) -> list[str]:
        counts, views = self.counts, len(self.angles_deg)
        if counts.ndim != 3:  # noqa: PLR2004 - view, row, bin
            return [f"projections are (view, row, bin), not of {counts.ndim} axes"]
        fitting = (0, 1, views)
        checks = (
            (not counts.size, f"projections of {counts.shape[1]} x {counts.shape[2]} pixels and {views} views"),
            (views != len(counts), f"{len(counts)} views but {views} angles: the rotation does not fit the frames"),
            (
                len(counts) < FEWEST_VIEWS and not self.part,
                f"only {len(counts)} views: at least {FEWEST_VIEWS} are needed",
            ),
            (not np.isfinite(self.angles_deg).all(), "an angle is missing: the rotation says no angular step"),
            (not self.pixel_mm > 0 or not self.slice_mm > 0, "the size of a pixel is missing: Pixel Spacing is empty"),
            (not np.isfinite(counts).all(), "counts that are no numbers (NaN or infinite)"),
            (bool((counts < 0).any()), "negative counts: scatter or background was taken away before"),
            (not counts.any(), "no counts at all"),
            (len(self.radius_mm) not in (0, views), "radii do not fit the views: one for each is needed, or none"),
            (np.size(self.centre) not in fitting, "centres of rotation do not fit the views: one, or one for each"),
            (self.scatter is not None and self.scatter.shape != counts.shape, "scatter does not fit the projections"),
        )
        return [said for wrong, said in checks if wrong] or ([] if self.part else self._holes())

    def _holes(self) -> list[str]:
        """Say where no detector looked, from neither side, and whether half of the views saw nothing."""
        ends, widest, step = _gap(self.angles_deg)
        empty = int((~self.counts.any(axis=(1, 2))).sum())
        checks = (
            (self.arc_deg < 170, f"an arc of {self.arc_deg:.0f} degrees: 180 or 360 are needed"),  # noqa: PLR2004 - degrees
            (
                widest > max(_WIDEST_GAP_DEG, 2.5 * step),
                f"no view between {ends[0]:.0f} and {ends[1]:.0f} degrees or opposite; the others are {step:.3g} apart",
            ),
            (
                2 * empty > self.views and self.counts.sum() > _SPARSE * self.views,
                f"{empty} of {self.views} views have no counts",
            ),
        )
        return [said for wrong, said in checks if wrong]

    def oddities(self) -> tuple[str, ...]:
        """Say what is odd and yet can be reconstructed; to be asked of counts as they came from the camera."""
        totals = self.counts.sum(axis=(1, 2), dtype=np.float64)
        usual = np.median(totals)
        poor = [str(number) for number in np.flatnonzero(totals < usual / 2) + 1]
        _, widest, step = _gap(self.angles_deg)
        top = float(self.counts.max())
        saturated = int((self.counts == top).sum()) if top in _FULL_SCALE else 0
        checks = (
            (bool(poor), f"{_few(poor)}: fewer than half the counts of the others"),
            (widest > 1.5 * step, f"views are missing: a gap of {widest:.3g} degrees where they are {step:.3g} apart"),
            (
                saturated > 2,  # noqa: PLR2004 - a rare count may fall on the number by chance
                f"{saturated} pixels read {top:.0f}, the most that can be stored: they are saturated",
            ),
        )
        return tuple(said for wrong, said in checks if wrong)

    @property
    def views(self) -> int:
        """How many views there are."""
        return len(self.counts)

    @property
    def bins(self) -> int:
        """How wide the detector is, in bins."""
        return int(self.counts.shape[2])

    @property
    def rows(self) -> int:
        """How many slices these projections make."""
        return int(self.counts.shape[1])

    @property
    def arc_deg(self) -> float:
        """The arc the views cover, a step beyond the last included: 180 or 360."""
        return _arc(self.angles_deg)

    def in_slices(self) -> Counts:
        """Return the counts as (view, bin, slice), slices contiguous."""
        return np.ascontiguousarray(self.counts.swapaxes(1, 2))

    def centres(self) -> NDArray[np.float64]:
        """Return the bin of the middle of rotation for each view."""
        middle = (self.bins - 1) / 2
        return np.full(self.views, middle) if self.centre.size == 0 else np.broadcast_to(self.centre, (self.views,))

    def of_rows(self, rows: slice) -> Projections:
        """Return some of the slices."""
        scatter = None if self.scatter is None else self.scatter[:, rows]
        return replace(self, counts=self.counts[:, rows], scatter=scatter)


def _arc(angles: NDArray[np.float64]) -> float:
    """Return the arc covered, in degrees: distinct directions times their step, at most 360."""
    turned = np.unique(np.round(np.mod(angles, 360.0), 3))
    if len(turned) < 2:  # noqa: PLR2004 - one direction covers nothing
        return 0.0
    gaps = np.diff(np.append(turned, turned[0] + 360.0))
    step = float(np.median(gaps))
    return min(360.0, 360.0 - float(gaps.max()) + step)


def _gap(angles: NDArray[np.float64]) -> tuple[tuple[float, float], float, float]:
    """Return the widest gap between views, opposite ones alike: its ends, its width, and the usual step, in degrees."""
    turned = np.unique(np.round(np.mod(angles, 180.0), 3))
    gaps = np.diff(np.append(turned, turned[0] + 180.0))
    at = int(np.argmax(gaps))
    start = float(turned[at])
    return (start, start + float(gaps[at])), float(gaps[at]), float(np.median(gaps))


def _few(numbers: Sequence[str], most: int = 6) -> str:
    word = "view" if len(numbers) == 1 else "views"
    return f"{word} {', '.join(numbers[:most])}{f' and {len(numbers) - most} more' if len(numbers) > most else ''}"


def joined(scans: Sequence[Projections]) -> Projections:
    """Return the views of several detectors, rotations or objects as those of one camera.

    Raises
    ------
    Unusable
        There is none, or they differ in matrix or in the size of a pixel, or one has scatter and another none.
    """
    if not scans:
        raise Unusable("there are no projections")
    first = scans[0]
    for number, scan in enumerate(scans[1:], 2):
        _refuse_unlike(first, scan, number)
    radii = [scan.radius_mm for scan in scans]
    scatter = [scan.scatter for scan in scans if scan.scatter is not None]
    return replace(
        first,
        counts=np.concatenate([scan.counts for scan in scans]),
        angles_deg=np.concatenate([scan.angles_deg for scan in scans]),
        radius_mm=np.concatenate(radii) if all(len(one) for one in radii) else np.empty(0),
        centre=np.concatenate([scan.centres() for scan in scans]),
        scatter=np.concatenate(scatter) if scatter else None,
        part=False,
    )


def _refuse_unlike(first: Projections, scan: Projections, number: int) -> None:
    if scan.counts.shape[1:] != first.counts.shape[1:]:
        raise Unusable(
            f"mixed matrices: part 1 has {first.rows} x {first.bins} pixels, part {number} {scan.rows} x {scan.bins}"
        )
    for name, one, other in (
        ("pixels", first.pixel_mm, scan.pixel_mm),
        ("rows", first.slice_mm, scan.slice_mm),
    ):
        if abs(one - other) > 0.001 * one:
            raise Unusable(f"{name} of part 1 are {one:g} mm, those of part {number} {other:g} mm")
    if (scan.scatter is None) != (first.scatter is None):
        raise Unusable(f"part 1 and part {number} do not both have an estimate of scatter")


def angles_of_rotation(start_deg: float, step_deg: float, views: int, *, clockwise: bool) -> NDArray[np.float64]:
    """Return the angle of each view of a detector; seen from the feet they grow counter-clockwise (PS3.3 C.8.4.11)."""
    step = -abs(step_deg) if clockwise else abs(step_deg)
    return np.asarray(np.mod(start_deg + step * np.arange(views), 360.0))
