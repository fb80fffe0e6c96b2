"""Lesions of known size and place."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from scipy import ndimage

from core.imaging import lesion
from core.imaging.coregistration.mutual_information import coregister
from core.imaging.coregistration.rigid import Rigid
from core.imaging.volume import Volume, centred_affine
from tests.phantoms.bodies import body

VOXEL = (3.0, 2.0, 2.0)
MIDDLE = np.array([12.3, -8.7, 5.1])
FWHM = 6.0


@lru_cache
def sphere(radius: float, level: float = 10.0, background: float = 1.0, blur_mm: float = 0.0) -> Volume:
    grid = (48, 64, 64)
    volume = Volume(np.zeros(grid, np.float32), centred_affine(grid, VOXEL), "BQML", "PT")
    offset = [
        ((np.arange(4 * size) + 0.5) / 4 - 0.5 - middle) * step
        for size, step, middle in zip(grid, VOXEL, volume.indices(MIDDLE), strict=True)
    ]
    z, y, x = np.meshgrid(*offset, indexing="ij", sparse=True)
    inside = (z**2 + y**2 + x**2 <= radius**2).reshape(48, 4, 64, 4, 64, 4)
    array = background + (level - background) * inside.mean(axis=(1, 3, 5))
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
    off = np.abs(np.asarray(found.centroid_mm) - MIDDLE)
    assert (off <= np.asarray(VOXEL)[::-1] / 2).all()  # half a voxel along x, y and z
    assert found.volume_ml == pytest.approx(4 / 3 * np.pi * radius**3 / 1000, rel=0.05)
    assert found.longest_mm == pytest.approx(2 * radius, abs=5.0)
    assert found.unit == "BQML"
    assert not found.partial_volume


def test_the_activity_of_a_sphere_is_told_in_the_unit_of_the_image() -> None:
    volume = sphere(15.0)
    found = lesion.measured(volume, lesion.by_level(volume, seed_of(volume), 5.5))
    assert found.mean == pytest.approx(10.0, rel=0.05)
    assert found.total == pytest.approx(found.mean * found.voxels)
    assert found.maximum == 10.0
    assert found.volume_ml * 1000 == pytest.approx(found.voxels * np.prod(VOXEL))


def test_a_lesion_drawn_by_hand_is_measured_where_it_was_drawn() -> None:
    volume = sphere(15.0)
    square = ((20, 30), (20, 40), (30, 40), (30, 30))
    found = lesion.measured(volume, lesion.drawn(volume, {10: square, 11: square}))
    assert found.voxels == 200
    assert found.centroid_mm == pytest.approx(volume.points(np.asarray((10.5, 24.5, 34.5))))
    assert (found.longest_mm, found.across_mm) == pytest.approx((np.sqrt(2 * 20**2 + 6**2),) * 2, abs=0.1)  # corners
    with pytest.raises(lesion.NoLesion, match="is not one"):
        lesion.drawn(volume, {99: square})
    with pytest.raises(lesion.NoLesion, match="slice 3"):
        lesion.drawn(volume, {3: square[:2]})


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


def test_a_lesion_is_found_again_in_the_examination_before_by_coregistration() -> None:
    """The patient lies otherwise, the lesion has become smaller; the images alone tell where it was."""
    grid, size = (48, 56, 56), (6.0,) * 3
    moved = Rigid(np.array([2.0, -3.0, 4.0]), np.array([8.0, -6.0, 5.0]))
    place = np.array([-62.0, 5.0, -78.0])
    now = hot(body(grid, size, "NM", blur=1.0), place, 22.0, 8.0)
    before = hot(body(grid, size, "NM", moved, blur=1.0), moved.apply(place), 16.0, 8.0)
    transform = coregister(now, before).transform
    one = lesion.measured(now, lesion.by_threshold(now, nearest(now, place), 0.5))
    there = nearest(before, transform.apply(np.asarray(one.centroid_mm)))
    other = lesion.measured(before, lesion.by_threshold(before, there, 0.5))
    change = lesion.compared(one, other, transform)
    assert change.moved_mm <= 3
    assert change.volume == pytest.approx((22 / 16) ** 3, rel=0.25)


def hot(volume: Volume, place: np.ndarray, radius: float, level: float) -> Volume:
    axes = np.stack(np.meshgrid(*[np.arange(n) for n in volume.grid], indexing="ij"), axis=-1).astype(float)
    distance = np.linalg.norm(volume.points(axes) - place, axis=-1)
    array = volume.array + level * np.clip((radius - distance) / 6 + 0.5, 0, 1)
    return Volume(array.astype(np.float32), volume.affine, "counts", "NM")


def nearest(volume: Volume, point: np.ndarray) -> tuple[int, int, int]:
    z, y, x = np.rint(volume.indices(point)).astype(int)
    return int(z), int(y), int(x)


def test_a_seed_beside_or_outside_is_told() -> None:
    volume = sphere(10.0)
    with pytest.raises(lesion.NoLesion, match="outside"):
        lesion.by_threshold(volume, (99, 0, 0))
    with pytest.raises(lesion.NoLesion, match="FWHM"):
        lesion.by_edge(volume, seed_of(volume), 0)
    with pytest.raises(lesion.NoLesion, match="nothing is above"):
        lesion.by_level(volume, (0, 0, 0), 5)
    with pytest.raises(lesion.NoLesion, match="empty"):
        lesion.measured(volume, np.zeros(volume.grid, bool))
