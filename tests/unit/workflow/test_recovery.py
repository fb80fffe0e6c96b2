"""The index is rebuilt from the files alone, and says what it said before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid
from sqlmodel import col, delete, select

from core import access, wire
from core.archive.keeper import Keeper
from core.archive.stores import LocalStore
from core.model import Batch, Image, Quarantined, Receipt, SentPatient, Series, Site, Study
from core.vocabulary import BatchState
from core.workflow import corrections, recovery
from core.workflow.reception import Reception
from tests.unit.workflow.arrivals import PHYSICIST, Arrivals

CAMERA = access.device("SPECT1", "MAIN")
OPERATOR = access.operator("test", "MAIN")
OWN = {"id", "series_id", "study_id", "sent_patient_id", "received_at"}
TIMES = {"first_at", "last_at"}
INDEX = (SentPatient, Study, Series, Image)


class Archive:
    """An archive beside the register of A1 and A2 (P1) and A3 (P2), filled over the network's way in."""

    def __init__(self, folder: Path) -> None:
        self.register = Arrivals(folder)
        self.records = self.register.records
        self.keeper = Keeper(LocalStore(folder / "archive"))
        self._folder, self.sent = folder, 0

    def receive(self, series: str = "1.2.9.1", study: str = "1.2.9", number: str = "P1", **said: str) -> Image:
        self.sent += 1
        return self._received(CAMERA, self._object(series, study, number, **said))

    def receive_at(self, *sites: str) -> list[Image]:
        """Let the very same object come to several sites."""
        self.sent += 1
        path = self._object("1.2.7.1", "1.2.7", "P1")
        return [self._received(access.device("SPECT1", site), path) for site in sites]

    def _object(self, series: str, study: str, number: str, **said: str) -> Path:
        one: Any = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(self.sent)])
        one.PatientID, one.PatientName, one.PatientBirthDate, one.PatientSex = number, "Zhang^Wei", "19610304", "M"
        one.StudyInstanceUID, one.SeriesInstanceUID, one.InstanceNumber = study, series, self.sent
        for keyword, value in said.items():
            setattr(one, keyword, value)
        path = self._folder / "sent.dcm"
        one.save_as(path)
        return path

    def _received(self, camera: access.Actor, path: Path) -> Image:
        staged = self.keeper.stage_file(path, "SPECT1")
        kept = Reception(self.records, self.keeper).receive(camera, staged)
        assert kept.image
        return kept.image

    def rebuilt(self) -> recovery.Rebuilt:
        store = self.keeper.store
        with self.records.writing() as work:
            return recovery.reindex(work, self.keeper, OPERATOR, list(store.files()), list(store.files(recovery.APART)))

    def index(self) -> list[object]:
        """What the four tables say, without their own ids and the moments, which receipts keep."""
        found = select(Image, Series, Study, SentPatient).join(Series, col(Series.id) == Image.series_id)
        found = found.join(Study, col(Study.id) == Series.study_id)
        found = found.join(SentPatient, col(SentPatient.id) == Study.sent_patient_id).order_by(col(Image.sop_uid))
        with self.records.reading() as work:
            return [[row.model_dump(exclude=OWN) for row in rows] for rows in work.session.exec(found)]

    def batches(self) -> list[dict[str, Any]]:
        with self.records.reading() as work:
            return [row.model_dump(exclude=TIMES) for row in work.session.exec(select(Batch).order_by(col(Batch.id)))]


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    archive = Archive(tmp_path)
    yield archive
    archive.records.close()


def test_the_index_and_the_batches_are_what_they_were(archive: Archive) -> None:
    for series in ("1.2.9.1", "1.2.9.1", "1.2.9.2"):
        archive.receive(series, AccessionNumber="A1")
    archive.receive("1.2.8.1", "1.2.8", "P2")
    before = archive.index(), archive.batches(), archive.register.look("A1").images_received
    rebuilt = archive.rebuilt()
    assert (rebuilt.objects, rebuilt.left_out) == (4, [])
    assert (archive.index(), archive.batches(), archive.register.look("A1").images_received) == before


