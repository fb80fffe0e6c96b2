"""A small department in a database of its own: one patient, one exam, images filed as if by the rule."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from sqlmodel import select

from core import access, course
from core.access import Actor
from core.model import Batch, Exam, Image, Patient, Procedure, Request, SentPatient, Series, Site, Step, Study, Visit
from core.records import Records
from core.vocabulary import BatchState, Role
from tests.tables import laid

ZHAO = access.person("zhao.min", "MAIN", Role.DOCTOR)
SUN = access.person("sun.wei", "MAIN", Role.DOCTOR)
HEAD = access.person("head.chen", "MAIN", Role.DOCTOR, Role.HEAD)
TECHNOLOGIST = access.person("liu.yang", "MAIN", Role.TECHNOLOGIST)
CLERK = access.person("wang.li", "MAIN", Role.CLERK)
READER = access.person("reader.far", "MAIN", Role.OUTSIDE_READER)


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 8, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def after(self, **span: float) -> None:
        self.now += timedelta(**span)


class Department:
    """One site with exam A1 of Zhang Wei, protocolled, without images."""

    def __init__(self, folder: Path) -> None:
        self.clock, self._uids = Clock(), 0
        self.records = Records(laid(folder / "department.sqlite"), clock=self.clock, new_uid=self.uid)
        with self.records.writing() as work:
            work.add(Site(code="MAIN", name="Nuclear Medicine"))
            work.add(Procedure(site="MAIN", code="BONE-WB", name="Bone scan", report_template="nm_planar"))
        self.patient_id = self._patient()
        self.exam("A1")

    def uid(self) -> str:
        self._uids += 1
        return f"1.2.826.0.1.3680043.8.498.{self._uids}"

    def _patient(self) -> int:
        now = self.clock()
        patient = Patient(
            site="MAIN", number="P1", name="Zhang^Wei", name_ideographic="张^伟", birth_date=date(1961, 3, 4), sex="M",
            registered_at=now, changed_at=now,
        )  # fmt: skip
        with self.records.writing() as work:
            work.add(patient)
        return patient.id or 0

    def exam(self, accession: str, *, evidence: str = "images", assigned_to: str | None = "zhao.min") -> None:
        """Register an exam with one step of two expected frames."""
        now = self.clock()
        with self.records.writing() as work:
            visit = Visit(site="MAIN", patient_id=self.patient_id, at=now)
            work.add(visit)
            request = Request(site="MAIN", patient_id=self.patient_id, visit_id=visit.id or 0, requested_at=now)
            work.add(request)
            exam = Exam(
                site="MAIN", accession=accession, patient_id=self.patient_id, visit_id=visit.id or 0,
                request_id=request.id or 0, procedure="BONE-WB", evidence=evidence, registered_at=now, queued_at=now,
                assigned_to=assigned_to, protocolled_at=now, study_instance_uid=self.uid(),
            )  # fmt: skip
            work.add(exam)
            work.add(
                Step(site="MAIN", exam_id=exam.id or 0, sps_id=f"S{exam.id}", name="whole body", expected_frames=2)
            )
            course.settle(work, exam)

    def file_images(self, accession: str = "A1", frames: int = 2) -> None:
        """File one object of some frames to an exam."""
        now = self.clock()
        with self.records.writing() as work:
            exam = course.find_exam(work, accession, "MAIN")
            sent = SentPatient(site="MAIN", identity_key=self.uid(), patient_number="P1")
            work.add(sent)
            study = Study(site="MAIN", sent_patient_id=sent.id or 0, uid=exam.study_instance_uid)
            work.add(study)
            series = Series(study_id=study.id or 0, uid=self.uid(), modality="NM", description="WB", date="20260302")
            batch = Batch(
                site="MAIN", study_uid=study.uid, identity_key=sent.identity_key, state=BatchState.FILED,
                exam_id=exam.id, first_at=now, last_at=now,
            )  # fmt: skip
            work.add(series, batch)
            image = Image(
                site="MAIN", series_id=series.id or 0, batch_id=batch.id or 0, sop_uid=self.uid(), frames=frames,
                sop_class="1.2.840.10008.5.1.4.1.1.20", transfer_syntax="1.2.840.10008.1.2.1", sha256="a" * 64,
                content_sha256="b" * 64, received_at=now,
            )  # fmt: skip
            work.add(image)
            course.settle(work, exam)

    def contradict(self, accession: str = "A1") -> None:
        """Let a batch contradict the exam."""
        now = self.clock()
        with self.records.writing() as work:
            exam = course.find_exam(work, accession, "MAIN")
            batch = Batch(
                site="MAIN", study_uid=self.uid(), identity_key="else", state=BatchState.CONFLICTING,
                contradicts=exam.id, first_at=now, last_at=now,
            )  # fmt: skip
            work.add(batch)
            course.settle(work, exam)

    def unfile_all(self, accession: str = "A1") -> None:
        """Take every image away from an exam again."""
        with self.records.writing() as work:
            exam = course.find_exam(work, accession, "MAIN")
            for batch in work.session.exec(select(Batch).where(Batch.exam_id == exam.id)).all():
                batch.exam_id, batch.state = None, BatchState.UNFILED
                work.add(batch)
            course.settle(work, exam)

    def state(self, accession: str = "A1") -> str:
        with self.records.reading() as work:
            return course.find_exam(work, accession, "MAIN").state


def actors() -> list[Actor]:
    """Return everybody."""
    return [ZHAO, SUN, HEAD, TECHNOLOGIST, CLERK, READER]
