"""What a camera itself reports of a step (MPPS, PS3.4 F.7): begun, going on, completed, discontinued.

Kept whatever it names; it moves the steps it names when they are beyond doubt this patient's. A camera is never
refused for what people have still to do, and one that reports late never undoes what a person said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydicom import Dataset
from sqlmodel import col, select

from core import audit, course
from core.access import Actor
from core.dicom.matching import UNREADABLE
from core.errors import Invalid, NotFound, Refused
from core.model import Check, Exam, Identifier, Patient, PerformedStep, Step
from core.naming import normalise_identifier
from core.records import Work
from core.vocabulary import STEP_AFTER, STEP_ENDED, StepState, may_follow

IN_PROGRESS, COMPLETED, DISCONTINUED = "IN PROGRESS", "COMPLETED", "DISCONTINUED"
_STATUSES = (IN_PROGRESS, COMPLETED, DISCONTINUED)


def find(work: Work, sop_uid: str) -> PerformedStep | None:
    """Return the performed step a camera reported under this SOP Instance UID."""
    return work.session.exec(select(PerformedStep).where(PerformedStep.sop_uid == sop_uid)).first()


def begin(work: Work, actor: Actor, sop_uid: str, attributes: Dataset) -> PerformedStep:
    """Note that a camera has begun, and start the steps it names (N-CREATE, PS3.4 F.7.2.1).

    Raises
    ------
    Invalid
        The status is not IN PROGRESS, or the attributes cannot be read or name no scheduled step sequence.
    """
    said = _as_json(attributes)
    if _text(attributes, "PerformedProcedureStepStatus") != IN_PROGRESS:
        raise Invalid("Performed Procedure Step Status must be IN PROGRESS when a step is created")
    named = _items(attributes, "ScheduledStepAttributesSequence")
    if not named:
        raise Invalid("Scheduled Step Attributes Sequence is missing")
    steps = _steps_named(work, actor.site, attributes)
    row = PerformedStep(
        site=actor.site, sop_uid=sop_uid, aet=actor.name, status=IN_PROGRESS, attributes=said,
        study_instance_uid=_text(named[0], "StudyInstanceUID")[:64],
        accession=_text(named[0], "AccessionNumber")[:64], patient_number=_text(attributes, "PatientID")[:64],
        sps_ids=[step_id for item in named if (step_id := _text(item, "ScheduledProcedureStepID"))],
        exam_id=steps[0].exam_id if steps else None, step_id=steps[0].id if steps else None,
        created_at=work.now, changed_at=work.now,
    )  # fmt: skip
    work.add(row)
    for step in steps:
        _start(work, actor, step)
    audit.record(work, actor, "mpps.create", _subject(work, row), sop_instance_uid=sop_uid, steps=row.sps_ids)
    return row


def change(work: Work, actor: Actor, sop_uid: str, attributes: Dataset) -> PerformedStep:
    """Note how a performed step went on, and end the steps it names with it (N-SET, PS3.4 F.7.2.2).

    Raises
    ------
    NotFound
        No step was created under this UID.
    Refused
        The step was completed or discontinued; it may no longer be updated.
    Invalid
        The status is none of the three, or the attributes cannot be read.
    """
    row = find(work, sop_uid)
    if row is None or row.site != actor.site:
        raise NotFound("no performed step has this SOP Instance UID: create it first")
    if row.status != IN_PROGRESS:
        raise Refused("the performed step has ended and may no longer be updated")
    said, status = _as_json(attributes), _text(attributes, "PerformedProcedureStepStatus") or IN_PROGRESS
    if status not in _STATUSES:
        raise Invalid("Performed Procedure Step Status must be IN PROGRESS, COMPLETED or DISCONTINUED")
    row.attributes, row.status, row.changed_at = {**row.attributes, **said}, status, work.now
    work.add(row)
    if status != IN_PROGRESS:
        for step in _steps_named(work, row.site, Dataset.from_json(row.attributes)):
            _end(work, actor, step, attributes)
    audit.record(work, actor, "mpps.set", _subject(work, row), sop_instance_uid=sop_uid, status=status)
    return row


def _subject(work: Work, row: PerformedStep) -> str:
    exam = work.session.get(Exam, row.exam_id) if row.exam_id else None
    return exam.accession if exam else row.sop_uid


# -- moving steps ----------------------------------------------------------------------------------------------------


def _start(work: Work, actor: Actor, step: Step) -> None:
    """Move a step on when it waits, or when only a camera said that it had ended."""
    if step.state in STEP_ENDED and not _ended_by_camera(work, step):
        return
    if not may_follow(STEP_AFTER, StepState(step.state), StepState.IN_PROGRESS):
        return
    exam, since = work.session.get_one(Exam, step.exam_id), step.started_at
    course.move_step(work, exam, step, StepState.IN_PROGRESS)
    step.started_at, step.started_by = since or step.started_at, step.started_by or str(actor)
    work.add(step)
    open_checks = select(Check.name).where(Check.exam_id == exam.id, Check.answer == "", ~col(Check.overridden))
    unanswered = list(work.session.exec(open_checks.order_by(col(Check.id))))
    audit.record(work, actor, "step.in_progress", exam.accession, step=step.sps_id, unanswered_checks=unanswered)


def _ended_by_camera(work: Work, step: Step) -> bool:
    """Whether it was a camera's report, not a person, that ended a step."""
    return any(row.status != IN_PROGRESS and row.changed_at == step.finished_at for row in _reports_of(work, step))


