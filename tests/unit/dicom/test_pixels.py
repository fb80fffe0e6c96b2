"""What is stored comes out as what it means, a frame at a time, or with one clear reason why not."""

from __future__ import annotations

import io
import itertools
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

from core.dicom.compose import Camera, Ordered, compose
from core.dicom.pixels import Undecodable, frames_of
from core.dicom.tracers import TRACERS
from core.errors import Refused
from core.imaging import phantom
from core.imaging.acquisition import Acquisition
from core.imaging.display import PictureRequest, render
from core.imaging.window import Window

SHARED = Path(__file__).parents[4] / "shared" / "data"


def _object(*acquisitions: Acquisition) -> Dataset:
    numbers = itertools.count(1)
    uid = lambda: f"1.2.3.{next(numbers)}"  # noqa: E731 - a maker
    clock = lambda: datetime(2026, 10, 12, tzinfo=UTC)  # noqa: E731 - a clock
    return compose(acquisitions, Ordered("P1", "Zhang^Wei"), Camera("CAM1"), TRACERS["MDP"], uid=uid, clock=clock)[0]


def _bytes(dataset: Dataset) -> bytes:
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _sample(name: str) -> Path:
    path = get_testdata_file(name, download=False)
    assert path is not None
    return Path(str(path))


def _plain(**values: object) -> Dataset:
    dataset = _object(phantom.thyroid(np.random.default_rng(1)).acquisitions[0])
    for name, value in values.items():
        setattr(dataset, name, value)
    return dataset


@pytest.fixture
def renogram() -> tuple[Dataset, NDArray[np.generic]]:
    acquisition = phantom.renogram(np.random.default_rng(1)).acquisitions[0]
    return _object(acquisition), acquisition.frames


def test_counts_come_back_as_they_were(renogram: tuple[Dataset, NDArray[np.generic]], tmp_path: Path) -> None:
    dataset, frames = renogram
    path = tmp_path / "renogram.dcm"
    path.write_bytes(_bytes(dataset))
    for source in (dataset, path, path.read_bytes()):
        found = frames_of(source)
        assert (found.array == frames).all()
        assert (found.modality, found.unit, found.spacing_mm, found.frame_ms) == ("NM", "counts", (3.9, 3.9), 20_000)


def test_only_the_frames_wanted_are_read(renogram: tuple[Dataset, NDArray[np.generic]], tmp_path: Path) -> None:
    dataset, frames = renogram
    path = tmp_path / "renogram.dcm"
    path.write_bytes(_bytes(dataset))
    for source in (dataset, path):
        found = frames_of(source, [59, 3])
        assert (found.array == frames[[59, 3]]).all()
        assert (found.indices, found.total) == ((59, 3), 60)
        assert found.labels == ("Posterior frame 60", "Posterior frame 4")


@pytest.mark.parametrize("syntax", [RLELossless, DeflatedExplicitVRLittleEndian])
def test_lossless_syntaxes_give_the_same_counts(
    syntax: pydicom.uid.UID, renogram: tuple[Dataset, NDArray[np.generic]]
) -> None:
    dataset, frames = renogram
    if syntax.is_encapsulated:
        dataset.compress(syntax, generate_instance_uid=False)
    dataset.file_meta.TransferSyntaxUID = syntax
    assert (frames_of(_bytes(dataset), [7]).array[0] == frames[7]).all()


def test_slope_and_intercept_make_values() -> None:
    made = phantom.pet_slices(np.random.default_rng(1), slices=3, lesion=(0, 0, 0)).acquisitions[1]
    found = frames_of(_object(made))
    assert made.slice is not None
    assert np.allclose(found.array, made.frames.astype(float) * made.slice.slope, rtol=1e-4)
    assert found.unit == "BQML"


def test_views_are_named_by_their_codes() -> None:
    body = phantom.bone_whole_body(np.random.default_rng(1), rows=256).acquisitions[0]
    assert frames_of(_object(body)).labels == ("Anterior", "Posterior")


def test_two_energy_windows_are_named() -> None:
    frames = np.ones((2, 8, 8), np.uint16)
    found = frames_of(_object(Acquisition("STATIC", frames, 4, "Dual", ("ANT",), ("Tc99m", "I131"))))
    assert found.labels == ("Anterior Tc99m", "Anterior I131")