@pytest.mark.parametrize("sites", [("MAIN", "WEST"), ("WEST", "MAIN")])
def test_the_same_object_comes_back_to_each_site_that_keeps_it(archive: Archive, sites: tuple[str, str]) -> None:
    with archive.records.writing() as work:
        work.add(Site(code="WEST", name="Nuclear Medicine in the west"))
    kept = archive.receive_at(*sites)
    rebuilt = archive.rebuilt()
    assert (rebuilt.objects, rebuilt.left_out) == (2, [])
    with archive.records.reading() as work:
        rows = work.session.exec(select(Image)).all()
    assert {(row.site, row.path) for row in rows} == {(row.site, row.path) for row in kept}


def test_a_split_series_and_a_correction_hold(archive: Archive) -> None:
    archive.receive("1.2.9.1", AccessionNumber="A1")
    archive.receive("1.2.9.2", AccessionNumber="A1")
    with archive.records.writing() as work:
        form = wire.FileBatch(accession="A2", series="1.2.9.2", reason="the second exam on the same study")
        corrections.file_batch(work, PHYSICIST, "1.2.9", form)
    before = archive.batches()
    archive.rebuilt()
    assert archive.batches() == before
    assert [batch["received"] for batch in before] == [1, 1]


def test_an_exam_counts_anew_when_a_file_is_gone(archive: Archive) -> None:
    images = [archive.receive(AccessionNumber="A1") for _ in range(3)]
    counted = archive.register.look("A1").images_received
    archive.keeper.local(images[0]).unlink()
    assert archive.rebuilt().objects == 2
    assert archive.register.look("A1").images_received == counted - 1
    assert archive.batches()[0]["received"] == 2


def test_without_any_record_objects_come_back_filed_by_their_numbers(archive: Archive) -> None:
    archive.receive(AccessionNumber="A1")
    archive.receive("1.2.8.1", "1.2.8", "P7", PatientName="Nobody^Known")
    with archive.records.writing() as work:
        for table in (Receipt, *reversed(INDEX), Batch):
            work.session.exec(delete(table))
    archive.rebuilt()
    states = {batch["study_uid"]: (batch["state"], batch["aet"], batch["received"]) for batch in archive.batches()}
    assert states == {"1.2.9": (BatchState.FILED, "", 1), "1.2.8": (BatchState.UNFILED, "", 1)}
    assert archive.register.look("A1").images_received == 1


def test_what_is_no_object_is_left_out_with_its_reason(archive: Archive) -> None:
    image = archive.receive()
    place = archive.keeper.local(image)
    place.with_name("notes.txt").write_text("not an object")
    place.with_name("cut.dcm").write_bytes(place.read_bytes()[:-2000])
    place.with_name("again.dcm").write_bytes(place.read_bytes())
    rebuilt = archive.rebuilt()
    assert rebuilt.objects == 1
    reasons = {Path(one["path"]).name: one["reason"] for one in rebuilt.left_out}
    assert set(reasons) >= {"notes.txt", "cut.dcm"}
    assert "is there already" in reasons.get("again.dcm", reasons.get(place.name, ""))


def test_other_bytes_under_an_acknowledged_uid_are_left_out(archive: Archive) -> None:
    place = archive.keeper.local(archive.receive())
    data = bytearray(place.read_bytes())
    data[-300] ^= 1
    place.write_bytes(bytes(data))
    rebuilt = archive.rebuilt()
    assert (rebuilt.objects, len(rebuilt.left_out)) == (0, 1)
    assert "another object was acknowledged" in rebuilt.left_out[0]["reason"]


def test_what_was_kept_apart_stays_apart(archive: Archive) -> None:
    archive.receive(SOPInstanceUID="1.2.3.4.5")
    one: Any = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.5"
    path = archive._folder / "other.dcm"
    one.save_as(path)
    Reception(archive.records, archive.keeper).receive(CAMERA, archive.keeper.stage_file(path))
    with archive.records.writing() as work:
        work.session.exec(delete(Quarantined))
    rebuilt = archive.rebuilt()
    assert (rebuilt.objects, rebuilt.quarantined) == (1, 1)
    with archive.records.reading() as work:
        assert work.session.exec(select(Quarantined)).one().sop_uid == "1.2.3.4.5"


def test_a_rebuild_that_is_interrupted_changes_nothing(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    archive.receive(AccessionNumber="A1")
    before = archive.index(), archive.batches()

    def breaks(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(recovery, "_recount_batches", breaks)
    with pytest.raises(KeyboardInterrupt):
        archive.rebuilt()
    assert (archive.index(), archive.batches()) == before
