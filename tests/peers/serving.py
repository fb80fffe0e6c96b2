"""A photopeak of its own for a test: the real service on free ports, its department worked through the workflows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityWorklistInformationFind,
    PatientRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)
from sqlmodel import SQLModel

from core import access, course, wire
from core.model import Exam, Patient, Request, Step, Visit
from core.records import Work
from core.service import Service
from core.settings import Settings
from core.vocabulary import Role
from core.workflow import acquisition, devices, registration, triage
from tests.tables import laid_in

OPERATOR = access.operator("test", "MAIN")
HEAD = access.person("head.chen", "MAIN", Role.DOCTOR, Role.HEAD)
CLERK = access.person("wang.li", "MAIN", Role.CLERK)
TECHNOLOGIST = access.person("liu.yang", "MAIN", Role.TECHNOLOGIST)
AET = "PHOTOPEAK"
WITHOUT_CHECKS = "none of it applies"
CONTEXTS = (
    Verification,
    ModalityWorklistInformationFind,
    ModalityPerformedProcedureStep,
    StudyRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelFind,
)
TODAY = datetime.now().astimezone().replace(hour=10, minute=0, second=0, microsecond=0)


class Department:
    """The service, and the people who work with it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.records = service.records
        self.port = service.dicom_port

    def device(self, aet: str, **said: Any) -> None:  # noqa: ANN401 - whatever the form takes
        known = wire.Device.model_validate({"aet": aet, "host": "127.0.0.1", "port": 104, "modalities": ["NM"], **said})
        with self.records.writing() as work:
            devices.add(work, OPERATOR, known)

    def registered(self, name: str, accession: str, *, procedure: str = "BONE-WB", **said: Any) -> wire.Exam:  # noqa: ANN401 - as above
        """Register a patient with one exam; what is said beyond belongs to patient or exam, by its name."""
        patient: dict[str, object] = {"name": name, "birth_date": date(1961, 3, 4), "sex": "M", "accept_similar": True}
        exam: dict[str, object] = {"procedure": procedure, "accession": accession}
        for key, value in said.items():
            (patient if key in wire.NewPatient.model_fields else exam)[key] = value
        form = wire.Registration.model_validate({"patient": patient, "exam": exam})
        with self.records.writing() as work:
            return registration.register(work, CLERK, form)

    def protocol(self, accession: str, device: str | None = "CAM1", at: datetime = TODAY, plan: str = "") -> wire.Exam:
        with self.records.writing() as work:
            return triage.protocol(work, HEAD, accession, wire.ProtocolExam(device=device, at=at, plan=plan))

    def scheduled(self, name: str, accession: str, **said: Any) -> wire.Exam:  # noqa: ANN401 - as above
        self.registered(name, accession, **said)
        return self.protocol(accession)

    def act(self, what: str, accession: str, reason: str = WITHOUT_CHECKS, step: int | None = None) -> wire.Exam:
        """Let the technologist arrive, start, finish, discontinue or not do an exam's step."""
        acts = {
            "arrive": acquisition.arrive,
            "start": acquisition.start,
            "finish": acquisition.finish,
            "discontinue": acquisition.discontinue,
            "not_done": acquisition.not_done,
        }
        with self.records.writing() as work:
            return acts[what](work, TECHNOLOGIST, accession, wire.StepAct(reason=reason, step=step))

    def exam(self, accession: str) -> wire.Exam:
        with self.records.reading() as work:
            return course.shape(work, course.find_exam(work, accession, "MAIN"))

    @contextlib.contextmanager
    def association(self, calling: str = "CAM1") -> Iterator[Association]:
        ae = AE(calling)
        for context in CONTEXTS:
            ae.add_requested_context(context)
        association = ae.associate("127.0.0.1", self.port, ae_title=AET)
        assert association.is_established, "photopeak refused the association"
        try:
            yield association
        finally:
            if association.is_established:
                association.release()

    def worklist(self, keys: Dataset | None = None, calling: str = "CAM1") -> list[Dataset]:
        """Return what a camera gets for its keys; for everything when it names none."""
        with self.association(calling) as association:
            answers = list(association.send_c_find(keys or all_keys(), ModalityWorklistInformationFind))
        assert answers[-1][0].Status == 0x0000, hex(answers[-1][0].Status)
        return [identifier for _, identifier in answers if identifier is not None]

    def accessions(self, keys: Dataset | None = None, calling: str = "CAM1") -> list[str]:
        return [str(item.AccessionNumber) for item in self.worklist(keys, calling)]


def all_keys(**said: str) -> Dataset:
    """Return the keys of a broad query, with some of them asked for."""
    keys, step = Dataset(), Dataset()
    for keyword in ("PatientName", "PatientID", "AccessionNumber", "StudyInstanceUID", "PatientWeight", "PatientSize",
                    "PregnancyStatus", "Allergies", "MedicalAlerts", "CurrentPatientLocation"):  # fmt: skip
        setattr(keys, keyword, said.get(keyword))
    if "SpecificCharacterSet" in said:
        keys.SpecificCharacterSet = said["SpecificCharacterSet"]
    for keyword in ("ScheduledStationAETitle", "ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime",
                    "Modality", "ScheduledProcedureStepID", "ScheduledProcedureStepDescription"):  # fmt: skip
        setattr(step, keyword, said.get(keyword))
    keys.ScheduledProcedureStepSequence = [step]
    return keys


@contextlib.contextmanager
def serving(folder: Path, **settings: object) -> Iterator[Department]:
    """Run photopeak in a folder, with CAM1 registered."""
    given = Settings(laid_in(folder), http="127.0.0.1:0", dicom="127.0.0.1:0", **settings)  # type: ignore[arg-type]
    service = Service(given)
    service.start()
    try:
        department = Department(service)
        department.device("CAM1")
        yield department
    finally:
        service.stop()


def tomorrow() -> datetime:
    """Return this time tomorrow."""
    return TODAY + timedelta(days=1)


def fill(department: Department, count: int) -> None:
    """Register that many patients at once, each with an exam protocolled for today."""
    numbers = range(count)
    with department.records.writing() as work:
        now = work.now
        people = [
            Patient(site="MAIN", number=f"F{n}", name=f"Family{n}^Given", registered_at=now, changed_at=now)
            for n in numbers
        ]
        _add_all(work, people)
        visits = [Visit(site="MAIN", patient_id=one.id or 0, at=now) for one in people]
        _add_all(work, visits)
        requests = [
            Request(site="MAIN", patient_id=one.patient_id, visit_id=one.id or 0, requested_at=now) for one in visits
        ]
        _add_all(work, requests)
        exams = [
            Exam(
                site="MAIN", accession=f"F{n}", patient_id=one.patient_id, visit_id=one.visit_id,
                request_id=one.id or 0, procedure="BONE-WB", state="protocolled", registered_at=now,
                queued_at=now, protocolled_at=now, study_instance_uid=work.new_uid(), device="CAM1",
            )
            for n, one in zip(numbers, requests, strict=True)
        ]  # fmt: skip
        _add_all(work, exams)
        steps = [
            Step(site="MAIN", exam_id=one.id or 0, sps_id=one.accession, devices=["CAM1"], planned_at=TODAY)
            for one in exams
        ]
        _add_all(work, steps)


def _add_all(work: Work, rows: Sequence[SQLModel]) -> None:
    work.session.add_all(rows)
    work.session.flush()
