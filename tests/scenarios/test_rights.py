"""Who may: each row of the table, asked over HTTP as every role and typed as an allowed and a forbidden one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from console.client import Client, ServiceRefused
from core.vocabulary import Role
from tests.peers.process import Photopeakd
from tests.scenarios.desk import PASSWORD, Person, Said, employ

_REFUSED = 403
_ANSWERS = {_REFUSED, 404, 409}
_AT = "2030-01-02T09:00:00+08:00"


@dataclass(frozen=True)
class Row:
    """One row: a call that does it, the words that do it, and the roles that may with somebody else's case."""

    title: str
    call: tuple[str, str, dict[str, Any]]
    words: str
    may: set[str]
    password: bool = False
    forbidden: str = field(default="outside_reader")


_HERE = {role.value for role in Role} - {"outside_reader"}
ROWS = (
    Row("find and show", ("get", "exams/A1", {}), "exam show A1", _HERE),
    Row("register", ("post", "exams", {"patient": "P1", "procedure": "BONE-WB"}),
        "exam add --patient P1 --procedure BONE-WB", {"clerk", "nurse", "head"}, forbidden="doctor"),
    Row("edit", ("patch", "patients/P1", {"phone": "1"}), "patient edit P1 --phone 1", {"clerk", "nurse", "head"},
        forbidden="admin"),
    Row("cancel", ("post", "exams/A3/cancel", {"reason": "asked"}), "exam cancel A3 --reason asked",
        {"clerk", "nurse", "head"}, forbidden="technologist"),
    Row("merge", ("post", "patients/P1/merge", {"into": "P1"}), "patient merge P1 --into P1", {"head", "admin"},
        forbidden="clerk"),
    Row("triage", ("post", "exams/A1/triage", {"urgency": "urgent"}), "exam triage A1 --urgency urgent",
        {"nurse", "head"}, forbidden="clerk"),
    Row("assign", ("post", "exams/A1/assign", {"to": "head"}), "exam assign A1 --to head", {"nurse", "head"},
        forbidden="doctor"),
    Row("protocol", ("post", "exams/A1/protocol", {"plan": "x"}), "exam protocol A1 --plan x", {"doctor", "head"},
        forbidden="technologist"),
    Row("arrive", ("post", "exams/A1/arrive", {}), "exam arrive A1", {"nurse", "technologist", "head"},
        forbidden="clerk"),
    Row("inject", ("post", "exams/A1/dose/draw", {"mbq": 700}), "dose draw A1 --mbq 700",
        {"nurse", "technologist", "head"}, forbidden="doctor"),
    Row("view images", ("get", "exams/A1/series", {}), "images show A1",
        {"technologist", "physicist", "doctor", "head"}, forbidden="clerk"),
    Row("confirm a candidate", ("post", "images/unfiled/1.2.3/file", {"accession": "A1"}), "images file 1.2.3 A1",
        {"technologist", "physicist", "head", "admin"}, forbidden="doctor"),
    Row("unfile", ("post", "images/unfile", {"study_instance_uid": "1.2.3"}), "images unfile 1.2.3",
        {"physicist", "head", "admin"}, forbidden="technologist"),
    Row("open a report", ("post", "exams/A1/report/open", {}), "report open A1", {"doctor", "head"},
        forbidden="physicist"),
    Row("sign", ("post", "exams/A1/report/sign", {"fence": 1, "password": PASSWORD}), "report sign A1 --fence 1",
        {"doctor", "head"}, password=True),
    Row("withdraw", ("post", "exams/A1/report/withdraw", {"password": PASSWORD, "reason": "wrong patient"}),
        "report withdraw A1 --reason wrong", {"head"}, password=True, forbidden="doctor"),
    Row("ask for consultation", ("post", "consultations", {"accession": "A1", "question": "why"}),
        "consult request A1 --question why", {"doctor", "head"}, forbidden="nurse"),
    Row("schedule consultation", ("post", "consultations/1/schedule", {"at": _AT}),
        f"consult schedule 1 --at {_AT}", {"head"}, forbidden="doctor"),
    Row("devices", ("post", "devices/NOWHERE/echo", {}), "", {"admin"}),
    Row("catalogue", ("patch", "procedures/BONE-WB", {}), "", {"admin"}),
    Row("audit trail", ("get", "audit", {}), "", {"head", "admin"}),
)  # fmt: skip


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Person]]:
    """Everybody at a terminal of a department with two exams of one patient and a case to consult on."""
    folder = tmp_path_factory.mktemp("rights")
    with Photopeakd(folder / "data") as service:
        staff = {role.value: Person(service, folder, role.value) for role in Role}
        for name, person in staff.items():
            employ(service.folder, name, name.replace("_", "-"))
            person("login", name, password=True)
        clerk = staff["clerk"]
        clerk("patient", "add", "--number", "P1", "--name", "Zhang^Wei=张^伟", "--sex", "M")
        for accession in ("A1", "A2", "A3"):
            clerk("exam", "add", "--patient", "P1", "--procedure", "BONE-WB", "--accession", accession)
        staff["doctor"]("consult", "request", "A1", "--question", "why")
        yield staff


@pytest.fixture(scope="module")
def clients(people: dict[str, Person]) -> Iterator[dict[str, Client]]:
    signed_in = {name: person.client() for name, person in people.items()}
    yield signed_in
    for client in signed_in.values():
        client.close()


def _refused(client: Client, method: str, path: str, body: dict[str, Any]) -> bool:
    try:
        client.get(path) if method == "get" else getattr(client, method)(path, body)
    except ServiceRefused as refused:
        if refused.status not in _ANSWERS:
            raise
        return refused.status == _REFUSED
    return False


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.title)
def test_who_may_is_answered_alike_for_every_role(row: Row, clients: dict[str, Client]) -> None:
    assert {name for name, client in clients.items() if not _refused(client, *row.call)} == row.may


@pytest.mark.parametrize("row", [row for row in ROWS if row.words], ids=lambda row: row.title)
def test_who_may_is_answered_line_by_line(row: Row, people: dict[str, Person]) -> None:
    assert row.forbidden not in row.may
    with pytest.raises(Said, match=r"may not .*; ask one of: "):
        people[row.forbidden](*row.words.split(), password=row.password)
    try:
        people[min(row.may)](*row.words.split(), password=row.password)
    except Said as said:  # the rules may still say no, but not because of who asks
        assert "may not" not in str(said)  # noqa: PT017 - either way is right


def test_a_doctor_sets_the_urgency_of_a_case_of_their_own(people: dict[str, Person]) -> None:
    with pytest.raises(Said, match="beyond your own cases"):
        people["doctor"]("exam", "triage", "A2", "--urgency", "stat")
    people["nurse"]("exam", "assign", "A2", "--to", "doctor")
    assert people["doctor"]("exam", "triage", "A2", "--urgency", "stat")["urgency"] == "stat"


def test_an_outside_reader_hears_that_something_changed_but_not_of_whom(clients: dict[str, Client]) -> None:
    for name, subjects in (("outside_reader", {""}), ("clerk", {"P1", "A1"})):
        news = clients[name].news(0)
        heard = [next(news) for _ in range(3)][1:]  # after the greeting
        assert {one.data["subject"] for one in heard} == subjects
        news.close()  # type: ignore[attr-defined]
