"""The rows of an object: as sent, in its batch, stored or kept apart, acknowledged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlmodel import SQLModel, col, select

from core.archive.keeper.staged import Staged
from core.dicom import objects
from core.model import Batch, BatchSeries, Exam, Image, Quarantined, Receipt, SentPatient, Series, Study
from core.records import Work


def index_rows(work: Work, staged: Staged, site: str) -> Series:
    """Find or make the rows of patient, study and series as sent."""
    said, session = staged.identity, work.session
    found = select(SentPatient).where(SentPatient.site == site, SentPatient.identity_key == staged.identity_key)
    patient = session.exec(found).first()
    if patient is None:
        patient = SentPatient(
            site=site, identity_key=staged.identity_key, patient_number=_text(said.patient_id, 64),
            issuer=_text(said.issuer), name=_text(str(said.name)), sex=_text(said.sex, 16),
            birth_date=f"{said.birth_date:%Y%m%d}" if said.birth_date else "",
        )  # fmt: skip
        work.add(patient)
    study = session.exec(
        select(Study).where(Study.sent_patient_id == patient.id, Study.uid == said.study_instance_uid)
    ).first()
    if study is None:
        study = Study(
            site=site, sent_patient_id=patient.id or 0, uid=said.study_instance_uid, date=staged.study_date,
            time=staged.study_time, accession=_text(said.accession, 64), study_id=_text(said.study_id, 64),
            description=_text(said.study_description), referrer=_text(staged.referrer),
        )  # fmt: skip
        work.add(study)
    return _series(work, staged, study)


def _series(work: Work, staged: Staged, study: Study) -> Series:
    said = staged.identity
    found = select(Series).where(Series.study_id == study.id, Series.uid == said.series_instance_uid)
    series = work.session.exec(found).first()
    if series is None:
        series = series_row(staged, study.id or 0)
        work.add(series)
    return series


def series_row(staged: Staged, study_id: int) -> Series:
    """Return the row of an object's series."""
    said = staged.identity
    return Series(
        study_id=study_id, uid=said.series_instance_uid, modality=_text(said.modality, 16),
        number=said.series_number, description=_text(said.series_description), body_part=_text(said.body_part),
        station=_text(said.station_name), date=staged.series_date, time=staged.series_time,
    )  # fmt: skip


def batch_of(work: Work, staged: Staged, site: str) -> Batch:
    """Find or make the batch an object belongs to; a series split off takes its objects along."""
    said, session = staged.identity, work.session
    key = (site, said.study_instance_uid, staged.identity_key)
    split = select(BatchSeries.batch_id).where(
        BatchSeries.site == key[0], BatchSeries.study_uid == key[1], BatchSeries.identity_key == key[2],
        BatchSeries.series_uid == said.series_instance_uid,
    )  # fmt: skip
    batch = session.get(Batch, session.exec(split).first() or 0)
    if batch is None:
        found = select(Batch).where(Batch.site == key[0], Batch.study_uid == key[1], Batch.identity_key == key[2])
        batch = session.exec(found.order_by(col(Batch.id)).limit(1)).first()
    return batch or _new_batch(work, staged, site)


def _new_batch(work: Work, staged: Staged, site: str) -> Batch:
    said = staged.identity
    ours = work.session.exec(select(Exam.id).where(Exam.study_instance_uid == said.study_instance_uid)).first()
    batch = Batch(
        site=site, study_uid=said.study_instance_uid, identity_key=staged.identity_key,
        patient_number=_text(said.patient_id, 64), patient_name=_text(str(said.name)),
        accession=_text(said.accession, 64), birth_date=f"{said.birth_date:%Y%m%d}" if said.birth_date else "",
        sex=_text(said.sex, 16), modality=_text(said.modality, 16), body_part=_text(said.body_part),
        description=_text(said.study_description or said.series_description), aet=_text(staged.aet, 16),
        from_worklist=ours is not None, study_at=said.study_at.isoformat() if said.study_at else "",
        first_at=work.now, last_at=work.now,
    )  # fmt: skip
    work.add(batch)
    return batch


def image_row(staged: Staged, site: str, store: str, path: str) -> Image:
    """Return an object's row, not yet tied to series and batch."""
    return Image(**image_values(staged, site, store, path), series_id=0, batch_id=0)


def image_values(staged: Staged, site: str, store: str, path: str) -> dict[str, Any]:
    """Return the values of an object's row, but for series and batch and what has a default."""
    said = staged.identity
    return {
        "site": site, "sop_uid": said.sop_instance_uid, "sop_class": said.sop_class_uid,
        "number": said.instance_number, "frames": staged.frames, "due_frames": staged.due_frames,
        "counted": staged.counted, "image_type": _text("\\".join(said.image_type)),
        "transfer_syntax": staged.syntax, "store": store, "path": path, "size": staged.size,
        "sha256": staged.sha256, "content_sha256": staged.content_sha256, "aet": _text(staged.aet, 16),
        "problems": list(said.problems), "received_at": staged.received_at,
        "acquired_at": said.acquired_at.isoformat() if said.acquired_at else "",
    }  # fmt: skip


def values(row: SQLModel) -> dict[str, Any]:
    """Return a new row's values by column, but for its id and what the database computes."""
    said = row.__dict__
    names: list[str] = row.__table__.columns.keys()  # type: ignore[attr-defined]  # made by SQLAlchemy
    return {name: said[name] for name in names if name in said and name != "id"}


BLANK_IMAGE = values(
    Image(
        site="", series_id=0, batch_id=0, sop_uid="", sop_class="", transfer_syntax="", sha256="", content_sha256="",
        received_at=datetime.min.replace(tzinfo=UTC),
    )
)  # fmt: skip
"""What an image row holds where nothing is said."""


def quarantined_row(staged: Staged, site: str, store: str, path: str, at: datetime) -> Quarantined:
    """Return the row of an object kept apart."""
    said = staged.identity
    return Quarantined(
        site=site, sop_uid=said.sop_instance_uid, study_uid=said.study_instance_uid, store=store, path=path,
        content_sha256=staged.content_sha256, sha256=staged.sha256, transfer_syntax=staged.syntax, size=staged.size,
        aet=_text(staged.aet, 16), reason="another object has its UID", received_at=at,
    )  # fmt: skip


def acknowledge(work: Work, kept: Image | Quarantined, staged: Staged, site: str, status: int) -> None:
    """Write down that the sender may forget the object: what is kept, which may be equal in another transfer syntax."""
    receipt = Receipt(
        site=site, sop_uid=kept.sop_uid, content_sha256=kept.content_sha256, sha256=kept.sha256, size=kept.size,
        store=kept.store, path=kept.path, aet=_text(staged.aet, 16), status=status, at=work.now,
    )  # fmt: skip
    work.session.add(receipt)


def _text(text: str, longest: int = objects.LONGEST_TEXT) -> str:
    """Return what a text column takes: no NUL, no lone surrogate, not too long."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:longest]
