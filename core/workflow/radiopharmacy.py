"""Doses drawn, given and measured back. An administration belongs to the patient and serves one or more steps."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import col, select

from core import access, audit, course, wire
from core.access import Actor
from core.errors import Invalid, Refused
from core.model import Administration, AdministrationStep, Exam, Step
from core.records import Work
from core.vocabulary import STEP_AFTER, STEP_ENDED, Operation, StepState, may_follow
from core.workflow.acquisition import confirm_patient, demand_checks, named_step
from core.workflow.registration import refuse_closed


def draw(work: Work, actor: Actor, reference: str, form: wire.Dose) -> wire.Exam:
    """Note the activity drawn for an exam, in MBq at its time."""
    exam = _exam(work, actor, reference)
    if form.mbq is None:
        msg = "say how much was drawn, in MBq"
        raise Invalid(msg)
    steps = _served(work, exam, form.steps)
    dose = _waiting_dose(work, steps) or _new_dose(work, exam, steps, form)
    _measure(work, actor, dose, form)
    course.settle(work, exam)
    audit.record(work, actor, "dose.draw", exam.accession, mbq=form.mbq, dose=dose.id)
    return course.shape(work, exam)


def inject(work: Work, actor: Actor, reference: str, form: wire.Dose, *, reason: str = "") -> wire.Exam:
    """Note that the dose was given; the steps it serves are injected.

    Raises
    ------
    Refused
        When checks are unanswered and no reason is given, this is not the patient, or no step waits for a dose.
    """
    exam = _exam(work, actor, reference)
    confirm_patient(work, exam, form.confirm)
    demand_checks(work, actor, exam, reason)
    steps = _served(work, exam, form.steps)
    dose = _waiting_dose(work, steps) or _new_dose(work, exam, steps, form)
    if form.mbq is not None:
        _measure(work, actor, dose, form)
    dose.injected_at, dose.injected_by, dose.route = form.at or work.now, actor.name, form.route
    work.add(dose)
    for step in _steps_of_dose(work, dose, steps):
        _mark(work, step, dose.injected_at)
    course.settle(work, exam)
    audit.record(work, actor, "dose.inject", exam.accession, mbq=form.mbq, dose=dose.id, reason=reason)
    return course.shape(work, exam)


def inject_step(work: Work, actor: Actor, reference: str, form: wire.StepAct) -> wire.Exam:
    """Note an injection without its activity."""
    steps = [form.step] if form.step is not None else []
    return inject(work, actor, reference, wire.Dose(at=form.at, steps=steps, confirm=form.confirm), reason=form.reason)


def residual(work: Work, actor: Actor, reference: str, form: wire.Dose) -> wire.Exam:
    """Note what was left in the syringe of the dose given last, in MBq at its time."""
    exam = _exam(work, actor, reference)
    if form.mbq is None:
        msg = "say how much was left, in MBq"
        raise Invalid(msg)
    ids = [named_step(exam, course.steps_of(work, exam), one).id for one in form.steps]
    ids = ids or [step.id for step in course.steps_of(work, exam)]
    given = _doses(work, ids)
    dose = next((one for one in reversed(given) if one.injected_at), None)
    if dose is None:
        msg = f"nothing was injected for {exam.accession} yet: note the injection first"
        raise Refused(msg)
    dose.residual_mbq, dose.residual_at, dose.residual_by = form.mbq, form.at or work.now, actor.name
    work.add(dose)
    course.settle(work, exam)
    audit.record(work, actor, "dose.residual", exam.accession, mbq=form.mbq, dose=dose.id)
    return course.shape(work, exam)


def _exam(work: Work, actor: Actor, reference: str) -> Exam:
    access.require(actor, Operation.ATTEND)
    exam = course.find_exam(work, reference, actor.site)
    refuse_closed(exam)
    return exam


def _served(work: Work, exam: Exam, wanted: list[int]) -> list[Step]:
    """Return the steps a dose is for: those named, else the open ones that wait for the same dose."""
    steps = course.steps_of(work, exam)
    if wanted:
        return [named_step(exam, steps, one) for one in wanted]
    still_open = [step for step in steps if step.state not in STEP_ENDED]
    if not still_open:
        msg = f"every step of {exam.accession} has ended: name the steps the dose was for"
        raise Refused(msg)
    waiting = [step for step in still_open if not step.injected_at]
    if not waiting:
        return still_open
    numbers = _dose_numbers(work, exam)
    return [step for step in waiting if numbers.get(step.name, 1) == numbers.get(waiting[0].name, 1)]


def _dose_numbers(work: Work, exam: Exam) -> dict[str, int]:
    """Return which administration of the catalogue entry each step's name belongs to."""
    entry = course.procedure_of(work, exam)
    return {str(one["name"]): int(str(one.get("dose") or 1)) for one in entry.steps} if entry else {}


def _doses(work: Work, step_ids: list[int | None]) -> list[Administration]:
    served = select(AdministrationStep.administration_id).where(col(AdministrationStep.step_id).in_(step_ids))
    found = select(Administration).where(col(Administration.id).in_(served)).order_by(col(Administration.id))
    return list(work.session.exec(found))


def _waiting_dose(work: Work, steps: list[Step]) -> Administration | None:
    """Return the dose drawn for these steps and not given yet."""
    return next((one for one in _doses(work, [step.id for step in steps]) if not one.injected_at), None)


def _new_dose(work: Work, exam: Exam, steps: list[Step], form: wire.Dose) -> Administration:
    entry = course.procedure_of(work, exam)
    dose = Administration(
        site=exam.site, patient_id=course.survivor_id(work, exam.patient_id), route=form.route, vial=form.vial,
        radiopharmaceutical=form.radiopharmaceutical or (entry.radiopharmaceutical if entry else ""),
        planned_mbq=entry.usual_activity_mbq if entry else None,
    )  # fmt: skip
    work.add(dose)
    work.add(*(AdministrationStep(administration_id=dose.id or 0, step_id=step.id or 0) for step in steps))
    return dose


def _measure(work: Work, actor: Actor, dose: Administration, form: wire.Dose) -> None:
    dose.drawn_mbq, dose.drawn_at, dose.drawn_by = form.mbq, form.at or work.now, actor.name
    dose.vial = form.vial or dose.vial
    dose.radiopharmaceutical = form.radiopharmaceutical or dose.radiopharmaceutical
    work.add(dose)


def _steps_of_dose(work: Work, dose: Administration, steps: list[Step]) -> list[Step]:
    linked = select(Step).join(AdministrationStep, col(AdministrationStep.step_id) == Step.id)
    served = work.session.exec(linked.where(AdministrationStep.administration_id == dose.id)).all()
    return list({step.id: step for step in (*served, *steps)}.values())


def _mark(work: Work, step: Step, at: datetime) -> None:
    """Mark a step as injected; one that runs or has ended keeps its state."""
    exam = work.session.get_one(Exam, step.exam_id)
    if may_follow(STEP_AFTER, StepState(step.state), StepState.INJECTED):
        course.move_step(work, exam, step, StepState.INJECTED, at=at)
    else:
        step.injected_at = at
        work.session.add(step)
