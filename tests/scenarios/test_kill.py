"""A power cut may come at any moment: what was acknowledged stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.killing import killed_under_load


@pytest.mark.slow
@pytest.mark.peer("storescu")
def test_what_was_acknowledged_outlives_every_kill(tmp_path: Path) -> None:
    assert killed_under_load(tmp_path, rounds=6) > 0
