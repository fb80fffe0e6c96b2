"""Phantoms of quality control, reconstructed: what was put in comes out, and what is wrong is found."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from numpy.typing import NDArray

from core.imaging import phantom
from core.imaging.acquisition import Orbit, Phantom
from core.imaging.phantom.cameras import NARROW_BEAM_PER_MM, Optics, primary
from core.imaging.phantom.quality import OPTICS, full_circle, half_circle, heart_body, pet_places
from core.imaging.phantom.tomographic import TORSO, Defect
from core.imaging.phantom.volumes import Body
from core.imaging.reconstruction import attenuation, corrections
from core.imaging.reconstruction.backprojection import filtered_backprojection
from core.imaging.reconstruction.filters import Filter, Window
from core.imaging.reconstruction.iterative import Plan, reconstruct
from core.imaging.reconstruction.postfilters import gaussian
from core.imaging.reconstruction.projections import Projections
from core.imaging.reconstruction.projector import Resolution, projector
from core.imaging.reconstruction.review import linogram
from tests.phantoms.scans import scan_of

Array = NDArray[np.float32]
RESOLUTION = Resolution(OPTICS.intrinsic_mm, OPTICS.slope)


def ellipse(scan: Projections, half_x: float, half_y: float) -> NDArray[np.bool_]:
    """Return the pixels of an ellipse round the middle, (row, column, slice)."""
    across = (np.arange(scan.bins) - (scan.bins - 1) / 2) * scan.pixel_mm
    inside = np.hypot(across[None, :] / half_x, across[:, None] / half_y) <= 1
    return np.repeat(inside[:, :, None], scan.rows, axis=2)


# -- the camera of the phantoms against that of the reconstruction -------------------------------------------------


@pytest.mark.parametrize("kind", ["circle", "contour", "half circle"])
def test_two_independent_cameras_see_the_same(kind: str) -> None:
    """One blurs planes by exact Gaussians, the other a little at each step: with attenuation, along any orbit."""
    body = Body(17, 64, 4.4, (120, 90))
    body.activity += body.ellipsoid((30, -20, 0), (22, 22, 22)) + 0.5 * body.ellipsoid((-40, 15, 5), (30, 20, 18))
    orbits = {
        "circle": Orbit(24, 180, 15, 170),
        "contour": full_circle(24, body.torso),
        "half circle": half_circle(24, body.torso),
    }
    orbit = orbits[kind]
    expected = primary(body.activity, body.voxel_mm, orbit, body.torso, Optics(attenuation_per_mm=0.0151))
    scan = Projections(expected, np.asarray(orbit.angles_deg()), 4.4, 4.4, radius_mm=np.asarray(orbit.distances_mm()))
    mu = attenuation.uniform(ellipse(scan, 120, 90), 0.0151)
    camera = projector(scan, mu, Resolution(3.8, 0.05))
    ours = camera.forward(np.ascontiguousarray(np.moveaxis(body.activity[::-1], 0, 2)), range(24)).swapaxes(1, 2)
    assert ours.sum() == pytest.approx(expected.sum(), rel=0.01)
    assert np.abs(ours - expected).sum() < 0.05 * expected.sum()


# -- cylinder ------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def cylinder() -> tuple[Phantom, Projections]:
    made = phantom.uniform_cylinder(np.random.default_rng(4), counts=8_000_000, slices=10)
    return made, scan_of(made.acquisitions[0])


def flatness(body: Array) -> tuple[float, float]:
    """Return the mean of the middle over that near the edge, and of the middle itself."""
    across = (np.arange(64) - 31.5) * 6.6
    distance = np.hypot(across[:, None], across[None, :])
    middle = body[distance < 30, 3:7].mean()
    return float(middle / body[(distance > 60) & (distance < 88), 3:7].mean()), float(middle)


def test_the_windows_beside_the_photopeak_tell_the_share_of_scatter() -> None:
    made, scan = cylinder()
    assert scan.scatter is not None
    scatter = float(scan.scatter.sum())
    found = scatter / (float(scan.counts.sum()) - scatter)
    assert found == pytest.approx(made.truth["scatter_to_primary"], abs=0.015)


def test_a_counted_cylinder_is_flat_when_all_is_corrected_and_hollow_when_nothing_is() -> None:
    _, scan = cylinder()
    mu = attenuation.uniform(ellipse(scan, 108, 108), NARROW_BEAM_PER_MM)
    corrected = reconstruct(scan, projector(scan, mu, RESOLUTION), Plan(6, 10)).body
    bare = filtered_backprojection(scan, Filter(Window.BUTTERWORTH, 0.5))
    assert flatness(gaussian(corrected, 12, (6.6, 6.6, 6.6)))[0] == pytest.approx(1, abs=0.03)
    assert flatness(bare)[0] < 0.82


def test_scatter_left_in_leaves_the_middle_too_high() -> None:
    _, scan = cylinder()
    mu = attenuation.uniform(ellipse(scan, 108, 108), NARROW_BEAM_PER_MM)
    left = scan.__class__(scan.counts, scan.angles_deg, scan.pixel_mm, scan.slice_mm, scan.radius_mm)
    smooth = gaussian(reconstruct(left, projector(left, mu), Plan(4, 10)).body, 12, (6.6, 6.6, 6.6))
    assert flatness(smooth)[0] > 1.08


def test_the_cylinders_outline_is_found_from_its_counts() -> None:
    _, scan = cylinder()
    found = attenuation.outline_of(filtered_backprojection(corrections.without_scatter(scan)))[:, :, 3:7]
    true = ellipse(scan, 108, 108)[:, :, 3:7]
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.93


# -- rods and spheres ----------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def rods() -> tuple[Phantom, Array, Array]:
    """Return the phantom and a few of its slices: through the rods, and through the spheres."""
    made = phantom.rods_and_spheres(np.random.default_rng(5), views=60, counts=60_000_000, optics=Optics(
        slope=0.03, attenuation_per_mm=NARROW_BEAM_PER_MM, scatter=0.35
    ))  # fmt: skip
    scan = scan_of(made.acquisitions[0], [*range(14, 21), *range(43, 50)])
    mu = attenuation.uniform(ellipse(scan, 108, 108), NARROW_BEAM_PER_MM)
    body = reconstruct(scan, projector(scan, mu, Resolution(3.8, 0.03)), Plan(3, 10)).body
    return made, body[:, :, 9:12].mean(axis=2), body[:, :, :7]


def test_large_rods_are_told_apart_and_the_smallest_are_not() -> None:
    made, cut, _ = rods()
    rows, columns = (np.indices(cut.shape) - 63.5) * 3.3
    angle = np.rad2deg(np.arctan2(rows, columns)) % 360
    far = (np.hypot(rows, columns) > 35) & (np.hypot(rows, columns) < 90)

    def spread(number: int) -> float:
        apart = np.abs((angle - made.truth[f"sector_{number}_deg"] + 180) % 360 - 180)
        part = cut[far & (apart < 20)]
        return float(part.std() / part.mean())

    assert spread(1) > spread(2) > spread(3) > 2 * spread(6)


def test_cold_spheres_lie_where_they_were_put_and_are_the_colder_the_larger() -> None:
    made, _, body = rods()
    plain = float(np.median(body[40:88, 40:88]))
    left = []
    for number in range(1, 7):
        row, column = (round(made.truth[f"sphere_{number}_{axis}"]) for axis in ("row", "column"))
        at = round(made.truth[f"sphere_{number}_slice"]) - 14
        left.append(float(body[row - 1 : row + 2, column - 1 : column + 2, at - 1 : at + 2].mean()) / plain)
    assert left[0] < 0.3
    assert left[0] < left[2] < left[4] < 0.9


# -- what a review finds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("off_mm", [0.0, 5.0, -8.25])
def test_points_tell_the_centre_of_rotation_and_are_sharp_with_it(off_mm: float) -> None:
    made = phantom.points(np.random.default_rng(6), off_centre_mm=off_mm)
    scan = scan_of(made.acquisitions[0])
    found = corrections.centre_of_rotation(scan)
    assert found == pytest.approx(made.truth["centre_bin"], abs=0.05)
    body = filtered_backprojection(corrections.centred(scan, found), Filter(Window.HANN))
    blurred = filtered_backprojection(scan, Filter(Window.HANN))
    place = tuple(round(made.truth[f"point_2_{axis}"]) for axis in ("row", "column", "slice"))
    near = np.s_[place[0] - 2 : place[0] + 3, place[1] - 2 : place[1] + 3, place[2] - 1 : place[2] + 2]
    assert body[near].max() == pytest.approx(body.max(), rel=0.25)
    if off_mm:
        assert body.max() > 1.3 * blurred.max()


def test_a_patient_who_slid_is_found_from_the_counts_and_put_back() -> None:
    from_view = 40
    made = phantom.heart_for_review(
        np.random.default_rng(7), slid_mm=12.8, from_view=from_view, counts_per_view=600_000
    )
    still = phantom.heart_for_review(
        np.random.default_rng(7), slid_mm=0.0, from_view=from_view, counts_per_view=600_000
    )
    scan, wanted = scan_of(made.acquisitions[0]), scan_of(still.acquisitions[0])
    motion = corrections.motion_of(scan)
    step = motion.down[from_view:].mean() - motion.down[:from_view].mean()
    assert step == pytest.approx(made.truth["slid_rows"], abs=0.5)
    mended = corrections.still(scan, motion)

    def apart(one: Projections) -> float:
        lines = linogram(one)
        return float(min(
            np.abs(np.roll(lines, shift, axis=1) - linogram(wanted)).sum() for shift in (-2, -1, 0, 1, 2)
        ))  # fmt: skip

    assert apart(mended) < 0.6 * apart(scan)


# -- torso with heart ----------------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def torso(*, ill: bool) -> tuple[Phantom, Array, Array]:
    """Return the phantom, reconstructed with nothing corrected and with everything."""
    defect = Defect(around_deg=180, level=0.2) if ill else None
    made = phantom.torso_with_heart(np.random.default_rng(8), defect, counts=8_000_000)
    scan = scan_of(made.acquisitions[0], slice(22, 46))
    mu = attenuation.uniform(ellipse(scan, *TORSO), NARROW_BEAM_PER_MM)
    bare = filtered_backprojection(scan, Filter(Window.BUTTERWORTH, 0.5))
    full = reconstruct(scan, projector(scan, mu, RESOLUTION), Plan(6, 6)).body
    return made, bare, gaussian(full, 8, (6.4, 6.4, 6.4))


def test_a_hearts_walls_come_nearer_to_alike_when_all_is_corrected() -> None:
    true = np.moveaxis(heart_body().activity[::-1], 0, 2)[:, :, 22:46]
    _, bare, full = torso(ill=False)
    wall = true > 1.2
    heart = wall & (np.arange(64)[None, :, None] > 31)  # no gall bladder

    def unlike(body: Array) -> float:
        return float(np.corrcoef(body[heart | (true < 0.2)], true[heart | (true < 0.2)])[0, 1])

    assert unlike(full) > unlike(bare) + 0.02
    assert unlike(full) > 0.85


def test_a_defect_is_as_deep_as_it_was_made() -> None:
    whole, ill = (np.moveaxis(heart_body(one).activity[::-1], 0, 2)[:, :, 22:46] for one in (
        None, Defect(around_deg=180, level=0.2)
    ))  # fmt: skip
    deep = (whole > 1.2) & (ill < 0.45 * whole)
    _, _, healthy = torso(ill=False)
    _, _, sick = torso(ill=True)
    left = float(sick[deep].sum() / healthy[deep].sum() * (healthy[whole > 1.2].max() / sick[whole > 1.2].max()))
    assert left < 0.55


# -- PET -----------------------------------------------------------------------------------------------------------


def test_hot_spheres_of_pet_are_as_hot_as_said_the_large_ones_all_of_it() -> None:
    made = phantom.pet_spheres(np.random.default_rng(9))
    values = np.stack([one.frames[0] * one.slice.slope for one in made.acquisitions if one.slice])
    recovered = []
    for number, (_, diameter) in enumerate(pet_places(), 1):
        at, row, column = (round(made.truth[f"sphere_{number}_{axis}"]) for axis in ("slice", "row", "column"))
        assert made.truth[f"sphere_{number}_mm"] == diameter
        around = values[at - 1 : at + 2, row - 1 : row + 2, column - 1 : column + 2]
        recovered.append(float(around.mean()) / made.truth["background_bqml"])
    assert recovered[-1] == pytest.approx(made.truth["contrast"], rel=0.05)
    assert recovered[0] < recovered[2] < 1.05 * recovered[-1]
