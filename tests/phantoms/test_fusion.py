"""Fusion keeps what either image shows."""

from __future__ import annotations

import numpy as np
import pytest

from core.imaging.fusion import DetailRule, FusionRule, blended, checkerboard, fused


def image(seed: int = 0, shape: tuple[int, ...] = (16, 48, 40)) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, np.float32)


@pytest.mark.parametrize("wavelet", ["haar", "db2", "sym4", "bior2.2"])
@pytest.mark.parametrize("detail", list(DetailRule))
def test_an_image_fused_with_itself_is_itself(wavelet: str, detail: DetailRule) -> None:
    one = image(shape=(32, 64, 48))
    rule = FusionRule(wavelet, 2, detail)
    assert np.abs(fused(one, one.copy(), rule) - one).max() < 1e-5


def test_odd_sizes_and_single_slices_are_fused() -> None:
    one = image(shape=(5, 37, 41))
    assert np.abs(fused(one, one.copy(), FusionRule("haar", 2), axes=(1, 2)) - one).max() < 1e-5


def test_a_lesion_of_one_image_keeps_its_peak() -> None:
    z, y, x = np.meshgrid(*[np.arange(n) - n / 2 for n in (32, 64, 64)], indexing="ij")
    ct = (np.hypot(y, x) < 25).astype(np.float32) * 0.5
    pet = np.exp(-((z**2 + (y - 8) ** 2 + x**2) / (2 * 2.0**2))).astype(np.float32)
    both = fused(ct, pet)
    assert both[16, 40, 32] - both[16, 20, 32] >= 0.8 * (pet.max() - pet[16, 20, 32]) * 0.5 + 0.3
    assert both[16, 40, 32] >= 0.8 * pet.max()


def test_grids_that_differ_and_levels_too_deep_are_refused() -> None:
    with pytest.raises(ValueError, match="different grids"):
        fused(image(), image(shape=(8, 48, 40)))
    with pytest.raises(ValueError, match="too many"):
        fused(image(), image(1), FusionRule("db2", 6))
    with pytest.raises(ValueError, match="no discrete wavelet"):
        FusionRule("morlet")


def test_squares_alternate_and_mixing_stays_between() -> None:
    one, other = np.zeros((8, 8), np.uint8), np.full((8, 8), 200, np.uint8)
    board = checkerboard(one, other, 4)
    assert board[0, 0] == 0
    assert board[0, 2] == 200
    assert board[2, 0] == 200
    assert blended(np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 200, np.uint8), 0.25)[0, 0, 0] == 50


@pytest.mark.parametrize("wavelet", ["haar", "db2", "sym4"])
def test_what_is_taken_apart_is_put_together_again(wavelet: str) -> None:
    """Beside an empty image every detail is the other's: nothing but taking apart and putting together is left."""
    one = image(shape=(32, 64, 48))
    assert np.abs(fused(one, np.zeros_like(one), FusionRule(wavelet, 2, weight=1.0)) - one).max() < 1e-6
