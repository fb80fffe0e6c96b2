"""Fusion: two images in one picture, by colours laid over each other or by wavelets, filed as Secondary Capture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import generate_uid

from core.dicom.volumes import secondary_capture
from core.imaging.fusion import DetailRule, FusionRule, blended, fused
from core.imaging.planes import cut, plane
from core.imaging.volume import Volume
from core.imaging.window import automatic
from core.workflow.processing.coregister import coloured
from core.workflow.processing.making import Product, Told, made_of
from core.workflow.processing.order import Order
from core.workflow.processing.pairs import Pair, keep_pictures, keep_slices, laid, pair_of


def make(order: Order, told: Told) -> Product:
    """Fuse two images on the grid of the first.

    Raises
    ------
    Refused, ValueError
        The images do not allow it.
    """
    pair, product = pair_of(order), Product()
    product.warnings += [*pair.fixed.notes, *pair.moving.notes]
    other = pair.moving.resampled(pair.fixed, laid(order, pair, product))
    if not other.array.any():
        product.warnings.append("the other image lies elsewhere: nothing of it is seen on the first")
    told(2, 5)
    first, other = _turned(pair.fixed, order), _turned(other, order)
    keep_slices(product, "first", "The first image", first)
    keep_slices(product, "other", "The other image laid on it", other)
    rgb = _by_wavelet(order, first, other, product) if order.word("method") == "wavelet" else _alpha(
        order, first, other, product
    )  # fmt: skip
    told(4, 5)
    keep_pictures(product, "fused", "Both in one", rgb, first)
    _file(order, product, pair, rgb)
    return product


def _turned(volume: Volume, order: Order) -> Volume:
    """Return the slices of the plane asked for."""
    through = cut(volume, order.word("plane"))  # type: ignore[arg-type]  # the recipe's choices are planes
    array = np.stack([plane(volume, through, number) for number in range(through.grid[0])])
    return Volume(array, through.affine, volume.unit, volume.modality, frame_of_reference=volume.frame_of_reference)


def _alpha(order: Order, first: Volume, other: Volume, product: Product) -> NDArray[np.uint8]:
    share = order.number("share")
    product.said.append(f"{share:.0%} of {order.word('over_map')} over {order.word('map')}")
    return blended(coloured(first, order.word("map")), coloured(other, order.word("over_map")), share)


def _by_wavelet(order: Order, first: Volume, other: Volume, product: Product) -> NDArray[np.uint8]:
    rule = FusionRule(
        order.word("wavelet"), int(order.number("levels")), DetailRule(order.word("detail")), 1 - order.number("share")
    )
    product.said.append(f"wavelet {rule.wavelet}, {rule.levels} levels, details by {rule.detail}")
    below, above = (
        automatic(one.array).levels(one.array).astype(np.float32) / np.float32(255) for one in (first, other)
    )
    mixed = fused(below, above, rule, axes=(1, 2))
    gray = Volume(np.clip(mixed, 0, 1) * 255, first.affine)
    return coloured(gray, order.word("map"))


def _file(order: Order, product: Product, pair: Pair, rgb: NDArray[np.uint8]) -> None:
    sources = [*pair.fixed_headers, *pair.moving_headers]
    names = [str(headers[0].get("Modality", "")) for headers in (pair.fixed_headers, pair.moving_headers)]
    made = made_of(order, "fusion: " + "; ".join(product.said), sources, f"Fusion {names[0]} {names[1]}")
    product.objects.append(secondary_capture(rgb, pair.fixed_headers[0], made, generate_uid))
