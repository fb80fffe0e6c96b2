"""At the camera and in the hot laboratory: acts, checks, two identifiers, doses."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from core import course, wire
from core.access import Actor
from core.errors import Forbidden, Invalid, NotFound, Refused
from core.model import Report
from core.vocabulary import Identity
from core.workflow import acquisition, patients, radiopharmacy, triage
from tests.unit.workflow.front import ADMIN, CLERK, DOCTOR, HEAD, MORNING, NURSE, PHYSICIST, TECHNOLOGIST, Front

ACT = wire.StepAct()


@pytest.fixture(autouse=True)
def registered(front: Front) -> None:
    front.patient()
    front.exam()


def act(front: Front, verb: str, accession: str = "A1", **how: Any) -> wire.Exam:  # noqa: ANN401
    acts = {**vars(acquisition), "inject": radiopharmacy.inject_step}
    shape: wire.Exam = front.do(acts[verb], TECHNOLOGIST, accession, wire.StepAct(**how))
    return shape


def woman(front: Front, accession: str = "F1") -> None:
    front.patient("P2", "Li^Na=李^娜", sex="F", birth_date=date(1990, 1, 1))
    front.exam(accession, patient="P2")


def test_a_day_at_the_camera(front: Front) -> None:
    front.do(triage.protocol, DOCTOR, "A1", wire.ProtocolExam(device="SPECT1"))
    assert act(front, "arrive").steps[0].state == "arrived"
    assert act(front, "inject").steps[0].state == "injected"
    front.after(hours=3)
    assert act(front, "start").state == "in_progress"
    front.after(minutes=25)
    exam = act(front, "finish")
    assert (exam.state, exam.steps[0].state) == ("acquired", "done")
    step = exam.steps[0]
    assert (step.arrived_at, step.injected_at) == (MORNING, MORNING)
    assert step.started_at == MORNING + timedelta(hours=3)
    assert step.finished_at == MORNING + timedelta(hours=3, minutes=25)
    assert [one for one in front.audited() if one.startswith(("step.", "dose."))] == [
        "step.arrived", "dose.inject", "step.in_progress", "step.done",
    ]  # fmt: skip


def test_an_emergency_runs_from_registration_to_the_end(front: Front) -> None:
    assert front.exam("E1", "LUNG-PERF", visit="emergency", urgency="stat").state == "registered"
    assert act(front, "start", "E1", reason="cannot be asked").state == "in_progress"
    assert act(front, "finish", "E1").state == "acquired"


def test_what_a_camera_without_worklist_did_is_finished_in_one_word(front: Front) -> None:
    assert act(front, "finish").state == "acquired"


def test_a_time_is_taken_as_said(front: Front) -> None:
    at = MORNING - timedelta(minutes=20)
    exam = act(front, "arrive", at=at)
    assert (exam.steps[0].arrived_at, exam.arrived_at) == (at, at)


def test_a_step_in_progress_is_not_passed_over_by_a_second_start(front: Front) -> None:
    front.exam("A2", "BONE-3P")
    act(front, "start", "A2")
    with pytest.raises(Refused, match="in progress"):
        act(front, "start", "A2")
    act(front, "finish", "A2")
    act(front, "start", "A2")
    assert front.states("A2") == ["done", "in_progress", "scheduled"]


def test_a_step_is_named_by_id_or_place(front: Front) -> None:
    exam = front.exam("A2", "BONE-3P")
    act(front, "start", "A2", step=exam.steps[2].id)
    assert front.states("A2") == ["scheduled", "scheduled", "in_progress"]
    with pytest.raises(NotFound, match="no step 99"):
        act(front, "start", "A2", step=99)


@pytest.mark.parametrize("verb", ["arrive", "start", "finish"])
def test_an_ended_step_takes_no_act(front: Front, verb: str) -> None:
    act(front, "finish")
    with pytest.raises(Refused, match="reopen"):
        act(front, verb)


def test_discontinued_and_not_done_want_a_reason(front: Front) -> None:
    for verb in ("discontinue", "not_done"):
        with pytest.raises(Invalid, match="reason"):
            act(front, verb)
    exam = act(front, "discontinue", reason="claustrophobia")
    assert (exam.steps[0].state, exam.steps[0].reason) == ("discontinued", "claustrophobia")


def test_an_exam_not_done_is_closed_and_keeps_its_dose(front: Front) -> None:
    front.exam("A2", "BONE-3P")
    act(front, "inject", "A2")
    exam = act(front, "not_done", "A2", reason="camera down")
    assert (exam.state, exam.closed_reason) == ("not_done", "camera down")
    assert {step.state for step in exam.steps} == {"not_done"}
    assert len(exam.doses) == 1
    with pytest.raises(Refused, match="reopen"):
        act(front, "start", "A2")


def test_an_exam_with_a_signed_report_was_done(front: Front) -> None:
    front.exam("A2", "RAIU-PROBE")
    with front.records.writing() as work:
        exam = course.find_exam(work, "A2", "MAIN")
        work.add(Report(site="MAIN", exam_id=exam.id or 0, state="final", created_at=work.now))
        course.settle(work, exam)
    with pytest.raises(Refused, match="signed report"):
        act(front, "not_done", "A2", reason="wrong line")


def test_one_step_not_done_leaves_the_others(front: Front) -> None:
    front.exam("A2", "BONE-3P")
    act(front, "start", "A2")
    act(front, "finish", "A2")
    assert act(front, "not_done", "A2", reason="refused").state == "in_progress"
    assert front.states("A2") == ["done", "not_done", "scheduled"]


def test_a_step_with_images_is_never_not_done(front: Front) -> None:
    front.file_image()
    with pytest.raises(Refused, match="images"):
        act(front, "not_done", reason="forgot")


@pytest.mark.parametrize("actor", [CLERK, DOCTOR, PHYSICIST, ADMIN])
@pytest.mark.parametrize("verb", ["arrive", "start", "finish", "discontinue", "not_done"])
def test_only_those_at_the_camera_act(front: Front, actor: Actor, verb: str) -> None:
    with pytest.raises(Forbidden):
        front.do(getattr(acquisition, verb), actor, "A1", wire.StepAct(reason="x"))


# -- checks ----------------------------------------------------------------------------------------------------------


def test_unanswered_checks_block_injection_and_start(front: Front) -> None:
    woman(front)
    for verb in ("inject", "start"):
        with pytest.raises(Refused, match="pregnancy, breastfeeding"):
            act(front, verb, "F1")
    with pytest.raises(Refused, match="pregnancy"):
        front.do(radiopharmacy.inject, TECHNOLOGIST, "F1", wire.Dose(mbq=700))
    assert front.states("F1") == ["scheduled"]


def test_a_check_is_answered_with_who_and_when(front: Front) -> None:
    woman(front)
    front.after(minutes=3)
    for name in ("pregnancy", "breastfeeding"):
        exam = front.do(acquisition.answer_check, NURSE, "F1", wire.AnswerCheck(name=name, answer="no"))
    assert [(one.answer, one.by, one.at) for one in exam.checks] == [
        ("no", "qian.hua", MORNING + timedelta(minutes=3))
    ] * 2
    assert act(front, "start", "F1").state == "in_progress"


def test_a_check_is_overridden_only_with_a_reason_and_that_is_audited(front: Front) -> None:
    woman(front)
    with pytest.raises(Invalid, match="reason"):
        front.do(acquisition.answer_check, HEAD, "F1", wire.AnswerCheck(name="pregnancy", override=True))
    front.do(acquisition.answer_check, HEAD, "F1", wire.AnswerCheck(name="pregnancy", override=True, note="vital"))
    with pytest.raises(Refused, match="breastfeeding"):
        act(front, "start", "F1")
    exam = act(front, "start", "F1", reason="unconscious")
    assert [(one.overridden, one.note) for one in exam.checks] == [(True, "vital"), (True, "unconscious")]
    assert front.audited().count("check.override") == 2


def test_a_check_that_is_not_asked_is_named_with_those_that_are(front: Front) -> None:
    woman(front)
    with pytest.raises(NotFound, match="pregnancy, breastfeeding"):
        front.do(acquisition.answer_check, NURSE, "F1", wire.AnswerCheck(name="glucose", answer="5"))
    with pytest.raises(Invalid):
        front.do(acquisition.answer_check, NURSE, "F1", wire.AnswerCheck(name="pregnancy"))
    with pytest.raises(Forbidden):
        front.do(acquisition.answer_check, CLERK, "F1", wire.AnswerCheck(name="pregnancy", answer="no"))


# -- is it the patient -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [["张伟", "1961-03-04"], ["Zhang Wei", "P1"], ["wei zhang", "A1"], ["p1", "19610304"], ["张伟", "1961年3月4日"]],
)
def test_two_identifiers_confirm_the_patient(front: Front, said: list[str]) -> None:
    assert act(front, "start", confirm=said).state == "in_progress"


@pytest.mark.parametrize(
    "said",
    [["张伟"], ["张伟", "Zhang Wei"], ["张伟", "1961-03-05"], ["李娜", "1961-03-04"], ["P2", "1961-03-04"], ["x", "y"]],
)
def test_anything_less_is_not_this_patient(front: Front, said: list[str]) -> None:
    with pytest.raises(Refused, match=r"not this patient|not enough"):
        act(front, "start", confirm=said)
    with pytest.raises(Refused, match=r"not this patient|not enough"):
        front.do(radiopharmacy.inject, TECHNOLOGIST, "A1", wire.Dose(confirm=said))


def test_a_patient_nobody_knows_is_confirmed_by_the_wristband(front: Front) -> None:
    unknown = front.patient(None, "", identity=Identity.TEMPORARY, birth_date=None, sex="")
    front.exam("A2", "LUNG-PERF", patient=unknown.number)
    wristband = [f"unknown {unknown.number}", unknown.number]
    with pytest.raises(Refused, match="not this patient"):
        act(front, "start", "A2", confirm=["UNKNOWN T999", unknown.number])
    assert act(front, "start", "A2", confirm=wristband, reason="emergency").state == "in_progress"


def test_a_merged_record_confirms_by_either_number(front: Front) -> None:
    front.patient("P2", "Chang^Wei")
    front.do(patients.merge, HEAD, "P2", wire.Merge(into="P1"))
    assert act(front, "start", confirm=["P2", "1961-03-04"]).state == "in_progress"


# -- doses -----------------------------------------------------------------------------------------------------------


def dose(front: Front, verb: str, accession: str = "A1", **how: Any) -> wire.Exam:  # noqa: ANN401
    shape: wire.Exam = front.do(getattr(radiopharmacy, verb), TECHNOLOGIST, accession, wire.Dose(**how))
    return shape


def test_a_dose_is_drawn_given_and_measured_back(front: Front) -> None:
    drawn = dose(front, "draw", mbq=752.5, vial="V7")
    assert (drawn.doses[0].drawn_mbq, drawn.doses[0].planned_mbq, drawn.steps[0].state) == (752.5, 740, "scheduled")
    front.after(minutes=10)
    given = dose(front, "inject")
    assert (given.doses[0].injected_at, given.doses[0].injected_by) == (MORNING + timedelta(minutes=10), "liu.yang")
    assert given.steps[0].state == "injected"
    left = dose(front, "residual", mbq=8)
    assert (left.doses[0].residual_mbq, left.doses[0].residual_at) == (8, MORNING + timedelta(minutes=10))
    assert len(left.doses) == 1


def test_an_injection_alone_makes_the_dose(front: Front) -> None:
    exam = dose(front, "inject", mbq=700, at=MORNING - timedelta(minutes=5))
    assert (exam.doses[0].drawn_mbq, exam.doses[0].radiopharmaceutical) == (700, "Tc-99m MDP")
    assert exam.steps[0].injected_at == MORNING - timedelta(minutes=5)


def test_one_dose_serves_all_phases_and_two_days_take_two(front: Front) -> None:
    front.exam("A2", "BONE-3P")
    assert {step.state for step in dose(front, "inject", "A2").steps} == {"injected"}
    front.exam("A3", "MPI-GATED")
    for name in ("fasting", "drugs_stopped", "consent"):
        front.do(acquisition.answer_check, NURSE, "A3", wire.AnswerCheck(name=name, answer="yes"))
    dose(front, "inject", "A3", mbq=900)
    assert front.states("A3") == ["injected", "scheduled"]
    front.after(days=1)
    exam = dose(front, "inject", "A3", mbq=910)
    assert front.states("A3") == ["injected", "injected"]
    assert [one.drawn_mbq for one in exam.doses] == [900, 910]


def test_an_injection_on_the_camera_table_keeps_the_step_running(front: Front) -> None:
    front.exam("A2", "RENO-MAG3")
    act(front, "start", "A2")
    exam = dose(front, "inject", "A2", mbq=180)
    assert (exam.steps[0].state, exam.steps[0].injected_at) == ("in_progress", MORNING)


def test_a_dose_serves_the_steps_named_and_no_ended_ones(front: Front) -> None:
    exam = front.exam("A2", "BONE-3P")
    dose(front, "inject", "A2", steps=[exam.steps[2].id])
    assert front.states("A2") == ["scheduled", "scheduled", "injected"]
    act(front, "finish")
    with pytest.raises(Refused, match="every step"):
        dose(front, "inject", mbq=1)


def test_nothing_is_measured_back_before_it_was_given(front: Front) -> None:
    with pytest.raises(Refused, match="note the injection first"):
        dose(front, "residual", mbq=1)
    for verb in ("draw", "residual"):
        with pytest.raises(Invalid, match="MBq"):
            dose(front, verb)
    with pytest.raises(Forbidden):
        front.do(radiopharmacy.draw, DOCTOR, "A1", wire.Dose(mbq=1))
