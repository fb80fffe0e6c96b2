"""Bodies in three dimensions, and the projections a camera makes of them.

Volumes are (z, y, x), isotropic voxels; x to the patient's left, y to the back, z to the head (DICOM LPS), in mm from
the middle. A detector at angle a (0 behind the patient, 90 at the left side: Start Angle, PS3.3 C.8.4.11) looks at the
middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

Volume = NDArray[np.float32]
Point3 = tuple[float, float, float]

WATER_PER_MM = 0.012


@dataclass(slots=True)
class Body:
    """A field of (slices, size, size) voxels around (0, 0, 0); `torso` holds the half axes of the outline in mm."""

    slices: int
    size: int
    voxel_mm: float
    torso: tuple[float, float]
    activity: Volume = field(init=False)

    def __post_init__(self) -> None:
        """Start with nothing in the field."""
        self.activity = np.zeros((self.slices, self.size, self.size), np.float32)

    def coordinates(self) -> tuple[Volume, Volume, Volume]:
        """Give z, y and x of the voxels' middles, in mm, ready to broadcast."""
        z = (np.arange(self.slices, dtype=np.float32) - (self.slices - 1) / 2) * self.voxel_mm
        across = (np.arange(self.size, dtype=np.float32) - (self.size - 1) / 2) * self.voxel_mm
        return z[:, None, None], across[None, :, None], across[None, None, :]

    def outline(self) -> Volume:
        """The torso's cross-section, 1 inside, with an edge one voxel soft."""
        _, y, x = self.coordinates()
        return soft(np.hypot(x / self.torso[0], y / self.torso[1]), min(self.torso) / self.voxel_mm)

    def ellipsoid(self, middle: Point3, radii: Point3, tilt_deg: float = 0.0) -> Volume:
        """A solid ellipsoid (x, y, z order in both arguments), 1 inside; tilted in the frontal plane."""
        z, y, x = self.coordinates()
        turn = np.deg2rad(tilt_deg)
        dx, dy, dz = x - middle[0], y - middle[1], z - middle[2]
        across, along = dx * np.cos(turn) + dz * np.sin(turn), -dx * np.sin(turn) + dz * np.cos(turn)
        distance = np.sqrt((across / radii[0]) ** 2 + (dy / radii[1]) ** 2 + (along / radii[2]) ** 2)
        return soft(distance, min(radii) / self.voxel_mm)


def soft(distance: Volume, voxels: float) -> Volume:
    """Turn a relative distance (1 at the surface) into 0..1 with an edge one voxel wide; `voxels` is the radius."""
    return np.asarray(np.clip((1 - distance) * voxels + 0.5, 0, 1), np.float32)


def projections(
    volumes: Sequence[Volume],
    voxel_mm: float,
    angles_deg: Sequence[float],
    torso: tuple[float, float],
    attenuation_per_mm: float = WATER_PER_MM,
) -> NDArray[np.float32]:
    """Project volumes of one geometry from each angle: (volume, view, row, column), head up.

    Parallel rays; attenuation is uniform within the elliptic torso, to its edge on the detector's side.
    """
    slices, size, _ = volumes[0].shape
    inside = np.any([volume.any(axis=0) for volume in volumes], axis=0)
    rows, columns = np.nonzero(inside)
    y, x = ((places - (size - 1) / 2) * voxel_mm for places in (rows, columns))
    voxels = np.ascontiguousarray(np.concatenate([volume[::-1, rows, columns] for volume in volumes]).T)
    views = np.empty((len(volumes) * slices, len(angles_deg), size), np.float32)
    for view, angle in enumerate(np.deg2rad(angles_deg)):
        across = (-x * np.cos(angle) + y * np.sin(angle)) / voxel_mm + (size - 1) / 2
        seen = np.exp(-attenuation_per_mm * depth_under_skin(x, y, float(angle), torso))
        views[:, view] = (falling(across, seen, size) @ voxels).T
    return views.reshape(len(volumes), slices, len(angles_deg), size).swapaxes(1, 2)


def falling(
    across: NDArray[np.float64], seen: NDArray[np.float64], size: int, slabs: NDArray[np.intp] | None = None
) -> scipy.sparse.csr_matrix[np.float32]:
    """Return the matrix of points onto the two bins beside them, slab by slab where there are any: (bin, point)."""
    left = np.floor(across).astype(np.intp)
    bins = np.concatenate((left, left + 1))
    weights = np.concatenate((1 - (across - left), across - left)) * np.tile(seen, 2)
    kept = (bins >= 0) & (bins < size)
    places = bins if slabs is None else np.tile(slabs, 2) * size + bins
    points = np.tile(np.arange(len(across)), 2)
    shape = (size if slabs is None else (int(slabs.max()) + 1) * size, len(across))
    made = scipy.sparse.coo_matrix((weights[kept].astype(np.float32), (places[kept], points[kept])), shape=shape)
    return made.tocsr()


def depth_under_skin(
    x: NDArray[np.float64], y: NDArray[np.float64], angle: float, torso: tuple[float, float]
) -> NDArray[np.float64]:
    """How far a point lies under the skin towards a detector at `angle` (radians), in mm."""
    dx, dy = np.sin(angle), np.cos(angle)
    a = (dx / torso[0]) ** 2 + (dy / torso[1]) ** 2
    b = x * dx / torso[0] ** 2 + y * dy / torso[1] ** 2
    c = (x / torso[0]) ** 2 + (y / torso[1]) ** 2 - 1
    return np.clip((-b + np.sqrt(np.clip(b * b - a * c, 0, None))) / a, 0, None)
