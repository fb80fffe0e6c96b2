"""The department each test of a workflow begins with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.workflow.department import Department


@pytest.fixture
def department(tmp_path: Path) -> Iterator[Department]:
    department = Department(tmp_path)
    yield department
    department.records.close()
