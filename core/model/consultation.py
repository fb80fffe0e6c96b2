"""Cases put before colleagues: a question, a time, opinions by name, a conclusion."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from core.model.columns import moment, site_code, when


class Consultation(SQLModel, table=True):
    """One case for consultation."""

    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code()
    exam_id: int = Field(foreign_key="exam.id", index=True)
    question: str = ""
    state: str = Field(default="requested", index=True)  # vocabulary.ConsultationState
    requested_by: str = ""
    requested_at: datetime = when()
    scheduled_at: datetime | None = moment()
    scheduled_by: str = ""
    conclusion: str = ""
    concluded_by: str = ""
    concluded_at: datetime | None = moment()


class Opinion(SQLModel, table=True):
    """What one person said; a second opinion of the same person is a second row."""

    id: int | None = Field(default=None, primary_key=True)
    consultation_id: int = Field(foreign_key="consultation.id", index=True)
    by: str = ""
    at: datetime = when()
    text: str = ""
