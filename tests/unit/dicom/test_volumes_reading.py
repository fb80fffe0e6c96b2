"""Files become volumes with their places, moments and values; what does not fit is told or refused, never guessed."""

from __future__ import annotations

import copy
import random
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.data import get_testdata_file

from core.dicom.volumes import volume_of, volumes_in
from core.dicom.volumes.reading import gathered
from core.errors import Refused
from core.imaging import phantom
from tests.volumetric import SimpleITK, apart_from, ct_series, itk, itk_affine, objects_of, written

SHARED = Path(__file__).parents[4] / "shared" / "data"
real = pytest.mark.skipif(not SHARED.is_dir(), reason="the real files are not beside this checkout")


def _values(slices: int = 6) -> NDArray[np.int16]:
    return np.random.default_rng(1).integers(-500, 1000, (slices, 8, 9), np.int16)


def _sample(name: str) -> Path:
    return Path(str(get_testdata_file(name, download=False)))


# -- series of single slices -------------------------------------------------------------------------------------------


def test_slices_in_any_order_make_the_volume_simpleitk_makes(tmp_path: Path) -> None:
    values = _values()
    paths = written(tmp_path, ct_series(values))
    random.Random(3).shuffle(paths)
    volume = volume_of(paths)
    assert (volume.array == values).all()
    assert np.allclose(volume.affine, itk_affine(itk(paths)), atol=1e-9)
    assert (volume.unit, volume.modality, volume.notes, volume.gaps) == ("HU", "CT", (), ())
    assert len(volume.sources) == 6


@pytest.mark.parametrize("seed", range(8))
def test_oblique_slices_lie_where_simpleitk_has_them(seed: int, tmp_path: Path) -> None:
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    objects = ct_series(_values())
    for number, one in enumerate(objects):
        one.ImageOrientationPatient = [f"{value:.12g}"[:16] for value in (*turn[:, 0], *turn[:, 1])]
        one.ImagePositionPatient = [f"{value:.12g}"[:16] for value in turn[:, 2] * 2.5 * number + (1, 2, 3)]
    paths = written(tmp_path, objects)
    off, different = apart_from(itk(paths), volume_of(paths))
    assert off < 1e-3
    assert different == 0


def test_a_missing_slice_stays_empty_and_is_told(tmp_path: Path) -> None:
    values = _values()
    paths = written(tmp_path, ct_series(values))
    volume = volume_of([path for number, path in enumerate(paths) if number != 2])
    assert volume.gaps == (2,)
    assert (volume.array[2] == 0).all()
    assert (volume.array[3:] == values[3:]).all()
    assert "1 of 6 slices are missing and empty here: number 3" in volume.notes[0]


def test_a_series_of_holes_makes_no_volume(tmp_path: Path) -> None:
    paths = written(tmp_path, ct_series(_values(9)))
    with pytest.raises(Refused, match="5 of 9 slices are missing"):
        volume_of([paths[0], paths[1], paths[7], paths[8]])


def test_a_position_beyond_all_measure_is_refused(tmp_path: Path) -> None:
    objects = ct_series(_values())
    objects[3].ImagePositionPatient[2] = "1e15"
    with pytest.raises(Refused, match="its position is broken"):
        volume_of(written(tmp_path, objects))


def test_uneven_slices_are_refused_with_their_distances(tmp_path: Path) -> None:
    objects = ct_series(_values())
    objects[3].ImagePositionPatient[2] += 1.1
    with pytest.raises(Refused, match=r"not evenly spaced: their distances run from 1\.90 to 4\.10 mm"):
        volume_of(written(tmp_path, objects))


def test_the_same_object_twice_counts_once_and_is_told(tmp_path: Path) -> None:
    paths = written(tmp_path, ct_series(_values()))
    again = [Path(shutil.copy(path, tmp_path / f"again{path.name}")) for path in paths[:2]]
    volume = volume_of(paths + again)
    assert volume.grid == (6, 8, 9)
    assert volume.notes == ("2 objects came twice",)


def test_two_slices_in_one_place_that_nothing_tells_apart_are_told(tmp_path: Path) -> None:
    objects = ct_series(_values())
    double = ct_series(_values() + 1)[2]
    double.SOPInstanceUID = double.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    double.SeriesInstanceUID, double.FrameOfReferenceUID = objects[0].SeriesInstanceUID, objects[0].FrameOfReferenceUID
    volume = volume_of(written(tmp_path, [*objects, double]))
    assert (volume.array[2] == _values()[2]).all()
    assert volume.notes == ("1 slices lie where another does: the first of each is taken",)


