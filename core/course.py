"""The course of an exam: the only mover of exam and step states, keeper of image counts, builder of the exam's shape.

An exam's state follows from what is on record (assignment, protocol, steps, images, report): `settle` works it out
anew after each change and moves it by the table, so that a correction taken back finds its way home by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlmodel import col, func, or_, select

from core import wire
from core.errors import NotFound, Refused
from core.model import (
    Administration,
    AdministrationStep,
    Batch,
    Check,
    Exam,
    Image,
    ImagesChanged,
    Lease,
    Patient,
    Procedure,
    Processing,
    Report,
    ReportVersion,
    Request,
    Step,
    Visit,
)
from core.records import Work
from core.vocabulary import (
    EXAM_AFTER,
    EXAM_CLOSED,
    PROCESSING_AFTER,
    PROCESSING_DECIDED,
    REPORT_SIGNED,
    STEP_AFTER,
    STEP_ENDED,
    Charge,
    Evidence,
    ExamState,
    ImagesState,
    LockReason,
    ProcessingState,
    Recipe,
    ReportState,
    StepState,
    Urgency,
    VisitKind,
    may_follow,
)

PROCESSING = "processing"
"""The kind of job that makes what is asked of images."""
RULE = "rule"

_LONGEST_ID = 19  # digits of a 64 bit number
_OVERDUE_AFTER = timedelta(hours=24)
_MOMENT_OF = {
    StepState.ARRIVED: "arrived_at",
    StepState.INJECTED: "injected_at",
    StepState.IN_PROGRESS: "started_at",
    StepState.DONE: "finished_at",
    StepState.DISCONTINUED: "finished_at",
    StepState.NOT_DONE: "finished_at",
}


# -- finding ---------------------------------------------------------------------------------------------------------


def find_exam(work: Work, reference: str, site: str) -> Exam:
    """Return the exam an accession number, a patient number or an id names; refuse when it is not exactly one."""
    exams = work.session.exec(select(Exam).where(Exam.site == site, Exam.accession == reference)).all()
    if not exams:
        exams = _exams_of_patient(work, reference, site)
    if not exams and reference.isascii() and reference.isdigit() and len(reference) < _LONGEST_ID:
        exams = work.session.exec(select(Exam).where(Exam.site == site, Exam.id == int(reference))).all()
    if not exams:
        msg = f"no exam answers to '{reference}': give an accession number, a patient number or an id"
        raise NotFound(msg)
    if len(exams) > 1:
        msg = f"'{reference}' has {len(exams)} exams: name one of {', '.join(e.accession for e in exams[:8])}"
        raise NotFound(msg)
    return exams[0]


def _exams_of_patient(work: Work, number: str, site: str) -> Sequence[Exam]:
    """Return the open exams of the patient with this number, or all when none is open."""
    patient = work.session.exec(select(Patient.id).where(Patient.site == site, Patient.number == number)).first()
    if patient is None:
        return []
    found = select(Exam).where(col(Exam.patient_id).in_(one_person(work, patient))).order_by(col(Exam.id))
    exams = work.session.exec(found).all()
    still_open = [exam for exam in exams if exam.state not in EXAM_CLOSED and exam.state != ExamState.REPORTED]
    return still_open or exams


def one_person(work: Work, patient_id: int | None) -> set[int]:
    """Return the ids of every record merged with this one, itself included: one person, several records."""
    ids, frontier = {survivor_id(work, patient_id)}, {survivor_id(work, patient_id)}
    while frontier:
        merged = work.session.exec(select(Patient.id).where(col(Patient.merged_into).in_(frontier)))
        frontier = {found for found in merged if found is not None} - ids
        ids |= frontier
    return ids


def survivor_id(work: Work, patient_id: int | None) -> int:
    """Return the id of the record this one was merged into in the end; itself when it was not merged."""
    patient = work.session.get(Patient, patient_id)
    if patient is None:
        msg = "the patient's record is not there any more: search again"
        raise NotFound(msg)
    return survivor_id(work, patient.merged_into) if patient.merged_into else patient.id or 0


def steps_of(work: Work, exam: Exam) -> list[Step]:
    """Return the exam's steps in their order."""
    return list(
        work.session.exec(select(Step).where(Step.exam_id == exam.id).order_by(col(Step.position), col(Step.id)))
    )


# -- moving ----------------------------------------------------------------------------------------------------------


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
        _ask_processing(work, exam)
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
    if complete and not _undecided(work, exam):
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


# -- what is made of the images --------------------------------------------------------------------------------------


