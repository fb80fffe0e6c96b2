"""Work to be done: enqueued in the transaction of what it follows, claimed with a lease; and what is sent out by it."""

from datetime import datetime

from sqlmodel import Field, SQLModel, UniqueConstraint

from core.model.columns import document, moment, site_code, when


class Job(SQLModel, table=True):
    """One piece of work. Jobs of one `lane` run one after the other; those without a lane beside everything."""

    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code()
    kind: str = Field(max_length=32, index=True)
    lane: str = Field(default="", max_length=64)
    state: str = Field(default="queued", max_length=16, index=True)  # vocabulary.JobState
    asked_by: str = ""
    arguments: dict[str, object] = document()
    result: dict[str, object] = document()
    done: int = 0
    total: int = 0  # 0: not known
    attempts: int = 0
    attempts_allowed: int = 1
    error: str = ""
    queued_at: datetime = when()
    due_at: datetime = when(index=True)
    claimed_by: str = ""
    claimed_until: datetime | None = moment()
    finished_at: datetime | None = moment()


class Delivery(SQLModel, table=True):
    """One object on its way to another node: what the node said to it, and whether it answers for it."""

    __table_args__ = (UniqueConstraint("job_id", "sop_uid"),)
    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code()
    job_id: int = Field(foreign_key="job.id")
    aet: str = Field(max_length=16)
    sop_uid: str = Field(max_length=64, index=True)
    state: str = Field(default="waiting", max_length=16)  # vocabulary.DeliveryState
    status: int | None = None  # of the C-STORE, or the failure reason of a commitment
    comment: str = Field(default="", max_length=64)
    sent_at: datetime | None = moment()
    transaction_uid: str = Field(default="", max_length=64, index=True)  # of the commitment asked for
