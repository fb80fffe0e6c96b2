"""What the tests of volumes share: objects as cameras send them, files of them, and a judge of geometry."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813 - its own short name
from numpy.typing import NDArray
from pydicom import Dataset

from core.dicom.compose import Camera, Ordered, compose
from core.dicom.tracers import TRACERS
from core.dicom.volumes import Made
from core.imaging.acquisition import Acquisition, Slice
from core.imaging.volume import Volume

SimpleITK: Any = sitk  # some of its calls have types, others have none
AT = datetime(2026, 10, 12, 9, 30, tzinfo=UTC)
PATIENT = Ordered("P1", "Zhang^Wei=张^伟", "19610304", "M", accession="A1", weight_kg=70, size_m=1.75)


def uid_maker(root: str = "1.2.826.0.1.3680043.10.1511.9") -> Callable[[], str]:
    numbers = itertools.count(1)
    return lambda: f"{root}.{next(numbers)}"


def objects_of(acquisitions: Sequence[Acquisition], tracer: str = "MIBI") -> list[Any]:
    return compose(acquisitions, PATIENT, Camera("CAM1"), TRACERS[tracer], uid=uid_maker(), clock=lambda: AT)


def made(method: str = "OSEM", inputs: Sequence[Dataset] = (), **parameters: float | str) -> Made:
    named = tuple((str(one.SOPClassUID), str(one.SOPInstanceUID)) for one in inputs)
    return Made(method, parameters, named, "0.1.0", AT, "1.2.826.0.1.3680043.10.1511.8.1", 901, "左心室 OSEM")


def ct_series(
    values: NDArray[np.int16], *, pixel_mm: float = 2.0, step_mm: float = 3.0, pet: bool = False
) -> list[Any]:
    """Return transverse slices, the feet first, of (slice, row, column) values."""
    stored = values.astype(np.uint16 if pet else np.int16)
    return objects_of(
        [
            Acquisition(
                "PET" if pet else "CT",
                one[None],
                pixel_mm,
                "Slices",
                slice=Slice((-10.0, -20.0, 5.0 + step_mm * number), step_mm),
            )
            for number, one in enumerate(stored)
        ],
        "FDG",
    )


def written(folder: Path, objects: Sequence[Dataset]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:04}.dcm" for number in range(len(objects))]
    for path, one in zip(paths, objects, strict=True):
        one.save_as(path, enforce_file_format=True)
    return paths


def itk(paths: Sequence[Path]) -> Any:  # noqa: ANN401 - SimpleITK's image
    """Let SimpleITK, by its GDCM, read files as one image, single slices in its own order of their places."""
    if len(paths) == 1:
        return SimpleITK.ReadImage(str(paths[0]))
    named = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(paths[0].parent))
    return SimpleITK.ReadImage(named)


def itk_affine(image: Any) -> NDArray[np.float64]:  # noqa: ANN401 - as above
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return affine


def apart_from(image: Any, volume: Volume) -> tuple[float, float]:  # noqa: ANN401 - as above
    """Return how far our voxels lie from SimpleITK's, mm, and how far their values differ at the most."""
    theirs = SimpleITK.GetArrayFromImage(image).astype(np.float64)
    indices = np.moveaxis(np.indices(volume.grid), 0, -1).reshape(-1, 3).astype(float)
    points = volume.points(indices)
    inverse = np.linalg.inv(itk_affine(image))
    there = (points @ inverse[:3, :3].T + inverse[:3, 3])[:, ::-1]
    nearest = np.rint(there).astype(int)
    off = np.linalg.norm((there - nearest) * np.asarray(image.GetSpacing())[::-1], axis=1).max()
    values = theirs[tuple(nearest.T)].reshape(volume.grid)
    return float(off), float(np.abs(values - volume.summed().array).max())
