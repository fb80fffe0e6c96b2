"""The database: engine, unit of work and outbox.

One use case is one unit of work. Writers queue behind one in-process lock and begin IMMEDIATE, because SQLite's own
busy wait is unfair and a deferred transaction loses read-modify-writes; readers are deferred and never wait.
An event is written in the same transaction as the change it tells of.

SQLite has one connection for all that is written, so that its pages stay in memory from one commit to the next.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Dialect, Engine, create_engine, event, insert, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import Executable
from sqlmodel import Session, col, func, select

from core.errors import Broken
from core.model import Event, Job

_MIGRATIONS = Path(__file__).with_name("migrations")
_BUSY_MILLISECONDS = 30_000
_WRITERS_PAGES = -65_536  # kilobytes of cache, SQLite counts them below zero
_STATEMENTS = 512  # kept prepared by each connection
_GATHER_SECONDS = 0.03  # news of one burst are heard at once
_LOOK_SECONDS = 0.02  # between two looks for what another process has committed
_WRITERS_QUEUE = 7_077_001  # PostgreSQL advisory lock: writers of all processes stand in one queue


class Prepared:
    """A statement prepared once and run by the driver itself, in the transaction that is open.

    SQLAlchemy writes it and converts its values; what it does around each execution costs more than SQLite needs to
    carry it out. For what is done with every object that arrives, and for nothing else.
    """

    def __init__(self, statement: Executable, columns: Sequence[str] | None = None) -> None:
        """Prepare a statement; an insert names its `columns`."""
        self._statement, self._columns = statement, columns
        self._written: dict[str, _Written] = {}

    def run(self, connection: Connection, *rows: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a DB-API cursor
        """Run it with each of `rows`, and return the driver's cursor."""
        dialect = connection.dialect
        written = self._written.get(dialect.name) or self._write(dialect)
        return _driven(connection, written.sql, *map(written.values, rows))

    def _write(self, dialect: Dialect) -> _Written:
        statement: Any = self._statement
        compiled = statement.compile(dialect=dialect, column_keys=self._columns)
        return self._written.setdefault(dialect.name, _Written(compiled, dialect))


def _driven(connection: Connection, sql: str, *values: Any) -> Any:  # noqa: ANN401 - a DB-API cursor
    """Let the driver run a statement; its errors are told as SQLAlchemy tells them."""
    cursor = connection.connection.cursor()
    try:
        if len(values) > 1:
            cursor.executemany(sql, values)
        else:
            cursor.execute(sql, *values)
    except connection.dialect.loaded_dbapi.Error as error:
        raise DBAPIError(sql, None, error, hide_parameters=True) from error
    return cursor


class _Written:
    """A statement as one dialect says it, and what its values are before the driver takes them."""

    def __init__(self, compiled: SQLCompiler, dialect: Dialect) -> None:
        self.sql = str(compiled)
        self._names = compiled.positiontup
        self._constant: dict[str, Any] = {}
        self._converted: dict[str, Callable[[Any], Any]] = {}
        for name, bound in compiled.binds.items():
            if bound.value is not None:
                self._constant[name] = bound.value
            convert = bound.type.dialect_impl(dialect).bind_processor(dialect)
            if convert is not None:
                self._converted[name] = convert

    def values(self, row: Mapping[str, Any]) -> Any:  # noqa: ANN401 - what the driver takes
        said = {**self._constant, **row}
        for name, convert in self._converted.items():
            said[name] = convert(said[name])
        return said if self._names is None else [said[name] for name in self._names]


_NEWS = Prepared(insert(Event), ("site", "at", "kind", "subject", "data"))


class Work:
    """One unit of work: a session, the moment it happens at, and the news it will tell."""

    def __init__(self, bind: Engine | Connection, now: datetime, new_uid: Callable[[], str], written: int = 0) -> None:
        self._bind = bind
        self.now = now
        self.new_uid = new_uid
        self.arrival = False
        """Whether this work only adds objects as they arrive; nothing a decision was made from is another after it."""
        self._written = written

    @cached_property
    def session(self) -> Session:
        """The session, opened once it is asked for: what is written in bulk needs none."""
        return Session(self._bind, expire_on_commit=False)

    @property
    def connection(self) -> Connection:
        """The connection this work is done on; rows still waiting in the session are not written by asking for it."""
        return self._bind if isinstance(self._bind, Connection) else self.session.connection()

    def end(self, *, kept: bool) -> None:
        """Let go of the session, if there is one; with `kept` what waits in it is written first."""
        if "session" not in self.__dict__:
            return
        try:
            if kept:
                self.session.flush()
        finally:
            self.session.close()

    def edition(self) -> tuple[int, object]:
        """Return what differs once anything but arrivals was written, by this process or another.

        PostgreSQL has nothing to tell arrivals of another process by, so there it always differs.
        """
        connection = self.connection
        sqlite = connection.dialect.name == "sqlite"
        ask = "PRAGMA data_version" if sqlite else "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"
        return self._written, _driven(connection, ask).fetchone()

    def add(self, *rows: Any) -> None:  # noqa: ANN401 - any table's row
        """Add rows in the order given, so that each finds what it refers to, and give them their ids."""
        for row in rows:
            self.session.add(row)
            self.session.flush()

    def tell(self, site: str, kind: str, subject: str, **data: object) -> None:
        """Write news into the outbox: numbers and states, never a name."""
        news = {"site": site, "at": self.now, "kind": kind, "subject": subject, "data": data}
        _NEWS.run(self.connection, news)

    def enqueue(
        self, site: str, kind: str, payload: dict[str, object], *, lane: str = "", asked_by: str = "",
        attempts: int = 5, due_at: datetime | None = None,
    ) -> Job:  # fmt: skip
        """Queue work in this transaction; `core.jobs` runs it once committed.

        Jobs of one `lane` run one after the other, whichever process runs them; jobs without a lane side by side.
        What fails through a peer or through us is tried again, `attempts` times in all.
        """
        job = Job(
            site=site, kind=kind, lane=lane, arguments=payload, asked_by=asked_by, attempts_allowed=attempts,
            queued_at=self.now, due_at=due_at or self.now,
        )  # fmt: skip
        self.add(job)
        self.tell(site, "job", str(job.id), state=job.state, work=kind)
        return job


