"""A patient's way from the desk to the camera, typed line by line against a running service."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from console import line
from core import access
from core.model import Device
from core.service import Service
from core.settings import Settings
from core.vocabulary import Role
from core.workflow import staffing
from tests.tables import HASHER, laid_in

PASSWORD = "a long enough one"
PEOPLE = {"clerk": Role.CLERK, "nurse": Role.NURSE, "tech": Role.TECHNOLOGIST, "doctor": Role.DOCTOR, "head": Role.HEAD}


class Terminal:
    """One terminal at which people sign in by turns."""

    def __init__(self, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self._patch, self._capture = patch, capture

    def sign_in(self, user: str) -> None:
        self._patch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
        assert line.main(["login", user, "--password-stdin"]) == 0
        self._capture.readouterr()

    def run(self, *words: str) -> tuple[int, str, str]:
        status = line.main(list(words))
        said = self._capture.readouterr()
        return status, said.out, said.err

    def ask(self, *words: str) -> Any:  # noqa: ANN401 - JSON
        status, out, err = self.run(*words, "--json")
        assert status == 0, err
        return json.loads(out)

    def refused(self, *words: str) -> str:
        status, out, err = self.run(*words, "--json")
        assert (status, out) == (1, "")
        assert err.count("\n") == 1
        return err


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Terminal]:
    service = Service(Settings(data=laid_in(tmp_path / "data"), http="127.0.0.1:0", dicom="127.0.0.1:0"))
    service.start()
    operator = access.operator("test", "MAIN")
    hashed = staffing.hashed(HASHER, PASSWORD)
    with service.records.writing() as work:
        for name, role in PEOPLE.items():
            staffing.add(work, operator, name, [role], password_hash=hashed)
        work.add(Device(site="MAIN", aet="NMCAM", modalities=["NM"]))
    monkeypatch.setenv("PHOTOPEAK_SERVER", f"http://127.0.0.1:{service.http_port}")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    yield Terminal(monkeypatch, capsys)
    service.stop()


def test_a_patient_goes_from_the_desk_to_the_camera_line_by_line(terminal: Terminal) -> None:
    terminal.sign_in("clerk")
    patient = terminal.ask(
        "patient", "add", "--number", "P1", "--name", "Zhang^Wei=张^伟", "--birth-date", "1961-03-04", "--sex", "M"
    )
    assert (patient["number"], patient["name"], patient["name_ideographic"]) == ("P1", "Zhang^Wei", "张^伟")
    assert [one["number"] for one in terminal.ask("patient", "find", "zw")] == ["P1"]
    exam = terminal.ask(
        "exam", "add", "--patient", "P1", "--procedure", "BONE-WB", "--visit", "outpatient", "--accession", "A1",
        "--weight", "70", "--height", "172", "--from", "骨科", "--charge", "green-channel",
    )  # fmt: skip
    assert (exam["state"], exam["weight_kg"], exam["from_department"], exam["charge"]) == (
        "registered", 70, "骨科", "green_channel",
    )  # fmt: skip
    assert "right" not in terminal.refused("exam", "triage", "A1", "--urgency", "stat")

    terminal.sign_in("nurse")
    assert terminal.ask("exam", "triage", "A1", "--urgency", "urgent")["urgency"] == "urgent"
    assert terminal.ask("exam", "assign", "A1")["assigned_to"] == "doctor"

    terminal.sign_in("doctor")
    assert "NMCAM" in terminal.refused("exam", "protocol", "A1", "--device", "ELSEWHERE")
    at = (datetime.now().astimezone() + timedelta(hours=1)).replace(second=0, microsecond=0)
    planned = terminal.ask("exam", "protocol", "A1", "--device", "NMCAM", "--at", f"{at:%Y-%m-%d %H:%M}")
    assert planned["state"] == "protocolled"
    assert datetime.fromisoformat(planned["steps"][0]["planned_at"]) == at
    assert [one["accession"] for one in terminal.ask("exam", "list", "--assigned-to", "me")] == ["A1"]

    terminal.sign_in("tech")
    assert terminal.ask("exam", "arrive", "A1")["steps"][0]["state"] == "arrived"
    assert terminal.ask("dose", "draw", "A1", "--mbq", "740")["doses"][0]["drawn_mbq"] == 740
    said = ("--confirm", "张伟", "--confirm")
    assert "not this patient" in terminal.refused("dose", "inject", "A1", *said, "1999-09-09")
    assert terminal.ask("dose", "inject", "A1", *said, "1961-03-04")["steps"][0]["state"] == "injected"
    assert terminal.ask("exam", "start", "A1")["state"] == "in_progress"
    done = terminal.ask("exam", "finish", "A1")
    assert (done["state"], done["images"]["expected"], done["report"]["lock_reason"]) == ("acquired", 2, "no_images")
    assert terminal.ask("dose", "residual", "A1", "--mbq", "12")["doses"][0]["residual_mbq"] == 12


def test_checks_ends_and_added_steps_are_typed_with_hyphens_or_underscores(terminal: Terminal) -> None:
    terminal.sign_in("clerk")
    terminal.ask("patient", "add", "--number", "F1", "--name", "李娜", "--sex", "F", "--birth-date", "1990-03-07")
    terminal.ask("exam", "add", "--patient", "F1", "--procedure", "BONE-WB", "--accession", "A1")
    terminal.ask("exam", "add", "--patient", "F1", "--procedure", "BONE-WB", "--accession", "A2")
    terminal.sign_in("tech")
    assert "pregnancy" in terminal.refused("exam", "start", "A1")
    terminal.ask("exam", "check", "A1", "--name", "pregnancy", "--answer", "no")
    terminal.ask("exam", "check", "A1", "--name", "breastfeeding", "--override", "--note", "in pain")
    assert terminal.ask("exam", "start", "A1")["state"] == "in_progress"
    assert "reason" in terminal.refused("exam", "not-done", "A2")
    assert terminal.ask("exam", "not_done", "A2", "--reason", "went home")["state"] == "not_done"
    assert terminal.ask("exam", "reopen", "A2")["state"] == "registered"
    assert len(terminal.ask("exam", "step", "A1", "--name", "delayed")["steps"]) == 2
    status, prose, _ = terminal.run("exam", "show", "A1")
    assert status == 0
    assert "pregnancy: no (tech" in prose


def test_a_likely_duplicate_is_refused_and_two_records_are_merged(terminal: Terminal) -> None:
    terminal.sign_in("clerk")
    who = ("--name", "Li^Na=李^娜", "--birth-date", "1990-03-07")
    made = terminal.ask("patient", "add", *who)["number"]
    assert made in terminal.refused("patient", "add", *who)
    status, out, told = terminal.run("patient", "add", "--number", "H7", *who, "--json")
    assert (status, json.loads(out)["number"]) == (0, "H7")
    assert made in told
    assert "ask one of" in terminal.refused("patient", "merge", "H7", "--into", made)
    terminal.sign_in("head")
    assert terminal.ask("patient", "merge", "H7", "--into", made)["number"] == made
    assert terminal.ask("patient", "show", "H7")["number"] == made
    assert terminal.ask("patient", "unmerge", "H7")["number"] == "H7"


def test_a_wrong_time_or_verb_is_wrong_usage(terminal: Terminal) -> None:
    for words in (["exam", "protocol", "A1", "--at", "soon"], ["exam", "dance", "A1"], ["exam", "add"]):
        with pytest.raises(SystemExit) as ended:
            terminal.run(*words)
        assert ended.value.code == 2
