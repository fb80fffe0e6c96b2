"""Reconstruction, against bodies whose answer is known."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from core.imaging.reconstruction import attenuation, corrections
from core.imaging.reconstruction.backprojection import filtered_backprojection
from core.imaging.reconstruction.filters import Filter, Window
from core.imaging.reconstruction.iterative import Method, Plan, reconstruct, subsets_of
from core.imaging.reconstruction.postfilters import gaussian
from core.imaging.reconstruction.priors import Potential, Prior
from core.imaging.reconstruction.projections import Projections, Unusable, angles_of_rotation
from core.imaging.reconstruction.projector import Projector, Resolution, projector

Array = NDArray[np.float32]
PIXEL = 4.0
MU = 0.012


def angles(views: int, arc: float = 360.0) -> NDArray[np.float64]:
    return np.arange(views) * arc / views


def places(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Row and column of each pixel from the middle, in mm."""
    across = (np.arange(size) - (size - 1) / 2) * PIXEL
    rows, columns = np.meshgrid(across, across, indexing="ij")
    return rows, columns


def disk_rays(turn: NDArray[np.float64], size: int, middle: tuple[float, float], radius: float) -> NDArray[np.float64]:
    """Line integrals (view, bin) of a disk of activity 1, in pixels, averaged over each bin; middle as (x, y) in mm."""
    bins = (np.arange(size) - (size - 1) / 2) * PIXEL
    within = (np.arange(8) - 3.5) / 8 * PIXEL
    across = -middle[0] * np.cos(turn) + middle[1] * np.sin(turn)
    distance = bins[None, :, None] + within - across[:, None, None]
    return np.asarray(np.mean(2 * np.sqrt(np.maximum(radius**2 - distance**2, 0)), axis=2) / PIXEL)


def scan_of(rays: NDArray[np.float64], turn_deg: NDArray[np.float64], rows: int = 2) -> Projections:
    counts = np.repeat(rays[:, None, :], rows, axis=1).astype(np.float32)
    return Projections(counts, turn_deg, PIXEL, PIXEL, radius_mm=np.full(len(turn_deg), 200.0))


def blank(size: int = 64, views: int = 60, rows: int = 8) -> Projections:
    return scan_of(np.ones((views, size)), angles(views), rows)


def hot_and_cold(size: int = 64, rows: int = 8) -> tuple[Array, dict[str, NDArray[np.bool_]]]:
    """A disk of 1 with a sphere-like rod of 4 and one of 0; the regions lie well inside."""
    y, x = places(size)
    body = (np.hypot(x, y) < 96).astype(np.float32)
    body[np.hypot(x - 40, y) < 24] = 4
    body[np.hypot(x + 40, y) < 24] = 0
    regions = {
        "hot": np.hypot(x - 40, y) < 16,
        "cold": np.hypot(x + 40, y) < 16,
        "plain": np.hypot(x, y + 56) < 20,
    }
    return np.repeat(body[:, :, None], rows, axis=2), regions


def hot_and_noise(body: Array, regions: dict[str, NDArray[np.bool_]], image: Array) -> tuple[float, float]:
    """The mean of the hot region, with the image scaled to the body's total, and the COV of the plain one."""
    scaled = image * (body.sum() / image.sum())
    plain = scaled[regions["plain"]]
    return float(scaled[regions["hot"]].mean()), float(plain.std() / plain.mean())


def measured(camera: Projector, like: Projections, body: Array, counts: float, seed: int = 0) -> Projections:
    rays = camera.forward(body, range(like.views))
    noisy = np.random.default_rng(seed).poisson(rays * (counts / rays.sum()))
    return replace(like, counts=noisy.swapaxes(1, 2).astype(np.float32))


# -- 1: the adjoint --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resolution", [None, Resolution()], ids=["direct", "resolution"])
@pytest.mark.parametrize("dimmed", [False, True], ids=["clear", "attenuated"])
def test_projection_and_back_projection_are_exact_adjoints(resolution: Resolution | None, *, dimmed: bool) -> None:
    rng = np.random.default_rng(3)
    scan = replace(blank(32, 24, 5), centre=np.asarray([15.2]))
    mu = (rng.random((32, 32, 5)) * 0.02).astype(np.float32) if dimmed else None
    camera = projector(scan, mu, resolution)
    body, rays = rng.random((32, 32, 5), np.float32), rng.random((24, 32, 5), np.float32)
    forward = np.vdot(camera.forward(body, range(24)).astype(float), rays)
    back = np.vdot(body.astype(float), camera.back(rays, range(24)))
    assert abs(forward - back) < 1e-6 * forward


