"""Coregistration, against a body moved by a known transform."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from scipy import ndimage

from core.imaging.coregistration import contours, interpolation
from core.imaging.coregistration.mutual_information import Featureless, _Likeness, coregister, halved
from core.imaging.coregistration.rigid import Rigid, apart_mm
from core.imaging.volume import Unplaced, Volume, centred_affine
from tests.phantoms.bodies import body, noisy

SPECT_MM = 6.0
TRUE = Rigid(np.array([3.0, -5.0, 4.0]), np.array([6.0, -4.0, 8.0]))
TARGETS = np.random.default_rng(2).uniform(-80, 80, (200, 3))


@lru_cache(maxsize=1)
def pair() -> tuple[Volume, Volume]:
    """SPECT of 64^3 with noise, and CT of 128 x 128 x 96, moved."""
    spect = noisy(body((64, 64, 64), (SPECT_MM,) * 3, "NM", blur=1.1), 40)
    ct = body((96, 128, 128), (4.0, 3.2, 3.2), "CT", TRUE)
    grain = np.random.default_rng(1).normal(0, 0.02, ct.array.shape).astype(np.float32)
    return spect, Volume(ct.array + grain, ct.affine, "HU", "CT")


def started(seed: int, degrees: float, millimetres: float) -> Rigid:
    """A start away from the truth by so much, in a direction of chance."""
    chance = np.random.default_rng(seed)
    axis, way = (vector / np.linalg.norm(vector) for vector in chance.normal(size=(2, 3)))
    return Rigid(TRUE.turn_deg + axis * degrees, TRUE.move_mm + way * millimetres)


@pytest.mark.parametrize(("seed", "degrees", "millimetres"), [(0, 12, 17), (3, 20, 30)])
def test_starts_near_and_far_end_in_one_place(seed: int, degrees: float, millimetres: float) -> None:
    """Twenty of each are in tests/bench/coregistration.py."""
    spect, ct = pair()
    found = coregister(spect, ct, started(seed, degrees, millimetres)).transform
    assert apart_mm(found, TRUE, TARGETS).mean() <= 0.6


def test_there_and_back_ends_where_it_began() -> None:
    spect, ct = pair()
    found = coregister(spect, ct, started(4, 10, 15), check=True)
    assert found.inverse_mm is not None
    assert found.inverse_mm <= 0.1


def test_the_examination_before_on_the_very_same_grid_is_found() -> None:
    """Grids that fall on each other look alike wherever they do: the start is the worst place."""
    now = noisy(body((64, 64, 64), (SPECT_MM,) * 3, "NM", blur=1.1), 40)
    moved = Rigid(np.array([0.0, 0, 2.0]), np.array([2.0, -1.5, 1.0]))
    before = noisy(body((64, 64, 64), (SPECT_MM,) * 3, "NM", moved, blur=1.1), 40, seed=1)
    assert apart_mm(coregister(now, before).transform, moved, TARGETS).mean() <= 0.3


def test_reading_between_voxels_is_the_same_with_and_without_numba() -> None:
    """Where numba is absent its code runs uncompiled."""
    chance = np.random.default_rng(0)
    image = chance.random((5, 6, 7), np.float32)
    places = chance.random((3, 200)) * (np.asarray(image.shape)[:, None] - 1.01)
    by_places = np.empty((4, 200), np.float32)
    interpolation._by_places(places, image, by_places)
    assert by_places == pytest.approx(interpolation.by_arrays(places, image), abs=1e-6)
    assert by_places == pytest.approx(interpolation.between(places, image), abs=1e-6)
    assert by_places[0] == pytest.approx(ndimage.map_coordinates(image, places, order=1), abs=1e-6)


def test_images_without_anything_to_go_by_are_told() -> None:
    spect, _ = pair()
    empty, broken = np.zeros_like(spect.array), spect.array.copy()
    broken[3, 4, 5] = np.nan
    with pytest.raises(Featureless, match="stays has the same value"):
        coregister(Volume(empty, spect.affine), spect)
    with pytest.raises(Featureless, match="laid on it holds values that are no numbers"):
        coregister(spect, Volume(broken, spect.affine))


def test_the_slope_of_the_likeness_is_its_slope() -> None:
    spect, ct = pair()
    likeness = _Likeness(halved(spect), halved(ct))
    place = started(1, 3, 4)
    slope = likeness.steepest(place)[1]
    for axis in range(6):
        tiny = np.eye(6)[axis] * 0.05
        up, down = (
            Rigid(place.turn_deg + side * tiny[:3], place.move_mm + side * tiny[3:], place.centre) for side in (1, -1)
        )
        rise = likeness.of(up) - likeness.of(down)
        assert (slope * (up.matrix - down.matrix)).sum() == pytest.approx(rise, rel=0.2, abs=4e-6)


def test_nothing_but_the_images_is_needed() -> None:
    spect, ct = pair()
    found = coregister(spect, ct)
    assert apart_mm(found.transform, TRUE, TARGETS).mean() <= 0.6
    assert found.inverse_mm is None
    assert found.overlap > 0.8
    assert 1 < found.information < 2
    assert found.started in {"position", "mass"}


def test_the_same_images_give_the_same_answer() -> None:
    spect, ct = (halved(halved(one)) for one in pair())
    one, other = (coregister(spect, ct, started(1, 5, 5), levels=1).transform.matrix for _ in range(2))
    assert (one == other).all()


def test_surfaces_are_laid_on_each_other() -> None:
    """The self-test of the bar: 12 degrees, 10 mm, 1 mm of noise."""
    spect = body((64, 64, 64), (SPECT_MM,) * 3, "NM")
    points = contours.contour(spect, 0.3)
    moved = Rigid(np.array([7.0, 7.0, 6.8]), np.array([6.0, 6.0, 5.3]), points.mean(axis=0))
    chance = np.random.default_rng(3)
    other = moved.apply(points) + chance.normal(0, 1.0, points.shape)
    found = contours.match(points, chance.permutation(other))
    assert apart_mm(found.transform, moved, TARGETS).mean() <= 0.5


def test_outer_contours_agree_across_modalities() -> None:
    spect, ct = pair()
    found = contours.match(contours.contour(spect, 4.0)[::4], contours.contour(ct, 0.5))
    assert apart_mm(found.transform, TRUE, TARGETS).mean() <= 3.0


def test_an_image_without_a_surface_is_told() -> None:
    spect, _ = pair()
    with pytest.raises(contours.NoContour, match="choose a level"):
        contours.contour(spect, 1e9)


def test_a_level_of_the_pyramid_is_haars_approximation() -> None:
    import pywt  # noqa: PLC0415 - this proof alone

    spect, _ = pair()
    haar = pywt.dwtn(spect.array.astype(np.float64), "haar")["aaa"] / np.sqrt(8)
    assert np.abs(halved(spect).array - haar).max() < 1e-4
    corner = spect.points(np.array([[0.5, 0.5, 0.5]]))
    assert halved(spect).points(np.zeros((1, 3))) == pytest.approx(corner)


def test_a_nudge_by_hand_can_be_taken_back() -> None:
    nudged = TRUE.nudged((0, 0, 2), (1, 0, 0)).nudged((0, 0, -2), (-1, 0, 0))
    assert apart_mm(nudged, TRUE, TARGETS).max() < 1e-9
    assert (TRUE.inverse().matrix @ TRUE.matrix) == pytest.approx(np.eye(4), abs=1e-12)


def test_a_volume_resampled_along_its_transform_lies_on_the_other() -> None:
    spect, _ = pair()
    still, moved = (body((64, 80, 80), (6.0, 5.0, 5.0), "CT", one) for one in (None, TRUE))
    onto, along = still.resampled(spect), moved.resampled(spect, TRUE.matrix)
    inside = onto.array > 0.5
    assert np.abs(onto.array - along.array)[inside].mean() < 0.03


def test_places_and_indices_are_each_others_inverse() -> None:
    volume = Volume(np.zeros((4, 5, 6), np.float32), centred_affine((4, 5, 6), (3.0, 2.0, 1.0)))
    indices = np.asarray([[0.0, 0, 0], [3, 4, 5], [1.5, 2.5, 0.5]])
    assert volume.indices(volume.points(indices)) == pytest.approx(indices)
    assert volume.voxel_mm == pytest.approx((3, 2, 1))
    assert volume.points(np.array([0.0, 0, 0]))[2] > volume.points(np.array([3.0, 0, 0]))[2]  # head first


def test_slices_without_thickness_make_no_volume() -> None:
    affine = np.eye(4)
    affine[:3, 2] = 0
    with pytest.raises(Unplaced, match="coincide"):
        Volume(np.zeros((2, 2, 2), np.float32), affine)
