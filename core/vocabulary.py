"""The department's words: roles, permissions, states and the tables by which states move.

Standard library only, so that the console can share it. A state never moves by `if`: it moves by `AFTER`.
"""

from __future__ import annotations

from enum import StrEnum, auto
from typing import TypeVar


class Role(StrEnum):
    CLERK = auto()
    NURSE = auto()
    TECHNOLOGIST = auto()
    PHYSICIST = auto()
    DOCTOR = auto()
    HEAD = auto()
    ADMIN = auto()
    OUTSIDE_READER = auto()


class VisitKind(StrEnum):
    OUTPATIENT = auto()
    INPATIENT = auto()
    EMERGENCY = auto()
    CHECKUP = auto()
    TRANSFER = auto()


class Urgency(StrEnum):
    STAT = auto()
    URGENT = auto()
    ROUTINE = auto()


URGENCY_RANK = {Urgency.STAT: 0, Urgency.URGENT: 1, Urgency.ROUTINE: 2}


class Charge(StrEnum):
    UNPAID = auto()
    PAID = auto()
    CHARGED = auto()
    GREEN_CHANNEL = auto()
    REFUNDED = auto()


class IdentifierKind(StrEnum):
    HOSPITAL = auto()
    OUTPATIENT = auto()
    INPATIENT = auto()
    CARD = auto()
    NATIONAL_ID = auto()
    TEMPORARY = auto()


class Identity(StrEnum):
    KNOWN = auto()
    TEMPORARY = auto()


class BirthDateKnown(StrEnum):
    EXACT = auto()
    ESTIMATED = auto()
    UNKNOWN = auto()


class Evidence(StrEnum):
    """What a report of a procedure rests on; only `IMAGES` locks it while there are none."""

    IMAGES = auto()
    DOCUMENT = auto()
    NONE = auto()


class StepState(StrEnum):
    SCHEDULED = auto()
    ARRIVED = auto()
    INJECTED = auto()
    IN_PROGRESS = auto()
    DONE = auto()
    DISCONTINUED = auto()
    NOT_DONE = auto()


class ExamState(StrEnum):
    REGISTERED = auto()
    ASSIGNED = auto()
    PROTOCOLLED = auto()
    IN_PROGRESS = auto()
    ACQUIRED = auto()
    READY = auto()
    REPORTED = auto()
    CANCELLED = auto()
    NOT_DONE = auto()


class ImagesState(StrEnum):
    NONE = auto()
    ARRIVING = auto()
    COMPLETE = auto()
    OVERDUE = auto()
    CONFLICTING = auto()


class BatchState(StrEnum):
    FILED = auto()
    UNFILED = auto()
    CONFLICTING = auto()
    QC = auto()


class ReportState(StrEnum):
    DRAFT = auto()
    PRELIMINARY = auto()
    FINAL = auto()
    AMENDED = auto()
    WITHDRAWN = auto()


class LockReason(StrEnum):
    NO_IMAGES = auto()
    HELD = auto()
    CONFLICTING = auto()
    FINAL = auto()


class ConsultationState(StrEnum):
    REQUESTED = auto()
    SCHEDULED = auto()
    GATHERED = auto()
    IN_SESSION = auto()
    CONCLUDED = auto()
    WITHDRAWN = auto()


class Tier(StrEnum):
    """Where an object's file is: on the department's disk as it came, or in the archive behind it."""

    ONLINE = auto()
    ARCHIVE = auto()


class JobState(StrEnum):
    QUEUED = auto()
    RUNNING = auto()
    DONE = auto()
    FAILED = auto()
    CANCELLED = auto()


class Recipe(StrEnum):
    """A way of processing images."""

    SPECT = auto()
    COREGISTER = auto()
    FUSE = auto()
    LESION = auto()


class ProcessingState(StrEnum):
    """How far a processing has come; WAITING is for what another one makes first."""

    WAITING = auto()
    QUEUED = auto()
    RUNNING = auto()
    MADE = auto()
    ACCEPTED = auto()
    DISCARDED = auto()
    FAILED = auto()
    CANCELLED = auto()


