"""What was ordered: the catalogue, requests, exams and their steps."""

from datetime import datetime

from sqlmodel import Field, Index, SQLModel, UniqueConstraint

from core.model.columns import document, listing, maybe_listing, moment, site_code, when


class Procedure(SQLModel, table=True):
    """A catalogue entry; a site edits it.

    `steps` is a list of {"name", "after_minutes", "window_minutes", "duration_minutes", "expected_frames"};
    `checks` names what must be answered before injection and start. A `standing_device` with `standing_plan`
    protocols the exam at registration.
    """

    __table_args__ = (UniqueConstraint("site", "code"),)
    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code()
    code: str = Field(max_length=16)
    name: str = ""
    name_zh: str = ""
    modality: str = "NM"
    body_part: str = ""
    specialty: str = ""
    radiopharmaceutical: str = ""
    usual_activity_mbq: float | None = None
    uptake_minutes: int | None = None
    duration_minutes: int = 30
    steps: list[dict[str, object]] = listing()
    checks: list[str] = listing()
    evidence: str = "images"  # vocabulary.Evidence
    report_within_minutes: int = 24 * 60
    report_template: str = ""
    standing_device: str = ""
    standing_plan: str = ""
    processing: list[dict[str, object]] = listing()  # {"recipe", "parameters"}, done once the images are complete
    enabled: bool = True


class Request(SQLModel, table=True):
    """A referrer's order; it holds one or more exams."""

    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code()
    patient_id: int = Field(foreign_key="patient.id", index=True)
    visit_id: int = Field(foreign_key="visit.id", index=True)
    number: str = Field(default="", max_length=64, index=True)
    placer_number: str = Field(default="", max_length=64)
    referrer: str = ""
    from_department: str = ""
    complaint: str = ""
    diagnosis: str = ""
    lab: str = ""
    charge: str = "unpaid"  # vocabulary.Charge
    requested_at: datetime = when()


class Exam(SQLModel, table=True):
    """One requested procedure with one accession number. Its state is moved by `core.course` alone."""

    __table_args__ = (
        Index("ix_exam_accession", "site", "accession", unique=True),
        Index("ix_exam_queue", "site", "state", "urgency_rank", "queued_at", "id"),
        Index("ix_exam_assigned", "site", "assigned_to", "state", "urgency_rank", "queued_at", "id"),
        Index("ix_exam_listed", "site", "urgency_rank", "queued_at", "id"),
        Index("ix_exam_recent", "site", "registered_at", "id"),
    )
    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code(index=False)
    accession: str = Field(max_length=16)
    patient_id: int = Field(foreign_key="patient.id", index=True)
    visit_id: int = Field(foreign_key="visit.id", index=True)
    request_id: int = Field(foreign_key="request.id", index=True)
    procedure: str = Field(max_length=16)  # Procedure.code
    modality: str = "NM"
    evidence: str = "images"  # vocabulary.Evidence
    urgency: str = "routine"  # vocabulary.Urgency
    urgency_rank: int = 2
    state: str = "registered"  # vocabulary.ExamState
    registered_at: datetime = when()
    booked_at: datetime | None = moment()
    arrived_at: datetime | None = moment()
    queued_at: datetime = when()  # arrival, else booking, else registration
    assigned_to: str | None = Field(default=None, max_length=64)  # Staff.username
    assigned_at: datetime | None = moment()
    protocolled_by: str | None = None
    protocolled_at: datetime | None = moment()
    plan: str = ""
    processing: list[dict[str, object]] | None = maybe_listing()  # as the protocol says it; None: as the catalogue does
    device: str | None = Field(default=None, max_length=16)  # AE title or pool
    study_instance_uid: str = Field(max_length=64, unique=True)
    images_state: str = "none"  # vocabulary.ImagesState without OVERDUE, which is a matter of the clock
    images_received: int = 0
    images_expected: int | None = None
    images_unit: str = "instances"
    images_uncounted: int = 0  # derived, repeated, Secondary Capture, SR
    first_image_at: datetime | None = moment()
    last_image_at: datetime | None = moment()
    images_due_at: datetime | None = moment(index=True)
    report_due_at: datetime | None = moment(index=True)
    closed_at: datetime | None = moment()
    closed_reason: str = ""


class Step(SQLModel, table=True):
    """A Scheduled Procedure Step of an exam."""

    __table_args__ = (Index("ix_step_worklist", "state", "planned_at"),)
    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code()
    exam_id: int = Field(foreign_key="exam.id", index=True)
    sps_id: str = Field(max_length=16, index=True)
    position: int = 0
    name: str = ""
    state: str = "scheduled"  # vocabulary.StepState
    devices: list[str] = listing()  # AE titles or one pool's name
    planned_at: datetime | None = moment()
    window_minutes: int | None = None
    expected_frames: int | None = None
    arrived_at: datetime | None = moment()
    injected_at: datetime | None = moment()
    started_at: datetime | None = moment()
    finished_at: datetime | None = moment()
    started_by: str = ""
    reason: str = ""  # why discontinued or not done
    added_at: datetime | None = moment()  # of a step added after registration


class Check(SQLModel, table=True):
    """One of the procedure's checks for an exam, answered or overridden by a person with a reason."""

    __table_args__ = (UniqueConstraint("exam_id", "name"),)
    id: int | None = Field(default=None, primary_key=True)
    exam_id: int = Field(foreign_key="exam.id", index=True)
    name: str = Field(max_length=32)
    answer: str = ""
    note: str = ""
    overridden: bool = False
    by: str = ""
    at: datetime | None = moment()


class PerformedStep(SQLModel, table=True):
    """An MPPS instance as the camera reported it (PS3.4 F.7)."""

    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code()
    sop_uid: str = Field(max_length=64, unique=True)
    aet: str = Field(default="", max_length=16)
    status: str = "IN PROGRESS"
    study_instance_uid: str = Field(default="", max_length=64, index=True)
    accession: str = Field(default="", max_length=64)
    patient_number: str = Field(default="", max_length=64)
    sps_ids: list[str] = listing()
    exam_id: int | None = Field(default=None, foreign_key="exam.id", index=True)
    step_id: int | None = Field(default=None, foreign_key="step.id", index=True)
    attributes: dict[str, object] = document()  # DICOM JSON model of everything sent
    created_at: datetime = when()
    changed_at: datetime = when()
