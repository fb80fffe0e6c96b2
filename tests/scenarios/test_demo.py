"""The made-up department: played through at speed, and opened for a player."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from console.client import Client
from tests.peers.process import ROOT
from tests.scenarios.desk import Listener

pytestmark = pytest.mark.slow

_QUIET = {**os.environ, "PYTHONWARNINGS": "ignore"}


def test_the_day_is_played_without_a_terminal_and_all_of_it_holds(tmp_path: Path) -> None:
    environment = {**_QUIET, "TMPDIR": str(tmp_path)}
    played = subprocess.run(
        [sys.executable, "-m", "console", "demo", "--json"], capture_output=True, text=True, timeout=280, cwd=ROOT,
        stdin=subprocess.DEVNULL, env=environment, check=False,
    )  # fmt: skip
    assert played.stdout, played.stderr[-2000:]
    facts = json.loads(played.stdout)
    assert [claim for claim in facts["claims"] if not claim["holds"]] == []
    assert (facts["held"], played.returncode) == (True, 0)
    found = {claim["text"]: claim["found"] for claim in facts["claims"]}
    assert found["reports signed"] > 30
    assert found["objects kept apart: the UID was used twice"] == 1
    assert list(tmp_path.iterdir()) == []  # nothing of it stays


def test_a_folder_that_holds_something_is_not_made_into_a_demo(tmp_path: Path) -> None:
    (tmp_path / "photopeak.sqlite").write_bytes(b"somebody's")
    refused = subprocess.run(
        [sys.executable, "-m", "core", "demo", "--play", "--data", str(tmp_path)], capture_output=True, text=True,
        timeout=60, cwd=ROOT, env=_QUIET, check=False,
    )  # fmt: skip
    assert refused.returncode == 1
    assert "not empty" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["photopeak.sqlite"]


def test_the_department_lives_while_it_is_held_and_goes_with_its_folder_when_let_go(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "core", "demo", "--json", "--leash", "--pace", "fast", "--role", "doctor"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT,
        env={**_QUIET, "TMPDIR": str(tmp_path)},
    ) as process:  # fmt: skip
        assert process.stdin
        assert process.stdout
        try:
            _look_around(_settled(process.stdout))
        finally:
            process.stdin.close()
            status = process.wait(60)
    assert status == 0
    assert list(tmp_path.iterdir()) == []


def _settled(said: Any) -> dict[str, Any]:  # noqa: ANN401 - a pipe
    text = ""
    for line in said:
        text += line.decode()
        if line.rstrip() == b"}":
            break
    settled: dict[str, Any] = json.loads(text)
    return settled


def _look_around(settled: dict[str, Any]) -> None:
    """Sign in with the password handed over, see every state, and hear the colleagues work."""
    doctor = next(one for one in settled["staff"] if one["username"] == "doctor")
    client = Client(settled["http"])
    try:
        assert client.sign_in("doctor", doctor["password"])["roles"] == ["doctor"]
        exams = client.get("exams", order="recent", limit=200)["items"]
        states = {exam["state"] for exam in exams}
        wanted = {"registered", "assigned", "protocolled", "in_progress", "acquired", "ready", "reported"}
        assert wanted | {"cancelled", "not_done"} <= states
        assert {exam["urgency"] for exam in exams} == {"stat", "urgent", "routine"}
        assert any(exam["same_name_today"] for exam in exams)
        assert {exam["report"]["state"] for exam in exams} >= {None, "draft", "preliminary", "final", "amended"}
        assert {one["state"] for one in client.get("consultations")} >= {"requested", "scheduled"}
        Listener(client).wait_for("exam")
    finally:
        client.close()
