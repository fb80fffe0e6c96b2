"""Devices, staff, the day's counts, news, and the service itself."""

from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, Field

from core.vocabulary import (
    JobState,
    Role,
)
from core.wire.shape import Number, Shape


class Device(Shape):
    aet: str
    host: str
    port: int
    modalities: list[str] = []
    aliases: list[str] = []
    pool: str = ""
    tls: bool = False
    charset: str = ""
    enabled: bool = True
    last_heard_at: AwareDatetime | None = None


class Staff(Shape):
    username: str
    full_name: str
    roles: list[Role]
    specialty: list[str] = []
    enabled: bool
    site: str


class Today(Shape):
    """What the status line says: counts of the signed-in person's site."""

    registered: int
    waiting: int
    on_camera: int
    read: int
    late: int
    unfiled: int
    conflicting: int
    quarantined: int
    consultations: int
    next_consultation_at: AwareDatetime | None = None
    to_read: int = 0  # of the person asking
    images_changed: int = 0  # reports of the person asking whose images changed
    to_accept: int = 0  # results of processing that wait for a person, and processing that failed


class Event(Shape):
    seq: int
    at: AwareDatetime
    kind: str
    subject: str
    data: dict[str, Any]
    site: str = ""


class AuditEntry(Shape):
    id: int
    at: AwareDatetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    hash: str


class Heard(Shape):
    """An AE title that called; `device` names the registered device it is."""

    aet: str
    host: str
    service: str
    at: AwareDatetime | None
    objects: int
    device: str | None = None


class Echoed(Shape):
    aet: str
    answered: bool


class Job(Shape):
    """A piece of work in the queue; `total` is 0 where nobody knows how much there is."""

    id: int
    kind: str
    lane: str
    state: JobState
    asked_by: str = ""
    done: int = 0
    total: int = 0
    attempts: int = 0
    error: str = ""
    result: dict[str, Any] = {}
    queued_at: AwareDatetime
    due_at: AwareDatetime
    finished_at: AwareDatetime | None = None
    site: str = ""


class FetchObjects(Shape):
    """What another node is to send us: an accession, a patient number, a Study UID, or KEY=VALUE words."""

    query: Annotated[list[Number], Field(min_length=1, max_length=32)]
    get: bool = False  # by C-GET, on the association that asks


class SendObjects(Shape):
    """What to send to another node, chosen by the same words; with `commit` it is asked to answer for it."""

    query: Annotated[list[Number], Field(min_length=1, max_length=32)]
    commit: bool = False


class Archive(Shape):
    """What the archive holds; `free_bytes` is None when its store does not say."""

    patients: int
    studies: int
    series: int
    images: int
    quarantined: int
    bytes: int
    free_bytes: int | None
    damaged: int = 0  # objects found missing or changed, and not mended


class AskProof(Shape):
    """Look at everything that was acknowledged again; `deep` reads every byte."""

    deep: bool = False


class Proof(Shape):
    """A verification of the archive; `ended_at` is None while it goes on, or where it was stopped."""

    id: int
    deep: bool
    by: str
    done: int
    of: int
    objects: int
    bytes: int
    faults: int
    audit_chain_broken_at: int | None
    started_at: AwareDatetime
    moved_at: AwareDatetime
    ended_at: AwareDatetime | None


class Damage(Shape):
    """An acknowledged object that is not as it was, with the exams and signed reports that depend on it."""

    sop_instance_uid: str
    study_instance_uid: str
    path: str
    fault: str
    found_at: AwareDatetime
    exams: list[str]
    reports: list[str]


class Part(Shape):
    """One part of the service and whether it works."""

    name: str
    ready: bool
    detail: str = ""


class ServiceFacts(Shape):
    parts: list[Part]
    archive: Archive
    heard: list[Heard]


class Problem(BaseModel):
    """RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
