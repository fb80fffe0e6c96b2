"""What was stored is listed, drawn, read and given out to those who may see it."""

from __future__ import annotations

import base64
import io
import itertools
import zlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pictures
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from core import wire
from core.access import Actor
from core.archive.keeper import Keeper
from core.archive.stores import LocalStore
from core.dicom.compose import Camera, Ordered, compose
from core.dicom.tracers import TRACERS
from core.errors import Broken, Forbidden, Invalid, NotFound, Refused
from core.imaging import phantom
from core.model import Exam, Image
from core.workflow import exporting, measuring, viewing
from core.workflow.reception import Reception
from core.workflow.viewing import LightBox
from tests.unit.workflow.arrivals import CLERK, DOCTOR, PHYSICIST, READER, Arrivals


class Room:
    """A reading room over a real archive: a renogram of A1 has come by C-STORE's way in."""

    def __init__(self, folder: Path) -> None:
        self.arrivals = Arrivals(folder)
        self.keeper = Keeper(LocalStore(folder / "archive"))
        self.reception = Reception(self.arrivals.records, self.keeper)
        self.box = LightBox(self.keeper.local)
        numbers = itertools.count(1)
        ordered = Ordered("P1", "Zhang^Wei=张^伟", "19610304", "M", accession="A1", study_instance_uid="1.2.3.1")
        [self.acquisition] = phantom.renogram(np.random.default_rng(1)).acquisitions[:1]
        [self.sent] = compose(
            [self.acquisition], ordered, Camera("SPECT1"), TRACERS["MAG3"], uid=lambda: f"1.2.77.{next(numbers)}",
            clock=lambda: datetime(2026, 3, 2, 8, tzinfo=UTC),
        )  # fmt: skip
        self.uid = self.receive(self.sent)

    def receive(self, dataset: Dataset) -> str:
        path = Path(self.keeper.store.local("sent.dcm"))
        dataset.save_as(path, enforce_file_format=True)
        self.reception.receive(PHYSICIST, self.keeper.stage_file(path, "SPECT1"))
        return str(dataset.SOPInstanceUID)

    def row(self, uid: str | None = None, actor: Actor = DOCTOR) -> Image:
        with self.arrivals.records.reading() as work:
            return viewing.image(work, actor, uid or self.uid)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def pixels(picture: dict[str, object]) -> np.ndarray:
    size = (2 * int(str(picture["rows"])), int(str(picture["columns"])))
    return np.frombuffer(zlib.decompress(base64.b64decode(str(picture["pixels"]))), np.uint8).reshape(size)


def test_the_series_of_an_exam_carry_the_identity_as_sent(room: Room) -> None:
    with room.arrivals.records.reading() as work:
        [series] = viewing.exam_series(work, DOCTOR, "A1")
        assert viewing.study_series(work, DOCTOR, "1.2.3.1") == [series]
    assert (series.sent_patient_number, series.sent_patient_name) == ("P1", "Zhang^Wei=张^伟")
    assert (series.sent_birth_date, series.sent_sex, series.step) == ("19610304", "M", "whole body")
    [instance] = series.instances
    assert (instance["uid"], instance["frames"]) == (room.uid, len(room.acquisition.frames))


def test_a_picture_has_the_counts_of_the_frame_shown(room: Room) -> None:
    picture = room.box.picture(room.row(), wire.Look(rows=20, columns=60, frame=7))
    assert picture["frames"] == [7]
    assert picture["total"] == room.acquisition.frames[7].sum()
    assert (picture["minimum"], picture["maximum"]) == (
        room.acquisition.frames[7].min(), room.acquisition.frames[7].max(),
    )  # fmt: skip
    assert pixels(picture).max() == 255


