"""What we make of volumes is judged by dciodvfy and read by DCMTK, by GDCM through SimpleITK, and by Orthanc."""

from __future__ import annotations

import copy
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.data import get_testdata_file
from scipy.spatial.transform import Rotation

from core.dicom.volumes import (
    acquired_in,
    recon_tomo,
    resampled_series,
    secondary_capture,
    segmentation,
    spatial_registration,
    transform_of,
    volume_of,
    written_like,
)
from core.errors import Refused
from core.imaging import phantom
from core.imaging.reconstruction.backprojection import filtered_backprojection
from core.imaging.volume import Affine, Volume, centred_affine
from tests.peers.orthanc import orthanc
from tests.volumetric import SimpleITK, apart_from, ct_series, itk, made, objects_of, uid_maker, written

SHARED = Path(__file__).parents[3] / "shared" / "data"
RNG = np.random.default_rng(1)
new_uid = uid_maker("1.2.826.0.1.3680043.10.1511.7")


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Volume, Dataset]:
    """Return a reconstructed gated heart, and the header of its projections."""
    folder = tmp_path_factory.mktemp("gated")
    acquired = acquired_in(written(folder, objects_of(phantom.gated_heart_spect(RNG).acquisitions))[0])
    return acquired.volume(
        [filtered_backprojection(one) for one in acquired.projections[acquired.main]]
    ), acquired.header


def _oblique(volume: Volume) -> Volume:
    """Return slices cut askew, as those along the heart are."""
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", (30, 40, 50), degrees=True).as_matrix()
    return Volume(volume.array, turn @ volume.affine, volume.unit, "NM", volume.moments, volume.frame_of_reference)


def _errors(path: Path) -> list[str]:
    judged = subprocess.run(
        ["dciodvfy", str(path)], capture_output=True, text=True, timeout=60, check=False, errors="replace"
    )
    return [line for line in (judged.stdout + judged.stderr).splitlines() if line.startswith("Error")]


def _sources() -> dict[str, Dataset]:
    """Return headers of real and made objects, some of them in bad order."""
    found: dict[str, Dataset] = {
        name: pydicom.dcmread(str(get_testdata_file(f"{name}.dcm"))) for name in ("CT_small", "MR_small")
    }
    found["PET"] = ct_series(np.ones((1, 4, 4), np.int16), pet=True)[0]
    found["heart"] = objects_of(phantom.heart_spect(RNG).acquisitions)[0]
    found["kidneys"] = objects_of(phantom.dmsa(RNG).acquisitions)[0]
    for path in sorted((SHARED / "nm").glob("*.dcm")):
        found[path.stem] = pydicom.dcmread(path)
    return found


def _every_object(volume: Volume, like: Dataset) -> dict[str, Dataset]:
    how = made("OSEM", [like], iterations=4, cutoff=0.35)
    still = volume.moment(0)
    masks = {"病灶 1": still.array > 0.5 * still.array.max(), "Lesion 2": still.array > 0.7 * still.array.max()}
    frames = np.zeros((3, 20, 31, 3), np.uint8)
    turn = _rigid()
    objects = {
        "slices": recon_tomo(still, like, how, new_uid),
        "gated slices": recon_tomo(volume, like, how, new_uid),
        "askew": recon_tomo(_oblique(still), like, how, new_uid),
        "negative": recon_tomo(Volume(still.array - 1, still.affine), like, how, new_uid),
        "picture": secondary_capture(frames[:1], like, how, new_uid),
        "pictures": secondary_capture(frames, like, how, new_uid),
        "gray pictures": secondary_capture(frames[..., 0], like, how, new_uid),
        "registration": spatial_registration(turn, [like], [_other_study(like)], how, new_uid),
        "regions": segmentation(masks, still, like, how, new_uid),
    }
    if like.Modality in {"CT", "MR", "PT"}:
        objects["series"] = resampled_series(still, like, how, new_uid)[0]
    return objects


def _rigid() -> Affine:
    turn: Affine = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", (3, -4, 5), degrees=True).as_matrix()
    turn[:3, 3] = 10, -20, 30
    return turn


