"""What a camera hands over: counts in the order of the standard, and what each frame means.

The axes are those of PS3.3 C.8.4.8 (Table C.8-9); the last one varies fastest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["STATIC", "WHOLE BODY", "DYNAMIC", "GATED", "TOMO", "GATED TOMO", "PET", "CT"]
View = Literal["ANT", "POST", "LAO", "RAO", "LPO", "RPO", "LLAT", "RLAT"]


@dataclass(frozen=True, slots=True)
class Phase:
    """One part of a dynamic study: so many frames of the same length."""

    frames: int
    frame_ms: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class Orbit:
    """One rotation of the detectors; degrees as PS3.3 C.8.4.11 counts them, `views` per detector.

    An orbit that follows the body has `radii_mm`, one for each view, detector after detector; `radius_mm` is the first.
    """

    views: int
    start_deg: float
    step_deg: float
    radius_mm: float
    clockwise: bool = True
    detector_starts_deg: tuple[float, ...] = ()
    radii_mm: tuple[float, ...] = ()

    def angles_deg(self) -> list[float]:
        """Return the angle of every view, detector after detector."""
        step = -self.step_deg if self.clockwise else self.step_deg
        starts = self.detector_starts_deg or (self.start_deg,)
        return [(start + step * number) % 360 for start in starts for number in range(self.views)]

    def distances_mm(self) -> list[float]:
        """Return how far from the middle the detector is in every view, in the order of `angles_deg`."""
        return list(self.radii_mm) or [self.radius_mm] * (self.views * max(1, len(self.detector_starts_deg)))


@dataclass(frozen=True, slots=True)
class Slice:
    """Where a tomographic slice lies (mm, patient coordinates LPS) and how its stored numbers become values."""

    position_mm: tuple[float, float, float]
    thickness_mm: float
    slope: float = 1.0
    intercept: float = 0.0


@dataclass(frozen=True, slots=True)
class Acquisition:
    """Counts of one image object, (frame, row, column) uint16 (int16 for CT), with what makes them readable.

    Frames are ordered by energy window, then detector, then the kind's own axes: phase and time slice (DYNAMIC), time
    slot (GATED), angular view (TOMO), time slot and angular view (GATED TOMO). `views` names one view per detector.
    `frame_ms` is the actual duration of a frame, or of a view, or of a time slot. `series` tells acquisitions of one
    study apart; those of the same name share a series.
    """

    kind: Kind
    frames: NDArray[np.generic]
    pixel_mm: float
    series: str
    views: tuple[View, ...] = ("ANT",)
    energy_windows: tuple[str, ...] = ("Tc99m",)
    frame_ms: int = 0
    phases: tuple[Phase, ...] = ()
    orbit: Orbit | None = None
    time_slots: int = 1
    beat_ms: int = 0
    slice: Slice | None = None
    body_part: str = ""
    flood: bool = False
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Phantom:
    """A made-up study and the answers it was made from; `truth` is keyed by what is measured."""

    acquisitions: tuple[Acquisition, ...]
    truth: Mapping[str, float] = field(default_factory=dict)