class DeliveryState(StrEnum):
    """What became of one object sent out: taken or refused by the node, and answered for by it or not."""

    WAITING = auto()
    SENT = auto()
    REFUSED = auto()
    COMMITTED = auto()
    NOT_COMMITTED = auto()


_S, _E, _R, _C, _J = StepState, ExamState, ReportState, ConsultationState, JobState

# Steps. Injection is no step: it marks one. A step that ran backwards was corrected by a person (`reopen`).
STEP_AFTER: dict[StepState, frozenset[StepState]] = {
    _S.SCHEDULED: frozenset({_S.ARRIVED, _S.INJECTED, _S.IN_PROGRESS, _S.DONE, _S.DISCONTINUED, _S.NOT_DONE}),
    _S.ARRIVED: frozenset({_S.SCHEDULED, _S.INJECTED, _S.IN_PROGRESS, _S.DONE, _S.DISCONTINUED, _S.NOT_DONE}),
    _S.INJECTED: frozenset({_S.IN_PROGRESS, _S.DONE, _S.DISCONTINUED, _S.NOT_DONE}),
    _S.IN_PROGRESS: frozenset({_S.DONE, _S.DISCONTINUED, _S.NOT_DONE}),
    _S.DONE: frozenset({_S.IN_PROGRESS}),
    _S.DISCONTINUED: frozenset({_S.SCHEDULED, _S.IN_PROGRESS}),
    _S.NOT_DONE: frozenset({_S.SCHEDULED, _S.IN_PROGRESS}),
}
STEP_ENDED = frozenset({_S.DONE, _S.DISCONTINUED, _S.NOT_DONE})

# Exams. Up to PROTOCOLLED people move them; from there they follow their steps, images and report. Every edge, the
# backward ones (unfiled, late image, reopened, withdrawn) included, stands here.
_BEFORE_IMAGES = frozenset({_E.REGISTERED, _E.ASSIGNED, _E.PROTOCOLLED})
_WITH_STEPS = frozenset({_E.IN_PROGRESS, _E.ACQUIRED, _E.READY})
_LEAVING = frozenset({_E.CANCELLED, _E.NOT_DONE})
EXAM_AFTER: dict[ExamState, frozenset[ExamState]] = {
    _E.REGISTERED: frozenset({_E.ASSIGNED, _E.PROTOCOLLED, _E.REPORTED}) | _WITH_STEPS | _LEAVING,
    _E.ASSIGNED: frozenset({_E.REGISTERED, _E.PROTOCOLLED, _E.REPORTED}) | _WITH_STEPS | _LEAVING,
    _E.PROTOCOLLED: frozenset({_E.REGISTERED, _E.ASSIGNED, _E.REPORTED}) | _WITH_STEPS | _LEAVING,
    _E.IN_PROGRESS: _BEFORE_IMAGES | frozenset({_E.ACQUIRED, _E.READY, _E.REPORTED}) | _LEAVING,
    _E.ACQUIRED: _BEFORE_IMAGES | frozenset({_E.IN_PROGRESS, _E.READY, _E.REPORTED, _E.NOT_DONE}),
    _E.READY: _BEFORE_IMAGES | frozenset({_E.IN_PROGRESS, _E.ACQUIRED, _E.REPORTED, _E.NOT_DONE}),
    _E.REPORTED: _BEFORE_IMAGES | _WITH_STEPS | frozenset({_E.NOT_DONE}),
    _E.CANCELLED: _BEFORE_IMAGES | _WITH_STEPS,
    _E.NOT_DONE: _BEFORE_IMAGES | _WITH_STEPS,
}
EXAM_CLOSED = _LEAVING
EXAM_OPEN = frozenset(_E) - EXAM_CLOSED

REPORT_AFTER: dict[ReportState, frozenset[ReportState]] = {
    _R.DRAFT: frozenset({_R.PRELIMINARY, _R.FINAL, _R.AMENDED}),
    _R.PRELIMINARY: frozenset({_R.DRAFT, _R.FINAL, _R.AMENDED}),
    _R.FINAL: frozenset({_R.AMENDED, _R.WITHDRAWN}),
    _R.AMENDED: frozenset({_R.AMENDED, _R.WITHDRAWN}),
    _R.WITHDRAWN: frozenset({_R.DRAFT}),
}
REPORT_SIGNED = frozenset({_R.FINAL, _R.AMENDED})