def test_slices_of_several_times_are_moments(tmp_path: Path) -> None:
    objects = []
    for moment, trigger in enumerate((0, 120, 60)):
        for one in ct_series(_values() + moment):
            one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{moment}.{one.InstanceNumber}"
            one.TriggerTime = trigger
            one.AcquisitionTime = f"10{moment:02}{int(one.InstanceNumber):02}"
            objects.append(one)
    volume = volume_of(written(tmp_path, objects))
    assert volume.moments == ("0 ms", "60 ms", "120 ms")
    assert (volume.array == np.stack([_values(), _values() + 2, _values() + 1])).all()


def test_a_moment_that_lacks_a_slice_is_a_volume_of_its_own(tmp_path: Path) -> None:
    objects = []
    for moment in range(2):
        for one in ct_series(_values() + moment)[: 6 - moment]:
            one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{moment}.{one.InstanceNumber}"
            one.TemporalPositionIdentifier = moment + 1
            objects.append(one)
    found = volumes_in(written(tmp_path, objects))
    assert [one.grid[0] for one in found] == [6, 5]
    assert "time 2: its slices are not those of the others" in found[1].notes


def test_pet_tells_its_moments_by_the_index_of_its_images(tmp_path: Path) -> None:
    objects = []
    for moment in range(2):
        for place, one in enumerate(ct_series(np.abs(_values(4)) + moment, pet=True)):
            one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{moment}.{place}"
            one.SeriesType, one.NumberOfSlices, one.NumberOfTimeSlices = ["DYNAMIC", "IMAGE"], 4, 2
            one.ImageIndex = one.InstanceNumber = moment * 4 + place + 1
            one.FrameReferenceTime = str(moment * 60_000)
            objects.append(one)
    volume = volume_of(written(tmp_path, objects))
    assert volume.moments == ("0 ms", "60000 ms")
    assert volume.array.shape == (2, 4, 8, 9)
    assert (volume.array[1] - volume.array[0] == 1).all()


def test_each_slice_is_taken_by_its_own_slope(tmp_path: Path) -> None:
    objects = ct_series(np.full((3, 8, 9), 10, np.int16), pet=True)
    for slope, one in enumerate(objects, 1):
        one.RescaleSlope = str(slope)
    volume = volume_of(written(tmp_path, objects))
    assert volume.array[:, 0, 0].tolist() == [10, 20, 30]
    assert volume.unit == "BQML"


