"""tiers of the archive."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import core.model.columns

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    _moves()
    _copies()


def _text(name: str, length: int | None = None) -> sa.Column[str]:
    return sa.Column(name, sqlmodel.sql.sqltypes.AutoString(length=length), nullable=False)


def _moves() -> None:
    op.create_table(
        "tiermove",
        sa.Column("id", sa.Integer(), nullable=False),
        _text("site", 16),
        _text("sop_uid", 64),
        _text("tier", 16),
        _text("codec", 16),
        _text("sha256", 64),
        sa.Column("size", sa.BigInteger(), nullable=False),
        _text("transfer_syntax", 64),
        _text("pixel_vr", 2),
        _text("became_sha256", 64),
        sa.Column("became_size", sa.BigInteger(), nullable=False),
        _text("became_syntax", 64),
        _text("left_store"),
        _text("left_path"),
        sa.Column("removed_at", core.model.columns.UtcTime(), nullable=True),
        sa.Column("moved_at", core.model.columns.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["site"], ["site.code"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_tiermove_object", "tiermove", ["site", "sop_uid"], unique=False)
    op.create_index("ix_tiermove_became", "tiermove", ["became_sha256"], unique=False)
    op.create_index("ix_tiermove_removed_at", "tiermove", ["removed_at"], unique=False)
    op.create_index("ix_tiermove_moved_at", "tiermove", ["moved_at"], unique=False)


def _copies() -> None:
    op.create_table(
        "backupcopy",
        sa.Column("id", sa.Integer(), nullable=False),
        _text("site", 16),
        _text("sop_uid", 64),
        _text("copy_uid", 64),
        sa.Column("lossless", sa.Boolean(), nullable=False),
        _text("transfer_syntax", 64),
        sa.Column("ratio", sa.Float(), nullable=False),
        sa.Column("psnr_db", sa.Float(), nullable=True),
        _text("source_sha256", 64),
        _text("store"),
        _text("path"),
        sa.Column("size", sa.BigInteger(), nullable=False),
        _text("sha256", 64),
        sa.Column("made_at", core.model.columns.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["site"], ["site.code"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_backupcopy_object", "backupcopy", ["site", "sop_uid"], unique=False)
    op.create_index("ix_backupcopy_made_at", "backupcopy", ["made_at"], unique=False)
