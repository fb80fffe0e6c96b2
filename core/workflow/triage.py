"""Who comes first, who takes the case, and how it is to be done.

Assignment gates nothing: a case may be protocolled, or begun in an emergency, without it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlmodel import col, func, select

from core import access, audit, course, wire
from core.access import Actor
from core.errors import Invalid, NotFound, Refused
from core.model import AdministrationStep, Batch, Device, Exam, PerformedStep, Staff, Step
from core.records import Work
from core.vocabulary import EXAM_OPEN, URGENCY_RANK, ExamState, Operation, Role, StepState
from core.workflow import numbering
from core.workflow.processing import asking
from core.workflow.registration import refuse_closed

_MAY_TAKE = frozenset({Role.DOCTOR, Role.HEAD, Role.OUTSIDE_READER})
_STILL_WORK = EXAM_OPEN - {ExamState.REPORTED}
_NOT_BEGUN = frozenset({StepState.SCHEDULED, StepState.ARRIVED, StepState.INJECTED})
_FOR_SPECIALTY, _FOR_PREVIOUS, _FOR_LOAD, _FOR_HEAD = 2.0, 1.5, -0.25, -1.0


def triage(work: Work, actor: Actor, reference: str, form: wire.Triage) -> wire.Exam:
    """Set how urgent an exam is."""
    exam = course.find_exam(work, reference, actor.site)
    access.require(actor, Operation.TRIAGE, own=exam.assigned_to == actor.name)
    refuse_closed(exam)
    before = exam.urgency
    exam.urgency, exam.urgency_rank = form.urgency, URGENCY_RANK[form.urgency]
    course.settle(work, exam)
    audit.record(work, actor, "exam.triage", exam.accession, before=before, urgency=form.urgency)
    return course.shape(work, exam)


# -- who takes it ----------------------------------------------------------------------------------------------------


def assign(work: Work, actor: Actor, reference: str, form: wire.Assign) -> wire.Exam:
    """Give an exam to a doctor; None takes the best proposal, "" takes the assignment back.

    Raises
    ------
    Refused
        When that person does not read here, or the exam is closed.
    """
    exam = course.find_exam(work, reference, actor.site)
    own = form.to == actor.name or (form.to == "" and exam.assigned_to == actor.name)
    access.require(actor, Operation.TRIAGE, own=own)
    refuse_closed(exam)
    before = exam.assigned_to
    exam.assigned_to = _doctor(work, exam, form.to) if form.to != "" else None
    exam.assigned_at = work.now if exam.assigned_to else None
    course.settle(work, exam)
    audit.record(work, actor, "exam.assign", exam.accession, before=before, to=exam.assigned_to)
    return course.shape(work, exam)


def _doctor(work: Work, exam: Exam, username: str | None) -> str:
    if username is None:
        proposed = _proposals(work, exam)
        if not proposed:
            msg = "no doctor works at this site: add one with 'photopeakd staff add NAME --role doctor'"
            raise Refused(msg)
        return proposed[0].username
    staff = work.session.exec(select(Staff).where(Staff.username == username, Staff.site == exam.site)).first()
    if staff is None or not staff.enabled:
        msg = f"{username} does not work here: assign one of {_names(work, exam)}"
        raise NotFound(msg)
    if not _MAY_TAKE & {Role(role) for role in staff.roles}:
        msg = f"{username} is {', '.join(staff.roles)} and reads no cases: assign one of {_names(work, exam)}"
        raise Refused(msg)
    return staff.username


def _names(work: Work, exam: Exam) -> str:
    return ", ".join(one.username for one in _proposals(work, exam)) or "nobody yet"


def proposals(work: Work, actor: Actor, reference: str) -> list[wire.Proposal]:
    """Return who could take an exam, the fittest first: load, specialty, previous exams of the patient."""
    exam = course.find_exam(work, reference, actor.site)
    access.require(actor, Operation.FIND, own=exam.assigned_to == actor.name)
    return _proposals(work, exam)


def _proposals(work: Work, exam: Exam) -> list[wire.Proposal]:
    staff = work.session.exec(select(Staff).where(Staff.site == exam.site, col(Staff.enabled)))
    doctors = [one for one in staff if {Role.DOCTOR, Role.HEAD} & {Role(role) for role in one.roles}]
    waiting = select(Exam.assigned_to, func.count()).where(col(Exam.assigned_to).in_([d.username for d in doctors]))
    waiting = waiting.where(Exam.site == exam.site, col(Exam.state).in_(_STILL_WORK), Exam.id != exam.id)
    loads = dict(work.session.exec(waiting.group_by(col(Exam.assigned_to))).all())
    before = select(Exam.assigned_to).where(col(Exam.patient_id).in_(course.one_person(work, exam.patient_id)))
    knows = set(work.session.exec(before.where(Exam.id != exam.id)))
    entry = course.procedure_of(work, exam)
    specialty = entry.specialty if entry else ""
    found = [_proposal(one, loads.get(one.username, 0), specialty, knows=one.username in knows) for one in doctors]
    return sorted(found, key=lambda proposal: (-proposal.score, proposal.load, proposal.username))


def _proposal(staff: Staff, load: int, specialty: str, *, knows: bool) -> wire.Proposal:
    fits = bool(specialty) and specialty in staff.specialty
    only_head = Role.DOCTOR not in staff.roles
    score = _FOR_LOAD * load + _FOR_SPECIALTY * fits + _FOR_PREVIOUS * knows + _FOR_HEAD * only_head
    said = [f"{load} open", f"reads {specialty}" if fits else "", "knows the patient" if knows else ""]
    return wire.Proposal(
        username=staff.username, full_name=staff.full_name, load=load, score=round(score, 2),
        reasons=[reason for reason in said if reason],
    )  # fmt: skip


# -- how it is done --------------------------------------------------------------------------------------------------


def protocol(work: Work, actor: Actor, reference: str, form: wire.ProtocolExam) -> wire.Exam:
    """Decide plan, device or pool, time and steps of an exam.

    Raises
    ------
    Refused
        When the exam is closed, or all of its steps have ended.
    NotFound
        When the device is not registered; it names those that are.
    """
    access.require(actor, Operation.PROTOCOL)
    exam = course.find_exam(work, reference, actor.site)
    refuse_closed(exam)
    if form.steps is not None:
        _set_steps(work, exam, form.steps)
    exam.device = device_named(work, exam, form.device or exam.device)
    exam.plan = form.plan or exam.plan
    if form.processing is not None:
        exam.processing = asking.asked(form.processing)
    exam.protocolled_by, exam.protocolled_at = actor.name, work.now
    _plan_steps(work, exam, form)
    course.settle(work, exam)
    audit.record(work, actor, "exam.protocol", exam.accession, device=exam.device, plan=exam.plan)
    return course.shape(work, exam)


def device_named(work: Work, exam: Exam, name: str | None) -> str | None:
    """Return the AE title or pool meant by `name`; the only fitting device when nothing is named.

    Raises
    ------
    NotFound
        When devices are registered and none of them is called so.
    Invalid
        When nothing is named and several fit.
    """
    found = select(Device).where(Device.site == exam.site, col(Device.enabled)).order_by(col(Device.aet))
    devices = list(work.session.exec(found))
    fitting = [one for one in devices if exam.modality in one.modalities] or devices
    if not devices:
        return name
    known = ", ".join(dict.fromkeys([*(one.aet for one in fitting), *(one.pool for one in fitting if one.pool)]))
    if name is None:
        if len(fitting) == 1:
            return fitting[0].aet
        msg = f"name the device or pool for {exam.accession}: one of {known}"
        raise Invalid(msg)
    for one in devices:
        if name in (one.aet, *one.aliases):
            return one.aet
    if name in {one.pool for one in devices}:
        return name
    msg = f"no device or pool is called {name}: use one of {known}"
    raise NotFound(msg)


def _set_steps(work: Work, exam: Exam, wanted: list[wire.NewStep]) -> None:
    """Make the steps that have not begun those the doctor wants; begun ones stay."""
    steps = course.steps_of(work, exam)
    begun = [step for step in steps if step.state not in _NOT_BEGUN]
    waiting = [step for step in steps if step.state in _NOT_BEGUN]
    if not wanted and not begun:
        msg = f"{exam.accession} needs at least one step"
        raise Invalid(msg)
    for position, new in enumerate(wanted):
        step = waiting[position] if position < len(waiting) else _new_step(work, exam, len(begun) + position)
        step.name = new.name or step.name or f"step {position + 1}"
        step.expected_frames = new.expected_frames
        step.planned_at = new.planned_at or step.planned_at
        step.devices = [device_named(work, exam, one) or one for one in new.devices]
        work.add(step)
    for step in waiting[len(wanted) :]:
        _drop(work, exam, step)


def _new_step(work: Work, exam: Exam, position: int) -> Step:
    return Step(
        site=exam.site, exam_id=exam.id or 0, sps_id=numbering.sps_id(work, exam.site), position=position,
        added_at=work.now,
    )  # fmt: skip


def _drop(work: Work, exam: Exam, step: Step) -> None:
    """Take away a step that never began; one that was injected or reported stays on record as not done."""
    served = select(AdministrationStep.step_id).where(AdministrationStep.step_id == step.id)
    filed = select(Batch.id).where(Batch.step_id == step.id)
    reported = select(PerformedStep.id).where(PerformedStep.step_id == step.id)
    used = any(work.session.exec(found).first() is not None for found in (served, filed, reported))
    if used or step.state != StepState.SCHEDULED:
        course.move_step(work, exam, step, StepState.NOT_DONE, reason="left out by the protocol")
        return
    work.session.delete(step)
    work.session.flush()


def _plan_steps(work: Work, exam: Exam, form: wire.ProtocolExam) -> None:
    """Give the waiting steps their devices and times: the given start plus the catalogue's offsets."""
    steps = course.steps_of(work, exam)
    entry = course.procedure_of(work, exam)
    offsets = {str(one["name"]): int(str(one.get("after_minutes") or 0)) for one in entry.steps} if entry else {}
    own_times = {number for number, new in enumerate(form.steps or []) if new.planned_at}
    own_devices = {number for number, new in enumerate(form.steps or []) if new.devices}
    start = form.at or _planned_start(steps, offsets) or exam.booked_at or work.now
    waiting = [step for step in steps if step.state in _NOT_BEGUN]
    for number, step in enumerate(waiting):
        if number not in own_devices and (form.device or not step.devices):
            step.devices = [exam.device] if exam.device else []
        if number not in own_times and (form.at or not step.planned_at):
            step.planned_at = start + timedelta(minutes=offsets.get(step.name, 0))
        work.session.add(step)


def _planned_start(steps: list[Step], offsets: dict[str, int]) -> datetime | None:
    """Return the start that the times planned already were counted from."""
    starts = [step.planned_at - timedelta(minutes=offsets.get(step.name, 0)) for step in steps if step.planned_at]
    return min(starts, default=None)
