"""A department with the standard catalogue, its staff and cameras, worked through the workflows themselves."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlmodel import SQLModel, select

from core import access, course, wire
from core.access import Actor
from core.model import AuditEntry, Batch, Device, Exam, Image, SentPatient, Series, Site, Staff, Study
from core.records import Records
from core.vocabulary import BatchState, Role
from core.workflow import catalogue, patients, registration

CLERK = access.person("wang.li", "MAIN", Role.CLERK)
NURSE = access.person("qian.hua", "MAIN", Role.NURSE)
TECHNOLOGIST = access.person("liu.yang", "MAIN", Role.TECHNOLOGIST)
PHYSICIST = access.person("he.jun", "MAIN", Role.PHYSICIST)
DOCTOR = access.person("zhao.min", "MAIN", Role.DOCTOR)
OTHER_DOCTOR = access.person("sun.wei", "MAIN", Role.DOCTOR)
HEAD = access.person("head.chen", "MAIN", Role.HEAD)
ADMIN = access.person("root.admin", "MAIN", Role.ADMIN)
READER = access.person("reader.far", "MAIN", Role.OUTSIDE_READER)
EVERYBODY = (CLERK, NURSE, TECHNOLOGIST, PHYSICIST, DOCTOR, OTHER_DOCTOR, HEAD, ADMIN, READER)
SPECIALTY = {"zhao.min": ["bone"], "sun.wei": ["heart"]}
MORNING = datetime(2026, 3, 2, 8, tzinfo=UTC)


class Front:
    """Site MAIN at eight in the morning; nobody is registered yet."""

    def __init__(self, url: str) -> None:
        self.now, self._uids = MORNING, 0
        self.records = Records(url, clock=lambda: self.now, new_uid=self._uid)
        if not self.records.at_head():
            self.records.migrate()
        self._empty()
        with self.records.writing() as work:
            work.add(Site(code="MAIN", name="Nuclear Medicine"), Site(code="EAST"))
            catalogue.stock_catalogue(work, "MAIN")
            work.add(Device(site="MAIN", aet="SPECT1", aliases=["CAM1"], modalities=["NM"], pool="SPECT"))
            work.add(Device(site="MAIN", aet="SPECT2", modalities=["NM"], pool="SPECT"))
            work.add(Device(site="MAIN", aet="PETCT", modalities=["PT", "CT"]))
            for one in EVERYBODY:
                roles, specialty = sorted(role.value for role in one.roles), SPECIALTY.get(one.name, [])
                work.add(Staff(site="MAIN", username=one.name, roles=roles, specialty=specialty, created_at=work.now))

    def _empty(self) -> None:
        """Empty a database that other tests have used."""
        tables = ", ".join(f'"{table.name}"' for table in SQLModel.metadata.sorted_tables)
        if not self.records.url.startswith("sqlite"):
            with self.records._engine.begin() as connection:
                connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))

    def _uid(self) -> str:
        self._uids += 1
        return f"2.25.{self._uids}"

    def after(self, **span: float) -> None:
        self.now += timedelta(**span)

    def do(self, function: Any, actor: Actor, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as they answer
        """Call a workflow function in a unit of work of its own."""
        with self.records.writing() as work:
            return function(work, actor, *arguments, **named)

    def patient(self, number: str | None = "P1", name: str = "Zhang^Wei=张^伟", **known: Any) -> wire.Patient:  # noqa: ANN401
        known = {"birth_date": date(1961, 3, 4), "sex": "M", "accept_similar": True, **known}
        form = wire.NewPatient(number=number, name=name, **known)
        with self.records.writing() as work:
            return patients.add(work, CLERK, form)

    def exam(
        self,
        accession: str | None = "A1",
        procedure: str = "BONE-WB",
        patient: str = "P1",
        **how: Any,  # noqa: ANN401
    ) -> wire.Exam:
        form = wire.NewExam(patient=patient, procedure=procedure, accession=accession, **how)
        with self.records.writing() as work:
            return registration.register_exam(work, CLERK, form)

    def look(self, accession: str = "A1") -> wire.Exam:
        with self.records.reading() as work:
            return course.shape(work, course.find_exam(work, accession, "MAIN"))

    def states(self, accession: str = "A1") -> list[str]:
        return [step.state for step in self.look(accession).steps]

    def file_image(self, accession: str = "A1", frames: int = 2, **image: Any) -> int:  # noqa: ANN401
        """File one object to an exam; return its batch's id."""
        with self.records.writing() as work:
            exam = work.session.exec(select(Exam).where(Exam.accession == accession)).one()
            sent = SentPatient(site="MAIN", identity_key=self._uid(), patient_number="P1")
            work.add(sent)
            study = Study(site="MAIN", sent_patient_id=sent.id or 0, uid=self._uid())
            work.add(study)
            series = Series(study_id=study.id or 0, uid=self._uid(), modality="NM")
            batch = Batch(
                site="MAIN", study_uid=study.uid, identity_key=sent.identity_key, state=BatchState.FILED,
                exam_id=exam.id, first_at=work.now, last_at=work.now,
            )  # fmt: skip
            work.add(series, batch)
            row = Image(
                site="MAIN", series_id=series.id or 0, batch_id=batch.id or 0, sop_uid=self._uid(), frames=frames,
                sop_class="1.2.840.10008.5.1.4.1.1.20", transfer_syntax="1.2.840.10008.1.2.1", sha256="a" * 64,
                content_sha256="b" * 64, received_at=work.now, **image,
            )  # fmt: skip
            work.add(row)
            course.settle(work, exam)
            return batch.id or 0

    def audited(self) -> list[str]:
        with self.records.reading() as work:
            return [row.action for row in work.session.exec(select(AuditEntry).order_by("id"))]
