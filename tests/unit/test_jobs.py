"""The queue: what is queued runs once its cause is committed, lane by lane, and outlives every end of its workers."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import col, delete, select

from core import access
from core.errors import Forbidden, NotFound, PeerFailed, Refused
from core.jobs import Jobs, Runner
from core.model import Delivery, Job, Site
from core.records import Records
from core.vocabulary import JobState, Role
from core.workflow import queue
from core.workflow.queue import Ticket

OPERATOR = access.operator("root", "MAIN")
ADMIN = access.person("li.gen", "MAIN", Role.ADMIN)
NURSE = access.person("wu.fang", "MAIN", Role.NURSE)
ROOT = Path(__file__).parents[2]
SOON = timedelta(milliseconds=1)


@pytest.fixture(scope="module")
def empty_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the tables once; each test works on a copy."""
    path = tmp_path_factory.mktemp("tables") / "empty.sqlite"
    records = Records(f"sqlite:///{path}", new_uid=str)
    records.migrate()
    records.close()
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.peer("postgres"))])
def records(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Records]:
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("empty_tables"), tmp_path / "q.sqlite")
        opened = Records(f"sqlite:///{tmp_path / 'q.sqlite'}", new_uid=str)
    else:
        opened = Records(request.getfixturevalue("postgres_url"), new_uid=str)
        opened.migrate()
    with opened.writing() as work:
        work.session.exec(delete(Delivery))
        work.session.exec(delete(Job))
        if work.session.get(Site, "MAIN") is None:
            work.add(Site(code="MAIN"))
    yield opened
    opened.close()


@contextmanager
def working(records: Records, name: str = "one", pause: timedelta = SOON, **runners: Runner) -> Iterator[Jobs]:
    jobs = Jobs(records, runners, name=name, pause=pause, look_every=0.05)
    jobs.start()
    try:
        yield jobs
    finally:
        jobs.stop()


def queued(records: Records, kind: str = "count", lane: str = "", attempts: int = 5, **payload: object) -> int:
    with records.writing() as work:
        return work.enqueue("MAIN", kind, payload, lane=lane, attempts=attempts).id or 0


def job(records: Records, number: int) -> Job:
    with records.reading() as work:
        return work.session.get_one(Job, number)


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def ended(records: Records, number: int) -> Job:
    until(lambda: job(records, number).finished_at is not None)
    return job(records, number)


def test_a_job_runs_with_its_payload_and_keeps_its_result(records: Records) -> None:
    def add(ticket: Ticket) -> None:
        ticket.result["sum"] = sum(ticket.payload["numbers"])
        ticket.progress(2, 2)

    with working(records, count=add):
        done = ended(records, queued(records, numbers=[19, 23]))
    assert (done.state, done.result, done.attempts, done.done) == (JobState.DONE, {"sum": 42}, 1, 2)


def test_what_is_rolled_back_is_never_run(records: Records) -> None:
    ran: list[int] = []

    def half() -> None:
        with records.writing() as work:
            work.enqueue("MAIN", "count", {})
            raise RuntimeError

    with working(records, count=lambda ticket: ran.append(ticket.job_id)):
        with pytest.raises(RuntimeError):
            half()
        after = queued(records)
        ended(records, after)
    assert ran == [after]


def test_a_lane_is_worked_one_after_the_other_and_lanes_side_by_side(records: Records) -> None:
    at_work: list[str] = []
    both = threading.Barrier(2, timeout=20)
    clashes: list[list[str]] = []

    def run(ticket: Ticket) -> None:
        lane = ticket.payload["of"]
        if lane in at_work:
            clashes.append([*at_work])
        at_work.append(lane)
        both.wait()  # passes only while both lanes work
        at_work.remove(lane)

    numbers = [queued(records, lane=lane, of=lane) for _ in range(3) for lane in ("A", "B")]
    with working(records, "one", count=run), working(records, "two", count=run):
        states = [ended(records, number).state for number in numbers]
    assert states == [JobState.DONE] * 6
    assert clashes == []


def test_what_fails_through_a_peer_is_tried_again_until_it_gives_up(records: Records) -> None:
    tries: list[int] = []

    def call(ticket: Ticket) -> None:
        tries.append(ticket.job_id)
        raise PeerFailed("CAM1 does not answer")

    with working(records, count=call):
        gone = ended(records, queued(records, attempts=3))
    assert len(tries) == 3
    assert (gone.state, gone.error, gone.attempts) == (JobState.FAILED, "CAM1 does not answer", 3)


def test_what_is_refused_is_not_tried_again(records: Records) -> None:
    def refuse(ticket: Ticket) -> None:
        raise Refused("there is nothing to send")

    with working(records, count=refuse):
        gone = ended(records, queued(records))
    assert (gone.state, gone.attempts) == (JobState.FAILED, 1)


