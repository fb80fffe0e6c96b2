"""What is made of an exam's images: asked for by the catalogue, a protocol or a person, made by a job, decided on."""

from datetime import datetime

from sqlmodel import Field, Index, SQLModel

from core.model.columns import document, listing, moment, site_code, when


class Processing(SQLModel, table=True):
    """One processing. What a job made of it lies in the folder of its number until it is accepted or discarded.

    `due` is what the catalogue or a protocol names: the exam is not ready before it is decided on. `job_id` is no
    foreign key, for finished jobs are pruned.
    """

    __table_args__ = (Index("ix_processing_state", "site", "state", "id"),)
    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code(index=False)
    exam_id: int = Field(foreign_key="exam.id", index=True)
    recipe: str = Field(max_length=16)  # vocabulary.Recipe
    position: int = 0  # among those the exam asks for: the next waits for this one
    due: bool = False
    parameters: dict[str, object] = document()
    inputs: list[str] = listing()  # SOP Instance UIDs
    over: list[str] = listing()  # of the other image
    state: str = Field(default="waiting", max_length=16)  # vocabulary.ProcessingState
    job_id: int | None = Field(default=None, index=True)
    done: int = 0
    total: int = 0
    error: str = ""
    warnings: list[str] = listing()
    said: list[str] = listing()
    stages: list[dict[str, object]] = listing()
    results: list[str] = listing()  # SOP Instance UIDs
    numbers: dict[str, object] = document()
    version: str = Field(default="", max_length=64)
    asked_by: str = ""
    asked_at: datetime = when()
    made_at: datetime | None = moment()
    decided_by: str = ""
    decided_at: datetime | None = moment()
    replaces: int | None = Field(default=None, foreign_key="processing.id", index=True)
