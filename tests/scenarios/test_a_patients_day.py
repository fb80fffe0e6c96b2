"""A patient's day with real processes: the service, a console for each person, DCMTK as the camera.

Each test is a stretch of the path; they share one department and are played in the order they stand in.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid

from console.client import Client
from core.dicom.compose import Ordered
from tests.peers.process import Photopeakd, photopeakd
from tests.scenarios.desk import (
    Listener,
    Person,
    Said,
    acquired,
    employ,
    operate,
    send,
    worklist,
    written,
)

pytestmark = [pytest.mark.slow, pytest.mark.peer("findscu", "storescu")]

STAFF = {
    "clerk.a": ("clerk",),
    "nurse.b": ("nurse",),
    "tech.c": ("technologist",),
    "physicist.d": ("physicist",),
    "doctor.e": ("doctor",),
    "doctor.f": ("doctor",),
    "head.g": ("head",),
    "admin.h": ("admin",),
}


class Department:
    """The service on its folder, and everybody signed in."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder.parent / "camera"
        self.service = Photopeakd(folder)
        self.service.start()
        self.added = {name: employ(folder, name, *roles) for name, roles in STAFF.items()}
        operate(folder, "device", "add", "CAM1", "127.0.0.1", "104", "--modality", "NM")
        home = folder.parent / "homes"
        self.people = {name.partition(".")[0]: Person(self.service, home, name) for name in STAFF if name != "doctor.f"}
        self.people["doctor2"] = Person(self.service, home, "doctor.f")
        self.lines: list[Client] = []
        for person in self.people.values():
            assert person("login", person.name, password=True)["username"] == person.name

    def __getattr__(self, name: str) -> Person:
        return self.people[name]

    def registered(self, number: str, accession: str) -> None:
        who = ("--name", "Testperson^One", "--birth-date", "1961-03-04", "--sex", "M")
        self.clerk("patient", "add", "--number", number, *who)
        self.clerk("exam", "add", "--patient", number, "--procedure", "BONE-WB", "--accession", accession)

    def on_the_worklist(self, number: str, accession: str) -> Ordered:
        """Register, protocol, and return what the camera gets."""
        self.registered(number, accession)
        self.head("exam", "assign", accession, "--to", "doctor.e")
        self.doctor("exam", "protocol", accession, "--device", "CAM1")
        return self.offered(accession)

    def offered(self, accession: str) -> Ordered:
        items = worklist(self.service, self.out / "worklist", "CAM1", AccessionNumber=accession)
        assert len(items) == 1, items
        return Ordered.from_worklist(items[0])

    def imaged(self, number: str, accession: str) -> list[Path]:
        """Bring an exam as far as its images."""
        ordered = self.on_the_worklist(number, accession)
        paths = written(acquired("BONE-WB", ordered), self.out / accession)
        send(self.service, paths)
        return paths

    def exam(self, accession: str) -> Any:  # noqa: ANN401 - JSON
        return self.doctor("exam", "show", accession)

    def line(self, who: str) -> Client:
        """Return a line to the service as the screens of a person have it; it is hung up in the end."""
        self.lines.append(self.people[who].client())
        return self.lines[-1]


@pytest.fixture(scope="module")
def department(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Department]:
    department = Department(tmp_path_factory.mktemp("day") / "data")
    try:
        yield department
    finally:
        for line in department.lines:
            line.close()
        if department.service.process.poll() is None:
            department.service.stop()


def refused(person: Person, *words: object, password: bool = False) -> str:
    with pytest.raises(Said) as said:
        person(*words, password=password)
    return str(said.value)


# -- 1. the service comes up --


def test_the_service_comes_up_on_an_empty_folder_and_nobody_has_a_default_password(department: Department) -> None:
    assert department.service.ready()
    assert department.added["admin.h"]["roles"] == ["admin"]
    listed = operate(department.folder, "staff", "list")
    assert {one["username"] for one in listed} == set(STAFF)
    for address in (department.service.facts["http"], department.service.facts["dicom"]):
        assert address.startswith("127.0.0.1:")


def test_a_second_service_on_the_same_folder_is_refused_with_one_line(department: Department) -> None:
    second = photopeakd("serve", "--http", "127.0.0.1:0", "--dicom", "127.0.0.1:0", folder=department.folder)
    assert second.returncode == 1
    assert len(second.stderr.splitlines()) == 1
    assert str(department.service.process.pid) in second.stderr
    assert department.service.ready()


