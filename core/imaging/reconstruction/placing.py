"""Where a reconstructed body lies in the patient, and other volumes brought to where it lies.

A camera's middle of rotation is the origin unless one says where it is: rows run to the patient's back, columns to the
left, slices from the head down.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.imaging.reconstruction import attenuation
from core.imaging.reconstruction.projections import Projections
from core.imaging.volume import Affine, Volume, centred_affine

Body: TypeAlias = NDArray[np.float32]
Point: TypeAlias = tuple[float, float, float]
_FWHM_PER_SIGMA = float(np.sqrt(8 * np.log(2)))


def placed(body: Body, scan: Projections, middle_mm: Point = (0.0, 0.0, 0.0), unit: str = "counts") -> Volume:
    """Return a body (row, column, slice) as a volume whose middle of rotation lies at `middle_mm` (x, y, z)."""
    grid = (body.shape[2], body.shape[0], body.shape[1])
    affine = centred_affine(grid, (scan.slice_mm, scan.pixel_mm, scan.pixel_mm))
    affine[:3, 3] += middle_mm
    return Volume(np.ascontiguousarray(np.moveaxis(body, 2, 0), np.float32), affine, unit, "NM")


def brought(
    volume: Volume, scan: Projections, middle_mm: Point = (0.0, 0.0, 0.0), transform: Affine | None = None
) -> Body:
    """Return a volume's values in the geometry of a scan, (row, column, slice); 0 outside of it.

    Finer voxels are averaged over those of the scan first. `transform` takes the scan's millimetres to the volume's.
    """
    wanted = (scan.slice_mm, scan.pixel_mm, scan.pixel_mm)
    coarser = [
        np.sqrt(max(new**2 - own**2, 0)) / own / _FWHM_PER_SIGMA
        for new, own in zip(wanted, volume.voxel_mm, strict=True)
    ]
    whole = volume.summed()
    smooth = ndimage.gaussian_filter(whole.array.astype(np.float32), coarser, mode="nearest")
    onto = placed(np.zeros((scan.bins, scan.bins, scan.rows), np.float32), scan, middle_mm)
    made = Volume(smooth, whole.affine).resampled(onto, transform).array
    return np.ascontiguousarray(np.moveaxis(made, 0, 2), np.float32)


def map_from_ct(
    ct: Volume,
    scan: Projections,
    water_per_mm: float,
    middle_mm: Point = (0.0, 0.0, 0.0),
    transform: Affine | None = None,
) -> Body:
    """Return the map of attenuation of a CT in Hounsfield units, in the geometry of a scan; air where it ends."""
    mu = attenuation.from_ct(np.asarray(ct.array, np.float32), water_per_mm)
    return brought(Volume(mu, ct.affine), scan, middle_mm, transform)
