"""What the modality worklist offers: a step each, from the protocol on until it has ended.

The database cuts down the candidates; who asks decides by `core.dicom.matching`. An item speaks of the patient as they
are registered now: of the survivor where records were merged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from pydicom import Dataset
from sqlmodel import col, func, select
from sqlmodel.sql.expression import Select

from core import course, wire
from core.dicom.matching import Criteria
from core.dicom.worklist import Code, ScheduledItem, ScheduledStep, to_dataset
from core.errors import Invalid
from core.model import Check, Device, Exam, Identifier, Patient, Procedure, Request, Staff, Step, Visit
from core.naming import build_name
from core.records import Work
from core.vocabulary import EXAM_OPEN, STEP_ENDED, ExamState, IdentifierKind, StepState

CODING_SCHEME = "99PHOTOPEAK"
ANY_STATION = "ANY"
"""Said as Scheduled Station AE Title, which may not be empty, of a step that any camera may take."""

_AT_ONCE = 200
_OFFERED = EXAM_OPEN - {ExamState.REGISTERED, ExamState.ASSIGNED}
_NOT_FOR_CAMERAS = (IdentifierKind.NATIONAL_ID,)
# Pregnancy Status (PS3.3 C.2.4) by the words the form and the check take.
_PREGNANCY = {
    **dict.fromkeys(("no", "not_pregnant", "not pregnant"), 1),
    **dict.fromkeys(("possibly", "possible", "possibly_pregnant", "possibly pregnant"), 2),
    **dict.fromkeys(("yes", "pregnant", "definitely"), 3),
    "unknown": 4,
}
_STATUS = {
    StepState.SCHEDULED: "SCHEDULED",
    StepState.ARRIVED: "ARRIVED",
    StepState.INJECTED: "READY",
    StepState.IN_PROGRESS: "STARTED",
}


def worklist(work: Work, site: str, criteria: Criteria) -> Iterator[Dataset]:
    """Yield the items of the steps that wait for a camera, earliest first; each may still fail to match.

    Parameters
    ----------
    criteria
        Necessary conditions of the query; a step no camera is named for is offered to the station that asks.
    """
    devices = list(work.session.exec(select(Device).where(Device.site == site, col(Device.enabled))))
    rows = work.session.exec(_waiting(work, site, criteria)).all()
    for first in range(0, len(rows), _AT_ONCE):
        gathered = _Gathered(work, rows[first : first + _AT_ONCE], devices, criteria.station_aet)
        yield from gathered.items()


def _waiting(work: Work, site: str, criteria: Criteria) -> Select[Step, Exam]:
    start = func.coalesce(Step.planned_at, Exam.booked_at, Exam.registered_at)
    found = select(Step, Exam).join(Exam, col(Exam.id) == Step.exam_id)
    found = found.where(Step.site == site, col(Step.state).not_in(STEP_ENDED), col(Exam.state).in_(_OFFERED))
    if criteria.patient_id is not None:
        found = found.where(col(Exam.patient_id).in_(_records_of(work, site, criteria.patient_id)))
    if criteria.accession is not None:
        found = found.where(Exam.accession == criteria.accession)
    if criteria.modality is not None:
        found = found.where(Exam.modality == criteria.modality)
    if criteria.study_uids:
        found = found.where(col(Exam.study_instance_uid).in_(criteria.study_uids))
    if criteria.first_date is not None:
        found = found.where(start >= _midnight(criteria.first_date))
    if criteria.last_date is not None and criteria.last_date < date.max:
        found = found.where(start < _midnight(criteria.last_date + timedelta(days=1)))
    return found.order_by(start, col(Exam.id), col(Step.position), col(Step.id))


def _records_of(work: Work, site: str, number: str) -> set[int]:
    """Return the records of the person whose number this is."""
    found = select(Patient.id).where(Patient.site == site, Patient.number == number)
    patient = work.session.exec(found).first()
    return course.one_person(work, patient) if patient else set()


def _midnight(day: date) -> datetime:
    """Return when a day begins here."""
    return datetime.combine(day, time.min).astimezone()


@dataclass(frozen=True)
class _Stations:
    """Which AE titles a step is said to be scheduled for."""

    devices: Sequence[Device]
    asked: str | None

    def of(self, exam: Exam, step: Step) -> tuple[str, ...]:
        """Return the step's cameras, those of its pool, or any that could do it, by the title that was asked for."""
        named = step.devices or ([exam.device] if exam.device else [])
        cameras = [one for one in self.devices if {one.aet, one.pool} & set(named)]
        if not named:
            cameras = [one for one in self.devices if exam.modality in one.modalities]
        known = {one.aet for one in cameras} | {one.pool for one in cameras}
        others = [name for name in named if name not in known]
        return (*map(self._title, cameras), *others) or (self.asked or ANY_STATION,)

    def _title(self, device: Device) -> str:
        return self.asked if self.asked and self.asked in device.aliases else device.aet


