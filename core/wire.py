"""The shapes that travel between the service and the console, and in `--json`.

Pydantic only. What comes in is validated here before anything is stored; nothing else crosses HTTP.
"""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from core.vocabulary import (
    BirthDateKnown,
    Charge,
    ConsultationState,
    Evidence,
    ExamState,
    IdentifierKind,
    Identity,
    ImagesState,
    LockReason,
    ReportState,
    Role,
    StepState,
    Urgency,
    VisitKind,
)

Short = Annotated[str, StringConstraints(strip_whitespace=True, max_length=64)]
Long = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000)]
Number = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
AeTitle = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=16, pattern=r"^[\x20-\x5b\x5d-\x7e]+$")
]
Sex = Annotated[str, StringConstraints(pattern=r"^[MFO]?$")]
Kilograms = Annotated[float, Field(gt=0, lt=700)]
Centimetres = Annotated[float, Field(gt=0, lt=300)]
Fence = Annotated[int, Field(ge=0, lt=2**63)]
Megabecquerels = Annotated[float, Field(ge=0, lt=100_000)]


class Shape(BaseModel):
    """Any shape: unknown keys are refused, so that a misspelt one is told."""

    model_config = ConfigDict(extra="forbid")


# -- signing in ------------------------------------------------------------------------------------------------------


class Login(Shape):
    username: str = Field(max_length=64)
    password: str = Field(max_length=1024)


class Me(Shape):
    username: str
    full_name: str
    roles: list[Role]
    site: str
    site_name: str = ""
    expires_at: AwareDatetime | None = None


class Token(Me):
    token: str


class Password(Shape):
    password: str = Field(max_length=1024)


# -- patients and exams: in ------------------------------------------------------------------------------------------


class NewIdentifier(Shape):
    kind: IdentifierKind = IdentifierKind.HOSPITAL
    value: Number
    issuer: Short = ""


class NewPatient(Shape):
    """A patient to register. `name` is DICOM PN (Zhang^Wei=张^伟), or plain text such as 张伟."""

    number: Short | None = None
    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = ""
    birth_date: date | None = None
    birth_date_known: BirthDateKnown | None = None
    sex: Sex = ""
    phone: Short = ""
    address: Long = ""
    national_id: Short = ""
    allergies: Long = ""
    alerts: Long = ""
    identity: Identity = Identity.KNOWN
    identifiers: list[NewIdentifier] = []
    accept_similar: bool = False  # register although similar patients exist


class PatientChange(Shape):
    """Fields to change; those left None stay."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] | None = None
    birth_date: date | None = None
    birth_date_known: BirthDateKnown | None = None
    sex: Sex | None = None
    phone: Short | None = None
    address: Long | None = None
    national_id: Short | None = None
    allergies: Long | None = None
    alerts: Long | None = None
    identity: Identity | None = None
    identifiers: list[NewIdentifier] | None = None  # added to those there are
    reason: Long = ""


class Merge(Shape):
    into: Number
    reason: Long = ""


class NewExam(Shape):
    """An exam to register, with the visit and request it comes by; `patient` is left out in a Registration."""

    patient: Number = ""
    procedure: Short
    visit: VisitKind = VisitKind.OUTPATIENT
    visit_number: Short = ""
    ward: Short = ""
    bed: Short = ""
    urgency: Urgency = Urgency.ROUTINE
    accession: Annotated[str, StringConstraints(strip_whitespace=True, max_length=16)] | None = None
    request_number: Short | None = None
    placer_number: Short = ""
    referrer: Short = ""
    from_department: Short = ""
    complaint: Long = ""
    diagnosis: Long = ""
    lab: Long = ""
    weight_kg: Kilograms | None = None
    height_cm: Centimetres | None = None
    infection: Short = ""
    pregnancy: Short = ""
    charge: Charge = Charge.UNPAID
    booked_at: AwareDatetime | None = None
    arrived: bool | None = None  # None: arrived unless booked for later


class Registration(Shape):
    """Patient, visit and exam in one form; `patient` of the exam is filled from the patient made."""

    patient: NewPatient
    exam: NewExam


class Triage(Shape):
    urgency: Urgency


class Assign(Shape):
    to: Short | None = None  # None takes the proposal; "" takes the assignment back


class NewStep(Shape):
    name: Short = ""
    devices: list[AeTitle] = []
    planned_at: AwareDatetime | None = None
    expected_frames: Annotated[int, Field(ge=0, lt=1_000_000)] | None = None


class ProtocolExam(Shape):
    """The acquisition plan: a device or pool, a time, and the steps where they differ from the catalogue's."""

    device: AeTitle | None = None
    plan: Long = ""
    at: AwareDatetime | None = None
    steps: list[NewStep] | None = None


class AnswerCheck(Shape):
    name: Short
    answer: Short = ""
    note: Long = ""
    override: bool = False  # go on without an answer, for the reason in `note`


class StepAct(Shape):
    """Arrive, start, finish, discontinue, not-done: of one step, or of the next that it fits when `step` is None."""

    step: int | None = None
    at: AwareDatetime | None = None
    reason: Long = ""
    confirm: list[Short] = []  # identifiers read out by the patient: at least two at injection and start from a screen


