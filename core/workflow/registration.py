"""Visits, requests and exams as the front desk makes them, from the booking to the door.

Booking and arrival are two moments; the queue knows arrivals first. Nothing an exam needs later is asked twice.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

from sqlmodel import col, select

from core import access, audit, course, wire
from core.access import Actor
from core.errors import Invalid, Refused
from core.model import Check, Exam, Patient, Procedure, Request, Site, Step, Visit
from core.records import Work
from core.vocabulary import EXAM_CLOSED, URGENCY_RANK, ExamState, Operation, StepState
from core.workflow import catalogue, numbering, patients

_LONGEST_ACCESSION = 16
_SITE_CODE = re.compile(r"[A-Za-z0-9_-]{1,16}")
_FERTILE = range(10, 61)  # years of age at which pregnancy and breastfeeding are asked for
_ABOUT_CHILDREN = frozenset({"pregnancy", "breastfeeding"})


def add_site(work: Work, actor: Actor, code: str, name: str) -> Site:
    """Add an institution with the standard catalogue."""
    access.require(actor, Operation.ADMINISTER)
    if not _SITE_CODE.fullmatch(code) or not name.strip():
        msg = f"'{code}' and '{name}' name no site: give a code of 1 to 16 letters, digits, - or _, and a name"
        raise Invalid(msg)
    if work.session.get(Site, code):
        msg = f"site {code} is there already"
        raise Refused(msg)
    site = Site(code=code, name=name)
    work.add(site)
    catalogue.stock_catalogue(work, code)
    audit.record(work, actor, "site.add", code)
    return site


def register(work: Work, actor: Actor, form: wire.Registration) -> wire.Exam:
    """Register patient, visit and exam in one go."""
    patient = patients.add(work, actor, form.patient)
    return register_exam(work, actor, form.exam.model_copy(update={"patient": patient.number}))


def register_exam(work: Work, actor: Actor, form: wire.NewExam) -> wire.Exam:
    """Register an exam with the visit and request it comes by.

    Raises
    ------
    Refused
        When the accession number is given already, or the request is somebody else's.
    """
    access.require(actor, Operation.REGISTER)
    patient = patients.find_patient(work, form.patient, actor.site)
    entry = catalogue.find(work, actor.site, form.procedure)
    accession = _free_accession(work, actor.site, form.accession)
    request = _request(work, patient, form)
    arrived = form.arrived if form.arrived is not None else form.booked_at is None or form.booked_at <= work.now
    exam = Exam(
        site=actor.site, accession=accession, patient_id=patient.id or 0, visit_id=request.visit_id,
        request_id=request.id or 0, procedure=entry.code, modality=entry.modality, evidence=entry.evidence,
        urgency=form.urgency, urgency_rank=URGENCY_RANK[form.urgency], registered_at=work.now,
        booked_at=form.booked_at, arrived_at=work.now if arrived else None,
        queued_at=work.now if arrived else form.booked_at or work.now, study_instance_uid=work.new_uid(),
    )  # fmt: skip
    work.add(exam)
    add_steps(work, exam, entry, form.booked_at)
    add_checks(work, exam, entry, patient)
    _protocol_by_catalogue(work, exam, entry)
    course.settle(work, exam)
    audit.record(work, actor, "exam.register", accession, procedure=entry.code, urgency=form.urgency, visit=form.visit)
    return course.shape(work, exam)


def _free_accession(work: Work, site: str, given: str | None) -> str:
    if not given:
        return numbering.accession(work, site)
    accession = numbering.given(given, "accession number", longest=_LONGEST_ACCESSION)
    if work.session.exec(select(Exam.id).where(Exam.site == site, Exam.accession == accession)).first():
        msg = f"accession number {accession} is given already: leave it out and one is made"
        raise Refused(msg)
    return accession


def _request(work: Work, patient: Patient, form: wire.NewExam) -> Request:
    """Return the request of this number, or a new one with its visit."""
    if form.request_number:
        number = numbering.given(form.request_number, "request number", longest=64)
        found = select(Request).where(Request.site == patient.site, Request.number == number)
        request = work.session.exec(found).first()
        if request and request.patient_id not in course.one_person(work, patient.id):
            msg = f"request {number} is another patient's: check both numbers"
            raise Refused(msg)
        if request:
            return request
    visit = Visit(
        site=patient.site, patient_id=patient.id or 0, kind=form.visit, number=form.visit_number, ward=form.ward,
        bed=form.bed, from_department=form.from_department, weight_kg=form.weight_kg, height_cm=form.height_cm,
        infection=form.infection, pregnancy=form.pregnancy, at=work.now,
    )  # fmt: skip
    work.add(visit)
    request = Request(
        site=patient.site, patient_id=patient.id or 0, visit_id=visit.id or 0,
        number=form.request_number or numbering.request_number(work, patient.site), placer_number=form.placer_number,
        referrer=form.referrer, from_department=form.from_department, complaint=form.complaint,
        diagnosis=form.diagnosis, lab=form.lab, charge=form.charge, requested_at=work.now,
    )  # fmt: skip
    work.add(request)
    return request


def add_steps(work: Work, exam: Exam, entry: Procedure, start: datetime | None) -> None:
    """Give an exam the steps of its catalogue entry, planned from `start` where a time is known."""
    for position, one in enumerate(entry.steps):
        step = wire.CatalogueStep.model_validate(one)
        row = Step(
            site=exam.site, exam_id=exam.id or 0, sps_id=numbering.sps_id(work, exam.site), position=position,
            name=step.name, planned_at=start + timedelta(minutes=step.after_minutes) if start else None,
            window_minutes=step.window_minutes, expected_frames=step.expected_frames,
        )  # fmt: skip
        work.add(row)


def add_checks(work: Work, exam: Exam, entry: Procedure, patient: Patient) -> None:
    """Ask the checks of the procedure that fit the patient and are not asked yet."""
    asked = set(work.session.exec(select(Check.name).where(Check.exam_id == exam.id)))
    names = [name for name in entry.checks if name not in asked and _fits(name, patient, wire.local(work.now).date())]
    work.add(*(Check(exam_id=exam.id or 0, name=name) for name in names))


def _fits(check: str, patient: Patient, today: date) -> bool:
    """Whether a check is to be asked: pregnancy and breastfeeding of women who can be, or may be."""
    if check not in _ABOUT_CHILDREN:
        return True
    age = (today - patient.birth_date).days // 365 if patient.birth_date else _FERTILE.start
    return patient.sex != "M" and age in _FERTILE


def check_anew(work: Work, patient_id: int | None) -> None:
    """Ask what fits a patient whose sex or birth date was corrected, of the exams that have not begun."""
    patient = work.session.get_one(Patient, patient_id)
    found = select(Exam).where(col(Exam.patient_id).in_(course.one_person(work, patient_id)))
    early = (ExamState.REGISTERED, ExamState.ASSIGNED, ExamState.PROTOCOLLED)
    for exam in work.session.exec(found.where(col(Exam.state).in_(early))):
        if entry := course.procedure_of(work, exam):
            add_checks(work, exam, entry, patient)


def _protocol_by_catalogue(work: Work, exam: Exam, entry: Procedure) -> None:
    """Let a standing device or plan take the place of the doctor's protocol."""
    if not entry.standing_device and not entry.standing_plan:
        return
    exam.plan, exam.device = entry.standing_plan, entry.standing_device or None
    exam.protocolled_by, exam.protocolled_at = "standing", work.now
    start = exam.booked_at or work.now
    for step, one in zip(course.steps_of(work, exam), entry.steps, strict=True):
        after = wire.CatalogueStep.model_validate(one).after_minutes
        step.planned_at = start + timedelta(minutes=after)
        step.devices = [entry.standing_device] if entry.standing_device else []
        work.session.add(step)