def _ask_processing(work: Work, exam: Exam) -> None:
    """Queue what catalogue or protocol ask to be made of the images, once these are complete; each thing once.

    Projections are reconstructed object by object; anything else is made once, after what stands before it was
    decided on.
    """
    if exam.images_state != ImagesState.COMPLETE:
        return
    asked = processing_of(work, exam)
    if not asked:
        return
    rows = list(work.session.exec(select(Processing).where(Processing.exam_id == exam.id, col(Processing.due))))
    for position, one in enumerate(asked):
        mine = [row for row in rows if row.position == position]
        done = {uid for row in mine for uid in row.inputs}
        scans = _projections(work, exam) if one["recipe"] == Recipe.SPECT else []
        inputs = [[uid] for uid in scans if uid not in done] or ([[]] if not mine else [])
        rows += [_added(work, exam, position, one, uids) for uids in inputs]
    for row in rows:
        before = [one for one in rows if one.position < row.position]
        if row.state == ProcessingState.WAITING and all(one.state in PROCESSING_DECIDED for one in before):
            queue_processing(work, row)


def processing_of(work: Work, exam: Exam) -> list[dict[str, Any]]:
    """Return what is to be made of the exam's images: as its protocol says, else as the catalogue does."""
    entry = procedure_of(work, exam) if exam.processing is None else None
    return list((entry.processing if entry else exam.processing) or [])


def _projections(work: Work, exam: Exam) -> Sequence[str]:
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


def _undecided(work: Work, exam: Exam) -> bool:
    """Whether something the exam asks to be made of its images waits for its maker or for a person."""
    found = select(Processing.id).where(Processing.exam_id == exam.id, col(Processing.due))
    found = found.where(col(Processing.state).not_in(PROCESSING_DECIDED))
    return work.session.exec(found.limit(1)).first() is not None


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


def procedure_of(work: Work, exam: Exam) -> Procedure | None:
    """Return the catalogue entry the exam was registered by."""
    found = select(Procedure).where(Procedure.site == exam.site, Procedure.code == exam.procedure)
    return work.session.exec(found).first()


def _told(work: Work, exam: Exam) -> None:
    work.session.add(exam)
    work.tell(
        exam.site, "exam", exam.accession, state=exam.state, images=exam.images_received,
        images_state=exam.images_state, assigned_to=exam.assigned_to, device=exam.device,
    )  # fmt: skip


# -- showing ---------------------------------------------------------------------------------------------------------


def shape(work: Work, exam: Exam) -> wire.Exam:
    """Return one exam as it travels."""
    return shapes(work, [exam])[0]


def shapes(work: Work, exams: Sequence[Exam]) -> list[wire.Exam]:
    """Return exams as they travel, with one query for each table however many there are."""
    if not exams:
        return []
    work.session.flush()
    gathered = _Gathered(work, exams)
    return [gathered.shape(exam) for exam in exams]


