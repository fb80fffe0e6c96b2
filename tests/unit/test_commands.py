"""photopeakd's commands: each is found in its room, and the quick ones load no more than they need."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

import core.migrations
from core.__main__ import ROOMS, parser
from core.records import head
from tests.tables import laid_in

_HEAVY = ("alembic", "fastapi", "numpy", "pydicom", "pynetdicom", "scipy", "uvicorn")


def _commands(rooms: list[str]) -> set[str]:
    [kinds] = (one for one in parser(rooms)._actions if isinstance(one, argparse._SubParsersAction))
    return set(kinds.choices)


def test_every_command_stands_in_the_room_the_table_says() -> None:
    rooms = sorted(path.stem for path in (Path(core.__path__[0]) / "commands").glob("[a-z]*.py"))
    assert {room: _commands([room]) for room in rooms} == {
        room: {name for name, place in ROOMS.items() if place == room} for room in rooms
    }


@pytest.mark.parametrize("words", [["staff", "list"], ["site", "list"], ["jobs", "list"]])
def test_a_quick_command_loads_neither_the_service_nor_the_images(words: list[str], tmp_path: Path) -> None:
    laid_in(tmp_path)
    first = [sys.executable, "-m", "core", "site", "list", "--data", str(tmp_path)]
    assert subprocess.run(first, check=False, timeout=120).returncode == 0  # it makes the first site
    told = (
        "import json, sys\nfrom core.__main__ import main\nstatus = main(sys.argv[1:])\n"
        "print(json.dumps([status, sorted(sys.modules)]), file=sys.stderr)"
    )
    command = [sys.executable, "-c", told, *words, "--data", str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    status, modules = json.loads(said.stderr.splitlines()[-1])
    assert status == 0
    assert not {name.partition(".")[0] for name in modules} & set(_HEAVY)
    assert "core.service" not in modules


def test_the_last_migration_by_name_is_the_last_by_descent() -> None:
    assert head() == ScriptDirectory(core.migrations.__path__[0]).get_current_head()
