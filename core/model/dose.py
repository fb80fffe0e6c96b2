"""Doses given: an administration belongs to the patient and serves one or more steps, across exams."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from core.model.columns import moment, site_code


class Administration(SQLModel, table=True):
    """A dose drawn, given and measured back. Activities are MBq at the time beside them."""

    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code()
    patient_id: int = Field(foreign_key="patient.id", index=True)
    radiopharmaceutical: str = ""
    route: str = "intravenous"
    planned_mbq: float | None = None
    drawn_mbq: float | None = None
    drawn_at: datetime | None = moment()
    drawn_by: str = ""
    injected_at: datetime | None = moment()
    injected_by: str = ""
    residual_mbq: float | None = None
    residual_at: datetime | None = moment()
    residual_by: str = ""
    vial: str = ""


class AdministrationStep(SQLModel, table=True):
    """Which steps an administration serves."""

    administration_id: int = Field(foreign_key="administration.id", primary_key=True)
    step_id: int = Field(foreign_key="step.id", primary_key=True, index=True)
