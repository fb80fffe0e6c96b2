"""Reports, their versions, and calls to the technologist."""

from typing import Any

from pydantic import AwareDatetime, Field

from core.vocabulary import (
    LockReason,
    ReportState,
)
from core.wire.consultations import Consultation
from core.wire.shape import Fence, Long, Shape


class SaveReport(Shape):
    fence: Fence
    text: dict[str, str]


class Fenced(Shape):
    fence: Fence
    comment: Long = ""


class Sign(Shape):
    fence: Fence
    password: str = Field(max_length=1024)
    reason: Long = ""
    override: bool = False


class OpenReport(Shape):
    take_over: bool = False
    override: bool = False
    reason: Long = ""


class Withdraw(Shape):
    password: str = Field(max_length=1024)
    reason: Long


class CallTechnologist(Shape):
    text: Long = ""


class Call(Shape):
    id: int
    accession: str
    device: str | None
    by: str
    at: AwareDatetime
    text: str
    answer: str
    answered_by: str
    answered_at: AwareDatetime | None


class Rejected(Shape):
    by: str
    fence: int
    text: dict[str, str]
    at: AwareDatetime


class ReportVersion(Shape):
    number: int
    state: ReportState
    text: dict[str, str]
    author: str
    signed_by: str | None
    signed_at: AwareDatetime | None
    predecessor: int | None
    sha256: str
    reason: str = ""
    images: list[dict[str, Any]] = []
    written_at: AwareDatetime


class ReportPart(Shape):
    """A section of a report; `starter` is offered, never filled in by itself."""

    name: str
    title: str
    starter: str = ""


class Report(Shape):
    accession: str
    state: ReportState
    version: int
    text: dict[str, str]
    author: str
    signed_by: str | None
    signed_at: AwareDatetime | None
    fence: int | None  # only for the holder
    holder: str | None = None
    held_since: AwareDatetime | None = None
    lease_expires_at: AwareDatetime | None = None
    asked_by: str | None = None
    locked: bool = False
    lock_reason: LockReason | None = None
    comment: str = ""
    parts: list[ReportPart] = []
    override_reason: str = ""  # why a locked report was opened; printed
    amend_reason: str = ""
    warnings: list[str] = []
    saved_at: AwareDatetime | None = None
    images_changed: list[dict[str, Any]] = []
    series: list[dict[str, Any]] = []  # {"uid", "description", "step", "date"} it rests on
    consultations: list[Consultation] = []
    rejected: int = 0  # texts kept from refused writes
