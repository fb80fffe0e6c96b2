"""At the camera: arrive, inject, start, finish, or not; the checks that come first; and what the camera itself reports.

Completion never depends on MPPS: many cameras have none. A camera that reports late never undoes what a person said.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlmodel import col, select

from core import access, audit, course, wire
from core.access import Actor
from core.errors import Invalid, NotFound, Refused
from core.model import Check, Exam, Identifier, Patient, Step
from core.naming import Agreement, names_agree, normalise_identifier, normalise_query
from core.records import Work
from core.vocabulary import ExamState, Operation, StepState
from core.workflow.registration import demand_reason, refuse_closed

_SURE = 2
_S = StepState
# Which step an act means when none is named: the first, in this order of states, that may go there.
_NEXT: dict[StepState, tuple[StepState, ...]] = {
    _S.ARRIVED: (_S.SCHEDULED,),
    _S.IN_PROGRESS: (_S.INJECTED, _S.ARRIVED, _S.SCHEDULED),
    _S.DONE: (_S.IN_PROGRESS, _S.INJECTED, _S.ARRIVED, _S.SCHEDULED),
    _S.DISCONTINUED: (_S.IN_PROGRESS, _S.INJECTED, _S.ARRIVED, _S.SCHEDULED),
    _S.NOT_DONE: (_S.SCHEDULED, _S.ARRIVED, _S.INJECTED, _S.IN_PROGRESS),
}
_NOT_BEGUN = frozenset({_S.SCHEDULED, _S.ARRIVED, _S.INJECTED})


# -- what a person does ------------------------------------------------------------------------------------------------


def arrive(work: Work, actor: Actor, reference: str, form: wire.StepAct) -> wire.Exam:
    """Receive a patient who has come for an exam, or for its next step."""
    exam, step = _attended(work, actor, reference, form, StepState.ARRIVED)
    at = form.at or work.now
    if exam.arrived_at is None or exam.arrived_at > at:
        exam.arrived_at = at
    exam.queued_at = exam.arrived_at
    return _moved(work, actor, exam, step, StepState.ARRIVED, form)


def start(work: Work, actor: Actor, reference: str, form: wire.StepAct) -> wire.Exam:
    """Begin a step at the camera.

    Raises
    ------
    Refused
        When checks are unanswered and no reason is given to go on, or this is not the patient.
    """
    exam, step = _attended(work, actor, reference, form, StepState.IN_PROGRESS)
    demand_checks(work, actor, exam, form.reason)
    step.started_by = actor.name
    return _moved(work, actor, exam, step, StepState.IN_PROGRESS, form)


def finish(work: Work, actor: Actor, reference: str, form: wire.StepAct) -> wire.Exam:
    """End a step that was done."""
    exam, step = _attended(work, actor, reference, form, StepState.DONE)
    return _moved(work, actor, exam, step, StepState.DONE, form)


def discontinue(work: Work, actor: Actor, reference: str, form: wire.StepAct) -> wire.Exam:
    """Break a step off, for a reason; images of it stay."""
    demand_reason(form.reason, "discontinued")
    exam, step = _attended(work, actor, reference, form, StepState.DISCONTINUED)
    return _moved(work, actor, exam, step, StepState.DISCONTINUED, form)


def not_done(work: Work, actor: Actor, reference: str, form: wire.StepAct) -> wire.Exam:
    """Say that a step was not done; the whole exam when no step is named and none has begun."""
    demand_reason(form.reason, "not done")
    exam, step = _attended(work, actor, reference, form, StepState.NOT_DONE)
    others = [one for one in course.steps_of(work, exam) if one.id != step.id]
    whole = form.step is None and all(one.state in _NOT_BEGUN for one in others)
    if not whole and any(one.state != StepState.NOT_DONE for one in others):
        return _moved(work, actor, exam, step, StepState.NOT_DONE, form)
    course.close(work, exam, ExamState.NOT_DONE, form.reason)
    audit.record(work, actor, "exam.not_done", exam.accession, reason=form.reason)
    return course.shape(work, exam)


def _attended(work: Work, actor: Actor, reference: str, form: wire.StepAct, to: StepState) -> tuple[Exam, Step]:
    """Return the exam and step an act means, after asking whether the actor may and whether this is the patient."""
    access.require(actor, Operation.ATTEND)
    exam = course.find_exam(work, reference, actor.site)
    refuse_closed(exam)
    confirm_patient(work, exam, form.confirm)
    return exam, _meant(exam, course.steps_of(work, exam), form.step, to)


def _meant(exam: Exam, steps: list[Step], wanted: int | None, to: StepState) -> Step:
    if wanted is not None:
        return named_step(exam, steps, wanted)
    running = next((step for step in steps if step.state == StepState.IN_PROGRESS), None)
    if to is StepState.IN_PROGRESS and running:
        msg = f"step {running.name} of {exam.accession} is in progress: finish it first, or name the step to start"
        raise Refused(msg)
    for state in _NEXT[to]:
        for step in steps:
            if step.state == state:
                return step
    states = ", ".join(f"{step.name} {step.state}" for step in steps)
    msg = f"no step of {exam.accession} can become {to} ({states}): name the step, or reopen it"
    raise Refused(msg)


def named_step(exam: Exam, steps: Iterable[Step], wanted: int) -> Step:
    """Return the step with this id, or, for small departments' sake, at this place from 1."""
    in_order = list(steps)
    by_id = next((step for step in in_order if step.id == wanted), None)
    if by_id is not None:
        return by_id
    if 1 <= wanted <= len(in_order):
        return in_order[wanted - 1]
    known = ", ".join(f"{step.id} {step.name}" for step in in_order)
    msg = f"{exam.accession} has no step {wanted}: it has {known}"
    raise NotFound(msg)


