"""Projections as cameras send them: several detectors, any arc, vectors in disorder; what is missing is named."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.dicom.volumes import acquired_in, projected_in
from core.dicom.volumes.isotopes import named
from core.errors import Refused
from core.imaging import phantom
from core.imaging.acquisition import Acquisition, Orbit, Phantom, View
from core.imaging.reconstruction.backprojection import filtered_backprojection
from tests.volumetric import objects_of, written

VIEWS, SLOTS = 12, 2
_VIEWS: tuple[View, ...] = ("ANT", "POST")


def _counts(frames: int) -> np.ndarray[Any, np.dtype[np.uint16]]:
    """Return frames full of their own number, each with a hotter pixel in its upper left corner."""
    counts = np.repeat(np.arange(1, frames + 1, dtype=np.uint16), 8 * 8).reshape(frames, 8, 8)
    counts[:, 0, 0] += 1000
    return counts


@cache
def _source(kind: str, detectors: int, windows: int) -> Any:  # noqa: ANN401 - an object
    slots = SLOTS if kind == "GATED TOMO" else 1
    step = 360 / VIEWS / detectors
    return objects_of(
        [
            Acquisition(
                kind, _counts(VIEWS * slots * detectors * windows), 6.0, "SPECT",  # type: ignore[arg-type]
                _VIEWS[:detectors], ("Tc99m", "I131")[:windows], 20_000,
                orbit=Orbit(VIEWS, 180, step, 200, True, (180.0, 0.0)[:detectors]), time_slots=slots, beat_ms=800,
            )
        ]
    )[0]  # fmt: skip


def tomo(kind: str = "TOMO", detectors: int = 1, windows: int = 1, **said: Any) -> Any:  # noqa: ANN401 - an object, any values
    one = copy.deepcopy(_source(kind, detectors, windows))
    for name, value in said.items():
        target = one.RotationInformationSequence[0] if name in _OF_ROTATION else one
        if value is None:
            target.pop(name, None)
        else:
            setattr(target, name, value)
    return one


_OF_ROTATION = {
    "StartAngle",
    "AngularStep",
    "RotationDirection",
    "ScanArc",
    "RadialPosition",
    "NumberOfFramesInRotation",
}


def test_views_have_their_angles_and_counts(tmp_path: Path) -> None:
    acquired = acquired_in(written(tmp_path, [tomo()])[0])
    (scan,) = acquired.projections["Tc99m"]
    assert scan.counts.shape == (VIEWS, 8, 8)
    assert scan.angles_deg.tolist() == [(180 - 30 * view) % 360 for view in range(VIEWS)]
    assert scan.counts[:, 4, 4].tolist() == list(range(1, VIEWS + 1))
    assert (scan.pixel_mm, scan.slice_mm, scan.view_s) == (6, 6, 20)
    assert set(scan.radius_mm.tolist()) == {200}
    assert (acquired.nuclide, acquired.half_life_s, acquired.main) == ("Tc99m", 21_672, "Tc99m")
    assert acquired.started_s.tolist() == [20.0 * view for view in range(VIEWS)]
    assert acquired.notes == ()


def test_detectors_start_where_each_stood_and_count_together(tmp_path: Path) -> None:
    acquired = acquired_in(written(tmp_path, [tomo(detectors=2)])[0])
    (scan,) = acquired.projections["Tc99m"]
    assert scan.views == 2 * VIEWS
    assert scan.angles_deg[:2].tolist() == [180, 165]
    assert scan.angles_deg[VIEWS : VIEWS + 2].tolist() == [0, 345]
    assert acquired.started_s[0] == acquired.started_s[VIEWS] == 0


def test_views_numbered_on_from_detector_to_detector_are_counted_from_each_ones_first(tmp_path: Path) -> None:
    one = tomo(detectors=2, AngularViewVector=list(range(1, 2 * VIEWS + 1)))
    acquired = acquired_in(written(tmp_path, [one])[0])
    assert acquired.projections["Tc99m"][0].angles_deg[VIEWS] == 0
    assert "numbered on from detector to detector" in acquired.notes[0]


def test_detectors_with_rotations_of_their_own_start_where_these_say(tmp_path: Path) -> None:
    one = tomo(detectors=2, RotationVector=[1] * VIEWS + [2] * VIEWS, NumberOfRotations=2)
    second = copy.deepcopy(one.RotationInformationSequence[0])
    second.StartAngle = "0"
    one.RotationInformationSequence.append(second)
    acquired = acquired_in(written(tmp_path, [one])[0])
    assert acquired.projections["Tc99m"][0].angles_deg[[0, VIEWS]].tolist() == [180, 0]
    assert acquired.started_s[VIEWS] == 0


def test_rotations_one_after_another_begin_when_the_one_before_ended(tmp_path: Path) -> None:
    one = tomo(RotationVector=[1] * 6 + [2] * 6, AngularViewVector=[*range(1, 7)] * 2, NumberOfRotations=2)
    one.RotationInformationSequence[0].NumberOfFramesInRotation = 6
    second = copy.deepcopy(one.RotationInformationSequence[0])
    second.StartAngle, second.RotationDirection = "30", "CC"
    one.RotationInformationSequence.append(second)
    acquired = acquired_in(written(tmp_path, [one])[0])
    assert acquired.started_s[6] == 120
    assert acquired.projections["Tc99m"][0].angles_deg[6:8].tolist() == [30, 60]


def test_where_a_detector_stood_may_follow_from_the_direction_of_its_image(tmp_path: Path) -> None:
    one = tomo(detectors=2)
    for detector in one.DetectorInformationSequence:
        del detector.StartAngle
    (scan,) = acquired_in(written(tmp_path, [one])[0]).projections["Tc99m"]
    assert scan.angles_deg[[0, VIEWS]].tolist() == [180, 0]


def test_slots_are_told_apart_and_windows_named(tmp_path: Path) -> None:
    acquired = acquired_in(written(tmp_path, [tomo("GATED TOMO", windows=2)])[0])
    assert list(acquired.projections) == ["Tc99m", "I131"]
    assert [scan.counts[0, 4, 4] for scan in acquired.projections["Tc99m"]] == [1, 1 + VIEWS]
    assert [scan.counts[0, 4, 4] for scan in acquired.projections["I131"]] == [1 + 2 * VIEWS, 1 + 3 * VIEWS]
    assert acquired.slot_ms == 400
    assert acquired.windows["Tc99m"].limits_kev == (126.5, 154.6)
    assert acquired.windows["Tc99m"].width_kev == pytest.approx(28.1)


def test_windows_beside_the_photopeak_are_found_for_scatter(tmp_path: Path) -> None:
    one = tomo(windows=2)
    lower = one.EnergyWindowInformationSequence[1]
    lower.EnergyWindowName = "Scatter"
    lower.EnergyWindowRangeSequence[0].EnergyWindowLowerLimit = "114"
    lower.EnergyWindowRangeSequence[0].EnergyWindowUpperLimit = "126"
    acquired = acquired_in(written(tmp_path, [one])[0])
    assert acquired.main == "Tc99m"
    assert acquired.beside("Tc99m") == ("Scatter", None)


def test_windows_of_one_name_keep_their_numbers(tmp_path: Path) -> None:
    one = tomo(windows=2)
    one.EnergyWindowInformationSequence[1].EnergyWindowName = "Tc99m"
    assert list(acquired_in(written(tmp_path, [one])[0]).projections) == ["Tc99m", "Tc99m window 2"]


def test_frames_in_another_order_are_put_in_theirs_by_the_vectors(tmp_path: Path) -> None:
    one = tomo("GATED TOMO")
    by_slot = np.arange(1, VIEWS * SLOTS + 1).reshape(SLOTS, VIEWS)
    one.PixelData = np.repeat(by_slot.T.ravel().astype("<u2"), 64).tobytes()
    one.TimeSlotVector = [1, 2] * VIEWS
    one.AngularViewVector = [view for view in range(1, VIEWS + 1) for _ in range(SLOTS)]
    scans = acquired_in(written(tmp_path, [one])[0]).projections["Tc99m"]
    assert [scan.counts[:, 0, 0].tolist() for scan in scans] == by_slot.tolist()


def test_without_vectors_frames_are_taken_in_the_order_of_the_standard_and_it_is_told(tmp_path: Path) -> None:
    one = tomo("GATED TOMO", detectors=2, windows=2)
    kept = acquired_in(written(tmp_path / "whole", [one])[0])
    for name in ("EnergyWindow", "Detector", "Rotation", "RRInterval", "TimeSlot", "AngularView"):
        delattr(one, f"{name}Vector")
    del one.FrameIncrementPointer
    acquired = acquired_in(written(tmp_path / "bare", [one])[0])
    for name, scans in kept.projections.items():
        assert all(
            (scan.counts == other.counts).all() for scan, other in zip(scans, acquired.projections[name], strict=True)
        )
    assert "AngularViewVector is missing" in " ".join(acquired.notes)


def test_a_vector_of_what_there_is_one_of_may_be_a_number_or_absent_without_a_word(tmp_path: Path) -> None:
    one = tomo(RotationVector=1, DetectorVector=None)
    assert acquired_in(written(tmp_path, [one])[0]).notes == ()


def test_a_missing_view_leaves_its_angle_out_and_is_told(tmp_path: Path) -> None:
    one = tomo(NumberOfFrames=VIEWS - 1)
    for name in ("EnergyWindowVector", "DetectorVector", "RotationVector"):
        setattr(one, name, [1] * (VIEWS - 1))
    one.AngularViewVector = [1, 2, 3, *range(5, VIEWS + 1)]
    one.PixelData = one.PixelData[128:]
    acquired = acquired_in(written(tmp_path, [one])[0])
    assert 90 not in acquired.projections["Tc99m"][0].angles_deg
    assert "1 of 12 views are missing" in acquired.notes


def test_radii_may_be_one_for_each_view(tmp_path: Path) -> None:
    radii = [str(200 + view) for view in range(VIEWS)]
    scan = acquired_in(written(tmp_path, [tomo(RadialPosition=radii)])[0]).projections["Tc99m"][0]
    assert scan.radius_mm.tolist() == list(range(200, 200 + VIEWS))
    acquired = acquired_in(written(tmp_path, [tomo(RadialPosition=radii[:5])])[0])
    assert acquired.projections["Tc99m"][0].radius_mm.size == 0
    assert "the radius of some views is missing: none is used" in acquired.notes


def test_images_with_the_feet_up_are_turned(tmp_path: Path) -> None:
    one = tomo()
    one.DetectorInformationSequence[0].ImageOrientationPatient = [1, 0, 0, 0, 0, 1]
    (scan,) = acquired_in(written(tmp_path, [one])[0]).projections["Tc99m"]
    assert scan.counts[0, 7, 0] == 1001


def test_saturated_pixels_are_told(tmp_path: Path) -> None:
    one = tomo()
    one.PixelData = b"\xff\xff" * 8 + one.PixelData[16:]
    assert "saturated" in " ".join(acquired_in(written(tmp_path, [one])[0]).notes)


def test_a_window_without_counts_is_left_out_and_told(tmp_path: Path) -> None:
    one = tomo(windows=2)
    one.PixelData = one.PixelData[: len(one.PixelData) // 2] + bytes(len(one.PixelData) // 2)
    acquired = acquired_in(written(tmp_path, [one])[0])
    assert list(acquired.projections) == ["Tc99m"]
    assert acquired.notes == ("I131: no counts at all, left out",)


def test_a_reconstruction_lies_as_high_as_the_detector_says(tmp_path: Path) -> None:
    one = tomo()
    one.DetectorInformationSequence[0].ImagePositionPatient[2] = 300
    acquired = acquired_in(written(tmp_path, [one])[0])
    volume = acquired.volume([filtered_backprojection(acquired.projections["Tc99m"][0])])
    assert volume.points(np.asarray((0.0, 3.5, 3.5))).tolist() == [0, 0, 300]
    assert volume.affine[2, 2] == -6
    assert volume.frame_of_reference == acquired.frame_of_reference != ""


@pytest.mark.parametrize(
    ("said", "missing"),
    [
        ({"StartAngle": None}, "an angle is missing"),
        ({"AngularStep": None, "ScanArc": None}, "an angle is missing"),
        ({"RotationDirection": ""}, "direction of rotation is missing"),
        ({"RotationInformationSequence": []}, "the rotation is missing"),
        ({"PixelSpacing": None}, "Pixel Spacing is empty"),
        ({"PixelData": bytes(VIEWS * 128)}, "no counts at all"),
        ({"AngularStep": "3"}, "an arc of 36 degrees"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "STATIC", "EMISSION"]}, "STATIC images, not the projections"),
        ({"AngularViewVector": [1, 1, *range(3, VIEWS + 1)]}, "frames 1 and 2 claim the same place"),
        (
            {"NumberOfFrames": VIEWS - 2, "PixelData": bytes((VIEWS - 2) * 128)},
            "vectors speak of 12 frames, it holds 10",
        ),
        ({"PixelData": b"\1\1"}, "cut short"),
    ],
)
def test_what_is_missing_is_named_with_the_object(said: dict[str, Any], missing: str, tmp_path: Path) -> None:
    one = tomo(**said)
    with pytest.raises(Refused, match=missing) as refused:
        acquired_in(written(tmp_path, [one])[0])
    assert refused.value.detail.startswith(f"object {one.SOPInstanceUID}: ")


def test_two_detectors_of_which_nobody_knows_where_they_stood_are_refused(tmp_path: Path) -> None:
    one = tomo(detectors=2)
    for detector in one.DetectorInformationSequence:
        del detector.StartAngle, detector.ImageOrientationPatient
    with pytest.raises(Refused, match="2 detectors, but where each stood is missing"):
        acquired_in(written(tmp_path, [one])[0])


def test_a_slot_that_lacks_views_is_refused(tmp_path: Path) -> None:
    one = tomo("GATED TOMO")
    one.AngularViewVector = [*range(1, VIEWS + 1), *range(1, VIEWS), 40]
    with pytest.raises(Refused, match="1 of 13 views are missing in energy window 1, time slot 1"):
        acquired_in(written(tmp_path, [one])[0])


@pytest.mark.parametrize(
    ("words", "isotope"),
    [
        ("^99m^Technetium", "Tc99m"), ("Tc-99m MIBI", "Tc99m"), ("99mTc", "Tc99m"), ("TECHNETIUM TC99M", "Tc99m"),
        ("FLUORINE 18", "F18"), ("I-123 ioflupane", "I123"), ("201 Thallium", "Tl201"), ("FDG", ""), ("MIBI 2", ""),
    ],
)  # fmt: skip
def test_an_isotope_is_known_by_many_names(words: str, isotope: str) -> None:
    assert named(words) == isotope


# -- planar images -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "shape", "volumes"),
    [
        (phantom.thyroid, (1, 256, 256), 1),
        (phantom.renogram, (60, 1, 128, 128), 1),
        (phantom.gated_blood_pool, (24, 1, 64, 64), 1),
        (phantom.bone_whole_body, (1, 1024, 256), 2),
        (phantom.gated_heart_spect, (240, 1, 64, 64), 2),
    ],
)
def test_every_kind_of_nuclear_image_has_the_one_format(
    make: Callable[[np.random.Generator], Phantom], shape: tuple[int, ...], volumes: int, tmp_path: Path
) -> None:
    acquisition = make(np.random.default_rng(1)).acquisitions[0]
    (path,) = written(tmp_path, objects_of([acquisition]))
    found = projected_in(path)
    assert [one.array.shape for one in found] == [shape] * volumes
    assert all(one.planar and one.unit == "counts" for one in found)
    assert sum(float(one.array.sum(dtype=np.float64)) for one in found) == acquisition.frames.sum(dtype=np.int64)
    if len(shape) == 4:
        assert len(found[0].moments) == shape[0] == len(set(found[0].moments))


def test_planar_images_lie_in_the_plane_of_their_detector(tmp_path: Path) -> None:
    front, back = projected_in(
        written(tmp_path, objects_of(phantom.bone_whole_body(np.random.default_rng(1)).acquisitions))[0]
    )
    assert front.affine[0, 0] > 0 > back.affine[0, 0]  # the patient's left is at the right of the view from the front
    assert front.affine[2, 1] == back.affine[2, 1] < 0  # the head is up


def test_slices_are_no_planar_images(tmp_path: Path) -> None:
    one = tomo(ImageType=["DERIVED", "PRIMARY", "RECON TOMO", "EMISSION"])
    with pytest.raises(Refused, match="no planar images"):
        projected_in(written(tmp_path, [one])[0])
