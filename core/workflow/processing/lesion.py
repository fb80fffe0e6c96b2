"""A lesion: outlined from a seed, measured, and compared with what it was at the examination before."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import generate_uid

from core.dicom.objects import read_header
from core.dicom.volumes import segmentation, suv_factor, volume_of
from core.errors import Refused
from core.imaging.coregistration.rigid import Rigid
from core.imaging.lesion import Lesion, NoLesion, by_edge, by_threshold, compared, grown, measured
from core.imaging.volume import Volume
from core.workflow.processing.coregister import coloured
from core.workflow.processing.making import Product, Told, made_of
from core.workflow.processing.order import Order
from core.workflow.processing.pairs import Pair, keep_pictures, keep_slices, laid

Mask = NDArray[np.bool_]


def make(order: Order, told: Told) -> Product:
    """Outline and measure a lesion.

    Raises
    ------
    Refused, ValueError
        Nothing is found where the seed lies.
    """
    if not order.inputs:
        raise Refused("no images to look for a lesion in: name a series")
    product = Product()
    headers = [read_header(path) for path in order.inputs]
    volume = _in_suv(volume_of(order.inputs).summed(), headers[0], product)
    product.warnings += volume.notes
    told(1, 3)
    mask = _region(order, volume, _seed(order, volume))
    found = measured(volume, mask, order.number("fwhm_mm"))
    _tell(product, found)
    _show(product, volume, mask)
    told(2, 3)
    if order.over:
        _compare(order, product, Pair(volume, volume, headers, headers), found)
    made = made_of(order, "; ".join(product.said), headers, f"Region {order.word('label')}")
    label = order.word("label").strip() or "Lesion"
    product.objects.append(segmentation({label[:64]: mask}, volume, headers[0], made, generate_uid))
    return product


def _show(product: Product, volume: Volume, mask: NDArray[np.bool_]) -> None:
    """Keep the image, and the image with its region in colour, both to be looked at where the region is largest."""
    keep_slices(product, "image", "The image", volume)
    tinted = coloured(volume, "gray")
    tinted[mask] = tinted[mask] // 2 + np.array([127, 40, 0], np.uint8)
    keep_pictures(product, "region", "The region", tinted, volume)
    largest = int(mask.sum(axis=(1, 2)).argmax())
    product.steps[-2:] = [replace(step, begin=largest) for step in product.steps[-2:]]


def _in_suv(volume: Volume, header: Dataset, product: Product) -> Volume:
    """Return activity as SUV where the object allows it, else as it is, and say why."""
    if volume.unit != "BQML":
        return volume
    try:
        factor = suv_factor(header, "bw")
    except Refused as missing:
        product.warnings.append(f"values are Bq/ml: {missing.detail}")
        return volume
    return replace(volume, array=volume.array * np.float32(factor), unit="SUVbw")


def _seed(order: Order, volume: Volume) -> tuple[int, int, int]:
    if order.flag("hottest"):
        place = np.unravel_index(int(np.argmax(volume.array)), volume.grid)
        return int(place[0]), int(place[1]), int(place[2])
    return _index(volume, np.asarray([order.number(f"{axis}_mm") for axis in "xyz"]))


def _index(volume: Volume, point: NDArray[np.float64]) -> tuple[int, int, int]:
    slice_, row, column = np.rint(volume.indices(point)).astype(int)
    return int(slice_), int(row), int(column)


def _region(order: Order, volume: Volume, seed: tuple[int, int, int]) -> Mask:
    if order.word("method") == "grow":
        return grown(volume, seed, order.number("tolerance"))
    if order.word("method") == "edge":
        return by_edge(volume, seed, order.number("fwhm_mm"))
    return by_threshold(volume, seed, order.number("fraction"))


def _tell(product: Product, found: Lesion) -> None:
    product.numbers |= _numbers(found)
    product.said.append(f"{found.volume_ml:.2f} ml, longest {found.longest_mm:.1f} mm")
    if found.partial_volume:
        product.warnings.append("the lesion is smaller than three times the resolution: its values are too low")


def _numbers(found: Lesion) -> dict[str, Any]:
    return {name: _rounded(value) for name, value in asdict(found).items()}


def _rounded(value: object) -> object:
    if isinstance(value, tuple):
        return [round(one, 2) for one in value]
    return round(value, 4) if isinstance(value, float) else value


def _compare(order: Order, product: Product, now: Pair, found: Lesion) -> None:
    """Measure the same place of the examination before, and tell what became of it."""
    headers = [read_header(path) for path in order.over]
    before = _in_suv(volume_of(order.over).summed(), headers[0], product)
    pair = Pair(now.fixed, before, now.fixed_headers, headers)
    matrix = laid(order, pair, product)
    to_before = Rigid.from_matrix(matrix, now.fixed.centre())
    keep_slices(product, "before", "The examination before, laid on this one", before.resampled(now.fixed, matrix))
    try:
        seed = _index(before, to_before.apply(np.asarray(found.centroid_mm)))
        former = measured(before, _region(order, before, seed), order.number("fwhm_mm"))
    except NoLesion:
        product.numbers["before"] = None
        product.warnings.append("at the examination before nothing is found at its place")
        return
    change = compared(found, former, to_before)
    product.numbers["before"] = _numbers(former)
    product.numbers["change"] = {name: round(value, 4) for name, value in asdict(change).items()}
    product.said.append(f"volume {change.volume:.2f} times that before, mean {change.mean:.2f} times")
