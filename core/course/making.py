"""What is to be made of an exam's images before it is ready: asked for once they are complete, moved by its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import col, select

from core.course.finding import procedure_of
from core.errors import Refused
from core.model import (
    Batch,
    Exam,
    Image,
    Processing,
)
from core.records import Work
from core.vocabulary import (
    PROCESSING_AFTER,
    PROCESSING_DECIDED,
    ImagesState,
    ProcessingState,
    Recipe,
    may_follow,
)

PROCESSING = "processing"
"""The kind of job that makes what is asked of images."""
RULE = "rule"
_UNDECIDED = frozenset(
    {ProcessingState.WAITING, ProcessingState.MADE, ProcessingState.FAILED, ProcessingState.CANCELLED}
)


def ask_processing(work: Work, exam: Exam) -> None:
    """Queue what catalogue or protocol ask to be made of the images, once these are complete; each thing once.

    Projections are reconstructed object by object; anything else is made once, after what stands before it was
    decided on.
    """
    rows = list(work.session.exec(select(Processing).where(Processing.exam_id == exam.id, col(Processing.due))))
    _let_go(work, exam, rows)
    if exam.images_state != ImagesState.COMPLETE:
        return
    asked = processing_of(work, exam)
    for row in [row for row in rows if not _still_asked(row, asked)]:
        row.due = False  # the protocol is another now
        work.session.add(row)
    for position, one in enumerate(asked):
        mine = [row for row in rows if row.position == position]
        done = {uid for row in mine for uid in row.inputs}
        scans = projections_of(work, exam) if one["recipe"] == Recipe.SPECT else []
        inputs = [[uid] for uid in scans if uid not in done] or ([[]] if not mine else [])
        rows += [_added(work, exam, position, one, uids) for uids in inputs]
    for row in rows:
        before = [one for one in rows if one.position < row.position]
        if row.state == ProcessingState.WAITING and all(one.state in PROCESSING_DECIDED for one in before):
            queue_processing(work, row)


def _still_asked(row: Processing, asked: Sequence[Mapping[str, Any]]) -> bool:
    return row.position < len(asked) and asked[row.position]["recipe"] == row.recipe


def _let_go(work: Work, exam: Exam, rows: Sequence[Processing]) -> None:
    """Discard what was made, or was to be made, of images that were taken from the exam since."""
    uids = {uid for row in rows for uid in row.inputs if row.state in _UNDECIDED}
    if not uids:
        return
    found = select(Image.sop_uid).join(Batch, col(Batch.id) == Image.batch_id).where(col(Image.sop_uid).in_(uids))
    here = set(work.session.exec(found.where(Batch.exam_id == exam.id, Batch.state == "filed")))
    for row in rows:
        if row.state in _UNDECIDED and not here.issuperset(row.inputs):
            move_processing(work, row, ProcessingState.DISCARDED, "its images were taken from the exam")


def processing_of(work: Work, exam: Exam) -> list[dict[str, Any]]:
    """Return what is to be made of the exam's images: as its protocol says, else as the catalogue does."""
    entry = procedure_of(work, exam) if exam.processing is None else None
    return list((entry.processing if entry else exam.processing) or [])


def projections_of(work: Work, exam: Exam) -> Sequence[str]:
    """Return the exam's objects of a rotating camera, as they were acquired."""
    found = select(Image.sop_uid).join(Batch, col(Batch.id) == Image.batch_id)
    found = found.where(Batch.exam_id == exam.id, Batch.state == "filed", col(Image.counted))
    found = found.where(col(Image.image_type).contains("TOMO"), col(Image.image_type).not_like("%RECON%"))
    return work.session.exec(found.order_by(col(Image.id))).all()


def _added(work: Work, exam: Exam, position: int, asked: dict[str, Any], inputs: list[str]) -> Processing:
    row = Processing(
        site=exam.site, exam_id=exam.id or 0, recipe=asked["recipe"], position=position, due=True, inputs=inputs,
        parameters=asked.get("parameters") or {}, asked_by=RULE, asked_at=work.now,
    )  # fmt: skip
    work.add(row)
    return row


def queue_processing(work: Work, row: Processing, attempts: int = 3) -> None:
    """Queue the making of what waits."""
    job = work.enqueue(row.site, PROCESSING, {"processing": row.id}, asked_by=row.asked_by, attempts=attempts)
    row.job_id = job.id
    move_processing(work, row, ProcessingState.QUEUED)


def move_processing(work: Work, row: Processing, to: ProcessingState, error: str = "") -> None:
    """Move a processing by its table and tell of it.

    Raises
    ------
    Refused
        When the table does not allow it.
    """
    now = ProcessingState(row.state)
    if not may_follow(PROCESSING_AFTER, now, to):
        raise Refused(f"processing {row.id} is {now}: it cannot become {to}")
    row.state, row.error = to, error
    work.session.add(row)
    exam = work.session.get_one(Exam, row.exam_id)
    work.tell(row.site, PROCESSING, str(row.id), state=to, accession=exam.accession, recipe=row.recipe)


def undecided(work: Work, exam: Exam) -> bool:
    """Whether something the exam asks to be made of its images waits for its maker or for a person."""
    found = select(Processing.id).where(Processing.exam_id == exam.id, col(Processing.due))
    found = found.where(col(Processing.state).not_in(PROCESSING_DECIDED))
    return work.session.exec(found.limit(1)).first() is not None
