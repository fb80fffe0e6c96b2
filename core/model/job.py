"""Work to be done: enqueued in the transaction of what it follows, claimed with a lease."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from core.model.columns import document, moment, site_code, when


class Job(SQLModel, table=True):
    """One piece of work."""

    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code()
    kind: str = Field(max_length=32, index=True)
    state: str = Field(default="queued", max_length=16, index=True)  # vocabulary.JobState
    arguments: dict[str, object] = document()
    result: dict[str, object] = document()
    progress: float = 0.0
    attempts: int = 0
    error: str = ""
    queued_at: datetime = when()
    due_at: datetime = when(index=True)
    claimed_by: str = ""
    claimed_until: datetime | None = moment()
    finished_at: datetime | None = moment()