def test_pauses_between_attempts_double(records: Records) -> None:
    def call(ticket: Ticket) -> None:
        raise PeerFailed("CAM1 does not answer")

    with working(records, pause=timedelta(hours=0.1), count=call):
        number = queued(records)
        until(lambda: job(records, number).attempts == 1 and job(records, number).state == JobState.QUEUED)
        first = job(records, number)
        with records.writing() as work:
            work.session.get_one(Job, number).due_at = work.now
        until(lambda: job(records, number).attempts == 2 and job(records, number).state == JobState.QUEUED)
        second = job(records, number)
    waits = [(one.due_at - datetime.now(UTC)).total_seconds() for one in (first, second)]
    assert 300 < waits[0] <= 360
    assert 660 < waits[1] <= 720


def test_an_error_nobody_foresaw_is_told_by_kind_and_place_alone(records: Records) -> None:
    def stumble(ticket: Ticket) -> None:
        raise ValueError("Zhang^Wei")

    with working(records, count=stumble):
        gone = ended(records, queued(records, attempts=1))
    assert gone.state == JobState.FAILED
    assert "ValueError in" in gone.error
    assert "Zhang" not in gone.error


def test_a_cancelled_job_stops_and_is_not_run_again(records: Records) -> None:
    begun, stopped = threading.Event(), threading.Event()

    def long(ticket: Ticket) -> None:
        begun.set()
        until(ticket.cancelled)
        stopped.set()

    with working(records, count=long):
        number = queued(records)
        assert begun.wait(20)
        with records.writing() as work:
            assert queue.cancel(work, OPERATOR, number).state is JobState.CANCELLED
        assert stopped.wait(20)
    assert job(records, number).state == JobState.CANCELLED
    with pytest.raises(Refused, match="cancelled and cannot become"), records.writing() as work:
        queue.retry(work, OPERATOR, number)


def test_a_failed_job_is_tried_anew_when_somebody_asks(records: Records) -> None:
    there = threading.Event()

    def call(ticket: Ticket) -> None:
        if not there.is_set():
            raise PeerFailed("CAM1 does not answer")

    with working(records, count=call):
        number = queued(records, attempts=1)
        assert ended(records, number).state == JobState.FAILED
        there.set()
        with records.writing() as work:
            queue.retry(work, ADMIN, number)
        until(lambda: job(records, number).state == JobState.DONE)


def test_a_stopping_service_queues_again_what_it_interrupts(records: Records) -> None:
    begun = threading.Event()

    def long(ticket: Ticket) -> None:
        begun.set()
        until(ticket.cancelled)

    with working(records, count=long):
        number = queued(records)
        assert begun.wait(20)
    left = job(records, number)
    assert (left.state, left.attempts, left.claimed_by) == (JobState.QUEUED, 0, "")
    with working(records, count=lambda ticket: None):
        assert ended(records, number).state == JobState.DONE


def test_the_job_of_a_dead_worker_is_taken_over_when_its_lease_has_run_out(records: Records) -> None:
    number = queued(records, lane="send:PACS")
    with records.writing() as work:
        left = work.session.get_one(Job, number)
        left.state, left.claimed_by, left.attempts = JobState.RUNNING, "dead", 1
        left.claimed_until = work.now + timedelta(seconds=2)
    with working(records, "other", count=lambda ticket: None):
        assert job(records, number).claimed_by == "dead"
        assert ended(records, number).state == JobState.DONE
    assert job(records, number).attempts == 2


def test_a_job_that_takes_every_worker_with_it_is_given_up(records: Records) -> None:
    number = queued(records, attempts=2)
    with records.writing() as work:
        left = work.session.get_one(Job, number)
        left.state, left.claimed_by, left.attempts = JobState.RUNNING, "one", 2
        left.claimed_until = work.now + timedelta(hours=1)
    with working(records, "one", count=lambda ticket: None):
        pass
    gone = job(records, number)
    assert (gone.state, gone.error) == (JobState.FAILED, "the service ended 2 times while it worked on this")


def test_a_worker_that_lost_its_lease_writes_nothing_over_its_successor(records: Records) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(ticket: Ticket) -> None:
        ticket.result["by"] = "the first"
        begun.set()
        go_on.wait(20)

    with working(records, "first", count=slow):
        number = queued(records)
        assert begun.wait(20)
        with records.writing() as work:  # as another worker does once the lease has run out
            work.session.get_one(Job, number).claimed_by = "second"
        go_on.set()
    left = job(records, number)
    assert (left.state, left.claimed_by, left.result) == (JobState.RUNNING, "second", {})


