"""Build the shape of an exam from everything on record about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from sqlmodel import col, func, select

from core import wire
from core.course.finding import survivor_id
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
    Report,
    Request,
    Step,
    Visit,
)
from core.records import Work
from core.vocabulary import (
    EXAM_CLOSED,
    REPORT_SIGNED,
    Charge,
    Evidence,
    ExamState,
    ImagesState,
    LockReason,
    ReportState,
    StepState,
    Urgency,
    VisitKind,
)


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
