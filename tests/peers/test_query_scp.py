"""The archive is queried at every level: by findscu after storescu, by pynetdicom in every charset, and by Orthanc."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
)
from sqlmodel import col, select

from core.model import AuditEntry, Image
from core.workflow import integrity
from tests.peers.process import slices
from tests.peers.serving import AET, OPERATOR, Department, serving

pytestmark = [
    pytest.mark.peer("storescu", "findscu"),
    # pynetdicom leaves sockets of ended associations to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
]
ROOTS = [PatientRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelFind]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Department, Dataset]]:
    """Three slices of 张伟 by storescu; returns the first of them too."""
    sent = tmp_path_factory.mktemp("sent")
    paths = slices(sent, 3)
    for path in paths:
        one: Any = pydicom.dcmread(path)
        one.SpecificCharacterSet, one.PatientName, one.StudyDescription = "GB18030", "Zhang^Wei=张^伟", "骨显像"
        one.save_as(path)
    with serving(tmp_path_factory.mktemp("archive")) as department:
        department.device("OLDCAM", charset="ISO_IR 100")
        command = ["storescu", "-aec", AET, "127.0.0.1", str(department.port), *map(str, paths)]
        subprocess.run(command, check=True, timeout=60)
        yield department, pydicom.dcmread(paths[0])


def find(department: Department, root: str, level: str, calling: str = "CAM1", **keys: str | None) -> list[Any]:
    query = Dataset()
    query.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(query, keyword, value)
    with department.association(calling) as association:
        answers = list(association.send_c_find(query, root))
    assert answers[-1][0].Status == 0x0000, hex(answers[-1][0].Status)
    return [identifier for _, identifier in answers if identifier is not None]


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize(
    ("features", "day", "hour", "found"),
    [
        (b"\1\1\1\1\1", "20040118-20040120", "0800-0700", 1),  # from eight of the 18th to seven of the 20th
        (b"\1\1\1\1\1", "20040119-20040120", "0800-0700", 0),
        (b"\1\1\1\1\1", "20040118-20040119", "0800-0727", 0),
        (b"\1\1\1\1\1", "20040118-", "0800-", 1),
        (b"\1\1\1\1\1", "20040119", "0700-0800", 1),
        (b"\1\0", "20040118-20040120", "0800-0700", 0),
        (b"\1\0", "20040118-20040120", "0700-0800", 1),
        (None, "20040118-20040120", "0800-0700", 0),
    ],
)
def test_dates_and_times_are_one_range_where_that_was_agreed_to(
    archive: tuple[Department, Dataset], root: str, features: bytes | None, day: str, hour: str, found: int
) -> None:
    ae, asked = AE("CAM1"), SOPClassExtendedNegotiation()
    ae.add_requested_context(root)
    asked.sop_class_uid, asked.service_class_application_information = root, features or b""
    items: list[Any] = [asked] if features else []
    association = ae.associate("127.0.0.1", archive[0].port, ae_title=AET, ext_neg=items)
    agreed = bytes(map(min, features, b"\1\1\0\0\0")) if features else None
    assert association.acceptor.sop_class_extended.get(UID(root)) == agreed
    query = Dataset()
    query.QueryRetrieveLevel, query.StudyDate, query.StudyTime, query.StudyInstanceUID = "STUDY", day, hour, ""
    query.PatientID = "P1"
    answers = [identifier for _, identifier in association.send_c_find(query, root) if identifier is not None]
    association.release()
    assert len(answers) == found
    assert all((one.StudyDate, one.StudyTime) == ("20040119", "072730") for one in answers)


@pytest.mark.parametrize("root", ROOTS)
def test_every_level_below_leads_to_what_was_stored(archive: tuple[Department, Dataset], root: str) -> None:
    department, sent = archive
    uids = {"StudyInstanceUID": str(sent.StudyInstanceUID), "SeriesInstanceUID": str(sent.SeriesInstanceUID)}
    (study,) = find(department, root, "STUDY", PatientID="P1", StudyInstanceUID=None)
    assert study.StudyInstanceUID == uids["StudyInstanceUID"]
    (series,) = find(department, root, "SERIES", StudyInstanceUID=uids["StudyInstanceUID"], SeriesInstanceUID=None)
    assert series.SeriesInstanceUID == uids["SeriesInstanceUID"]
    images = find(department, root, "IMAGE", **uids, SOPInstanceUID=None)
    assert len(images) == 3
    assert sent.SOPInstanceUID in {image.SOPInstanceUID for image in images}


def test_patients_are_found_by_the_patient_root_alone(archive: tuple[Department, Dataset]) -> None:
    department, _ = archive
    patient_root, study_root = ROOTS
    (patient,) = find(department, patient_root, "PATIENT", PatientName="zhang*", PatientID=None)
    assert patient.PatientID == "P1"
    query = Dataset()
    query.QueryRetrieveLevel, query.PatientID = "PATIENT", None
    with department.association() as association:
        ((status, _),) = association.send_c_find(query, study_root)
    assert status.Status == 0xA900


def test_who_asks_stands_in_the_audit_trail(archive: tuple[Department, Dataset]) -> None:
    department, _ = archive
    for _time in range(3):
        find(department, ROOTS[1], "STUDY", "CURIOUS", PatientID="P1")
    find(department, ROOTS[1], "SERIES", "CURIOUS", PatientID="P1", StudyInstanceUID="1.2.3")
    department.service.finder.write_down()
    with department.records.reading() as work:
        found = select(AuditEntry).where(AuditEntry.action == "images.query", col(AuditEntry.actor).contains("CURIOUS"))
        entries = work.session.exec(found).all()
    asked = [entry.detail["queries"] for entry in entries]
    assert asked == [{"study": 1}, {"study": 2, "series": 1}]
    assert {(entry.actor_kind, entry.subject) for entry in entries} == {("device", "127.0.0.1")}


def test_availability_says_where_objects_really_are(archive: tuple[Department, Dataset]) -> None:
    department, first = archive
    keys = {"PatientID": "P1", "StudyInstanceUID": first.StudyInstanceUID, "InstanceAvailability": ""}

    def told() -> list[str]:
        series = {**keys, "SeriesInstanceUID": first.SeriesInstanceUID}
        levels = (("STUDY", keys), ("SERIES", series), ("IMAGE", {**series, "SOPInstanceUID": ""}))
        answers = [one for level, asked in levels for one in find(department, ROOTS[1], level, **asked)]
        return [str(one.InstanceAvailability) for one in answers]

    assert told() == ["ONLINE"] * 5
    with department.records.reading() as work:
        image = work.session.exec(select(Image).where(Image.sop_uid == str(first.SOPInstanceUID))).one()
    whole = department.service.keeper.local(image)
    aside = whole.rename(whole.with_suffix(".away"))
    prove(department)
    assert told() == ["UNAVAILABLE", "UNAVAILABLE", "UNAVAILABLE", "ONLINE", "ONLINE"]
    aside.rename(whole)
    prove(department)
    assert told() == ["ONLINE"] * 5


def prove(department: Department) -> None:
    with department.records.writing() as work:
        row = integrity.begin(work, OPERATOR, deep=False)
    integrity.Verifier(department.records, department.service.keeper.store).run(row.id or 0)


@pytest.mark.parametrize("charset", ["ISO_IR 192", "GB18030"])
def test_names_come_back_in_the_charset_asked(archive: tuple[Department, Dataset], charset: str) -> None:
    department, _ = archive
    (study,) = find(
        department, ROOTS[1], "STUDY", SpecificCharacterSet=charset, PatientName="*张*", StudyDescription=None
    )
    assert (study.SpecificCharacterSet, study.PatientName) == (charset, "Zhang^Wei=张^伟")
    assert study.StudyDescription == "骨显像"


def test_a_device_with_plain_letters_gets_pinyin(archive: tuple[Department, Dataset]) -> None:
    department, _ = archive
    (study,) = find(department, ROOTS[1], "STUDY", "OLDCAM", PatientName=None, PatientID="P1", StudyDescription=None)
    assert study.PatientName == "Zhang^Wei"
    assert str(study.StudyDescription).isascii()
    assert "?" not in study.StudyDescription


def test_findscu_sees_what_storescu_sent(archive: tuple[Department, Dataset]) -> None:
    department, sent = archive
    keys = ("QueryRetrieveLevel=STUDY", "PatientID=P1", "StudyInstanceUID")
    command = ["findscu", "-v", "-S", "-aec", AET, *(part for key in keys for part in ("-k", key))]
    said = subprocess.run(
        [*command, "127.0.0.1", str(department.port)], capture_output=True, text=True, timeout=60, check=True
    )
    assert str(sent.StudyInstanceUID) in said.stdout + said.stderr


@pytest.mark.slow
@pytest.mark.peer("Orthanc")
def test_orthanc_queries_us(
    archive: tuple[Department, Dataset], tmp_path: Path, peer: Callable[[str], Path], free_port: Callable[[], int]
) -> None:
    department, sent = archive
    http = free_port()
    settings = {
        "StorageDirectory": str(tmp_path / "orthanc"), "IndexDirectory": str(tmp_path / "orthanc"), "HttpPort": http,
        "DicomPort": free_port(), "RemoteAccessAllowed": False, "AuthenticationEnabled": False, "Plugins": [],
        "DicomModalities": {"us": [AET, "127.0.0.1", department.port]},
    }  # fmt: skip
    (tmp_path / "orthanc.json").write_text(json.dumps(settings))
    orthanc = subprocess.Popen(
        [str(peer("Orthanc")), str(tmp_path / "orthanc.json")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{http}"
    try:
        _wait_for(f"{address}/system")
        asked = {"Level": "Study", "Query": {"PatientID": "P1", "PatientName": "", "StudyInstanceUID": ""}}
        query = _called(f"{address}/modalities/us/query", json.dumps(asked).encode())["ID"]
        (answer,) = _called(f"{address}/queries/{query}/answers")
        content = _called(f"{address}/queries/{query}/answers/{answer}/content?simplify")
    finally:
        orthanc.terminate()
        orthanc.wait(20)
    assert content["StudyInstanceUID"] == str(sent.StudyInstanceUID)
    assert content["PatientName"].startswith("Zhang^Wei")


def _wait_for(url: str) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            _called(url)
        except OSError:
            assert time.monotonic() < until, "Orthanc does not come up"
            time.sleep(0.2)
        else:
            return


def _called(url: str, body: bytes | None = None) -> Any:  # noqa: ANN401 - whatever JSON says
    with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=60) as answer:  # noqa: S310
        return json.load(answer)