CONSULTATION_AFTER: dict[ConsultationState, frozenset[ConsultationState]] = {
    _C.REQUESTED: frozenset({_C.SCHEDULED, _C.WITHDRAWN}),
    _C.SCHEDULED: frozenset({_C.SCHEDULED, _C.GATHERED, _C.IN_SESSION, _C.CONCLUDED, _C.WITHDRAWN}),
    _C.GATHERED: frozenset({_C.SCHEDULED, _C.IN_SESSION, _C.CONCLUDED, _C.WITHDRAWN}),
    _C.IN_SESSION: frozenset({_C.CONCLUDED, _C.WITHDRAWN}),
    _C.CONCLUDED: frozenset(),
    _C.WITHDRAWN: frozenset(),
}

JOB_AFTER: dict[JobState, frozenset[JobState]] = {
    _J.QUEUED: frozenset({_J.RUNNING, _J.CANCELLED}),
    _J.RUNNING: frozenset({_J.DONE, _J.FAILED, _J.QUEUED, _J.CANCELLED}),
    _J.FAILED: frozenset({_J.QUEUED}),
    _J.DONE: frozenset(),
    _J.CANCELLED: frozenset(),
}

_D = DeliveryState
DELIVERY_AFTER: dict[DeliveryState, frozenset[DeliveryState]] = {
    _D.WAITING: frozenset({_D.SENT, _D.REFUSED}),
    _D.REFUSED: frozenset({_D.WAITING}),
    _D.SENT: frozenset({_D.COMMITTED, _D.NOT_COMMITTED}),
    _D.NOT_COMMITTED: frozenset({_D.COMMITTED, _D.WAITING}),
    _D.COMMITTED: frozenset(),
}

_P = ProcessingState
PROCESSING_AFTER: dict[ProcessingState, frozenset[ProcessingState]] = {
    _P.WAITING: frozenset({_P.QUEUED, _P.CANCELLED, _P.DISCARDED}),
    _P.QUEUED: frozenset({_P.RUNNING, _P.FAILED, _P.CANCELLED}),
    _P.RUNNING: frozenset({_P.MADE, _P.QUEUED, _P.FAILED, _P.CANCELLED}),
    _P.MADE: frozenset({_P.ACCEPTED, _P.DISCARDED}),
    _P.FAILED: frozenset({_P.QUEUED, _P.DISCARDED}),
    _P.CANCELLED: frozenset({_P.DISCARDED}),
    _P.ACCEPTED: frozenset({_P.DISCARDED}),  # another one was accepted in its place
    _P.DISCARDED: frozenset(),
}
PROCESSING_DECIDED = frozenset({_P.ACCEPTED, _P.DISCARDED})

State = TypeVar("State", StepState, ExamState, ReportState, ConsultationState, JobState, DeliveryState, ProcessingState)


def may_follow(table: dict[State, frozenset[State]], now: State, then: State) -> bool:
    """Whether `then` may come after `now` in one of the tables above."""
    return then in table[now]


class Operation(StrEnum):
    """What a person may be allowed to do; the rows of the table of rights."""

    FIND = auto()
    REGISTER = auto()
    MERGE_PATIENTS = auto()
    TRIAGE = auto()
    PROTOCOL = auto()
    ATTEND = auto()
    PROCESS = auto()
    VIEW_IMAGES = auto()
    CONFIRM_CANDIDATE = auto()
    FILE = auto()
    WRITE_REPORT = auto()
    SIGN_REPORT = auto()
    OVERRIDE_REPORT = auto()
    CONSULT = auto()
    CONCLUDE_CONSULTATION = auto()
    ADMINISTER = auto()
    READ_AUDIT = auto()


class Extent(StrEnum):
    """How far a right reaches."""

    ALL = auto()
    OWN = auto()


