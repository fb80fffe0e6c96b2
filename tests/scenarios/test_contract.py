"""What scripts of other hospitals rely on: spellings, exit statuses, shapes, and one line for whatever is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from tests.peers.process import ROOT, Photopeakd, photopeakd
from tests.scenarios.desk import Person, Said, employ, operate

PATIENT = {"number", "name", "name_ideographic", "birth_date", "sex", "phone", "visits", "exams"}
EXAM = {
    "accession", "patient_number", "patient_name", "request_number", "procedure", "visit", "urgency", "state",
    "registered_at", "assigned_to", "device", "study_instance_uid", "studies", "evidence", "charge", "steps", "images",
    "report", "site",
}  # fmt: skip
STEP = {
    "id", "name", "state", "devices", "planned_at", "arrived_at", "injected_at", "started_at", "finished_at", "images",
}  # fmt: skip
IMAGES = {"state", "received", "expected", "unit", "first_at", "last_at", "due_at"}
EXAM_REPORT = {"state", "version", "locked", "lock_reason", "holder", "due_at"}
REPORT = {"accession", "state", "version", "text", "author", "signed_by", "signed_at", "fence"}
CONSULTATION = {"id", "accession", "question", "state", "scheduled_at", "opinions", "conclusion"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Photopeakd]:
    with Photopeakd(tmp_path_factory.mktemp("contract") / "data") as running:
        operate(running.folder, "device", "add", "CAM1", "127.0.0.1", "11999", "--modality", "NM")
        yield running


@pytest.fixture(scope="module")
def head(service: Photopeakd) -> Person:
    """Somebody with several roles."""
    employ(service.folder, "head", "head", "technologist", "physicist")
    person = Person(service, service.folder.parent, "head")
    person("login", "head", password=True)
    person("patient", "add", "--number", "P1", "--name", "Zhang^Wei=张^伟", "--birth-date", "1961-03-04", "--sex", "M")
    return person


def _typed(person: Person, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PHOTOPEAK_SERVER": person.server, "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "console", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT, env=environment, check=False)


def test_an_exam_and_a_patient_have_the_keys_scripts_read(head: Person) -> None:
    exam = head("exam", "add", "--patient", "P1", "--procedure", "BONE-WB", "--visit", "checkup", "--accession", "A1",
                "--charge", "green_channel", "--weight", "70.5")  # fmt: skip
    assert exam.keys() >= EXAM
    assert exam["steps"][0].keys() >= STEP
    assert exam["images"].keys() >= IMAGES
    assert exam["report"].keys() >= EXAM_REPORT
    assert (exam["visit"], exam["charge"], exam["site"]) == ("checkup", "green_channel", "MAIN")
    assert datetime.fromisoformat(exam["registered_at"]).tzinfo
    patient = head("patient", "show", "P1")
    assert patient.keys() >= PATIENT
    assert patient["exams"] == ["A1"]
    assert head("exam", "show", "P1") == head("exam", "show", exam["id"]) == head("exam", "show", "A1")
    assert isinstance(head("patient", "find", "P1"), list)
    assert isinstance(head("exam", "list", "--date", "today", "--limit", "1"), list)
    assert head("report", "show", "A1").keys() >= REPORT
    assert head("consult", "request", "A1", "--question", "why").keys() >= CONSULTATION


def test_hyphens_and_underscores_are_both_read(head: Person, service: Photopeakd) -> None:
    for name, role in (("near", "outside-reader"), ("far", "outside_reader")):
        assert employ(service.folder, name, role)["roles"] == ["outside_reader"]
    assert head("exam", "list", "--state", "in-progress") == head("exam", "list", "--state", "in_progress") == []
    assert head("consult", "list", "--state", "in-session") == []
    head("exam", "add", "--patient", "P1", "--procedure", "BONE-WB", "--accession", "A2")
    assert head("exam", "not_done", "A2", "--reason", "went home")["state"] == "not_done"
    assert [one["accession"] for one in head("exam", "list", "--state", "not-done")] == ["A2"]


def test_a_number_with_a_slash_is_a_number_like_any_other(head: Person) -> None:
    head("patient", "add", "--number", "2026/9", "--name", "Li^Na", "--sex", "F")
    head("exam", "add", "--patient", "2026/9", "--procedure", "THYROID", "--accession", "NM/1/7")
    assert head("exam", "triage", "NM/1/7", "--urgency", "stat")["urgency"] == "stat"
    assert head("patient", "show", "2026/9")["exams"] == ["NM/1/7"]
    assert head("report", "show", "NM/1/7")["accession"] == "NM/1/7"


def test_options_every_command_has_stand_before_or_after_it(head: Person) -> None:
    said = _typed(head, "--json", "--server", "http://127.0.0.1:1", "exam", "list")
    assert (said.returncode, said.stdout) == (1, "")
    assert "127.0.0.1:1 does not answer" in said.stderr
    assert head("exam", "list", "--site", "MAIN") == head("exam", "list")
    with pytest.raises(Said, match="works at MAIN, not at ELSEWHERE"):
        head("exam", "list", "--site", "ELSEWHERE")


@pytest.mark.parametrize(
    "words",
    ["nonsense", "stats", "process run", "group import x.csv", "web", "exam dance", "exam add", "exam list --limit x",
     "exam schedule A1 --at soon", "consult schedule 1 --at soon", "report save A1 --fence 1 --text words"],
)  # fmt: skip
def test_a_command_called_wrongly_says_so_in_one_line(words: str, head: Person) -> None:
    said = _typed(head, *words.split())
    assert (said.returncode, said.stdout, said.stderr.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("words", ["backup x", "restore x", "selftest", "send A", "fetch A", "staff add", "staff"])
def test_the_service_is_called_wrongly_in_one_line(words: str, service: Photopeakd) -> None:
    said = photopeakd(*words.split(), folder=service.folder)
    assert (said.returncode, said.stdout, said.stderr.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(
    "words",
    ["reindex", "migrate", "serve", "import /nowhere", "device echo NOWHERE",
     "send A Q", "fetch A Q", "device add CAM2 host 104 --site NOWHERE",
     "device add CAM2 host 104 --charset KLINGON", "staff disable nobody", "staff add x --role doctor --site NOWHERE",
     "staff add x --role doctor --key README.md", "site add a/b name"],
)  # fmt: skip
def test_what_the_service_refuses_it_refuses_in_one_line(words: str, service: Photopeakd) -> None:
    said = photopeakd(*words.split(), folder=service.folder)
    assert (said.returncode, said.stderr.count("\n")) == (1, 1), said.stderr


def test_an_option_makes_no_site(service: Photopeakd) -> None:
    photopeakd("device", "add", "CAM2", "host", "104", "--site", "NOWHERE", folder=service.folder)
    assert [site["code"] for site in operate(service.folder, "site", "list")] == ["MAIN"]


def test_a_folder_that_cannot_be_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "photopeak.sqlite").write_text("no database")
    for folder in (tmp_path / "file", tmp_path):
        said = photopeakd("staff", "list", folder=folder)
        assert (said.returncode, said.stdout, said.stderr.count("\n")) == (1, "", 1), said.stderr


@pytest.mark.parametrize("path", ["consultations/{n}", "audit?offset={n}", "events?after={n}", "exams?offset={n}"])
def test_a_number_no_database_can_hold_is_refused(path: str, head: Person) -> None:
    client = head.client()
    answer = httpx.get(
        f"{head.server}/api/v1/{path.format(n=10**20)}", headers={"Authorization": f"Bearer {client.token}"}, timeout=30
    )
    client.close()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json().keys() == {"type", "title", "status", "detail"}


def test_the_screens_without_a_terminal_say_so_and_end() -> None:
    command = [sys.executable, "-m", "console"]
    said = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr == "photopeak: the screens need a terminal; 'photopeak --help' says what needs none\n"
