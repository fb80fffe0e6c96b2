"""Move exams and their steps by the tables, and count their images: `settle` works out anew what follows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import col, func, or_, select

from core.course import making
from core.course.finding import procedure_of, steps_of
from core.errors import Refused
from core.model import (
    Batch,
    Exam,
    Image,
    Report,
    ReportVersion,
    Step,
)
from core.records import Work
from core.vocabulary import (
    EXAM_AFTER,
    EXAM_CLOSED,
    REPORT_SIGNED,
    STEP_AFTER,
    STEP_ENDED,
    Evidence,
    ExamState,
    ImagesState,
    StepState,
    may_follow,
)

_OVERDUE_AFTER = timedelta(hours=24)
_MOMENT_OF = {
    StepState.ARRIVED: "arrived_at",
    StepState.INJECTED: "injected_at",
    StepState.IN_PROGRESS: "started_at",
    StepState.DONE: "finished_at",
    StepState.DISCONTINUED: "finished_at",
    StepState.NOT_DONE: "finished_at",
}


def move_step(
    work: Work, exam: Exam, step: Step, to: StepState, *, at: datetime | None = None, reason: str = ""
) -> None:
    """Move a step by the table and settle its exam.

    Raises
    ------
    Refused
        When the table does not allow it, or the step has images and is to become NOT_DONE.
    """
    now = StepState(step.state)
    if not may_follow(STEP_AFTER, now, to):
        msg = f"step {step.name or step.sps_id} of {exam.accession} is {now}: it cannot become {to}"
        raise Refused(msg)
    if to is StepState.NOT_DONE and _has_images(work, exam, step):
        msg = f"{exam.accession} has images, so the step was done: finish or discontinue it, or unfile the images first"
        raise Refused(msg)
    step.state = to
    if to not in STEP_ENDED:
        step.finished_at, step.reason = None, ""
    if to in _MOMENT_OF:
        setattr(step, _MOMENT_OF[to], at or work.now)
    step.reason = reason or step.reason
    work.session.add(step)
    settle(work, exam)


def _has_images(work: Work, exam: Exam, step: Step) -> bool:
    filed = select(func.count()).select_from(Image).join(Batch, col(Batch.id) == Image.batch_id)
    filed = filed.where(Batch.exam_id == exam.id, or_(Batch.step_id == step.id, col(Batch.step_id).is_(None)))
    alone = len(steps_of(work, exam)) == 1
    by_step = filed if alone else filed.where(Batch.step_id == step.id)
    return work.session.exec(by_step).one() > 0


def close(work: Work, exam: Exam, to: ExamState, reason: str) -> None:
    """Take an exam out by one of its side exits (CANCELLED, NOT_DONE).

    Raises
    ------
    Refused
        When it has images or a signed report: then something was done.
    """
    if exam.images_received or exam.images_uncounted:
        msg = f"{exam.accession} has {exam.images_received} images: unfile them first, or finish the exam"
        raise Refused(msg)
    if _signed(work, exam):
        msg = f"{exam.accession} has a signed report, so it was done: finish it, or have the report withdrawn first"
        raise Refused(msg)
    _move(work, exam, to)
    exam.closed_reason = reason
    for step in steps_of(work, exam):
        if StepState(step.state) not in STEP_ENDED:
            step.state, step.finished_at, step.reason = StepState.NOT_DONE, work.now, reason
            work.session.add(step)
    _told(work, exam)


def reopen(work: Work, exam: Exam) -> None:
    """Bring a closed exam back; steps that were never done are scheduled again."""
    if ExamState(exam.state) not in EXAM_CLOSED:
        msg = f"{exam.accession} is {exam.state}, not closed: there is nothing to reopen"
        raise Refused(msg)
    for step in steps_of(work, exam):
        if step.state == StepState.NOT_DONE:
            step.state, step.finished_at, step.reason = StepState.SCHEDULED, None, ""
            work.session.add(step)
    settle(work, exam, reopened=True)


def settle(work: Work, exam: Exam, *, reopened: bool = False) -> None:
    """Count the exam's images, work out its state, and tell of it."""
    work.session.flush()
    steps = steps_of(work, exam)
    count_images(work, exam, steps)
    if ExamState(exam.state) not in EXAM_CLOSED or reopened:
        making.ask_processing(work, exam)
        _move(work, exam, _state(work, exam, steps))
    exam.images_due_at = _images_due(work, exam, steps)
    exam.report_due_at = _report_due(work, exam, steps)
    _told(work, exam)


def _move(work: Work, exam: Exam, to: ExamState) -> None:
    now = ExamState(exam.state)
    if now is to:
        return
    if not may_follow(EXAM_AFTER, now, to):
        msg = f"{exam.accession} is {now}: it cannot become {to}"
        raise Refused(msg)
    exam.state = to
    exam.closed_at = work.now if to in EXAM_CLOSED else None
    exam.closed_reason = "" if to not in EXAM_CLOSED else exam.closed_reason
    work.session.add(exam)