def test_the_window_in_the_file_is_kept_and_a_broken_one_is_not() -> None:
    assert frames_of(_plain(WindowCenter="70", WindowWidth="141")).window == Window(-0.5, 139.5)
    assert frames_of(_plain(WindowCenter="70", WindowWidth="0")).window is None


def test_monochrome1_keeps_its_values_and_is_marked() -> None:
    found = frames_of(_plain(PhotometricInterpretation="MONOCHROME1"))
    assert found.inverted
    assert (found.array == frames_of(_plain()).array).all()


def test_a_dataset_without_its_file_header_is_decoded_all_the_same() -> None:
    dataset = _plain()
    bare = pydicom.dcmread(io.BytesIO(_bytes(dataset)))
    del bare.file_meta
    assert (frames_of(bare).array == frames_of(dataset).array).all()


@pytest.mark.parametrize(
    "name",
    [
        "SC_rgb_rle_2frame.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
        "examples_palette.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",
        "SC_rgb_small_odd.dcm",
    ],
)
def test_colour_comes_out_as_red_green_and_blue(name: str) -> None:
    found = frames_of(_sample(name))
    assert found.colour
    assert found.array.dtype == np.uint8


def test_the_same_picture_in_ybr_and_rgb_looks_the_same() -> None:
    plain, ybr = (frames_of(_sample(f"SC_rgb_dcmtk_{kind}.dcm")).array.astype(int) for kind in ("+eb+cr", "+eb+cy+np"))
    assert np.abs(plain - ybr).mean() < 12


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("rtplan.dcm", "no picture"),
        ("reportsi.dcm", "no picture"),
        ("MR_truncated.dcm", "cut short"),
        ("badVR.dcm", "broken"),
        ("JPEGLSNearLossless_08.dcm", "no decoder|kept as it came"),
    ],
)
def test_what_cannot_be_shown_says_why_and_what_to_do(name: str, said: str) -> None:
    if name.startswith("JPEGLS") and pydicom.pixels.get_decoder(pydicom.uid.JPEGLSNearLossless).is_available:  # type: ignore[attr-defined]
        pytest.skip("a JPEG-LS decoder is installed")
    with pytest.raises(Undecodable, match=said) as refused:
        frames_of(_sample(name))
    assert isinstance(refused.value, Refused)


def test_a_frame_that_is_not_there_is_refused() -> None:
    with pytest.raises(Undecodable, match="no such frame"):
        frames_of(_plain(), [1])


def test_a_lie_about_the_size_asks_for_no_memory() -> None:
    with pytest.raises(Undecodable, match=r"too much|cut short"):
        frames_of(_plain(Rows=60_000, Columns=60_000, NumberOfFrames=60_000))


def test_a_file_that_is_not_there_and_one_that_is_no_dicom_are_undecodable(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"nothing of the kind" * 50)
    for path in (tmp_path / "absent", tmp_path / "text", tmp_path):
        with pytest.raises(Undecodable):
            frames_of(path)


def test_every_file_of_pydicom_is_drawn_or_refused_with_a_reason() -> None:
    folder = _sample("CT_small.dcm").parent
    drawn = 0
    for path in sorted(folder.glob("*.dcm")):
        try:
            frames = frames_of(path)
        except Undecodable:
            continue
        assert render(frames, PictureRequest(24, 80)).indices.shape == (48, 80)
        drawn += 1
    assert drawn >= 40


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real files are not beside this checkout")
def test_real_files_come_out_right() -> None:
    heart = frames_of(SHARED / "nm" / "heart_recon_tomo.dcm")
    assert heart.array.shape == (13, 64, 64)
    assert heart.labels[:2] == ("slice 1", "slice 2")
    assert heart.window == Window(-0.5, 139.5)
    assert frames_of(SHARED / "nm" / "uniformity_static.dcm").array.shape == (1, 256, 256)
    for path in (SHARED / "suv").glob("dro_2_0.dcm"):
        body_weight = frames_of(path)
        assert body_weight.unit == "GML"
        assert body_weight.array.max() == pytest.approx(4.0, abs=0.005)
