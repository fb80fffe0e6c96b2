"""One image format for all modalities: values on a grid, and where the grid lies in the patient.

Coordinates are DICOM's: millimetres, x to the patient's left, y to the back, z to the head (LPS). Nothing is resampled
unless asked for; the affine says what an index means.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Affine: TypeAlias = NDArray[np.float64]
SplineOrder: TypeAlias = Literal[0, 1, 2, 3]
Points: TypeAlias = NDArray[np.float64]


class Unplaced(ValueError):
    """Slices that make no volume; the text says why and is fit for a person."""


@dataclass(frozen=True, eq=False)
class Volume:
    """Values on a regular grid.

    Attributes
    ----------
    array
        (slice, row, column) of one moment, or (moment, slice, row, column).
    affine
        (4, 4) from (column, row, slice, 1) to patient millimetres.
    unit
        What a value is: counts, BQML, HU, SUVbw; empty where nobody says.
    modality
        NM, PT, CT, MR.
    moments
        What each moment means, one text each, where there are several.
    frame_of_reference
        UID shared by volumes whose millimetres are the same; empty where nobody says.
    sources
        SOP Instance UIDs it was made from.
    notes
        What was odd and how it was taken, for people to read.
    gaps
        Slices, counted from 0, that nobody sent: they are 0 throughout.
    planar
        Projections through the patient: one slice, whose depth means nothing.
    """

    array: NDArray[np.floating]
    affine: Affine
    unit: str = ""
    modality: str = ""
    moments: tuple[str, ...] = ()
    frame_of_reference: str = ""
    sources: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    gaps: tuple[int, ...] = ()
    planar: bool = False

    def __post_init__(self) -> None:
        """Refuse what has no place in a patient."""
        if self.array.ndim not in (3, 4):
            raise Unplaced(f"a volume is (slice, row, column), with moments before it, not of {self.array.ndim} axes")
        if self.affine.shape != (4, 4) or not np.isfinite(self.affine).all():
            raise Unplaced("the position of the volume is not complete")
        if abs(np.linalg.det(self.affine[:3, :3])) < 1e-9:  # noqa: PLR2004 - mm^3: flat
            raise Unplaced("the slices do not span a volume: their positions or directions coincide")

    @property
    def voxel_mm(self) -> tuple[float, float, float]:
        """Size of a voxel along slice, row and column."""
        column, row, step = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(step), float(row), float(column)

    @property
    def grid(self) -> tuple[int, int, int]:
        """Slices, rows, columns."""
        slices, rows, columns = self.array.shape[-3:]
        return slices, rows, columns

    def moment(self, number: int) -> Volume:
        """Return one moment alone."""
        return self if self.array.ndim == 3 else replace(self, array=self.array[number], moments=())  # noqa: PLR2004

    def summed(self) -> Volume:
        """Return all moments together."""
        return self if self.array.ndim == 3 else replace(self, array=self.array.sum(axis=0), moments=())  # noqa: PLR2004

    def points(self, indices: Points) -> Points:
        """Return where (slice, row, column) indices, (..., 3), lie in the patient, (..., 3) as x, y, z."""
        return np.asarray(indices[..., ::-1] @ self.affine[:3, :3].T + self.affine[:3, 3])

    def indices(self, points: Points) -> Points:
        """Return the (slice, row, column) of patient points, not rounded."""
        inverse = np.linalg.inv(self.affine)
        return np.asarray((points @ inverse[:3, :3].T + inverse[:3, 3])[..., ::-1])

    def centre(self) -> Points:
        """Return the middle of the grid."""
        return self.points((np.asarray(self.grid) - 1) / 2)

    def centre_of_mass(self) -> Points:
        """Return the middle of what is in it; of the grid where nothing is."""
        whole = np.maximum(self.summed().array, 0)
        if not whole.any():
            return self.centre()
        return self.points(np.asarray(ndimage.center_of_mass(whole), np.float64))

    def resampled(self, onto: Volume, transform: Affine | None = None, order: SplineOrder = 1) -> Volume:
        """Return this volume's values on another's grid; outside of it they are 0.

        Parameters
        ----------
        onto
            Whose grid is wanted.
        transform
            (4, 4) from `onto`'s patient millimetres to this one's; none where they are the same.
        order
            Of the spline: 0 nearest, 1 linear, 3 cubic.
        """
        to_here = np.linalg.inv(self.affine) @ (np.eye(4) if transform is None else transform) @ onto.affine
        matrix, offset = _reversed(to_here)
        moments = self.array if self.array.ndim == 4 else self.array[None]  # noqa: PLR2004
        made = np.stack(
            [
                ndimage.affine_transform(one.astype(np.float32), matrix, offset, onto.grid, order=order, cval=0.0)
                for one in moments
            ]
        )
        array = made if self.array.ndim == 4 else made[0]  # noqa: PLR2004
        return replace(self, array=array, affine=onto.affine, frame_of_reference=onto.frame_of_reference, gaps=())


def _reversed(affine: Affine) -> tuple[Affine, NDArray[np.float64]]:
    """Turn a matrix on (column, row, slice) into one on (slice, row, column), as arrays are indexed."""
    return affine[:3, :3][::-1, ::-1], affine[:3, 3][::-1]


def affine_of(
    position: tuple[float, float, float],
    row_direction: tuple[float, float, float],
    column_direction: tuple[float, float, float],
    spacing_mm: tuple[float, float],
    step: tuple[float, float, float],
) -> Affine:
    """Return the affine of slices (PS3.3 C.7.6.2.1.1).

    Parameters
    ----------
    position
        Of the first voxel of the first slice.
    row_direction, column_direction
        The first and last three of Image Orientation (Patient): along a row, along a column.
    spacing_mm
        Between rows, between columns, as Pixel Spacing gives them.
    step
        From one slice to the next, in mm.
    """
    affine = np.eye(4)
    affine[:3, 0] = np.asarray(row_direction) * spacing_mm[1]
    affine[:3, 1] = np.asarray(column_direction) * spacing_mm[0]
    affine[:3, 2] = step
    affine[:3, 3] = position
    return affine


def centred_affine(grid: tuple[int, int, int], voxel_mm: tuple[float, float, float]) -> Affine:
    """Return the affine of transverse slices, head first, around the origin: for phantoms and unplaced NM slices."""
    affine = np.diag([voxel_mm[2], voxel_mm[1], -voxel_mm[0], 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.asarray(grid)[::-1] - 1) / 2)
    return affine
