"""Objects arrive and find their exam, or wait where people see them."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from sqlmodel import select

from core import course
from core.model import AuditEntry, Batch, Device, Identifier, Patient, Site, Step
from core.vocabulary import BatchState, ExamState, ImagesState
from core.workflow import unfiled
from tests.unit.workflow.arrivals import CLERK, PHYSICIST, READER, Arrivals


@pytest.fixture
def arrivals(tmp_path: Path) -> Arrivals:
    return Arrivals(tmp_path)


def test_number_and_accession_file_an_object_and_count_it(arrivals: Arrivals) -> None:
    batch = arrivals.batch(arrivals.send())
    assert (batch.state, batch.decided_by) == (BatchState.FILED, "rule")
    assert batch.reasons == ["patient number and accession agree"]
    exam = arrivals.look("A1")
    assert (exam.images_received, exam.images_state) == (1, ImagesState.ARRIVING)
    arrivals.send()
    exam = arrivals.look("A1")
    assert (exam.images_received, exam.images_state, exam.state) == (2, ImagesState.COMPLETE, ExamState.READY)


def test_an_unfiled_batch_is_told_and_listed_with_its_candidates(arrivals: Arrivals) -> None:
    batch = arrivals.send(accession="")
    assert arrivals.batch(batch).state == BatchState.UNFILED
    assert [(event.subject, event.data["state"]) for event in arrivals.news("unfiled")] == [(str(batch), "unfiled")]
    with arrivals.records.reading() as work:
        [listed] = unfiled.listing(work, CLERK)
    assert listed.reasons == ["only the patient number agrees: two keys are needed", "no accession was sent"]
    assert {one.accession for one in listed.candidates} == {"A1", "A2"}
    assert all("patient number agrees" in one.reasons for one in listed.candidates)
    assert arrivals.look("A1").images_received == 0


def test_an_outside_reader_sees_no_strangers(arrivals: Arrivals) -> None:
    arrivals.send(accession="")
    with arrivals.records.reading() as work, pytest.raises(Exception, match="may not find"):
        unfiled.listing(work, READER)


def test_another_sex_contradicts_the_exam_and_locks_its_report(arrivals: Arrivals) -> None:
    batch = arrivals.batch(arrivals.send(sex="F"))
    exam = arrivals.look("A1")
    assert (batch.state, batch.contradicts) == (BatchState.CONFLICTING, exam.id)
    assert (exam.images_state, exam.images_received) == (ImagesState.CONFLICTING, 0)
    with arrivals.records.reading() as work:
        assert course.shape(work, exam).report.lock_reason == "conflicting"
        [listed] = unfiled.listing(work, PHYSICIST)
    assert listed.contradicts == "A1"


def test_a_study_that_belongs_to_another_patient_is_a_conflict(arrivals: Arrivals) -> None:
    arrivals.send("9.9.1", "P1", "A1")
    batch = arrivals.batch(arrivals.send("9.9.1", "P2", "A3", "Li^Na", born="19881130", sex="F"))
    assert batch.state == BatchState.CONFLICTING


def test_a_study_uid_we_issued_files_with_the_number_alone(arrivals: Arrivals) -> None:
    assert arrivals.batch(arrivals.send("1.2.3.2", "P1", "")).exam_id == arrivals.look("A2").id


def test_images_are_filed_once_the_exam_is_registered_and_another_object_comes(arrivals: Arrivals) -> None:
    batch = arrivals.send(accession="A9")
    assert arrivals.batch(batch).state == BatchState.UNFILED
    arrivals.exam("A9", 1, "1.2.3.9")
    with arrivals.records.reading() as work:
        [listed] = unfiled.listing(work, CLERK)
    assert listed.candidates[0].accession == "A9"
    assert {"patient number agrees", "accession agrees"} <= set(listed.candidates[0].reasons)
    arrivals.send(accession="A9")
    assert arrivals.batch(batch).exam_id == arrivals.look("A9").id
    assert arrivals.look("A9").images_received == 2


def test_quality_control_lies_on_its_own_shelf(arrivals: Arrivals) -> None:
    batch = arrivals.send(number="QC", accession="", name="PHANTOM", born="", sex="")
    assert arrivals.batch(batch).state == BatchState.QC
    with arrivals.records.reading() as work:
        assert unfiled.listing(work, CLERK) == []
        assert [one.id for one in unfiled.listing(work, CLERK, [BatchState.QC])] == [batch]


@pytest.mark.parametrize("order", list(itertools.permutations(["uniformity", "thyroid", "flood"])))
def test_a_batch_is_quality_control_only_when_all_of_it_is_whatever_came_first(
    arrivals: Arrivals, order: tuple[str, ...]
) -> None:
    for place, described in enumerate(order):
        batch = arrivals.send(
            number="", accession="", name="", born="", sex="", series=f"s{place}", description=described
        )
    assert arrivals.batch(batch).state == BatchState.UNFILED


def test_a_cancelled_exam_takes_no_images_by_itself(arrivals: Arrivals) -> None:
    with arrivals.records.writing() as work:
        course.close(work, course.find_exam(work, "A1", "MAIN"), ExamState.CANCELLED, "patient left")
    batch = arrivals.send()
    assert arrivals.batch(batch).state == BatchState.UNFILED
    with arrivals.records.reading() as work:
        assert "A1" in {one.accession for one in unfiled.one(work, CLERK, str(batch)).candidates}


def test_late_images_are_filed_to_a_signed_exam_and_flagged_to_its_signer_once(arrivals: Arrivals) -> None:
    arrivals.send()
    arrivals.sign("A1")
    arrivals.send()
    arrivals.send()
    assert arrivals.look("A1").images_received == 3
    assert arrivals.changes("A1") == ["filed"]
    assert [event.subject for event in arrivals.news("report")] == ["A1"]


def test_a_merged_patient_is_known_by_the_numbers_of_both_records(arrivals: Arrivals) -> None:
    with arrivals.records.writing() as work:
        merged = Patient(site="MAIN", number="T9", merged_into=1, registered_at=work.now, changed_at=work.now)
        work.add(merged)
        work.add(Identifier(site="MAIN", patient_id=merged.id or 0, value="T9", normalised="t9"))
    assert arrivals.batch(arrivals.send(number="T9")).exam_id == arrivals.look("A1").id


def test_zeros_and_hyphens_are_ignored_where_the_site_says_so(arrivals: Arrivals) -> None:
    assert arrivals.batch(arrivals.send("9.9.1", "00P-1")).state == BatchState.UNFILED
    with arrivals.records.writing() as work:
        site = work.session.get_one(Site, "MAIN")
        site.rules = {"filing": {"ignore_zeros_and_hyphens": True}}
        work.add(site)
    assert arrivals.batch(arrivals.send("9.9.2", "00P-1")).state == BatchState.FILED


def test_the_study_id_is_the_accession_where_the_device_s_profile_says_so(arrivals: Arrivals) -> None:
    assert arrivals.batch(arrivals.send("9.9.1", accession="", study_id="A1")).state == BatchState.UNFILED
    with arrivals.records.writing() as work:
        camera = work.session.exec(select(Device)).one()
        camera.profile = {"study_id_is_accession": True}
        work.add(camera)
    later = arrivals.send("9.9.2", accession="", study_id="A1", aet="CAM1")  # by one of its other names
    assert arrivals.batch(later).state == BatchState.FILED


def test_a_batch_is_tied_to_the_step_it_names_and_to_none_when_it_serves_two(arrivals: Arrivals) -> None:
    with arrivals.records.writing() as work:
        exam = course.find_exam(work, "A1", "MAIN")
        work.add(Step(site="MAIN", exam_id=exam.id or 0, sps_id="LATE", position=1, expected_frames=2))
    batch = arrivals.send(step="late ")
    with arrivals.records.reading() as work:
        steps = {step.sps_id: step.id for step in course.steps_of(work, course.find_exam(work, "A1", "MAIN"))}
    assert arrivals.batch(batch).step_id == steps["LATE"]
    arrivals.send(step="SA1")
    assert arrivals.batch(batch).step_id is None


def test_the_rule_leaves_its_reasons_in_the_audit_trail(arrivals: Arrivals) -> None:
    arrivals.send()
    with arrivals.records.reading() as work:
        [entry] = work.session.exec(select(AuditEntry)).all()
    assert (entry.action, entry.actor, entry.subject) == ("images.filed", "system:filing", "A1")
    assert entry.detail["reasons"] == ["patient number and accession agree"]


def test_the_order_in_which_objects_arrive_changes_nothing(tmp_path: Path) -> None:
    sent = [
        {"accession": "A1"}, {"accession": ""}, {"number": "P2", "accession": "A3", "name": "Li^Na", "born": "19881130",
        "sex": "F", "study": "9.9.2"}, {"sex": "F", "study": "9.9.3"}, {"accession": "A2", "study": "9.9.4"},
    ]  # fmt: skip
    seen = set()
    for turn, order in enumerate(itertools.islice(itertools.permutations(sent), 0, 120, 17)):
        folder = tmp_path / str(turn)
        folder.mkdir()
        department = Arrivals(folder)
        for what in order:
            department.send(**what)
        with department.records.reading() as work:
            rows = work.session.exec(select(Batch)).all()
            seen.add(frozenset((b.study_uid, b.identity_key, b.state, b.exam_id, b.contradicts) for b in rows))
    assert len(seen) == 1


def test_objects_without_a_study_uid_have_nothing_in_common(arrivals: Arrivals) -> None:
    arrivals.send("", "P1", "A1")
    other = arrivals.batch(arrivals.send("", "P2", "A3", "Li^Na", born="19881130", sex="F"))
    assert other.exam_id == arrivals.look("A3").id


def test_a_long_list_leaves_the_candidates_to_whoever_asks_for_one(arrivals: Arrivals) -> None:
    batch = arrivals.send(accession="", series="s1")
    arrivals.send(accession="", series="s2")
    with arrivals.records.reading() as work:
        [listed] = unfiled.listing(work, PHYSICIST, candidates=False)
        asked = unfiled.one(work, PHYSICIST, str(batch))
    assert (listed.candidates, listed.series) == ([], ["s1", "s2"])
    assert {one.accession for one in asked.candidates} == {"A1", "A2"}