# -- 2 to 8. one patient from the desk to the signature --


def test_a_patient_goes_from_the_desk_to_a_signed_report(department: Department) -> None:
    number, exam = at_the_desk(department)
    accession = exam["accession"]
    through_triage(department, accession)
    ordered = department.offered(accession)
    assert (ordered.patient_id, ordered.study_instance_uid) == (number, exam["study_instance_uid"])
    injected_and_started(department, number, accession)
    assert "no images" in refused(department.doctor, "report", "open", accession)
    assert department.exam(accession)["report"]["lock_reason"] == "no_images"
    paths = images_come(department, accession, ordered)
    assert department.exam(accession)["studies"] == [exam["study_instance_uid"]]
    written_and_signed(department, accession, paths)
    send(department.service, written(acquired("BONE-WB", ordered, seed=2), department.out / "late"))
    assert department.exam(accession)["report"]["images_changed"] is True  # flagged to the signer


def at_the_desk(department: Department) -> tuple[str, dict[str, Any]]:
    """Register and find a patient, be shown the likeness, register an exam."""
    clerk = department.clerk
    who = ("--name", "Ouyang^Xue=欧阳^雪", "--birth-date", "1976-03-28", "--sex", "F", "--phone", "13800019999")
    number = clerk("patient", "add", *who)["number"]
    for query in (number, "欧阳", "ouyangxue", "oyx", "13800019999", "1976-03-28"):
        assert number in {one["number"] for one in clerk("patient", "find", query)}, query
    assert number in refused(clerk, "patient", "add", *who)
    exam = clerk(
        "exam", "add", "--patient", number, "--procedure", "BONE-WB", "--visit", "outpatient", "--urgency", "routine",
        "--weight", "61", "--height", "165", "--complaint", "back pain",
    )  # fmt: skip
    assert (exam["state"], exam["images"]["state"], exam["images"]["expected"]) == ("registered", "none", 2)
    assert len(exam["accession"]) <= 16
    return number, exam


def through_triage(department: Department, accession: str) -> None:
    """Set the urgency, assign, protocol; only then is it on the worklist."""
    nurse, doctor = department.nurse, department.doctor
    assert nurse("exam", "triage", accession, "--urgency", "urgent")["urgency"] == "urgent"
    assert nurse("exam", "assign", accession)["assigned_to"] in {"doctor.e", "doctor.f", "head.g"}
    assert nurse("exam", "assign", accession, "--to", "doctor.e")["state"] == "assigned"
    assert accession in {one["accession"] for one in doctor("exam", "list", "--assigned-to", "me")}
    assert worklist(department.service, department.out / "worklist", "CAM1", AccessionNumber=accession) == []
    refused(department.clerk, "exam", "protocol", accession, "--device", "CAM1")
    assert doctor("exam", "protocol", accession, "--device", "CAM1", "--plan", "whole body")["state"] == "protocolled"


def injected_and_started(department: Department, number: str, accession: str) -> None:
    """Answer the checks that block, tell the patient from another, inject and start."""
    tech = department.tech
    assert "check" in refused(tech, "exam", "start", accession)
    for check in department.exam(accession)["checks"]:
        department.nurse("exam", "check", accession, "--name", check["name"], "--answer", "no")
    tech("exam", "arrive", accession)
    assert "patient" in refused(tech, "dose", "inject", accession, "--confirm", "P999", "--confirm", "1976-03-28")
    tech("dose", "draw", accession, "--mbq", "740")
    given = tech("dose", "inject", accession, "--confirm", number, "--confirm", "1976-03-28")
    assert given["steps"][0]["state"] == "injected"
    assert tech("exam", "start", accession)["state"] == "in_progress"


def images_come(department: Department, accession: str, ordered: Ordered) -> list[Path]:
    """Send the images; every screen hears of it, and the exam is ready."""
    heard = Listener(department.line("doctor"))
    paths = written(acquired("BONE-WB", ordered), department.out / accession)
    assert "Success" in send(department.service, paths)
    assert heard.wait_for("exam", subject=accession, images=2).data["data"]["images_state"] == "complete"
    department.tech("exam", "finish", accession)
    ready = department.exam(accession)
    assert (ready["state"], ready["images"]["received"], ready["images"]["unit"]) == ("ready", 2, "frames")
    return paths


