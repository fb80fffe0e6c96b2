"""Where objects went when they grew old: their moves between tiers, and the second copies kept elsewhere.

Both outlive the image rows: a receipt names bytes, and a move says which bytes hold them now.
"""

from datetime import datetime

from sqlmodel import BigInteger, Field, Index, SQLModel

from core.model.columns import moment, site_code, when


class TierMove(SQLModel, table=True):
    """An object written anew on another tier: the file it was, the file it became, proven to be the same object."""

    __table_args__ = (Index("ix_tiermove_object", "site", "sop_uid"), Index("ix_tiermove_became", "became_sha256"))
    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code(index=False)
    sop_uid: str = Field(max_length=64)
    tier: str = Field(max_length=16)  # vocabulary.Tier, where it went
    codec: str = Field(default="", max_length=16)  # empty: as it was
    sha256: str = Field(max_length=64)
    size: int = Field(default=0, sa_type=BigInteger)
    transfer_syntax: str = Field(max_length=64)
    pixel_vr: str = Field(default="", max_length=2)  # of native pixels of one byte, for the way back
    became_sha256: str = Field(max_length=64)
    became_size: int = Field(default=0, sa_type=BigInteger)
    became_syntax: str = Field(max_length=64)
    left_store: str = ""
    left_path: str = ""  # the file that was left, to be removed
    removed_at: datetime | None = moment(index=True)
    moved_at: datetime = when(index=True)


class BackupCopy(SQLModel, table=True):
    """A second copy of an object, kept elsewhere; a lossy one is another object with a UID of its own."""

    __table_args__ = (Index("ix_backupcopy_object", "site", "sop_uid"),)
    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code(index=False)
    sop_uid: str = Field(max_length=64)
    copy_uid: str = Field(max_length=64)
    lossless: bool = True
    transfer_syntax: str = Field(max_length=64)
    ratio: float = 1.0  # bytes of the pixels as they were over bytes of the copy's
    psnr_db: float | None = None
    source_sha256: str = Field(max_length=64)
    store: str = ""
    path: str = ""
    size: int = Field(default=0, sa_type=BigInteger)
    sha256: str = Field(max_length=64)
    made_at: datetime = when(index=True)
