"""how far a proof has come."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

import core.model.columns

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    _proofs()
    _damages()
    op.drop_index("ix_image_site", "image")  # what a site holds is counted and summed from one index
    op.create_index("ix_image_held", "image", ["site", "size"], unique=False)


def _proofs() -> None:
    op.create_table(
        "proof",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("site", sqlmodel.sql.sqltypes.AutoString(length=16), nullable=False),
        sa.Column("deep", sa.Boolean(), nullable=False),
        sa.Column("by", sqlmodel.sql.sqltypes.AutoString(length=96), nullable=False),
        sa.Column("stage", sqlmodel.sql.sqltypes.AutoString(length=16), nullable=False),
        sa.Column("after", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("of", sa.Integer(), nullable=False),
        sa.Column("objects", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("faults", sa.Integer(), nullable=False),
        sa.Column("audit_broken_at", sa.Integer(), nullable=True),
        sa.Column("started_at", core.model.columns.UtcTime(), nullable=False),
        sa.Column("moved_at", core.model.columns.UtcTime(), nullable=False),
        sa.Column("ended_at", core.model.columns.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["site"], ["site.code"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_proof_site", "proof", ["site"], unique=False)


def _damages() -> None:
    op.create_table(
        "damage",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("site", sqlmodel.sql.sqltypes.AutoString(length=16), nullable=False),
        sa.Column("proof_id", sa.Integer(), nullable=False),
        sa.Column("sop_uid", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("store", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("path", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("fault", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("found_at", core.model.columns.UtcTime(), nullable=False),
        sa.Column("mended_at", core.model.columns.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["site"], ["site.code"]),
        sa.ForeignKeyConstraint(["proof_id"], ["proof.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_damage_object", "damage", ["site", "sop_uid"], unique=False)
    op.create_index("ix_damage_mended_at", "damage", ["mended_at"], unique=False)
    op.create_index("ix_damage_proof_id", "damage", ["proof_id"], unique=False)