class Records:
    """The database behind its URL."""

    def __init__(self, url: str, *, clock: Callable[[], datetime] | None = None, new_uid: Callable[[], str]) -> None:
        self.url = url
        self._clock = clock or (lambda: datetime.now(UTC))
        self._new_uid = new_uid
        self._engine = _engine(url)
        self._writer = _writer_of(self._engine)
        self._written = 0
        self._turn = threading.Lock()
        self._news = threading.Condition()
        self._told = 0

    @contextmanager
    def writing(self) -> Iterator[Work]:
        """Open a unit of work that commits when left, or rolls back when it raises."""
        with self._turn, self._writer.connect() as connection, connection.begin():
            if self._engine.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITERS_QUEUE})
            work = Work(connection, self._clock(), self._new_uid, self._written)
            try:
                yield work
            except BaseException:
                work.end(kept=False)
                raise
            work.end(kept=True)
            self._written += not work.arrival
        with self._news:
            self._told += 1
            self._news.notify_all()

    @contextmanager
    def reading(self) -> Iterator[Work]:
        """Open a unit of work on one consistent view that changes nothing."""
        work = Work(self._engine, self._clock(), self._new_uid)
        with work.session as session:
            yield work
            session.expunge_all()  # rows keep what was read; a rollback would empty them

    def wait_for_news(self, seconds: float) -> None:
        """Sleep until something was committed and a little longer, at most about `seconds`.

        What other processes commit is noticed in SQLite, at the cost of a look at its header now and then.
        """
        before, until = self._told, time.monotonic() + seconds
        with self._edition() as edition:
            written, told = edition(), False
            while not told and (left := until - time.monotonic()) > 0:
                with self._news:
                    told = self._news.wait_for(lambda: self._told != before, timeout=min(left, _LOOK_SECONDS))
                told = told or edition() != written
        if told:
            time.sleep(_GATHER_SECONDS)

    @contextmanager
    def _edition(self) -> Iterator[Callable[[], object]]:
        """Give what tells one state of the database from another; always the same where that cannot be told."""
        if self._engine.dialect.name != "sqlite":
            yield bool
            return
        with closing(self._engine.raw_connection()) as connection:
            cursor = connection.cursor()
            yield lambda: cursor.execute("PRAGMA data_version").fetchone()
            cursor.close()

    def last_event(self) -> int:
        """The newest event's sequence number; 0 when there is none."""
        with self.reading() as work:
            return work.session.exec(select(func.max(Event.seq))).one() or 0

    def events_after(self, seq: int, limit: int = 500) -> list[Event]:
        """Events newer than `seq`, oldest first."""
        with self.reading() as work:
            found = select(Event).where(col(Event.seq) > seq).order_by(col(Event.seq)).limit(limit)
            return list(work.session.exec(found))

    def migrate(self) -> None:
        """Bring the tables to this version."""
        from alembic import command  # noqa: PLC0415 - slow to load, and seldom needed
        from alembic.config import Config  # noqa: PLC0415 - as above

        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        with self._turn, self._engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()

    def at_head(self) -> bool:
        """Whether the tables are this version's."""
        with self._engine.connect() as connection:
            there = inspect(connection).has_table("alembic_version")
            have = connection.scalar(text("SELECT version_num FROM alembic_version")) if there else None
        return have == head()

    def check_write(self) -> None:
        """Prove that a transaction can begin and end; raises Broken when it cannot."""
        try:
            with self._turn, self._writer.connect() as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            msg = f"the database does not take a write ({type(error).__name__}): check its disk and its rights"
            raise Broken(msg) from error

    def close(self) -> None:
        """Let go of every connection."""
        self._engine.dispose()
        self._writer.dispose()


def head() -> str:
    """Return the number of the last migration: files are named by their numbers, one after the other."""
    return max(path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def _engine(url: str) -> Engine:
    if not url.startswith("sqlite"):
        return create_engine(url, pool_size=16, max_overflow=32, pool_pre_ping=True, hide_parameters=True)
    return _sqlite(url, _begin_reading, pool_size=32, max_overflow=64)


def _writer_of(engine: Engine) -> Engine:
    """Return the engine all writing goes through."""
    if engine.dialect.name != "sqlite":
        return engine
    writer = _sqlite(engine.url, _begin_writing, pool_size=1, max_overflow=4)
    event.listen(writer, "connect", _give_cache)
    return writer


def _sqlite(url: str | URL, begin: Callable[[Connection], None], **pool: int) -> Engine:
    how = {"check_same_thread": False, "cached_statements": _STATEMENTS}
    engine = create_engine(url, connect_args=how, hide_parameters=True, **pool)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", begin)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DB-API connection
    connection.isolation_level = None  # the driver's own BEGIN loses concurrent read-modify-writes
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={_BUSY_MILLISECONDS}", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _give_cache(connection: Any, _record: object) -> None:  # noqa: ANN401 - as above
    connection.execute(f"PRAGMA cache_size={_WRITERS_PAGES}").close()


def _begin_reading(connection: Connection) -> None:
    _driven(connection, "BEGIN")


def _begin_writing(connection: Connection) -> None:
    _driven(connection, "BEGIN IMMEDIATE")
