"""Objects go out: byte for byte where the node takes them, by jobs that outlive a node that is away and a kill."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest

from core import access, wire
from core.errors import Forbidden, Invalid, NotFound
from core.opening import open_records
from core.settings import Settings
from core.vocabulary import JobState, Role
from core.workflow import devices, queue, sending, staffing
from tests.peers.process import Photopeakd, photopeakd, slices
from tests.peers.receiving import datasets, storescp, until
from tests.peers.serving import OPERATOR, Department, serving
from tests.tables import HASHER

pytestmark = pytest.mark.peer("storescp", "storescu")


@pytest.fixture
def port(free_port: Callable[[], int]) -> int:
    return free_port()


@pytest.fixture
def archive(tmp_path: Path, port: int) -> Iterator[Department]:
    """Serve an archive of six slices of patient P1 that knows PACS."""
    slices(tmp_path / "in", 6)
    with serving(tmp_path / "data") as department:
        department.device("PACS", port=port)
        give(department.port, tmp_path / "in")
        yield department


def give(port: int, folder: Path, *options: str) -> None:
    command = ["storescu", *options, "-aec", "PHOTOPEAK", "127.0.0.1", str(port), "+sd", str(folder)]
    subprocess.run(command, check=True, timeout=60)


def sent(archive: Department, *query: str, ends: JobState = JobState.DONE) -> wire.Job:
    with archive.records.writing() as work:
        number = sending.enqueue(work, OPERATOR, "PACS", query).id
    until(lambda: job(archive, number).state is ends)
    return job(archive, number)


def job(archive: Department, number: int) -> wire.Job:
    with archive.records.reading() as work:
        return queue.one(work, OPERATOR, number)


def test_a_patients_objects_arrive_byte_for_byte(archive: Department, tmp_path: Path, port: int) -> None:
    with storescp(tmp_path / "out", port, "+xa", "+B") as out:
        done = sent(archive, "P1")
    assert (done.done, done.total, done.result["sent"]) == (6, 6, 6)
    assert datasets(out) == datasets(tmp_path / "in")


def test_a_query_chooses_by_keys_or_by_one_number(archive: Department, tmp_path: Path) -> None:
    uids = list(datasets(tmp_path / "in"))
    study = str(pydicom.dcmread(tmp_path / "in" / "0000.dcm").StudyInstanceUID)
    with archive.records.reading() as work:
        assert set(sending.choose(work, OPERATOR, [study])) == set(uids)
        assert sending.choose(work, OPERATOR, [f"SOPInstanceUID={uids[2]}", "PatientID=P*"]) == [uids[2]]
        assert len(sending.choose(work, OPERATOR, ["Modality=CT", "StudyDate=19900101-"])) == 6
        for query in (["P2"], ["PatientID=P2*"], ["PatientID=P_"], ["StudyDate=-19900101"]):
            with pytest.raises(NotFound, match="nothing in the archive answers"):
                sending.choose(work, OPERATOR, query)
        with pytest.raises(Invalid, match="'Colour' is no key"):
            sending.choose(work, OPERATOR, ["Colour=red"])
        with pytest.raises(Forbidden):
            sending.choose(work, access.person("wang.li", "MAIN", Role.CLERK), ["P1"])


def test_a_node_that_is_away_gets_its_objects_when_it_is_back(archive: Department, tmp_path: Path, port: int) -> None:
    with archive.records.writing() as work:
        number = sending.enqueue(work, OPERATOR, "PACS", ["P1"]).id
    until(lambda: "cannot be reached" in job(archive, number).error)
    assert job(archive, number).state is JobState.QUEUED
    with storescp(tmp_path / "out", port) as out:
        with archive.records.writing() as work:
            queue.retry(work, OPERATOR, number)
        until(lambda: job(archive, number).state is JobState.DONE)
    assert len(datasets(out)) == 6


def test_a_node_that_takes_only_plain_objects_gets_them_rewritten(
    archive: Department, tmp_path: Path, port: int
) -> None:
    (plain,) = slices(tmp_path / "plain", 1, size=64, number="P7")
    one: Any = pydicom.dcmread(plain)
    one.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
    (tmp_path / "rle").mkdir()
    one.save_as(tmp_path / "rle" / "one.dcm")
    give(archive.port, tmp_path / "rle", "-xr")
    with storescp(tmp_path / "out", port, "+xi") as out:
        assert sent(archive, "P7").result["sent"] == 1
    (received,) = out.iterdir()
    got: Any = pydicom.dcmread(received)
    assert got.file_meta.TransferSyntaxUID == pydicom.uid.ImplicitVRLittleEndian
    assert got.PixelData == pydicom.dcmread(plain).PixelData


def test_what_a_node_refuses_is_told_and_the_rest_is_sent(archive: Department, tmp_path: Path, port: int) -> None:
    lost = str(pydicom.dcmread(tmp_path / "in" / "0003.dcm").SOPInstanceUID)
    for path in (tmp_path / "data" / "archive").rglob("*"):
        if path.is_file() and lost in path.name:
            path.unlink()
    with storescp(tmp_path / "out", port) as out:
        failed = sent(archive, "P1", ends=JobState.FAILED)
    assert (failed.result["sent"], failed.result["refused"]) == (5, 1)
    assert "PACS did not take 1 of 6" in failed.error
    assert datasets(out).keys() == datasets(tmp_path / "in").keys() - {lost}


def test_the_command_sends_and_says_how_it_ended(archive: Department, tmp_path: Path, port: int) -> None:
    folder = tmp_path / "data"
    with storescp(tmp_path / "out", port) as out:
        said = photopeakd("send", "PACS", "P1", "--json", folder=folder)
        assert said.returncode == 0, said.stderr
        assert json.loads(said.stdout)["state"] == "done"
        assert len(datasets(out)) == 6
    away = photopeakd("send", "PACS", "P1", folder=folder)
    assert away.returncode == 1
    assert "stays queued, and is tried again by the service" in away.stderr


def test_a_kill_in_the_middle_of_sending_loses_nothing(tmp_path: Path, port: int) -> None:
    slices(tmp_path / "in", 200)
    with storescp(tmp_path / "out", port) as out, Photopeakd(tmp_path / "data") as service:
        give(service.port, tmp_path / "in")
        records = open_records(Settings(service.folder))
        with records.writing() as work:
            devices.add(work, OPERATOR, wire.Device(aet="PACS", host="127.0.0.1", port=port))
            sending.enqueue(work, OPERATOR, "PACS", ["P1"])
        until(lambda: len(list(out.iterdir())) >= 20)
        service.kill()
        assert service.rows("select state from job") == [("running",)]
        service.start()
        until(lambda: service.rows("select state from job") == [("done",)])
        assert service.rows("select state, count(*) from delivery group by state") == [("sent", 200)]
        records.close()
    assert datasets(out) == datasets(tmp_path / "in")


def test_who_may_view_images_sends_them_over_http_and_gives_their_own_job_up(archive: Department) -> None:
    hashed = staffing.hashed(HASHER, "a long password")
    with archive.records.writing() as work:
        for role in (Role.TECHNOLOGIST, Role.CLERK, Role.PHYSICIST):
            staffing.add(work, OPERATOR, role.value, [role], password_hash=hashed)
    with httpx.Client(base_url=f"http://127.0.0.1:{archive.service.http_port}/api/v1", timeout=60) as client:

        def call(role: Role, path: str, body: object) -> httpx.Response:
            token = client.post("session", json={"username": role, "password": "a long password"}).json()["token"]
            return client.post(path, json=body, headers={"Authorization": f"Bearer {token}"})

        asked = {"query": ["P1"], "commit": True}
        assert call(Role.CLERK, "devices/PACS/send", asked).status_code == 403
        queued = call(Role.TECHNOLOGIST, "devices/PACS/send", asked)
        assert (queued.status_code, queued.json()["total"]) == (202, 6)
        number = queued.json()["id"]
        until(lambda: job(archive, number).state is JobState.QUEUED and bool(job(archive, number).error))
        assert call(Role.PHYSICIST, f"jobs/{number}/cancel", {}).status_code == 403
        assert call(Role.TECHNOLOGIST, f"jobs/{number}/cancel", {}).json()["state"] == "cancelled"
        assert call(Role.TECHNOLOGIST, f"jobs/{number}/cancel", {}).status_code == 409
