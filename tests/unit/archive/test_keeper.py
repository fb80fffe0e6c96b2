"""The archive takes objects in: bytes, then rows; and what a crash leaves is swept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import config
from pydicom.data import get_testdata_file
from pydicom.datadict import dictionary_VR
from pydicom.filebase import DicomFileLike
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from sqlmodel import select

from core import access
from core.archive import proof
from core.archive.keeper import Keeper, Mismatch, NoRoom, Outcome, Staged, Unreadable
from core.archive.stores import LocalStore
from core.errors import Broken
from core.model import Batch, Image, Quarantined, Receipt, Site
from core.records import Records, Work
from core.vocabulary import BatchState
from core.workflow import filing
from core.workflow.reception import Reception
from tests.tables import laid

CAMERA = access.device("CAM1", "MAIN")


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    records = Records(laid(tmp_path / "db.sqlite"), new_uid=generate_uid)
    with records.writing() as work:
        work.add(Site(code="MAIN"))
    yield records
    records.close()


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(LocalStore(tmp_path / "archive"))


def _ct(**said: object) -> Any:  # noqa: ANN401 - pydicom's attributes are made while it runs
    one: Any = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    one.SOPInstanceUID = generate_uid()
    for keyword, value in said.items():
        one[keyword] = pydicom.DataElement(keyword, dictionary_VR(keyword), value, validation_mode=config.IGNORE)
    return one


def _encoded(one: Any) -> bytes:  # noqa: ANN401 - as above
    out = BytesIO()
    file = DicomFileLike(out)
    file.is_little_endian, file.is_implicit_VR = True, False
    write_dataset(file, one)
    return out.getvalue()


def _staged(keeper: Keeper, one: Any) -> Staged:  # noqa: ANN401 - as above
    return keeper.stage(_encoded(one), (one.SOPClassUID, one.SOPInstanceUID, ExplicitVRLittleEndian), "CAM1")


def test_a_kept_object_lies_where_people_find_it(records: Records, keeper: Keeper) -> None:
    one = _ct(PatientID="张/../1", SpecificCharacterSet="ISO_IR 192")
    kept = Reception(records, keeper).receive(CAMERA, _staged(keeper, one))
    assert kept.image
    day, patient, study, series, name = kept.image.path.split("/", 2)[2].split("/")
    assert day.isdigit()
    assert ".." not in patient
    assert patient.isascii()
    assert (study, series, name) == (one.StudyInstanceUID, one.SeriesInstanceUID, f"{one.SOPInstanceUID}.dcm")
    assert pydicom.dcmread(keeper.local(kept.image)).file_meta.SourceApplicationEntityTitle == "CAM1"


def test_the_rows_tell_who_sent_what_and_that_it_was_acknowledged(records: Records, keeper: Keeper) -> None:
    staged = _staged(keeper, _ct())
    Reception(records, keeper).receive(CAMERA, staged)
    with records.reading() as work:
        image, receipt = work.session.exec(select(Image)).one(), work.session.exec(select(Receipt)).one()
        batch = work.session.exec(select(Batch)).one()
    assert (image.sha256, receipt.sha256, receipt.status) == (staged.sha256, staged.sha256, 0)
    assert (batch.received, batch.aet, image.batch_id) == (1, "CAM1", batch.id)


@pytest.mark.parametrize("cut", [1, 2, 9, 1000, 30_000])
def test_an_object_that_breaks_off_is_refused_and_leaves_nothing(keeper: Keeper, cut: int) -> None:
    one = _ct()
    announced = (one.SOPClassUID, one.SOPInstanceUID, ExplicitVRLittleEndian)
    del one.DataSetTrailingPadding
    with pytest.raises(Unreadable):
        keeper.stage(_encoded(one)[:-cut], announced, "CAM1")
    assert keeper.store.leftovers() == []


def test_an_object_other_than_announced_is_refused(keeper: Keeper) -> None:
    one = _ct()
    with pytest.raises(Mismatch):
        keeper.stage(_encoded(one), (one.SOPClassUID, generate_uid(), ExplicitVRLittleEndian), "CAM1")
    assert keeper.store.leftovers() == []


def test_a_uid_that_is_a_path_is_refused(keeper: Keeper) -> None:
    one = _ct(SOPInstanceUID="../../escaped")
    with pytest.raises(Unreadable):
        keeper.stage(_encoded(one), (one.SOPClassUID, "../../escaped", ExplicitVRLittleEndian), "CAM1")


def test_another_object_of_a_known_uid_is_kept_apart_once(records: Records, keeper: Keeper) -> None:
    first, reception = _ct(), Reception(records, keeper)
    reception.receive(CAMERA, _staged(keeper, first))
    first.PatientName = "Somebody^Else"
    outcomes = [reception.receive(CAMERA, _staged(keeper, first)).outcome for _ in range(2)]
    assert outcomes == [Outcome.QUARANTINED, Outcome.QUARANTINED]
    with records.reading() as work:
        apart = work.session.exec(select(Quarantined)).one()
        statuses = [receipt.status for receipt in work.session.exec(select(Receipt).order_by(Receipt.id))]  # type: ignore[arg-type]
    assert statuses == [0, 0xB000, 0xB000]
    assert keeper.local(apart).is_file()


def test_an_object_stays_when_filing_it_fails(
    records: Records, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(work: Any, batch: Batch, image: Image, **_: object) -> None:  # noqa: ANN401 - a unit of work
        batch.state = BatchState.FILED
        work.session.flush()
        raise RuntimeError("the rule has a fault")

    monkeypatch.setattr(filing, "arrived", breaks)
    kept = Reception(records, keeper).receive(CAMERA, _staged(keeper, _ct()))
    assert kept.outcome is Outcome.STORED
    with records.reading() as work:
        assert work.session.exec(select(Batch)).one().state == BatchState.UNFILED


def test_a_full_disk_is_said_and_leaves_no_row(records: Records, keeper: Keeper) -> None:
    staged = _staged(keeper, _ct())
    (Path(str(keeper.store.local("2")).rstrip("2")) / f"{staged.received_at:%Y}").write_text("in the way")
    with pytest.raises(NoRoom):
        Reception(records, keeper).receive(CAMERA, staged)
    with records.reading() as work:
        assert work.session.exec(select(Image)).all() == []


def _crash_before_commit(records: Records, keeper: Keeper) -> Staged:
    staged = _staged(keeper, _ct())
    _crash(records, lambda work: keeper.keep(work, staged, "MAIN"))
    return staged


def _crash(records: Records, act: Callable[[Work], object]) -> None:
    with suppress(KeyboardInterrupt), records.writing() as work:
        act(work)
        raise KeyboardInterrupt


def test_what_a_crash_left_is_swept_after_a_while_and_not_before(records: Records, keeper: Keeper) -> None:
    staged = _crash_before_commit(records, keeper)
    final = keeper.store.local(staged.path)
    with records.writing() as work:
        assert keeper.sweep(work) == 0
    assert final.is_file()
    with records.writing() as work:
        assert keeper.sweep(work, timedelta(seconds=-5)) == 1
    assert not final.exists()
    assert keeper.store.leftovers() == []


def test_sweeping_never_takes_an_object_that_has_its_row(records: Records, keeper: Keeper) -> None:
    staged = _staged(keeper, _ct())
    with records.writing() as work:
        keeper.keep(work, staged, "MAIN")
    with records.writing() as work:
        assert keeper.sweep(work, timedelta(seconds=-5)) == 1
        [one] = proof.acknowledged(work)
        assert list(proof.faults_of(keeper.store, one, deep=True)) == []


def test_what_lies_in_the_way_without_a_row_costs_nothing(records: Records, keeper: Keeper) -> None:
    one = _ct()
    _crash(records, lambda work: keeper.keep(work, _staged(keeper, one), "MAIN"))
    kept = Reception(records, keeper).receive(CAMERA, _staged(keeper, one))
    assert kept.image
    assert keeper.local(kept.image).is_file()


@pytest.mark.parametrize("harm", [lambda file: file.unlink(), lambda file: file.write_bytes(b"cut")])
def test_an_object_sent_again_heals_its_lost_file(
    records: Records, keeper: Keeper, harm: Callable[[Path], object]
) -> None:
    one, reception = _ct(), Reception(records, keeper)
    kept = reception.receive(CAMERA, _staged(keeper, one))
    assert kept.image
    harm(keeper.store.local(kept.image.path))
    assert reception.receive(CAMERA, _staged(keeper, one)).outcome is Outcome.ALREADY
    with records.reading() as work:
        [known] = proof.acknowledged(work)
    assert list(proof.faults_of(keeper.store, known, deep=True)) == []


def test_an_object_is_not_acknowledged_over_a_lost_file_that_it_cannot_replace(
    records: Records, keeper: Keeper
) -> None:
    one, reception = _ct(), Reception(records, keeper)
    kept = reception.receive(CAMERA, _staged(keeper, one))
    assert kept.image
    keeper.store.remove(kept.image.path)
    announced = (str(one.SOPClassUID), str(one.SOPInstanceUID), str(ExplicitVRLittleEndian))
    with pytest.raises(Broken, match="verify"):
        reception.receive(CAMERA, keeper.stage(_encoded(one), announced, "ANOTHER"))


def test_an_acknowledged_object_that_lost_its_row_is_a_fault(records: Records, keeper: Keeper) -> None:
    Reception(records, keeper).receive(CAMERA, _staged(keeper, _ct()))
    with records.writing() as work:
        work.session.delete(work.session.exec(select(Image)).one())
    with records.reading() as work:
        [one] = proof.acknowledged(work)
    faults = list(proof.faults_of(keeper.store, one, deep=True))
    assert ["not in the index" in fault.fault for fault in faults] == [True]


@pytest.mark.peer("postgres")
def test_the_same_holds_on_postgresql(postgres_url: str, keeper: Keeper) -> None:
    records = Records(postgres_url, new_uid=generate_uid)
    records.migrate()
    with records.writing() as work:
        if work.session.get(Site, "MAIN") is None:  # one database for all tests of a process
            work.add(Site(code="MAIN"))
    reception, one = (
        Reception(records, keeper),
        _ct(PatientName="Zhang^Wei=张^伟", StudyDescription="长" * 900, SpecificCharacterSet="ISO_IR 192"),
    )
    staged: Callable[[], Staged] = lambda: _staged(keeper, one)  # noqa: E731 - said three times
    assert reception.receive(CAMERA, staged()).outcome is Outcome.STORED
    assert reception.receive(CAMERA, staged()).outcome is Outcome.ALREADY
    one.PatientID = "OTHER"
    assert reception.receive(CAMERA, staged()).outcome is Outcome.QUARANTINED
    records.close()
