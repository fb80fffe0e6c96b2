"""The department each test of a workflow begins with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.records import Records
from tests.unit.workflow.department import Department
from tests.unit.workflow.front import Front


@pytest.fixture
def department(tmp_path: Path) -> Iterator[Department]:
    department = Department(tmp_path)
    yield department
    department.records.close()


@pytest.fixture(scope="session")
def empty_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the tables once; each test works on a copy."""
    path = tmp_path_factory.mktemp("tables") / "empty.sqlite"
    records = Records(f"sqlite:///{path}", new_uid=str)
    records.migrate()
    records.close()
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.peer("postgres"))])
def front(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Front]:
    url = f"sqlite:///{tmp_path / 'front.sqlite'}"
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("empty_tables"), tmp_path / "front.sqlite")
    else:
        url = request.getfixturevalue("postgres_url")
    front = Front(url)
    yield front
    front.records.close()