def written_and_signed(department: Department, accession: str, paths: list[Path]) -> None:
    """Write, hand in, return with a comment, sign: a version resting on these objects."""
    doctor, doctor2 = department.doctor, department.doctor2
    fence = doctor("report", "open", accession)["fence"]
    doctor("report", "save", accession, "--fence", fence, "--findings", "Even uptake.", "--impression", "Normal.")
    assert "doctor.e" in refused(doctor2, "report", "open", accession)
    assert department.exam(accession)["report"]["holder"] == "doctor.e"
    assert doctor("report", "preliminary", accession, "--fence", fence)["state"] == "preliminary"
    reviewed = doctor2("report", "open", accession)
    returned = doctor2("report", "return", accession, "--fence", reviewed["fence"], "--comment", "say more")
    assert returned["state"] == "draft"
    fence = doctor("report", "open", accession)["fence"]
    signed = doctor("report", "sign", accession, "--fence", fence, password=True)
    assert (signed["state"], signed["signed_by"]) == ("final", "doctor.e")
    last = doctor("report", "show", accession, "--versions")[-1]
    assert last["state"] == "final"
    assert {image["sop_uid"] for image in last["images"]} == {path.stem for path in paths}
    assert department.exam(accession)["state"] == "reported"
    assert "amend" in refused(doctor, "report", "open", accession)


def test_sending_the_same_object_again_doubles_nothing_and_other_content_is_kept_apart(department: Department) -> None:
    paths = department.imaged("D1", "DAYD1")
    send(department.service, paths)
    assert department.exam("DAYD1")["images"]["received"] == 2
    other = dcmread(paths[0])
    other.PixelData = bytes(len(other.PixelData))
    said = send(department.service, written([other], department.out / "other"))
    assert "b000" in said.lower() or "warning" in said.lower()
    assert department.exam("DAYD1")["images"]["received"] == 2
    apart = department.physicist("images", "quarantined")
    assert paths[0].stem in {one["sop_instance_uid"] for one in apart}


# -- 8. two doctors and the fence --


def test_a_late_write_of_the_first_doctor_fails_and_loses_no_word(department: Department) -> None:
    department.imaged("F1", "DAYF1")
    doctor, doctor2 = department.people["doctor"], department.people["doctor2"]
    fence = doctor("report", "open", "DAYF1")["fence"]
    assert "doctor.e" in refused(doctor2, "report", "open", "DAYF1")
    assert doctor2("report", "ask", "DAYF1")["asked_by"] == "doctor.f"
    taken = doctor2("report", "open", "DAYF1", "--take-over")["fence"]
    assert taken > fence
    refused(doctor, "report", "save", "DAYF1", "--fence", fence, "--findings", "typed while the line was down")
    kept = doctor("report", "show", "DAYF1", "--rejected")
    assert kept[0]["text"]["findings"] == "typed while the line was down"
    doctor2("report", "save", "DAYF1", "--fence", taken, "--findings", "mine", "--impression", "mine")
    assert doctor2("report", "sign", "DAYF1", "--fence", taken, password=True)["signed_by"] == "doctor.f"


# -- 9. a misfiled study --


def test_a_misfiled_study_is_put_right_by_those_who_may_and_can_be_taken_back(department: Department) -> None:
    physicist, clerk = department.people["physicist"], department.people["clerk"]
    ordered = department.on_the_worklist("M1", "DAYM1")
    typed = replace(
        ordered, accession="DAYM9", study_instance_uid=generate_uid(), step_id="", requested_procedure_id=""
    )
    paths = written(acquired("BONE-WB", typed), department.out / "misfiled")
    send(department.service, paths)
    assert department.exam("DAYM1")["images"]["received"] == 0
    unfiled = next(
        one for one in physicist("images", "unfiled") if one["study_instance_uid"] == typed.study_instance_uid
    )
    assert unfiled["reasons"]
    assert unfiled["candidates"][0]["accession"] == "DAYM1"

    before = _bytes_of(department, paths[0].stem)
    refused(clerk, "images", "file", unfiled["id"], "DAYM1", "--reason", "x")
    filed = physicist("images", "file", unfiled["id"], "DAYM1", "--reason", "accession typed wrong")
    assert filed["reason"] == "accession typed wrong"
    assert department.exam("DAYM1")["images"]["received"] == 2
    refused(clerk, "images", "undo", filed["id"])
    assert physicist("images", "undo", filed["id"], "--reason", "to look again")["undone_at"]
    assert department.exam("DAYM1")["images"]["received"] == 0
    physicist("images", "file", typed.study_instance_uid, "DAYM1", "--reason", "it was right")
    assert department.exam("DAYM1")["images"]["received"] == 2
    assert _bytes_of(department, paths[0].stem) == before
    trail = department.line("admin").get("audit", limit=200)
    about = [entry for entry in trail if entry["detail"].get("reason") == "accession typed wrong"]
    assert [entry["actor"] for entry in about] == ["physicist.d"]


