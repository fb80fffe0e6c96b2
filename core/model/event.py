"""What happened: the outbox that wakes screens and workers, and the audit trail that people read."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from core.model.columns import document, site_code, when


class Event(SQLModel, table=True):
    """News, written in the transaction of the change it tells of; `seq` orders and resumes."""

    __table_args__ = {"sqlite_autoincrement": True}
    seq: int | None = Field(default=None, primary_key=True)
    site: str = site_code()
    at: datetime = when()
    kind: str = Field(max_length=32)  # exam, patient, unfiled, report, consultation, quarantined, ...
    subject: str = Field(default="", max_length=64)  # accession, patient number, id
    data: dict[str, object] = document()  # numbers and states, never a name


class AuditEntry(SQLModel, table=True):
    """One link of the audit chain: each hash covers the entry and the hash before it."""

    __table_args__ = {"sqlite_autoincrement": True}
    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code()
    at: datetime = when(index=True)
    actor: str = Field(max_length=96)
    actor_kind: str = Field(max_length=16)
    action: str = Field(max_length=32, index=True)
    subject: str = Field(default="", max_length=96, index=True)
    detail: dict[str, object] = document()
    previous: str = Field(max_length=64)
    hash: str = Field(max_length=64, unique=True)
