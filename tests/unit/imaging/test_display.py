"""A picture at the size of the terminal, with its numbers beside it."""

from __future__ import annotations

import base64
import json
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.imaging.display import PictureRequest, half_blocks, render, resampled, travelling
from core.imaging.frames import Frames, stacked
from core.imaging.window import Window


def _ramp(frames: int = 3, rows: int = 64, columns: int = 64) -> Frames:
    array = np.arange(frames * rows * columns, dtype=np.uint16).reshape(frames, rows, columns)
    return Frames(array, (4.0, 4.0), tuple(f"frame {n}" for n in range(frames)))


def test_a_picture_fills_the_cells_it_was_asked_for() -> None:
    picture = render(_ramp(), PictureRequest(25, 80))
    assert picture.indices.shape == (50, 80)
    assert picture.rgb.shape == (50, 80, 3)
    assert half_blocks(picture.rgb).shape == (25, 80, 2, 3)


def test_upper_and_lower_half_of_a_cell_are_the_rows_they_were() -> None:
    rgb = np.arange(4 * 2 * 3, dtype=np.uint8).reshape(4, 2, 3)
    cells = half_blocks(rgb)
    assert (cells[1, 0, 0] == rgb[2, 0]).all()
    assert (cells[1, 0, 1] == rgb[3, 0]).all()


def test_numbers_beside_the_picture_are_those_of_the_frames_shown() -> None:
    frames = _ramp()
    picture = render(frames, PictureRequest(10, 40, frame=1, shown=2, window=Window(0, 12_287)))
    assert picture.frames == (1, 2)
    assert picture.frames_total == 3
    assert (picture.minimum, picture.maximum) == (4096, 12_287)
    assert picture.total == frames.array[1:].sum()
    assert [tile.label for tile in picture.tiles] == ["frame 1", "frame 2"]
    assert picture.tiles[0].total == frames.array[1].sum()


def test_a_whole_body_keeps_its_shape() -> None:
    tile = render(Frames(np.ones((1, 1024, 256)), (2.4, 2.4)), PictureRequest(50, 160)).tiles[0]
    assert (tile.height, tile.width) == (100, 25)
    assert tile.left == (160 - 25) // 2


def test_oblong_pixels_are_shown_as_the_patient_is_shaped() -> None:
    tile = render(Frames(np.ones((1, 64, 64)), (8.0, 4.0)), PictureRequest(32, 200)).tiles[0]
    assert (tile.height, tile.width) == (64, 32)


def test_what_was_hot_is_hot_where_it_was() -> None:
    array = np.zeros((1, 128, 128))
    array[0, 32:36, 96:100] = 100
    picture = render(Frames(array), PictureRequest(32, 64, window=Window(0, 100)))
    row, column = np.unravel_index(picture.indices.argmax(), picture.indices.shape)
    assert (int(row) // 2, int(column) // 2) == (8, 24)


def test_monochrome1_is_shown_the_other_way_round() -> None:
    picture = render(Frames(np.array([[[0, 100]]]), inverted=True), PictureRequest(1, 2, window=Window(0, 100)))
    assert picture.rgb[0, 0].tolist() == [255, 255, 255]
    assert picture.rgb[0, -1].tolist() == [0, 0, 0]


def test_colour_images_stay_in_colour() -> None:
    array = np.zeros((1, 10, 10, 3), np.uint8)
    array[..., 0] = 255
    picture = render(Frames(array), PictureRequest(5, 10))
    assert picture.palette == "true_colour"
    assert picture.rgb[5, 5].tolist() == [255, 0, 0]


def test_ct_is_shown_by_the_window_it_carries_and_counts_by_what_was_counted() -> None:
    array = np.random.default_rng(1).integers(0, 50, (1, 16, 16))
    carried = Window(-160, 240)
    for modality, kept in (("CT", True), ("NM", False)):
        picture = render(Frames(array, modality=modality, window=carried), PictureRequest(8, 16))
        assert (picture.window == carried) is kept


def test_zoom_shows_the_part_around_its_centre() -> None:
    array = np.zeros((1, 64, 64))
    array[0, 48:, 48:] = 9
    picture = render(Frames(array), PictureRequest(8, 16, zoom=4, centre=(1.0, 1.0), window=Window(0, 9)))
    assert (picture.indices == 255).all()


def test_shrinking_keeps_the_mean_and_growing_the_ends() -> None:
    values = np.random.default_rng(1).poisson(20, (96, 64))
    assert resampled(values, 12, 16).mean() == pytest.approx(values.mean(), rel=1e-5)
    grown = resampled(np.array([[0.0, 10.0]]), 1, 8)
    assert (grown.min(), grown.max()) == (0, 10)
    assert (np.diff(grown[0]) >= 0).all()


def test_nearest_neighbour_invents_no_value() -> None:
    values = np.random.default_rng(1).integers(0, 1000, (60, 60))
    assert set(np.unique(resampled(values, 41, 73, "nearest"))) <= set(np.unique(values))


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (PictureRequest(0, 10), "rows and columns"),
        (PictureRequest(10, 9_999), "rows and columns"),
        (PictureRequest(10, 10, palette="purple"), "no palette purple"),
        (PictureRequest(10, 10, frame=3), "no frame 3"),
        (PictureRequest(10, 10, frame=-1), "no frame -1"),
        (PictureRequest(2, 2, shown=5), "do not fit"),
        (PictureRequest(10, 10, zoom=0.5), "zoom"),
    ],
)
def test_a_picture_that_cannot_be_drawn_is_refused_with_its_reason(request_: PictureRequest, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        render(_ramp(), request_)


def test_what_travels_is_small_and_can_be_painted_without_numpy() -> None:
    picture = render(_ramp(), PictureRequest(50, 160, palette="rainbow"))
    sent = json.loads(json.dumps(travelling(picture)))
    pixels, colours = zlib.decompress(base64.b64decode(sent["pixels"])), base64.b64decode(sent["colours"])
    assert len(pixels) == 2 * sent["rows"] * sent["columns"]
    first = pixels[80]
    assert list(colours[3 * first : 3 * first + 3]) == picture.rgb[0, 80].tolist()
    assert len(json.dumps(sent)) < 16_000 + 1_500


def test_slices_of_one_series_make_a_stack_and_others_do_not() -> None:
    stack = stacked([_ramp(1), _ramp(1)])
    assert stack.total == 2
    with pytest.raises(ValueError, match="different sizes"):
        stacked([_ramp(1), _ramp(1, 32)])


@given(
    frames=st.integers(1, 30),
    rows=st.integers(1, 60),
    columns=st.integers(1, 60),
    height=st.integers(1, 40),
    width=st.integers(1, 90),
    spacing=st.floats(0.1, 10),
)
def test_any_frames_fit_into_any_terminal(
    frames: int, rows: int, columns: int, height: int, width: int, spacing: float
) -> None:
    shown = min(frames, height * width)
    picture = render(
        Frames(np.ones((frames, rows, columns)), (spacing, 1.0)), PictureRequest(height, width, shown=shown)
    )
    assert len(picture.tiles) == shown
    for tile in picture.tiles:
        assert tile.top >= 0
        assert tile.left >= 0
        assert tile.top + tile.height <= 2 * height
        assert tile.left + tile.width <= width
