"""The archive is proven page by page; damage stays in sight, with what depends on it, until it is mended."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid
from sqlmodel import select

from core import access, wire
from core.archive.keeper import Keeper
from core.archive.stores import LocalStore
from core.errors import Forbidden, NotFound
from core.model import AuditEntry, Batch, Conversion, Damage, Image, Proof, Receipt, Report, ReportVersion
from core.vocabulary import BatchState, Role
from core.workflow import corrections, integrity, reading, viewing
from core.workflow.integrity import Verifier
from core.workflow.reception import Reception
from tests.unit.workflow.arrivals import CLERK, DOCTOR, PHYSICIST, Arrivals

ADMIN = access.person("li.na", "MAIN", Role.ADMIN)
CAMERA = access.device("CAM1", "MAIN")


class Archive:
    """An archive with objects in it, and somebody to prove it."""

    def __init__(self, folder: Path) -> None:
        self.register = Arrivals(folder)
        self.records = self.register.records
        self.keeper = Keeper(LocalStore(folder / "archive"))
        self._folder, self.verifier = folder, Verifier(self.records, self.keeper.store)

    def receive(self, number: int = 0) -> Image:
        one: Any = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(number)])
        one.InstanceNumber = number
        path = self._folder / f"{number}.dcm"
        one.save_as(path)
        kept = Reception(self.records, self.keeper).receive(CAMERA, self.keeper.stage_file(path))
        assert kept.image
        return kept.image

    def place(self, image: Image) -> Path:
        return self.keeper.store.local(image.path)

    def proven(self, *, deep: bool = False) -> Proof:
        with self.records.writing() as work:
            row = integrity.begin(work, ADMIN, deep=deep)
        return self.verifier.run(row.id or 0)

    def damages(self) -> list[wire.Damage]:
        with self.records.reading() as work:
            return integrity.damages(work, ADMIN)

    def file_to(self, accession: str, image: Image) -> None:
        """File an object's batch, and sign the report on it."""
        self.register.sign(accession)
        exam = self.register.look(accession)
        with self.records.writing() as work:
            batch = work.session.get_one(Batch, image.batch_id)
            batch.state, batch.exam_id, batch.decided_by = BatchState.FILED, exam.id, "he.jun"
            work.add(batch)
            report = work.session.exec(select(Report).where(Report.exam_id == exam.id)).one()
            signed = work.session.exec(select(ReportVersion).where(ReportVersion.report_id == report.id)).one()
            signed.images = [{"sop_uid": image.sop_uid, "sha256": image.sha256}]
            work.add(signed)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    archive = Archive(tmp_path)
    yield archive
    archive.records.close()


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(bytes(data))


def test_an_archive_without_damage_is_proven_whole(archive: Archive) -> None:
    sizes = [archive.receive(number).size for number in range(3)]
    row = archive.proven(deep=True)
    assert (row.objects, row.bytes, row.faults, row.audit_broken_at) == (3, sum(sizes), 0, None)
    assert row.ended_at is not None
    assert row.done == row.of == 6  # each object, and its receipt
    assert archive.damages() == []


def test_each_kind_of_damage_is_found_and_a_changed_byte_only_by_reading_all(archive: Archive) -> None:
    gone, cut, changed = (archive.receive(number) for number in range(3))
    archive.place(gone).unlink()
    archive.place(cut).write_bytes(b"cut short")
    _flip(archive.place(changed))
    assert archive.proven().faults == 2
    assert archive.proven(deep=True).faults == 3
    said = {one.sop_instance_uid: one.fault for one in archive.damages()}
    assert said == {
        gone.sop_uid: "its file is missing",
        cut.sop_uid: f"its file has 9 bytes instead of {cut.size}",
        changed.sop_uid: "its file has other bytes than those received",
    }


def test_damage_is_written_down_once_and_stands_in_the_trail(archive: Archive) -> None:
    archive.place(archive.receive()).unlink()
    archive.proven()
    archive.proven()
    with archive.records.reading() as work:
        assert len(work.session.exec(select(Damage)).all()) == 1
        said = work.session.exec(select(AuditEntry).where(AuditEntry.action == "archive.damaged")).all()
    assert [entry.detail["count"] for entry in said] == [1]


def test_what_depends_on_a_damaged_object_is_named(archive: Archive) -> None:
    image = archive.receive()
    archive.file_to("A1", image)
    archive.place(image).unlink()
    archive.proven()
    [damage] = archive.damages()
    assert damage.exams == ["A1"]
    assert damage.reports == ["A1 version 1 signed by zhao.min"]


def test_a_report_that_was_signed_on_it_is_named_after_its_images_were_taken_away(archive: Archive) -> None:
    image = archive.receive()
    archive.file_to("A1", image)
    with archive.records.writing() as work:
        batch = work.session.get_one(Batch, image.batch_id)
        form = wire.Unfile(study_instance_uid=batch.study_uid, reason="another patient's")
        corrections.unfile(work, PHYSICIST, form)
    archive.place(image).unlink()
    archive.proven()
    [damage] = archive.damages()
    assert damage.reports == ["A1 version 1 signed by zhao.min"]