def test_a_tilted_gantry_leans_the_volume_and_is_told(tmp_path: Path) -> None:
    objects = ct_series(_values())
    for number, one in enumerate(objects):
        one.ImagePositionPatient[1] += 0.8 * number
    volume = volume_of(written(tmp_path, objects))
    assert np.allclose(volume.affine[:3, 2], (0, 0.8, 3))
    assert "the gantry was tilted: each slice lies 0.80 mm aside" in volume.notes[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"PixelSpacing": None}, "Pixel Spacing is missing"),
        ({"PixelSpacing": ["-2", "2"]}, "Pixel Spacing is not above 0"),
        ({"ImagePositionPatient": None}, r"Image Position \(Patient\) is missing"),
        (
            {"ImageOrientationPatient": ["1", "0", "0", "1", "0", "0"]},
            r"Image Orientation \(Patient\) is missing or no",
        ),
        ({"ImagePositionPatient": ["1", "2", "3"]}, "2 slices lie where another does"),
        ({"Rows": None}, "holds no image"),
        ({"NumberOfFrames": "2"}, "it holds 2 frames and does not say where each lies"),
        ({"PhotometricInterpretation": "RGB"}, "colour picture"),
    ],
)
def test_slices_that_do_not_say_enough_are_refused_by_name(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    objects = ct_series(_values(3))
    for one in objects:
        for name, value in change.items():
            setattr(one, name, value)
    paths = written(tmp_path, objects)
    found = gathered(paths)
    told = "; ".join([*found.complaints, *(note for one in found.volumes for note in one.notes)])
    assert re.search(said, told)
    if not found.volumes:
        with pytest.raises(Refused, match="no volume"):
            volume_of(paths)


def test_one_slice_without_a_place_leaves_the_others_a_volume_and_is_told(tmp_path: Path) -> None:
    objects = ct_series(_values())
    del objects[5].ImagePositionPatient
    volume = volume_of(written(tmp_path, objects))
    assert volume.grid == (5, 8, 9)
    assert objects[5].SOPInstanceUID in volume.notes[-1]


def test_mixed_matrices_are_refused_as_one_and_given_as_two(tmp_path: Path) -> None:
    objects = ct_series(_values())
    for one in objects[3:]:
        one.Rows, one.Columns = 9, 8
    paths = written(tmp_path, objects)
    assert [one.grid for one in volumes_in(paths)] == [(3, 8, 9), (3, 9, 8)]
    with pytest.raises(Refused, match=r"mixed matrices or modalities \(CT 8 x 9, CT 9 x 8\)"):
        volume_of(paths)


def test_slices_that_are_not_parallel_are_refused_as_one(tmp_path: Path) -> None:
    objects = ct_series(_values())
    for one in objects[::2]:
        one.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    with pytest.raises(Refused, match="not parallel, they have 2 directions"):
        volume_of(written(tmp_path, objects))


def test_files_that_are_no_dicom_are_told_and_passed_over(tmp_path: Path) -> None:
    paths = written(tmp_path, ct_series(_values()))
    (tmp_path / "note.txt").write_text("not a picture\n" * 50)
    volume = volume_of([*paths, tmp_path / "note.txt"])
    assert volume.grid[0] == 6
    assert volume.notes[-1].startswith("file 7 of 7")
    with pytest.raises(Refused, match="file 1 of 1"):
        volume_of([tmp_path / "note.txt"])


def test_pixels_cut_short_are_refused(tmp_path: Path) -> None:
    objects = ct_series(_values())
    objects[2].PixelData = objects[2].PixelData[:20]
    with pytest.raises(Refused, match="cut short"):
        volume_of(written(tmp_path, objects))


# -- multi-frame -------------------------------------------------------------------------------------------------------


def _enhanced(values: NDArray[np.int16], *, slopes: bool = False) -> Any:  # noqa: ANN401 - an object
    """Return an Enhanced CT of slices whose frames are stored from the middle outwards."""
    (one, *_) = ct_series(values[:1])
    one.SOPClassUID = one.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "RescaleSlope"):
        delattr(one, name)
    del one.RescaleIntercept, one.RescaleType
    shared, measures, orientation = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [2, 2], 3
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    order = list(range(len(values)))[::-1]
    frames = []
    for place in order:
        frame, position, scale, content = Dataset(), Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [-10, -20, 5 + 3 * place]
        scale.RescaleSlope, scale.RescaleIntercept, scale.RescaleType = (place + 1 if slopes else 1), -7, "HU"
        content.TemporalPositionIndex, content.StackID, content.InStackPositionNumber = 1, "1", place + 1
        frame.PlanePositionSequence, frame.FrameContentSequence = [position], [content]
        frame.PixelValueTransformationSequence = [scale]
        frames.append(frame)
    one.SharedFunctionalGroupsSequence, one.PerFrameFunctionalGroupsSequence = [shared], frames
    one.NumberOfFrames = len(values)
    one.PixelData = values[order].astype("<i2").tobytes()
    return one


def test_an_enhanced_object_is_put_in_order_and_each_frame_has_its_own_slope(tmp_path: Path) -> None:
    values = _values(5)
    volume = volume_of(written(tmp_path, [_enhanced(values, slopes=True)]))
    assert np.allclose(volume.array, values * np.arange(1, 6)[:, None, None] - 7.0)
    assert np.allclose(volume.affine[:3, 3], (-10, -20, 5))
    assert volume.unit == "HU"


def test_an_enhanced_object_lies_where_simpleitk_has_it(tmp_path: Path) -> None:
    paths = written(tmp_path, [_enhanced(_values(5))])
    image = SimpleITK.ReadImage(str(paths[0]))
    off, different = apart_from(image, volume_of(paths))
    assert off < 1e-6
    assert different == 0


def test_an_enhanced_object_may_hold_several_moments(tmp_path: Path) -> None:
    one = _enhanced(_values(4))
    for number, frame in enumerate(one.PerFrameFunctionalGroupsSequence):
        frame.PlanePositionSequence[0].ImagePositionPatient[2] = 5 + 3 * (number % 2)
        frame.FrameContentSequence[0].TemporalPositionIndex = number // 2 + 1
    volume = volume_of(written(tmp_path, [one]))
    assert volume.array.shape == (2, 2, 8, 9)
    assert volume.moments == ("time 1", "time 2")


