"""The unit of work: what is told commits with what changed, and writers do not lose each other's work."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import StatementError
from sqlmodel import SQLModel, select

from core.model import Serial, Site
from core.records import Records
from tests.tables import laid


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.peer("postgres"))])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'records.sqlite'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def records(url: str) -> Iterator[Records]:
    opened = Records(url, new_uid=lambda: "1.2.3")
    opened.migrate()
    with opened.writing() as work:
        for row in work.session.exec(select(Serial)).all():
            work.session.delete(row)
        if work.session.get(Site, "MAIN") is None:
            work.add(Site(code="MAIN"))
    yield opened
    opened.close()


def _of_the_model(row: object, name: str | None, kind: str, *_: object) -> bool:
    """Leave out the trigrams: not every database has them."""
    return "_trigram" not in (name or "")


def test_the_migrations_make_the_very_tables_of_the_model(records: Records) -> None:
    with records._engine.connect() as connection:
        options = {"compare_type": True, "include_object": _of_the_model}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, SQLModel.metadata) == []
    assert records.at_head()


def test_a_unit_of_work_that_raises_leaves_nothing_and_tells_nothing(records: Records) -> None:
    before = records.last_event()

    def half_done() -> None:
        with records.writing() as work:
            work.add(Serial(site="MAIN", prefix="X", last=1))
            work.tell("MAIN", "exam", "A1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half_done()
    with records.reading() as work:
        assert work.session.get(Serial, ("MAIN", "X")) is None
    assert records.last_event() == before


def test_news_is_told_with_the_change_and_in_order(records: Records) -> None:
    before = records.last_event()
    for number in range(3):
        with records.writing() as work:
            work.tell("MAIN", "exam", f"A{number}", state="registered")
    told = records.events_after(before)
    assert [event.subject for event in told] == ["A0", "A1", "A2"]
    assert records.events_after(told[1].seq or 0)[0].subject == "A2"


def test_times_come_back_as_the_moment_they_were(records: Records) -> None:
    with records.writing() as work:
        now = work.now
        work.tell("MAIN", "exam", "A1")
    event = records.events_after(0)[-1]
    assert event.at == now
    assert event.at.tzinfo is not None


def test_a_time_without_a_zone_is_refused(records: Records) -> None:
    with records.reading() as work:
        work.now = datetime.now(UTC).replace(tzinfo=None)
        with pytest.raises(ValueError, match="without a zone"):
            work.tell("MAIN", "exam", "A1")


def test_eight_writers_at_once_lose_no_update(records: Records) -> None:
    with records.writing() as work:
        work.add(Serial(site="MAIN", prefix="N", last=0))
    failures: list[Exception] = []

    def count() -> None:
        try:
            for _ in range(25):
                with records.writing() as work:
                    row = work.session.get(Serial, ("MAIN", "N"))
                    assert row is not None
                    row.last += 1
                    work.session.add(row)
        except Exception as error:  # noqa: BLE001 - told below, in the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with records.reading() as work:
        row = work.session.get(Serial, ("MAIN", "N"))
    assert failures == []
    assert row is not None
    assert row.last == 200


def test_a_second_process_on_the_same_file_loses_no_update_either(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.sqlite'}"
    two = [Records(url, new_uid=lambda: "1.2.3") for _ in range(2)]  # two locks, as in two processes
    two[0].migrate()
    with two[0].writing() as work:
        work.add(Site(code="MAIN"), Serial(site="MAIN", prefix="N", last=0))

    def count(records: Records) -> None:
        for _ in range(40):
            with records.writing() as work:
                row = work.session.get(Serial, ("MAIN", "N"))
                assert row is not None
                row.last += 1
                work.session.add(row)

    threads = [threading.Thread(target=count, args=(records,)) for records in two]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with two[0].reading() as work:
        row = work.session.get(Serial, ("MAIN", "N"))
    assert row is not None
    assert row.last == 80
    for records in two:
        records.close()


def test_whoever_waits_for_news_wakes_at_a_commit(records: Records) -> None:
    woken = threading.Event()

    def wait() -> None:
        records.wait_for_news(30)
        woken.set()

    thread = threading.Thread(target=wait)
    thread.start()
    while not woken.is_set():
        with records.writing() as work:
            work.tell("MAIN", "exam", "A1")
        woken.wait(0.05)
    thread.join()
    assert woken.is_set()


def test_whoever_waits_for_news_wakes_at_another_process_commit(tmp_path: Path) -> None:
    url = laid(tmp_path / "shared.sqlite")
    ours, theirs = (Records(url, new_uid=str) for _ in range(2))  # neither knows the other's memory
    with theirs.writing() as work:
        work.add(Site(code="MAIN"))
    woken = threading.Event()

    def wait() -> None:
        ours.wait_for_news(600)
        woken.set()

    thread = threading.Thread(target=wait)
    thread.start()
    for number in range(2000):
        with theirs.writing() as work:
            work.tell("MAIN", "exam", f"A{number}")
        if woken.wait(0.05):
            break
    assert woken.is_set()
    thread.join()
    for records in (ours, theirs):
        records.close()


def test_a_statement_that_fails_does_not_say_its_values(records: Records) -> None:
    with pytest.raises(StatementError) as failed, records.writing() as work:
        work.add(Site(code="MAIN", name="Zhang^Wei"))
    assert "Zhang" not in str(failed.value)
