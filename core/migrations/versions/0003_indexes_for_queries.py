"""indexes for queries."""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.exc import DBAPIError

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

GROUPS = ("alphabetic", "ideographic", "phonetic")
NEW_INDEXES = (
    ("ix_sentpatient_number", "sentpatient", ["site", "patient_number"]),
    *((f"ix_sentpatient_{group}", "sentpatient", ["site", group]) for group in GROUPS),
    ("ix_study_date", "study", ["site", "date", "time", "uid"]),
    ("ix_study_uid", "study", ["site", "uid"]),
    ("ix_study_accession", "study", ["site", "accession"]),
    ("ix_series_modality", "series", ["study_id", "modality"]),
)
OLD_INDEXES = (
    *((f"ix_sentpatient_{column}", "sentpatient") for column in ("site", "patient_number", "name")),
    *((f"ix_study_{column}", "study") for column in ("site", "sent_patient_id", "uid", "date", "accession")),
    ("ix_series_study_id", "series"),
)
SUBSTRINGS = {"sentpatient": (*GROUPS, "patient_number"), "study": ("description", "accession")}
"""Columns searched for a part of their text, by trigrams where the database has them; answers are the same without."""


UNIQUE_ONCE = (("image", "sop_uid"), ("quarantined", "content_sha256"))
"""Columns that were unique in the whole archive and are so within a site."""


def upgrade() -> None:
    """Apply the change."""
    for table, column in UNIQUE_ONCE:
        _unique_in_a_site(table, column)
    op.drop_index("ix_image_batch", table_name="image")
    op.create_index("ix_image_batch", "image", ["batch_id", "counted", "frames", "due_frames", "received_at"])
    for group in GROUPS:
        op.add_column("sentpatient", sa.Column(group, sqlmodel.sql.sqltypes.AutoString(), nullable=True))
    for name, table in OLD_INDEXES:
        op.drop_index(name, table_name=table)
    for name, table, columns in NEW_INDEXES:
        op.create_index(name, table, columns, unique=False)
    moved = sa.text("tier <> 'online'")
    op.create_index("ix_image_moved", "image", ["series_id"], sqlite_where=moved, postgresql_where=moved)
    connection = op.get_bind()
    _fill_groups(connection)
    trigrams = _sqlite_trigrams if connection.dialect.name == "sqlite" else _postgresql_trigrams
    try:
        with connection.begin_nested():
            trigrams(connection)
    except DBAPIError:  # a SQLite without FTS5, or a PostgreSQL without pg_trgm or the right to add it
        return


def _unique_in_a_site(table: str, column: str) -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    name = f"{table}_{column}_key" if postgresql else f"uq_{table}_{column}"
    with op.batch_alter_table(table, naming_convention={"uq": "uq_%(table_name)s_%(column_0_name)s"}) as batch:
        batch.drop_constraint(name, type_="unique")
    op.create_index(f"ix_{table}_{column}", table, [column, "site"], unique=True)


def _fill_groups(connection: sa.Connection) -> None:
    rows = connection.execute(sa.text("SELECT id, name FROM sentpatient")).all()
    values = [{"id": number, **dict(zip(GROUPS, _groups(name or ""), strict=True))} for number, name in rows]
    if values:
        change = "UPDATE sentpatient SET alphabetic = :alphabetic, ideographic = :ideographic, phonetic = :phonetic"
        connection.execute(sa.text(f"{change} WHERE id = :id"), values)


def _groups(name: str) -> list[str | None]:
    groups = [group.rstrip("^ ") or None for group in name.casefold().split("=")]
    return [*groups, None, None, None][: len(GROUPS)]


def _sqlite_trigrams(connection: sa.Connection) -> None:
    """Index each table's texts by trigrams, kept up to date by triggers; the texts themselves stay in the table."""
    for table, columns in SUBSTRINGS.items():
        index, names = f"{table}_trigram", ", ".join(columns)
        how = f"content='{table}', content_rowid='id', tokenize='trigram case_sensitive 1'"
        new, old = (", ".join(f"{row}.{column}" for column in columns) for row in ("new", "old"))
        add = f"INSERT INTO {index}(rowid, {names}) VALUES (new.id, {new});"  # noqa: S608 - names of our own
        remove = f"INSERT INTO {index}({index}, rowid, {names}) VALUES ('delete', old.id, {old});"  # noqa: S608
        for statement in (
            f"CREATE VIRTUAL TABLE {index} USING fts5({names}, {how})",
            f"INSERT INTO {index}({index}) VALUES ('rebuild')",  # noqa: S608
            f"CREATE TRIGGER {index}_insert AFTER INSERT ON {table} BEGIN {add} END",
            f"CREATE TRIGGER {index}_delete AFTER DELETE ON {table} BEGIN {remove} END",
            f"CREATE TRIGGER {index}_update AFTER UPDATE OF {names} ON {table} BEGIN {remove} {add} END",
        ):
            connection.exec_driver_sql(statement)


def _postgresql_trigrams(connection: sa.Connection) -> None:
    connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    for table, columns in SUBSTRINGS.items():
        for column in columns:
            connection.exec_driver_sql(
                f"CREATE INDEX ix_{table}_{column}_trigram ON {table} USING gin ({column} gin_trgm_ops)"
            )
