"""Reports: the lease that guards writing, drafts, and signed versions that never change."""

from datetime import datetime

from sqlmodel import Field, SQLModel, UniqueConstraint

from core.model.columns import document, listing, moment, site_code, when


class Report(SQLModel, table=True):
    """The report of an exam. `version` counts the versions written (preliminary and signed)."""

    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code()
    exam_id: int = Field(foreign_key="exam.id", unique=True)
    state: str = "draft"  # vocabulary.ReportState
    version: int = 0
    author: str = ""
    draft: dict[str, object] = document()  # {"findings", "impression", ...}
    draft_by: str = ""
    draft_saved_at: datetime | None = moment()
    comment: str = ""  # said when it was returned
    override_reason: str = ""  # why the head opened it although it was locked; printed
    overridden: str = Field(default="", max_length=16)  # vocabulary.LockReason that was overridden, and no other
    amend_reason: str = ""  # why a signed report is being amended
    created_at: datetime = when()


class ReportVersion(SQLModel, table=True):
    """A preliminary or signed version; never changed once written."""

    __table_args__ = (UniqueConstraint("report_id", "number"),)
    id: int | None = Field(default=None, primary_key=True)
    report_id: int = Field(foreign_key="report.id", index=True)
    number: int
    state: str  # vocabulary.ReportState
    text: dict[str, object] = document()
    author: str = ""
    signed_by: str = ""
    signed_at: datetime | None = moment()
    predecessor: int | None = Field(default=None, foreign_key="reportversion.id")
    sha256: str = Field(default="", max_length=64)
    reason: str = ""  # of an amendment, a withdrawal, an override
    images: list[dict[str, object]] = listing()  # [{"sop_uid", "sha256"}] it rests on
    written_at: datetime = when()


class ImagesChanged(SQLModel, table=True):
    """Images filed to or taken from an exam after its report was signed; told to the signer until seen."""

    id: int | None = Field(default=None, primary_key=True)
    version_id: int = Field(foreign_key="reportversion.id", index=True)
    exam_id: int = Field(foreign_key="exam.id", index=True)
    change: str = ""  # filed, unfiled
    study_uid: str = Field(default="", max_length=64)
    at: datetime = when()
    seen_by: str = ""
    seen_at: datetime | None = moment()


class Lease(SQLModel, table=True):
    """Who holds a report. Fences only grow; a write with an old fence is refused and its text kept."""

    exam_id: int = Field(primary_key=True, foreign_key="exam.id")
    holder: str = ""  # Staff.username, empty when free
    fence: int = 0
    since: datetime | None = moment()
    expires_at: datetime | None = moment()
    asked_by: str = ""
    asked_at: datetime | None = moment()


class RejectedText(SQLModel, table=True):
    """What a late writer wrote under an old fence: refused, never lost."""

    id: int | None = Field(default=None, primary_key=True)
    exam_id: int = Field(foreign_key="exam.id", index=True)
    by: str = ""
    fence: int = 0
    text: dict[str, object] = document()
    at: datetime = when()


class CallToTechnologist(SQLModel, table=True):
    """A doctor's word to the technologist that images are missing, and its answer."""

    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code()
    exam_id: int = Field(foreign_key="exam.id", index=True)
    by: str = ""
    at: datetime = when()
    text: str = ""
    answer: str = ""
    answered_by: str = ""
    answered_at: datetime | None = moment()
