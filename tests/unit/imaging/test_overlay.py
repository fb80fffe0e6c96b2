"""Two images of one place in one picture keep both: mixed, in squares, fused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.imaging.display import Picture, PictureRequest, render, travelling
from core.imaging.frames import Frames
from core.imaging.fusion import blended
from core.imaging.overlay import checkered, fused_levels, mixed
from core.imaging.window import Window

REQUEST = PictureRequest(rows=32, columns=64, window=Window(0, 63), scaling="nearest")


def drawn(array: np.ndarray, palette: str = "gray") -> Picture:
    return render(Frames(array[None].astype(np.float32)), replace(REQUEST, palette=palette))


ACROSS = np.arange(64)[None, :].repeat(64, axis=0)
BELOW, ABOVE = drawn(ACROSS), drawn(ACROSS.T, "hot_iron")


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_mixture_is_the_mixture_of_both_within_its_256_colours(share: float) -> None:
    both = mixed(BELOW, ABOVE, share)
    truth = blended(BELOW.rgb, ABOVE.rgb, share).astype(int)
    assert np.abs(both.rgb.astype(int) - truth).max() <= 26
    assert np.abs(both.rgb.astype(int) - truth).mean() <= 5
    assert travelling(both)["palette"] == "true_colour"
    assert both.colours.shape == (256, 3)


def test_nothing_of_the_upper_one_is_the_lower_one_and_all_of_it_the_upper_one() -> None:
    np.testing.assert_array_equal(mixed(BELOW, ABOVE, 0).rgb, BELOW.rgb)
    np.testing.assert_array_equal(mixed(BELOW, ABOVE, 1).rgb, ABOVE.rgb)


def test_the_colours_of_a_cine_do_not_change_from_frame_to_frame() -> None:
    other = mixed(drawn(ACROSS // 2), drawn(ACROSS.T // 3, "hot_iron"), 0.5)
    np.testing.assert_array_equal(mixed(BELOW, ABOVE, 0.5).colours, other.colours)


def test_squares_of_a_checkerboard_show_one_or_the_other() -> None:
    both = checkered(BELOW, ABOVE, squares=4).rgb.astype(int)
    assert np.abs(both[:16, :16] - BELOW.rgb[:16, :16]).max() <= 4
    assert np.abs(both[:16, 16:32] - ABOVE.rgb[:16, 16:32]).max() <= 8


def test_an_image_fused_with_itself_is_itself() -> None:
    one = np.random.default_rng(1).random((3, 40, 48)).astype(np.float32)
    window = Window(0, 1)
    made = fused_levels(one, one, (window, window))
    np.testing.assert_allclose(made, window.levels(one) / 255, atol=1e-4)


def test_a_fused_image_keeps_the_lesion_of_one_and_the_edge_of_the_other() -> None:
    lesion, edge = np.zeros((1, 64, 64), np.float32), np.zeros((1, 64, 64), np.float32)
    lesion[0, 20:24, 20:24] = 1
    edge[0, :, 40:] = 1
    made = fused_levels(lesion, edge, (Window(0, 1), Window(0, 1)))[0]
    assert made[20:24, 20:24].mean() > made[20:24, 28:32].mean() + 0.3
    assert made[50, 44:60].mean() > made[50, 28:36].mean() + 0.3


def test_planes_of_a_single_row_are_mixed_where_wavelets_have_no_room() -> None:
    one, other = np.ones((1, 1, 40), np.float32), np.zeros((1, 1, 40), np.float32)
    assert fused_levels(one, other, (Window(0, 1), Window(0, 1)), 0.25) == pytest.approx(0.75)
