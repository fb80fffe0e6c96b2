"""Images put right line by line, against the whole service: what came by DICOM, who may, what is printed."""

from __future__ import annotations

import io
import itertools
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from console import line
from console.client import Client, ServiceRefused
from core import access
from core.dicom.compose import Camera, Ordered, compose
from core.dicom.tracers import TRACERS
from core.imaging import phantom
from core.service import Service
from core.settings import Settings
from core.vocabulary import Role
from core.workflow import staffing
from tests.tables import HASHER, laid_in

PASSWORD = "a long enough one"
PEOPLE = {"head.chen": [Role.HEAD, Role.DOCTOR], "he.jun": [Role.PHYSICIST], "wang.li": [Role.CLERK]}


class Line:
    """A person at a terminal, and the camera beside it."""

    def __init__(self, service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.service, self.monkeypatch, self.capsys = service, monkeypatch, capsys
        self._uids = itertools.count(1)

    def says(self, *words: str, stdin: str = "") -> tuple[int, str, str]:
        self.monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        status = line.main([*words])
        said = self.capsys.readouterr()
        return status, said.out, said.err

    def asks(self, *words: str) -> Any:  # noqa: ANN401 - JSON
        status, out, err = self.says(*words, "--json")
        assert status == 0, err
        return json.loads(out)

    def signs_in(self, name: str) -> None:
        assert self.says("login", name, "--password-stdin", stdin=PASSWORD)[0] == 0

    def sends(self, accession: str, number: str = "P1") -> str:
        """Let the camera send a bone scan; return its Study UID."""
        study = f"1.2.88.{next(self._uids)}"
        ordered = Ordered(number, "Zhang^Wei=张^伟", "19610304", "M", accession=accession, study_instance_uid=study)
        objects = compose(
            phantom.bone_whole_body(np.random.default_rng(1)).acquisitions, ordered, Camera("SPECT1"), TRACERS["MDP"],
            uid=lambda: f"1.2.88.{next(self._uids)}", clock=lambda: datetime.now(UTC),
        )  # fmt: skip
        keeper, camera = self.service.keeper, access.device("SPECT1", "MAIN")
        for one in objects:
            path = self.service.settings.data / "camera.dcm"
            one.save_as(path, enforce_file_format=True)
            self.service.reception.receive(camera, keeper.stage_file(path, "SPECT1"))
        return study


@pytest.fixture
def at_the_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Line]:
    service = Service(Settings(data=laid_in(tmp_path / "data"), http="127.0.0.1:0", dicom="127.0.0.1:0"))
    admin = access.operator("root", "MAIN")
    with service.records.writing() as work:
        for name, roles in PEOPLE.items():
            hashed = staffing.hashed(HASHER, PASSWORD)
            staffing.add(work, admin, name, roles, password_hash=hashed)
    service.start()
    monkeypatch.setenv("PHOTOPEAK_SERVER", f"http://127.0.0.1:{service.http_port}")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    person = Line(service, monkeypatch, capsys)
    person.signs_in("head.chen")
    person.asks(
        "patient", "add", "--number", "P1", "--name", "Zhang^Wei=张^伟", "--birth-date", "1961-03-04", "--sex", "M"
    )
    for accession in ("A1", "A2"):
        person.asks("exam", "add", "--patient", "P1", "--procedure", "BONE-WB", "--visit", "outpatient",
                    "--accession", accession)  # fmt: skip
    yield person
    service.stop()


def test_images_are_filed_shown_corrected_and_restored_line_by_line(at_the_line: Line) -> None:
    filed = at_the_line.sends("A1")
    stray = at_the_line.sends("")
    status = at_the_line.asks("images", "status", "A1")
    assert (status["images"]["received"], status["studies"]) == (2, [filed])

    [waiting] = at_the_line.asks("images", "unfiled")
    assert (waiting["study_instance_uid"], waiting["state"]) == (stray, "unfiled")
    assert {one["accession"] for one in waiting["candidates"]} == {"A1", "A2"}
    assert at_the_line.asks("images", "candidates", str(waiting["id"]))["candidates"] == waiting["candidates"]

    done = at_the_line.asks("images", "file", stray, "A2")
    assert set(done) == {"id", "kind", "study_instance_uid", "from", "to", "reason", "by", "at", "undone_at"}
    assert (done["from"]["accession"], done["to"]["accession"], done["by"]) == (None, "A2", "head.chen")
    assert at_the_line.asks("images", "undo", str(done["id"]))["undone_at"]
    assert at_the_line.says("images", "undo", str(done["id"]))[0] == 1

    taken = at_the_line.asks("images", "unfile", filed, "--reason", "wrong patient on the table")
    assert (taken["kind"], taken["reason"]) == ("unfile", "wrong patient on the table")
    assert at_the_line.asks("images", "status", "A1")["report"]["lock_reason"] == "no_images"
    assert [one["id"] for one in at_the_line.asks("images", "corrections")] == [taken["id"], done["id"]]


