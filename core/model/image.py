"""What arrived: the four index tables as received, the batches tying them to exams, and the ledger.

The four tables (patient, study, series, image) can be rebuilt from the files; batches, filings, corrections and
receipts cannot, and are keyed by UIDs so that a rebuilt index finds them again.
"""

from datetime import datetime

from sqlalchemy import text
from sqlmodel import Field, Index, SQLModel, UniqueConstraint

from core.model.columns import document, listing, moment, name_group, site_code, when

_MOVED = "tier <> 'online'"


class SentPatient(SQLModel, table=True):
    """A patient exactly as objects name them; apart from the registered patient."""

    __table_args__ = (
        UniqueConstraint("site", "identity_key"),
        Index("ix_sentpatient_number", "site", "patient_number"),
        Index("ix_sentpatient_alphabetic", "site", "alphabetic"),
        Index("ix_sentpatient_ideographic", "site", "ideographic"),
        Index("ix_sentpatient_phonetic", "site", "phonetic"),
    )
    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code(index=False)
    identity_key: str = Field(max_length=64)
    patient_number: str = Field(default="", max_length=64)
    issuer: str = ""
    name: str = ""
    birth_date: str = Field(default="", max_length=8)
    sex: str = Field(default="", max_length=16)
    alphabetic: str | None = name_group(0)
    ideographic: str | None = name_group(1)
    phonetic: str | None = name_group(2)


class Study(SQLModel, table=True):
    """A study under one identity as sent."""

    __table_args__ = (
        UniqueConstraint("sent_patient_id", "uid"),
        Index("ix_study_date", "site", "date", "time", "uid"),
        Index("ix_study_uid", "site", "uid"),
        Index("ix_study_accession", "site", "accession"),
    )
    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code(index=False)
    sent_patient_id: int = Field(foreign_key="sentpatient.id")
    uid: str = Field(max_length=64)
    date: str = Field(default="", max_length=8)
    time: str = Field(default="", max_length=16)
    accession: str = Field(default="", max_length=64)
    study_id: str = Field(default="", max_length=64)
    description: str = ""
    referrer: str = ""


class Series(SQLModel, table=True):
    """A series of a study."""

    __table_args__ = (UniqueConstraint("study_id", "uid"), Index("ix_series_modality", "study_id", "modality"))
    id: int | None = Field(default=None, primary_key=True)
    study_id: int = Field(foreign_key="study.id")
    uid: str = Field(max_length=64, index=True)
    modality: str = Field(default="", max_length=16)
    number: int | None = None
    description: str = ""
    body_part: str = ""
    station: str = ""
    date: str = Field(default="", max_length=8)
    time: str = Field(default="", max_length=16)


class Image(SQLModel, table=True):
    """One stored object: where its bytes are, what they hash to, and how it counts."""

    __table_args__ = (
        Index(
            "ix_image_batch", "batch_id", "counted", "frames", "due_frames", "received_at"
        ),  # an exam is counted by it
        Index("ix_image_sop_uid", "sop_uid", "site", unique=True),
        Index("ix_image_held", "site", "size"),
        Index("ix_image_moved", "series_id", sqlite_where=text(_MOVED), postgresql_where=text(_MOVED)),
    )
    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code(index=False)
    series_id: int = Field(foreign_key="series.id", index=True)
    batch_id: int = Field(foreign_key="batch.id")
    sop_uid: str = Field(max_length=64)
    sop_class: str = Field(max_length=64)
    number: int | None = None
    frames: int = 1
    due_frames: int | None = None  # what the object's own vectors say there should be
    counted: bool = True  # ORIGINAL and an image; derived, SR, PDF, Secondary Capture are not
    image_type: str = ""
    transfer_syntax: str = Field(max_length=64)
    store: str = ""
    path: str = ""
    size: int = 0
    sha256: str = Field(max_length=64)  # of the file
    content_sha256: str = Field(max_length=64)  # of the dataset bytes without file meta
    tier: str = "online"
    aet: str = Field(default="", max_length=16)  # who sent it
    problems: list[str] = listing()
    acquired_at: str = Field(default="", max_length=32)  # as written in the object
    received_at: datetime = when(index=True)


class Receipt(SQLModel, table=True):
    """An object whose storage was acknowledged; the row outlives the image row."""

    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code()
    sop_uid: str = Field(max_length=64, index=True)
    content_sha256: str = Field(max_length=64)
    sha256: str = Field(max_length=64)
    size: int = 0
    store: str = ""
    path: str = ""
    aet: str = Field(default="", max_length=16)
    status: int = 0  # DIMSE status answered: 0000H stored, B000H quarantined
    at: datetime = when(index=True)


class Quarantined(SQLModel, table=True):
    """An object that repeats a UID with other content, kept in a tree of its own."""

    __table_args__ = (Index("ix_quarantined_content_sha256", "content_sha256", "site", unique=True),)
    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code()
    sop_uid: str = Field(max_length=64, index=True)
    study_uid: str = Field(default="", max_length=64)
    content_sha256: str = Field(max_length=64)
    sha256: str = Field(default="", max_length=64)
    transfer_syntax: str = Field(default="", max_length=64)
    store: str = ""
    path: str = ""
    size: int = 0
    aet: str = Field(default="", max_length=16)
    reason: str = ""
    received_at: datetime = when()


class Batch(SQLModel, table=True):
    """One Study UID under one identity as sent: what filing ties to an exam."""

    __table_args__ = (Index("ix_batch_key", "site", "study_uid", "identity_key"),)
    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code()
    study_uid: str = Field(max_length=64, index=True)
    identity_key: str = Field(max_length=64)
    patient_number: str = Field(default="", max_length=64)
    patient_name: str = ""
    accession: str = Field(default="", max_length=64)
    birth_date: str = Field(default="", max_length=8)
    sex: str = Field(default="", max_length=16)
    modality: str = Field(default="", max_length=16)
    body_part: str = ""
    description: str = ""
    aet: str = Field(default="", max_length=16)
    from_worklist: bool = False  # the Study UID is one we issued
    study_at: str = Field(default="", max_length=32)  # study date and time as written
    state: str = Field(default="unfiled", max_length=16, index=True)  # vocabulary.BatchState
    reasons: list[str] = listing()
    exam_id: int | None = Field(default=None, foreign_key="exam.id", index=True)
    step_id: int | None = Field(default=None, foreign_key="step.id")
    contradicts: int | None = Field(default=None, foreign_key="exam.id", index=True)
    decided_by: str = ""  # a person, or "rule"
    received: int = 0
    first_at: datetime = when()
    last_at: datetime = when()


class BatchSeries(SQLModel, table=True):
    """A series split off to a batch of its own; objects of it arriving later follow."""

    __table_args__ = (UniqueConstraint("site", "study_uid", "identity_key", "series_uid"),)
    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code()
    study_uid: str = Field(max_length=64)
    identity_key: str = Field(max_length=64)
    series_uid: str = Field(max_length=64)
    batch_id: int = Field(foreign_key="batch.id", index=True)


class Correction(SQLModel, table=True):
    """A change of filing made by a person, with its reason; it can be undone."""

    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code()
    kind: str = Field(max_length=16)  # file, unfile, split
    study_instance_uid: str = Field(max_length=64, index=True)
    batch_id: int = Field(foreign_key="batch.id", index=True)
    before: dict[str, object] = document()  # {"accession", "state", "batch_id", "series": [...]}
    after: dict[str, object] = document()
    reason: str = ""
    by: str = ""
    at: datetime = when(index=True)
    undone_at: datetime | None = moment()
    undone_by: str = ""
