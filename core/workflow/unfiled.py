"""What the filing page lists: batches that wait, exams whose images are overdue, objects kept apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlmodel import col, select

from core import access, course, wire
from core.access import Actor
from core.model import Batch, Conversion, Exam, Image, Patient, Quarantined
from core.records import Work
from core.vocabulary import EXAM_CLOSED, BatchState, Evidence, ImagesState, Operation
from core.workflow import corrections, filing
from core.workflow.matching_rule import Field, Match

WAITING = (BatchState.UNFILED, BatchState.CONFLICTING)
_LOOKED_AT, _TOLD = 100, 12  # objects whose repairs are told with their batch, and how many of them


def listing(
    work: Work, actor: Actor, states: Sequence[BatchState] = WAITING, limit: int = 50, *, candidates: bool = True
) -> list[wire.Unfiled]:
    """Return the batches in these states (unfiled and conflicting unless told otherwise), the latest first.

    `candidates` may be left out: whoever shows a long list asks for those of one batch by `one`.
    """
    access.require(actor, Operation.FIND)
    found = select(Batch).where(Batch.site == actor.site, col(Batch.state).in_(states), Batch.received > 0)
    batches = work.session.exec(found.order_by(col(Batch.last_at).desc(), col(Batch.id).desc()).limit(limit)).all()
    series = corrections.series_of_each(work, batches)
    return [_shape(work, batch, series[batch.id], candidates=candidates) for batch in batches]


def one(work: Work, actor: Actor, reference: str) -> wire.Unfiled:
    """Return one batch, named by its id or Study UID, with its candidates as things stand now."""
    access.require(actor, Operation.FIND)
    return shape(work, corrections.find_batch(work, actor.site, reference))


def shape(work: Work, batch: Batch) -> wire.Unfiled:
    """Return a batch as it travels, as sent, with its candidates."""
    return _shape(work, batch, corrections.series_of(work, batch), candidates=True)


def _shape(work: Work, batch: Batch, series: list[str], *, candidates: bool) -> wire.Unfiled:
    against = work.session.get(Exam, batch.contradicts or 0)
    wanted = candidates and batch.state in WAITING
    return wire.Unfiled(
        id=batch.id or 0, study_instance_uid=batch.study_uid, patient_number=batch.patient_number,
        patient_name=batch.patient_name, birth_date=batch.birth_date, sex=batch.sex, accession=batch.accession,
        modality=batch.modality, description=batch.description, aet=batch.aet, from_worklist=batch.from_worklist,
        series=series, received=batch.received, first_at=wire.local(batch.first_at),
        last_at=wire.local(batch.last_at), state=batch.state, contradicts=against.accession if against else None,
        reasons=batch.reasons, candidates=_candidates(work, batch) if wanted else [],
        repairs=_repairs(work, batch) if candidates else [],
    )  # fmt: skip


def _repairs(work: Work, batch: Batch) -> list[str]:
    """Return what was mended in the objects of a batch, each repair once."""
    mended = select(Conversion.repairs).join(Image, col(Image.sop_uid) == Conversion.sop_uid)
    rows = work.session.exec(mended.where(Image.batch_id == batch.id, Conversion.site == batch.site).limit(_LOOKED_AT))
    return list(dict.fromkeys(repair for repairs in rows for repair in repairs))[:_TOLD]


def _candidates(work: Work, batch: Batch) -> list[wire.Candidate]:
    matches = filing.candidates_of(work, batch)
    exams = _rows(work, Exam, [match.exam.id for match in matches])
    patients = _rows(work, Patient, [match.patient.id for match in matches])
    return [_candidate(match, exams[match.exam.id], patients[match.patient.id]) for match in matches]


_Row = TypeVar("_Row", Exam, Patient)


def _rows(work: Work, table: type[_Row], ids: Sequence[int]) -> dict[int, _Row]:
    return {row.id or 0: row for row in work.session.exec(select(table).where(col(table.id).in_(ids)))}


def _candidate(match: Match, exam: Exam, patient: Patient) -> wire.Candidate:
    return wire.Candidate(
        accession=exam.accession, score=match.score, reasons=list(match.reasons), patient_number=patient.number,
        patient_name=patient.name, birth_date=patient.birth_date, sex=patient.sex, procedure=exam.procedure,
        state=match.exam.state, differs=[one.value for one in Field if one in match.differs],
    )  # fmt: skip


def overdue(work: Work, actor: Actor, limit: int = 200) -> list[wire.Exam]:
    """Return the exams whose images should have come, the longest overdue first."""
    access.require(actor, Operation.FIND)
    found = select(Exam).where(
        Exam.site == actor.site, col(Exam.images_due_at) < work.now, Exam.evidence == Evidence.IMAGES,
        col(Exam.images_state).in_((ImagesState.NONE, ImagesState.ARRIVING)), col(Exam.state).not_in(EXAM_CLOSED),
    )  # fmt: skip
    return course.shapes(work, work.session.exec(found.order_by(col(Exam.images_due_at)).limit(limit)).all())


def quarantined(work: Work, actor: Actor, limit: int = 200) -> list[wire.Quarantined]:
    """Return the objects that repeat a UID with other content and were not admitted yet, the latest first."""
    access.require(actor, Operation.FIND)
    found = select(Quarantined).where(*kept_apart(actor.site)).order_by(col(Quarantined.id).desc())
    return [
        wire.Quarantined(
            id=row.id or 0, sop_instance_uid=row.sop_uid, study_instance_uid=row.study_uid, aet=row.aet,
            reason=row.reason, size=row.size, received_at=wire.local(row.received_at),
        )
        for row in work.session.exec(found.limit(limit))
    ]  # fmt: skip


def kept_apart(site: str) -> tuple[Any, ...]:
    """Return what objects of a site fulfil that are kept apart and were not admitted under another UID."""
    admitted = select(Conversion.id).where(Conversion.site == site, Conversion.original_path == Quarantined.path)
    return Quarantined.site == site, ~admitted.exists()