class CloseExam(Shape):
    reason: Long = ""


class Dose(Shape):
    """A dose drawn, injected or measured back, in MBq at `at`."""

    mbq: Megabecquerels | None = None
    at: AwareDatetime | None = None
    radiopharmaceutical: Short = ""
    route: Short = "intravenous"
    vial: Short = ""
    steps: list[int] = []
    confirm: list[Short] = []


# -- patients and exams: out -----------------------------------------------------------------------------------------


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
    enabled: bool | None = None


# -- images and filing -----------------------------------------------------------------------------------------------


class Candidate(Shape):
    accession: str
    score: float
    reasons: list[str]
    patient_number: str = ""
    patient_name: str = ""
    birth_date: date | None = None
    sex: str = ""
    procedure: str = ""
    state: ExamState | None = None
    differs: list[str] = []  # fields that differ from what was sent


class Unfiled(Shape):
    """A batch that found no exam, contradicts one, or sits on a QC shelf; as sent."""

    id: int
    study_instance_uid: str
    patient_number: str
    patient_name: str
    birth_date: str = ""
    sex: str = ""
    accession: str
    modality: str = ""
    description: str = ""
    aet: str = ""
    from_worklist: bool = False
    series: list[str] = []
    received: int
    first_at: AwareDatetime
    last_at: AwareDatetime
    state: str
    contradicts: str | None = None  # accession of the exam it contradicts
    reasons: list[str]
    candidates: list[Candidate] = []


class FileBatch(Shape):
    accession: Number
    series: Short | None = None  # only this series of the batch
    step: int | None = None
    reason: Long = ""


class Unfile(Shape):
    study_instance_uid: Short
    accession: Number | None = None
    reason: Long = ""


class Undo(Shape):
    reason: Long = ""


class Correction(Shape):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    id: int
    kind: str
    study_instance_uid: str
    from_: dict[str, Any] = Field(alias="from")
    to: dict[str, Any]
    reason: str
    by: str
    at: AwareDatetime
    undone_at: AwareDatetime | None


class Quarantined(Shape):
    id: int
    sop_instance_uid: str
    study_instance_uid: str
    aet: str
    reason: str
    size: int
    received_at: AwareDatetime


class Series(Shape):
    """A series as the viewer lists it."""

    uid: str
    study_instance_uid: str
    modality: str
    number: int | None
    description: str
    date: str = ""
    step: str = ""
    counted: bool = True
    instances: list[dict[str, Any]]  # {"uid", "number", "frames", "image_type", "counted", "acquired_at"}
    sent_patient_number: str = ""
    sent_patient_name: str = ""
    sent_birth_date: str = ""
    sent_sex: str = ""


class Look(Shape):
    """How to draw a stored object: cells, first frame (from 0) and how many in the grid, window, colours, zoom."""

    rows: Annotated[int, Field(ge=1, le=1000)] = 24
    columns: Annotated[int, Field(ge=1, le=2000)] = 80
    frame: Annotated[int, Field(ge=0)] = 0
    grid: Annotated[int, Field(ge=1, le=400)] = 1
    lower: Annotated[float, Field(allow_inf_nan=False)] | None = None
    upper: Annotated[float, Field(allow_inf_nan=False)] | None = None
    auto: Literal["own", "robust", "maximum", "range"] = "own"  # without a window; own: the object says (not NM)
    map: Short = "gray"
    invert: bool = False
    smooth: bool = True
    zoom: Annotated[float, Field(ge=1, le=64)] = 1.0
    centre_row: Annotated[float, Field(ge=0, le=1)] = 0.5
    centre_column: Annotated[float, Field(ge=0, le=1)] = 0.5


# -- reports ---------------------------------------------------------------------------------------------------------


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
    consultations: list["Consultation"] = []
    rejected: int = 0  # texts kept from refused writes


# -- consultation ----------------------------------------------------------------------------------------------------


class AskConsultation(Shape):
    accession: Number
    question: Long


class ScheduleConsultation(Shape):
    at: AwareDatetime


class Say(Shape):
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]


class Opinion(Shape):
    by: str
    at: AwareDatetime
    text: str


class Consultation(Shape):
    id: int
    accession: str
    patient_number: str = ""
    patient_name: str = ""
    procedure: str = ""
    question: str
    state: ConsultationState
    requested_by: str = ""
    requested_at: AwareDatetime | None = None
    scheduled_at: AwareDatetime | None
    opinions: list[Opinion]
    conclusion: str
    concluded_by: str = ""
    concluded_at: AwareDatetime | None = None


# -- service ---------------------------------------------------------------------------------------------------------


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


class Archive(Shape):
    """What the archive holds; `free_bytes` is None when its store does not say."""

    patients: int
    studies: int
    series: int
    images: int
    quarantined: int
    bytes: int
    free_bytes: int | None


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


def local(at: datetime) -> datetime:
    """Return the moment in this machine's own zone, for RFC 3339 with offset."""
    return at.astimezone()
