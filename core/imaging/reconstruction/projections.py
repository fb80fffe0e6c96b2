"""Projections as the reconstruction takes them: counts, angles, and what is known of the camera."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FEWEST_VIEWS = 8
"""Fewer views than this make no slice worth looking at."""

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
    """

    counts: Counts
    angles_deg: NDArray[np.float64]
    pixel_mm: float
    slice_mm: float
    radius_mm: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    centre: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    scatter: Counts | None = None
    view_s: float = 0.0

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
        checks = (
            (views != len(counts), f"{len(counts)} views but {views} angles: the rotation does not fit the frames"),
            (len(counts) < FEWEST_VIEWS, f"only {len(counts)} views: at least {FEWEST_VIEWS} are needed"),
            (not np.isfinite(self.angles_deg).all(), "an angle is missing: the rotation says no angular step"),
            (not self.pixel_mm > 0 or not self.slice_mm > 0, "the size of a pixel is missing: Pixel Spacing is empty"),
            (not np.isfinite(counts).all(), "counts that are no numbers (NaN or infinite)"),
            (bool((counts < 0).any()), "negative counts: scatter or background was taken away before"),
            (not counts.any(), "no counts at all"),
            (len(self.radius_mm) not in (0, views), "radii do not fit the views: one for each is needed, or none"),
            (self.scatter is not None and self.scatter.shape != counts.shape, "scatter does not fit the projections"),
            (_arc(self.angles_deg) < 170, f"an arc of {_arc(self.angles_deg):.0f} degrees: 180 or 360 are needed"),  # noqa: PLR2004 - degrees
        )
        return [said for wrong, said in checks if wrong]

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


def angles_of_rotation(start_deg: float, step_deg: float, views: int, *, clockwise: bool) -> NDArray[np.float64]:
    """Return the angle of each view of a detector; seen from the feet they grow counter-clockwise (PS3.3 C.8.4.11)."""
    step = -abs(step_deg) if clockwise else abs(step_deg)
    return np.asarray(np.mod(start_deg + step * np.arange(views), 360.0))
