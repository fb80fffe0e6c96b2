"""The database: engine, unit of work and outbox.

One use case is one unit of work. Writers queue behind one in-process lock and begin IMMEDIATE, because SQLite's own
busy wait is unfair and a deferred transaction loses read-modify-writes; readers are deferred and never wait.
An event is written in the same transaction as the change it tells of.

SQLite has one connection for all that is written, so that its pages stay in memory from one commit to the next.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, insert, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, func, select

from core.errors import Broken
from core.model import Event, Job

_MIGRATIONS = Path(__file__).with_name("migrations")
_BUSY_MILLISECONDS = 30_000
_WRITERS_PAGES = -65_536  # kilobytes of cache, SQLite counts them below zero
_STATEMENTS = 512  # kept prepared by each connection
_GATHER_SECONDS = 0.03  # news of one burst are heard at once
_WRITERS_QUEUE = 7_077_001  # PostgreSQL advisory lock: writers of all processes stand in one queue

_NEWS = insert(Event)


class Work:
    """One unit of work: a session, the moment it happens at, and the news it will tell."""

    def __init__(self, session: Session, now: datetime, new_uid: Callable[[], str], written: int = 0) -> None:
        self.session = session
        self.now = now
        self.new_uid = new_uid
        self.arrival = False
        """Whether this work only adds objects as they arrive; nothing a decision was made from is another after it."""
        self._written = written

    def edition(self) -> tuple[int, object]:
        """Return what differs once anything but arrivals was written, by this process or another.

        PostgreSQL has nothing to tell arrivals of another process by, so there it always differs.
        """
        connection = self.session.connection()
        sqlite = connection.dialect.name == "sqlite"
        ask = "PRAGMA data_version" if sqlite else "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"
        return self._written, connection.exec_driver_sql(ask).scalar()

    def add(self, *rows: Any) -> None:  # noqa: ANN401 - any table's row
        """Add rows in the order given, so that each finds what it refers to, and give them their ids."""
        for row in rows:
            self.session.add(row)
            self.session.flush()

    def tell(self, site: str, kind: str, subject: str, **data: object) -> None:
        """Write news into the outbox: numbers and states, never a name."""
        news = {"site": site, "at": self.now, "kind": kind, "subject": subject, "data": data}
        self.session.connection().execute(_NEWS, news)

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
        with self._turn, Session(self._writer, expire_on_commit=False) as session:
            if self._engine.dialect.name == "postgresql":
                session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITERS_QUEUE})
            work = Work(session, self._clock(), self._new_uid, self._written)
            yield work
            session.commit()
            self._written += not work.arrival
        with self._news:
            self._told += 1
            self._news.notify_all()

    @contextmanager
    def reading(self) -> Iterator[Work]:
        """Open a unit of work on one consistent view that changes nothing."""
        with Session(self._engine, expire_on_commit=False) as session:
            yield Work(session, self._clock(), self._new_uid)
            session.expunge_all()  # rows keep what was read; a rollback would empty them

    def wait_for_news(self, seconds: float) -> None:
        """Sleep until this process has committed something and a little longer, at most about `seconds`."""
        with self._news:
            before = self._told
            told = self._news.wait_for(lambda: self._told != before, timeout=seconds)
        if told:
            time.sleep(_GATHER_SECONDS)

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
        with self._turn, self._engine.connect() as connection:
            command.upgrade(_alembic(connection), "head")
            connection.commit()

    def at_head(self) -> bool:
        """Whether the tables are this version's."""
        with self._engine.connect() as connection:
            have = MigrationContext.configure(connection).get_current_revision()
        return have == ScriptDirectory(str(_MIGRATIONS)).get_current_head()

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


def _alembic(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    return config


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
    connection.exec_driver_sql("BEGIN")


def _begin_writing(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