class _Gathered:
    """Everything the items of some steps are made of, with one query for each table."""

    def __init__(
        self, work: Work, rows: Sequence[tuple[Step, Exam]], devices: Sequence[Device], asked: str | None
    ) -> None:
        self._rows = rows
        self._stations = _Stations(devices, asked)
        self._device_of = {device.aet: device for device in devices}
        session, exams = work.session, [exam for _, exam in rows]
        self._patients = _survivors(work, {exam.patient_id for exam in exams})
        visits = session.exec(select(Visit).where(col(Visit.id).in_({exam.visit_id for exam in exams})))
        self._visits = {row.id: row for row in visits}
        requests = session.exec(select(Request).where(col(Request.id).in_({exam.request_id for exam in exams})))
        self._requests = {row.id: row for row in requests}
        entries = session.exec(select(Procedure).where(col(Procedure.code).in_({exam.procedure for exam in exams})))
        self._entries = {(row.site, row.code): row for row in entries}
        doctors = session.exec(select(Staff).where(col(Staff.username).in_({exam.assigned_to for exam in exams})))
        self._doctors = {row.username: row.full_name or row.username for row in doctors}
        asked_for = select(Check).where(col(Check.exam_id).in_([exam.id for exam in exams]), Check.name == "pregnancy")
        self._pregnancy_said = {row.exam_id: row.answer for row in session.exec(asked_for)}
        people = {patient.id for patient in self._patients.values()}
        numbers = select(Identifier).where(col(Identifier.patient_id).in_(people), ~col(Identifier.primary))
        numbers = numbers.where(col(Identifier.kind).not_in(_NOT_FOR_CAMERAS)).order_by(col(Identifier.id))
        self._other_numbers: dict[int, list[str]] = {}
        for row in session.exec(numbers):
            self._other_numbers.setdefault(row.patient_id, []).append(row.value)

    def items(self) -> Iterator[Dataset]:
        for step, exam in self._rows:
            yield to_dataset(self._item(step, exam))

    def _item(self, step: Step, exam: Exam) -> ScheduledItem:
        patient = self._patients[exam.patient_id]
        visit, request = self._visits[exam.visit_id], self._requests[exam.request_id]
        entry = self._entries.get((exam.site, exam.procedure))
        referrer = _as_name(request.referrer)
        return ScheduledItem(
            patient_id=patient.number, name=patient.name, name_ideographic=patient.name_ideographic,
            birth_date=patient.birth_date, sex=patient.sex, allergies=patient.allergies,
            medical_alerts="; ".join(filter(None, (patient.alerts, visit.infection))),
            special_needs=", ".join(visit.special_needs), pregnancy=self._pregnancy(exam, visit),
            weight_kg=visit.weight_kg, height_cm=visit.height_cm, admission_id=visit.number, ward=visit.ward,
            location=visit.bed, other_patient_ids=tuple(self._other_numbers.get(patient.id or 0, ())),
            accession=exam.accession, study_instance_uid=exam.study_instance_uid, priority=exam.urgency,
            description=entry.name if entry else exam.procedure, code=_code(exam, entry),
            referring_physician=referrer, requesting_physician=referrer,
            requesting_service=request.from_department, reason=request.diagnosis or request.complaint,
            placer_number=request.placer_number, filler_number=exam.accession,
            steps=(self._step(step, exam, entry),),
        )  # fmt: skip

    def _step(self, step: Step, exam: Exam, entry: Procedure | None) -> ScheduledStep:
        stations = self._stations.of(exam, step)
        procedure = entry.name if entry else exam.procedure
        device = self._device_of.get(stations[0])
        doctor = self._doctors.get(exam.assigned_to or "", "")
        return ScheduledStep(
            step_id=step.sps_id, station_aets=stations, modality=exam.modality,
            start=wire.local(step.planned_at or exam.booked_at or exam.registered_at),
            description=_described(procedure, step.name), protocol=_code(exam, entry),
            station_name=device.aet if device else "", performing_physician=_as_name(doctor),
            status=_STATUS[StepState(step.state)], comments=exam.plan,
        )  # fmt: skip

    def _pregnancy(self, exam: Exam, visit: Visit) -> int | None:
        """What was answered at the check, else what the visit's form says."""
        answered = _PREGNANCY.get(self._pregnancy_said.get(exam.id or 0, "").lower())
        return answered or _PREGNANCY.get(visit.pregnancy.lower())


def _survivors(work: Work, ids: set[int]) -> dict[int, Patient]:
    found = {row.id or 0: row for row in work.session.exec(select(Patient).where(col(Patient.id).in_(ids)))}
    for patient_id, patient in found.items():
        if patient.merged_into:
            found[patient_id] = work.session.get_one(Patient, course.survivor_id(work, patient_id))
    return found


def _described(procedure: str, step: str) -> str:
    """Return what a step is called at the camera; the procedure alone where it says it already."""
    return procedure if step.casefold() in procedure.casefold() else f"{procedure}, {step}"


def _code(exam: Exam, entry: Procedure | None) -> Code:
    return Code(exam.procedure, CODING_SCHEME, entry.name if entry else exam.procedure)


def _as_name(text: str) -> str:
    """Return the DICOM name of a colleague, whose name is kept as it was typed."""
    try:
        return str(build_name(text)) if text.strip() else ""
    except Invalid:
        return text
