"""Runs what is queued: claims jobs with a lease, hands each to its runner, tries again what failed.

The table is the truth. A worker that dies leaves a lease behind that runs out; one that starts again under its own name
takes back at once what it left. Jobs of one lane never run side by side, whichever processes share the table.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, or_, update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from core.errors import CoreError, Refused, place_of
from core.model import Job
from core.records import Records, Work
from core.vocabulary import JobState
from core.workflow import queue
from core.workflow.queue import Ticket

log = logging.getLogger(__name__)

Runner = Callable[[Ticket], None]
_LOOK_EVERY = 0.25  # another process may have queued something
_REST = 0.05  # between two looks, however much news there is
_WRITE_EVERY = 1.0
_LONGEST_PAUSE = timedelta(hours=1)
_STOP_WITHIN = 10.0


class Held:
    """A claimed job: what its runner sees, and the way back to its row."""

    def __init__(self, records: Records, job: Job) -> None:
        self.job_id, self.site, self.kind, self.lane = job.id or 0, job.site, job.kind, job.lane
        self.attempt = job.attempts
        self.payload: Mapping[str, Any] = job.arguments
        self.result: dict[str, Any] = dict(job.result)
        self._records, self._claimed_by = records, job.claimed_by
        self._let_go = threading.Event()
        self._done, self._written_at = job.done, 0.0

    def progress(self, done: int, of: int) -> None:
        """Say how far the work has come, written once a second; whatever comes further has its attempts anew."""
        now = time.monotonic()
        if now - self._written_at < _WRITE_EVERY:
            return
        further = {"attempts": 1} if done > self._done else {}
        self._done, self._written_at = done, now
        with self._records.writing() as work:
            work.session.execute(update(Job).where(*self.mine()).values(done=done, total=of, **further))

    def cancelled(self) -> bool:
        """Whether to stop here."""
        return self._let_go.is_set()

    def let_go(self) -> None:
        """Tell the runner to stop."""
        self._let_go.set()

    def mine(self) -> tuple[Any, ...]:
        """Return what the row fulfils as long as the claim holds."""
        return (col(Job.id) == self.job_id, Job.state == JobState.RUNNING, Job.claimed_by == self._claimed_by)


class Jobs:
    """The workers of one process. `name` is this worker's own, the same at every start; nobody else may bear it."""

    def __init__(
        self, records: Records, runners: Mapping[str, Runner], *, name: str, workers: int = 4,
        lanes: Collection[str] = (), lease: timedelta = timedelta(seconds=60), pause: timedelta = timedelta(seconds=15),
        look_every: float = _LOOK_EVERY,
    ) -> None:  # fmt: skip
        self._records, self._runners, self._name = records, dict(runners), name
        self._workers, self._lanes, self._lease, self._pause = workers, lanes, lease, pause
        self._look_every = look_every
        self._held: dict[int, tuple[Held, threading.Thread]] = {}
        self._turn = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
        self._renewed_at = time.monotonic()

    def start(self) -> None:
        """Take back what an earlier life of this worker left, and begin."""
        with self._records.writing() as work:
            left = select(Job).where(Job.state == JobState.RUNNING, Job.claimed_by == self._name)
            for job in work.session.exec(left).all():
                _take_back(work, job)
        self._thread.start()

    def stop(self) -> None:
        """Claim nothing more, tell the runners to stop, and queue again what they leave."""
        self._stopping.set()
        if not self._thread.is_alive():
            return
        self._thread.join()
        for held, _ in self._running():
            held.let_go()
        until = time.monotonic() + _STOP_WITHIN
        for _, thread in self._running():
            thread.join(max(until - time.monotonic(), 0))

    def _running(self) -> list[tuple[Held, threading.Thread]]:
        with self._turn:
            return list(self._held.values())

    # -- looking for work --------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                self._look()
            except (CoreError, SQLAlchemyError) as error:
                log.warning("the queue could not be read (%s)", type(error).__name__)
                self._stopping.wait(self._look_every)
            self._stopping.wait(_REST)
            self._records.wait_for_news(self._look_every)

    def _look(self) -> None:
        self._watch()
        while len(self._held) < self._workers and self._something_due():
            held = self._claim()
            if held is None:
                return
            thread = threading.Thread(target=self._run, args=(held,), name=f"job-{held.job_id}", daemon=True)
            with self._turn:
                self._held[held.job_id] = held, thread
            thread.start()

    def _watch(self) -> None:
        """Let go of jobs cancelled meanwhile, and hold on to the others."""
        running = self._running()
        if not running:
            return
        mine: tuple[Any, ...] = (
            col(Job.id).in_([held.job_id for held, _ in running]), Job.claimed_by == self._name,
            Job.state == JobState.RUNNING,
        )  # fmt: skip
        with self._records.reading() as work:
            still = set(work.session.exec(select(Job.id).where(*mine)))
        for held, _ in running:
            if held.job_id not in still:
                held.let_go()
        if time.monotonic() - self._renewed_at > self._lease.total_seconds() / 3:
            self._renewed_at = time.monotonic()
            with self._records.writing() as work:
                work.session.execute(update(Job).where(*mine).values(claimed_until=work.now + self._lease))

    def _something_due(self) -> bool:
        with self._records.reading() as work:
            return work.session.exec(self._due(work.now)).first() is not None

    def _due(self, now: datetime) -> Any:  # noqa: ANN401 - SQLModel's selects differ in type by their columns
        """Select the job to run next: due, of a kind we run, in a lane nobody works in."""
        lapsed = and_(col(Job.state) == JobState.RUNNING, col(Job.claimed_until) < now)
        busy = select(Job.lane).where(Job.state == JobState.RUNNING, col(Job.claimed_until) >= now, Job.lane != "")
        ours = {held.lane for held, _ in self._running() if held.lane}
        found = select(Job).where(
            col(Job.kind).in_(self._runners), col(Job.due_at) <= now, or_(col(Job.state) == JobState.QUEUED, lapsed),
            col(Job.lane).not_in(busy), col(Job.lane).not_in(ours), col(Job.id).not_in(list(self._held)),
        )  # fmt: skip
        if self._lanes:
            found = found.where(col(Job.lane).in_(self._lanes))
        return found.order_by(col(Job.due_at), col(Job.id)).limit(1)

    def _claim(self) -> Held | None:
        with self._records.writing() as work:
            job = work.session.exec(self._due(work.now)).first()
            if job is None:
                return None
            if job.state == JobState.RUNNING and not _take_back(work, job):
                return None
            queue.move(work, job, JobState.RUNNING)
            job.attempts += 1
            job.claimed_by, job.claimed_until = self._name, work.now + self._lease
            return Held(self._records, job)

    # -- running -----------------------------------------------------------------------------------------------------

    def _run(self, held: Held) -> None:
        try:
            self._try(held)
        except (CoreError, SQLAlchemyError) as error:  # the lease runs out, and the job is run again
            log.warning("the end of job %d could not be written (%s)", held.job_id, type(error).__name__)
        finally:
            with self._turn:
                del self._held[held.job_id]

    def _try(self, held: Held) -> None:
        try:
            self._runners[held.kind](held)
        except Refused as error:
            self._end(held, JobState.FAILED, error.detail)
        except CoreError as error:
            self._end(held, JobState.QUEUED, error.detail)
        except Exception as error:  # noqa: BLE001 - one job that breaks must not end the worker of the others
            what = f"{type(error).__name__} in {place_of(error)}"
            log.error("job %d (%s) broke off: %s", held.job_id, held.kind, what)  # noqa: TRY400 - its text may name patients
            self._end(held, JobState.QUEUED, f"broke off: {what}")
        else:
            self._end(held, JobState.QUEUED if held.cancelled() else JobState.DONE)

    def _end(self, held: Held, then: JobState, error: str = "") -> None:
        with self._records.writing() as work:
            job = work.session.exec(select(Job).where(*held.mine())).first()
            if job is None:
                return  # cancelled, or another worker's by now
            job.result = held.result
            if error and job.attempts >= job.attempts_allowed:
                then = JobState.FAILED
            if then is JobState.DONE:
                job.done = job.total
            elif then is JobState.QUEUED and error:
                job.due_at = work.now + min(self._pause * 2 ** min(job.attempts - 1, 10), _LONGEST_PAUSE)
            elif then is JobState.QUEUED:  # the service stops: no fault of the job
                job.attempts -= 1
            queue.move(work, job, then, error)


def _take_back(work: Work, job: Job) -> bool:
    """Queue a job again whose worker died; give it up when it takes every worker with it."""
    if job.attempts < job.attempts_allowed:
        queue.move(work, job, JobState.QUEUED)
        return True
    queue.move(work, job, JobState.FAILED, f"the service ended {job.attempts} times while it worked on this")
    return False