def _bytes_of(department: Department, sop_uid: str) -> bytes:
    content: bytes = department.line("physicist").get(f"images/{sop_uid}/file")
    return content


# -- 11. consultation --


def test_a_marked_case_is_scheduled_discussed_by_name_and_concluded(department: Department) -> None:
    department.imaged("C1", "DAYC1")
    doctor, doctor2, head = (department.people[one] for one in ("doctor", "doctor2", "head"))
    asked = doctor("consult", "request", "DAYC1", "--question", "Metastasis or fracture?")
    number = asked["id"]
    assert asked["state"] == "requested"
    assert number in {one["id"] for one in head("consult", "list")}
    at = (datetime.now().astimezone() + timedelta(hours=3)).isoformat()
    refused(doctor, "consult", "schedule", number, "--at", at)
    assert head("consult", "schedule", number, "--at", at)["state"] == "scheduled"
    assert head("consult", "gather", number)["state"] == "gathered"
    head("consult", "start", number)
    doctor2("consult", "opinion", number, "--text", "Fracture.")
    doctor("consult", "opinion", number, "--text", "I agree.")
    concluded = head("consult", "conclude", number, "--text", "Fracture; no metastasis.")
    assert [one["by"] for one in concluded["opinions"]] == ["doctor.f", "doctor.e"]
    opened = doctor("report", "open", "DAYC1")
    assert opened["consultations"][0]["conclusion"] == "Fracture; no metastasis."


# -- 10. proof, index rebuilt, restart --


def test_the_service_stops_cleanly_and_proves_and_rebuilds_all_it_acknowledged(department: Department) -> None:
    department.imaged("V1", "DAYV1")
    listener = Listener(department.line("doctor"))
    last = listener.last
    exams_before = department.head("exam", "list", "--limit", "200")
    studies_before = _studies(department)

    assert department.service.stop() == 0
    proved = operate(department.folder, "verify", "--deep")
    assert proved["faults"] == []
    assert proved["audit_chain_broken_at"] is None
    rebuilt = operate(department.folder, "reindex")
    assert rebuilt["objects"] + rebuilt["quarantined"] == proved["objects"]
    assert operate(department.folder, "verify", "--deep")["faults"] == []

    department.service.start()
    assert _studies(department) == studies_before
    exams_after = department.head("exam", "list", "--limit", "200")
    assert _images(exams_after) == _images(exams_before)

    # news resumes where it was left
    department.registered("V2", "DAYV2")
    again = Listener(department.line("doctor"), after=last)
    again.wait_for("exam", subject="DAYV2")


def _studies(department: Department) -> list[str]:
    said = department.service.found(
        "STUDY", "StudyInstanceUID", "PatientID", "AccessionNumber", "NumberOfStudyRelatedInstances"
    )
    lines = [
        line for line in said.splitlines() if line.startswith(("I: (0020,000d)", "I: (0010,0020)", "I: (0008,0050)"))
    ]
    assert lines, said[-1500:]
    return sorted(lines)


def _images(exams: list[dict[str, Any]]) -> dict[str, tuple[str, int]]:
    return {one["accession"]: (one["images"]["state"], one["images"]["received"]) for one in exams}


def test_a_trail_changed_by_hand_is_noticed(department: Department) -> None:
    assert department.service.stop() == 0
    database = sqlite3.connect(department.folder / "photopeak.sqlite")
    with database:
        table = next(
            name for (name,) in database.execute("select name from sqlite_master where type='table'") if "audit" in name
        )
        database.execute(f"update {table} set action = 'nothing.happened' where id = 5")  # noqa: S608 - its own table
    database.close()
    assert photopeakd("verify", folder=department.folder).returncode == 1
