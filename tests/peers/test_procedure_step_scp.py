"""Cameras report what they do by MPPS: one built on dcmjs-dimse, one on pynetdicom; and one that cannot."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid
from pynetdicom.sop_class import ModalityPerformedProcedureStep

from core import course, wire
from core.vocabulary import ExamState, StepState
from core.workflow import registration
from tests.peers.serving import CLERK, Department, all_keys, serving

# pynetdicom leaves sockets of ended associations to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")

SUCCESS, INVALID_VALUE, ENDED, DUPLICATE, UNKNOWN = 0x0000, 0x0106, 0x0110, 0x0111, 0x0112


@pytest.fixture
def department(tmp_path: Path) -> Iterator[Department]:
    with serving(tmp_path) as running:
        running.scheduled("张伟", "A1", number="P1")
        yield running


def said_of(department: Department, accession: str, **changed: str) -> dict[str, Any]:
    """Return what a camera says of the item it took from the worklist, in dcmjs's words."""
    (item,) = department.worklist(all_keys(AccessionNumber=accession))
    step = {
        "StudyInstanceUID": str(item.StudyInstanceUID),
        "AccessionNumber": accession,
        "ScheduledProcedureStepID": str(item.ScheduledProcedureStepSequence[0].ScheduledProcedureStepID),
    }
    step |= {key: value for key, value in changed.items() if key in step}
    patient = {"PatientID": "P1"} | {key: value for key, value in changed.items() if key not in step}
    return {**patient, "PerformedProcedureStepStatus": "IN PROGRESS", "ScheduledStepAttributesSequence": [step]}


def attributes(said: dict[str, Any]) -> Dataset:
    out = Dataset()
    for keyword, value in said.items():
        setattr(out, keyword, [attributes(one) for one in value] if isinstance(value, list) else value)
    return out


def create(department: Department, uid: str, said: dict[str, Any]) -> int:
    with department.association() as association:
        status, _ = association.send_n_create(attributes(said), ModalityPerformedProcedureStep, uid)
    return int(status.Status)


def change(department: Department, uid: str, status: str, **more: Any) -> int:  # noqa: ANN401 - attribute values
    said = attributes({"PerformedProcedureStepStatus": status, **more})
    with department.association() as association:
        answer, _ = association.send_n_set(said, ModalityPerformedProcedureStep, uid)
    return int(answer.Status)


def state(department: Department, accession: str = "A1") -> StepState:
    (step,) = department.exam(accession).steps
    return step.state


@pytest.mark.peer("node", "dcmjs-dimse")
def test_a_camera_on_dcmjs_begins_and_completes_a_step(department: Department, peer: Callable[[str], Path]) -> None:
    begun = said_of(department, "A1")
    ended = {"PerformedProcedureStepStatus": "COMPLETED"}

    def report(*reports: tuple[str, dict[str, Any]]) -> list[str]:
        command = [str(peer("node")), str(Path(__file__).with_name("mpps.js")), str(department.port), "1.2.3.4"]
        typed = json.dumps([{"action": action, "attributes": said} for action, said in reports])
        done = subprocess.run(command, input=typed, capture_output=True, text=True, timeout=60, check=True)
        return re.findall("^status (.*)$", done.stdout, re.MULTILINE)

    assert report(("create", begun)) == ["0000"]
    assert (state(department), department.exam("A1").state) == (StepState.IN_PROGRESS, ExamState.IN_PROGRESS)
    assert report(("create", begun), ("set", ended), ("set", ended)) == ["0111", "0000", "0110"]
    assert (state(department), department.exam("A1").state) == (StepState.DONE, ExamState.ACQUIRED)
    assert department.accessions() == []


def test_a_step_begins_completes_and_leaves_the_worklist(department: Department) -> None:
    uid, said = generate_uid(), said_of(department, "A1")
    assert create(department, uid, said) == SUCCESS
    assert state(department) is StepState.IN_PROGRESS
    assert department.accessions() == ["A1"]
    assert change(department, uid, "IN PROGRESS") == SUCCESS
    assert change(department, uid, "COMPLETED") == SUCCESS
    assert state(department) is StepState.DONE
    assert department.accessions() == []