def _other_study(like: Dataset) -> Dataset:
    other = Dataset()
    other.SOPClassUID, other.SOPInstanceUID = like.SOPClassUID, "1.2.3.4.5"
    other.StudyInstanceUID, other.SeriesInstanceUID, other.FrameOfReferenceUID = "1.2.3.4", "1.2.3.5", "1.2.3.6"
    return other


# -- dciodvfy ----------------------------------------------------------------------------------------------------------


@pytest.mark.peer("dciodvfy")
def test_no_object_has_an_error_whatever_it_was_made_from(gated: tuple[Volume, Dataset], tmp_path: Path) -> None:
    volume = Volume(gated[0].array[:2, 20:30], gated[0].affine, "counts", "NM", gated[0].moments[:2])
    wrong = {}
    for source, like in {**_sources(), "gated heart": gated[1]}.items():
        for kind, one in _every_object(volume, like).items():
            (path,) = written(tmp_path / f"{source} {kind}", [one])
            wrong[source, kind] = _errors(path)
    assert len(wrong) >= 60
    assert {which: errors for which, errors in wrong.items() if errors} == {}


@pytest.mark.peer("dciodvfy")
def test_the_judge_finds_what_is_left_out(gated: tuple[Volume, Dataset], tmp_path: Path) -> None:
    one = recon_tomo(gated[0], gated[1], made(), new_uid)
    del one.TimeSlotVector
    assert _errors(written(tmp_path, [one])[0])


# -- geometry, by GDCM -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spacing", [1, -1])
def test_slices_we_write_lie_where_gdcm_has_them(spacing: int, gated: tuple[Volume, Dataset], tmp_path: Path) -> None:
    volume = _oblique(gated[0].moment(3))
    affine = volume.affine.copy()
    affine[:3, 2] *= spacing
    volume = Volume(volume.array, affine, "counts", "NM")
    (path,) = written(tmp_path, [recon_tomo(volume, gated[1], made(), new_uid)])
    off, different = apart_from(SimpleITK.ReadImage(str(path)), volume)
    assert off < 1e-3
    half_a_word = 0.501 * np.abs(volume.array).max() / 32767
    assert different <= half_a_word
    again = volume_of([path])
    assert np.allclose(again.affine, volume.affine, atol=1e-5)
    assert np.abs(again.array - volume.array).max() <= half_a_word
    assert again.unit == "counts"


@pytest.mark.parametrize("modality", ["CT", "PT"])
def test_a_resampled_series_is_read_by_gdcm_as_we_wrote_it(modality: str, tmp_path: Path) -> None:
    like = ct_series(np.ones((1, 4, 4), np.int16), pet=modality == "PT")[0]
    values = np.rint(RNG.normal(300, 100, (5, 8, 9))) if modality == "CT" else np.abs(RNG.normal(9, 3, (5, 8, 9)))
    plain = Volume(np.asarray(values, np.float32), centred_affine((5, 8, 9), (3.0, 2.0, 2.5)))
    volume = Volume(plain.array, _oblique(plain).affine)
    paths = written(tmp_path, resampled_series(volume, like, made("RESAMPLED", [like]), new_uid))
    step = 0.5 if modality == "CT" else values.max() / 65535
    off, different = apart_from(itk(paths), volume)
    assert off < 1e-3
    assert different <= step
    again = volume_of(paths)
    assert max(apart_from(itk(paths), again)) < 1e-3
    assert again.unit == {"CT": "HU", "PT": "BQML"}[modality]


def test_a_volume_is_written_in_the_modality_of_its_source() -> None:
    volume = Volume(np.ones((3, 4, 5), np.float32), centred_affine((3, 4, 5), (3, 2, 2)))
    kinds = {
        name: [one.Modality for one in written_like(volume, like, made(), new_uid)] for name, like in _sources().items()
    }
    assert (kinds["CT_small"], kinds["PET"], kinds["MR_small"]) == (["CT"] * 3, ["PT"] * 3, ["MR"] * 3)
    assert kinds["heart"] == ["NM"]


def test_a_method_is_coded_by_its_first_word() -> None:
    like = ct_series(np.ones((1, 4, 4), np.int16))[0]
    volume = Volume(np.ones((1, 4, 4), np.float32), centred_affine((1, 4, 4), (3, 2, 2)))
    one = written_like(volume, like, made("RESAMPLED, onto the CT"), new_uid)[0]
    assert one.DerivationCodeSequence[0].CodeMeaning == "Spatial resampling"