def test_real_files_of_pydicom_lie_where_simpleitk_has_them() -> None:
    for name in ("CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm", "693_J2KI.dcm"):
        path = _sample(name)
        off, different = apart_from(SimpleITK.ReadImage(str(path)), volume_of([path]))
        assert off < 1e-6
        assert different < 1e-3


def test_a_real_series_of_pydicom_is_the_one_simpleitk_reads() -> None:
    folder = _sample("CT_small.dcm").parent / "dicomdirtests" / "98892001" / "CT5N"
    paths = sorted(folder.iterdir())
    off, different = apart_from(itk(paths), volume_of(paths))
    assert off < 1e-6
    assert different == 0


@pytest.mark.parametrize("name", ["eCT_Supplemental.dcm"])
def test_a_real_enhanced_ct_lies_where_simpleitk_has_it(name: str) -> None:
    found = get_testdata_file(name, download=False)
    if found is None:
        pytest.skip("pydicom-data is not installed")
    off, different = apart_from(SimpleITK.ReadImage(str(found)), volume_of([Path(str(found))]))
    assert off < 1e-6
    assert different == 0


def test_every_file_of_pydicom_makes_a_volume_or_a_complaint() -> None:
    made = 0
    for path in sorted(_sample("CT_small.dcm").parent.glob("*.dcm")):
        try:
            found = gathered([path])
        except Refused:
            continue
        assert found.volumes or found.complaints, path.name
        made += len(found.volumes)
    assert made >= 15


# -- nuclear medicine --------------------------------------------------------------------------------------------------


@real
def test_a_real_jaszczak_phantom_of_negative_spacing_lies_where_simpleitk_has_it() -> None:
    path = SHARED / "nm" / "jaszczak_recon_tomo.dcm"
    volume = volume_of([path])
    assert np.allclose(volume.affine, itk_affine(SimpleITK.ReadImage(str(path))), atol=1e-6)
    assert (volume.array == pydicom.dcmread(path).pixel_array).all()
    assert volume.affine[2, 2] == pytest.approx(-4.13, abs=0.01)


@real
def test_a_real_heart_that_nobody_placed_is_laid_around_the_middle_and_told() -> None:
    volume = volume_of([SHARED / "nm" / "heart_recon_tomo.dcm"])
    assert volume.grid == (13, 64, 64)
    assert volume.voxel_mm == pytest.approx((6.231669, 3.11583, 3.11583))
    assert "nobody says where the slices lie" in volume.notes[0]


@cache
def _tomo() -> Any:  # noqa: ANN401 - an object
    return objects_of(phantom.heart_spect(np.random.default_rng(1)).acquisitions)[0]


def _recon(frames: int = 6, **said: Any) -> Any:  # noqa: ANN401 - an object, values of any element
    """Return an NM RECON TOMO whose slice k is full of k + 1."""
    source = copy.deepcopy(_tomo())
    source.ImageType = ["DERIVED", "PRIMARY", "RECON TOMO", "EMISSION"]
    for name in ("EnergyWindowVector", "DetectorVector", "RotationVector", "AngularViewVector"):
        delattr(source, name)
    source.FrameIncrementPointer, source.SliceVector = 0x00540080, list(range(1, frames + 1))
    source.NumberOfFrames = source.NumberOfSlices = frames
    source.Rows = source.Columns = 4
    source.PixelData = np.repeat(np.arange(1, frames + 1, dtype="<u2"), 16).tobytes()
    source.SpacingBetweenSlices, source.SliceThickness, source.PixelSpacing = "5", "5", ["4", "4"]
    detector = source.DetectorInformationSequence[0]
    detector.ImagePositionPatient, detector.ImageOrientationPatient = [-8, -8, 30], [1, 0, 0, 0, 1, 0]
    for name, value in said.items():
        if value is None:
            delattr(source, name)
        else:
            setattr(source, name, value)
    return source


def _heights(volume: Any) -> list[float]:  # noqa: ANN401 - a volume
    """Return z of the slices in the order of what they are full of."""
    order = np.argsort(volume.array[:, 0, 0])
    return [float(volume.points(np.asarray((place, 0.0, 0.0)))[2]) for place in order]


def test_slices_of_nm_are_stacked_behind_the_first_and_in_front_with_negative_spacing(tmp_path: Path) -> None:
    for spacing, heights in (("5", [30, 35, 40, 45, 50, 55]), ("-5", [30, 25, 20, 15, 10, 5])):
        volume = volume_of(written(tmp_path, [_recon(SpacingBetweenSlices=spacing)]))
        assert _heights(volume) == heights
        assert volume.array[:, 0, 0].tolist() == [1, 2, 3, 4, 5, 6]


