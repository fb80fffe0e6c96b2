"""Patients and exams as they are shown, and the catalogue."""

from datetime import date
from typing import Annotated, Any

from pydantic import AwareDatetime, Field, StringConstraints

from core.vocabulary import (
    BirthDateKnown,
    Charge,
    Evidence,
    ExamState,
    IdentifierKind,
    Identity,
    ImagesState,
    LockReason,
    ReportState,
    StepState,
    Urgency,
    VisitKind,
)
from core.wire.processing import AskedProcessing
from core.wire.shape import Long, Megabecquerels, Shape, Short


class Identifier(Shape):
    kind: IdentifierKind
    value: str  # a national id is masked
    issuer: str = ""
    primary: bool = False


class Visit(Shape):
    id: int
    kind: VisitKind
    number: str = ""
    ward: str = ""
    bed: str = ""
    from_department: str = ""
    weight_kg: float | None = None
    height_cm: float | None = None
    infection: str = ""
    pregnancy: str = ""
    at: AwareDatetime


class Patient(Shape):
    number: str
    name: str
    name_ideographic: str
    birth_date: date | None
    birth_date_known: BirthDateKnown = BirthDateKnown.EXACT
    sex: str
    phone: str
    address: str = ""
    allergies: str = ""
    alerts: str = ""
    identity: Identity = Identity.KNOWN
    identifiers: list[Identifier] = []
    merged_into: str | None = None
    same_name_today: bool = False
    last_visit_at: AwareDatetime | None = None
    last_procedure: str = ""
    visits: list[Visit] = []
    exams: list[str] = []
    site: str = ""


class Step(Shape):
    id: int
    sps_id: str = ""
    name: str
    state: StepState
    devices: list[str]
    planned_at: AwareDatetime | None
    window_minutes: int | None = None
    arrived_at: AwareDatetime | None
    injected_at: AwareDatetime | None
    started_at: AwareDatetime | None
    finished_at: AwareDatetime | None
    images: int
    expected: int | None = None
    reason: str = ""


class Check(Shape):
    name: str
    answer: str
    note: str = ""
    overridden: bool = False
    by: str = ""
    at: AwareDatetime | None = None


class Images(Shape):
    state: ImagesState
    received: int
    expected: int | None
    unit: str  # frames or instances
    uncounted: int = 0
    first_at: AwareDatetime | None
    last_at: AwareDatetime | None
    due_at: AwareDatetime | None


class ExamReport(Shape):
    state: ReportState | None
    version: int
    locked: bool
    lock_reason: LockReason | None
    holder: str | None
    held_since: AwareDatetime | None = None
    due_at: AwareDatetime | None
    images_changed: bool = False


class Administration(Shape):
    id: int
    radiopharmaceutical: str
    planned_mbq: float | None
    drawn_mbq: float | None
    drawn_at: AwareDatetime | None
    injected_at: AwareDatetime | None
    residual_mbq: float | None
    residual_at: AwareDatetime | None
    injected_by: str = ""
    steps: list[int] = []


class Exam(Shape):
    id: int
    accession: str
    patient_number: str
    patient_name: str
    patient_name_ideographic: str = ""
    patient_birth_date: date | None = None
    patient_sex: str = ""
    same_name_today: bool = False
    request_number: str
    procedure: str
    procedure_name: str = ""
    modality: str = "NM"
    visit: VisitKind
    urgency: Urgency
    state: ExamState
    registered_at: AwareDatetime
    booked_at: AwareDatetime | None = None
    arrived_at: AwareDatetime | None = None
    assigned_to: str | None
    protocolled_by: str | None = None
    plan: str = ""
    device: str | None
    study_instance_uid: str
    studies: list[str]
    evidence: str
    charge: Charge
    complaint: str = ""
    diagnosis: str = ""
    lab: str = ""
    from_department: str = ""
    referrer: str = ""
    weight_kg: float | None = None
    height_cm: float | None = None
    infection: str = ""
    steps: list[Step]
    checks: list[Check] = []
    doses: list[Administration] = []
    images: Images
    report: ExamReport
    priors: int = 0
    closed_reason: str = ""
    site: str


class ExamsWanted(Shape):
    """Which exams a list shows, in which order, and which window of it."""

    state: list[ExamState] = []
    assigned_to: Short | None = None  # a user name, or "me"
    date: Short | None = None  # "today" or YYYY-MM-DD
    late: bool = False
    device: Short | None = None
    query: Short | None = None
    patient: Short | None = None
    order: Short = "queue"
    offset: Annotated[int, Field(ge=0, le=100_000_000)] = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 50


class ExamPage(Shape):
    """A window of a list: `total` counts all that match, `items` start at `offset`."""

    total: int
    offset: int
    items: list[Exam]


class Proposal(Shape):
    """A doctor proposed for an exam, with the reasons."""

    username: str
    full_name: str
    load: int
    score: float
    reasons: list[str]


class Procedure(Shape):
    code: str
    name: str
    name_zh: str = ""
    modality: str
    body_part: str = ""
    specialty: str = ""
    radiopharmaceutical: str = ""
    usual_activity_mbq: float | None = None
    uptake_minutes: int | None = None
    duration_minutes: int
    steps: list[dict[str, Any]]
    checks: list[str]
    evidence: str
    report_within_minutes: int
    report_template: str = ""
    standing_device: str = ""
    standing_plan: str = ""
    processing: list[AskedProcessing] = []


class CatalogueStep(Shape):
    name: Short
    after_minutes: Annotated[int, Field(ge=0, lt=100_000)] = 0
    window_minutes: Annotated[int, Field(ge=0, lt=100_000)] | None = None
    duration_minutes: Annotated[int, Field(gt=0, lt=10_000)] = 30
    expected_frames: Annotated[int, Field(ge=0, lt=1_000_000)] | None = None
    dose: Annotated[int, Field(gt=0, lt=100)] = 1  # steps of one number share an administration


class ProcedureChange(Shape):
    """Fields of a catalogue entry to change; those left None stay."""

    name: Short | None = None
    name_zh: Short | None = None
    modality: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2,16}$")] | None = None
    body_part: Short | None = None
    specialty: Short | None = None
    radiopharmaceutical: Short | None = None
    usual_activity_mbq: Megabecquerels | None = None
    uptake_minutes: Annotated[int, Field(ge=0, lt=100_000)] | None = None
    duration_minutes: Annotated[int, Field(gt=0, lt=10_000)] | None = None
    steps: Annotated[list[CatalogueStep], Field(min_length=1, max_length=50)] | None = None
    checks: list[Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,32}$")]] | None = None
    evidence: Evidence | None = None
    report_within_minutes: Annotated[int, Field(gt=0, lt=1_000_000)] | None = None
    report_template: Short | None = None
    standing_device: Annotated[str, StringConstraints(strip_whitespace=True, max_length=16)] | None = None
    standing_plan: Long | None = None
    processing: Annotated[list[AskedProcessing], Field(max_length=16)] | None = None
    enabled: bool | None = None