def test_gated_slices_keep_moments_counts_and_place(gated: tuple[Volume, Dataset], tmp_path: Path) -> None:
    volume, like = gated
    again = volume_of(written(tmp_path, [recon_tomo(volume, like, made(), new_uid)]))
    assert again.array.shape == volume.array.shape
    assert again.moments == volume.moments
    assert np.allclose(again.affine, volume.affine, atol=1e-6)
    assert np.abs(again.array - volume.array).max() <= np.abs(volume.array).max() / 32767
    assert again.frame_of_reference == volume.frame_of_reference


def test_whole_counts_are_stored_exactly(tmp_path: Path) -> None:
    like = objects_of(phantom.heart_spect(RNG).acquisitions)[0]
    array = RNG.integers(0, 60_000, (4, 8, 8)).astype(np.float32)
    volume = Volume(array, centred_affine((4, 8, 8), (4, 4, 4)), "counts", "NM")
    one = recon_tomo(volume, like, made(), new_uid)
    assert one.RescaleSlope == 1
    assert (volume_of(written(tmp_path, [one])).array == array).all()


# -- DCMTK and Orthanc -------------------------------------------------------------------------------------------------


@pytest.mark.peer("dcmdump", "dcmj2pnm")
def test_dcmtk_reads_every_object_and_draws_the_images(gated: tuple[Volume, Dataset], tmp_path: Path) -> None:
    volume = Volume(gated[0].array[:2, 20:30], gated[0].affine, "counts", "NM", gated[0].moments[:2])
    for kind, one in _every_object(volume, gated[1]).items():
        (path,) = written(tmp_path / kind, [one])
        dumped = subprocess.run(["dcmdump", "-q", path], capture_output=True, timeout=60, check=False)
        assert dumped.returncode == 0, (kind, dumped.stderr)
        assert dumped.stderr == b""
        if "Rows" in one and kind != "regions":
            drawn = subprocess.run(
                ["dcmj2pnm", "+F", "1", path, path.with_suffix(".pnm")], capture_output=True, timeout=60, check=False
            )
            assert drawn.returncode == 0, (kind, drawn.stderr)
            assert path.with_suffix(".pnm").stat().st_size >= one.Rows * one.Columns


@pytest.mark.peer("dcmj2pnm")
def test_dcmtk_sees_the_values_we_wrote(gated: tuple[Volume, Dataset], tmp_path: Path) -> None:
    volume, like = Volume(gated[0].array[0] * 1000, gated[0].affine, "counts", "NM"), gated[1]
    (path,) = written(tmp_path, [recon_tomo(volume, like, made(), new_uid)])
    command = ["dcmj2pnm", "+Wi", "1", "+F", "33", "+op", str(path), str(tmp_path / "drawn.pgm")]
    subprocess.run(command, check=True, timeout=60)
    with Image.open(tmp_path / "drawn.pgm") as drawn:
        levels = np.asarray(drawn, float)
    shown = np.clip(volume.array[32] / volume.array.max(), 0, 1) * 255
    assert np.abs(levels - shown).max() <= 1.5


@pytest.fixture
def archive(tmp_path: Path, free_port: Callable[[], int], peer: Callable[[str], Path]) -> Iterator[httpx.Client]:
    peer("Orthanc")
    with orthanc(tmp_path / "orthanc", free_port(), free_port(), free_port()) as client:
        yield client


@pytest.mark.peer("Orthanc")
def test_orthanc_takes_every_object_and_gives_its_values_back(
    archive: httpx.Client, gated: tuple[Volume, Dataset], tmp_path: Path
) -> None:
    volume = Volume(gated[0].array[:2, 20:30], gated[0].affine, "counts", "NM", gated[0].moments[:2])
    for kind, one in _every_object(volume, gated[1]).items():
        (path,) = written(tmp_path / kind, [one])
        stored = archive.post("/instances", content=path.read_bytes()).raise_for_status().json()
        tags: dict[str, Any] = archive.get(f"/instances/{stored['ID']}/simplified-tags").json()
        assert tags["SOPInstanceUID"] == one.SOPInstanceUID
        assert tags["PatientName"] == "Zhang^Wei=张^伟"
        assert tags["SeriesDescription"] == "左心室 OSEM"
        if kind == "slices":
            assert _frame(archive, stored["ID"], 3).tolist() == one.pixel_array[3].tolist()
        if kind == "pictures":
            assert archive.get(f"/instances/{stored['ID']}/frames/2/preview").status_code == 200


