"""Objects that come together: one transaction, every one of them told what became of it."""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian
from sqlalchemy import text
from sqlmodel import col, func, select

from core import access
from core.archive.keeper import Keeper, Outcome
from core.archive.stores import LocalStore
from core.dicom import objects
from core.errors import Broken
from core.model import Batch, Event, Heard, Image, Receipt, Site
from core.records import Records
from core.scp import Announced, Caller
from core.scp.storage import OUT_OF_RESOURCES, Receiving
from core.workflow.reception import Reception
from core.workflow.together import Together
from tests.peers.process import slices

CAMERA = access.device("CAM1", "MAIN")
CALLER = Caller("CAM1", "127.0.0.1", "MAIN")


class House:
    """An archive and its records, and what a camera does to it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.records = Records(url, new_uid=str)
        self.records.migrate()
        with self.records.writing() as work:
            for code in {"MAIN", "WEST"} - {site.code for site in work.session.exec(select(Site))}:
                work.add(Site(code=code))
        self.keeper = Keeper(LocalStore(folder / "archive"))
        self.reception = Reception(self.records, self.keeper)

    def send(self, path: Path, *, site: str = "MAIN") -> Outcome:
        one = pydicom.dcmread(path)
        data = path.read_bytes()[objects.dataset_offset(path) :]
        staged = self.keeper.stage(data, (one.SOPClassUID, one.SOPInstanceUID, ExplicitVRLittleEndian), "CAM1")
        return self.reception.take(access.device("CAM1", site), staged).outcome

    def heard(self, aet: str) -> int:
        with self.records.reading() as work:
            found = work.session.get(Heard, aet)
            return found.objects if found else 0

    def count(self, table: type[Image | Receipt | Batch]) -> int:
        with self.records.reading() as work:
            return work.session.exec(select(func.count()).select_from(table)).one()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.peer("postgres"))])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    of_sqlite = f"sqlite:///{tmp_path / 'records.sqlite'}"
    house = House(tmp_path, of_sqlite if request.param == "sqlite" else request.getfixturevalue("postgres_url"))
    yield house
    house.records.close()


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path, f"sqlite:///{tmp_path / 'records.sqlite'}")
    yield house
    house.records.close()


def test_objects_of_four_senders_are_each_kept_once_and_counted(house: House, tmp_path: Path) -> None:
    before, receipts, heard_before = house.count(Image), house.count(Receipt), house.heard("CAM1")
    paths = [path for sender in range(4) for path in slices(tmp_path / f"s{sender}", 12, number=f"G{sender}")]
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(house.send, paths)) == {Outcome.STORED}
    assert house.count(Image) - before == len(paths)
    with house.records.reading() as work:
        batches = work.session.exec(select(Batch).where(col(Batch.patient_number).startswith("G"))).all()
        assert [batch.received for batch in batches] == [12] * 4
        latest = select(Receipt.status).order_by(col(Receipt.id).desc()).limit(len(paths))
        assert set(work.session.exec(latest)) == {0}
    assert house.count(Receipt) - receipts == house.heard("CAM1") - heard_before == len(paths)
    assert house.keeper.store.leftovers() == []


def test_an_object_sent_by_two_at_once_is_kept_once(house: House, tmp_path: Path) -> None:
    paths = slices(tmp_path / "in", 6, number="TWICE")
    house.send(paths[0])
    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(house.send, [path for path in paths[1:] for _ in range(3)]))
    assert outcomes.count(Outcome.STORED) == 5
    assert outcomes.count(Outcome.ALREADY) == 10
    with house.records.reading() as work:
        assert work.session.exec(select(Batch.received).where(Batch.patient_number == "TWICE")).one() == 6


def test_two_sites_keep_the_same_object_each(house: House, tmp_path: Path) -> None:
    [first, second] = slices(tmp_path / "in", 2, number="SITES")
    for path in (first, second):
        assert [house.send(path, site=site) for site in ("MAIN", "WEST", "MAIN")] == [
            Outcome.STORED, Outcome.STORED, Outcome.ALREADY,
        ]  # fmt: skip
    with house.records.reading() as work:
        uids = [str(pydicom.dcmread(path).SOPInstanceUID) for path in (first, second)]
        rows = work.session.exec(select(Image).where(col(Image.sop_uid).in_(uids))).all()
    assert len({house.keeper.local(row) for row in rows}) == 4


def test_an_object_the_database_refuses_does_not_take_the_others_along(on_sqlite: House, tmp_path: Path) -> None:
    paths = slices(tmp_path / "in", 8, number="P1")
    on_sqlite.send(paths[0])
    refused = str(pydicom.dcmread(paths[3]).SOPInstanceUID)
    when = f"BEFORE INSERT ON image WHEN new.sop_uid = '{refused}'"
    rule = f"CREATE TRIGGER refuse {when} BEGIN SELECT RAISE(ABORT, ''); END"
    with on_sqlite.records.writing() as work:
        work.session.execute(text(rule))
    failed: list[Path] = []

    def send(path: Path) -> None:
        try:
            on_sqlite.send(path)
        except Broken:
            failed.append(path)

    with ThreadPoolExecutor(7) as pool:
        list(pool.map(send, paths[1:]))
    assert failed == [paths[3]]
    assert on_sqlite.count(Image) == 7
    assert on_sqlite.count(Receipt) == 7


def test_a_batch_that_grows_is_told_of_once_for_a_group(on_sqlite: House, tmp_path: Path) -> None:
    paths = slices(tmp_path / "in", 5, number="P1")
    for path in paths:
        on_sqlite.send(path)
    with on_sqlite.records.reading() as work:
        told = work.session.exec(select(Event).where(Event.kind == "unfiled").order_by(col(Event.seq))).all()
    assert told[-1].data["received"] == 5


def test_who_waits_is_done_in_one_go_and_each_once() -> None:
    first, together = threading.Event(), threading.Event()
    groups: list[list[int]] = []

    def act(numbers: list[int]) -> None:
        groups.append(sorted(numbers))
        if len(groups) == 1:
            first.set()
            assert together.wait(10)

    at_once = Together(act)
    with ThreadPoolExecutor(6) as pool:
        lone = pool.submit(at_once.do, 0)
        assert first.wait(10)
        others = [pool.submit(at_once.do, number) for number in range(1, 6)]
        while len(at_once._waiting) < 5:
            pass
        together.set()
        for one in (lone, *others):
            one.result(10)
    assert groups == [[0], [1, 2, 3, 4, 5]]


@contextmanager
def _no_file_longer_than(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _sent(house: House, path: Path, hinder: Callable[[], None] = lambda: None) -> Receiving:
    one = pydicom.dcmread(path)
    announced = Announced(str(one.SOPClassUID), str(one.SOPInstanceUID), str(ExplicitVRLittleEndian))
    receiving = Receiving(house.reception, CALLER, announced)
    hinder()
    receiving.write(memoryview(path.read_bytes())[objects.dataset_offset(path) :])
    return receiving


def test_a_disk_that_takes_no_more_is_out_of_resources_and_leaves_nothing(on_sqlite: House, tmp_path: Path) -> None:
    [path] = slices(tmp_path / "in", 1, size=256)
    with _no_file_longer_than(50_000):
        answer = _sent(on_sqlite, path).finish()
    assert answer.status == OUT_OF_RESOURCES
    assert answer.comment
    assert on_sqlite.keeper.store.leftovers() == []
    assert _sent(on_sqlite, path).finish().status == 0


def test_a_store_that_cannot_be_written_is_out_of_resources(on_sqlite: House, tmp_path: Path) -> None:
    incoming = tmp_path / "archive" / ".incoming"
    incoming.rmdir()
    incoming.write_text("in the way")
    [path] = slices(tmp_path / "in", 1)
    assert _sent(on_sqlite, path).finish().status == OUT_OF_RESOURCES


def test_a_peer_that_breaks_off_leaves_nothing(on_sqlite: House) -> None:
    receiving = _sent(on_sqlite, Path(str(get_testdata_file("CT_small.dcm"))))
    receiving.abandon()
    receiving.abandon()
    assert on_sqlite.keeper.store.leftovers() == []
    assert on_sqlite.count(Image) == 0