def test_viewer_and_report_say_that_an_object_is_damaged(archive: Archive) -> None:
    image = archive.receive()
    archive.file_to("A1", image)
    with archive.records.reading() as work:
        assert reading.show(work, DOCTOR, "A1").warnings == []
        assert viewing.exam_series(work, DOCTOR, "A1")[0].instances[0]["damaged"] == ""
    archive.place(image).unlink()
    archive.proven()
    with archive.records.reading() as work:
        warnings = reading.show(work, DOCTOR, "A1").warnings
        [instance] = viewing.exam_series(work, DOCTOR, "A1")[0].instances
    assert warnings == ["1 of its objects is damaged in the archive", "it was signed on 1 object that is damaged now"]
    assert instance["damaged"] == "its file is missing"


def test_damage_is_mended_when_the_object_is_sent_again(archive: Archive) -> None:
    image = archive.receive()
    archive.place(image).unlink()
    archive.proven()
    archive.receive()
    assert archive.proven().faults == 0
    assert archive.damages() == []
    with archive.records.reading() as work:
        assert work.session.exec(select(Damage)).one().mended_at is not None


def test_a_changed_byte_is_not_forgotten_by_a_quick_proof(archive: Archive) -> None:
    _flip(archive.place(archive.receive()))
    archive.proven(deep=True)
    assert archive.proven(deep=False).faults == 0
    assert len(archive.damages()) == 1


def test_an_object_without_its_row_is_a_fault_until_it_has_one_again(archive: Archive) -> None:
    image = archive.receive()
    with archive.records.writing() as work:
        work.session.delete(work.session.get_one(Image, image.id))
    assert archive.proven().faults == 1
    assert "reindex" in archive.damages()[0].fault
    with archive.records.writing() as work:
        work.add(Image(**image.model_dump(exclude={"id"})))
    archive.proven()
    assert archive.damages() == []


def test_a_proof_that_was_stopped_goes_on_where_it_was(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.archive.proof.page.__defaults__", (2,))
    images = [archive.receive(number) for number in range(5)]
    archive.place(images[0]).unlink()
    archive.place(images[4]).unlink()
    with archive.records.writing() as work:
        begun = integrity.begin(work, ADMIN, deep=True)
    steps: list[int] = []
    archive.verifier.run(begun.id or 0, lambda done, _of: steps.append(done), lambda: len(steps) > 0)
    with archive.records.writing() as work:
        row = integrity.unfinished(work, ADMIN, deep=True)
        assert (row.id, row.done, row.faults, row.ended_at) == (begun.id, 2, 1, None)
    row = archive.verifier.run(row.id or 0)
    assert (row.objects, row.faults, row.done) == (5, 2, 10)
    assert row.ended_at is not None


def test_nothing_is_taken_up_when_nothing_was_stopped(archive: Archive) -> None:
    archive.proven()
    with archive.records.writing() as work, pytest.raises(NotFound, match="without --resume"):
        integrity.unfinished(work, ADMIN, deep=False)


def test_a_trail_changed_by_hand_is_said(archive: Archive) -> None:
    archive.receive()
    archive.proven()
    with archive.records.writing() as work:
        entry = work.session.exec(select(AuditEntry).order_by(AuditEntry.id)).first()  # type: ignore[arg-type]
        assert entry
        entry.subject = "somebody else"
        work.add(entry)
    assert archive.proven().audit_broken_at == entry.id


def test_only_who_administers_begins_a_proof(archive: Archive) -> None:
    with archive.records.writing() as work, pytest.raises(Forbidden):
        integrity.begin(work, CLERK, deep=False)


def test_a_receipt_of_each_acknowledgement_is_looked_at(archive: Archive) -> None:
    archive.receive()
    archive.receive()
    with archive.records.reading() as work:
        assert len(work.session.exec(select(Receipt)).all()) == 2
    assert archive.proven().done == 3


def test_the_file_an_object_came_in_is_looked_at_beside_the_standard_one(archive: Archive) -> None:
    image, beside = archive.receive(), archive.keeper.store.local("originals/1.img")
    beside.parent.mkdir(parents=True)
    beside.write_bytes(b"as it came")
    with archive.records.writing() as work:
        row = Conversion(
            site="MAIN", sop_uid=image.sop_uid, kind="interfile", store="local", original_path="originals/1.img",
            original_size=10, original_sha256=sha256(b"as it came").hexdigest(), standard_path=image.path,
            standard_size=image.size, standard_sha256=image.sha256, at=work.now,
        )  # fmt: skip
        work.add(row)
    assert archive.proven(deep=True).objects == 1
    assert archive.damages() == []
    beside.write_bytes(b"AS IT CAME")
    assert archive.proven(deep=True).faults == 1
    beside.write_bytes(b"as it came")
    archive.proven()
    assert archive.damages() == []


def test_a_changed_byte_is_mended_at_once_when_the_object_is_sent_again(archive: Archive) -> None:
    image = archive.receive()
    _flip(archive.place(image))
    archive.proven(deep=True)
    archive.receive()
    assert archive.damages() == []
    assert archive.proven(deep=True).faults == 0
