"""Planes through volumes lie where the patient is, however the camera stored them; the view through turns with him."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from core.imaging.planes import PLANES, PlaneName, Projector, cut, moment_of, plane, sampled
from core.imaging.volume import Volume

GRID = (9, 12, 15)


def told(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """A patient whose every place has a value of its own, and who is linear, so that interpolation is exact."""
    return np.asarray(points @ np.array([1.0, 100.0, 10_000.0]))


def made(directions: NDArray[np.float64], spacing: tuple[float, float, float] = (3.0, 2.0, 5.0)) -> Volume:
    """A volume of that patient whose grid runs along some directions (columns of a matrix)."""
    affine = np.eye(4)
    affine[:3, :3] = directions * spacing
    affine[:3, 3] = (-11.0, 7.0, 23.0)
    empty = Volume(np.zeros(GRID), affine)
    places = np.stack(np.meshgrid(*[np.arange(size) for size in GRID], indexing="ij"), axis=-1).astype(np.float64)
    return Volume(told(empty.points(places)), affine)


def ways() -> list[NDArray[np.float64]]:
    """All 48 ways a grid can lie along the patient."""
    return [
        np.eye(3)[list(order)].T * signs
        for order in itertools.permutations(range(3))
        for signs in itertools.product((1, -1), repeat=3)
    ]


@given(st.sampled_from(ways()), st.sampled_from(PLANES), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_every_pixel_of_a_plane_shows_the_place_it_says(
    way: NDArray[np.float64], name: PlaneName, share: float
) -> None:
    volume = made(way)
    through = cut(volume, name)
    number = share * (through.grid[0] - 1)
    values = plane(volume, through, number)
    assert values.shape == through.grid[1:]
    for row, column in ((0, 0), (values.shape[0] - 1, 2), (3, values.shape[1] - 1)):
        point = through.point_of(row + 0.5, column + 0.5, number)
        assert values[row, column] == pytest.approx(told(point), abs=60)  # within a thousandth of a slice of 5 mm
        assert through.pixel_at(point) == pytest.approx((row + 0.5, column + 0.5))
        assert through.slice_at(point) == pytest.approx(number)


@pytest.mark.parametrize("name", ["axial", "coronal", "sagittal"])
def test_an_oblique_grid_is_cut_along_the_patient(name: PlaneName) -> None:
    volume = made(Rotation.from_euler("xyz", (20, -15, 30), degrees=True).as_matrix())
    through = cut(volume, name)
    number = (through.grid[0] - 1) / 2
    values = plane(volume, through, number)
    middle = (values.shape[0] // 2, values.shape[1] // 2)
    point = through.point_of(middle[0] + 0.5, middle[1] + 0.5, number)
    assert values[middle] == pytest.approx(told(point), rel=1e-4)
    across, down = through.affine[:3, 0], through.affine[:3, 1]
    assert sorted(np.count_nonzero(np.abs(one) > 1e-9) for one in (across, down)) == [1, 1]


def test_planes_are_hung_as_the_department_hangs_them() -> None:
    volume = made(np.eye(3))
    assert cut(volume, "axial").letters == ("R", "L", "A", "P")
    assert cut(volume, "coronal").letters == ("R", "L", "H", "F")
    assert cut(volume, "sagittal").letters == ("A", "P", "H", "F")
    first, last = (cut(volume, "axial").point_of(1, 1, number)[2] for number in (0, GRID[0] - 1))
    assert first > last  # the head comes first


def test_finer_planes_lie_upon_the_coarse_ones() -> None:
    volume = made(np.eye(3))
    coarse = cut(volume, "coronal")
    fine = coarse.finer(3)
    assert fine.grid == (coarse.grid[0], 3 * coarse.grid[1], 3 * coarse.grid[2])
    assert fine.point_of(0, 0, 2) == pytest.approx(coarse.point_of(0, 0, 2))
    assert fine.point_of(6.0, 9.0, 2) == pytest.approx(coarse.point_of(2.0, 3.0, 2))


def test_another_volume_is_sampled_where_a_transform_puts_it() -> None:
    below = made(np.eye(3))
    above = made(Rotation.from_euler("z", 10, degrees=True).as_matrix())
    moved = np.eye(4)
    moved[:3, 3] = (1.0, -2.0, 0.5)
    through = cut(below, "axial")
    values = sampled(above, through, 4.0, moved)
    inside = np.argwhere(np.isfinite(values))
    assert len(inside) > 20
    assert not np.isfinite(values).all()
    for row, column in inside[:: len(inside) // 5]:
        place = through.point_of(row + 0.5, column + 0.5, 4.0) + moved[:3, 3]
        if ((above.indices(place) >= 0) & (above.indices(place) <= np.asarray(GRID) - 1)).all():
            assert values[row, column] == pytest.approx(told(place), rel=1e-3)


def hot(point: tuple[float, float, float]) -> Volume:
    affine = np.diag([4.0, 4.0, -4.0, 1.0])
    affine[:3, 3] = (-62.0, -62.0, 62.0)
    volume = Volume(np.ones((32, 32, 32), np.float32), affine)
    slice_, row, column = np.rint(volume.indices(np.array(point))).astype(int)
    volume.array[slice_, row, column] = 100
    return volume


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0, 135.0, 180.0, 270.0])
def test_what_is_hot_is_seen_where_it_lies_from_every_side(angle: float) -> None:
    point = (30.0, -22.0, 14.0)
    projector = Projector.of(hot(point))
    seen, through = projector.seen(angle), projector.cut(angle)
    row, column = np.unravel_index(int(np.argmax(seen)), seen.shape)
    assert through.pixel_at(np.array(point)) == pytest.approx((row + 0.5, column + 0.5), abs=0.75)
    assert projector.found(angle, row + 0.5, column + 0.5) == pytest.approx(point, abs=4.0)


def test_from_the_front_the_right_side_is_on_the_left_and_from_the_left_the_front_is() -> None:
    projector = Projector.of(hot((-30.0, -30.0, 0.0)))  # right, front
    front, left = projector.seen(0), projector.seen(90)
    assert np.argmax(front.max(axis=0)) < front.shape[1] / 2
    assert np.argmax(left.max(axis=0)) < left.shape[1] / 2
    assert projector.cut(0).letters[:2] == ("R", "L")
    assert projector.cut(90).letters[:2] == ("A", "P")


def test_a_view_through_a_straight_volume_is_its_maximum() -> None:
    volume = Volume(np.random.default_rng(1).random((20, 32, 32), np.float32), np.diag([4.0, 4.0, -4.0, 1.0]))
    projector = Projector.of(volume)
    seen = projector.seen(0)
    aside = (seen.shape[1] - 32) // 2
    assert (seen.shape[1] - 32) % 2 == 0
    np.testing.assert_allclose(seen[:, aside : aside + 32], volume.array.max(axis=1), rtol=0.25)
    np.testing.assert_array_equal(projector.seen(180), seen[:, ::-1])


def test_a_large_volume_is_thinned_and_nothing_hot_is_lost() -> None:
    volume = Volume(np.zeros((30, 400, 400), np.float32), np.diag([1.0, 1.0, -3.0, 1.0]))
    volume.array[7, 333, 91] = 5
    projector = Projector.of(volume)
    assert max(projector.array.shape) <= 192
    seen = projector.seen(0)
    row, column = np.unravel_index(int(np.argmax(seen)), seen.shape)
    assert seen.max() > 2
    assert projector.cut(0).pixel_at(np.array([91.0, 333.0, -21.0])) == pytest.approx((row, column), abs=1.5)


def test_moments_are_added_where_counted_and_averaged_where_measured() -> None:
    counted = Volume(np.ones((4, 2, 3, 3), np.float32), np.eye(4), unit="counts", moments=("1", "2", "3", "4"))
    measured = Volume(counted.array, np.eye(4), unit="BQML", moments=counted.moments)
    assert moment_of(counted, -1).array.max() == 4
    assert moment_of(measured, -1).array.max() == 1
    assert moment_of(counted, 3).array.shape == (2, 3, 3)
    with pytest.raises(ValueError, match="there is no moment 4"):
        moment_of(counted, 4)


def test_a_volume_without_any_number_is_drawn_as_nothing() -> None:
    turned = np.eye(4)
    turned[:3, :3] = Rotation.from_euler("x", 30, degrees=True).as_matrix()
    for affine in (np.eye(4), turned):
        volume = Volume(np.full((4, 5, 6), np.nan, np.float32), affine)
        assert not Projector.of(volume).seen(15).any()
        assert np.isnan(plane(volume, cut(volume, "axial"), 0)).all()


def test_oblique_planes_have_the_values_simpleitk_resamples() -> None:
    sitk: Any = SimpleITK  # it ships no types
    volume = made(Rotation.from_euler("xyz", (25, 10, -40), degrees=True).as_matrix(), (2.0, 3.0, 4.0))
    volume.array[:] = np.random.default_rng(4).random(volume.array.shape)
    through = cut(volume, "sagittal")
    number = through.grid[0] // 2
    ours = plane(volume, through, number)
    affine = volume.affine
    image = sitk.GetImageFromArray(volume.array)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    onto = through.affine[:3, :3]
    theirs = sitk.ResampleImageFilter()
    theirs.SetSize((through.grid[2], through.grid[1], 1))
    theirs.SetOutputSpacing(np.linalg.norm(onto, axis=0).tolist())
    theirs.SetOutputOrigin(through.point_of(0.5, 0.5, number).tolist())
    theirs.SetOutputDirection((onto / np.linalg.norm(onto, axis=0)).ravel().tolist())
    theirs.SetInterpolator(sitk.sitkLinear)
    theirs.SetDefaultPixelValue(float("nan"))
    expected = sitk.GetArrayFromImage(theirs.Execute(image))[0]
    both = np.isfinite(ours) & np.isfinite(expected)
    assert both.sum() > 0.9 * np.isfinite(ours).sum() > 30
    np.testing.assert_allclose(ours[both], expected[both], atol=1e-5)
