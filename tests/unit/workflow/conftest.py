"""The department each test of a workflow begins with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.workflow.department import Department
from tests.unit.workflow.front import Front


@pytest.fixture
def department(tmp_path: Path) -> Iterator[Department]:
    department = Department(tmp_path)
    yield department
    department.records.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.peer("postgres"))])
def front(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Front]:
    on_sqlite = request.param == "sqlite"
    front = Front(f"sqlite:///{tmp_path / 'front.sqlite'}" if on_sqlite else request.getfixturevalue("postgres_url"))
    yield front
    front.records.close()
