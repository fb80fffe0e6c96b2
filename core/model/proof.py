"""Proofs of the archive: how far a verification has come, and what is not as it was acknowledged."""

from datetime import datetime

from sqlmodel import BigInteger, Field, Index, SQLModel

from core.model.columns import moment, site_code, when


class Proof(SQLModel, table=True):
    """One verification of the archive; `stage` and `after` let it be taken up where it stopped."""

    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code()
    deep: bool = False
    by: str = Field(default="", max_length=96)
    stage: str = Field(default="images", max_length=16)  # proof.Stage
    after: int = 0  # the last row of the stage that was looked at
    done: int = 0  # rows looked at, of those there were
    of: int = 0
    objects: int = 0
    bytes: int = Field(default=0, sa_type=BigInteger)
    faults: int = 0
    audit_broken_at: int | None = None  # the entry where the audit chain breaks
    started_at: datetime = when()
    moved_at: datetime = when()
    ended_at: datetime | None = moment()


class Damage(SQLModel, table=True):
    """An acknowledged object found missing, cut short or changed; open until it is found whole again."""

    __table_args__ = (Index("ix_damage_object", "site", "sop_uid"),)
    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code(index=False)
    proof_id: int = Field(foreign_key="proof.id", index=True)  # the last verification that saw it
    sop_uid: str = Field(max_length=64)
    store: str = ""
    path: str = ""
    fault: str = ""
    found_at: datetime = when()
    mended_at: datetime | None = moment(index=True)