def _frame(archive: httpx.Client, instance: str, number: int) -> NDArray[np.generic]:
    raw = archive.get(f"/instances/{instance}/frames/{number}/raw").raise_for_status().content
    return np.frombuffer(raw, "<i2").reshape(64, 64)


# -- what stands in them -----------------------------------------------------------------------------------------------


def test_every_object_says_how_by_what_and_from_what_it_was_made(gated: tuple[Volume, Dataset]) -> None:
    volume, like = gated
    how = made("OSEM", [like], iterations=4, cutoff=0.35, attenuation="uniform")
    for one in (
        recon_tomo(volume, like, how, new_uid),
        secondary_capture(np.zeros((1, 2, 2), np.uint8), like, how, new_uid),
    ):
        assert one.DerivationDescription == "OSEM: iterations=4; cutoff=0.35; attenuation=uniform; photopeak 0.1.0"
        assert one.DerivationCodeSequence[0].CodeMeaning == "Iterative Reconstruction"
        assert [item.ReferencedSOPInstanceUID for item in one.SourceImageSequence] == [like.SOPInstanceUID]
        assert (one.Manufacturer, one.SoftwareVersions) == ("photopeak", "0.1.0")
        camera, ours = one.ContributingEquipmentSequence
        assert (camera.Manufacturer, camera.PurposeOfReferenceCodeSequence[0].CodeValue) == (
            like.Manufacturer,
            "109101",
        )
        assert ours.ContributionDescription == one.DerivationDescription
        assert one.ImageType[0] == "DERIVED"


def test_times_are_written_in_the_zone_of_the_source(gated: tuple[Volume, Dataset]) -> None:
    like = copy.deepcopy(gated[1])
    like.TimezoneOffsetFromUTC = "+0800"
    one = recon_tomo(gated[0], like, made(), new_uid)
    assert (one.ContentDate, one.ContentTime, one.TimezoneOffsetFromUTC) == ("20261012", "173000", "+0800")
    assert one.AcquisitionTime == like.AcquisitionTime


def test_an_object_of_no_study_is_no_source(gated: tuple[Volume, Dataset]) -> None:
    like = copy.deepcopy(gated[1])
    del like.StudyInstanceUID
    with pytest.raises(Refused, match="no Study Instance UID"):
        recon_tomo(gated[0], like, made(), new_uid)


def test_objects_belong_to_the_patient_the_study_and_the_request(gated: tuple[Volume, Dataset]) -> None:
    volume, like = gated
    one = recon_tomo(volume, like, made(), new_uid)
    for name in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "AccessionNumber"):
        assert one[name].value == like[name].value
    assert one.SeriesInstanceUID != like.SeriesInstanceUID
    assert one.SOPInstanceUID != like.SOPInstanceUID
    assert one.EnergyWindowInformationSequence == like.EnergyWindowInformationSequence


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real files are not beside this checkout")
def test_values_no_object_may_hold_are_left_out() -> None:
    path = SHARED / "nm" / "jaszczak_recon_tomo.dcm"
    like = pydicom.dcmread(path)
    one = recon_tomo(volume_of([path]), like, made(), new_uid)
    assert like.PatientBirthDate == "00000000"
    assert one.PatientBirthDate == ""
    assert not [element for element in one.iterall() if element.tag.is_private]


# -- registration and regions ------------------------------------------------------------------------------------------


def test_a_registration_gives_its_transform_back(gated: tuple[Volume, Dataset], tmp_path: Path) -> None:
    one = spatial_registration(_rigid(), [gated[1]], [_other_study(gated[1])], made(), new_uid)
    (path,) = written(tmp_path, [one])
    assert np.allclose(transform_of(pydicom.dcmread(path)), _rigid(), atol=1e-9)
    still, moved = one.RegistrationSequence
    matrix = moved.MatrixRegistrationSequence[0].MatrixSequence[0]
    assert matrix.FrameOfReferenceTransformationMatrixType == "RIGID"
    there = np.reshape(np.asarray(matrix.FrameOfReferenceTransformationMatrix, float), (4, 4))
    assert np.allclose(there @ _rigid(), np.eye(4), atol=1e-9)
    assert moved.FrameOfReferenceUID == "1.2.3.6"
    assert one.FrameOfReferenceUID == still.get("FrameOfReferenceUID", one.FrameOfReferenceUID)


