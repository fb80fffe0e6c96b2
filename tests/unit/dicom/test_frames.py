"""Frames received against frames the object itself says are due, whatever a camera writes."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from core.dicom.compose import Camera, Ordered, compose
from core.dicom.frames import frames_received, image_type, is_original, pointers, vector
from core.dicom.tracers import TRACERS
from core.imaging import phantom
from core.imaging.acquisition import Acquisition, Phase

NM = "1.2.840.10008.5.1.4.1.1.20"


def _object(*acquisitions: Acquisition) -> Dataset:
    numbers = itertools.count(1)
    camera = Camera("CAM1")
    uid = lambda: f"1.2.3.{next(numbers)}"  # noqa: E731 - a maker
    clock = lambda: datetime(2026, 10, 12, tzinfo=UTC)  # noqa: E731 - a clock
    return compose(acquisitions, Ordered("P1", "Zhang^Wei"), camera, TRACERS["MDP"], uid=uid, clock=clock)[0]


def _nm(kind: str, frames: int | None = None, **values: object) -> Dataset:
    out = Dataset()
    out.SOPClassUID = NM
    out.Modality = "NM"
    out.ImageType = ["ORIGINAL", "PRIMARY", kind, "EMISSION"]
    out.Rows = out.Columns = 64
    if frames is not None:
        out.NumberOfFrames = frames
    for name, value in values.items():
        setattr(out, name, value)
    return out


@pytest.mark.parametrize(
    ("code", "due"),
    [
        ("BONE-WB", 2),
        ("THYROID", 1),
        ("RENO-MAG3", 60),
        ("MUGA", 24),
        ("MPI-STRESS", 60),
        ("MPI-GATED", 480),
        ("LUNG-PERF", 2),
    ],
)
def test_what_a_whole_object_holds_is_what_it_says_is_due(code: str, due: int) -> None:
    count = frames_received(_object(phantom.OF_PROCEDURE[code](np.random.default_rng(1)).acquisitions[0]))
    assert (count.frames, count.expected_by_vectors, count.unit) == (due, due, "frames")


def test_phases_of_different_length_and_two_detectors_add_up() -> None:
    frames = np.ones((2 * (30 + 40), 8, 8), np.uint16)
    phases = (Phase(30, 1000), Phase(40, 20_000))
    dataset = _object(Acquisition("DYNAMIC", frames, 4, "Flow", ("ANT", "POST"), phases=phases))
    assert frames_received(dataset).expected_by_vectors == 140
    del dataset.PhaseInformationSequence
    assert frames_received(dataset).expected_by_vectors == 140, "the vectors alone tell it too"


def test_an_acquisition_stopped_early_is_short_of_frames() -> None:
    dataset = _object(phantom.renogram(np.random.default_rng(1)).acquisitions[0])
    dataset.NumberOfFrames = 41
    count = frames_received(dataset)
    assert (count.frames, count.expected_by_vectors) == (41, 60)


def test_frames_that_never_came_are_not_counted() -> None:
    dataset = _object(phantom.renogram(np.random.default_rng(1)).acquisitions[0])
    dataset.PixelData = dataset.PixelData[: 7 * 128 * 128 * 2 + 100]
    assert frames_received(dataset).frames == 7


def test_a_vector_of_one_number_is_a_vector() -> None:
    dataset = _nm("STATIC", 1, EnergyWindowVector=1, DetectorVector=1, FrameIncrementPointer=[0x00540010, 0x00540020])
    assert vector(dataset, "EnergyWindowVector") == (1,)
    assert pointers(dataset) == ("EnergyWindowVector", "DetectorVector")
    assert frames_received(dataset).expected_by_vectors == 1


def test_without_pointer_and_numbers_the_vectors_tell() -> None:
    dataset = _nm("", 4, EnergyWindowVector=[1, 1, 2, 2], DetectorVector=[1, 2, 1, 2])
    assert frames_received(dataset).expected_by_vectors == 4


def test_reconstructed_slices_are_counted_by_their_number() -> None:
    count = frames_received(_nm("RECON TOMO", 13, NumberOfSlices=45, SliceVector=list(range(1, 14))))
    assert (count.frames, count.expected_by_vectors) == (13, 45)


def test_where_nothing_tells_nothing_is_expected() -> None:
    count = frames_received(_nm("STATIC", 3))
    assert (count.frames, count.expected_by_vectors, count.unit) == (3, None, "instances")


def test_absurd_numbers_are_passed_over() -> None:
    dataset = _nm("STATIC", 2, NumberOfEnergyWindows=0, NumberOfDetectors=65_535, DetectorVector=[1, 2])
    dataset.NumberOfEnergyWindows = 40_000
    assert frames_received(dataset).expected_by_vectors is None


def test_a_pet_slice_says_how_many_its_series_has() -> None:
    dataset = _object(*phantom.pet_slices(np.random.default_rng(1), slices=3, lesion=(0, 0, 0)).acquisitions)
    count = frames_received(dataset)
    assert (count.frames, count.unit, count.expected_in_series) == (1, "instances", 3)


@pytest.mark.parametrize(
    ("storage_class", "types", "counts"),
    [
        (NM, ["ORIGINAL", "PRIMARY", "STATIC", "EMISSION"], True),
        (NM, ["DERIVED", "PRIMARY", "RECON TOMO", "EMISSION"], False),
        (NM, None, True),
        ("1.2.840.10008.5.1.4.1.1.7", ["ORIGINAL", "PRIMARY"], False),
        ("1.2.840.10008.5.1.4.1.1.7.4", ["ORIGINAL", "PRIMARY"], False),
        ("1.2.840.10008.5.1.4.1.1.88.11", None, False),
        ("1.2.840.10008.5.1.4.1.1.104.1", ["ORIGINAL", "PRIMARY"], False),
        ("1.2.840.10008.5.1.4.1.1.77.1.4", ["ORIGINAL", "PRIMARY"], True),
        ("1.2.840.10008.5.1.4.1.1.128", ["ORIGINAL", "PRIMARY"], True),
    ],
)
def test_only_images_of_the_patient_count_as_originals(
    storage_class: str, types: list[str] | None, *, counts: bool
) -> None:
    dataset = Dataset()
    dataset.SOPClassUID = storage_class
    dataset.Rows = dataset.Columns = 64
    if types is not None:
        dataset.ImageType = types
    assert is_original(dataset) is counts


def test_an_object_without_rows_is_no_image() -> None:
    dataset = Dataset()
    dataset.SOPClassUID = NM
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    assert not is_original(dataset)
    assert not is_original(Dataset())


KEYWORDS = (
    "ImageType",
    "NumberOfFrames",
    "FrameIncrementPointer",
    "EnergyWindowVector",
    "DetectorVector",
    "PhaseVector",
    "TimeSliceVector",
    "NumberOfEnergyWindows",
    "NumberOfDetectors",
    "PhaseInformationSequence",
    "RotationInformationSequence",
    "NumberOfSlices",
    "Rows",
    "SOPClassUID",
    "Modality",
    "PixelData",
    "SeriesType",
)


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's own words about what is broken
@given(
    values=st.dictionaries(
        st.sampled_from(KEYWORDS),
        st.tuples(
            st.sampled_from(["US", "IS", "DS", "CS", "AT", "SQ", "UN", "OB", "FD", "UI", "LO", "ZZ"]),
            st.binary(max_size=24),
        ),
    )
)
def test_no_broken_value_stops_the_count(values: dict[str, tuple[str, bytes]]) -> None:
    dataset = Dataset()
    for keyword, (vr, raw) in values.items():
        tag = Tag(keyword)
        dataset[tag] = RawDataElement(tag, vr, len(raw), raw, 0, is_implicit_VR=False, is_little_endian=True)
    count = frames_received(dataset)
    assert count.frames >= 0
    assert count.expected_by_vectors is None or count.expected_by_vectors > 0
    assert is_original(dataset) in {True, False}
    assert isinstance(image_type(dataset), str)
