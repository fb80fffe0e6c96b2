"""A left ventricle whose axis is known, as a SPECT camera's slices show it: an ellipsoid shell, open at its base."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.imaging.volume import Affine, Volume, centred_affine

GRID, VOXEL_MM = (48, 48, 48), 6.4
Blob = tuple[tuple[float, float, float], tuple[float, float, float], float]
"""Middle and half axes (x, y, z) in mm, and uptake where the wall has 1."""

BODY: tuple[Blob, ...] = (
    ((-30, 20, 0), (150, 100, 400), 0.07),
    ((-80, 10, -85), (70, 80, 50), 0.5),  # liver
    ((80, 60, -95), (30, 35, 40), 0.3),  # spleen
)
BOWEL: Blob = ((62, -30, -62), (30, 22, 16), 1.5)


@dataclass(frozen=True)
class Ventricle:
    """Where it lies, in patient millimetres; sizes are of the middle of the wall."""

    middle: tuple[float, float, float] = (35.0, -20.0, 10.0)
    axis: tuple[float, float, float] = (0.62, -0.62, -0.48)
    apex_mm: float = 50.0
    radius_mm: float = 30.0
    base_mm: float = 18.0

    @property
    def direction(self) -> NDArray[np.float64]:
        """From base to apex."""
        return np.asarray(np.asarray(self.axis) / np.linalg.norm(self.axis), np.float64)

    @property
    def apex(self) -> NDArray[np.float64]:
        """Of the middle of the wall."""
        return np.asarray(self.middle + self.direction * self.apex_mm)

    @property
    def base(self) -> NDArray[np.float64]:
        """The middle of the valve plane."""
        return np.asarray(self.middle - self.direction * self.base_mm)

    def wall(self, points: NDArray[np.float64], defect_deg: float | None = None) -> NDArray[np.float64]:
        """Return the uptake at points; a defect has its middle so far from anterior, towards the septum."""
        off = points - self.middle
        along = off @ self.direction
        up = np.asarray((0, 0, 1.0)) - self.direction * self.direction[2]
        up /= np.linalg.norm(up)
        across = np.stack((off @ up, off @ np.cross(self.direction, up)), axis=-1)
        out = np.linalg.norm(across, axis=-1)
        depth = np.hypot(along / self.apex_mm, out / self.radius_mm)
        wall = np.clip(0.5 + (5 - np.abs(depth - 1) * self.radius_mm) / 4, 0, 1) * (along > -self.base_mm)
        if defect_deg is not None:
            angle = np.rad2deg(np.arctan2(across[..., 1], across[..., 0]))
            wall = wall * np.where(np.abs((angle - defect_deg + 180) % 360 - 180) < 45, 0.15, 1)
        return np.asarray(wall)


def heart(
    ventricle: Ventricle,
    defect_deg: float | None = None,
    blobs: Sequence[Blob] = (),
    counts: float = 40,
    affine: Affine | None = None,
) -> Volume:
    """Return transverse slices of a chest, blurred by 13 mm; `counts` of a voxel of the wall, none is noiseless."""
    affine = centred_affine(GRID, (VOXEL_MM,) * 3) if affine is None else affine
    volume = Volume(np.zeros(GRID, np.float32), affine, "counts", "NM", frame_of_reference="2.25.1")
    points = volume.points(np.stack(np.meshgrid(*[np.arange(n) for n in GRID], indexing="ij"), axis=-1).astype(float))
    array = ventricle.wall(points, defect_deg)
    for middle, half, level in (*BODY, *blobs):
        array += level * (np.linalg.norm((points - middle) / half, axis=-1) < 1)
    array = ndimage.gaussian_filter(array, 12 / 2.3548 / VOXEL_MM) * (counts or 1.0)
    if counts:
        array = ndimage.gaussian_filter(np.random.default_rng(1).poisson(array).astype(float), 0.6)
    return Volume(array.astype(np.float32), affine, "counts", "NM", frame_of_reference="2.25.1")
