"""The course of an exam: every state that is worked out, every edge of the tables, and what a correction takes back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import select

from core import course
from core.errors import NotFound, Refused
from core.model import Batch, Exam, Image, Report, ReportVersion, Step
from core.records import Records
from core.vocabulary import (
    EXAM_AFTER,
    EXAM_CLOSED,
    STEP_AFTER,
    STEP_ENDED,
    BatchState,
    ExamState,
    ImagesState,
    ReportState,
    StepState,
    may_follow,
)
from tests.unit.workflow.front import MORNING, Front


@pytest.fixture(scope="session")
def empty_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("course") / "empty.sqlite"
    records = Records(f"sqlite:///{path}", new_uid=str)
    records.migrate()
    records.close()
    return path


@pytest.fixture
def front(empty_tables: Path, tmp_path: Path) -> Iterator[Front]:
    shutil.copy(empty_tables, tmp_path / "course.sqlite")
    front = Front(f"sqlite:///{tmp_path / 'course.sqlite'}")
    front.patient()
    front.exam()
    yield front
    front.records.close()


def move(front: Front, to: StepState, accession: str = "A1", place: int = 0) -> None:
    with front.records.writing() as work:
        exam = course.find_exam(work, accession, "MAIN")
        course.move_step(work, exam, course.steps_of(work, exam)[place], to)


def unfile(front: Front, batch_id: int) -> None:
    with front.records.writing() as work:
        batch = work.session.get_one(Batch, batch_id)
        exam = work.session.get_one(Exam, batch.exam_id)
        batch.exam_id, batch.state = None, BatchState.UNFILED
        work.add(batch)
        course.settle(work, exam)


def sign(front: Front, accession: str = "A1", state: ReportState = ReportState.FINAL) -> None:
    with front.records.writing() as work:
        exam = course.find_exam(work, accession, "MAIN")
        report = work.session.exec(select(Report).where(Report.exam_id == exam.id)).first()
        report = report or Report(site="MAIN", exam_id=exam.id or 0, created_at=work.now)
        report.state, report.version = state, report.version + 1
        work.add(report)
        version = ReportVersion(
            report_id=report.id or 0, number=report.version, state=state, signed_at=work.now, written_at=work.now
        )
        work.add(version)
        course.settle(work, exam)


def close(front: Front, to: ExamState = ExamState.CANCELLED) -> None:
    with front.records.writing() as work:
        course.close(work, course.find_exam(work, "A1", "MAIN"), to, "why")


def reopen(front: Front) -> None:
    with front.records.writing() as work:
        course.reopen(work, course.find_exam(work, "A1", "MAIN"))


# -- steps -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("now", "then"), list(product(StepState, StepState)))
def test_a_step_moves_by_the_table_and_not_otherwise(front: Front, now: StepState, then: StepState) -> None:
    front.exam("A2", "BONE-3P")
    with front.records.writing() as work:
        exam = course.find_exam(work, "A2", "MAIN")
        step = course.steps_of(work, exam)[0]
        step.state = now
        work.add(step)
        if may_follow(STEP_AFTER, now, then):
            course.move_step(work, exam, step, then)
            assert step.state == then
            assert (step.finished_at is not None) == (then in STEP_ENDED)
        else:
            with pytest.raises(Refused, match=f"is {now}"):
                course.move_step(work, exam, step, then)


def test_a_step_with_images_is_not_not_done_but_its_sibling_may_be(front: Front) -> None:
    front.exam("A2", "PARATHYROID")
    batch = front.file_image("A2")
    with front.records.writing() as work:
        steps = course.steps_of(work, course.find_exam(work, "A2", "MAIN"))
        row = work.session.get_one(Batch, batch)
        row.step_id = steps[0].id
        work.add(row)
    with pytest.raises(Refused, match="images"):
        move(front, StepState.NOT_DONE, "A2", 0)
    move(front, StepState.NOT_DONE, "A2", 1)


# -- the exam's own state --------------------------------------------------------------------------------------------


def test_the_exam_follows_its_steps_and_images(front: Front) -> None:
    seen = [front.look().state]
    for to in (StepState.ARRIVED, StepState.INJECTED, StepState.IN_PROGRESS, StepState.DONE):
        move(front, to)
        seen.append(front.look().state)
    front.file_image()
    seen.append(front.look().state)
    sign(front)
    seen.append(front.look().state)
    assert seen == ["registered", "registered", "registered", "in_progress", "acquired", "ready", "reported"]


def test_a_first_image_begins_an_exam_and_the_last_one_makes_it_ready(front: Front) -> None:
    front.file_image(frames=1)
    assert (front.look().state, front.look().images.state) == ("in_progress", "arriving")
    front.file_image(frames=1)
    assert (front.look().state, front.look().images.state) == ("ready", "complete")


def test_unfiled_images_lead_an_exam_home(front: Front) -> None:
    batch = front.file_image()
    sign(front)
    assert front.look().state == "reported"
    sign(front, state=ReportState.WITHDRAWN)
    assert front.look().state == "ready"
    unfile(front, batch)
    assert (front.look().state, front.look().images.state) == ("registered", "none")


def test_a_step_added_after_the_signature_reopens_the_exam(front: Front) -> None:
    front.file_image()
    sign(front)
    front.after(minutes=5)
    with front.records.writing() as work:
        exam = course.find_exam(work, "A1", "MAIN")
        step = Step(site="MAIN", exam_id=exam.id or 0, sps_id="S99", position=9, name="delayed", added_at=work.now)
        work.add(step)
        course.settle(work, exam)
    assert front.look().state == "in_progress"
    move(front, StepState.DONE, place=1)
    assert front.look().state != "reported"
    front.after(minutes=5)
    sign(front, state=ReportState.AMENDED)
    assert front.look().state == "reported"


def test_an_uptake_measurement_is_ready_without_images(front: Front) -> None:
    front.exam("A2", "RAIU-PROBE")
    for place in (0, 1):
        move(front, StepState.DONE, "A2", place)
    exam = front.look("A2")
    assert (exam.state, exam.report.locked, exam.images.due_at) == ("ready", False, None)


def test_all_steps_not_done_close_the_exam(front: Front) -> None:
    move(front, StepState.NOT_DONE)
    assert front.look().state == "not_done"
    reopen(front)
    assert (front.look().state, front.states()) == ("registered", ["scheduled"])


@pytest.mark.parametrize("to", [ExamState.CANCELLED, ExamState.NOT_DONE])
def test_a_closed_exam_keeps_its_reason_and_comes_back(front: Front, to: ExamState) -> None:
    close(front, to)
    closed = front.look()
    assert (closed.state, closed.closed_reason, front.states()) == (to, "why", ["not_done"])
    reopen(front)
    assert (front.look().state, front.look().closed_reason) == ("registered", "")


def test_a_closed_exam_does_not_wake_by_itself(front: Front) -> None:
    close(front)
    with front.records.writing() as work:
        course.settle(work, course.find_exam(work, "A1", "MAIN"))
    assert front.look().state == "cancelled"


def test_an_exam_with_images_does_not_close_and_an_open_one_does_not_reopen(front: Front) -> None:
    with pytest.raises(Refused, match="not closed"):
        reopen(front)
    front.file_image()
    with pytest.raises(Refused, match="images"):
        close(front)


def test_every_state_can_be_left_and_reached_by_the_table() -> None:
    assert set(EXAM_AFTER) == set(ExamState)
    reached = {then for after in EXAM_AFTER.values() for then in after}
    assert reached == set(ExamState)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(st.sampled_from(["arrive", "inject", "start", "done", "stop", "not done", "back", "image",
                                      "unfile", "sign", "withdraw", "cancel", "reopen"]), max_size=12))  # fmt: skip
def test_whatever_happens_the_state_says_what_is_on_record(front: Front, acts: list[str]) -> None:
    """Refused acts change nothing; the state never contradicts steps, images and report."""
    number = f"H{front.records.last_event()}"
    front.exam(number)
    batches: list[int] = []
    for act in acts:
        _try(front, number, act, batches)
        exam = front.look(number)
        ended = all(step.state in STEP_ENDED for step in exam.steps)
        if exam.state in EXAM_CLOSED:
            assert exam.images.received == 0
            assert ended
        if exam.state == ExamState.READY:
            assert exam.images.state is ImagesState.COMPLETE
        if exam.state == ExamState.ACQUIRED:
            assert ended
        if exam.state in {ExamState.REGISTERED, ExamState.ASSIGNED, ExamState.PROTOCOLLED}:
            assert exam.images.received == 0
        if exam.state == ExamState.REPORTED:
            assert exam.report.state is ReportState.FINAL
        assert (exam.images.received == 0) == (exam.images.first_at is None)


_TO = {"arrive": StepState.ARRIVED, "inject": StepState.INJECTED, "start": StepState.IN_PROGRESS,
       "done": StepState.DONE, "stop": StepState.DISCONTINUED, "not done": StepState.NOT_DONE,
       "back": StepState.SCHEDULED}  # fmt: skip


def _try(front: Front, number: str, act: str, batches: list[int]) -> None:
    exam = front.look(number)
    closed = exam.state in EXAM_CLOSED
    try:
        if act in _TO and not closed:
            move(front, _TO[act], number)
        elif act == "image" and not closed:
            batches.append(front.file_image(number))
        elif act == "unfile" and batches:
            unfile(front, batches.pop())
        elif act == "sign" and not closed and exam.images.received and exam.report.state is not ReportState.FINAL:
            sign(front, number)
        elif act == "withdraw" and exam.report.state is ReportState.FINAL:
            sign(front, number, ReportState.WITHDRAWN)
        elif act in {"cancel", "reopen"}:
            with front.records.writing() as work:
                row = course.find_exam(work, number, "MAIN")
                course.reopen(work, row) if act == "reopen" else course.close(work, row, ExamState.CANCELLED, "x")
    except Refused:
        assert front.look(number) == exam


# -- counts ----------------------------------------------------------------------------------------------------------


def test_derived_objects_are_counted_apart(front: Front) -> None:
    front.file_image(frames=2)
    front.file_image(frames=7, counted=False)
    with front.records.reading() as work:
        row = course.find_exam(work, "A1", "MAIN")
        assert (row.images_received, row.images_uncounted, row.images_unit) == (2, 1, "frames")


def test_without_a_plan_the_vectors_of_the_objects_tell_what_is_due(front: Front) -> None:
    front.exam("A2", "RENO-MAG3")
    front.file_image("A2", frames=100, due_frames=180)
    images = front.look("A2").images
    assert (images.received, images.expected, images.unit, images.state) == (100, 180, "frames", "arriving")


def test_where_nothing_tells_what_is_due_only_finish_makes_it_complete(front: Front) -> None:
    front.exam("A2", "PET-FDG")
    for _ in range(3):
        front.file_image("A2", frames=1)
    images = front.look("A2").images
    assert (images.received, images.expected, images.unit, images.state) == (3, None, "instances", "arriving")
    move(front, StepState.DONE, "A2")
    assert (front.look("A2").images.state, front.look("A2").state) == ("complete", "ready")


def test_a_step_not_done_is_not_waited_for(front: Front) -> None:
    front.exam("A2", "PARATHYROID")
    assert front.look("A2").images.expected == 2
    move(front, StepState.NOT_DONE, "A2", 1)
    assert front.look("A2").images.expected == 1


def test_a_contradiction_shows_and_locks_and_goes_away(front: Front) -> None:
    batch = front.file_image()
    with front.records.writing() as work:
        exam = course.find_exam(work, "A1", "MAIN")
        other = work.session.get_one(Batch, batch)
        clash = Batch(site="MAIN", study_uid="9.9", identity_key="x", state=BatchState.CONFLICTING,
                      contradicts=exam.id, first_at=work.now, last_at=work.now)  # fmt: skip
        work.add(clash, other)
        course.settle(work, exam)
    shown = front.look()
    assert (shown.images.state, shown.report.lock_reason, shown.images.received) == ("conflicting", "conflicting", 2)
    with front.records.writing() as work:
        exam = course.find_exam(work, "A1", "MAIN")
        row = work.session.exec(select(Batch).where(Batch.study_uid == "9.9")).one()
        row.contradicts = None
        work.add(row)
        course.settle(work, exam)
    assert front.look().images.state == "complete"


# -- what is due -----------------------------------------------------------------------------------------------------


def test_images_are_due_a_day_after_injection_uptake_and_protocol(front: Front) -> None:
    assert front.look().images.due_at == MORNING + timedelta(hours=24)
    front.after(hours=1)
    move(front, StepState.INJECTED)
    assert front.look().images.due_at == MORNING + timedelta(hours=25, minutes=180 + 25)
    front.after(hours=30)
    assert front.look().images.state == "overdue"
    front.file_image()
    assert front.look().images.state == "complete"


def test_the_report_is_due_after_the_end_of_the_exam(front: Front) -> None:
    assert front.look().report.due_at is None
    front.after(hours=2)
    move(front, StepState.DONE)
    assert front.look().report.due_at == MORNING + timedelta(hours=26)


def test_a_closed_exam_is_never_overdue(front: Front) -> None:
    close(front)
    front.after(days=3)
    assert front.look().images.state == "none"


def test_the_lock_says_why(front: Front) -> None:
    assert front.look().report.lock_reason == "no_images"
    front.file_image()
    assert not front.look().report.locked
    sign(front)
    assert front.look().report.lock_reason == "final"


# -- finding ---------------------------------------------------------------------------------------------------------


def test_an_exam_answers_to_accession_patient_number_and_id(front: Front) -> None:
    with front.records.reading() as work:
        exam = course.find_exam(work, "A1", "MAIN")
        assert course.find_exam(work, "P1", "MAIN").id == exam.id
        assert course.find_exam(work, str(exam.id), "MAIN").id == exam.id
        for nobody in ("A9", "999"):
            with pytest.raises(NotFound, match="answers to"):
                course.find_exam(work, nobody, "MAIN")
        with pytest.raises(NotFound):
            course.find_exam(work, "A1", "EAST")


def test_a_patient_number_means_the_only_open_exam(front: Front) -> None:
    front.exam("A2")
    with front.records.reading() as work, pytest.raises(NotFound, match="A1, A2"):
        course.find_exam(work, "P1", "MAIN")
    close(front)
    with front.records.reading() as work:
        assert course.find_exam(work, "P1", "MAIN").accession == "A2"


def test_every_change_is_told_with_numbers_and_no_name(front: Front) -> None:
    before = front.records.last_event()
    move(front, StepState.IN_PROGRESS)
    told = front.records.events_after(before)
    assert [(event.kind, event.subject) for event in told] == [("exam", "A1")]
    assert told[0].data["state"] == "in_progress"
    assert "Zhang" not in str(told[0].data)


def test_images_per_step_are_told_apart(front: Front) -> None:
    front.exam("A2", "PARATHYROID")
    batch = front.file_image("A2", frames=1)
    with front.records.writing() as work:
        row = work.session.get_one(Batch, batch)
        row.step_id = course.steps_of(work, course.find_exam(work, "A2", "MAIN"))[1].id
        work.add(row)
        assert work.session.exec(select(Image)).all()
    assert [step.images for step in front.look("A2").steps] == [0, 1]
