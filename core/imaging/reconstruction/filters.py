"""The filters of back-projection: a band-limited ramp times a window, cut off where one says.

A cut-off is a fraction of the Nyquist frequency 1/(2 pixel); `cut_off_per_cm` says the same in cycles/cm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Response: TypeAlias = NDArray[np.float64]


class Window(StrEnum):
    """What the ramp is multiplied by."""

    RAMP = auto()
    SHEPP_LOGAN = auto()
    HANN = auto()
    HAMMING = auto()
    PARZEN = auto()
    COSINE = auto()
    BUTTERWORTH = auto()
    METZ = auto()


@dataclass(frozen=True, slots=True)
class Filter:
    """A window and its numbers.

    Attributes
    ----------
    cut_off
        Fraction of Nyquist; for Butterworth the frequency where its square has fallen to one half.
    order
        Butterworth n in 1/sqrt(1+(f/fc)^2n). Vendors who print a "power" p mean p = 2n.
    metz_power
        X in [1-(1-MTF^2)^X]/MTF.
    fwhm_mm
        Of the Gaussian MTF that Metz restores.
    """

    window: Window = Window.HANN
    cut_off: float = 1.0
    order: float = 5.0
    metz_power: float = 3.0
    fwhm_mm: float = 10.0

    def __post_init__(self) -> None:
        """Refuse numbers that make no filter."""
        if not 0 < self.cut_off <= 2:  # noqa: PLR2004 - beyond it nothing changes
            raise ValueError(
                f"a cut-off of {self.cut_off:g} Nyquist makes no filter: give a fraction above 0, at most 2"
            )
        if not self.order > 0 or not self.metz_power > 0 or not self.fwhm_mm > 0:
            raise ValueError("order, power and width of a filter are greater than 0")

    def cut_off_per_cm(self, pixel_mm: float) -> float:
        """Return the cut-off in cycles/cm."""
        return self.cut_off * 5.0 / pixel_mm

    def says(self, pixel_mm: float) -> str:
        """Describe the filter with its cut-off in both units."""
        name = self.window.replace("_", "-")
        if self.window is Window.RAMP:
            return name
        more = {Window.BUTTERWORTH: f", order {self.order:g} (power {2 * self.order:g})"}.get(self.window, "")
        if self.window is Window.METZ:
            more = f", power {self.metz_power:g}, {self.fwhm_mm:g} mm"
        return f"{name} {self.cut_off:g} Nyquist ({self.cut_off_per_cm(pixel_mm):.2f} cycles/cm){more}"

    def window_at(self, nyquists: Response, pixel_mm: float) -> Response:
        """Return the window at frequencies given as fractions of Nyquist, in any shape."""
        relative = np.abs(nyquists) / self.cut_off
        if self.window is Window.BUTTERWORTH:
            return np.asarray(1 / np.sqrt(1 + relative ** (2 * self.order)))
        if self.window is Window.METZ:
            return self._metz(np.abs(nyquists), pixel_mm) * (relative <= 1)
        return _BOUNDED[self.window](relative) * (relative <= 1)

    def _metz(self, nyquists: Response, pixel_mm: float) -> Response:
        """[1-(1-MTF^2)^X]/MTF (King 1988) of a Gaussian MTF; where nothing is left of it, nothing is restored."""
        per_mm = nyquists / (2 * pixel_mm)
        sigma = self.fwhm_mm / np.sqrt(8 * np.log(2))
        mtf = np.maximum(np.exp(-2 * (np.pi * sigma * per_mm) ** 2), 1e-6)
        return np.asarray((1 - (1 - mtf**2) ** self.metz_power) / mtf)


def _parzen(r: Response) -> Response:
    return np.where(r <= 0.5, 1 - 6 * r**2 * (1 - r), 2 * (1 - np.minimum(r, 1)) ** 3)  # noqa: PLR2004 - half the cut-off


_BOUNDED: dict[Window, Callable[[Response], Response]] = {
    Window.RAMP: np.ones_like,
    Window.SHEPP_LOGAN: lambda r: np.sinc(r / 2),
    Window.HANN: lambda r: (1 + np.cos(np.pi * r)) / 2,
    Window.HAMMING: lambda r: 0.54 + 0.46 * np.cos(np.pi * r),
    Window.COSINE: lambda r: np.cos(np.pi * r / 2),
    Window.PARZEN: _parzen,
}


def padded(bins: int) -> int:
    """Return the length projections are padded to: a power of two, at least twice their own, so that nothing wraps."""
    return 1 << max(6, int(2 * bins - 1).bit_length())


def ramp(length: int) -> Response:
    """Return the transform of the ramp built in space (Kak & Slaney 1988, eq. 3.61): its mean stays right.

    h[0] = 1/4, odd -1/(pi k)^2, even 0, in units of 1/pixel^2; (length // 2 + 1,).
    """
    k = np.minimum(np.arange(length), length - np.arange(length))
    h = np.zeros(length)
    h[0] = 0.25
    odd = k % 2 == 1
    h[odd] = -1 / (np.pi * k[odd]) ** 2
    return np.asarray(np.fft.rfft(h).real)


def response(chosen: Filter, bins: int, pixel_mm: float) -> Response:
    """Return ramp times window at the frequencies of `rfft` over `padded(bins)`."""
    length = padded(bins)
    nyquists = np.asarray(np.fft.rfftfreq(length) * 2, np.float64)
    return np.asarray(ramp(length) * chosen.window_at(nyquists, pixel_mm))
