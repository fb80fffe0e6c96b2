"""Smoothing of what was reconstructed, along all three axes alike."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy import ndimage

from core.imaging.reconstruction.filters import Filter

Body: TypeAlias = NDArray[np.float32]
_FWHM_PER_SIGMA = float(np.sqrt(8 * np.log(2)))


def gaussian(body: Body, fwhm_mm: float, voxel_mm: tuple[float, float, float]) -> Body:
    """Smooth by a Gaussian of `fwhm_mm`; `voxel_mm` goes with the axes of the array."""
    if not fwhm_mm > 0:
        return body
    sigma = tuple(fwhm_mm / _FWHM_PER_SIGMA / size for size in voxel_mm)
    return np.asarray(ndimage.gaussian_filter(body, sigma, mode="constant"), np.float32)


def low_pass(body: Body, chosen: Filter, voxel_mm: tuple[float, float, float], threads: int = 2) -> Body:
    """Apply a window of `filters` as a radial low-pass; its cut-off is of the first axis's Nyquist. Nothing wraps."""
    margin = [(size // 4, size // 4) for size in body.shape]
    padded = np.pad(body, margin)
    spectrum = scipy.fft.rfftn(padded, workers=threads)
    axes = [scipy.fft.fftfreq(size, width) for size, width in zip(padded.shape[:2], voxel_mm[:2], strict=True)]
    axes.append(scipy.fft.rfftfreq(padded.shape[2], voxel_mm[2]))
    radius = np.sqrt(axes[0][:, None, None] ** 2 + axes[1][None, :, None] ** 2 + axes[2][None, None, :] ** 2)
    spectrum *= chosen.window_at(radius * 2 * voxel_mm[0], voxel_mm[0])
    smooth = scipy.fft.irfftn(spectrum, padded.shape, workers=threads)
    inside = tuple(slice(before, before + size) for (before, _), size in zip(margin, body.shape, strict=True))
    return np.asarray(smooth[inside], np.float32)
