"""Every way of reconstructing an acquisition, from the object to slices, on a cylinder seen from all sides."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from core.dicom.compose import Camera, Ordered, compose
from core.dicom.tracers import TRACERS
from core.dicom.volumes import volume_of
from core.errors import Refused
from core.imaging import phantom
from core.imaging.acquisition import Acquisition, Orbit
from core.vocabulary import Recipe
from core.workflow.processing import making
from core.workflow.processing.order import Order
from core.workflow.processing.recipes import form_of
from core.workflow.processing.shelf import Shelf

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
VIEWS, ROWS, BINS = 24, 6, 32
WINDOWS = ("Tc99m", "Tc99m lower", "Tc99m upper")


def _cylinder(folder: Path, windows: tuple[str, ...] = ("Tc99m",), slots: int = 1) -> Path:
    """Write the object of a warm cylinder, 132 mm wide, a tenth of its counts scattered where windows tell it."""
    across = np.arange(BINS) - (BINS - 1) / 2
    profile = 200 * np.sqrt(np.maximum(11.0**2 - across**2, 0)) / 11
    share = {"Tc99m": 1.0, "Tc99m lower": 0.05, "Tc99m upper": 0.01}
    expected = [np.broadcast_to(profile * share[name], (slots * VIEWS, ROWS, BINS)) for name in windows]
    frames = np.random.default_rng(4).poisson(np.concatenate(expected)).astype(np.uint16)
    scan = Acquisition(
        "GATED TOMO" if slots > 1 else "TOMO", frames, 6.0, "Cylinder", energy_windows=windows, frame_ms=10_000,
        orbit=Orbit(VIEWS, 180.0, 360 / VIEWS, 200.0), time_slots=slots, beat_ms=800 if slots > 1 else 0,
    )  # fmt: skip
    ordered = Ordered("P1", "Zhang^Wei", study_instance_uid=generate_uid())
    [one] = compose([scan], ordered, Camera("CAM1"), TRACERS["MIBI"], uid=generate_uid, clock=lambda: NOW)
    one.save_as(folder / "scan.dcm", enforce_file_format=True)
    return folder / "scan.dcm"


def _made(scan: Path, folder: Path, parameters: dict[str, Any], **said: Any) -> dict[str, Any]:  # noqa: ANN401
    place = Shelf(folder / "shelf").begin(1, 1)
    order = Order(
        Recipe.SPECT, form_of("spect").values(parameters), (scan,), said.get("over", ()), (), place, "1.0", NOW, 1000
    )
    made = making.make(order.as_json(), lambda _done, _of: None)
    return {**made, "objects": [place / "objects" / f"{uid}.dcm" for uid in made["results"]]}


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"method": "fbp", "filter": "ramp"}, "filtered back-projection, ramp"),
        ({"filter": "butterworth", "cut_off": 0.5, "cut_off_unit": "cycles/cm"}, "0.6 Nyquist (0.50 cycles/cm)"),
        ({"method": "mlem", "iterations": 8}, "MLEM, 8 iterations"),
        ({"method": "osem", "subsets": 6}, "OSEM, 4 iterations of 6 subsets"),
        ({"method": "map", "subsets": 6, "prior": "relative_difference", "edge": 2}, "MAP (De Pierro)"),
        ({"method": "map", "subsets": 6, "one_step_late": True}, "MAP (one step late)"),
        ({"method": "osem", "subsets": 6, "resolution": True}, "resolution 3.8 mm + 0.05 of depth"),
        ({"method": "osem", "subsets": 6, "post_filter": "gaussian", "post_fwhm_mm": 6}, "smoothed: Gaussian 6 mm"),
        ({"post_filter": "butterworth"}, "smoothed: butterworth 0.5 Nyquist"),
        ({"centre": "found"}, "bins from the middle"),
        ({"motion": True}, "motion put right"),
    ],
)
def test_the_counts_of_a_view_are_found_again_in_the_slices(
    tmp_path: Path, parameters: dict[str, Any], said: str
) -> None:
    scan = _cylinder(tmp_path)
    made = _made(scan, tmp_path, {"decay": False, **parameters})
    assert any(said in one for one in made["said"])
    [path] = made["objects"]
    slices = volume_of([path]).array
    counted = pydicom.dcmread(scan).pixel_array.sum() / VIEWS
    assert slices.sum() == pytest.approx(counted, rel=0.06)
    assert (slices.shape, bool(np.isfinite(slices).all()), slices.min() >= 0) == ((ROWS, BINS, BINS), True, True)


@pytest.mark.parametrize("method", ["fbp", "osem"])
def test_scatter_and_attenuation_are_put_right_by_either_method(tmp_path: Path, method: str) -> None:
    scan = _cylinder(tmp_path, WINDOWS)
    chosen = {"method": method, "subsets": 6, "decay": False}
    plain = volume_of(_made(scan, tmp_path, chosen)["objects"]).array.sum()
    less = _made(scan, tmp_path, {**chosen, "scatter": "tew"})
    assert "scatter from the windows Tc99m lower and Tc99m upper" in " ".join(less["said"])
    # 5 % and 1 % in windows of 6 keV are 14 % in the main one of 28.1 keV
    assert volume_of(less["objects"]).array.sum() / plain == pytest.approx(1 - 0.06 / 6 * 28.1 / 2, abs=0.03)
    more = _made(scan, tmp_path, {**chosen, "attenuation": "uniform", "mu_per_cm": 0.1})
    assert volume_of(more["objects"]).array.sum() > 1.3 * plain
    assert [one["name"] for one in more["stages"]] == [
        "projections", "sinogram", "linogram", "attenuation", "reconstructed",
    ]  # fmt: skip


def test_time_slots_stay_apart(tmp_path: Path) -> None:
    made = _made(_cylinder(tmp_path, slots=4), tmp_path, {"decay": False})
    stages = {one["name"]: one for one in made["stages"]}
    assert (stages["projections"]["frames"], stages["projections"]["moments"]) == (4 * VIEWS, 4)
    assert (stages["reconstructed"]["frames"], stages["reconstructed"]["moments"]) == (4 * ROWS, 4)
    one = pydicom.dcmread(made["objects"][0])
    assert (one.ImageType[2], one.NumberOfFrames) == ("RECON GATED TOMO", 4 * ROWS)


def test_without_a_heart_the_transverse_slices_are_filed_and_it_is_said(tmp_path: Path) -> None:
    made = _made(_cylinder(tmp_path), tmp_path, {"heart_axes": True})
    assert len(made["objects"]) == 1
    [warning] = made["warnings"]
    assert "no short and long axes: nothing in the image is shaped like a left ventricle" in warning


def test_a_patient_who_slid_is_told_of_and_put_right_when_asked(tmp_path: Path) -> None:
    slid = phantom.heart_for_review(np.random.default_rng(1))
    [one] = compose(slid.acquisitions, Ordered("P1", "Zhang^Wei"), Camera("CAM1"), TRACERS["MIBI"], uid=generate_uid,
                    clock=lambda: NOW)  # fmt: skip
    one.save_as(tmp_path / "slid.dcm", enforce_file_format=True)
    made = _made(tmp_path / "slid.dcm", tmp_path, {})
    assert any("look at the linogram for motion" in warning for warning in made["warnings"])
    down, began = np.asarray(made["numbers"]["motion_down_rows"]), round(slid.truth["from_view"])
    assert np.median(down[began:]) - np.median(down[:began]) == pytest.approx(slid.truth["slid_rows"], abs=0.3)
    right = _made(tmp_path / "slid.dcm", tmp_path, {"motion": True})
    assert not any("linogram" in warning for warning in right["warnings"])


def test_a_flood_of_another_matrix_is_refused_with_the_object(tmp_path: Path) -> None:
    scan = _cylinder(tmp_path)
    flood = Acquisition("STATIC", np.full((1, 64, 64), 100, np.uint16), 3.0, "Flood", flood=True)
    ordered = Ordered("FLOOD", "Flood")
    [one] = compose([flood], ordered, Camera("CAM1"), TRACERS["CO57"], uid=generate_uid, clock=lambda: NOW)
    one.save_as(tmp_path / "flood.dcm", enforce_file_format=True)
    with pytest.raises(Refused, match=r"the flood is \(64, 64\), the projections are \(6, 32\)"):
        _made(scan, tmp_path, {"uniformity": True}, over=(tmp_path / "flood.dcm",))
