"""The queue of work as people see it: what waits, what runs, what failed; and giving up or trying again.

A job moves by `JOB_AFTER` alone. Cancelling one that runs moves its row at once; its runner learns of it by its ticket.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol

from sqlmodel import col, delete, func, select

from core import access, audit, course, wire
from core.access import Actor, ActorKind
from core.errors import NotFound, Refused
from core.model import Delivery, Job, Processing
from core.records import Work
from core.vocabulary import JOB_AFTER, PROCESSING_AFTER, JobState, Operation, ProcessingState, may_follow

OPEN = (JobState.QUEUED, JobState.RUNNING)
_FORGOTTEN_AT_ONCE = 50
_FOLLOWS = {
    JobState.QUEUED: ProcessingState.QUEUED,
    JobState.RUNNING: ProcessingState.RUNNING,
    JobState.FAILED: ProcessingState.FAILED,
    JobState.CANCELLED: ProcessingState.CANCELLED,
}


class Ticket(Protocol):
    """What a runner gets of the job it works on. A job may be run again after any crash: runners pick up what is left.

    `result` starts as what an earlier attempt left, and is kept with the job when the runner returns or raises.
    """

    job_id: int
    site: str
    attempt: int
    payload: Mapping[str, Any]
    result: dict[str, Any]

    def progress(self, done: int, of: int) -> None:
        """Say how far the work has come; written down now and then."""

    def cancelled(self) -> bool:
        """Whether to stop here: somebody cancelled the job, or the service stops and runs it again later."""


def move(work: Work, job: Job, then: JobState, error: str = "") -> None:
    """Move a job by its table and tell of it."""
    now = JobState(job.state)
    if not may_follow(JOB_AFTER, now, then):
        raise Refused(f"job {job.id} is {now} and cannot become {then}")
    job.state, job.error = then, error
    job.finished_at = None if then in OPEN else work.now
    if then is not JobState.RUNNING:
        job.claimed_by, job.claimed_until = "", None
    work.session.add(job)
    work.tell(job.site, "job", str(job.id), state=then, work=job.kind)
    if job.kind == course.PROCESSING and then in _FOLLOWS:
        _take_along(work, job, _FOLLOWS[then])


def _take_along(work: Work, job: Job, then: ProcessingState) -> None:
    """Let the processing a job works on follow it, unless it is made already."""
    row = work.session.exec(select(Processing).where(Processing.job_id == job.id)).first()
    if row is None:
        return
    row.done, row.total = job.done, job.total
    if may_follow(PROCESSING_AFTER, ProcessingState(row.state), then):
        course.move_processing(work, row, then, job.error)


def listing(work: Work, actor: Actor, *, state: JobState | None = None, limit: int = 100) -> list[wire.Job]:
    """Return the jobs of the actor's site, the latest first; every site's for the operator."""
    access.require(actor, Operation.FIND)
    found = select(Job).order_by(col(Job.id).desc()).limit(limit)
    if state is not None:
        found = found.where(Job.state == state)
    if actor.kind is ActorKind.PERSON:
        found = found.where(Job.site == actor.site)
    return [shape(job) for job in work.session.exec(found)]


def cancel(work: Work, actor: Actor, job_id: int) -> wire.Job:
    """Give up a job that waits or runs; what it has done by then stays done."""
    return _change(work, actor, job_id, JobState.CANCELLED, "job.cancel")


def retry(work: Work, actor: Actor, job_id: int) -> wire.Job:
    """Let a failed job be tried anew, or one that waits for its next attempt be tried at once."""
    job = _named(work, actor, job_id)
    if JobState(job.state) is JobState.QUEUED:
        _demand_right(actor, job)
        job.due_at = work.now
        work.session.add(job)
        work.tell(job.site, "job", str(job.id), state=job.state, work=job.kind)
        audit.record(work, actor, "job.retry", str(job.id), kind=job.kind)
        return shape(job)
    job.attempts, job.due_at = 0, work.now
    return _change(work, actor, job_id, JobState.QUEUED, "job.retry")


def _change(work: Work, actor: Actor, job_id: int, then: JobState, action: str) -> wire.Job:
    job = _named(work, actor, job_id)
    _demand_right(actor, job)
    move(work, job, then)
    audit.record(work, actor, action, str(job.id), kind=job.kind)
    return shape(job)


def _demand_right(actor: Actor, job: Job) -> None:
    """Whoever asked for a job may give it up; any other job is for those who look after the service."""
    if job.asked_by != str(actor):
        access.require(actor, Operation.ADMINISTER)


def _named(work: Work, actor: Actor, job_id: int) -> Job:
    job = work.session.get(Job, job_id)
    if job is None or (actor.kind is ActorKind.PERSON and job.site != actor.site):
        raise NotFound(f"there is no job {job_id}: see 'photopeakd jobs list'")
    return job


def forget(work: Work, older: timedelta) -> bool:
    """Forget some of the work that finished longer ago, and what was sent by it; return whether there may be more.

    The latest job stays, whatever its age: no number is given twice.
    """
    latest = select(func.max(Job.id)).scalar_subquery()
    found = select(Job.id).where(col(Job.state).not_in(OPEN), col(Job.finished_at) < work.now - older)
    ids = work.session.exec(found.where(col(Job.id) < latest).order_by(col(Job.id)).limit(_FORGOTTEN_AT_ONCE)).all()
    work.session.exec(delete(Delivery).where(col(Delivery.job_id).in_(ids)))
    work.session.exec(delete(Job).where(col(Job.id).in_(ids)))
    return len(ids) == _FORGOTTEN_AT_ONCE


def one(work: Work, actor: Actor, job_id: int) -> wire.Job:
    """Return one job."""
    access.require(actor, Operation.FIND)
    return shape(_named(work, actor, job_id))


def counts(work: Work) -> dict[str, int]:
    """Return how many jobs are in each state."""
    counted = select(Job.state, func.count()).group_by(Job.state)
    return dict.fromkeys(map(str, JobState), 0) | dict(work.session.exec(counted).all())


def shape(job: Job) -> wire.Job:
    """Return a job as it travels; its payload stays here."""
    return wire.Job(
        id=job.id or 0, kind=job.kind, lane=job.lane, state=JobState(job.state), asked_by=job.asked_by, done=job.done,
        total=job.total, attempts=job.attempts, error=job.error, result=job.result, queued_at=wire.local(job.queued_at),
        due_at=wire.local(job.due_at), finished_at=wire.local(job.finished_at) if job.finished_at else None,
        site=job.site,
    )  # fmt: skip
