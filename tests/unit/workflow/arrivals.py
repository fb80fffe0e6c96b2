"""A register of a few patients, and objects that arrive as a camera sends them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from sqlmodel import select

from core import access, course
from core.model import (
    Batch,
    BatchSeries,
    Device,
    Event,
    Exam,
    Identifier,
    Image,
    ImagesChanged,
    Patient,
    Procedure,
    Report,
    ReportVersion,
    Request,
    SentPatient,
    Series,
    Site,
    Step,
    Study,
    Visit,
)
from core.naming import normalise_identifier, same_name_key
from core.records import Records, Work
from core.vocabulary import ReportState, Role
from core.workflow import filing
from tests.tables import laid

PHYSICIST = access.person("he.jun", "MAIN", Role.PHYSICIST)
HEAD = access.person("head.chen", "MAIN", Role.DOCTOR, Role.HEAD)
TECHNOLOGIST = access.person("liu.yang", "MAIN", Role.TECHNOLOGIST)
DOCTOR = access.person("zhao.min", "MAIN", Role.DOCTOR)
CLERK = access.person("wang.li", "MAIN", Role.CLERK)
READER = access.person("reader.far", "MAIN", Role.OUTSIDE_READER)

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


class Arrivals:
    """P1 Zhang Wei with exams A1 and A2, P2 Li Na with exam A3, each of one step; nothing has arrived."""

    def __init__(self, folder: Path) -> None:
        self.now, self._uids = NOW, 0
        url = laid(folder / "arrivals.sqlite")
        self.records = Records(url, clock=lambda: self.now, new_uid=self.uid)
        with self.records.writing() as work:
            work.add(Site(code="MAIN", name="Nuclear Medicine"))
            work.add(Procedure(site="MAIN", code="BONE-WB", name="Bone scan"))
            work.add(Device(site="MAIN", aet="SPECT1", aliases=["CAM1"], pool="SPECT"))
        zhang = self.patient("P1", "Zhang^Wei", "张^伟", date(1961, 3, 4), "M")
        li = self.patient("P2", "Li^Na", "李^娜", date(1988, 11, 30), "F")
        self.exam("A1", zhang, "1.2.3.1")
        self.exam("A2", zhang, "1.2.3.2")
        self.exam("A3", li, "1.2.3.3")

    def uid(self) -> str:
        self._uids += 1
        return f"2.25.{self._uids}"

    def patient(self, number: str, name: str, own: str, born: date, sex: str) -> int:
        with self.records.writing() as work:
            patient = Patient(
                site="MAIN", number=number, name=name, name_ideographic=own, birth_date=born, sex=sex,
                same_name=same_name_key(name), registered_at=NOW, changed_at=NOW,
            )  # fmt: skip
            work.add(patient)
            normalised = normalise_identifier(number)
            work.add(
                Identifier(site="MAIN", patient_id=patient.id or 0, value=number, normalised=normalised, primary=True)
            )
        return patient.id or 0

    def exam(self, accession: str, patient_id: int, study_uid: str) -> None:
        with self.records.writing() as work:
            visit = Visit(site="MAIN", patient_id=patient_id, at=NOW)
            work.add(visit)
            request = Request(site="MAIN", patient_id=patient_id, visit_id=visit.id or 0, requested_at=NOW)
            work.add(request)
            exam = Exam(
                site="MAIN", accession=accession, patient_id=patient_id, visit_id=visit.id or 0,
                request_id=request.id or 0, procedure="BONE-WB", registered_at=NOW, queued_at=NOW, protocolled_at=NOW,
                device="SPECT1", study_instance_uid=study_uid,
            )  # fmt: skip
            work.add(exam)
            work.add(
                Step(
                    site="MAIN", exam_id=exam.id or 0, sps_id=f"S{accession}", name="whole body", devices=["SPECT1"],
                    planned_at=NOW, expected_frames=2,
                )
            )  # fmt: skip
            course.settle(work, exam)

    def send(
        self, study: str = "9.9.1", number: str = "P1", accession: str = "A1", name: str = "Zhang^Wei", *,
        born: str = "19610304", sex: str = "M", series: str = "s1", description: str = "", study_id: str = "",
        aet: str = "SPECT1", step: str = "",
    ) -> int:  # fmt: skip
        """Let one object arrive; return its batch's id."""
        key = f"{number}|{accession}|{name}|{born}|{sex}|{study_id}"
        with self.records.writing() as work:
            row = self._series(work, key, study, series, description, study_id)
            batch = self._batch(work, key, study, series) or Batch(
                site="MAIN", study_uid=study, identity_key=key, patient_number=number, patient_name=name,
                accession=accession, birth_date=born, sex=sex, modality="NM", aet=aet, first_at=work.now,
                last_at=work.now,
            )  # fmt: skip
            batch.received += 1
            work.add(batch)
            image = Image(
                site="MAIN", series_id=row.id or 0, batch_id=batch.id or 0, sop_uid=self.uid(), frames=1,
                sop_class="1.2.840.10008.5.1.4.1.1.20", transfer_syntax="1.2.840.10008.1.2.1", sha256="a" * 64,
                content_sha256="b" * 64, received_at=work.now,
            )  # fmt: skip
            work.add(image)
            filing.arrived(work, batch, image, scheduled_step=step)
        return batch.id or 0

    def _series(self, work: Work, key: str, study: str, series: str, description: str, study_id: str) -> Series:
        sent = work.session.exec(select(SentPatient).where(SentPatient.identity_key == key)).first()
        if sent is None:
            sent = SentPatient(site="MAIN", identity_key=key)
            work.add(sent)
        row = work.session.exec(select(Study).where(Study.sent_patient_id == sent.id, Study.uid == study)).first()
        if row is None:
            row = Study(site="MAIN", sent_patient_id=sent.id or 0, uid=study, study_id=study_id)
            work.add(row)
        found = work.session.exec(select(Series).where(Series.study_id == row.id, Series.uid == series)).first()
        if found is None:
            found = Series(study_id=row.id or 0, uid=series, modality="NM", description=description)
            work.add(found)
        return found

    def _batch(self, work: Work, key: str, study: str, series: str) -> Batch | None:
        split = select(BatchSeries).where(
            BatchSeries.study_uid == study, BatchSeries.identity_key == key, BatchSeries.series_uid == series
        )
        if (link := work.session.exec(split).first()) is not None:
            return work.session.get(Batch, link.batch_id)
        found = select(Batch).where(Batch.study_uid == study, Batch.identity_key == key).order_by("id")
        return work.session.exec(found).first()

    def batch(self, batch_id: int) -> Batch:
        with self.records.reading() as work:
            return work.session.get_one(Batch, batch_id)

    def look(self, accession: str) -> Exam:
        with self.records.reading() as work:
            return course.find_exam(work, accession, "MAIN")

    def sign(self, accession: str) -> None:
        """Put a signed report on record."""
        with self.records.writing() as work:
            exam = course.find_exam(work, accession, "MAIN")
            report = Report(site="MAIN", exam_id=exam.id or 0, state=ReportState.FINAL, version=1, created_at=work.now)
            work.add(report)
            work.add(
                ReportVersion(
                    report_id=report.id or 0, number=1, state=ReportState.FINAL, signed_by="zhao.min",
                    signed_at=work.now, written_at=work.now,
                )
            )  # fmt: skip
            course.settle(work, exam)

    def changes(self, accession: str) -> list[str]:
        """What a signer was told."""
        with self.records.reading() as work:
            exam = course.find_exam(work, accession, "MAIN")
            rows = work.session.exec(select(ImagesChanged).where(ImagesChanged.exam_id == exam.id)).all()
            return [row.change for row in rows]

    def news(self, kind: str) -> list[Event]:
        with self.records.reading() as work:
            return list(work.session.exec(select(Event).where(Event.kind == kind).order_by("seq")).all())
