"""Empty tables, made once in a process and copied: making them takes half a second, and a thousand tests want them."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import argon2

from core.records import Records

HASHER = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
"""For passwords of tests; what it hashes is as quickly verified."""


@cache
def _made() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tables.sqlite"
        records = Records(f"sqlite:///{path}", new_uid=str)
        records.migrate()
        records.close()
        return path.read_bytes()


def laid(path: Path) -> str:
    """Lay empty tables at a path where there are none, and return their URL."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_bytes(_made())
    return f"sqlite:///{path}"


def laid_in(folder: Path) -> Path:
    """Lay empty tables where a service of this data folder looks for them; return the folder."""
    laid(folder / "photopeak.sqlite")
    return folder
