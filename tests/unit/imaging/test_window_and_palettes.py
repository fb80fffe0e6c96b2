"""What is black and what is white, and in which colours."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom.data import get_palette_files

from core.imaging.palettes import CHOICES, PALETTES, indices_of
from core.imaging.window import Window, automatic

STANDARD = {
    "hot_iron": "hotiron.dcm",
    "pet": "pet.dcm",
    "hot_metal_blue": "hotmetalblue.dcm",
    "pet_20_step": "pet20step.dcm",
}


def test_centre_and_width_are_those_of_the_standard() -> None:
    window = Window.centred(2048, 4096)
    assert (window.lower, window.upper) == (0.0, 4095.0)
    assert (window.centre, window.width) == (2048, 4096)


def test_values_outside_the_window_take_its_ends() -> None:
    levels = Window(10, 20).levels(np.array([-5.0, 10, 15, 20, 99, np.nan]))
    assert levels.tolist() == [0, 0, 128, 255, 255, 0]


def test_a_window_without_width_is_a_threshold() -> None:
    assert Window(3, 3).levels(np.array([2, 3, 4])).tolist() == [0, 0, 255]


def test_counts_are_shown_from_zero() -> None:
    counts = np.array([[0, 3], [7, 100]])
    assert automatic(counts, "maximum") == Window(0, 100)
    assert automatic(counts).lower == 0


def test_a_long_study_has_the_window_of_its_frames() -> None:
    counts = np.random.default_rng(1).poisson(50, (60, 128, 128))
    assert automatic(counts).upper == pytest.approx(automatic(counts[:1]).upper, abs=2)


def test_one_hot_pixel_does_not_darken_the_rest() -> None:
    counts = np.random.default_rng(1).poisson(50, (128, 128))
    counts[5, 5] = 60_000
    assert automatic(counts).upper < 100


def test_a_picture_mostly_empty_is_scaled_by_what_is_there() -> None:
    counts = np.zeros((256, 256))
    counts[100:110, 100:110] = 40
    assert automatic(counts) == Window(0, 40)


def test_ct_begins_at_its_own_lower_end() -> None:
    units = np.linspace(-1000, 1000, 10_000).reshape(100, 100)
    window = automatic(units)
    assert window.lower < -900
    assert window.upper > 900


@pytest.mark.parametrize("values", [np.zeros((4, 4)), np.full((4, 4), np.nan), np.full((4, 4), -3.0), np.zeros((0, 0))])
def test_an_empty_picture_has_a_window_all_the_same(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
    window = automatic(values)
    assert window.upper > window.lower


@pytest.mark.parametrize("name", STANDARD)
def test_well_known_palettes_are_those_of_the_standard(name: str) -> None:
    path = next(path for path in map(str, get_palette_files()) if path.endswith(f"/{STANDARD[name]}"))
    dataset = pydicom.dcmread(path, force=True)
    standard = [
        np.frombuffer(dataset[f"{c}PaletteColorLookupTableData"].value, np.uint8) for c in ("Red", "Green", "Blue")
    ]
    difference = np.abs(PALETTES[name].astype(int) - np.stack(standard, axis=1))
    assert difference.max() <= (0 if name in {"hot_iron", "pet_20_step"} else 4)


def test_every_palette_has_256_colours_and_none_can_be_changed() -> None:
    assert {"gray", "inverted_gray", "hot_iron", "rainbow"} <= set(CHOICES)
    for table in PALETTES.values():
        assert table.shape == (256, 3)
        with pytest.raises(ValueError, match="read-only"):
            table[0, 0] = 1


def test_colours_are_reduced_to_near_ones() -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [10, 10, 12], [128, 128, 128], [255, 255, 255]]], np.uint8)
    back = PALETTES["true_colour"][indices_of(colours)].astype(int)
    assert np.abs(back - colours).max() <= 26
    assert np.abs(back[0, 2:] - colours[0, 2:].astype(int)).max() <= 4