def change_patient(work: Work, actor: Actor, reference: str, form: wire.PatientChange) -> wire.Patient:
    """Change what is known of a patient, and ask anew what then fits."""
    shape = patients.change(work, actor, reference, form)
    check_anew(work, patients.find_patient(work, shape.number, actor.site).id)
    return shape


def cancel(work: Work, actor: Actor, reference: str, form: wire.CloseExam) -> wire.Exam:
    """Take an exam out before anything of it was done."""
    access.require(actor, Operation.REGISTER)
    exam = course.find_exam(work, reference, actor.site)
    course.close(work, exam, ExamState.CANCELLED, form.reason)
    audit.record(work, actor, "exam.cancel", exam.accession, reason=form.reason)
    return course.shape(work, exam)


def add_step(work: Work, actor: Actor, reference: str, form: wire.NewStep) -> wire.Exam:
    """Add a step to an exam; after the report was signed this reopens the exam and leads to an addendum."""
    if access.reach(actor, Operation.ATTEND) is None:
        access.require(actor, Operation.PROTOCOL)
    exam = course.find_exam(work, reference, actor.site)
    refuse_closed(exam)
    steps = course.steps_of(work, exam)
    row = Step(
        site=exam.site, exam_id=exam.id or 0, sps_id=numbering.sps_id(work, exam.site),
        position=max((step.position for step in steps), default=-1) + 1, name=form.name or f"step {len(steps) + 1}",
        devices=form.devices or ([exam.device] if exam.device else []),
        planned_at=form.planned_at or work.now, expected_frames=form.expected_frames, added_at=work.now,
    )  # fmt: skip
    work.add(row)
    course.settle(work, exam)
    audit.record(work, actor, "exam.step", exam.accession, step=row.sps_id, name=row.name)
    return course.shape(work, exam)


def reopen(work: Work, actor: Actor, reference: str, form: wire.StepAct) -> wire.Exam:
    """Bring back a closed exam, or the step that ended last (or is named)."""
    if access.reach(actor, Operation.ATTEND) is None:
        access.require(actor, Operation.REGISTER)
    exam = course.find_exam(work, reference, actor.site)
    if ExamState(exam.state) in EXAM_CLOSED:
        course.reopen(work, exam)
    else:
        step = _ended_step(work, exam, form.step)
        back = StepState.IN_PROGRESS if step.state == StepState.DONE else StepState.SCHEDULED
        started = step.started_at
        course.move_step(work, exam, step, back)
        step.started_at = started or step.started_at
    audit.record(work, actor, "exam.reopen", exam.accession, reason=form.reason)
    return course.shape(work, exam)


def _ended_step(work: Work, exam: Exam, wanted: int | None) -> Step:
    ended = [step for step in course.steps_of(work, exam) if step.finished_at and wanted in (None, step.id)]
    if not ended:
        msg = f"{exam.accession} is {exam.state} and has no such ended step: there is nothing to reopen"
        raise Refused(msg)
    return max(ended, key=lambda step: step.finished_at or exam.registered_at)


def refuse_closed(exam: Exam) -> None:
    """Refuse to work on an exam that is cancelled or not done."""
    if ExamState(exam.state) in EXAM_CLOSED:
        msg = f"{exam.accession} is {exam.state}: reopen it first"
        raise Refused(msg)


def demand_reason(reason: str, what: str) -> None:
    """Refuse when nobody says why."""
    if not reason.strip():
        msg = f"say why it is to be {what}: give a reason"
        raise Invalid(msg)
