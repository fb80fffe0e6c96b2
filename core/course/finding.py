"""Find exams, their people, their steps and what they were ordered as."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import col, select

from core.errors import NotFound
from core.model import (
    Exam,
    Patient,
    Procedure,
    Step,
)
from core.records import Work
from core.vocabulary import (
    EXAM_CLOSED,
    ExamState,
)

_LONGEST_ID = 19  # digits of a 64 bit number


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


def procedure_of(work: Work, exam: Exam) -> Procedure | None:
    """Return the catalogue entry the exam was registered by."""
    found = select(Procedure).where(Procedure.site == exam.site, Procedure.code == exam.procedure)
    return work.session.exec(found).first()
