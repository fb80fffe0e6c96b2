"""The console comes up before the weight of the service would have been read from disk."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"alembic", "fastapi", "numpy", "pydicom", "pynetdicom", "scipy", "sqlalchemy", "sqlmodel", "uvicorn"}
PROBE = """
import importlib, sys
importlib.import_module(sys.argv[1])
print(*{name.partition(".")[0] for name in sys.modules})
"""


def loaded_with(module: str) -> set[str]:
    """Tell which packages a fresh Python has in memory once it has imported the module."""
    command = [sys.executable, "-c", PROBE, module]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 0, answer.stderr
    return set(answer.stdout.split())


@pytest.mark.parametrize("module", ["console.__main__", "console.app"])
def test_the_console_starts_without_the_weight_of_the_service(module: str) -> None:
    assert loaded_with(module) & HEAVY == set()


def test_the_probe_sees_what_a_module_brings_along() -> None:
    assert "numpy" in loaded_with("numpy.linalg")