class _Gathered:
    """Everything the shapes of some exams are made of."""

    def __init__(self, work: Work, exams: Sequence[Exam]) -> None:
        self.now = work.now
        session, ids = work.session, [exam.id for exam in exams]
        people = {exam.patient_id for exam in exams}
        self.patients = _survivors(work, people)
        self.visits = {
            v.id: v for v in session.exec(select(Visit).where(col(Visit.id).in_({e.visit_id for e in exams})))
        }
        self.requests = {
            r.id: r for r in session.exec(select(Request).where(col(Request.id).in_({e.request_id for e in exams})))
        }
        codes = {(e.site, e.procedure) for e in exams}
        entries = session.exec(select(Procedure).where(col(Procedure.code).in_({code for _, code in codes})))
        self.procedures = {(p.site, p.code): p for p in entries}
        self.steps = _grouped(session.exec(select(Step).where(col(Step.exam_id).in_(ids)).order_by(col(Step.position))))
        self.checks = _grouped(session.exec(select(Check).where(col(Check.exam_id).in_(ids)).order_by(col(Check.id))))
        self.reports = {r.exam_id: r for r in session.exec(select(Report).where(col(Report.exam_id).in_(ids)))}
        self.leases = {r.exam_id: r for r in session.exec(select(Lease).where(col(Lease.exam_id).in_(ids)))}
        unseen = select(ImagesChanged.exam_id).where(
            col(ImagesChanged.exam_id).in_(ids), col(ImagesChanged.seen_at).is_(None)
        )
        self.changed = set(session.exec(unseen))
        batches = session.exec(select(Batch.exam_id, Batch.study_uid).where(col(Batch.exam_id).in_(ids)).distinct())
        self.studies: dict[int | None, list[str]] = defaultdict(list)
        for exam_id, uid in batches:
            self.studies[exam_id].append(uid)
        self._gather_doses(work)
        self._gather_step_images(work, ids)
        others = select(Exam.patient_id, func.count()).where(col(Exam.patient_id).in_(people))
        self.exam_counts = dict(session.exec(others.group_by(col(Exam.patient_id))).all())
        self.namesakes = namesakes_today(work, list(self.patients.values()))

    def _gather_doses(self, work: Work) -> None:
        steps = {step.id: step.exam_id for rows in self.steps.values() for step in rows}
        served = work.session.exec(select(AdministrationStep).where(col(AdministrationStep.step_id).in_(steps))).all()
        ids = {link.administration_id for link in served}
        rows = {a.id: a for a in work.session.exec(select(Administration).where(col(Administration.id).in_(ids)))}
        self.doses: dict[int, list[wire.Administration]] = defaultdict(list)
        by_dose: dict[int, list[int]] = defaultdict(list)
        for link in served:
            by_dose[link.administration_id].append(link.step_id)
        for dose_id, step_ids in sorted(by_dose.items()):
            for exam_id in {steps[step_id] for step_id in step_ids}:
                self.doses[exam_id].append(dose_shape(rows[dose_id], step_ids))

    def _gather_step_images(self, work: Work, ids: list[int | None]) -> None:
        counts = select(Batch.step_id, func.sum(Image.frames)).join(Image, col(Image.batch_id) == Batch.id)
        counts = counts.where(col(Batch.exam_id).in_(ids), col(Image.counted)).group_by(col(Batch.step_id))
        self.step_images: dict[int | None, int] = {step: int(n or 0) for step, n in work.session.exec(counts)}

    def shape(self, exam: Exam) -> wire.Exam:
        """Put one exam together."""
        patient, visit, request = (
            self.patients[exam.patient_id],
            self.visits[exam.visit_id],
            self.requests[exam.request_id],
        )
        entry = self.procedures.get((exam.site, exam.procedure))
        steps = self.steps[exam.id]
        return wire.Exam(
            id=exam.id or 0, accession=exam.accession, patient_number=patient.number, patient_name=patient.name,
            patient_name_ideographic=patient.name_ideographic, patient_birth_date=patient.birth_date,
            patient_sex=patient.sex, same_name_today=patient.id in self.namesakes, request_number=request.number,
            procedure=exam.procedure, procedure_name=entry.name if entry else exam.procedure, modality=exam.modality,
            visit=VisitKind(visit.kind), urgency=Urgency(exam.urgency),
            state=ExamState(exam.state), registered_at=wire.local(exam.registered_at),
            booked_at=_local(exam.booked_at), arrived_at=_local(exam.arrived_at), assigned_to=exam.assigned_to,
            protocolled_by=exam.protocolled_by, plan=exam.plan, device=exam.device,
            study_instance_uid=exam.study_instance_uid, studies=self.studies[exam.id], evidence=exam.evidence,
            charge=Charge(request.charge), complaint=request.complaint, diagnosis=request.diagnosis, lab=request.lab,
            from_department=request.from_department or visit.from_department, referrer=request.referrer,
            weight_kg=visit.weight_kg, height_cm=visit.height_cm, infection=visit.infection,
            steps=[self._step(step, alone=len(steps) == 1, exam=exam) for step in steps],
            checks=[_check(check) for check in self.checks[exam.id]], doses=self.doses[exam.id or 0],
            images=self._images(exam), report=self._report(exam),
            priors=self.exam_counts.get(exam.patient_id, 1) - 1, closed_reason=exam.closed_reason, site=exam.site,
        )  # fmt: skip

    def _step(self, step: Step, *, alone: bool, exam: Exam) -> wire.Step:
        images = exam.images_received if alone else self.step_images.get(step.id, 0)
        return wire.Step(
            id=step.id or 0, sps_id=step.sps_id, name=step.name, state=StepState(step.state), devices=step.devices,
            planned_at=_local(step.planned_at), window_minutes=step.window_minutes, arrived_at=_local(step.arrived_at),
            injected_at=_local(step.injected_at), started_at=_local(step.started_at),
            finished_at=_local(step.finished_at), images=images, expected=step.expected_frames, reason=step.reason,
        )  # fmt: skip

    def _images(self, exam: Exam) -> wire.Images:
        state = images_state(exam, self.now)
        return wire.Images(
            state=state, received=exam.images_received, expected=exam.images_expected, unit=exam.images_unit,
            uncounted=exam.images_uncounted, first_at=_local(exam.first_image_at), last_at=_local(exam.last_image_at),
            due_at=_local(exam.images_due_at),
        )  # fmt: skip

    def _report(self, exam: Exam) -> wire.ExamReport:
        report, lease = self.reports.get(exam.id or 0), self.leases.get(exam.id or 0)
        held = lease if lease and lease.holder and lease.expires_at and lease.expires_at > self.now else None
        reason = lock_reason(exam, report, held)
        return wire.ExamReport(
            state=ReportState(report.state) if report else None, version=report.version if report else 0,
            locked=reason is not None, lock_reason=reason, holder=held.holder if held else None,
            held_since=_local(held.since) if held else None, due_at=_local(exam.report_due_at),
            images_changed=exam.id in self.changed,
        )  # fmt: skip