_WORKER = """
import sys, time
from pathlib import Path
from core.jobs import Jobs
from core.records import Records

def write(ticket):
    folder, count = Path(ticket.payload["folder"]), ticket.payload["count"]
    for number in range(count):
        path = folder / str(number)
        if not path.exists():
            path.write_text("")
            with (folder.parent / "log").open("a") as log:
                log.write(f"{number}\\n")
            time.sleep(0.01)
        ticket.progress(number + 1, count)

Jobs(Records(sys.argv[1], new_uid=str), {"write": write}, name="worker").start()
time.sleep(600)
"""


@pytest.mark.parametrize("records", ["sqlite"], indirect=True)
def test_kill_minus_nine_loses_no_job_and_does_no_step_twice(records: Records, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    number = queued(records, "write", folder=str(folder), count=150)
    for reached in (10, 40, 80, 150):
        worker = subprocess.Popen([sys.executable, "-c", _WORKER, records.url], cwd=ROOT)
        try:
            until(lambda reached=reached: len(list(folder.iterdir())) >= reached, 60)  # type: ignore[misc]
            if reached == 150:
                ended(records, number)
        finally:
            worker.kill()
            worker.wait(20)
    assert job(records, number).state == JobState.DONE
    assert (tmp_path / "log").read_text().split() == [str(step) for step in range(150)]


def test_people_see_their_sites_jobs_and_give_up_only_what_they_asked_for(records: Records) -> None:
    with records.writing() as work:
        own = work.enqueue("MAIN", "count", {"secret": 1}, asked_by=str(NURSE)).id or 0
        other = work.enqueue("MAIN", "count", {}, asked_by="system:clock").id or 0
    with records.writing() as work:
        assert [seen.id for seen in queue.listing(work, NURSE)] == [other, own]
        assert queue.cancel(work, NURSE, own).state is JobState.CANCELLED
        with pytest.raises(Forbidden):
            queue.cancel(work, NURSE, other)
        assert queue.listing(work, access.person("far", "ELSEWHERE", Role.ADMIN)) == []
        with pytest.raises(NotFound):
            queue.one(work, access.person("far", "ELSEWHERE", Role.ADMIN), own)


def test_what_becomes_of_a_job_is_told(records: Records) -> None:
    before = records.last_event()
    with working(records, count=lambda ticket: None):
        number = queued(records)
        ended(records, number)
    told = [event.data["state"] for event in records.events_after(before) if event.kind == "job"]
    assert told == [JobState.QUEUED, JobState.RUNNING, JobState.DONE]


def test_a_hundred_jobs_are_done_once_each_by_two_workers(records: Records) -> None:
    done: list[int] = []
    with records.writing() as work:
        numbers = {work.enqueue("MAIN", "count", {}).id for _ in range(100)}
    with (
        working(records, "one", count=lambda ticket: done.append(ticket.job_id)),
        working(records, "two", count=lambda ticket: done.append(ticket.job_id)),
    ):
        until(lambda: len(done) >= 100, 60)
    assert sorted(done) == sorted(number or 0 for number in numbers)
    with records.reading() as work:
        assert work.session.exec(select(Job).where(col(Job.state) != JobState.DONE)).all() == []


def test_work_that_finished_long_ago_is_forgotten_with_what_was_sent_by_it(records: Records) -> None:
    day = timedelta(days=1)
    with records.writing() as work:
        ages = {JobState.DONE: 91, JobState.FAILED: 100, JobState.CANCELLED: 89, JobState.QUEUED: None}
        jobs = {state: work.enqueue("MAIN", "send", {}) for state in ages}
        for state, age in ages.items():
            jobs[state].state = state
            jobs[state].finished_at = None if age is None else work.now - age * day
            jobs[state].queued_at = work.now - 200 * day
            work.add(Delivery(site="MAIN", job_id=jobs[state].id or 0, aet="PACS", sop_uid=f"1.2.{jobs[state].id}"))
        ids = {state: job.id for state, job in jobs.items()}
    with records.writing() as work:
        assert not queue.forget(work, 90 * day)
    with records.reading() as work:
        left = {ids[JobState.CANCELLED], ids[JobState.QUEUED]}
        assert set(work.session.exec(select(Job.id))) == left
        assert set(work.session.exec(select(Delivery.job_id))) == left


def test_no_job_is_given_the_number_of_one_that_was_forgotten(records: Records) -> None:
    with records.writing() as work:
        numbers = []
        for _ in range(120):
            job = work.enqueue("MAIN", "send", {})
            job.state, job.finished_at = JobState.DONE, work.now - timedelta(days=91)
            numbers.append(job.id or 0)
    with records.writing() as work:
        assert [queue.forget(work, timedelta(days=90)) for _ in range(3)] == [True, True, False]
    with records.writing() as work:
        assert work.session.exec(select(Job.id)).all() == [numbers[-1]]
        assert (work.enqueue("MAIN", "send", {}).id or 0) > numbers[-1]
