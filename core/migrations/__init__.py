"""The tables' history, one file per change (Alembic)."""