def _end(work: Work, actor: Actor, step: Step, attributes: Dataset) -> None:
    """End a step with the last of its reports: done when any of them was completed."""
    reports = _reports_of(work, step)
    if any(row.status == IN_PROGRESS for row in reports) or step.state in STEP_ENDED:
        return
    done = any(row.status == COMPLETED for row in reports)
    to = StepState.DONE if done else StepState.DISCONTINUED
    if not may_follow(STEP_AFTER, StepState(step.state), to):
        return
    exam = work.session.get_one(Exam, step.exam_id)
    reason = "" if done else _why(attributes)
    course.move_step(work, exam, step, to, reason=reason)
    audit.record(work, actor, f"step.{to}", exam.accession, step=step.sps_id, reason=reason)


def _reports_of(work: Work, step: Step) -> list[PerformedStep]:
    rows = work.session.exec(select(PerformedStep).where(PerformedStep.exam_id == step.exam_id))
    return [row for row in rows if step.sps_id in row.sps_ids or row.step_id == step.id]


def _why(attributes: Dataset) -> str:
    """Return the reason of a discontinuation, as coded (PS3.3 C.4.14)."""
    codes = _items(attributes, "PerformedProcedureStepDiscontinuationReasonCodeSequence")
    return next((text for code in codes if (text := _text(code, "CodeMeaning"))), "as the camera reported")


# -- which steps are meant -------------------------------------------------------------------------------------------


def _steps_named(work: Work, site: str, attributes: Dataset) -> list[Step]:
    """Return the steps a report names, each once; none where its patient is not theirs."""
    patient_number, found = _text(attributes, "PatientID"), dict[int | None, Step]()
    for item in _items(attributes, "ScheduledStepAttributesSequence"):
        exam = _exam_named(work, site, item)
        if exam is not None and _is_theirs(work, exam, patient_number):
            found.update({step.id: step for step in _steps_of_item(work, exam, item)})
    return list(found.values())


def _exam_named(work: Work, site: str, item: Dataset) -> Exam | None:
    """Return the exam that Study UID and accession number name together, else the step's; None where they disagree."""
    study_uid, accession = _text(item, "StudyInstanceUID"), _text(item, "AccessionNumber")
    by_study = select(Exam).where(Exam.site == site, Exam.study_instance_uid == study_uid)
    by_accession = select(Exam).where(Exam.site == site, Exam.accession == accession)
    one = work.session.exec(by_study).first() if study_uid else None
    other = work.session.exec(by_accession).first() if accession else None
    if one and other and one.id != other.id:
        return None
    return one or other or (None if study_uid or accession else _exam_of_step(work, site, item))


def _exam_of_step(work: Work, site: str, item: Dataset) -> Exam | None:
    step_id = _text(item, "ScheduledProcedureStepID")
    of_step = select(Exam).join(Step, col(Step.exam_id) == Exam.id).where(Step.site == site, Step.sps_id == step_id)
    return work.session.exec(of_step).first() if step_id else None


def _is_theirs(work: Work, exam: Exam, patient_number: str) -> bool:
    """Whether a number as sent is one the exam's patient goes by; none at all contradicts nothing."""
    if not patient_number:
        return True
    records = course.one_person(work, exam.patient_id)
    known = set(work.session.exec(select(Patient.number).where(col(Patient.id).in_(records))))
    known |= set(work.session.exec(select(Identifier.value).where(col(Identifier.patient_id).in_(records))))
    return normalise_identifier(patient_number) in {normalise_identifier(number) for number in known}


def _steps_of_item(work: Work, exam: Exam, item: Dataset) -> Iterator[Step]:
    """Yield the step of this Scheduled Procedure Step ID, or the only one there is where none is given."""
    steps, wanted = course.steps_of(work, exam), _text(item, "ScheduledProcedureStepID")
    if not wanted and len(steps) == 1:
        yield steps[0]
    yield from (step for step in steps if wanted and step.sps_id == wanted)


# -- reading what was sent -------------------------------------------------------------------------------------------


def _as_json(attributes: Dataset) -> dict[str, Any]:
    try:
        return dict(attributes.to_json_dict())
    except UNREADABLE as error:
        raise Invalid("an attribute of the performed step cannot be read") from error


def _text(dataset: Dataset, keyword: str) -> str:
    try:
        value = dataset.get(keyword)
    except UNREADABLE as error:
        raise Invalid(f"{keyword} cannot be read") from error
    return str(value).strip(" \0") if value is not None else ""


def _items(dataset: Dataset, keyword: str) -> Sequence[Dataset]:
    try:
        value = dataset.get(keyword)
        return list(value or ())
    except UNREADABLE as error:
        raise Invalid(f"{keyword} cannot be read") from error