def test_turning_the_window_and_inverting_change_the_picture_only(room: Room) -> None:
    row = room.row()
    plain = room.box.picture(row, wire.Look(rows=20, columns=60, lower=0, upper=1000))
    bright = room.box.picture(row, wire.Look(rows=20, columns=60, lower=0, upper=10))
    turned = room.box.picture(row, wire.Look(rows=20, columns=60, lower=0, upper=1000, invert=True))
    assert pixels(bright).sum() > pixels(plain).sum()
    assert (pixels(turned) == 255 - pixels(plain)).all()
    assert plain["total"] == bright["total"]


def test_frames_are_decoded_once_and_the_box_stays_small(room: Room) -> None:
    row = room.row()
    assert room.box._decoded(row, ()) is room.box._decoded(row, ())
    small = LightBox(room.keeper.local, held_bytes=1)
    small._decoded(row, (0,))
    small._decoded(row, (1,))
    assert len(small._held) == 1


def test_what_is_not_there_or_cannot_be_drawn_is_said_in_one_clear_sentence(room: Room) -> None:
    with pytest.raises(NotFound):
        room.row("1.2.3.4.5")
    for look in (wire.Look(map="purple"), wire.Look(frame=100_000)):
        with pytest.raises(Invalid, match="there is no"):
            room.box.picture(room.row(), look)
    document = Dataset()
    for keyword in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(document, keyword, room.sent[keyword].value)
    document.SOPClassUID, document.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.104.1", "1.2.77.900"
    document.EncapsulatedDocument = b"%PDF"
    document.file_meta = FileMetaDataset()
    document.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    document.file_meta.MediaStorageSOPClassUID = document.SOPClassUID
    document.file_meta.MediaStorageSOPInstanceUID = document.SOPInstanceUID
    with pytest.raises(Refused, match="no picture"):
        room.box.picture(room.row(room.receive(document)), wire.Look())


def test_a_file_that_has_gone_is_ours_to_answer_for(room: Room) -> None:
    row = room.row()
    room.keeper.local(row).unlink()
    with pytest.raises(Broken, match="verify"):
        room.box.picture(row, wire.Look())


def test_the_header_is_read_in_the_object_s_own_words(room: Room) -> None:
    rows = viewing.header(room.box.file(room.row()))
    said = {row.keyword: row.value for row in rows}
    assert said["PatientName"] == "Zhang^Wei=张^伟"
    assert said["NumberOfFrames"] == str(len(room.acquisition.frames))
    assert any(row.tag.startswith(">(") for row in rows)
    assert "PixelData" not in said


def test_only_those_with_the_right_see_images(room: Room) -> None:
    with pytest.raises(Forbidden):
        room.row(actor=CLERK)
    with pytest.raises(Forbidden, match="beyond your own cases"):
        room.row(actor=READER)
    with room.arrivals.records.writing() as work:
        exam = work.session.get_one(Exam, 1)
        exam.assigned_to = READER.name
        work.add(exam)
    assert room.row(actor=READER).sop_uid == room.uid
    with room.arrivals.records.reading() as work:
        assert viewing.exam_series(work, READER, "A1")


BOX = [[40.0, 20.0], [80.0, 60.0]]


def test_a_region_has_the_counts_of_the_frame(room: Room) -> None:
    asked = wire.MeasureRegion(frame=9, shape="rectangle", points=BOX, name="left kidney")
    told = measuring.on_frame(room.box, room.row(), asked)
    inside = room.acquisition.frames[9, 40:80, 20:60]
    assert (told.total, told.max, told.pixels, told.unit) == (inside.sum(), inside.max(), 1600, "counts")
    assert told.area_mm2 == pytest.approx(1600 * 3.9**2)
    with pytest.raises(Invalid, match="no pixel"):
        measuring.on_frame(room.box, room.row(), asked.model_copy(update={"points": [[1.2, 1.2], [1.3, 1.3]]}))
    with pytest.raises(Invalid, match="there is no frame 900"):
        measuring.on_frame(room.box, room.row(), asked.model_copy(update={"frame": 900}))