@pytest.mark.parametrize("resolution", [None, Resolution()], ids=["direct", "resolution"])
def test_adjoints_stay_exact_for_two_detectors_that_follow_the_body(resolution: Resolution | None) -> None:
    rng = np.random.default_rng(4)
    turn = np.concatenate([angles_of_rotation(start, 11.25, 8, clockwise=True) for start in (225, 135)])
    scan = replace(
        blank(32, 16, 5), angles_deg=turn, radius_mm=rng.uniform(70, 150, 16), centre=rng.uniform(15, 16, 16)
    )
    camera = projector(scan, (rng.random((32, 32, 5)) * 0.02).astype(np.float32), resolution)
    body, rays = rng.random((32, 32, 5), np.float32), rng.random((16, 32, 5), np.float32)
    forward = np.vdot(camera.forward(body, range(16)).astype(float), rays)
    assert abs(forward - np.vdot(body.astype(float), camera.back(rays, range(16)))) < 1e-6 * forward
    seen = camera.back(np.ones((3, 32, 5), np.float32), [1, 6, 11])
    assert camera.sensitivity([1, 6, 11]) == pytest.approx(seen, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("ahead_mm", [-64.0, 0.0, 64.0])
def test_a_point_is_as_wide_as_its_distance_from_the_collimator_makes_it(ahead_mm: float) -> None:
    blur, size = Resolution(3.0, 0.06), 65
    scan = Projections(
        np.ones((8, size, size), np.float32), np.arange(0, 360, 45.0), 2.0, 2.0, radius_mm=np.full(8, 150.0)
    )
    body = np.zeros((size, size, size), np.float32)
    body[32 + round(ahead_mm / 2), 32, 32] = 1  # view 0 is behind the patient
    seen = projector(scan, resolution=blur).forward(body, [0])[0]
    wanted = float(np.hypot(3.0, 0.06 * (150 - ahead_mm)))
    across = (np.arange(size) - 32) * 2.0
    for profile in (seen.sum(axis=1), seen.sum(axis=0)):
        sigma = np.sqrt((profile * across**2).sum() / profile.sum())
        assert sigma * np.sqrt(8 * np.log(2)) == pytest.approx(wanted, rel=0.05)
    assert seen.sum() == pytest.approx(1, rel=1e-4)


def test_the_projector_sees_what_the_phantoms_camera_saw() -> None:
    y, x = places(64)
    body = np.repeat((np.hypot(x - 32, y - 20) < 40)[:, :, None], 2, axis=2).astype(np.float32)
    turn = np.deg2rad(angles(36))
    seen = projector(blank(64, 36, 2)).forward(body, range(36))[:, :, 0]
    exact = disk_rays(turn, 64, (32, 20), 40)
    assert np.abs(seen - exact).max() < 1.6  # a pixelled edge seen along its rows
    assert seen.sum() == pytest.approx(exact.sum(), rel=0.01)


# -- 2: analytic projections -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("arc", [180.0, 360.0])
def test_ramp_back_projection_gives_ellipses_back(arc: float) -> None:
    turn = angles(120, arc)
    rays = sum(
        level * disk_rays(np.deg2rad(turn), 128, middle, radius)
        for middle, radius, level in (((0, 0), 180, 1), ((70, 30), 50, 2), ((-70, 30), 50, -1))
    )
    body = filtered_backprojection(scan_of(np.asarray(rays), turn), Filter(Window.RAMP))[:, :, 1]
    y, x = places(128)
    assert body[np.hypot(x - 70, y - 30) < 40].mean() == pytest.approx(3, rel=0.01)
    assert body[np.hypot(x, y + 90) < 40].mean() == pytest.approx(1, rel=0.01)
    assert abs(body[np.hypot(x + 70, y - 30) < 40].mean()) <= 0.01


@pytest.mark.parametrize("window", list(Window))
def test_a_point_is_as_wide_as_its_filter_says(window: Window) -> None:
    turn = angles(180)
    sigma = 4.0  # mm; a Gaussian source, so that pixels matter little
    bins = (np.arange(129) - 64) * PIXEL / 2
    rays = np.repeat(np.exp(-(bins**2) / (2 * sigma**2))[None, :], 180, axis=0)
    scan = Projections(np.repeat(rays[:, None, :], 1, axis=1), turn, PIXEL / 2, PIXEL)
    chosen = Filter(window, cut_off=0.6, fwhm_mm=4.0)
    body = filtered_backprojection(scan, chosen)[64, :, 0]
    assert width_at_half(body) == pytest.approx(width_at_half(predicted(chosen, sigma)), rel=0.05)


def predicted(chosen: Filter, sigma: float) -> NDArray[np.float64]:
    """The profile of a Gaussian seen through a radial filter: a Hankel transform done as a sum."""
    from scipy.special import j0  # noqa: PLC0415 - this proof alone

    pixel = PIXEL / 2
    f = np.linspace(0, 1 / (2 * pixel), 2000)
    spectrum = np.exp(-2 * (np.pi * sigma * f) ** 2) * chosen.window_at(f * 2 * pixel, pixel) * f
    r = np.abs((np.arange(129) - 64) * pixel)
    return np.asarray((j0(2 * np.pi * r[:, None] * f[None, :]) * spectrum[None, :]).sum(axis=1))


def width_at_half(profile: NDArray[np.floating]) -> float:
    top, middle = profile.max(), int(np.argmax(profile))
    right = next(i for i in range(middle, len(profile)) if profile[i] < top / 2)
    left = next(i for i in range(middle, -1, -1) if profile[i] < top / 2)
    half = top / 2
    after = right - 1 + (profile[right - 1] - half) / (profile[right - 1] - profile[right])
    before = left + 1 - (profile[left + 1] - half) / (profile[left + 1] - profile[left])
    return float(after - before)


def test_a_cut_off_is_told_in_both_units() -> None:
    assert Filter(Window.HANN, 0.8).says(4.0) == "hann 0.8 Nyquist (1.00 cycles/cm)"
    assert "order 5 (power 10)" in Filter(Window.BUTTERWORTH, 0.5).says(6.4)


# -- 3: attenuation and scatter --------------------------------------------------------------------------------------


def cylinder() -> tuple[Projections, Array, Array]:
    y, x = places(64)
    inside = np.repeat((np.hypot(x, y) < 100)[:, :, None], 4, axis=2)
    return blank(64, 60, 4), inside.astype(np.float32), attenuation.uniform(inside, MU)


def centre_to_edge(body: Array) -> float:
    y, x = places(64)
    distance = np.hypot(x, y)
    return float(body[distance < 24].mean() / body[(distance > 64) & (distance < 84)].mean())


def test_a_uniform_cylinder_is_flat_after_attenuation_in_the_projector() -> None:
    like, body, mu = cylinder()
    camera = projector(like, mu)
    scan = replace(like, counts=camera.forward(body, range(60)).swapaxes(1, 2))
    found = reconstruct(scan, camera, Plan(8, 10)).body
    assert centre_to_edge(found) == pytest.approx(1, abs=0.03)
    assert found.sum() == pytest.approx(body.sum(), rel=0.01)


def test_changs_factors_flatten_a_cylinder_which_is_hollow_without() -> None:
    like, body, mu = cylinder()
    scan = replace(like, counts=projector(like, mu).forward(body, range(60)).swapaxes(1, 2))
    plain = filtered_backprojection(scan, Filter(Window.HANN))
    assert centre_to_edge(plain) < 0.75
    assert centre_to_edge(plain * attenuation.chang(scan, mu)) == pytest.approx(1, abs=0.1)


def test_three_windows_are_exact_where_the_spectrum_is_straight() -> None:
    kev = np.arange(100, 180, 0.5)
    spectrum = 300 - 1.2 * kev

    def counts(middle: float, width: float) -> float:
        edges = np.asarray([middle - width / 2, middle + width / 2])
        return float(np.diff(300 * edges - 0.6 * edges**2)[0])

    assert spectrum.min() > 0
    lower, upper = (np.full((4, 4), counts(at, 6), np.float32) for at in (140.5 - 17.05, 140.5 + 17.05))
    scatter = corrections.triple_energy_window(28.1, lower, 6, upper, 6)
    assert scatter[0, 0] == pytest.approx(counts(140.5, 28.1), rel=1e-6)


def test_scatter_belongs_into_the_denominator() -> None:
    like, body, _ = cylinder()
    camera = projector(like)
    rays = camera.forward(body, range(60)).swapaxes(1, 2)
    scan = replace(like, counts=rays + 20, scatter=np.full_like(rays, 20))
    found = reconstruct(scan, camera, Plan(8, 10)).body
    assert found.sum() == pytest.approx(body.sum(), rel=0.01)


def test_a_body_is_found_from_its_first_reconstruction() -> None:
    like, body, mu = cylinder()
    scan = measured(projector(like, mu), like, body, 4e5)
    outline = attenuation.outline_of(filtered_backprojection(scan))
    overlap = 2 * (outline & (body > 0)).sum() / (outline.sum() + (body > 0).sum())
    assert overlap > 0.93


def test_water_and_bone_get_their_own_lines_from_ct() -> None:
    mu = attenuation.from_ct(np.asarray([[-1000.0, 0.0, 1000.0]], np.float32)[:, :, None], 0.015)
    assert mu[0, :, 0] == pytest.approx([0, 0.015, 0.024], abs=1e-6)


# -- 4: what never falls ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("potential", [None, *Potential], ids=str)
def test_the_objective_never_falls_in_twenty_iterations(potential: Potential | None) -> None:
    body, _ = hot_and_cold()
    like = blank()
    camera = projector(like, attenuation.uniform(body >= 0, 0.001))
    scan = measured(camera, like, body, 5e5)
    plan = Plan(20, 1, Prior(potential, beta=1.0) if potential else None)
    course = np.asarray(reconstruct(scan, camera, plan, watch=True).objective)
    assert (np.diff(course) > -1e-7 * np.abs(course[1:])).all()
    assert course[-1] > course[0]


def test_one_step_late_at_ten_times_its_safe_beta_stays_finite_and_warns() -> None:
    body, _ = hot_and_cold()
    like = blank()
    camera = projector(like)
    scan = measured(camera, like, body, 5e5)

    def late(beta: float) -> tuple[Array, list[str]]:
        plan = Plan(10, 1, Prior(Potential.QUADRATIC, beta), Method.ONE_STEP_LATE)
        found = reconstruct(scan, camera, plan)
        return found.body, found.warnings

    safe = max(beta for beta in (0.05, 0.1, 0.2, 0.4, 0.8) if not late(beta)[1])
    found, said = late(10 * safe)
    assert np.isfinite(found).all()
    assert found.max() < 20 * late(safe)[0].max()
    assert any("De Pierro" in one for one in said)


# -- 5: what is seen in noise ----------------------------------------------------------------------------------------


def test_hot_and_cold_at_three_million_counts() -> None:
    body, regions = hot_and_cold()
    like = blank()
    camera = projector(like)
    scan = measured(camera, like, body, 3e6)

    def seen(image: Array) -> tuple[float, float]:
        scaled = image * (body.sum() / image.sum())
        plain = scaled[regions["plain"]]
        return float((scaled[regions["hot"]].mean() - 1) / 3), float(plain.std() / plain.mean())

    osem, _ = seen(reconstruct(scan, camera, Plan(4, 10)).body)
    assert osem >= 0.95
    recovered, noise = seen(reconstruct(scan, camera, Plan(8, 10, Prior(Potential.LOG_COSH, 0.3))).body)
    assert recovered >= 0.80
    assert noise <= 0.18


def test_relative_differences_are_quieter_than_hann_at_equal_recovery() -> None:
    body, regions = hot_and_cold()
    like = blank()
    camera = projector(like)
    scan = measured(camera, like, body, 1e6)

    seen = partial(hot_and_noise, body, regions)

    hot, noise = seen(reconstruct(scan, camera, Plan(8, 10, Prior(Potential.RELATIVE_DIFFERENCE, 0.5, 2.0))).body)
    hann = [seen(filtered_backprojection(scan, Filter(Window.HANN, cut))) for cut in np.arange(0.3, 1.05, 0.05)]
    as_hot = min(hann, key=lambda one: abs(one[0] - hot))
    assert noise <= 0.7 * as_hot[1]


def test_log_cosh_is_no_worse_than_filtered_osem_and_no_more_is_claimed() -> None:
    body, regions = hot_and_cold()
    like = blank()
    camera = projector(like)
    scan = measured(camera, like, body, 1e6)

    seen = partial(hot_and_noise, body, regions)

    hot, noise = seen(reconstruct(scan, camera, Plan(8, 10, Prior(Potential.LOG_COSH, 0.3))).body)
    osem = reconstruct(scan, camera, Plan(8, 10)).body
    filtered = [seen(gaussian(osem, fwhm, (PIXEL,) * 3)) for fwhm in np.arange(2, 24, 1.0)]
    as_hot = min(filtered, key=lambda one: abs(one[0] - hot))
    assert noise <= 1.1 * as_hot[1]


# -- corrections -----------------------------------------------------------------------------------------------------


def test_the_centre_of_rotation_is_found_and_reckoned_with() -> None:
    turn = np.deg2rad(angles(120))
    rays = disk_rays(turn, 64, (40, 10), 30)
    shifted = scan_of(np.asarray([np.interp(np.arange(64) - 1.5, np.arange(64), ray) for ray in rays]), angles(120))
    centre = corrections.centre_of_rotation(shifted)
    assert centre == pytest.approx(33.0, abs=0.05)
    y, x = places(64)
    region = np.hypot(x - 40, y - 10) < 20
    blurred, sharp = (
        filtered_backprojection(one, Filter(Window.RAMP))[:, :, 0][region].mean()
        for one in (shifted, corrections.centred(shifted, centre))
    )
    assert abs(sharp - 1) < 0.02 < abs(blurred - 1) or sharp > blurred


def test_a_patient_who_slid_is_seen_on_the_linogram_and_put_back() -> None:
    body = np.zeros((64, 64, 24), np.float32)
    y, x = places(64)
    body[np.hypot(x - 40, y) < 30, 8:14] = 1
    like = blank(64, 60, 24)
    still = replace(like, counts=projector(like).forward(body, range(60)).swapaxes(1, 2))
    moved = still.counts.copy()
    moved[30:45] = np.roll(moved[30:45], 2, axis=1)
    scan = replace(still, counts=moved)
    motion = corrections.motion_of(scan)
    assert motion.down[30:45] == pytest.approx(2, abs=0.25)
    assert np.abs(motion.down[:30]).max() < 0.25
    back = corrections.still(scan, motion)
    assert np.abs(back.counts - still.counts).sum() < 0.25 * np.abs(scan.counts - still.counts).sum()


def test_views_that_decayed_are_brought_back_to_the_first() -> None:
    half_life, each = 3600.0, 60.0
    like = replace(blank(), view_s=each)
    started = np.asarray(np.arange(60) * each, np.float64)
    rate = np.log(2) / half_life
    lived = np.exp(-rate * started) * -np.expm1(-rate * each) / (rate * each)
    scan = replace(like, counts=(100 * lived[:, None, None] * np.ones_like(like.counts)).astype(np.float32))
    assert corrections.undecayed(scan, started, half_life).counts == pytest.approx(100, rel=1e-5)


def test_a_flood_evens_the_detector_and_leaves_what_is_dead() -> None:
    flood = np.ones((8, 64), np.float32)
    flood[:, 20] = 0.8
    flood[:, 40] = 0.0
    scan = replace(blank(), counts=np.repeat((10 * flood)[None], 60, axis=0))
    evened = corrections.uniform(scan, flood).counts
    assert evened[0, 0, 20] == pytest.approx(evened[0, 0, 0], rel=1e-6)
    assert not evened[:, :, 40].any()


# -- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"counts": np.zeros((60, 8, 64))}, "no counts"),
        ({"counts": np.full((60, 8, 64), np.nan)}, "no numbers"),
        ({"counts": np.full((60, 8, 64), -1.0)}, "negative"),
        ({"counts": np.ones((59, 8, 64))}, "59 views but 60 angles"),
        ({"counts": np.ones((4, 8, 64)), "angles_deg": angles(4)}, "only 4 views"),
        ({"angles_deg": np.full(60, np.nan)}, "angle is missing"),
        ({"angles_deg": angles(60, 60.0)}, "180 or 360"),
        ({"pixel_mm": 0.0}, "size of a pixel"),
        ({"slice_mm": -4.0}, "size of a pixel"),
        ({"radius_mm": np.ones(3)}, "radii"),
        ({"scatter": np.ones((2, 2, 2))}, "scatter"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_cannot_be_reconstructed_is_told(wrong: dict[str, object], said: str) -> None:
    like = blank()
    given = {
        "counts": like.counts, "angles_deg": like.angles_deg, "pixel_mm": PIXEL, "slice_mm": PIXEL,
        "radius_mm": like.radius_mm, **wrong,
    }  # fmt: skip
    if "angles_deg" in wrong and "counts" in wrong:
        given["radius_mm"] = np.empty(0)
    with pytest.raises(Unusable, match=said):
        Projections(**given)  # type: ignore[arg-type]  # each is what the field wants


def test_more_subsets_than_views_bear_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 30"):
        subsets_of(60, 40)
    assert sorted(view for subset in subsets_of(60, 10) for view in subset) == list(range(60))


def test_angles_run_as_the_standard_counts_them() -> None:
    assert angles_of_rotation(45, 3, 3, clockwise=True) == pytest.approx([45, 42, 39])
    assert angles_of_rotation(350, 5, 4, clockwise=False) == pytest.approx([350, 355, 0, 5])