def test_simpleitk_resamples_by_the_registration_as_we_do(gated: tuple[Volume, Dataset], tmp_path: Path) -> None:
    """The matrix of the object, inverted, is what ITK calls a transform from fixed to moving."""
    volume, like = gated
    moving = Volume(np.maximum(volume.array[0], 0), volume.affine, "counts", "NM")
    read = transform_of(spatial_registration(_rigid(), [like], [_other_study(like)], made(), new_uid))
    ours = moving.resampled(moving, read).array
    (path,) = written(tmp_path, [recon_tomo(moving, like, made(), new_uid)])
    image = SimpleITK.Cast(SimpleITK.ReadImage(str(path)), SimpleITK.sitkFloat32)
    there = SimpleITK.AffineTransform(3)
    there.SetMatrix(read[:3, :3].ravel().tolist())
    there.SetTranslation(read[:3, 3].tolist())
    theirs = SimpleITK.GetArrayFromImage(SimpleITK.Resample(image, image, there, SimpleITK.sitkLinear, 0.0))
    inside = (theirs > 0) & (ours > 0)
    assert inside.sum() > 10_000
    assert np.abs(theirs - ours)[inside].max() < 0.01 * moving.array.max()


@pytest.mark.parametrize("broken", ["no matrix", "two moved", "flat"])
def test_a_registration_that_tells_no_one_transform_is_refused(broken: str, gated: tuple[Volume, Dataset]) -> None:
    one = spatial_registration(_rigid(), [gated[1]], [_other_study(gated[1])], made(), new_uid)
    step = one.RegistrationSequence[1].MatrixRegistrationSequence[0].MatrixSequence[0]
    if broken == "no matrix":
        one.RegistrationSequence = []
    elif broken == "flat":
        step.FrameOfReferenceTransformationMatrix = [0.0] * 16
    else:
        one.RegistrationSequence.append(one.RegistrationSequence[1])
    with pytest.raises(Refused):
        transform_of(one)


def test_gdcm_sees_the_regions_where_we_drew_them(gated: tuple[Volume, Dataset], tmp_path: Path) -> None:
    volume, like = gated[0].moment(0), gated[1]
    mask = np.zeros(volume.grid, bool)
    mask[20:30, 10:40, 15:37] = True
    (path,) = written(tmp_path, [segmentation({"Lesion": mask}, volume, like, made("GROWN", [like]), new_uid)])
    drawn = pydicom.dcmread(path)
    assert (drawn.pixel_array == mask[20:30]).all()
    image = SimpleITK.ReadImage(str(path))
    assert np.allclose(image.GetOrigin(), volume.points(np.asarray((20.0, 0.0, 0.0))))
    assert (SimpleITK.GetArrayFromImage(image).astype(bool) == mask[20:30]).all()


@pytest.mark.parametrize("masks", [{}, {"a": np.zeros((64, 64, 64), bool)}, {"a": np.ones((1, 2, 3), bool)}])
def test_regions_that_are_none_are_refused(masks: dict[str, NDArray[np.bool_]], gated: tuple[Volume, Dataset]) -> None:
    with pytest.raises(Refused, match="region"):
        segmentation(masks, gated[0].moment(0), gated[1], made(), new_uid)


def test_values_that_are_no_numbers_are_not_written(gated: tuple[Volume, Dataset]) -> None:
    array = gated[0].array[0].copy()
    array[3, 4, 5] = np.nan
    with pytest.raises(Refused, match="no numbers"):
        recon_tomo(Volume(array, gated[0].affine), gated[1], made(), new_uid)


def test_slices_that_lean_are_not_written_as_nm(gated: tuple[Volume, Dataset]) -> None:
    affine = gated[0].affine.copy()
    affine[1, 2] = 2
    with pytest.raises(Refused, match="lean"):
        recon_tomo(Volume(gated[0].array, affine), gated[1], made(), new_uid)
