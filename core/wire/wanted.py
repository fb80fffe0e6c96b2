"""Patients and exams as they are asked for: registered, triaged, protocolled, attended, listed."""

from datetime import date
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from core.vocabulary import (
    BirthDateKnown,
    Charge,
    IdentifierKind,
    Identity,
    Urgency,
    VisitKind,
)
from core.wire.processing import AskedProcessing
from core.wire.shape import AeTitle, Centimetres, Kilograms, Long, Megabecquerels, Number, Sex, Shape, Short


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
    processing: Annotated[list[AskedProcessing], Field(max_length=16)] | None = None


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
