"""Lesions of known size and place."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from core.imaging import lesion
from core.imaging.coregistration.rigid import Rigid
from core.imaging.volume import Volume, centred_affine

VOXEL = (3.0, 2.0, 2.0)
MIDDLE = np.array([12.3, -8.7, 5.1])
FWHM = 6.0


def sphere(radius: float, level: float = 10.0, background: float = 1.0, blur_mm: float = 0.0) -> Volume:
    grid = (48, 64, 64)
    volume = Volume(np.zeros(grid, np.float32), centred_affine(grid, VOXEL), "BQML", "PT")
    fine = (np.arange(4) - 1.5) / 4
    array = np.zeros(grid)
    axes = np.stack(np.meshgrid(*[np.arange(n) for n in grid], indexing="ij"), axis=-1).astype(float)
    for dz in fine:
        for dy in fine:
            for dx in fine:
                points = volume.points(axes + np.asarray((dz, dy, dx)))
                array += ((points - MIDDLE) ** 2).sum(axis=-1) <= radius**2
    array = background + (level - background) * array / 64
    if blur_mm:
        array = ndimage.gaussian_filter(array, [blur_mm / 2.3548 / size for size in VOXEL])
    return Volume(array.astype(np.float32), volume.affine, "BQML", "PT")


def seed_of(volume: Volume) -> tuple[int, int, int]:
    z, y, x = np.rint(volume.indices(MIDDLE)).astype(int)
    return int(z), int(y), int(x)


@pytest.mark.parametrize("radius", [9.5, 12.0, 20.0])
def test_a_sphere_is_found_where_it_is_and_as_large_as_it_is(radius: float) -> None:
    volume = sphere(radius, blur_mm=FWHM)
    seed = seed_of(volume)
    found = lesion.measured(volume, lesion.by_edge(volume, seed, FWHM), FWHM)
    assert np.abs(np.asarray(found.centroid_mm) - MIDDLE).max() < 1.5 / 2 + 0.25
    assert found.volume_ml == pytest.approx(4 / 3 * np.pi * radius**3 / 1000, rel=0.05)
    assert found.longest_mm == pytest.approx(2 * radius, abs=5.0)
    assert found.unit == "BQML"
    assert not found.partial_volume


def test_a_lesion_below_three_widths_is_flagged() -> None:
    volume = sphere(6.0, blur_mm=FWHM)
    found = lesion.measured(volume, lesion.by_threshold(volume, seed_of(volume)), FWHM)
    assert found.partial_volume


def test_a_region_grows_to_the_edge_of_what_is_alike() -> None:
    volume = sphere(15.0)
    array = volume.array + np.random.default_rng(0).normal(0, 0.3, volume.array.shape).astype(np.float32)
    grown = lesion.grown(Volume(array, volume.affine), seed_of(volume))
    found = lesion.measured(volume, grown)
    assert 0.75 < found.volume_ml / (4 / 3 * np.pi * 15**3 / 1000) <= 1.05  # half voxels at its edge are not alike


def test_the_hill_beside_is_another_lesion() -> None:
    volume = sphere(10.0)
    other = np.roll(volume.array, 20, axis=2)
    both = Volume(np.maximum(volume.array, other * 0.9), volume.affine)
    one = lesion.measured(both, lesion.by_threshold(both, seed_of(both), 0.5))
    assert one.volume_ml == pytest.approx(4 / 3 * np.pi, rel=0.12)


def test_a_lesion_is_compared_after_coregistration() -> None:
    now, before = sphere(15.0), sphere(10.0)
    transform = Rigid(move_mm=np.array([4.0, 0, 0]))
    measured = [lesion.measured(one, lesion.by_level(one, seed_of(one), 5.5)) for one in (now, before)]
    change = lesion.compared(measured[0], measured[1], transform)
    assert change.moved_mm == pytest.approx(4, abs=0.6)
    assert change.volume == pytest.approx(1.5**3, rel=0.05)


def test_a_seed_beside_or_outside_is_told() -> None:
    volume = sphere(10.0)
    with pytest.raises(lesion.NoLesion, match="outside"):
        lesion.by_threshold(volume, (99, 0, 0))
    with pytest.raises(lesion.NoLesion, match="nothing is above"):
        lesion.by_level(volume, (0, 0, 0), 5)
    with pytest.raises(lesion.NoLesion, match="empty"):
        lesion.measured(volume, np.zeros(volume.grid, bool))
