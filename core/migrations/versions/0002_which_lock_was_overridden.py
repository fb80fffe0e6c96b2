"""which lock of a report was overridden."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    column = sa.Column("overridden", sqlmodel.sql.sqltypes.AutoString(length=16), nullable=False, server_default="")
    op.add_column("report", column)
