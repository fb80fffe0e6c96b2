"""The audit trail: a chain that shows where it was changed by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from core import access, audit
from core.model import Site
from core.records import Records
from core.vocabulary import Role
from tests.tables import laid


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    opened = Records(laid(tmp_path / "audit.sqlite"), new_uid=lambda: "1.2.3")
    with opened.writing() as work:
        work.add(Site(code="MAIN"))
    with opened.writing() as work:
        for number in range(5):
            audit.record(work, access.person("head", "MAIN", Role.HEAD), "report.sign", f"A{number}", version=number)
    yield opened
    opened.close()


def _broken(records: Records) -> int | None:
    with records.reading() as work:
        return audit.broken_link(work)


def test_an_untouched_chain_holds(records: Records) -> None:
    assert _broken(records) is None


@pytest.mark.parametrize(
    ("tampering", "found_at"),
    [
        ("UPDATE auditentry SET actor = 'nobody' WHERE id = 3", 3),
        ("UPDATE auditentry SET detail = '{\"version\": 9}' WHERE id = 2", 2),
        ("UPDATE auditentry SET at = '2020-01-01 00:00:00.000000' WHERE id = 5", 5),
        ("DELETE FROM auditentry WHERE id = 4", 5),
        ("UPDATE auditentry SET action = 'none' WHERE id = 1", 1),
    ],
)
def test_a_change_by_hand_is_found_where_it_was_made(records: Records, tampering: str, found_at: int) -> None:
    with records._engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.execute(text(tampering))
        connection.commit()
    assert _broken(records) == found_at
