"""Accept what was made, or do without it.

Accepting files the objects through reception, as durable as any that arrive; a crash in between is healed by accepting
again, for the same objects are known by their UIDs.
"""

from __future__ import annotations

from datetime import timedelta

from sqlmodel import select

from core import access, audit, course, wire
from core.access import Actor
from core.errors import Broken, Refused
from core.model import Exam, Processing
from core.records import Work
from core.vocabulary import Operation, ProcessingState
from core.workflow.processing import asking
from core.workflow.processing.shelf import Shelf
from core.workflow.reception import Reception


def accept(reception: Reception, shelf: Shelf, actor: Actor, number: int) -> wire.Processing:
    """File the result beside the raw data; what it replaces is discarded, and the exam may be ready.

    Raises
    ------
    Refused
        There is nothing made to accept.
    Broken
        A result could not be kept; nothing was decided, accept again.
    """
    access.require(actor, Operation.PROCESS)
    with reception.records.reading() as work:
        row = asking.named(work, actor, number)
        if row.state != ProcessingState.MADE:
            raise Refused(f"processing {number} is {row.state}: only what is made can be accepted")
    _file(reception, shelf, row)
    with reception.records.writing() as work:
        return _accepted(work, actor, asking.named(work, actor, number))


def _file(reception: Reception, shelf: Shelf, row: Processing) -> None:
    """Let the objects come in as any others do."""
    filer = access.system("processing", row.site)
    for uid in row.results:
        path = shelf.result(row.id or 0, uid)
        if not path.is_file():
            raise Broken(f"result {uid} of processing {row.id} is not on the disk any more: repeat the processing")
        reception.receive(filer, reception.keeper.stage_file(path))


def _accepted(work: Work, actor: Actor, row: Processing) -> wire.Processing:
    _decide(work, actor, row, ProcessingState.ACCEPTED)
    for before in _replaced(work, row):
        if before.state in (ProcessingState.MADE, ProcessingState.ACCEPTED, ProcessingState.FAILED,
                            ProcessingState.CANCELLED):  # fmt: skip
            _decide(work, actor, before, ProcessingState.DISCARDED)
    course.settle(work, work.session.get_one(Exam, row.exam_id))
    audit.record(work, actor, "processing.accept", str(row.id), objects=len(row.results), recipe=row.recipe)
    return asking.shape(work, row)


def _replaced(work: Work, row: Processing) -> list[Processing]:
    """Return what a processing was done again for, and what that was done again for, and so on."""
    found: list[Processing] = []
    while row.replaces is not None:
        row = work.session.get_one(Processing, row.replaces)
        found.append(row)
    return found


def discard(work: Work, shelf: Shelf, actor: Actor, number: int) -> wire.Processing:
    """Do without what was made, failed or was cancelled; the exam waits for it no more.

    Raises
    ------
    Refused
        It is being made, or was decided on: what is accepted is replaced by accepting another.
    """
    access.require(actor, Operation.PROCESS)
    row = asking.named(work, actor, number)
    if row.state == ProcessingState.ACCEPTED:
        raise Refused(
            f"processing {number} is accepted and filed: repeat it and accept the other, or unfile its images"
        )
    _decide(work, actor, row, ProcessingState.DISCARDED)
    again = select(Processing).where(Processing.replaces == row.id, Processing.state != ProcessingState.DISCARDED)
    if row.due and work.session.exec(again).first() is None:
        for before in _replaced(work, row):
            if before.state in (ProcessingState.FAILED, ProcessingState.CANCELLED):
                _decide(work, actor, before, ProcessingState.DISCARDED)
    course.settle(work, work.session.get_one(Exam, row.exam_id))
    audit.record(work, actor, "processing.discard", str(number), recipe=row.recipe)
    shelf.clear(row.id or 0)
    return asking.shape(work, row)


def tidy(work: Work, shelf: Shelf, older_than: timedelta) -> int:
    """Let go of the steps of what was decided on so long ago, and of what makers left that died; return how many."""
    gone = [name for name, number in shelf.held().items() if _needless(work, name, number, older_than)]
    for name in gone:
        shelf.remove(name)
    return len(gone)


def _needless(work: Work, name: str, number: int, older_than: timedelta) -> bool:
    row = work.session.get(Processing, number)
    if row is None:
        return True
    if not name.isdigit():  # a maker is, or was, at work in it
        return row.state not in (ProcessingState.QUEUED, ProcessingState.RUNNING)
    return row.decided_at is not None and row.decided_at < work.now - older_than


def _decide(work: Work, actor: Actor, row: Processing, to: ProcessingState) -> None:
    course.move_processing(work, row, to)
    row.decided_by, row.decided_at = str(actor), work.now
