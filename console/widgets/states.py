"""States as a person sees them: a word, a glyph and a tone, so that no one colour carries it.

The glyph has an ASCII form for terminals that draw no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from console.widgets.cells import Cell
from console.words import _
from core.vocabulary import (
    Charge,
    ConsultationState,
    ExamState,
    ImagesState,
    JobState,
    LockReason,
    ProcessingState,
    ReportState,
    Role,
    StepState,
    Urgency,
    VisitKind,
)

Look = tuple[str, str, str, str]  # glyph, ASCII glyph, word, tone

EXAM: Mapping[str, Look] = {
    ExamState.REGISTERED: ("○", "o", "registered", ""),
    ExamState.ASSIGNED: ("◔", "a", "assigned", ""),
    ExamState.PROTOCOLLED: ("◑", "p", "protocolled", "accent"),
    ExamState.IN_PROGRESS: ("▶", ">", "on camera", "warn"),
    ExamState.ACQUIRED: ("◕", "=", "acquired", "accent"),
    ExamState.READY: ("●", "*", "ready", "good"),
    ExamState.REPORTED: ("✓", "v", "reported", "muted"),
    ExamState.CANCELLED: ("✗", "x", "cancelled", "muted"),
    ExamState.NOT_DONE: ("✗", "x", "not done", "muted"),
}
STEP: Mapping[str, Look] = {
    StepState.SCHEDULED: ("○", "o", "scheduled", ""),
    StepState.ARRIVED: ("◔", "a", "arrived", "accent"),
    StepState.INJECTED: ("◑", "i", "injected", "warn"),
    StepState.IN_PROGRESS: ("▶", ">", "on camera", "warn"),
    StepState.DONE: ("✓", "v", "done", "good"),
    StepState.DISCONTINUED: ("■", "#", "discontinued", "bad"),
    StepState.NOT_DONE: ("✗", "x", "not done", "muted"),
}
IMAGES: Mapping[str, Look] = {
    ImagesState.NONE: ("·", "-", "no images", "muted"),
    ImagesState.ARRIVING: ("▼", "v", "arriving", "warn"),
    ImagesState.COMPLETE: ("●", "*", "complete", "good"),
    ImagesState.OVERDUE: ("!", "!", "overdue", "bad"),
    ImagesState.CONFLICTING: ("≠", "#", "conflicting", "bad"),
}
REPORT: Mapping[str, Look] = {
    ReportState.DRAFT: ("✎", "d", "draft", "accent"),
    ReportState.PRELIMINARY: ("◐", "p", "preliminary", "warn"),
    ReportState.FINAL: ("✓", "v", "final", "good"),
    ReportState.AMENDED: ("✓", "v", "amended", "good"),
    ReportState.WITHDRAWN: ("✗", "x", "withdrawn", "bad"),
}
CONSULTATION: Mapping[str, Look] = {
    ConsultationState.REQUESTED: ("○", "o", "requested", "warn"),
    ConsultationState.SCHEDULED: ("◔", "s", "scheduled", "accent"),
    ConsultationState.GATHERED: ("◑", "g", "gathered", "accent"),
    ConsultationState.IN_SESSION: ("▶", ">", "in session", "warn"),
    ConsultationState.CONCLUDED: ("✓", "v", "concluded", "good"),
    ConsultationState.WITHDRAWN: ("✗", "x", "withdrawn", "muted"),
}
PROCESSING: Mapping[str, Look] = {
    ProcessingState.WAITING: ("·", "-", "waits", "muted"),
    ProcessingState.QUEUED: ("○", "o", "queued", ""),
    ProcessingState.RUNNING: ("▶", ">", "runs", "warn"),
    ProcessingState.MADE: ("◐", "?", "to accept", "accent"),
    ProcessingState.ACCEPTED: ("✓", "v", "accepted", "good"),
    ProcessingState.DISCARDED: ("✗", "x", "discarded", "muted"),
    ProcessingState.FAILED: ("■", "#", "failed", "bad"),
    ProcessingState.CANCELLED: ("✗", "x", "stopped", "muted"),
}
JOB: Mapping[str, Look] = {
    JobState.QUEUED: ("○", "o", "waits", "accent"),
    JobState.RUNNING: ("▶", ">", "runs", "warn"),
    JobState.DONE: ("✓", "v", "done", "good"),
    JobState.FAILED: ("■", "#", "failed", "bad"),
    JobState.CANCELLED: ("✗", "x", "given up", "muted"),
}
URGENCY: Mapping[str, Look] = {
    Urgency.STAT: ("‼", "!!", "stat", "bad"),
    Urgency.URGENT: ("!", "!", "urgent", "warn"),
    Urgency.ROUTINE: ("·", "-", "routine", ""),
}
VISIT: Mapping[str, Look] = {
    VisitKind.OUTPATIENT: ("", "", "outpatient", ""),
    VisitKind.INPATIENT: ("", "", "inpatient", ""),
    VisitKind.EMERGENCY: ("", "", "emergency", "bad"),
    VisitKind.CHECKUP: ("", "", "check-up", ""),
    VisitKind.TRANSFER: ("", "", "transfer", ""),
}
ROLES: Mapping[str, str] = {
    Role.CLERK: "clerk",
    Role.NURSE: "nurse",
    Role.TECHNOLOGIST: "technologist",
    Role.PHYSICIST: "physicist",
    Role.DOCTOR: "doctor",
    Role.HEAD: "head",
    Role.ADMIN: "admin",
    Role.OUTSIDE_READER: "outside reader",
}
LOCKS: Mapping[str, str] = {
    LockReason.NO_IMAGES: "no images yet",
    LockReason.HELD: "another person is writing",
    LockReason.CONFLICTING: "the images contradict the exam",
    LockReason.FINAL: "signed",
}
CHARGES: Mapping[str, str] = {
    Charge.UNPAID: "unpaid",
    Charge.PAID: "paid",
    Charge.CHARGED: "charged",
    Charge.GREEN_CHANNEL: "green channel",
    Charge.REFUNDED: "refunded",
}
CHECKS: Mapping[str, str] = {
    "pregnancy": "pregnancy",
    "breastfeeding": "breastfeeding",
    "allergy": "allergy",
    "fasting": "fasting",
    "glucose": "glucose",
    "drugs_stopped": "drugs stopped",
    "consent": "consent",
    "isolation": "isolation",
}


def state(looks: Mapping[str, Look], value: StrEnum | str | None, *, ascii_only: bool = False) -> Cell:
    """Return how a state of one of the tables above looks; nothing for None."""
    if value is None:
        return Cell("")
    glyph, plain, word, tone = looks.get(value, ("?", "?", str(value), "warn"))
    mark = plain if ascii_only else glyph
    return Cell(f"{mark} {_(word)}".strip(), tone)


def check(name: str) -> str:
    """Return what a check is called; one that a site added is called as the site wrote it."""
    return _(CHECKS.get(name, name.replace("_", " ")))


def same_name(*, ascii_only: bool = False) -> str:
    """Return the mark of patients who share a name today."""
    return _("!same") if ascii_only else _("⚠same")