def test_a_curve_follows_regions_through_the_phases_of_a_study(room: Room) -> None:
    regions = [wire.Region(name="left", shape="rectangle", points=BOX), wire.Region(shape="ellipse", points=BOX)]
    told = measuring.through_frames(room.box, room.row(), wire.AskCurves(regions=regions))
    frames = room.acquisition.frames
    assert told.timed
    assert told.times_s[:3] == [10.0, 30.0, 50.0]
    assert told.curves[0].values == frames[:, 40:80, 20:60].sum(axis=(1, 2)).tolist()
    assert told.curves[1].pixels == pytest.approx(np.pi * 400, rel=0.02)
    [phase] = told.phases
    assert (phase.frames, phase.frame_s) == (len(frames), 20.0)
    rated = measuring.through_frames(room.box, room.row(), wire.AskCurves(regions=regions, rate=True))
    assert rated.curves[0].unit == "counts/s"
    assert rated.curves[0].values[5] == pytest.approx(told.curves[0].values[5] / 20)
    with pytest.raises(Refused, match="there is no detector 2; the object has 1"):
        measuring.through_frames(room.box, room.row(), wire.AskCurves(regions=regions, detector=2))


def test_a_window_may_be_that_of_all_frames_and_one_end_may_be_moved(room: Room) -> None:
    row = room.row()
    shown = [room.box.picture(row, wire.Look(frame=k, scale="series", auto="maximum"))["window"] for k in (0, 40)]
    assert shown[0] == shown[1] == {"lower": 0.0, "upper": float(room.acquisition.frames.max())}
    own = room.box.picture(row, wire.Look(frame=3, lower=2))["window"]
    assert own["lower"] == 2  # type: ignore[index]
    assert own["upper"] == room.box.picture(row, wire.Look(frame=3))["window"]["upper"]  # type: ignore[index]


def test_a_grid_may_pass_over_frames_and_tells_which_part_of_each_is_shown(room: Room) -> None:
    picture = room.box.picture(room.row(), wire.Look(frame=4, grid=3, step=10, zoom=2))
    assert picture["frames"] == [4, 14, 24]
    assert [tile["part"] for tile in picture["tiles"]] == [(32, 32, 64, 64)] * 3  # type: ignore[attr-defined]


def test_a_header_is_searched_by_number_name_and_value(room: Room) -> None:
    path = room.box.file(room.row())
    assert [row.keyword for row in viewing.header(path, "0010,0010")] == ["PatientName"]
    assert [row.keyword for row in viewing.header(path, "zhang^wei")] == ["PatientName"]
    within = viewing.header(path, "actual frame duration")
    assert [row.keyword for row in within] == ["PhaseInformationSequence", "ActualFrameDuration"]
    assert [row.tag[0] for row in within] == ["(", ">"]
    assert viewing.header(path, "no such thing") == []


def test_frames_are_kept_as_png_and_as_a_film_loop(room: Room) -> None:
    asked = wire.Export(rows=128, columns=200, frame=5, last=14, format="apng", map="hot_iron")
    with Pictures.open(io.BytesIO(exporting.of_image(room.box, room.row(), asked))) as loop:
        assert (getattr(loop, "n_frames", 1), loop.size) == (10, (128, 128))
        loop.seek(3)
        assert loop.info["duration"] == pytest.approx(100)  # nobody waits the 20 s of a frame
        third = np.asarray(loop.convert("RGB"))
    with Pictures.open(io.BytesIO(exporting.of_image(room.box, room.row(), wire.Export(frame=8)))) as still:
        assert still.size == (512, 512)
    assert third.any()
    assert np.ptp(third.astype(int), axis=-1).max() > 100  # in colour
    with pytest.raises(Invalid, match="there is no frame 700"):
        exporting.of_image(room.box, room.row(), wire.Export(frame=700))
    with pytest.raises(Invalid, match="too much for a loop"):
        exporting.of_image(room.box, room.row(), wire.Export(rows=2048, columns=2048, format="apng"))
