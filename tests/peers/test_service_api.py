"""The service page's facts over HTTP: parts, archive, who called, devices and their echo, staff, audit trail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from core.vocabulary import Role
from core.workflow import staffing
from tests.peers.serving import AET, OPERATOR, Department, serving
from tests.tables import HASHER

# pynetdicom leaves sockets of ended associations to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")

Call = Callable[[str, str, str], httpx.Response]
PASSWORD = "a password that is long enough"


@pytest.fixture(scope="module")
def department(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Department]:
    with serving(tmp_path_factory.mktemp("service")) as running:
        running.device(AET, port=running.port)
        hashed = staffing.hashed(HASHER, PASSWORD)
        with running.records.writing() as work:
            for role in (Role.ADMIN, Role.HEAD, Role.TECHNOLOGIST):
                staffing.add(work, OPERATOR, role.value, [role], password_hash=hashed)
        running.scheduled("张伟", "A1")
        running.worklist()
        yield running


@pytest.fixture(scope="module")
def call(department: Department) -> Iterator[Call]:
    """Call the API as somebody: `call(role, method, path)`."""
    with httpx.Client(base_url=f"http://127.0.0.1:{department.service.http_port}/api/v1", timeout=60) as client:
        tokens: dict[str, str] = {}

        def send(role: str, method: str, path: str) -> httpx.Response:
            if role not in tokens:
                signed_in = client.post("session", json={"username": role, "password": PASSWORD})
                tokens[role] = signed_in.json()["token"]
            return client.request(method, path, headers={"Authorization": f"Bearer {tokens[role]}"})

        yield send


def test_the_service_tells_its_parts_its_archive_and_who_called(call: Call) -> None:
    facts: dict[str, Any] = call("technologist", "GET", "service").json()
    assert {part["name"]: part["ready"] for part in facts["parts"]}["dicom"] is True
    assert (facts["archive"]["images"], facts["archive"]["bytes"]) == (0, 0)
    assert facts["archive"]["free_bytes"] > 0
    assert [(one["aet"], one["service"], one["device"]) for one in facts["heard"]] == [("CAM1", "worklist", "CAM1")]


def test_devices_are_listed_with_when_they_were_heard(call: Call) -> None:
    heard = {one["aet"]: one["last_heard_at"] for one in call("technologist", "GET", "devices").json()}
    assert heard["CAM1"] is not None
    assert heard[AET] is None


def test_a_device_answers_an_echo_or_is_named_with_what_to_do(call: Call) -> None:
    assert call("admin", "POST", f"devices/{AET}/echo").json() == {"aet": AET, "answered": True}
    silent = call("admin", "POST", "devices/CAM1/echo")
    assert silent.status_code == 502
    assert "cannot be reached" in silent.json()["detail"]
    assert call("admin", "POST", "devices/NOBODY/echo").status_code == 404
    assert call("technologist", "POST", f"devices/{AET}/echo").status_code == 403


def test_staff_are_listed(call: Call) -> None:
    assert {one["username"] for one in call("technologist", "GET", "staff").json()} == {"admin", "head", "technologist"}


def test_the_audit_trail_is_read_by_head_and_admin_alone(call: Call) -> None:
    for role in ("head", "admin"):
        entries = call(role, "GET", "audit?subject=A1&limit=2").json()
        assert [entry["action"] for entry in entries] == ["exam.protocol", "exam.register"]
    assert call("technologist", "GET", "audit").status_code == 403
