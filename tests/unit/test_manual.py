"""The pages of the manual that come from the code say what the code says."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


def _written() -> dict[str, Callable[[], str]]:
    spec = importlib.util.spec_from_file_location("write", DOCS / "write.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    pages: dict[str, Callable[[], str]] = module.WRITTEN
    return pages


@pytest.mark.parametrize("name", ["rights.md", "keys.md", "conformance.md", "recipes.md"])
def test_a_page_written_from_the_code_is_current(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == _written()[name](), "run make manual"
