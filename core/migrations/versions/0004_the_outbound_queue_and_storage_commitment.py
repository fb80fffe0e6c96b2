"""the outbound queue and storage commitment."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import core.model.columns

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_text = sqlmodel.sql.sqltypes.AutoString


def upgrade() -> None:
    """Apply the change."""
    with op.batch_alter_table("job", schema=None) as job:
        job.drop_column("progress")
        job.add_column(sa.Column("lane", _text(length=64), nullable=False, server_default=""))
        job.add_column(sa.Column("asked_by", _text(), nullable=False, server_default=""))
        for counter, begins in (("done", "0"), ("total", "0"), ("attempts_allowed", "1")):
            job.add_column(sa.Column(counter, sa.Integer(), nullable=False, server_default=begins))
    op.create_table(
        "delivery",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("site", _text(length=16), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("aet", _text(length=16), nullable=False),
        sa.Column("sop_uid", _text(length=64), nullable=False),
        sa.Column("state", _text(length=16), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("comment", _text(length=64), nullable=False),
        sa.Column("sent_at", core.model.columns.UtcTime(), nullable=True),
        sa.Column("transaction_uid", _text(length=64), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"]),
        sa.ForeignKeyConstraint(["site"], ["site.code"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("job_id", "sop_uid"),
    )
    for column in ("site", "sop_uid", "transaction_uid"):
        op.create_index(op.f(f"ix_delivery_{column}"), "delivery", [column])
