"""Coregistration: where the other image lies, how sure that is, and a hand that moves it.

What is found goes from the millimetres of the image that stays to those of the other one. A hand moves the picture of
the other image: to the left by 5 mm means that it is seen 5 mm farther to the patient's left.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import generate_uid

from core.dicom.volumes import spatial_registration, written_like
from core.imaging.coregistration.contours import contour, match
from core.imaging.coregistration.mutual_information import Featureless, coregister, likeness_of
from core.imaging.coregistration.rigid import Rigid
from core.imaging.fusion import blended, checkerboard
from core.imaging.palettes import PALETTES
from core.imaging.volume import Affine, Volume
from core.imaging.window import automatic
from core.workflow.processing.making import Product, Told, made_of
from core.workflow.processing.order import Order
from core.workflow.processing.pairs import Pair, keep_pictures, keep_slices, laid, pair_of
from core.workflow.processing.recipes import NUDGES

_AIR_HU = -1000


def make(order: Order, told: Told) -> Product:
    """Lay the other image on the first.

    Raises
    ------
    Refused, ValueError
        The images do not allow it.
    """
    pair, product = pair_of(order), Product()
    product.warnings += [*pair.fixed.notes, *pair.moving.notes]
    told(1, 10)
    base = _found_before(order) if _only_nudged(order) else _found(order, pair, product)
    told(8, 10)
    matrix = base @ np.linalg.inv(_by_hand(order, pair.fixed))
    laid_on = _in_air(pair.moving, pair.fixed, matrix)
    _tell(order, product, pair, base, matrix)
    _show(product, pair, laid_on)
    _file(order, product, pair, matrix, laid_on)
    return product


# -- finding ---------------------------------------------------------------------------------------------------------


def _only_nudged(order: Order) -> bool:
    """Whether nothing but the hand is another than in what this replaces: then nothing is searched for again."""
    before = order.before.get("parameters")
    if not before or "found" not in order.before.get("numbers", {}):
        return False
    return _without_hand(before) == _without_hand(order.parameters)


def _without_hand(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name not in NUDGES}


def _found_before(order: Order) -> Affine:
    return np.asarray(order.before["numbers"]["found"], np.float64)


def _found(order: Order, pair: Pair, product: Product) -> Affine:
    method = order.word("method")
    if method == "mutual_information":
        return _by_information(order, pair, product)
    if method == "contours":
        return _by_contours(order, pair, product)
    if method == "mass":
        product.said.append("both centres of mass on each other")
        return _mass(pair).matrix
    return laid(order, pair, product)


def _mass(pair: Pair) -> Rigid:
    centre = pair.fixed.centre_of_mass()
    return Rigid(move_mm=pair.moving.centre_of_mass() - centre, centre=centre)


def _start(order: Order, pair: Pair, product: Product) -> Rigid | None:
    chosen = order.word("start")
    if chosen == "mass":
        return _mass(pair)
    if chosen == "position":
        return Rigid.from_matrix(laid(order, pair, product), pair.fixed.centre_of_mass())
    return None


def _by_information(order: Order, pair: Pair, product: Product) -> Affine:
    start = _start(order, pair, product)
    found = coregister(pair.fixed, pair.moving, start, check=order.flag("check"))
    product.said.append(f"normalised mutual information {found.information:.4f}, begun from {found.started}")
    product.numbers["started"] = found.started
    if found.inverse_mm is not None:
        product.numbers["there_and_back_mm"] = round(found.inverse_mm, 3)
    return found.transform.matrix


def _by_contours(order: Order, pair: Pair, product: Product) -> Affine:
    fixed, moving = (
        contour(volume, order.number(name) * float(volume.array.max()))
        for volume, name in ((pair.fixed, "level"), (pair.moving, "level_over"))
    )
    found = match(fixed, moving, start=_start(order, pair, product))
    product.said.append(f"surfaces by closest points, {found.distance_mm:.2f} mm apart after {found.rounds} rounds")
    product.numbers["distance_mm"] = round(found.distance_mm, 3)
    return found.transform.matrix


def _by_hand(order: Order, fixed: Volume) -> Affine:
    """Return how a hand moves the picture of the other image, about the middle of the first."""
    turn = np.asarray([order.number(f"nudge_turn_{axis}_deg") for axis in "xyz"])
    move = np.asarray([order.number(f"nudge_{axis}_mm") for axis in "xyz"])
    return Rigid(turn, move, fixed.centre()).matrix


# -- telling and showing ---------------------------------------------------------------------------------------------


def _tell(order: Order, product: Product, pair: Pair, base: Affine, matrix: Affine) -> None:
    centre = pair.fixed.centre()
    rigid = Rigid.from_matrix(matrix, centre)
    moved = any(order.number(name) for name in NUDGES)
    kept = order.before.get("numbers", {}) if _only_nudged(order) else {}
    product.numbers = {
        **{name: kept[name] for name in ("started", "there_and_back_mm") if name in kept and not moved},
        **product.numbers,
        "found": _listed(base), "transform": _listed(matrix),
        "turn_deg": [round(float(one), 2) for one in rigid.turn_deg],
        "move_mm": [round(float(one), 2) for one in rigid.move_mm],
        "overlap": round(_overlap(pair, matrix), 3),
    }  # fmt: skip
    with contextlib.suppress(Featureless):  # laid by position or by hand it may be the same everywhere
        information, _ = likeness_of(pair.fixed, pair.moving, rigid)
        product.numbers["mutual_information"] = round(information, 4)
    if moved:
        product.said.append("moved by hand")


def _in_air(moving: Volume, fixed: Volume, matrix: Affine) -> Volume:
    """Resample; where a CT does not reach there is air, not water."""
    air = np.float32(_AIR_HU if moving.unit == "HU" else 0)
    laid_on = replace(moving, array=moving.array - air).resampled(fixed, matrix)
    return replace(laid_on, array=laid_on.array + air)


def _listed(matrix: Affine) -> list[list[float]]:
    return [[float(one) for one in row] for row in matrix]


def _overlap(pair: Pair, matrix: Affine) -> float:
    """Return the part of what the first image shows that the other one covers."""
    ones = Volume(np.ones(pair.moving.grid, np.float32), pair.moving.affine)
    covered = ones.resampled(pair.fixed, matrix, order=0).array > 0
    content = pair.fixed.array > automatic(pair.fixed.array).upper * 0.05
    return float((covered & content).sum() / max(int(content.sum()), 1))


def _show(product: Product, pair: Pair, laid_on: Volume) -> None:
    """Keep both, before and after, and the two ways of seeing them together."""
    keep_slices(product, "fixed", "The image that stays", pair.fixed)
    keep_slices(product, "before", "The other image as it came", _in_air(pair.moving, pair.fixed, np.eye(4)))
    keep_slices(product, "after", "The other image laid on the first", laid_on)
    first, other = coloured(pair.fixed, "gray"), coloured(laid_on, "hot_iron")
    squares = np.stack([checkerboard(a, b) for a, b in zip(first, other, strict=True)])
    keep_pictures(product, "checkerboard", "Squares of both", squares, pair.fixed)
    keep_pictures(product, "blend", "Both at once", blended(first, other, 0.5), pair.fixed)


def coloured(volume: Volume, palette: str) -> NDArray[np.uint8]:
    """Return slices in the colours of a palette, (slice, row, column, 3).

    Raises
    ------
    ValueError
        There is no such palette.
    """
    if palette not in PALETTES:
        raise ValueError(f"there is no palette '{palette}': choose one of {', '.join(PALETTES)}")
    painted: NDArray[np.uint8] = PALETTES[palette][automatic(volume.array).levels(volume.array)]
    return painted


# -- filing ----------------------------------------------------------------------------------------------------------


def _file(order: Order, product: Product, pair: Pair, matrix: Affine, laid_on: Volume) -> None:
    said = "; ".join(product.said) or "coregistration"
    both = [*pair.fixed_headers, *pair.moving_headers]
    made = made_of(order, said, both, "Coregistration")
    product.objects.append(spatial_registration(matrix, pair.fixed_headers, pair.moving_headers, made, generate_uid))
    if not order.flag("resample"):
        return
    named = str(pair.moving_headers[0].get("SeriesDescription", "") or "")
    resampled = made_of(order, f"RESAMPLED, {said}", both, f"Coregistered {named}".strip(), 1)
    product.objects += written_like(laid_on, pair.moving_headers[0], resampled, generate_uid)
