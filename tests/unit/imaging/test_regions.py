"""A region holds what it is drawn around, to the pixel, in the units of the camera; judged by scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import draw

from core.imaging.regions import Kind, NoRegion, curve_of, held_by, mask_of

VALUES = np.random.default_rng(5).poisson(40, (30, 40)).astype(np.float32)


def test_a_rectangle_holds_the_pixels_whose_middles_lie_inside() -> None:
    held = held_by(VALUES, "rectangle", [[12.0, 20.0], [4.0, 5.0]], (2.0, 3.0))
    inside = VALUES[4:12, 5:20]
    assert held.pixels == 8 * 15
    assert held.area_mm2 == 8 * 15 * 6
    assert held.total == inside.sum()
    assert (held.mean, held.maximum, held.minimum) == pytest.approx((inside.mean(), inside.max(), inside.min()))
    assert held.sd == pytest.approx(inside.std(ddof=1))
    assert held.maximum_at is not None
    row, column = (int(place) for place in held.maximum_at)
    assert VALUES[row, column] == inside.max()
    assert mask_of("rectangle", [[4.4, 5.6], [5.4, 7.6]], (30, 40)).sum() == 1 * 2


def test_an_ellipse_is_the_one_scikit_image_draws() -> None:
    mine = mask_of("ellipse", [[5.0, 8.0], [21.0, 30.0]], (30, 40))
    rows, columns = draw.ellipse(12.5, 18.5, 8.0, 11.0, (30, 40))  # type: ignore[no-untyped-call]
    theirs = np.zeros((30, 40), bool)
    theirs[rows, columns] = True
    assert np.count_nonzero(mine ^ theirs) <= 4  # they leave out what lies on the edge
    assert mine.sum() == pytest.approx(np.pi * 8 * 11, rel=0.02)


@pytest.mark.parametrize("seed", range(8))
def test_a_freehand_outline_is_the_one_scikit_image_fills(seed: int) -> None:
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 25))
    radius = rng.uniform(4, 14, 25)
    points = np.stack([15 + radius * np.sin(angles), 20 + radius * np.cos(angles)], axis=1)
    theirs = draw.polygon2mask((30, 40), points - 0.5)  # type: ignore[no-untyped-call]
    assert np.count_nonzero(mask_of("polygon", points.tolist(), (30, 40)) ^ theirs) <= 1


def test_a_line_tells_its_length_and_the_values_along_it() -> None:
    ramp = np.arange(40, dtype=np.float64)[None, :].repeat(30, axis=0)
    held = held_by(ramp, "line", [[10.5, 5.5], [10.5, 25.5]], (4.0, 2.5))
    assert held.length_mm == pytest.approx(50.0)
    assert held.profile == pytest.approx(np.arange(5, 26))
    slanted = held_by(ramp, "line", [[0.5, 0.5], [3.5, 4.5], [3.5, 10.5]], (1.0, 1.0))
    assert slanted.length_mm == pytest.approx(5.0 + 6.0)
    assert held_by(ramp, "line", [[0.5, 0.5], [3.5, 4.5]]).length_mm is None


def test_a_region_over_the_edge_is_measured_inside_and_says_so() -> None:
    held = held_by(VALUES, "rectangle", [[-5.0, -5.0], [2.0, 2.0]])
    assert held.pixels == 4
    assert any("outside" in note for note in held.notes)


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        ("rectangle", [[1.0, 1.0]]),
        ("rectangle", [[1.6, 1.6], [1.9, 1.9]]),
        ("rectangle", [[100.0, 100.0], [120.0, 120.0]]),
        ("ellipse", [[3.0, 3.0], [3.0, 9.0]]),
        ("polygon", [[1.0, 1.0], [5.0, 5.0]]),
        ("line", [[2.0, 2.0], [2.0, 2.0]]),
    ],
)
def test_a_region_that_holds_nothing_is_refused_in_words(kind: Kind, points: list[list[float]]) -> None:
    with pytest.raises(NoRegion, match=r"region|line|points"):
        held_by(VALUES, kind, points)


def test_what_is_no_number_is_left_out_and_told() -> None:
    holed = VALUES.copy()
    holed[4, 4] = np.nan
    held = held_by(holed, "rectangle", [[4.0, 4.0], [6.0, 6.0]])
    assert held.total == np.nansum(holed[4:6, 4:6])
    assert "1 of its pixels are no numbers and are left out" in held.notes
    with pytest.raises(NoRegion, match="colour"):
        held_by(np.zeros((4, 4, 3)), "rectangle", [[0.0, 0.0], [2.0, 2.0]])


def test_a_curve_adds_up_each_frame_within_the_region() -> None:
    frames = np.random.default_rng(2).poisson(9, (7, 30, 40)).astype(np.uint16)
    inside = mask_of("ellipse", [[3.0, 6.0], [19.0, 20.0]], (30, 40))
    assert curve_of(frames, inside) == pytest.approx([frame[inside].sum() for frame in frames])