def _state(work: Work, exam: Exam, steps: Sequence[Step]) -> ExamState:
    """Work out the state an exam is in from what is on record."""
    if _signed(work, exam) and not _added_after_signing(work, exam, steps):
        return ExamState.REPORTED
    ended = bool(steps) and all(step.state in STEP_ENDED for step in steps)
    if ended and all(step.state == StepState.NOT_DONE for step in steps):
        return ExamState.NOT_DONE
    complete = exam.images_state == ImagesState.COMPLETE or (ended and exam.evidence != Evidence.IMAGES)
    if complete and not making.undecided(work, exam):
        return ExamState.READY
    if ended:
        return ExamState.ACQUIRED
    begun = {StepState.IN_PROGRESS, StepState.DONE, StepState.DISCONTINUED}
    if exam.images_received or exam.images_uncounted or any(step.state in begun for step in steps):
        return ExamState.IN_PROGRESS
    return _before_images(exam)


def _signed(work: Work, exam: Exam) -> bool:
    state = work.session.exec(select(Report.state).where(Report.exam_id == exam.id)).first()
    return state in REPORT_SIGNED


def _before_images(exam: Exam) -> ExamState:
    if exam.protocolled_at:
        return ExamState.PROTOCOLLED
    return ExamState.ASSIGNED if exam.assigned_to else ExamState.REGISTERED


def _added_after_signing(work: Work, exam: Exam, steps: Sequence[Step]) -> bool:
    """Whether a step added after the signature is unreported: it reopens the exam and leads to an addendum."""
    signed = select(func.max(ReportVersion.signed_at)).join(Report, col(Report.id) == ReportVersion.report_id)
    at = work.session.exec(signed.where(Report.exam_id == exam.id)).one()
    return any(step.added_at and at and step.added_at > at and step.state != StepState.NOT_DONE for step in steps)


def count_images(work: Work, exam: Exam, steps: Sequence[Step]) -> None:
    """Count what is filed to the exam against what is due: original frames where protocol or vectors tell."""
    sums: tuple[Any, ...] = (
        func.count(), func.sum(Image.frames), func.sum(Image.due_frames), func.count(col(Image.due_frames)),
        func.min(Image.received_at), func.max(Image.received_at),
    )  # fmt: skip
    filed = select(col(Image.counted), *sums).select_from(Image).join(Batch, col(Batch.id) == Image.batch_id)
    filed = filed.where(col(Batch.exam_id) == exam.id).group_by(col(Image.counted))
    found = {counted: row for counted, *row in work.session.exec(filed).all()}
    instances, frames, due, with_vectors, first, last = found.get(True, (0, 0, 0, 0, None, None))
    exam.images_uncounted = found[False][0] if False in found else 0
    protocol = _expected_by_protocol(steps)
    in_frames = protocol is not None or (instances > 0 and with_vectors == instances)
    exam.images_unit = "frames" if in_frames else "instances"
    exam.images_received = int(frames or 0) if in_frames else instances
    exam.images_expected = protocol if protocol is not None else (int(due or 0) if in_frames else None)
    exam.first_image_at, exam.last_image_at = first, last
    exam.images_state = _images_state(work, exam, steps, told_by_protocol=protocol is not None)
    work.session.add(exam)


def _expected_by_protocol(steps: Sequence[Step]) -> int | None:
    due = [step for step in steps if step.state not in {StepState.NOT_DONE, StepState.DISCONTINUED}]
    told = [step.expected_frames for step in due if step.expected_frames is not None]
    return sum(told) if due and len(told) == len(due) else None


def _images_state(work: Work, exam: Exam, steps: Sequence[Step], *, told_by_protocol: bool) -> ImagesState:
    conflicts = select(func.count()).select_from(Batch)
    against = conflicts.where(Batch.contradicts == exam.id, Batch.state == "conflicting")
    if work.session.exec(against).one():
        return ImagesState.CONFLICTING
    if not exam.images_received:
        return ImagesState.NONE
    enough = exam.images_expected is None or exam.images_received >= exam.images_expected
    finished = bool(steps) and all(step.state in STEP_ENDED for step in steps)
    return ImagesState.COMPLETE if enough and (told_by_protocol or finished) else ImagesState.ARRIVING


def _images_due(work: Work, exam: Exam, steps: Sequence[Step]) -> datetime | None:
    """When images are due: 24 h after injection + uptake + protocol, else planned time, else registration."""
    if exam.evidence != Evidence.IMAGES:
        return None
    entry = procedure_of(work, exam)
    uptake = timedelta(minutes=(entry.uptake_minutes or 0) + entry.duration_minutes) if entry else timedelta()
    injected = [step.injected_at for step in steps if step.injected_at]
    planned = [step.planned_at for step in steps if step.planned_at]
    start = max(injected) + uptake if injected else max(planned, default=exam.booked_at or exam.registered_at)
    return max([start, *planned]) + _OVERDUE_AFTER


def _report_due(work: Work, exam: Exam, steps: Sequence[Step]) -> datetime | None:
    """When the report is due: the clock starts at the end of the exam, or at complete images where nobody said."""
    ends = [step.finished_at for step in steps if step.finished_at and step.state != StepState.NOT_DONE]
    ended = bool(steps) and all(step.state in STEP_ENDED for step in steps)
    done = max(ends) if ended and ends else (exam.last_image_at if exam.images_state == ImagesState.COMPLETE else None)
    entry = procedure_of(work, exam)
    return done + timedelta(minutes=entry.report_within_minutes) if done and entry else None


def _told(work: Work, exam: Exam) -> None:
    work.session.add(exam)
    work.tell(
        exam.site, "exam", exam.accession, state=exam.state, images=exam.images_received,
        images_state=exam.images_state, assigned_to=exam.assigned_to, device=exam.device,
    )  # fmt: skip
