"""Cases before colleagues."""

from typing import Annotated

from pydantic import AwareDatetime, StringConstraints

from core.vocabulary import (
    ConsultationState,
)
from core.wire.shape import Long, Number, Shape


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
