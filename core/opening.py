"""Opens a data folder: its lock, its records, and who may sign in.

What is here is all that most commands need, and loads quickly; the service and the archive are `service`'s.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO

import argon2

from core.errors import Refused
from core.model import Site
from core.records import Records
from core.settings import Settings
from core.workflow.staffing import SignIns

Clock = Callable[[], datetime]


class FolderLock:
    """One service per data folder, held by a file lock that ends with the process."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "photopeakd.lock"
        self._file: IO[str] | None = None

    def hold(self) -> None:
        """Take the folder; refuse when a service has it."""
        self._file = self._path.open("a+", encoding="ascii")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.seek(0)
            holder = self._file.read().strip() or "unknown"
            self._file.close()
            folder = self._path.parent
            msg = f"a photopeakd (process {holder}) already serves {folder}: stop it first, or give another --data"
            raise Refused(msg) from error
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        """Let go of the folder."""
        if self._file:
            self._file.close()


def make_folder(settings: Settings) -> None:
    """Make the data folder, private to its owner."""
    os.umask(0o077)
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)


def open_records(settings: Settings, clock: Clock | None = None) -> Records:
    """Open the database, bring its tables up to date, and make sure the first site and catalogue are there."""
    make_folder(settings)
    records = Records(settings.database_url, clock=clock, new_uid=_new_uid)
    with (settings.data / "first.lock").open("w") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)  # two commands on an empty folder: one makes the tables, the other waits
        if not records.at_head():
            records.migrate()
        _make_first_site(settings, records)
    return records


def _new_uid() -> str:
    from pydicom.uid import generate_uid  # noqa: PLC0415 - half a second of start-up most commands do without

    return generate_uid()


def _make_first_site(settings: Settings, records: Records) -> None:
    with records.reading() as work:
        if work.session.get(Site, settings.site):
            return
    from core.workflow import catalogue  # noqa: PLC0415 - needed once in the life of an installation

    with records.writing() as work:
        work.add(Site(code=settings.site, name=settings.site_name))
        catalogue.stock_catalogue(work, settings.site)


def sign_ins(settings: Settings, records: Records) -> SignIns:
    """Build the signing-in rule."""
    return SignIns(
        records, argon2.PasswordHasher(), timedelta(seconds=settings.session_idle_seconds),
        timedelta(seconds=settings.session_seconds),
    )  # fmt: skip
