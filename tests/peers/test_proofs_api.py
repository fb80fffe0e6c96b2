"""A verification asked for over HTTP is made behind the scenes; health, and what is too long, are answered rightly."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom.data import get_testdata_file
from sqlmodel import select

from core import access
from core.model import FormDraft, Image
from core.vocabulary import Role
from core.workflow import staffing
from tests.peers.serving import OPERATOR, Department, serving
from tests.tables import HASHER

CAMERA = access.device("CAM1", "MAIN")
PASSWORD = "a password that is long enough"
Call = Callable[..., httpx.Response]


def _employ(department: Department) -> None:
    hashed = staffing.hashed(HASHER, PASSWORD)
    with department.records.writing() as work:
        for role in (Role.ADMIN, Role.CLERK, Role.NURSE):
            staffing.add(work, OPERATOR, role.value, [role], password_hash=hashed)


def _caller(client: httpx.Client) -> Call:
    tokens: dict[str, str] = {}

    def send(role: str, method: str, path: str, **said: Any) -> httpx.Response:  # noqa: ANN401 - as httpx takes
        if role not in tokens:
            tokens[role] = client.post("session", json={"username": role, "password": PASSWORD}).json()["token"]
        return client.request(method, path, headers={"Authorization": f"Bearer {tokens[role]}"}, **said)

    return send


@pytest.fixture(scope="module")
def department(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Department]:
    with serving(tmp_path_factory.mktemp("proofs")) as running:
        _employ(running)
        yield running


@pytest.fixture(scope="module")
def client(department: Department) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{department.service.http_port}/api/v1", timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def call(client: httpx.Client) -> Call:
    return _caller(client)


def _proven(call: Call, *, deep: bool) -> dict[str, Any]:
    begun = call("admin", "POST", "proofs", json={"deep": deep})
    assert begun.status_code == 201, begun.text
    until = time.monotonic() + 60
    while time.monotonic() < until:
        row: dict[str, Any] = next(
            row for row in call("clerk", "GET", "proofs").json() if row["id"] == begun.json()["id"]
        )
        if row["ended_at"]:
            return row
        time.sleep(0.05)
    raise AssertionError("the verification never ended")


def test_a_verification_asked_for_finds_what_was_changed(department: Department, call: Call) -> None:
    keeper = department.service.keeper
    department.service.reception.receive(CAMERA, keeper.stage_file(Path(str(get_testdata_file("CT_small.dcm")))))
    assert _proven(call, deep=True)["faults"] == 0
    with department.records.reading() as work:
        image = work.session.exec(select(Image)).one()
    place = keeper.local(image)
    place.write_bytes(place.read_bytes()[:-1] + b"!")
    assert _proven(call, deep=True)["faults"] == 1
    [damage] = call("clerk", "GET", "damages").json()
    assert (damage["sop_instance_uid"], damage["exams"]) == (image.sop_uid, [])
    assert call("admin", "GET", "service").json()["archive"]["damaged"] == 1


def test_only_who_administers_asks_for_one(call: Call) -> None:
    assert call("clerk", "POST", "proofs", json={}).status_code == 403


def test_anybody_hears_whether_it_is_ready_and_what_it_counts(client: httpx.Client) -> None:
    root = str(client.base_url).removesuffix("/api/v1/")
    assert [part["ready"] for part in httpx.get(f"{root}/readyz").json()] == [True] * 4
    said = httpx.get(f"{root}/metrics").text
    names = (
        "associations",
        "associations_total",
        "objects_acknowledged_total",
        "archive_bytes",
        "jobs",
        "disk_free_bytes",
    )
    for name in names:
        assert f"photopeak_{name}" in said, name


def test_a_draft_and_a_body_have_their_bounds(department: Department, call: Call) -> None:
    assert call("clerk", "PUT", "drafts/registration", json={"name": "张" * 50_000}).status_code == 204
    assert call("clerk", "PUT", "drafts/registration", json={"name": "x" * 100_001}).status_code == 422
    assert call("clerk", "PUT", f"drafts/{'f' * 65}", json={"name": "x"}).status_code == 422
    for number in range(205):
        assert call("clerk", "PUT", f"drafts/form-{number}", json={"name": "x"}).status_code == 204
    with department.records.reading() as work:
        forms = set(work.session.exec(select(FormDraft.form)))
    assert len(forms) == 200
    assert {"form-204", "form-5"} <= forms
    assert call("clerk", "POST", "patients", content=b"[" * (5 << 20)).status_code == 413
    assert call("clerk", "POST", "patients", content=(b"[" * (1 << 20) for _ in range(5))).status_code == 413


def test_a_number_that_no_database_holds_is_the_callers_fault(department: Department, call: Call) -> None:
    department.scheduled("张伟", "A1")
    for power in (12, 30):
        answer = call("nurse", "POST", "exams/A1/start", json={"step": 10**power})
        assert 400 <= answer.status_code < 500, answer.text


@pytest.mark.peer("postgres")
def test_what_postgresql_finds_too_long_is_the_callers_fault(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str
) -> None:
    with serving(tmp_path_factory.mktemp("long"), database=postgres_url) as department:
        _employ(department)
        with httpx.Client(base_url=f"http://127.0.0.1:{department.service.http_port}/api/v1", timeout=60) as client:
            call = _caller(client)
            patient = {"name": "Zhang^Wei", "number": "P-LONG", "accept_similar": True}
            assert call("clerk", "POST", "patients", json=patient).status_code == 201
            exam = {"patient": "P-LONG", "procedure": "BONE-WB", "accession": "A-LONG", "pregnancy": "x" * 64}
            answers = [
                call("clerk", "POST", "exams", json={**exam, "visit_number": "9" * 64, "ward": "W" * 64}),
                call("clerk", "GET", f"patients/{'9' * 400}"),
                call("clerk", "GET", f"exams/{'A' * 4000}"),
                call("clerk", "GET", "patients", params={"query": "Z" * 5000}),
                call("clerk", "GET", "find", params={"query": "Z\0" * 50}),
                call("clerk", "PATCH", "patients/P-LONG", json={"phone": "1" * 64, "address": "长" * 4000}),
                call("clerk", "PUT", f"drafts/{'f' * 200}", json={"a": "b"}),
                call("admin", "POST", "images/unfiled/1/file", json={"accession": "A-LONG", "step": 10**30}),
                *(call("nurse", "POST", "exams/A-LONG/start", json={"step": 10**power}) for power in (12, 30)),
            ]
    assert [answer.status_code for answer in answers if answer.status_code >= 500] == []
