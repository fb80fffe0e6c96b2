"""Two images of one patient, and how one lies on the other: as coregistration found it, or as the objects say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from core.dicom.objects import read_header
from core.dicom.volumes import volume_of
from core.dicom.volumes.registration import registered_in
from core.errors import Refused
from core.imaging.volume import Affine, Volume
from core.workflow.processing.making import Product, Step
from core.workflow.processing.order import Order

_LARGEST_SIDE = 256  # of what is only looked at


@dataclass(frozen=True, eq=False, slots=True)
class Pair:
    """The image that stays and the one laid on it, with the headers of their objects."""

    fixed: Volume
    moving: Volume
    fixed_headers: list[Dataset]
    moving_headers: list[Dataset]


def pair_of(order: Order) -> Pair:
    """Read both images; moments are taken together.

    Raises
    ------
    Refused
        There are not two images, or one of them is no volume.
    """
    if not order.inputs or not order.over:
        raise Refused("two images are needed: name the one that stays, and the other in 'over'")
    fixed, moving = (volume_of(paths).summed() for paths in (order.inputs, order.over))
    return Pair(fixed, moving, [*map(read_header, order.inputs)], [*map(read_header, order.over)])


def laid(order: Order, pair: Pair, product: Product) -> Affine:
    """Return the transform from fixed to moving millimetres: the latest registration filed of both, else none.

    `product` is told which; without a registration two images that share no frame of reference are warned of.
    """
    for path in order.registrations:
        found = _between(read_header(path), pair)
        if found is not None:
            product.said.append("laid by the registration that is filed")
            return found
    if not pair.fixed.frame_of_reference or pair.fixed.frame_of_reference != pair.moving.frame_of_reference:
        product.warnings.append(
            "no registration of these images is filed and they share no frame of reference: they are laid by their "
            "positions as the cameras say"
        )
    product.said.append("laid by the positions in the objects")
    return np.eye(4)


def _between(dataset: Dataset, pair: Pair) -> Affine | None:
    fixed, moving = (_matrix(dataset, headers) for headers in (pair.fixed_headers, pair.moving_headers))
    return None if fixed is None or moving is None else np.asarray(np.linalg.inv(moving) @ fixed)


def _matrix(dataset: Dataset, headers: Sequence[Dataset]) -> Affine | None:
    """Return the matrix a registration has for an image, None where it does not speak of it."""
    uids = {str(one.get("SOPInstanceUID", "")) for one in headers}
    for one in registered_in(dataset):
        if one.objects & uids:
            return one.matrix
    return None


def keep_slices(product: Product, name: str, title: str, volume: Volume) -> None:
    """Keep slices to be looked at, thinned to what a screen shows."""
    every = max(1, -(-max(volume.grid[1:]) // _LARGEST_SIDE))
    array = volume.summed().array[:, ::every, ::every]
    step, row, column = volume.voxel_mm
    product.steps.append(Step(name, title, array, "slices", volume.unit, 1, (step, row * every, column * every)))


def keep_pictures(product: Product, name: str, title: str, rgb: NDArray[np.uint8], like: Volume) -> None:
    """Keep coloured slices, (slice, row, column, 3), of a volume's grid."""
    every = max(1, -(-max(rgb.shape[1:3]) // _LARGEST_SIDE))
    step, row, column = like.voxel_mm
    voxel = (step, row * every, column * every)
    product.steps.append(Step(name, title, rgb[:, ::every, ::every], "picture", "", 1, voxel))
