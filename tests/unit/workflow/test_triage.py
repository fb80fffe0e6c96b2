"""Urgency, assignment and protocol."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core import wire
from core.access import Actor
from core.errors import Forbidden, Invalid, NotFound, Refused
from core.model import Batch
from core.vocabulary import Urgency
from core.workflow import acquisition, desk, registration, triage
from tests.unit.workflow.front import (
    ADMIN,
    CLERK,
    DOCTOR,
    HEAD,
    MORNING,
    NURSE,
    OTHER_DOCTOR,
    READER,
    TECHNOLOGIST,
    Front,
)


@pytest.fixture(autouse=True)
def registered(front: Front) -> None:
    front.patient()
    front.exam()


def queue(front: Front, actor: Actor = NURSE, **wanted: object) -> list[str]:
    with front.records.reading() as work:
        page = desk.exams(work, actor, wire.ExamsWanted.model_validate(wanted))
    assert page.total == len(page.items)
    return [exam.accession for exam in page.items]


def test_the_queue_is_urgency_then_arrival(front: Front) -> None:
    front.after(minutes=5)
    front.exam("A2")
    front.after(minutes=5)
    front.exam("A3", urgency="stat")
    front.exam("A4", booked_at=front.now + timedelta(hours=1))
    assert queue(front) == ["A3", "A1", "A2", "A4"]
    front.do(triage.triage, NURSE, "A2", wire.Triage(urgency=Urgency.URGENT))
    assert queue(front) == ["A3", "A2", "A1", "A4"]


def test_an_early_arrival_counts_and_not_the_booking(front: Front) -> None:
    front.exam("A2", booked_at=MORNING + timedelta(hours=2))
    front.after(minutes=1)
    front.exam("A3")
    front.after(minutes=1)
    front.do(acquisition.arrive, NURSE, "A2", wire.StepAct())
    assert queue(front) == ["A1", "A3", "A2"]


@pytest.mark.parametrize("actor", [CLERK, TECHNOLOGIST, ADMIN, READER, DOCTOR])
def test_only_nurse_and_head_triage_what_is_not_their_own(front: Front, actor: Actor) -> None:
    with pytest.raises(Forbidden):
        front.do(triage.triage, actor, "A1", wire.Triage(urgency=Urgency.STAT))


def test_a_doctor_takes_a_case_and_triages_it_but_gives_none_to_others(front: Front) -> None:
    assert front.do(triage.assign, DOCTOR, "A1", wire.Assign(to="zhao.min")).assigned_to == "zhao.min"
    assert front.do(triage.triage, DOCTOR, "A1", wire.Triage(urgency=Urgency.STAT)).urgency is Urgency.STAT
    with pytest.raises(Forbidden):
        front.do(triage.assign, DOCTOR, "A1", wire.Assign(to="sun.wei"))
    back = front.do(triage.assign, DOCTOR, "A1", wire.Assign(to=""))
    assert (back.assigned_to, back.state) == (None, "registered")
    assert queue(front, DOCTOR, assigned_to="me") == []


@pytest.mark.parametrize(("to", "error"), [("liu.yang", Refused), ("root.admin", Refused), ("nobody", NotFound)])
def test_a_case_is_given_only_to_somebody_who_reads(front: Front, to: str, error: type[Refused]) -> None:
    with pytest.raises(error, match=r"zhao\.min"):
        front.do(triage.assign, NURSE, "A1", wire.Assign(to=to))


def test_the_proposal_weighs_specialty_load_and_previous_exams(front: Front) -> None:
    with front.records.reading() as work:
        proposed = triage.proposals(work, NURSE, "A1")
    assert proposed[0].username == "zhao.min"
    assert proposed[0].reasons == ["0 open", "reads bone"]
    for number in range(16):
        front.exam(f"B{number}")
        front.do(triage.assign, NURSE, f"B{number}", wire.Assign(to="zhao.min"))
    assert front.do(triage.assign, NURSE, "A1", wire.Assign()).assigned_to == "sun.wei"
    with front.records.reading() as work:
        by_name = {one.username: one for one in triage.proposals(work, NURSE, "A1")}
    assert (by_name["zhao.min"].load, by_name["sun.wei"].load) == (16, 0)
    assert "knows the patient" in by_name["zhao.min"].reasons


def test_assignment_moves_the_exam_and_a_closed_one_stays(front: Front) -> None:
    assert front.do(triage.assign, NURSE, "A1", wire.Assign(to="zhao.min")).state == "assigned"
    front.do(registration.cancel, CLERK, "A1", wire.CloseExam())
    for act, form in ((triage.assign, wire.Assign()), (triage.triage, wire.Triage(urgency=Urgency.STAT))):
        with pytest.raises(Refused, match="reopen"):
            front.do(act, NURSE, "A1", form)
    with pytest.raises(Refused, match="reopen"):
        front.do(triage.protocol, DOCTOR, "A1", wire.ProtocolExam(device="SPECT1"))


@pytest.mark.parametrize(("said", "meant"), [("SPECT1", "SPECT1"), ("CAM1", "SPECT1"), ("SPECT", "SPECT")])
def test_a_protocol_names_a_device_its_alias_or_a_pool(front: Front, said: str, meant: str) -> None:
    exam = front.do(triage.protocol, DOCTOR, "A1", wire.ProtocolExam(device=said, plan="whole body"))
    assert (exam.state, exam.device, exam.plan, exam.protocolled_by) == ("protocolled", meant, "whole body", "zhao.min")
    assert exam.steps[0].devices == [meant]


def test_an_unknown_device_is_refused_with_those_there_are(front: Front) -> None:
    with pytest.raises(NotFound, match=r"SPECT1, SPECT2, SPECT$"):
        front.do(triage.protocol, DOCTOR, "A1", wire.ProtocolExam(device="NMCAM"))
    with pytest.raises(Invalid, match="name the device"):
        front.do(triage.protocol, DOCTOR, "A1", wire.ProtocolExam())


def test_the_only_camera_that_fits_is_taken_without_a_word(front: Front) -> None:
    front.exam("A2", "PET-FDG")
    assert front.do(triage.protocol, DOCTOR, "A2", wire.ProtocolExam()).device == "PETCT"


def test_steps_are_planned_by_the_catalogues_offsets(front: Front) -> None:
    front.exam("A2", "MPI-GATED")
    at = MORNING + timedelta(hours=1)
    exam = front.do(triage.protocol, DOCTOR, "A2", wire.ProtocolExam(device="SPECT1", at=at))
    assert [step.planned_at for step in exam.steps] == [at, at + timedelta(days=1)]
    assert exam.steps[1].window_minutes == 60
    later = front.do(triage.protocol, DOCTOR, "A2", wire.ProtocolExam(device="SPECT2"))
    assert [step.planned_at for step in later.steps] == [at, at + timedelta(days=1)]
    assert [step.devices for step in later.steps] == [["SPECT2"], ["SPECT2"]]


def test_a_doctor_writes_other_steps_than_the_catalogues(front: Front) -> None:
    before = front.look().steps[0]
    wanted = [wire.NewStep(name="pelvis", expected_frames=4), wire.NewStep(name="SPECT", devices=["SPECT2"])]
    exam = front.do(triage.protocol, DOCTOR, "A1", wire.ProtocolExam(device="SPECT1", steps=wanted))
    assert [(step.name, step.expected, step.devices) for step in exam.steps] == [
        ("pelvis", 4, ["SPECT1"]), ("SPECT", None, ["SPECT2"]),
    ]  # fmt: skip
    assert exam.steps[0].id == before.id
    less = front.do(triage.protocol, DOCTOR, "A1", wire.ProtocolExam(steps=[wire.NewStep(name="pelvis")]))
    assert [step.name for step in less.steps] == ["pelvis"]
    with pytest.raises(Invalid, match="at least one step"):
        front.do(triage.protocol, DOCTOR, "A1", wire.ProtocolExam(steps=[]))


def test_a_protocol_leaves_steps_that_have_begun(front: Front) -> None:
    front.exam("A2", "BONE-3P")
    front.do(triage.protocol, DOCTOR, "A2", wire.ProtocolExam(device="SPECT1"))
    front.do(acquisition.start, TECHNOLOGIST, "A2", wire.StepAct())
    front.do(triage.protocol, DOCTOR, "A2", wire.ProtocolExam(device="SPECT2", steps=[wire.NewStep(name="late")]))
    steps = front.look("A2").steps
    assert [(step.name, step.devices) for step in steps] == [("flow", ["SPECT1"]), ("late", ["SPECT2"])]


@pytest.mark.parametrize("actor", [CLERK, NURSE, TECHNOLOGIST, ADMIN, READER])
def test_only_doctor_and_head_protocol(front: Front, actor: Actor) -> None:
    with pytest.raises(Forbidden):
        front.do(triage.protocol, actor, "A1", wire.ProtocolExam(device="SPECT1"))
    assert front.do(triage.protocol, HEAD, "A1", wire.ProtocolExam(device="SPECT1")).protocolled_by == "head.chen"


def test_lists_are_cut_by_state_doctor_device_day_patient_and_words(front: Front) -> None:
    front.patient("P2", "Li^Na=李^娜", sex="F", birth_date=None)
    front.exam("B2", "THYROID", patient="P2", booked_at=MORNING + timedelta(days=3))
    front.do(triage.assign, NURSE, "A1", wire.Assign(to="zhao.min"))
    front.do(triage.protocol, HEAD, "A1", wire.ProtocolExam(device="SPECT"))
    assert queue(front, state=["protocolled"]) == ["A1"]
    assert queue(front, state=["registered", "protocolled"]) == ["A1", "B2"]
    assert queue(front, DOCTOR, assigned_to="me") == ["A1"]
    assert queue(front, assigned_to="sun.wei") == []
    assert queue(front, device="SPECT2") == ["A1"]
    assert queue(front, date="today") == ["A1"]
    assert queue(front, date=str((MORNING + timedelta(days=3)).astimezone().date())) == ["B2"]
    assert queue(front, patient="P2") == ["B2"]
    assert [queue(front, query=words) for words in ("b2", "B", "lina", "娜", "P2")] == [["B2"]] * 5
    assert queue(front, order="recent") == ["B2", "A1"]
    assert queue(front, READER) == []
    with pytest.raises(Invalid):
        queue(front, date="tomorrow")
    with pytest.raises(Invalid):
        queue(front, order="by name")


def test_late_means_images_or_report_overdue(front: Front) -> None:
    assert queue(front, late=True) == []
    front.after(hours=25)
    assert queue(front, late=True) == ["A1"]
    front.file_image()
    assert queue(front, late=True) == []
    front.after(hours=25)
    assert queue(front, late=True) == ["A1"]


def test_the_day_is_counted(front: Front) -> None:
    front.exam("A2", booked_at=MORNING + timedelta(hours=3))
    front.exam("A3")
    front.do(acquisition.start, TECHNOLOGIST, "A3", wire.StepAct())
    front.do(triage.assign, OTHER_DOCTOR, "A1", wire.Assign(to="sun.wei"))
    with front.records.reading() as work:
        today = desk.today(work, OTHER_DOCTOR)
        words = desk.find(work, CLERK, "A1")
    assert (today.registered, today.waiting, today.on_camera, today.late, today.to_read) == (3, 1, 1, 0, 0)
    assert [exam.accession for exam in words["exams"]] == ["A1"]
    front.file_image()
    with front.records.reading() as work:
        assert desk.today(work, OTHER_DOCTOR).to_read == 1


def test_a_protocol_does_not_leave_out_a_step_that_has_images(front: Front) -> None:
    front.exam("A2", "BONE-3P")
    batch, step = front.file_image("A2"), front.look("A2").steps[2].id
    with front.records.writing() as work:
        work.session.get_one(Batch, batch).step_id = step
    one = wire.ProtocolExam(device="SPECT1", steps=[wire.NewStep(name="flow")])
    with pytest.raises(Refused, match="has images"):
        front.do(triage.protocol, DOCTOR, "A2", one)
