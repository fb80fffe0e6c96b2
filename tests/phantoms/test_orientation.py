"""The heart's axis is found, and slices across and along it are cut as they are read."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from core.imaging.orientation import (
    HeartAxis,
    Unfound,
    heart_axis,
    horizontal_long_axis,
    short_axis,
    vertical_long_axis,
)
from core.imaging.volume import Volume, centred_affine
from tests.phantoms.hearts import BOWEL, GRID, VOXEL_MM, Blob, Ventricle, heart

USUAL = Ventricle()


@lru_cache(maxsize=1)
def usual() -> tuple[Volume, HeartAxis]:
    volume = heart(USUAL)
    return volume, heart_axis(volume)


def off_by(found: HeartAxis, true: Ventricle) -> tuple[float, float, float]:
    """Degrees, and millimetres at apex and base."""
    turned = float(np.rad2deg(np.arccos(min(1.0, float(found.direction @ true.direction)))))
    return (
        turned, float(np.linalg.norm(found.apex_mm - true.apex)), float(np.linalg.norm(found.base_mm - true.base))
    )  # fmt: skip


@pytest.mark.parametrize(
    ("true", "defect_deg", "blobs"),
    [
        (Ventricle(axis=(0.8, -0.55, -0.15)), None, ()),
        (Ventricle(axis=(0.45, -0.45, -0.75)), None, ()),
        (Ventricle(apex_mm=38, radius_mm=23, base_mm=15), None, ()),
        (Ventricle(apex_mm=72, radius_mm=45, base_mm=26), None, ()),
        (USUAL, 0.0, ()),
        (USUAL, 180.0, (BOWEL,)),
    ],
    ids=["level", "steep", "small", "wide", "anterior", "inferior and bowel"],
)
def test_the_long_axis_is_found(true: Ventricle, defect_deg: float | None, blobs: tuple[Blob, ...]) -> None:
    found = heart_axis(heart(true, defect_deg, blobs))
    turned, apex, base = off_by(found, true)
    assert turned <= 5
    assert apex <= VOXEL_MM
    assert base <= VOXEL_MM
    assert found.radius_mm == pytest.approx(true.radius_mm, abs=VOXEL_MM / 2)


def test_an_image_without_a_heart_is_told() -> None:
    nothing = Volume(np.zeros(GRID, np.float32), centred_affine(GRID, (VOXEL_MM,) * 3))
    with pytest.raises(Unfound, match="empty"):
        heart_axis(nothing)
    grain = np.random.default_rng(0).poisson(20, GRID).astype(np.float32)
    with pytest.raises(Unfound, match="by hand"):
        heart_axis(Volume(grain, nothing.affine))


def test_the_axis_is_found_in_few_counts_as_well() -> None:
    turned, apex, base = off_by(heart_axis(heart(USUAL, 180.0, (BOWEL,), counts=8)), USUAL)
    assert turned <= 6
    assert max(apex, base) <= 1.5 * VOXEL_MM


def test_slices_of_a_patient_stored_in_another_direction_are_the_same() -> None:
    """The grid is turned by 90 and by 20 degrees; the patient is not."""
    volume, axis = heart(USUAL, counts=0), HeartAxis(USUAL.base, USUAL.apex, USUAL.radius_mm)
    usually = short_axis(volume, axis)
    for turn in (
        Rotation.from_euler("x", 90, degrees=True),
        Rotation.from_euler("zyx", (20, -15, 10), degrees=True),
    ):
        affine = volume.affine.copy()
        affine[:3, :3] = turn.as_matrix() @ affine[:3, :3]
        affine[:3, 3] = turn.as_matrix() @ (affine[:3, 3] - volume.centre()) + volume.centre()
        other = heart(USUAL, counts=0, affine=affine)
        found = heart_axis(other)
        turned, apex, base = off_by(found, USUAL)
        assert turned <= 3
        assert max(apex, base) <= 3
        same, inside = short_axis(other, axis).array, usually.array > 0.3 * usually.array.max()
        assert np.abs(same - usually.array)[inside].mean() < 0.03 * usually.array.max()


def test_a_grid_turned_by_a_quarter_gives_the_very_same_axis() -> None:
    volume, axis = usual()
    affine = volume.affine.copy()
    affine[:3, :3] = volume.affine[:3, :3] @ np.asarray(((0.0, 1, 0), (-1, 0, 0), (0, 0, 1))).T
    turned = Volume(np.rot90(volume.array, axes=(1, 2)).copy(), affine)
    probe = np.asarray((10, 20, 30))
    place = np.asarray((10, GRID[2] - 1 - 30, 20))
    affine[:3, 3] += volume.points(probe) - turned.points(place)
    assert turned.array[tuple(place)] == volume.array[tuple(probe)]
    found = heart_axis(turned)
    assert found.direction @ axis.direction == pytest.approx(1, abs=1e-4)
    assert found.apex_mm == pytest.approx(axis.apex_mm, abs=0.3)
    cut, usually = short_axis(turned, axis), short_axis(volume, axis)
    assert np.abs(cut.array - usually.array).max() < 1e-3 * usually.array.max()


def test_short_axis_slices_run_from_apex_to_base_with_the_anterior_wall_on_top() -> None:
    volume, _ = usual()
    true = HeartAxis(USUAL.base, USUAL.apex, USUAL.radius_mm)
    cut = short_axis(volume, true)
    assert cut.voxel_mm == pytest.approx((VOXEL_MM,) * 3)
    assert cut.frame_of_reference == volume.frame_of_reference
    apex, base = (cut.indices(point) for point in (USUAL.apex, USUAL.base))
    assert apex[0] < base[0]
    assert apex[1:] == pytest.approx(base[1:], abs=1e-6)
    anterior = cut.indices(np.asarray(USUAL.middle) + true.anterior * 30)
    lateral = cut.indices(np.asarray(USUAL.middle) + true.lateral * 30)
    middle = cut.indices(np.asarray(USUAL.middle))
    assert anterior - middle == pytest.approx((0, -30 / VOXEL_MM, 0), abs=1e-6)
    assert lateral - middle == pytest.approx((0, 0, 30 / VOXEL_MM), abs=1e-6)
    assert true.lateral[0] > 0  # to the patient's left
    assert true.lateral[1] > 0  # and back
    assert true.anterior[2] > 0.5


def test_long_axis_slices_show_the_apex_on_the_right_and_on_top() -> None:
    volume, _ = usual()
    true = HeartAxis(USUAL.base, USUAL.apex, USUAL.radius_mm)
    vertical, horizontal = vertical_long_axis(volume, true, 3.2), horizontal_long_axis(volume, true, 3.2)
    length = true.length_mm / 3.2
    across = vertical.indices(USUAL.apex) - vertical.indices(USUAL.base)
    assert across == pytest.approx((0, 0, length), abs=1e-6)
    up = horizontal.indices(USUAL.apex) - horizontal.indices(USUAL.base)
    assert up == pytest.approx((0, -length, 0), abs=1e-6)
    head = np.asarray(USUAL.middle) + true.anterior * 10
    assert (vertical.indices(head) - vertical.indices(np.asarray(USUAL.middle)))[1] < 0
    for cut in (vertical, horizontal, short_axis(volume, true)):
        assert np.linalg.det(cut.affine[:3, :3]) > 0  # slices follow row and column by the right hand


def test_all_moments_of_a_beat_are_cut_alike() -> None:
    volume, axis = usual()
    beat = Volume(np.stack([volume.array, volume.array * 2]), volume.affine, moments=("1", "2"))
    cut = short_axis(beat, axis)
    assert cut.array.shape[0] == 2
    assert cut.moments == ("1", "2")
    assert np.allclose(cut.array[1], 2 * cut.array[0])


def test_an_axis_is_moved_by_hand() -> None:
    _, axis = usual()
    moved = axis.moved((0, 0, 0), (0, 0, 5))
    assert moved.apex_mm - axis.apex_mm == pytest.approx((0, 0, 5))
    assert moved.certainty == 1
    with pytest.raises(Unfound, match="one point"):
        HeartAxis(np.zeros(3), np.zeros(3), 30)
