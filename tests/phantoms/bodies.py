"""A body that two modalities see differently: the same ellipsoids, other brightness, another grid, moved."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.imaging.coregistration.rigid import Rigid
from core.imaging.volume import Volume, centred_affine

# middle (x, y, z) mm, half axes mm, brightness in CT and in SPECT; what overlaps adds up
ELLIPSOIDS = (
    ((0, 0, 0), (150, 100, 170), 1.0, 0.2), ((-60, -10, 40), (45, 60, 90), -0.7, 0.05),
    ((60, -10, 40), (45, 60, 90), -0.7, 0.05), ((20, -30, 10), (35, 30, 40), 0.1, 1.0),
    ((-60, 0, -80), (60, 50, 50), 0.05, 0.6), ((0, 70, 0), (18, 18, 160), 0.8, 0.3),
    ((70, 30, -90), (25, 30, 35), 0.05, 0.5),
)  # fmt: skip


@lru_cache(maxsize=1)
def _organs() -> tuple[tuple[NDArray[np.float64], NDArray[np.float64], float, float], ...]:
    chance = np.random.default_rng(5)
    small = [
        (
            chance.uniform([-110, -70, -120], [110, 70, 120]), chance.uniform(8, 20, 3),
            float(chance.uniform(0.1, 0.5)), float(chance.uniform(0.1, 1.2)),
        )
        for _ in range(12)
    ]  # fmt: skip
    return tuple((np.asarray(a, float), np.asarray(b, float), c, d) for a, b, c, d in (*ELLIPSOIDS, *small))


def body(
    grid: tuple[int, int, int], voxel_mm: tuple[float, float, float], modality: str, moved: Rigid | None = None,
    blur: float = 0.0,
) -> Volume:  # fmt: skip
    """Return the body as CT or NM see it; `moved` takes its own millimetres to where it lies on this grid."""
    volume = Volume(np.zeros(grid, np.float32), centred_affine(grid, voxel_mm), modality=modality)
    own = (moved.inverse().matrix if moved else np.eye(4)) @ volume.affine
    columns, rows, slices = (np.arange(size, dtype=np.float32) for size in grid[::-1])
    x, y, z = (
        (a * columns + b * rows[:, None] + c * slices[:, None, None] + d).astype(np.float32)
        for a, b, c, d in own[:3].astype(np.float32)
    )
    values = np.zeros(grid, np.float32)
    for middle, half, ct, nm in _organs():
        one, two, three = (
            (axis - np.float32(m)) / np.float32(h) for axis, m, h in zip((x, y, z), middle, half, strict=True)
        )
        distance = np.sqrt(one * one + two * two + three * three)
        values += np.float32(ct if modality == "CT" else nm) * np.clip(
            (1 - distance) * np.float32(half.min() / voxel_mm[0]) + np.float32(0.5), 0, 1
        )
    array = np.maximum(values, 0)
    return Volume(ndimage.gaussian_filter(array, blur) if blur else array, volume.affine, modality=modality)


def noisy(volume: Volume, counts: float, seed: int = 0) -> Volume:
    """Return the volume as a camera counts it."""
    array = np.random.default_rng(seed).poisson(volume.array * counts).astype(np.float32)
    return Volume(array, volume.affine, "counts", volume.modality)
