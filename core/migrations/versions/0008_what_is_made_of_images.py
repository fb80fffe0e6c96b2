"""what is made of images."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import core.model.columns

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    op.add_column("procedure", sa.Column("processing", sa.JSON(), server_default="[]", nullable=False))
    op.add_column("exam", sa.Column("processing", sa.JSON(none_as_null=True), nullable=True))
    _processing()


def _text(name: str, length: int | None = None) -> sa.Column[str]:
    return sa.Column(name, sqlmodel.sql.sqltypes.AutoString(length=length), nullable=False)


def _json(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON(), nullable=False)


def _processing() -> None:
    op.create_table(
        "processing",
        sa.Column("id", sa.Integer(), nullable=False),
        _text("site", 16),
        sa.Column("exam_id", sa.Integer(), nullable=False),
        _text("recipe", 16),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("due", sa.Boolean(), nullable=False),
        _json("parameters"),
        _json("inputs"),
        _json("over"),
        _text("state", 16),
        sa.Column("job_id", sa.Integer(), nullable=True),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        _text("error"),
        _json("warnings"),
        _json("said"),
        _json("stages"),
        _json("results"),
        _json("numbers"),
        _text("version", 64),
        _text("asked_by"),
        sa.Column("asked_at", core.model.columns.UtcTime(), nullable=False),
        sa.Column("made_at", core.model.columns.UtcTime(), nullable=True),
        _text("decided_by"),
        sa.Column("decided_at", core.model.columns.UtcTime(), nullable=True),
        sa.Column("replaces", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["site"], ["site.code"]),
        sa.ForeignKeyConstraint(["exam_id"], ["exam.id"]),
        sa.ForeignKeyConstraint(["replaces"], ["processing.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_processing_state", "processing", ["site", "state", "id"], unique=False)
    for column in ("exam_id", "job_id", "replaces"):
        op.create_index(f"ix_processing_{column}", "processing", [column], unique=False)
