"""Orthanc's DICOMweb plugin searches us, fetches from us and stores to us."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread

from core.vocabulary import Role
from core.workflow import staffing
from tests.conftest import find_peer
from tests.peers.process import slices
from tests.peers.serving import OPERATOR, Department, serving
from tests.tables import HASHER

# pynetdicom leaves sockets of ended associations to the garbage collector.
pytestmark = [
    pytest.mark.peer("Orthanc", "orthanc-dicomweb"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
]
PASSWORD = "a password that is long enough"


@pytest.fixture(scope="module")
def department(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Department]:
    with serving(tmp_path_factory.mktemp("dicomweb")) as running:
        hashed = staffing.hashed(HASHER, PASSWORD)
        with running.records.writing() as work:
            staffing.add(work, OPERATOR, "orthanc", [Role.PHYSICIST], password_hash=hashed)
        yield running


@pytest.fixture(scope="module")
def orthanc(
    department: Department, tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]
) -> Iterator[httpx.Client]:
    folder, http = tmp_path_factory.mktemp("orthanc"), free_port()
    ours = f"http://127.0.0.1:{department.service.http_port}"
    token = httpx.post(f"{ours}/api/v1/session", json={"username": "orthanc", "password": PASSWORD}).json()["token"]
    server = {"Url": f"{ours}/dicomweb/", "HttpHeaders": {"Authorization": f"Bearer {token}"}}
    settings = {
        "StorageDirectory": str(folder), "IndexDirectory": str(folder), "HttpPort": http, "DicomPort": free_port(),
        "RemoteAccessAllowed": False, "AuthenticationEnabled": False, "Plugins": [str(find_peer("orthanc-dicomweb"))],
        "DicomWeb": {"Enable": True, "Servers": {"us": server}},
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(settings))
    command = [str(find_peer("Orthanc")), str(folder / "orthanc.json")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{http}", timeout=60) as client:
            _wait_for(client)
            yield client
    finally:
        process.terminate()
        process.wait(20)


def _wait_for(client: httpx.Client) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(httpx.TransportError):
            if client.get("/system").status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError("Orthanc did not start")


def test_orthanc_stores_to_us_searches_us_and_fetches_back(
    department: Department, orthanc: httpx.Client, tmp_path: Path
) -> None:
    files = slices(tmp_path / "s", 4, number="PO1")
    study = str(dcmread(files[0]).StudyInstanceUID)
    for file in files:
        assert orthanc.post("/instances", content=file.read_bytes()).status_code == 200
    (known,) = orthanc.get("/studies").json()

    stored = orthanc.post("/dicom-web/servers/us/stow", json={"Resources": [known], "Synchronous": True})
    assert stored.status_code == 200, stored.text
    assert stored.json()["InstancesCount"] == "4"

    asked = {"Uri": "/studies", "Arguments": {"PatientID": "PO1"}}
    (found,) = orthanc.post("/dicom-web/servers/us/qido", json=asked).json()
    assert found["0020000D"]["Value"] == study
    assert found["00080061"]["Value"] == "CT"

    orthanc.delete(f"/studies/{known}")
    assert orthanc.get("/studies").json() == []
    wanted = {"Resources": [{"Study": study}], "Synchronous": True}
    fetched = orthanc.post("/dicom-web/servers/us/retrieve", json=wanted)
    assert fetched.status_code == 200, fetched.text
    back = {one: orthanc.get(f"/instances/{one}/file").content for one in orthanc.get("/instances").json()}
    sent = {str(dcmread(file).SOPInstanceUID): dcmread(file).PixelData for file in files}
    pixels = {}
    for content in back.values():
        (tmp_path / "back.dcm").write_bytes(content)
        one = dcmread(tmp_path / "back.dcm")
        pixels[str(one.SOPInstanceUID)] = one.PixelData
    assert pixels == sent
