"""Columns shared by the tables: UTC times, JSON, and the site every row belongs to."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field


class UtcTime(TypeDecorator[datetime]):
    """A moment, stored in UTC and given back aware (SQLite would give it back naive)."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times: nobody can say later which clock they came from."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            msg = "a time without a zone cannot be stored"
            raise ValueError(msg)
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the moment back with its zone."""
        del dialect
        return None if value is None else value.replace(tzinfo=UTC)


def moment(*, index: bool = False) -> Any:  # noqa: ANN401 - SQLModel's Field is typed Any
    """Return the field of a time that may be absent."""
    return Field(default=None, sa_type=UtcTime, index=index)


def when(*, index: bool = False) -> Any:  # noqa: ANN401 - SQLModel's Field is typed Any
    """Return the field of a time that is always known."""
    return Field(sa_type=UtcTime, index=index, nullable=False)


def document() -> Any:  # noqa: ANN401 - SQLModel's Field is typed Any
    """Return the field of a JSON object."""
    return Field(default_factory=dict, sa_type=JSON, nullable=False)


def listing() -> Any:  # noqa: ANN401 - SQLModel's Field is typed Any
    """Return the field of a JSON list."""
    return Field(default_factory=list, sa_type=JSON, nullable=False)


def maybe_listing() -> Any:  # noqa: ANN401 - SQLModel's Field is typed Any
    """Return the field of a JSON list that may be absent."""
    return Field(default=None, sa_type=JSON(none_as_null=True), nullable=True)


def site_code(*, index: bool = True) -> Any:  # noqa: ANN401 - SQLModel's Field is typed Any
    """Return the field naming the institution a row belongs to; no index where others begin with it."""
    return Field(foreign_key="site.code", index=index, max_length=16)


def name_group(position: int) -> Any:  # noqa: ANN401 - SQLModel's Field is typed Any
    """Return the field of one group of a row's `name` (PS3.5 6.2.1), case folded when written; None where it has none.

    Searched by prefix: SQLite and PostgreSQL fold letters differently, and Chinese names stand in the second group.
    """

    def folded(context: DefaultExecutionContext) -> str | None:
        given: dict[str, object] = context.get_current_parameters()  # type: ignore[no-untyped-call]  # SQLAlchemy's own
        groups = str(given.get("name") or "").casefold().split("=")
        return groups[position].rstrip("^ ") or None if position < len(groups) else None

    return Field(default=None, sa_column_kwargs={"default": folded})