_ALL, _OWN = Extent.ALL, Extent.OWN
_CLERK, _NURSE, _TECH, _PHYS = Role.CLERK, Role.NURSE, Role.TECHNOLOGIST, Role.PHYSICIST
_DOC, _HEAD, _ADMIN, _OUTSIDE = Role.DOCTOR, Role.HEAD, Role.ADMIN, Role.OUTSIDE_READER
_EVERYONE_HERE = dict.fromkeys((_CLERK, _NURSE, _TECH, _PHYS, _DOC, _HEAD, _ADMIN), _ALL)

RIGHTS: dict[Operation, dict[Role, Extent]] = {
    Operation.FIND: {**_EVERYONE_HERE, _OUTSIDE: _OWN},
    Operation.REGISTER: {_CLERK: _ALL, _NURSE: _ALL, _HEAD: _ALL},
    Operation.MERGE_PATIENTS: {_HEAD: _ALL, _ADMIN: _ALL},
    Operation.TRIAGE: {_NURSE: _ALL, _DOC: _OWN, _HEAD: _ALL},
    Operation.PROTOCOL: {_DOC: _ALL, _HEAD: _ALL},
    Operation.ATTEND: {_NURSE: _ALL, _TECH: _ALL, _HEAD: _ALL},
    Operation.PROCESS: {_PHYS: _ALL, _DOC: _ALL, _HEAD: _ALL},
    Operation.VIEW_IMAGES: {_TECH: _ALL, _PHYS: _ALL, _DOC: _ALL, _HEAD: _ALL, _OUTSIDE: _OWN},
    Operation.CONFIRM_CANDIDATE: {_TECH: _ALL, _PHYS: _ALL, _HEAD: _ALL, _ADMIN: _ALL},
    Operation.FILE: {_PHYS: _ALL, _HEAD: _ALL, _ADMIN: _ALL},
    Operation.WRITE_REPORT: {_DOC: _ALL, _HEAD: _ALL, _OUTSIDE: _OWN},
    Operation.SIGN_REPORT: {_DOC: _ALL, _HEAD: _ALL},
    Operation.OVERRIDE_REPORT: {_HEAD: _ALL},
    Operation.CONSULT: {_DOC: _ALL, _HEAD: _ALL, _OUTSIDE: _OWN},
    Operation.CONCLUDE_CONSULTATION: {_HEAD: _ALL},
    Operation.ADMINISTER: {_ADMIN: _ALL},
    Operation.READ_AUDIT: {_ADMIN: _ALL, _HEAD: _ALL},
}

# What each right is called in the manual and in a refusal.
OPERATION_TITLES: dict[Operation, str] = {
    Operation.FIND: "find and show patients, exams, image states",
    Operation.REGISTER: "register, edit, merge request, book, cancel",
    Operation.MERGE_PATIENTS: "merge and undo merge patients",
    Operation.TRIAGE: "triage, assign",
    Operation.PROTOCOL: "protocol, choose device",
    Operation.ATTEND: "arrive, inject, start, finish, not done",
    Operation.PROCESS: "process images, accept results",
    Operation.VIEW_IMAGES: "view images",
    Operation.CONFIRM_CANDIDATE: "file by confirming a candidate at the camera",
    Operation.FILE: "file, unfile, split, correct, undo",
    Operation.WRITE_REPORT: "open, write, preliminary",
    Operation.SIGN_REPORT: "sign, amend",
    Operation.OVERRIDE_REPORT: "withdraw a signed report, override a lock",
    Operation.CONSULT: "ask for consultation, give an opinion",
    Operation.CONCLUDE_CONSULTATION: "schedule and conclude consultation",
    Operation.ADMINISTER: "staff, devices, catalogue, stores",
    Operation.READ_AUDIT: "read the audit trail",
}


def extent(roles: frozenset[Role], operation: Operation) -> Extent | None:
    """How far `roles` together may go with `operation`; None when not at all."""
    granted = {RIGHTS[operation][role] for role in roles if role in RIGHTS[operation]}
    if Extent.ALL in granted:
        return Extent.ALL
    return Extent.OWN if granted else None