def test_a_clerk_corrects_nothing_and_is_told_who_may(at_the_line: Line) -> None:
    study = at_the_line.sends("A1")
    at_the_line.signs_in("wang.li")
    status, out, err = at_the_line.says("images", "unfile", study, "--json")
    assert (status, out) == (1, "")
    assert "ask one of: physicist, head, admin" in err


def test_a_picture_is_asked_for_by_exam_study_or_object(at_the_line: Line) -> None:
    study = at_the_line.sends("A1")
    [series] = at_the_line.asks("images", "show", "A1")
    assert at_the_line.asks("images", "show", study) == [series]
    picture = at_the_line.asks("images", "show", series["instances"][0]["uid"], "--frame", "1", "--map", "hot_iron")
    assert (picture["frames"], picture["frames_total"], picture["palette"]) == ([1], 2, "hot_iron")
    prose = at_the_line.says("images", "show", "A1")[1]
    assert "window 0 to" in prose
    assert "▀" not in prose, "a pipe gets numbers, a terminal gets the picture"
    status, _, err = at_the_line.says("images", "show", "1.2.3.4")
    assert (status, err) == (1, "photopeak: no object 1.2.3.4 is in the archive\n")


def test_of_two_people_filing_at_once_one_is_told(at_the_line: Line) -> None:
    study = at_the_line.sends("")
    server = f"http://127.0.0.1:{at_the_line.service.http_port}"
    said: dict[str, Any] = {}
    together = threading.Barrier(2)

    def files(name: str, accession: str) -> None:
        client = Client(server)
        client.sign_in(name, PASSWORD)
        together.wait(30)
        try:
            said[name] = client.post(f"images/unfiled/{study}/file", {"accession": accession, "reason": "mine"})
        except ServiceRefused as refused:
            said[name] = refused
        client.close()

    threads = [threading.Thread(target=files, args=pair) for pair in (("head.chen", "A1"), ("he.jun", "A2"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    [refused] = [one for one in said.values() if isinstance(one, ServiceRefused)]
    assert refused.status == 409
    assert "already: unfile them first" in refused.detail
    assert sum(at_the_line.asks("images", "status", one)["images"]["received"] for one in ("A1", "A2")) == 2


def test_what_was_mended_in_an_object_is_told_wherever_it_is_shown(at_the_line: Line) -> None:
    service, path = at_the_line.service, at_the_line.service.settings.data / "old.dcm"
    one: Any = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = "1.2.88.77.1"
    one.StudyInstanceUID = "1.2.88.77"
    one[0x00100010] = pydicom.DataElement(0x00100010, "PN", "Name^Of^Tenl")
    one.save_as(path)
    whole = path.read_bytes()
    name = "王^芳".encode("gbk").ljust(len("Name^Of^Tenl"))
    path.write_bytes(whole.replace(b"Name^Of^Tenl", name))
    service.intake.bring(access.operator("root", "MAIN"), path)
    (series,) = at_the_line.asks("images", "show", "1.2.88.77")
    (instance,) = series["instances"]
    assert series["sent_patient_name"] == "王^芳"
    assert instance["charset"] == {"said": "ISO_IR 100", "found": "GB18030", "confidence": pytest.approx(1, abs=0.1)}
    (repair,) = [repair for repair in instance["repairs"] if "GB18030" in repair]
    assert at_the_line.asks("images", "candidates", "1.2.88.77")["repairs"] == instance["repairs"]
    (converted,) = at_the_line.asks("images", "converted")
    assert (converted["sop_instance_uid"], converted["repairs"]) == ("1.2.88.77.1", instance["repairs"])
    assert repair in at_the_line.says("images", "converted")[1]
    assert repair in at_the_line.says("images", "show", "1.2.88.77")[1]


def test_an_object_kept_apart_gets_a_uid_of_its_own_from_whoever_may_file(at_the_line: Line) -> None:
    service, operator = at_the_line.service, access.operator("root", "MAIN")
    path = service.settings.data / "twice.dcm"
    one: Any = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    for name in ("First^One", "Second^One"):
        one.PatientName = name
        one.save_as(path)
        service.intake.bring(operator, path)
    (apart,) = at_the_line.asks("images", "quarantined")
    at_the_line.signs_in("wang.li")
    assert at_the_line.says("images", "admit", str(apart["id"]))[0] == 1
    at_the_line.signs_in("he.jun")
    admitted = at_the_line.asks("images", "admit", str(apart["id"]))
    assert admitted["sop_uid"] != one.SOPInstanceUID
    assert at_the_line.says("images", "admit", "999")[0] == 1
