"""what was repaired and converted."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import core.model.columns

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_text = sqlmodel.sql.sqltypes.AutoString


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "conversion",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("site", _text(length=16), nullable=False),
        sa.Column("sop_uid", _text(length=64), nullable=False),
        sa.Column("kind", _text(length=16), nullable=False),
        sa.Column("repairs", sa.JSON(), nullable=False),
        sa.Column("charset_said", _text(), nullable=False),
        sa.Column("charset", _text(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=False),
        sa.Column("store", _text(), nullable=False),
        sa.Column("original_path", _text(), nullable=False),
        sa.Column("original_size", sa.Integer(), nullable=False),
        sa.Column("original_sha256", _text(length=64), nullable=False),
        sa.Column("standard_path", _text(), nullable=False),
        sa.Column("standard_size", sa.Integer(), nullable=False),
        sa.Column("standard_sha256", _text(length=64), nullable=False),
        sa.Column("standard_syntax", _text(length=64), nullable=False),
        sa.Column("at", core.model.columns.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["site"], ["site.code"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("site", "sop_uid"),
    )
    for column in ("sop_uid", "original_sha256"):
        op.create_index(op.f(f"ix_conversion_{column}"), "conversion", [column])
    op.create_table(
        "examination",
        sa.Column("store", _text(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("store"),
    )
