"""When an exam is ready: what is made of its images is asked for by itself, and waited for until it is decided on."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from core import course, wire
from core.errors import Forbidden, Invalid, NotFound, Refused
from core.model import Batch, Exam, Job, Processing
from core.vocabulary import JobState, ProcessingState
from core.workflow import acquisition, catalogue, queue, triage
from core.workflow.processing import asking, deciding
from core.workflow.processing.recipes import FORMS, NUDGES, form_of
from core.workflow.processing.shelf import Shelf
from tests.unit.workflow.front import ADMIN, CLERK, DOCTOR, HEAD, NURSE, PHYSICIST, READER, TECHNOLOGIST, Front

SCAN = "ORIGINAL\\PRIMARY\\TOMO\\EMISSION"
SPECT = {"recipe": "spect", "parameters": {"method": "osem"}}
LESION = {"recipe": "lesion", "parameters": {"hottest": True}}


def _protocolled(front: Front, *processing: dict[str, Any], procedure: str = "BONE-WB") -> None:
    """Let an exam be ended whose images alone are missing."""
    front.patient()
    front.exam("A1", procedure)
    form = {"device": "SPECT1", "processing": list(processing) or None}
    front.do(triage.protocol, HEAD, "A1", wire.ProtocolExam.model_validate(form))
    for act in (acquisition.start, acquisition.finish):
        front.do(act, TECHNOLOGIST, "A1", wire.StepAct(reason="none of it applies"))


def _listed(front: Front) -> list[wire.Processing]:
    with front.records.reading() as work:
        return asking.listing(work, PHYSICIST, exam="A1")


def _end(front: Front, number: int, job: JobState, error: str = "") -> None:
    """Let the job of a processing run and end; a processing that is made is made by it."""
    with front.records.writing() as work:
        row = work.session.get_one(Processing, number)
        one = work.session.get_one(Job, row.job_id)
        queue.move(work, one, JobState.RUNNING)
        if job is JobState.DONE:
            course.move_processing(work, row, ProcessingState.MADE)
        queue.move(work, one, job, error)


def test_the_catalogue_names_what_is_made_of_a_heart_and_asks_for_it_once(front: Front) -> None:
    _protocolled(front, procedure="MPI-STRESS")
    assert _listed(front) == []
    front.file_image(frames=60, image_type=SCAN)
    [one] = _listed(front)
    assert (one.recipe, one.state, one.due, one.asked_by) == ("spect", "queued", True, "rule")
    assert one.parameters["filter"] == "butterworth"
    assert (front.look().images.state, front.look().state) == ("complete", "acquired")
    front.file_image(frames=1, image_type="DERIVED\\SECONDARY", counted=False)
    assert len(_listed(front)) == 1
    with front.records.reading() as work:
        jobs = work.session.exec(select(Job).where(Job.kind == "processing")).all()
    assert [job.arguments for job in jobs] == [{"processing": one.id}]


def test_each_rotation_is_reconstructed_by_itself(front: Front) -> None:
    _protocolled(front, SPECT)
    front.file_image(frames=60, image_type=SCAN)
    front.file_image(frames=60, image_type=SCAN)
    assert sorted(len(one.inputs) for one in _listed(front)) == [1, 1]
    assert len({one.inputs[0] for one in _listed(front)}) == 2


def test_an_exam_that_asks_for_nothing_is_ready_with_its_images(front: Front) -> None:
    _protocolled(front)
    front.file_image()
    assert (front.look().state, _listed(front)) == ("ready", [])


def test_what_failed_holds_the_exam_back_until_somebody_does_without_it(front: Front, tmp_path: Path) -> None:
    _protocolled(front, SPECT)
    front.file_image(frames=60, image_type=SCAN)
    [one] = _listed(front)
    _end(front, one.id, JobState.FAILED, "object 2.25.1: no counts at all")
    [failed] = _listed(front)
    assert (failed.state, failed.error) == ("failed", "object 2.25.1: no counts at all")
    assert front.look().state == "acquired"
    with front.records.writing() as work:
        deciding.discard(work, Shelf(tmp_path), PHYSICIST, one.id)
    assert front.look().state == "ready"


def test_what_stands_later_waits_until_what_stands_before_is_decided_on(front: Front, tmp_path: Path) -> None:
    _protocolled(front, SPECT, LESION)
    front.file_image(frames=60, image_type=SCAN)
    assert {one.recipe: one.state for one in _listed(front)} == {"spect": "queued", "lesion": "waiting"}
    first = next(one for one in _listed(front) if one.recipe == "spect")
    _end(front, first.id, JobState.DONE)
    with front.records.writing() as work:
        deciding.discard(work, Shelf(tmp_path), PHYSICIST, first.id)
    assert {one.recipe: one.state for one in _listed(front)} == {"spect": "discarded", "lesion": "queued"}
    assert front.look().state == "acquired"


def test_what_was_made_of_images_that_are_taken_away_is_discarded(front: Front) -> None:
    _protocolled(front, SPECT)
    batch = front.file_image(frames=60, image_type=SCAN)
    [one] = _listed(front)
    _end(front, one.id, JobState.DONE)
    with front.records.writing() as work:
        row = work.session.get_one(Batch, batch)
        row.exam_id, row.state = None, "unfiled"
        work.session.add(row)
        course.settle(work, course.find_exam(work, "A1", "MAIN"))
    [gone] = _listed(front)
    assert (gone.state, gone.error) == ("discarded", "its images were taken from the exam")
    assert front.look().images.received == 0


def test_another_protocol_waits_no_more_for_what_the_former_asked(front: Front) -> None:
    _protocolled(front, SPECT)
    front.file_image(frames=60, image_type=SCAN)
    with front.records.writing() as work:
        exam = work.session.exec(select(Exam)).one()
        exam.processing = []
        course.settle(work, exam)
    assert front.look().state == "ready"


def test_cancelling_the_job_cancels_the_processing_and_the_other_way_round(front: Front) -> None:
    _protocolled(front, SPECT)
    front.file_image(frames=60, image_type=SCAN)
    [one] = _listed(front)
    with front.records.writing() as work:
        job = work.session.exec(select(Job).where(Job.kind == "processing")).one()
        queue.move(work, job, JobState.CANCELLED)
    assert _listed(front)[0].state == "cancelled"
    again = front.do(asking.repeat, PHYSICIST, one.id, wire.RepeatProcessing(parameters={"iterations": 2}))
    assert (again.parameters["iterations"], again.parameters["method"], again.replaces) == (2, "osem", one.id)
    with front.records.reading() as work:
        waiting = asking.listing(work, PHYSICIST, waiting=True)
    assert [each.id for each in waiting] == [again.id]
    front.do(asking.cancel, PHYSICIST, again.id)
    with front.records.reading() as work:
        jobs = work.session.exec(select(Job.state).where(Job.kind == "processing")).all()
    assert set(jobs) == {JobState.CANCELLED}
    with front.records.writing() as work:
        course.move_processing(work, work.session.get_one(Processing, again.id), ProcessingState.DISCARDED)
    with pytest.raises(Refused, match="is discarded: it cannot become cancelled"):
        front.do(asking.cancel, PHYSICIST, again.id)


def test_only_who_processes_images_asks_for_it(front: Front) -> None:
    _protocolled(front)
    front.file_image(frames=60, image_type=SCAN)
    form = wire.AskProcessing.model_validate(SPECT)
    for actor in (CLERK, NURSE, TECHNOLOGIST, ADMIN, READER):
        with pytest.raises(Forbidden):
            front.do(asking.ask, actor, "A1", form)
    for actor in (PHYSICIST, DOCTOR, HEAD):
        assert front.do(asking.ask, actor, "A1", form).due is False
    assert front.look().state == "ready"


def test_images_of_another_patient_are_not_processed_with_this_one(front: Front) -> None:
    _protocolled(front)
    front.file_image(frames=60, image_type=SCAN)
    front.patient("P2", "Li^Na")
    front.exam("A2", patient="P2")
    front.file_image("A2")
    with front.records.reading() as work:
        foreign = work.session.exec(select(Batch.study_uid)).all()
    form = wire.AskProcessing(recipe="lesion", inputs=[foreign[-1]])  # type: ignore[arg-type]  # pydantic reads the word
    with pytest.raises(NotFound, match="is filed to the patient of A1"):
        front.do(asking.ask, PHYSICIST, "A1", form)


def test_a_catalogue_entry_names_no_parameter_its_recipe_does_not_have(front: Front) -> None:
    wrong = wire.ProcedureChange.model_validate({"processing": [{"recipe": "spect", "parameters": {"sharpness": 1}}]})
    with pytest.raises(Invalid, match="no parameter 'sharpness'"):
        front.do(catalogue.change, ADMIN, "DMSA", wrong)
    right = wire.ProcedureChange.model_validate({"processing": [SPECT]})
    changed = front.do(catalogue.change, ADMIN, "DMSA", right)
    assert changed.processing[0].parameters == {"method": "osem"}


def test_every_recipe_has_usual_values_of_its_own_kinds_and_bounds() -> None:
    for form in FORMS.values():
        values = form.values({})
        assert form.values(values) == values
        known = {one.name for one in form.parameters}
        assert all(set(one.depends_on) <= known for one in form.parameters)
    assert set(NUDGES) <= {one.name for one in form_of("coregister").parameters}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"iterations": True}, "is a number"),
        ({"iterations": "4"}, "is a number"),
        ({"decay": 1.0}, "is true or false"),
        ({"subsets": 61}, "runs from 1 to 60"),
        ({"filter": "sharp"}, "is one of hann"),
    ],
)
def test_a_value_of_another_kind_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        form_of("spect").values(given)


def test_steps_are_let_go_some_days_after_it_was_decided_and_so_is_what_dead_makers_left(
    front: Front, tmp_path: Path
) -> None:
    shelf = Shelf(tmp_path / "processing")
    _protocolled(front, SPECT)
    front.file_image(frames=60, image_type=SCAN)
    [one] = _listed(front)
    _end(front, one.id, JobState.CANCELLED)
    shelf.put(one.id, shelf.begin(one.id, 1))
    shelf.begin(one.id, 2)
    with front.records.reading() as work:
        assert deciding.tidy(work, shelf, timedelta(days=30)) == 1
    assert list(shelf.held()) == [str(one.id)]
    with front.records.writing() as work:
        row = work.session.get_one(Processing, one.id)
        course.move_processing(work, row, ProcessingState.DISCARDED)
        row.decided_at = work.now
    front.after(days=31)
    with front.records.reading() as work:
        assert deciding.tidy(work, shelf, timedelta(days=30)) == 1
    assert shelf.held() == {}


def test_what_is_put_on_the_shelf_takes_the_place_of_what_lay_there(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "processing")
    for attempt, content in ((1, b"one"), (2, b"other")):
        place = shelf.begin(7, attempt)
        (place / "objects" / "2.25.1.dcm").write_bytes(content)
        if attempt == 1:
            left = shelf.begin(7, 9)  # of a maker that died
            assert left.is_dir()
        shelf.put(7, place)
    assert shelf.result(7, "2.25.1").read_bytes() == b"other"
    assert [one.name for one in (tmp_path / "processing").iterdir()] == ["7"]
    with pytest.raises(NotFound, match="repeat the processing"):
        shelf.stage(7, "projections")
    shelf.clear(7)
    assert not shelf.result(7, "2.25.1").exists()