def _moved(work: Work, actor: Actor, exam: Exam, step: Step, to: StepState, form: wire.StepAct) -> wire.Exam:
    course.move_step(work, exam, step, to, at=form.at, reason=form.reason)
    audit.record(work, actor, f"step.{to}", exam.accession, step=step.sps_id, reason=form.reason)
    return course.shape(work, exam)


# -- is this the patient, and may it begin -----------------------------------------------------------------------------


def confirm_patient(work: Work, exam: Exam, said: list[str]) -> None:
    """Compare what the patient says with who is registered; nothing said asks nothing.

    Raises
    ------
    Refused
        When fewer than two identifiers agree, or one of them is somebody else's.
    """
    if not said:
        return
    patient = work.session.get_one(Patient, course.survivor_id(work, exam.patient_id))
    kinds = [_kind_said(work, exam, patient, text) for text in said if text.strip()]
    if None in kinds:
        msg = f"not this patient: what was said is not {exam.accession}'s. Check name, number and birth date again"
        raise Refused(msg)
    if len(set(kinds)) < _SURE:
        msg = "one identifier is not enough: ask for two, such as name and birth date"
        raise Refused(msg)


def _kind_said(work: Work, exam: Exam, patient: Patient, text: str) -> str | None:
    """Return which identifier of the patient `text` is; None when it is none of them."""
    plain = normalise_identifier(text)
    numbers = select(Identifier.normalised).where(col(Identifier.patient_id).in_(course.one_person(work, patient.id)))
    if plain in {normalise_identifier(patient.number), *work.session.exec(numbers)}:
        return "number"
    if plain == normalise_identifier(exam.accession):
        return "accession"
    if patient.birth_date and normalise_query(text) == f"{patient.birth_date:%Y%m%d}":
        return "birth date"
    if patient.phone and normalise_query(text) == normalise_query(patient.phone):
        return "phone"
    if patient.name and _words(text) == _words(patient.name):
        return "name"  # as it stands on the wristband, a temporary one with its number too
    registered = f"{patient.name}={patient.name_ideographic}"
    has_digits = any(character.isdigit() for character in text)
    return "name" if not has_digits and names_agree(text, registered) is Agreement.AGREE else None


def _words(name: str) -> list[str]:
    return sorted(normalise_identifier(word) for word in name.replace("^", " ").split())


def demand_checks(work: Work, actor: Actor, exam: Exam, reason: str = "") -> None:
    """Refuse while checks are unanswered; a reason goes on without them, in the actor's name.

    Raises
    ------
    Refused
        Naming the checks.
    """
    found = select(Check).where(Check.exam_id == exam.id, Check.answer == "", ~col(Check.overridden))
    unanswered = work.session.exec(found.order_by(col(Check.id))).all()
    if not unanswered:
        return
    names = ", ".join(check.name for check in unanswered)
    if not reason.strip():
        msg = f"{exam.accession} has unanswered checks ({names}): answer them, or give a reason to go on without"
        raise Refused(msg)
    for check in unanswered:
        check.overridden, check.note, check.by, check.at = True, reason, actor.name, work.now
        work.session.add(check)
    audit.record(work, actor, "check.override", exam.accession, checks=names, reason=reason)


def answer_check(work: Work, actor: Actor, reference: str, form: wire.AnswerCheck) -> wire.Exam:
    """Answer one of the exam's checks, or go on without an answer for a reason."""
    if access.reach(actor, Operation.ATTEND) is None:
        access.require(actor, Operation.PROTOCOL)
    exam = course.find_exam(work, reference, actor.site)
    name = form.name.lower().replace("-", "_").replace(" ", "_")
    checks = {one.name: one for one in work.session.exec(select(Check).where(Check.exam_id == exam.id))}
    check = checks.get(name)
    if check is None:
        msg = f"{exam.accession} has no check '{form.name}': it has {', '.join(checks) or 'none'}"
        raise NotFound(msg)
    if not form.answer and not form.override:
        msg = f"answer {name}, or override it with a reason in its note"
        raise Invalid(msg)
    if form.override:
        demand_reason(form.note, "overridden")
    check.answer, check.note, check.overridden = form.answer, form.note, form.override
    check.by, check.at = actor.name, work.now
    work.add(check)
    course.settle(work, exam)
    action = "check.override" if form.override else "check.answer"
    audit.record(work, actor, action, exam.accession, check=name, answer=form.answer, note=form.note)
    return course.shape(work, exam)
