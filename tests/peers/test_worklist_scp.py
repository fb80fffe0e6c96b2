"""Cameras ask our worklist over the wire: DCMTK's findscu and pynetdicom."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom import DataElement, Dataset
from pydicom.config import IGNORE
from pynetdicom.sop_class import ModalityPerformedProcedureStep, ModalityWorklistInformationFind

from core import wire
from core.scp import Caller
from core.scp.listener import Listener, Manners
from core.workflow import oversight, patients, registration
from tests.peers.serving import AET, CLERK, HEAD, TODAY, Department, all_keys, fill, serving, tomorrow

pytestmark = [
    pytest.mark.peer("findscu"),
    # pynetdicom leaves sockets of ended associations to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
]


@pytest.fixture
def department(tmp_path: Path) -> Iterator[Department]:
    with serving(tmp_path / "data") as running:
        yield running


@pytest.fixture(scope="module")
def morning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Department]:
    """Three exams, two of them for today; nothing of it is changed."""
    with serving(tmp_path_factory.mktemp("morning")) as department:
        department.device("PETCT", modalities=["PT", "CT"])
        department.registered("Zhang^Wei=张^伟", "A1", number="P1")
        department.registered("Doe^John", "A2", number="P2")
        department.registered("Li^Si=李^四", "A3", number="P3", procedure="PET-FDG")
        department.protocol("A1", "CAM1")
        department.protocol("A2", "CAM1", at=tomorrow())
        department.protocol("A3", "PETCT")
        yield department


def findscu(department: Department, *keys: str | bytes, calling: str = "CAM1") -> list[Dataset]:
    """Ask as DCMTK does; the answers as they came, in order."""
    folder = department.service.settings.data / "answers"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    broad = ("PatientName", "PatientID", "AccessionNumber", "(0040,0100)[0].Modality")
    asked = [argument for key in (*broad, *keys) for argument in ("-k", key)]
    command = ["findscu", "-W", "-X", "-od", str(folder), "-aet", calling, "-aec", AET, *asked]
    done = subprocess.run(
        [*command, "127.0.0.1", str(department.port)], timeout=60, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return [pydicom.dcmread(path, force=True) for path in sorted(folder.iterdir())]


def found(answers: list[Dataset]) -> list[str]:
    return [str(answer.AccessionNumber) for answer in answers]


# -- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ((), ["A1", "A2", "A3"]),
        (("PatientID=P2",), ["A2"]),
        (("PatientID=P*",), []),
        (("PatientName=Zhang*",), ["A1"]),
        (("PatientName=zhang*",), []),
        (("PatientName=*^?ohn",), ["A2"]),
        (("AccessionNumber=A3",), ["A3"]),
        (("AccessionNumber=A?",), ["A1", "A2", "A3"]),
        (("(0040,0100)[0].ScheduledStationAETitle=CAM1",), ["A1", "A2"]),
        (("(0040,0100)[0].ScheduledStationAETitle=CAM*",), []),
        (("(0040,0100)[0].ScheduledStationAETitle=PETCT", "(0040,0100)[0].Modality=PT"), ["A3"]),
        (("(0040,0100)[0].Modality=PT",), ["A3"]),
        ((f"(0040,0100)[0].ScheduledProcedureStepStartDate={TODAY:%Y%m%d}",), ["A1", "A3"]),
        ((f"(0040,0100)[0].ScheduledProcedureStepStartDate={tomorrow():%Y%m%d}-",), ["A2"]),
        ((f"(0040,0100)[0].ScheduledProcedureStepStartDate=-{TODAY:%Y%m%d}",), ["A1", "A3"]),
        (("(0040,0100)[0].ScheduledProcedureStepStartTime=0930-1030",), ["A1", "A2", "A3"]),
        (("(0040,0100)[0].ScheduledProcedureStepStartTime=1030-",), []),
    ],
)
def test_a_camera_finds_what_its_keys_ask_for(morning: Department, keys: tuple[str, ...], expected: list[str]) -> None:
    assert sorted(found(findscu(morning, *keys))) == expected


def test_study_uid_and_step_id_name_one_step(department: Department) -> None:
    one, other = (department.scheduled(name, accession) for name, accession in (("张伟", "A1"), ("李四", "A2")))
    assert found(findscu(department, f"StudyInstanceUID={one.study_instance_uid}")) == ["A1"]
    (item,) = findscu(department, "AccessionNumber=A2", "(0040,0100)[0].ScheduledProcedureStepID")
    step_id = item.ScheduledProcedureStepSequence[0].ScheduledProcedureStepID
    assert found(findscu(department, f"(0040,0100)[0].ScheduledProcedureStepID={step_id}")) == ["A2"]
    assert other.study_instance_uid != one.study_instance_uid


def test_what_the_technologist_must_know_of_the_patient_is_told(department: Department) -> None:
    department.scheduled(
        "张伟", "A1", weight_kg=71.5, height_cm=172, allergies="iodine 碘", alerts="pacemaker", infection="MRSA",
        ward="3 West", bed="12", pregnancy="possibly", urgency="urgent", referrer="王芳", sex="F",
    )  # fmt: skip
    keys = all_keys(SpecificCharacterSet="ISO_IR 192")
    for keyword in ("RequestedProcedurePriority", "ReferringPhysicianName", "RequestedProcedureDescription"):
        setattr(keys, keyword, None)
    (item,) = department.worklist(keys)
    assert (item.PatientWeight, item.PatientSize, item.PregnancyStatus) == (71.5, 1.72, 2)
    assert (item.Allergies, item.MedicalAlerts) == ("iodine 碘", "pacemaker; MRSA")
    assert (item.CurrentPatientLocation, item.RequestedProcedurePriority) == ("3 West 12", "HIGH")
    assert item.ReferringPhysicianName == "Wang^Fang=王^芳"
    assert item.RequestedProcedureDescription == "Bone scan, whole body"


def test_a_camera_may_ask_by_its_other_name_or_as_one_of_a_pool(department: Department) -> None:
    department.device("SPECT1", pool="SPECT", aliases=["OLDNAME"])
    department.device("SPECT2", pool="SPECT")
    department.registered("张伟", "A1")
    department.protocol("A1", "SPECT")
    for station in ("SPECT1", "SPECT2", "OLDNAME"):
        assert department.accessions(all_keys(ScheduledStationAETitle=station), station) == ["A1"]
    assert department.accessions(all_keys(ScheduledStationAETitle="CAM1")) == []


def test_an_item_speaks_of_the_record_that_speaks_for_a_merged_patient(department: Department) -> None:
    department.scheduled("张伟", "A1", number="P1")
    department.registered("Zhang^Weiwei", "A2", number="P2")
    with department.records.writing() as work:
        patients.merge(work, HEAD, "P1", wire.Merge(into="P2", reason="one person"))
    assert department.accessions(all_keys(PatientID="P1")) == []
    (item,) = department.worklist(all_keys(PatientID="P2"))
    assert (item.AccessionNumber, item.PatientName) == ("A1", "Zhang^Weiwei")


def test_a_query_that_makes_no_sense_fails_with_the_key_at_fault(department: Department) -> None:
    keys = all_keys()
    step = keys.ScheduledProcedureStepSequence[0]
    tag = "ScheduledProcedureStepStartDate"
    step[tag] = DataElement(tag, "DA", "tomorrow", validation_mode=IGNORE)
    with department.association() as association:
        ((status, _),) = association.send_c_find(keys, ModalityWorklistInformationFind)
        assert status.Status == 0xA900
        assert "(0040,0002)" in status.ErrorComment
        assert association.is_established


# -- letters ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("charset", ["ISO_IR 192", "GB18030", "GBK", r"\ISO 2022 IR 58"])
def test_chinese_names_are_asked_and_answered_in_the_charset_of_the_request(
    department: Department, charset: str
) -> None:
    department.scheduled("张伟", "A1")
    department.scheduled("李四", "A2")
    (item,) = department.worklist(all_keys(SpecificCharacterSet=charset, PatientName="*张*"))
    said = item.SpecificCharacterSet
    assert ("\\".join(said) if isinstance(said, list | pydicom.multival.MultiValue) else said) == charset
    assert item.PatientName == "Zhang^Wei=张^伟"


@pytest.mark.parametrize(("charset", "codec"), [("ISO_IR 192", "utf-8"), ("GB18030", "gb18030")])
def test_findscu_gets_chinese_bytes_as_it_sent_them(department: Department, charset: str, codec: str) -> None:
    department.scheduled("张伟", "A1")
    department.scheduled("李四", "A2")
    (item,) = findscu(department, f"SpecificCharacterSet={charset}", "PatientName=*=张*".encode(codec))
    assert item.get_item("PatientName").value.rstrip() == "Zhang^Wei=张^伟".encode(codec)


def test_a_device_that_asks_in_ascii_and_says_nothing_else_gets_utf8(department: Department) -> None:
    department.scheduled("张伟", "A1")
    (item,) = department.worklist()
    assert (item.SpecificCharacterSet, item.PatientName) == ("ISO_IR 192", "Zhang^Wei=张^伟")


@pytest.mark.parametrize("charset", ["ISO_IR 6", "ISO_IR 100"])
def test_a_device_with_plain_letters_gets_pinyin_and_never_a_question_mark(
    department: Department, charset: str
) -> None:
    department.device("OLDCAM", charset=charset)
    department.scheduled("单雄信", "A1", allergies="碘", weight_kg=70)
    (item,) = department.worklist(all_keys(SpecificCharacterSet="ISO_IR 192"), "OLDCAM")
    assert item.PatientName == "Shan^Xiongxin"
    assert item.Allergies == "Dian"
    assert "?" not in str(item)
    assert str(item).isascii()


def test_a_device_with_plain_letters_finds_the_name_it_shows(department: Department) -> None:
    department.device("OLDCAM", charset="ISO_IR 6")
    department.scheduled("张伟", "A1")
    assert found(findscu(department, "PatientName=Zhang^Wei", calling="OLDCAM")) == ["A1"]


# -- who may ---------------------------------------------------------------------------------------------------------


def test_a_stranger_from_elsewhere_is_heard_but_shown_nothing(department: Department) -> None:
    department.scheduled("张伟", "A1")
    services = replace(department.service._dicom_services(), who=lambda aet, _host: Caller(aet, "192.0.2.7", "MAIN"))
    listener = Listener(("127.0.0.1", 0), services, Manners())
    listener.start()
    department.port = listener.port
    try:
        with department.association("STRANGER") as association:
            assert association.send_c_echo().Status == 0x0000
            keys = all_keys()
            answers = list(association.send_c_find(keys, ModalityWorklistInformationFind))
            assert [identifier for _, identifier in answers] == [None]
            assert answers[0][0].Status == 0xC000
            assert "not a registered device" in answers[0][0].ErrorComment
            status, _ = association.send_n_create(keys, ModalityPerformedProcedureStep, "1.2.3")
            assert status.Status == 0x0124
    finally:
        listener.stop()


def test_a_closed_department_answers_registered_devices_only(tmp_path: Path) -> None:
    with serving(tmp_path, known_only=True) as department:
        department.scheduled("张伟", "A1")
        assert department.accessions() == ["A1"]
        refused = subprocess.run(
            ["findscu", "-W", "-aet", "STRANGER", "-aec", AET, "-k", "PatientName", "127.0.0.1", str(department.port)],
            timeout=60, check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert "Association Rejected" in refused.stderr


def test_who_called_is_on_record(department: Department) -> None:
    findscu(department, calling="STRANGER")
    with department.association() as association:
        assert association.send_c_echo().Status == 0x0000
    with department.records.reading() as work:
        heard = {row.aet: (row.service, row.device) for row in oversight.heard(work, HEAD)}
    assert heard == {"STRANGER": ("worklist", None), "CAM1": ("C-ECHO", "CAM1")}


# -- how long --------------------------------------------------------------------------------------------------------


def test_a_step_is_on_the_worklist_from_its_protocol_until_it_has_ended(department: Department) -> None:
    department.registered("张伟", "A1")
    assert department.accessions() == []
    department.protocol("A1")
    for act in ("arrive", "start"):
        assert department.accessions() == ["A1"]
        department.act(act, "A1")
    assert department.accessions() == ["A1"]
    department.act("finish", "A1")
    assert department.accessions() == []
    assert department.exam("A1").state == "acquired"


@pytest.mark.parametrize("act", ["discontinue", "not_done"])
def test_a_step_that_was_not_done_leaves_the_worklist(department: Department, act: str) -> None:
    department.scheduled("张伟", "A1")
    department.act(act, "A1", reason="patient went home")
    assert department.accessions() == []


def test_a_cancelled_exam_leaves_the_worklist_and_a_reopened_one_returns(department: Department) -> None:
    department.scheduled("张伟", "A1")
    with department.records.writing() as work:
        registration.cancel(work, CLERK, "A1", wire.CloseExam(reason="booked twice"))
    assert department.accessions() == []
    with department.records.writing() as work:
        registration.reopen(work, CLERK, "A1", wire.StepAct(reason="it was not"))
    assert department.accessions() == ["A1"]


def test_of_an_exam_in_two_steps_the_second_stays_when_the_first_is_done(department: Department) -> None:
    exam = department.scheduled("张伟", "A1", procedure="BONE-3P")
    assert len(department.worklist()) == len(exam.steps) > 1
    department.act("start", "A1", step=1)
    department.act("finish", "A1", step=1)
    ids = [item.ScheduledProcedureStepSequence[0].ScheduledProcedureStepID for item in department.worklist()]
    assert len(ids) == len(exam.steps) - 1


# -- how many --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_three_thousand_items_are_answered_and_a_cancel_stops_them(department: Department) -> None:
    fill(department, 3000)
    keys = Dataset()
    keys.AccessionNumber, keys.PatientName = None, None
    assert len(set(department.accessions(keys))) == 3000
    with department.association() as association:
        statuses = []
        for status, _ in association.send_c_find(keys, ModalityWorklistInformationFind, msg_id=7):
            statuses.append(status.Status)
            if len(statuses) == 5:
                association.send_c_cancel(7, query_model=ModalityWorklistInformationFind)
        assert statuses[-1] == 0xFE00
        assert len(statuses) < 3000
        assert association.send_c_echo().Status == 0x0000, "the association goes on after a cancel"