def test_the_slice_vector_tells_the_order_not_the_frames(tmp_path: Path) -> None:
    volume = volume_of(written(tmp_path, [_recon(SliceVector=[6, 5, 4, 3, 2, 1])]))
    assert volume.array[:, 0, 0].tolist() == [6, 5, 4, 3, 2, 1]
    assert _heights(volume) == [55, 50, 45, 40, 35, 30]


@pytest.mark.parametrize("vector", [None, 1, [1, 1, 1, 1, 1, 1], [1, 2, 3]])
def test_a_vector_absent_or_broken_is_taken_as_the_standard_orders_it_and_told(vector: object, tmp_path: Path) -> None:
    volume = volume_of(written(tmp_path, [_recon(SliceVector=vector)]))
    assert volume.array[:, 0, 0].tolist() == [1, 2, 3, 4, 5, 6]
    assert "SliceVector is missing or does not fit the frames" in volume.notes[0]


def test_an_absent_pointer_is_made_up_for_by_the_image_type(tmp_path: Path) -> None:
    assert volume_of(written(tmp_path, [_recon(FrameIncrementPointer=None)])).notes == ()


def test_frames_that_claim_the_same_slice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="frames 1 and 2 claim the same place"):
        volume_of(written(tmp_path, [_recon(SliceVector=[1, 1, 2, 3, 4, 5])]))


def test_vectors_longer_than_the_frames_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="its vectors speak of 9 frames, it holds 6"):
        volume_of(written(tmp_path, [_recon(SliceVector=list(range(1, 10)))]))


def test_a_claim_of_more_frames_than_anything_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="its Number of Frames is broken"):
        volume_of(written(tmp_path, [_recon(NumberOfFrames=99_999_999)]))


def test_gated_slices_have_their_slots_as_moments_whatever_varies_fastest(tmp_path: Path) -> None:
    gated: dict[str, Any] = {
        "ImageType": ["DERIVED", "PRIMARY", "RECON GATED TOMO", "EMISSION"],
        "FrameIncrementPointer": [0x00540080, 0x00540070],
        "SliceVector": [1, 1, 2, 2, 3, 3], "TimeSlotVector": [1, 2, 1, 2, 1, 2], "NumberOfTimeSlots": 2,
    }  # fmt: skip
    volume = volume_of(written(tmp_path, [_recon(**gated)]))
    assert volume.moments == ("slot 1", "slot 2")
    assert volume.array[:, :, 0, 0].tolist() == [[1, 3, 5], [2, 4, 6]]


def test_a_position_at_the_top_stands_in_for_a_detector_that_says_none(tmp_path: Path) -> None:
    one = _recon(ImagePositionPatient=[1, 2, 3], ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    del one.DetectorInformationSequence[0].ImagePositionPatient
    assert volume_of(written(tmp_path, [one])).affine[:3, 3].tolist() == [1, 2, 3]


def test_slices_of_nm_in_files_of_their_own_make_one_volume(tmp_path: Path) -> None:
    objects = []
    for place in range(3):
        one = _recon(1, InstanceNumber=place + 1, SOPInstanceUID=f"1.2.3.{place}")
        one.DetectorInformationSequence[0].ImagePositionPatient[2] = 30 + 5 * place
        objects.append(one)
    volume = volume_of(written(tmp_path, objects))
    assert volume.grid == (3, 4, 4)
    assert np.allclose(volume.affine[:3, 2], (0, 0, 5))


def test_projections_are_no_volume_and_say_so(tmp_path: Path) -> None:
    paths = written(tmp_path, [_tomo()])
    assert volumes_in(paths) == []
    with pytest.raises(Refused, match="TOMO images are projections and have no depth"):
        volume_of(paths)


def test_a_mapping_to_real_values_is_used_where_there_is_no_slope(tmp_path: Path) -> None:
    mapping, code = Dataset(), Dataset()
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 12.5, 0.0
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "Bq/ml", "UCUM", "Becquerels/milliliter"
    mapping.MeasurementUnitsCodeSequence = [code]
    volume = volume_of(written(tmp_path, [_recon(RealWorldValueMappingSequence=[mapping])]))
    assert volume.unit == "BQML"
    assert volume.array[:, 0, 0].tolist() == [12.5, 25, 37.5, 50, 62.5, 75]
