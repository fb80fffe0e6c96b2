"""A phantom is worth what its answers are worth: each is measured back from the counts."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from core.imaging import phantom
from core.imaging.phantom.dynamic import kidney_pixels
from core.imaging.phantom.volumes import Body, projections


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261012)


def _hottest(image: NDArray[np.generic], row: float, column: float, reach: int = 8) -> tuple[float, float]:
    """Centroid of the counts above half the local maximum around a place."""
    top, left = round(row) - reach, round(column) - reach
    part = image[top : top + 2 * reach + 1, left : left + 2 * reach + 1].astype(float)
    part = np.where(part > part.max() / 2, part, 0)
    rows, columns = np.indices(part.shape)
    return top + float((rows * part).sum() / part.sum()), left + float((columns * part).sum() / part.sum())


@pytest.mark.parametrize("code", phantom.OF_PROCEDURE)
def test_every_procedure_with_images_has_counts_of_16_bits(code: str, rng: np.random.Generator) -> None:
    for acquisition in phantom.OF_PROCEDURE[code](rng).acquisitions:
        assert acquisition.frames.ndim == 3
        assert acquisition.frames.dtype.itemsize == 2
        assert acquisition.frames.max() > 0


def test_the_same_chance_makes_the_same_counts() -> None:
    first, second = (phantom.thyroid(np.random.default_rng(7)).acquisitions[0].frames for _ in range(2))
    assert (first == second).all()


def test_counts_are_what_was_asked_for_and_vary_as_poisson_does(rng: np.random.Generator) -> None:
    (scan,) = phantom.flood(rng, counts=5_000_000, tilt_percent=0).acquisitions
    assert scan.frames.sum() == pytest.approx(5_000_000, rel=0.002)
    middle = scan.frames[0, 80:180, 60:200].astype(float)
    assert middle.var() / middle.mean() == pytest.approx(1, abs=0.05)


def test_a_tilted_flood_has_the_integral_uniformity_it_says(rng: np.random.Generator) -> None:
    made = phantom.flood(rng, counts=400_000_000, tilt_percent=3)
    columns = made.acquisitions[0].frames[0, 60:200, 22:234].mean(axis=0)
    measured = 100 * (columns.max() - columns.min()) / (columns.max() + columns.min())
    assert measured == pytest.approx(made.truth["integral_uniformity_percent"], abs=0.15)


def test_bone_lesions_lie_where_the_truth_says_from_both_sides(rng: np.random.Generator) -> None:
    made = phantom.bone_whole_body(rng, (phantom.Lesion((-110, 470), 12, 6), phantom.Lesion((90, 1100), 12, 6)))
    frames = made.acquisitions[0].frames[0]
    for number in (1, 2):
        for frame, side in ((0, "anterior"), (1, "posterior")):
            row, column = made.truth[f"lesion_{number}_{side}_row"], made.truth[f"lesion_{number}_{side}_column"]
            found = _hottest(made.acquisitions[0].frames[frame], row, column)
            assert found == pytest.approx((row, column), abs=1.0)
    right = made.truth["lesion_1_anterior_column"]
    assert right < frames.shape[1] / 2, "the patient's right is on the left of an anterior view"


def test_a_cold_nodule_is_cold_where_it_lies(rng: np.random.Generator) -> None:
    made = phantom.thyroid(rng, nodule=(-18, 5))
    image = made.acquisitions[0].frames[0]
    row, column = round(made.truth["nodule_row"]), round(made.truth["nodule_column"])
    mirror = image.shape[1] - 1 - column
    nodule, other = (image[row - 2 : row + 3, at - 2 : at + 3].mean() for at in (column, mirror))
    assert nodule < 0.6 * other


def test_the_adenoma_outlasts_the_thyroid(rng: np.random.Generator) -> None:
    made = phantom.parathyroid(rng)
    row, column = round(made.truth["adenoma_row"]), round(made.truth["adenoma_column"])

    def ratio(image: NDArray[np.generic]) -> float:
        lobe = image[row - 24 : row - 16, column - 6 : column].mean()
        return float(image[row - 1 : row + 2, column - 1 : column + 2].mean() / lobe)

    early, late = (one.frames[0].astype(float) for one in made.acquisitions)
    assert ratio(late) > 1.8 * ratio(early)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.62])
def test_the_renograms_split_comes_out_of_its_counts(share: float, rng: np.random.Generator) -> None:
    made = phantom.renogram(rng, phantom.Kidney(share), phantom.Kidney(1 - share), counts=40_000_000)
    frames = made.acquisitions[0].frames.astype(float)
    window = slice(4, 7)
    left, right = kidney_pixels("left"), kidney_pixels("right")
    around = [np.roll(region, 30, axis=0) & ~left & ~right for region in (left, right)]
    net = [
        frames[window, region].sum() - frames[window, other].mean() * frames[window, region].size
        for region, other in zip((left, right), around, strict=True)
    ]
    assert net[0] / sum(net) == pytest.approx(made.truth["left_share"], abs=0.03)


def test_an_obstructed_kidney_peaks_later(rng: np.random.Generator) -> None:
    made = phantom.renogram(rng, phantom.Kidney(0.5), phantom.Kidney(0.5, 500, 3000), counts=20_000_000)
    curve = made.acquisitions[0].frames[:, kidney_pixels("left")].sum(axis=1)
    assert abs(curve.argmax() * 20 + 10 - made.truth["left_peak_s"]) <= 40
    assert made.truth["right_peak_s"] > made.truth["left_peak_s"] + 200


def _stroke_counts(ejection_fraction: float) -> float:
    """Counts the left ventricle loses, as a share of the whole diastolic frame; what lies behind it cancels."""
    made = phantom.gated_blood_pool(np.random.default_rng(3), ejection_fraction, counts_per_slot=20_000_000)
    frames = made.acquisitions[0].frames.astype(float)
    rows, columns = np.indices((64, 64))
    ventricle = np.hypot((rows - 38) / 11, (columns - 41) / 9) < 1
    curve = frames[:, ventricle].sum(axis=1)
    assert curve.argmin() == round(made.truth["end_systole_slot"])
    assert curve.argmax() in {0, 22, 23, 21}
    return float((curve[0] - curve.min()) / frames[0].sum())


def test_the_ventricle_loses_counts_as_its_ejection_fraction_says() -> None:
    assert _stroke_counts(0.6) / _stroke_counts(0.3) == pytest.approx(2, rel=0.05)


def test_lungs_share_their_counts_as_said(rng: np.random.Generator) -> None:
    made = phantom.lung_perfusion(rng, right_share=0.6)
    anterior, posterior = made.acquisitions[0].frames.astype(float)
    right = np.sqrt(anterior[:, :64].sum() * posterior[:, 64:].sum())
    left = np.sqrt(anterior[:, 64:].sum() * posterior[:, :64].sum())
    assert right / (right + left) == pytest.approx(0.6, abs=0.025)


def test_six_views_of_the_lungs_are_six_views(rng: np.random.Generator) -> None:
    made = phantom.lung_perfusion(rng, defect=(-75, 0, 60))
    assert {view for one in made.acquisitions for view in one.views} == {"ANT", "POST", "RAO", "LPO", "LAO", "RPO"}
    whole = phantom.lung_perfusion(rng).acquisitions[0].frames[0].astype(float)
    row, column = round(made.truth["defect_row"]), round(made.truth["defect_column"])
    place = np.s_[row - 3 : row + 4, column - 3 : column + 4]
    assert made.acquisitions[0].frames[0][place].mean() < 0.75 * whole[place].mean()


def test_projections_follow_a_point_round_the_patient() -> None:
    body = Body(8, 65, 4.0, (120, 120))
    body.activity[3, 32 - 10, 32 + 5] = 1
    angles = np.arange(0, 360, 15.0)
    views = projections((body.activity,), 4.0, angles.tolist(), body.torso, attenuation_per_mm=0)[0]
    assert np.allclose(views.sum(axis=(1, 2)), 1, atol=1e-5)
    rows, columns = np.indices(views.shape[1:])
    found = (views * columns).sum(axis=(1, 2))
    turn = np.deg2rad(angles)
    assert np.allclose(found, 32 - 5 * np.cos(turn) - 10 * np.sin(turn), atol=1e-4)
    assert np.allclose((views * rows).sum(axis=(1, 2)), 4)


def test_attenuation_dims_what_lies_deep() -> None:
    body = Body(3, 65, 4.0, (130, 130))
    body.activity[1, 32 - 20, 32] = 1
    front, back = projections((body.activity,), 4.0, (180, 0), body.torso, attenuation_per_mm=0.015)[0].sum(axis=(1, 2))
    assert front == pytest.approx(np.exp(-0.015 * 50), rel=0.01)
    assert back == pytest.approx(np.exp(-0.015 * 210), rel=0.01)


def test_the_heart_is_seen_on_the_patients_left_from_before(rng: np.random.Generator) -> None:
    made = phantom.heart_spect(rng)
    (study,) = made.acquisitions
    assert study.frames.shape == (60, 64, 64)
    anterior = study.frames[13:18].sum(axis=0).astype(float)
    row = round(made.truth["ventricle_slice"])
    hottest = anterior[row - 6 : row + 7].sum(axis=0).argmax()
    assert hottest == pytest.approx(made.truth["ventricle_column"], abs=4)


def test_a_defect_takes_counts_from_its_wall_alone(rng: np.random.Generator) -> None:
    whole = (
        phantom.heart_spect(np.random.default_rng(1), counts_per_view=4_000_000).acquisitions[0].frames.astype(float)
    )
    with_defect = phantom.heart_spect(
        np.random.default_rng(1), phantom.Defect(around_deg=180), counts_per_view=4_000_000
    )
    lost = (whole - with_defect.acquisitions[0].frames).sum(axis=0)
    row, column = np.unravel_index(lost.argmax(), lost.shape)
    assert row > with_defect.truth["ventricle_slice"], "an inferior defect lies below the ventricle's middle"
    assert lost.max() > 0
    assert column > 20


def test_gated_spect_holds_its_ejection_fraction(rng: np.random.Generator) -> None:
    made = phantom.gated_heart_spect(rng, ejection_fraction=0.45)
    assert made.truth["ejection_fraction"] == pytest.approx(0.45, abs=1e-6)
    assert made.acquisitions[0].frames.shape == (2 * 8 * 30, 64, 64)


def test_the_pet_lesion_is_as_hot_as_said_where_it_is_said(rng: np.random.Generator) -> None:
    made = phantom.pet_slices(rng, lesion_suv=8)
    one = made.acquisitions[round(made.truth["lesion_slice"])]
    assert one.slice is not None
    suv = one.frames[0] * one.slice.slope / made.truth["suv_one_bqml"]
    row, column = round(made.truth["lesion_row"]), round(made.truth["lesion_column"])
    assert suv[row - 1 : row + 2, column - 1 : column + 2].mean() == pytest.approx(8, rel=0.1)
