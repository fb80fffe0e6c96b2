"""Write and read where one image lies on another: Spatial Registration (PS3.3 A.39.1, C.20.2).

In the object a matrix takes an image's millimetres to those of the fixed image; in `core.imaging` a transform takes
the fixed image's millimetres to the moving one's, as resampling needs it. They are each other's inverse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import SpatialRegistrationStorage

from core.dicom.elements import item, items, numbers, text
from core.dicom.volumes.made import Made, UidMaker, begun, code, decimals, reference, space_of
from core.errors import Refused
from core.imaging.volume import Affine

_RIGID = 1e-4
_STILL = 1e-9


def spatial_registration(
    transform: Affine, fixed: Sequence[Dataset], moving: Sequence[Dataset], made: Made, new_uid: UidMaker
) -> Dataset:
    """Return a Spatial Registration object.

    Parameters
    ----------
    transform
        (4, 4) from the fixed image's patient millimetres to the moving one's, as `Volume.resampled` takes it.
    fixed, moving
        Headers of the objects of each image; patient and study are those of the first fixed one.

    Raises
    ------
    Refused
        An image has no objects, or the transform does not end in 0 0 0 1 or cannot be undone.
    """
    if not fixed or not moving:
        raise Refused("a registration needs objects of both images")
    if transform.shape != (4, 4) or not np.allclose(transform[3], (0, 0, 0, 1)) or not np.isfinite(transform).all():
        raise Refused("the transform is no (4, 4) matrix on millimetres")
    out = begun(SpatialRegistrationStorage, fixed[0], made, new_uid, "REG")
    out.ContentLabel, out.ContentDescription = "COREGISTRATION", made.said[:64]
    out.ContentCreatorName = ""
    out.FrameOfReferenceUID = space_of(fixed[0])
    out.PositionReferenceIndicator = ""
    out.RegistrationSequence = [
        _registered(fixed, np.eye(4), made),
        _registered(moving, np.asarray(np.linalg.inv(transform), np.float64), made),
    ]
    out.ReferencedSeriesSequence = _series([one for one in (*fixed, *moving) if _same_study(one, out)])
    if others := [one for one in moving if not _same_study(one, out)]:
        out.StudiesContainingOtherReferencedInstancesSequence = _studies(others)
    return out


@dataclass(frozen=True, eq=False, slots=True)
class Registered:
    """One image of a registration: `matrix`, (4, 4), takes its millimetres to those all images of it share.

    `objects` are the SOP Instance UIDs named, `frame_of_reference` is empty where none is.
    """

    matrix: Affine
    objects: frozenset[str]
    frame_of_reference: str


def registered_in(dataset: Dataset) -> list[Registered]:
    """Return the images a Spatial Registration speaks of.

    Raises
    ------
    Refused
        A matrix is not complete, or cannot be undone.
    """
    return [
        Registered(
            _matrix(one),
            frozenset(text(image, "ReferencedSOPInstanceUID") for image in items(one, "ReferencedImageSequence")),
            text(one, "FrameOfReferenceUID"),
        )
        for one in items(dataset, "RegistrationSequence")
    ]


def transform_of(dataset: Dataset) -> Affine:
    """Return the transform a registration of two images holds, (4, 4) from the fixed image's millimetres to the moving.

    The fixed image is the one that is not moved; where none is, the one in the object's own frame of reference.

    Raises
    ------
    Refused
        It is no Spatial Registration, or registers more images than two, or each of two by a matrix of its own.
    """
    found = registered_in(dataset)
    moved = [one for one in found if not np.allclose(one.matrix, np.eye(4), atol=_STILL)]
    if not found:
        raise Refused("the object registers no image: it is no Spatial Registration")
    if len(moved) > 1:
        own = text(dataset, "FrameOfReferenceUID")
        moved = [one for one in moved if one.frame_of_reference != own]
    if len(moved) > 1 or len(found) > 2:  # noqa: PLR2004 - fixed and moving
        raise Refused("the object moves more than one image: which of them is meant is not known")
    return np.asarray(np.linalg.inv(moved[0].matrix if moved else np.eye(4)))


def _matrix(registered: Dataset) -> Affine:
    """Return the product of an image's matrices, the first applied first (PS3.3 C.20.2.1.1)."""
    whole: Affine = np.eye(4)
    for step in items(item(registered, "MatrixRegistrationSequence"), "MatrixSequence"):
        values = numbers(step, "FrameOfReferenceTransformationMatrix")
        if len(values) != 16:  # noqa: PLR2004 - 4 x 4
            raise Refused("the object's matrix is not complete: it is not used")
        whole = np.reshape(values, (4, 4)) @ whole
    if abs(np.linalg.det(whole[:3, :3])) < _STILL:
        raise Refused("the object's matrix cannot be undone: it is not used")
    return whole


def _registered(headers: Sequence[Dataset], matrix: Affine, made: Made) -> Dataset:
    step = Dataset()
    turn = matrix[:3, :3]
    step.FrameOfReferenceTransformationMatrixType = (
        "RIGID" if np.allclose(turn @ turn.T, np.eye(3), atol=_RIGID) else "AFFINE"
    )
    step.FrameOfReferenceTransformationMatrix = decimals(matrix.ravel())
    steps = Dataset()
    steps.FrameOfReferenceTransformationComment = made.said[:64]
    steps.RegistrationTypeCodeSequence = [code(codes.DCM.ImageContentBasedAlignment)]
    steps.MatrixSequence = [step]
    out = Dataset()
    if uid := text(headers[0], "FrameOfReferenceUID"):
        out.FrameOfReferenceUID = uid
    out.ReferencedImageSequence = [reference(text(one, "SOPClassUID"), text(one, "SOPInstanceUID")) for one in headers]
    out.MatrixRegistrationSequence = [steps]
    return out


def _same_study(header: Dataset, out: Dataset) -> bool:
    return text(header, "StudyInstanceUID") == text(out, "StudyInstanceUID")


def _series(headers: Sequence[Dataset]) -> list[Dataset]:
    """Return references to objects by their series (PS3.3 C.12.2)."""
    out = []
    for uid in dict.fromkeys(text(one, "SeriesInstanceUID") for one in headers):
        series = Dataset()
        series.SeriesInstanceUID = uid
        own = [one for one in headers if text(one, "SeriesInstanceUID") == uid]
        series.ReferencedInstanceSequence = [
            reference(text(one, "SOPClassUID"), text(one, "SOPInstanceUID")) for one in own
        ]
        out.append(series)
    return out


def _studies(headers: Sequence[Dataset]) -> list[Dataset]:
    out = []
    for uid in dict.fromkeys(text(one, "StudyInstanceUID") for one in headers):
        study = Dataset()
        study.StudyInstanceUID = uid
        study.ReferencedSeriesSequence = _series([one for one in headers if text(one, "StudyInstanceUID") == uid])
        out.append(study)
    return out