def test_a_discontinued_step_keeps_the_reason_the_camera_gives(department: Department) -> None:
    uid = generate_uid()
    create(department, uid, said_of(department, "A1"))
    reason = [{"CodeValue": "110514", "CodingSchemeDesignator": "DCM", "CodeMeaning": "Incorrect worklist entry"}]
    assert (
        change(department, uid, "DISCONTINUED", PerformedProcedureStepDiscontinuationReasonCodeSequence=reason)
        == SUCCESS
    )
    assert state(department) is StepState.DISCONTINUED
    with department.records.reading() as work:
        (step,) = course.steps_of(work, course.find_exam(work, "A1", "MAIN"))
    assert step.reason == "Incorrect worklist entry"


def test_each_mistake_has_its_own_status(department: Department) -> None:
    uid, said = generate_uid(), said_of(department, "A1")
    assert create(department, uid, {**said, "PerformedProcedureStepStatus": "COMPLETED"}) == INVALID_VALUE
    assert create(department, uid, {"PerformedProcedureStepStatus": "IN PROGRESS"}) == INVALID_VALUE
    assert change(department, uid, "COMPLETED") == UNKNOWN
    assert create(department, uid, said) == SUCCESS
    assert create(department, uid, said) == DUPLICATE
    assert change(department, uid, "FINISHED") == INVALID_VALUE
    assert state(department) is StepState.IN_PROGRESS
    assert change(department, uid, "COMPLETED") == SUCCESS
    assert change(department, uid, "DISCONTINUED") == ENDED


@pytest.mark.parametrize(
    "wrong", [{"PatientID": "P2"}, {"StudyInstanceUID": "1.2.9"}, {"ScheduledProcedureStepID": "S99"}]
)
def test_a_report_that_contradicts_the_exam_is_kept_and_moves_nothing(
    department: Department, wrong: dict[str, str]
) -> None:
    said = said_of(department, "A1", **wrong)
    if "StudyInstanceUID" in wrong:
        said["ScheduledStepAttributesSequence"][0]["AccessionNumber"] = "Z9"
    assert create(department, generate_uid(), said) == SUCCESS
    assert state(department) is StepState.SCHEDULED


def test_a_report_of_another_exams_study_moves_neither(department: Department) -> None:
    other = department.scheduled("李四", "A2", number="P2")
    said = said_of(department, "A1", StudyInstanceUID=other.study_instance_uid)
    assert create(department, generate_uid(), said) == SUCCESS
    assert (state(department, "A1"), state(department, "A2")) == (StepState.SCHEDULED, StepState.SCHEDULED)


def test_a_step_of_two_reports_is_done_with_the_second(department: Department) -> None:
    flow, late, said = generate_uid(), generate_uid(), said_of(department, "A1")
    create(department, flow, said)
    create(department, late, said)
    change(department, flow, "COMPLETED")
    assert state(department) is StepState.IN_PROGRESS
    change(department, late, "DISCONTINUED")
    assert state(department) is StepState.DONE


def test_a_camera_that_begins_anew_brings_back_a_step_only_it_had_ended(department: Department) -> None:
    said, first, second = said_of(department, "A1"), generate_uid(), generate_uid()
    create(department, first, said)
    change(department, first, "COMPLETED")
    create(department, second, said)
    assert state(department) is StepState.IN_PROGRESS


def test_a_late_report_never_undoes_what_a_person_said(department: Department) -> None:
    said, uid = said_of(department, "A1"), generate_uid()
    department.act("start", "A1")
    department.act("finish", "A1")
    assert create(department, uid, said) == SUCCESS
    assert change(department, uid, "DISCONTINUED") == SUCCESS
    assert state(department) is StepState.DONE


def test_a_report_on_a_cancelled_exam_does_not_bring_it_back(department: Department) -> None:
    said = said_of(department, "A1")
    with department.records.writing() as work:
        registration.cancel(work, CLERK, "A1", wire.CloseExam(reason="booked twice"))
    assert create(department, generate_uid(), said) == SUCCESS
    assert department.exam("A1").state is ExamState.CANCELLED


def test_a_camera_without_mpps_needs_none(department: Department) -> None:
    department.act("start", "A1")
    department.act("finish", "A1")
    assert (state(department), department.exam("A1").state) == (StepState.DONE, ExamState.ACQUIRED)
    assert department.accessions() == []
