"""The registered patient, the numbers they go by, and how they came.

A merge points to the survivor and rewrites no rows.
"""

from datetime import date, datetime

from sqlmodel import Field, Index, SQLModel

from core.model.columns import listing, moment, site_code, when


class Patient(SQLModel, table=True):
    """A person registered in this department. `number` is the primary identifier's value as written."""

    __table_args__ = (Index("ix_patient_site_number", "site", "number", unique=True),)
    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code()
    number: str = Field(max_length=64, index=True)
    name: str = Field(default="", max_length=200)  # DICOM PN, alphabetic group: Zhang^Wei
    name_ideographic: str = Field(default="", max_length=200)  # DICOM PN, ideographic group
    birth_date: date | None = Field(default=None, index=True)
    birth_date_known: str = "exact"  # vocabulary.BirthDateKnown
    sex: str = ""  # M, F, O or empty
    phone: str = Field(default="", max_length=64)
    address: str = ""
    allergies: str = ""
    alerts: str = ""
    identity: str = "known"  # vocabulary.Identity
    merged_into: int | None = Field(default=None, foreign_key="patient.id", index=True)
    same_name: str = Field(default="", max_length=200, index=True)  # naming.same_name_key
    registered_at: datetime = when(index=True)
    changed_at: datetime = when()


class Identifier(SQLModel, table=True):
    """One number a patient goes by, as written and normalised."""

    __table_args__ = (Index("ix_identifier_value", "site", "normalised"),)
    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code()
    patient_id: int = Field(foreign_key="patient.id", index=True)
    kind: str = "hospital"  # vocabulary.IdentifierKind
    issuer: str = ""
    value: str = Field(max_length=64)
    normalised: str = Field(max_length=64)
    primary: bool = False


class PatientTerm(SQLModel, table=True):
    """A normalised word a patient is found by, matched by prefix: name, pinyin, initials, number, phone, birth date."""

    __table_args__ = (Index("ix_patientterm_term", "term", "patient_id"),)
    id: int | None = Field(default=None, primary_key=True)
    patient_id: int = Field(foreign_key="patient.id", index=True)
    term: str = Field(max_length=128)


class PatientMerge(SQLModel, table=True):
    """A merge of two patients, kept so that it can be undone."""

    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code()
    merged: int = Field(foreign_key="patient.id", index=True)
    survivor: int = Field(foreign_key="patient.id", index=True)
    reason: str = ""
    by: str = ""
    at: datetime = when()
    undone_at: datetime | None = moment()
    undone_by: str = ""


class Visit(SQLModel, table=True):
    """How a patient comes this time, with what was true of them then."""

    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code()
    patient_id: int = Field(foreign_key="patient.id", index=True)
    kind: str = "outpatient"  # vocabulary.VisitKind
    number: str = Field(default="", max_length=64)
    ward: str = ""
    bed: str = ""
    from_department: str = ""
    weight_kg: float | None = None
    height_cm: float | None = None
    infection: str = ""
    pregnancy: str = ""  # not_pregnant, possibly, pregnant, unknown or empty
    special_needs: list[str] = listing()
    at: datetime = when(index=True)