def images_state(exam: Exam, now: datetime) -> ImagesState:
    """Return the state of the exam's images at `now`: overdue is a matter of the clock."""
    waiting = exam.images_state in {ImagesState.NONE, ImagesState.ARRIVING} and exam.state not in EXAM_CLOSED
    if waiting and exam.evidence == Evidence.IMAGES and exam.images_due_at and exam.images_due_at < now:
        return ImagesState.OVERDUE
    return ImagesState(exam.images_state)


def lock_reason(exam: Exam, report: Report | None, held: Lease | None) -> LockReason | None:
    """Return why the report cannot be opened, or None: conflict, no images, signed, held by someone."""
    if exam.images_state == ImagesState.CONFLICTING:
        return LockReason.CONFLICTING
    if exam.evidence == Evidence.IMAGES and not exam.images_received:
        return LockReason.NO_IMAGES
    if report and report.state in REPORT_SIGNED:
        return LockReason.FINAL
    return LockReason.HELD if held else None


def dose_shape(dose: Administration, steps: list[int]) -> wire.Administration:
    """Return a dose as it travels."""
    return wire.Administration(
        id=dose.id or 0, radiopharmaceutical=dose.radiopharmaceutical, planned_mbq=dose.planned_mbq,
        drawn_mbq=dose.drawn_mbq, drawn_at=_local(dose.drawn_at), injected_at=_local(dose.injected_at),
        residual_mbq=dose.residual_mbq, residual_at=_local(dose.residual_at), injected_by=dose.injected_by, steps=steps,
    )  # fmt: skip


def _check(check: Check) -> wire.Check:
    return wire.Check(
        name=check.name,
        answer=check.answer,
        note=check.note,
        overridden=check.overridden,
        by=check.by,
        at=_local(check.at),
    )


def _survivors(work: Work, ids: set[int]) -> dict[int, Patient]:
    """Return the record that speaks for each of the patients: its own, or that it was merged into."""
    found = {p.id or 0: p for p in work.session.exec(select(Patient).where(col(Patient.id).in_(ids)))}
    for patient_id, patient in found.items():
        if patient.merged_into:
            survivor = work.session.get(Patient, survivor_id(work, patient_id))
            found[patient_id] = survivor or patient
    return found


def namesakes_today(work: Work, patients: Sequence[Patient]) -> set[int | None]:
    """Return the patients who share their name with somebody else who is here today."""
    keys = {patient.same_name for patient in patients if patient.same_name}
    if not keys:
        return set()
    today = work.now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    here = select(Patient.id, Patient.same_name, Patient.site).join(Exam, col(Exam.patient_id) == Patient.id)
    here = here.where(
        col(Patient.same_name).in_(keys), Exam.queued_at >= today, Exam.queued_at < today + timedelta(days=1)
    )
    present: dict[tuple[str, str], set[int | None]] = defaultdict(set)
    for patient_id, key, site in work.session.exec(here.distinct()):
        present[site, key].add(patient_id)
    return {p.id for p in patients if p.same_name and present[p.site, p.same_name] - {p.id}}


_Row = TypeVar("_Row", Step, Check)


def _grouped(rows: Iterable[_Row]) -> dict[int | None, list[_Row]]:
    """Group rows by their exam."""
    grouped: dict[int | None, list[_Row]] = defaultdict(list)
    for row in rows:
        grouped[row.exam_id].append(row)
    return grouped


def _local(at: datetime | None) -> datetime | None:
    return wire.local(at) if at else None
