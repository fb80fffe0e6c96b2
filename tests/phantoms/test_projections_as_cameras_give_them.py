"""Projections as cameras give them: several detectors, half circles, what is missing, what is odd, and its review."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from core.imaging.reconstruction.backprojection import filtered_backprojection, shares
from core.imaging.reconstruction.filters import Filter, Window
from core.imaging.reconstruction.iterative import Plan, reconstruct, subsets_of
from core.imaging.reconstruction.placing import brought, map_from_ct, placed
from core.imaging.reconstruction.projections import Projections, Unusable, angles_of_rotation, joined
from core.imaging.reconstruction.projector import projector
from core.imaging.reconstruction.review import linogram, sinogram, sinograms
from core.imaging.volume import Volume, centred_affine

PIXEL = 4.0
Angles = NDArray[np.float64]


def places(size: int = 64) -> tuple[Angles, Angles]:
    """Row and column of each pixel from the middle, in mm."""
    across = (np.arange(size) - (size - 1) / 2) * PIXEL
    rows, columns = np.meshgrid(across, across, indexing="ij")
    return rows, columns


def disk(turn_deg: Angles, rows: int = 3, centre: float | None = None, *, part: bool = False) -> Projections:
    """A disk of 1, 40 mm wide in radius, 30 mm to the left of the middle and 20 behind it, seen exactly."""
    turn, middle = np.deg2rad(turn_deg), 31.5 if centre is None else centre
    bins = (np.arange(64)[:, None] - middle + (np.arange(8) - 3.5) / 8) * PIXEL
    across = -30 * np.cos(turn) + 20 * np.sin(turn)
    rays = 2 * np.sqrt(np.maximum(1600 - (bins[None] - across[:, None, None]) ** 2, 0)).mean(axis=2) / PIXEL
    counts = np.repeat(rays[:, None, :], rows, axis=1).astype(np.float32)
    return Projections(counts, turn_deg, PIXEL, PIXEL, centre=np.asarray([middle]), part=part)


def level(scan: Projections) -> float:
    body = filtered_backprojection(scan, Filter(Window.RAMP))[:, :, 1]
    y, x = places()
    return float(body[np.hypot(x - 30, y - 20) < 30].mean())


@pytest.mark.parametrize("arc", [180.0, 204.0, 270.0, 360.0])
def test_any_arc_from_a_half_to_a_full_circle_gives_the_same_slice(arc: float) -> None:
    scan = disk(np.arange(0, arc, 3.0))
    assert level(scan) == pytest.approx(1, rel=0.01)
    assert shares(scan.angles_deg).sum() == pytest.approx(np.pi)


def test_a_view_that_is_missing_is_told_and_its_neighbours_stand_for_it() -> None:
    scan = disk(np.delete(np.arange(0, 180, 3.0), [20, 41]))
    assert level(scan) == pytest.approx(1, rel=0.015)
    assert scan.oddities() == ("views are missing: a gap of 6 degrees where they are 3 apart",)
    assert disk(np.arange(0, 180, 3.0)).oddities() == ()


def test_views_that_are_missing_on_one_side_are_seen_from_the_other() -> None:
    turn = np.arange(0, 360, 3.0)
    assert level(disk(turn[(turn < 200) | (turn > 260)])) == pytest.approx(1, rel=0.01)


def test_two_detectors_make_one_rotation() -> None:
    right = disk(angles_of_rotation(225, 3, 30, clockwise=True), part=True)
    left = disk(angles_of_rotation(135, 3, 30, clockwise=True), centre=32.25, part=True)
    both = joined((right, left))
    assert both.views == 60
    assert both.arc_deg == pytest.approx(180)
    assert level(both) == pytest.approx(1, rel=0.01)
    found = reconstruct(both, projector(both), Plan(4, 6)).body[:, :, 1]
    y, x = places()
    assert found[np.hypot(x - 30, y - 20) < 30].mean() == pytest.approx(1, rel=0.02)


def test_half_a_circle_of_one_detector_alone_is_refused() -> None:
    with pytest.raises(Unusable, match="an arc of 90 degrees"):
        disk(angles_of_rotation(225, 3, 30, clockwise=True))


def test_views_are_dealt_by_their_angles_whoever_took_them() -> None:
    turn = np.concatenate((np.arange(0, 360, 6.0), np.arange(3, 360, 6.0)))
    for subset in subsets_of(120, 10, turn):
        assert np.diff(np.sort(turn[subset])) == pytest.approx(30)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"counts": np.ones((60, 3, 128))}, "mixed matrices: part 1 has 3 x 64 pixels, part 2 3 x 128"),
        ({"pixel_mm": 2.0}, "pixels of part 1 are 4 mm, those of part 2 2 mm"),
        ({"slice_mm": 2.0}, "rows of part 1"),
        ({"scatter": np.ones((60, 3, 64))}, "scatter"),
    ],
    ids=["matrix", "pixel", "row", "scatter"],
)
def test_parts_that_do_not_belong_together_are_refused(other: dict[str, object], said: str) -> None:
    scan = disk(np.arange(0, 180, 3.0))
    with pytest.raises(Unusable, match=said):
        joined((scan, replace(scan, **other)))  # type: ignore[arg-type]  # each is what the field wants


@pytest.mark.parametrize(
    ("counts", "turn", "said"),
    [
        (np.ones((60, 2, 32)), np.r_[np.arange(0, 84, 3.0), np.arange(96, 192, 3.0)], "no view between 81 and 96"),
        (np.ones((0, 2, 32)), np.empty(0), "0 views"),
        (np.ones((60, 32)), np.arange(0, 180, 3.0), "of 2 axes"),
        (9 * (np.indices((60, 2, 32))[0] > 34), np.arange(0, 180, 3.0), "35 of 60 views have no counts"),
    ],
    ids=["a gap", "none", "one frame", "half a detector"],
)
def test_what_was_not_looked_at_is_not_guessed(counts: NDArray[np.float64], turn: Angles, said: str) -> None:
    with pytest.raises(Unusable, match=said):
        Projections(counts.astype(np.float32), turn, PIXEL, PIXEL)


def test_saturated_pixels_and_poor_views_are_told() -> None:
    scan = disk(np.arange(0, 180, 3.0))
    counts = np.minimum(np.round(scan.counts * 20), 255)
    counts[7] = 0
    counts[8] //= 4
    said = replace(scan, counts=counts).oddities()
    assert said[0].startswith("views 8, 9: fewer than half")
    assert "read 255, the most that can be stored: they are saturated" in said[1]


def test_the_sinogram_of_a_still_body_is_a_sine_and_its_linogram_straight() -> None:
    scan = disk(np.arange(0, 360, 6.0))
    across = np.arange(64) - 31.5
    picture = sinogram(scan, 1)
    turn = np.deg2rad(scan.angles_deg)
    middle = (picture * across).sum(axis=1) / picture.sum(axis=1)
    assert middle == pytest.approx((-30 * np.cos(turn) + 20 * np.sin(turn)) / PIXEL, abs=0.02)
    assert sinogram(scan) == pytest.approx(3 * picture, rel=1e-5)
    assert sinograms(scan).shape == (3, 60, 64)
    lines = linogram(scan)
    assert lines.shape == (60, 3)
    assert (np.ptp(lines, axis=0) < 0.01 * lines.mean()).all()
    with pytest.raises(IndexError, match="row 3 of a detector of 3"):
        sinogram(scan, 3)


def test_a_body_lies_where_the_camera_turned_round_it() -> None:
    scan = disk(np.arange(0, 180, 3.0), rows=9)
    volume = placed(filtered_backprojection(scan), scan, middle_mm=(5, -3, 100))
    assert volume.grid == (9, 64, 64)
    assert volume.centre_of_mass() == pytest.approx((35, 17, 100), abs=0.3)
    back = brought(volume, scan, (5, -3, 100))
    assert back == pytest.approx(np.moveaxis(volume.array, 0, 2), abs=1e-4)


def test_attenuation_of_a_ct_comes_into_the_scans_geometry() -> None:
    scan = disk(np.arange(0, 180, 3.0), rows=9)
    affine = centred_affine((40, 200, 200), (1.5, 1.5, 1.5))
    y, x = (np.arange(200)[:, None] - 99.5) * 1.5, (np.arange(200)[None, :] - 99.5) * 1.5
    slices = np.repeat(np.where(np.hypot(x - 20, y) < 100, 0.0, -1000.0)[None], 40, axis=0)
    mu = map_from_ct(Volume(slices.astype(np.float32), affine, "HU", "CT"), scan, 0.0151)
    row, column = places()
    distance = np.hypot(column - 20, row)
    assert mu[distance < 90] == pytest.approx(0.0151, rel=1e-4)
    assert np.abs(mu[distance > 110]).max() < 1e-6
