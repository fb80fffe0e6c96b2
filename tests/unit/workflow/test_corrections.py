"""People with the right put filing right, with a reason, and take it back; others cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlmodel import select

from core import audit, course, wire
from core.access import Actor
from core.errors import Forbidden, Invalid, NotFound, Refused
from core.model import AuditEntry, Batch, BatchSeries, Image
from core.vocabulary import BatchState, ExamState, ImagesState
from core.workflow import corrections
from tests.unit.workflow.arrivals import CLERK, DOCTOR, HEAD, PHYSICIST, TECHNOLOGIST, Arrivals


@pytest.fixture
def arrivals(tmp_path: Path) -> Arrivals:
    return Arrivals(tmp_path)


def put(
    arrivals: Arrivals, reference: object, accession: str, *, by: Actor = PHYSICIST, reason: str = "",
    series: str | None = None,
) -> wire.Correction:  # fmt: skip
    form = wire.FileBatch(accession=accession, reason=reason, series=series)
    with arrivals.records.writing() as work:
        return corrections.file_batch(work, by, str(reference), form)


def take(arrivals: Arrivals, study: str = "9.9.1", reason: str = "", by: Actor = PHYSICIST) -> wire.Correction:
    with arrivals.records.writing() as work:
        return corrections.unfile(work, by, wire.Unfile(study_instance_uid=study, reason=reason))


def undo(arrivals: Arrivals, correction: int, by: Actor = PHYSICIST) -> wire.Correction:
    with arrivals.records.writing() as work:
        return corrections.undo(work, by, correction, wire.Undo(reason="slip"))


def everything(arrivals: Arrivals) -> list[object]:
    """What filing is made of, as it stands."""
    with arrivals.records.reading() as work:
        batches = [row.model_dump() for row in work.session.exec(select(Batch)).all() if row.received]
        images = [row.model_dump() for row in work.session.exec(select(Image)).all()]
        links = [row.model_dump(exclude={"id"}) for row in work.session.exec(select(BatchSeries)).all()]
    exams = [arrivals.look(one).model_dump() for one in ("A1", "A2", "A3")]
    return [batches, images, links, exams]


def test_a_physicist_files_an_unfiled_batch_and_it_counts(arrivals: Arrivals) -> None:
    batch = arrivals.send(accession="")
    done = put(arrivals, batch, "A1")
    assert (done.kind, done.study_instance_uid, done.by) == ("file", "9.9.1", "he.jun")
    assert (done.from_["accession"], done.to["accession"]) == (None, "A1")
    assert done.model_dump(by_alias=True)["from"]["state"] == "unfiled"
    assert arrivals.look("A1").images_received == 1
    arrivals.send(accession="")
    assert arrivals.look("A1").images_received == 2, "later objects follow"


def test_a_technologist_confirms_a_candidate_and_nothing_else(arrivals: Arrivals) -> None:
    batch = arrivals.send(accession="")
    with pytest.raises(Forbidden, match="may only confirm candidates"):
        put(arrivals, batch, "A3", by=TECHNOLOGIST, reason="looks right")
    put(arrivals, batch, "A1", by=TECHNOLOGIST)
    assert arrivals.look("A1").images_received == 1
    with pytest.raises(Forbidden):
        take(arrivals, by=TECHNOLOGIST)


def test_a_technologist_does_not_settle_a_conflict(arrivals: Arrivals) -> None:
    batch = arrivals.send(sex="F")
    with pytest.raises(Forbidden):
        put(arrivals, batch, "A1", by=TECHNOLOGIST, reason="typed wrong")


@pytest.mark.parametrize("somebody", [CLERK, DOCTOR])
def test_others_correct_nothing(arrivals: Arrivals, somebody: Actor) -> None:
    batch = arrivals.send(accession="")
    with pytest.raises(Forbidden, match="may not file"):
        put(arrivals, batch, "A1", by=somebody, reason="please")


def test_filing_against_what_differs_wants_a_reason(arrivals: Arrivals) -> None:
    batch = arrivals.send(number="P7", accession="")
    with pytest.raises(Invalid, match="patient number differs: give a reason"):
        put(arrivals, batch, "A1")
    put(arrivals, batch, "A1", reason="typed by hand at the camera")


def test_settling_a_conflict_unlocks_the_report(arrivals: Arrivals) -> None:
    batch = arrivals.send(sex="F")
    assert arrivals.look("A1").images_state == ImagesState.CONFLICTING
    put(arrivals, batch, "A1", reason="sex typed wrong at the camera")
    assert (arrivals.look("A1").images_state, arrivals.look("A1").images_received) == (ImagesState.ARRIVING, 1)


def test_of_two_people_who_file_the_same_batch_the_second_is_told(arrivals: Arrivals) -> None:
    batch = arrivals.send(accession="")
    put(arrivals, batch, "A1")
    with pytest.raises(Refused, match=r"filed to A1 by he\.jun already"):
        put(arrivals, batch, "A2", by=HEAD, reason="it is the other one")
    with pytest.raises(Refused, match=r"filed to A1 by he\.jun already"):
        put(arrivals, "9.9.1", "A1", by=HEAD)


def test_a_closed_exam_is_reopened_before_images_are_filed_to_it(arrivals: Arrivals) -> None:
    with arrivals.records.writing() as work:
        course.close(work, course.find_exam(work, "A1", "MAIN"), ExamState.CANCELLED, "left")
    batch = arrivals.send()
    with pytest.raises(Refused, match="A1 is cancelled: reopen it"):
        put(arrivals, batch, "A1", reason="was done after all")


def test_a_misfiled_study_is_moved_by_its_uid_with_a_reason(arrivals: Arrivals) -> None:
    arrivals.send()
    with pytest.raises(Invalid, match="give a reason to move"):
        put(arrivals, "9.9.1", "A2")
    moved = put(arrivals, "9.9.1", "A2", reason="the second exam, wrong number typed")
    assert (moved.from_["accession"], moved.to["accession"]) == ("A1", "A2")
    assert (arrivals.look("A1").images_received, arrivals.look("A2").images_received) == (0, 1)


def test_what_a_person_took_away_is_not_filed_again_by_the_rule(arrivals: Arrivals) -> None:
    batch = arrivals.send()
    take(arrivals)
    arrivals.send()
    assert (arrivals.batch(batch).state, arrivals.batch(batch).received) == (BatchState.UNFILED, 2)
    assert (arrivals.look("A1").images_received, arrivals.look("A1").state) == (0, ExamState.PROTOCOLLED)


def test_unfiling_what_is_not_filed_is_refused(arrivals: Arrivals) -> None:
    arrivals.send(accession="")
    with pytest.raises(Refused, match="is not filed"):
        take(arrivals)


def test_undoing_restores_exactly_and_only_once(arrivals: Arrivals) -> None:
    arrivals.send()
    arrivals.send("9.9.2", accession="", series="other")
    acts: list[Callable[[], wire.Correction]] = [
        lambda: take(arrivals),
        lambda: put(arrivals, "9.9.1", "A2", reason="moved"),
        lambda: put(arrivals, "9.9.2", "A1", reason="filed"),
    ]
    for act in acts:
        before = everything(arrivals)
        done = act()
        assert everything(arrivals) != before
        assert undo(arrivals, done.id).undone_at is not None
        assert everything(arrivals) == before
        with pytest.raises(Refused, match=r"was undone by he\.jun"):
            undo(arrivals, done.id)


def test_one_series_is_split_off_and_what_comes_later_follows(arrivals: Arrivals) -> None:
    batch = arrivals.send(series="s1")
    arrivals.send(series="s2")
    before = everything(arrivals)
    done = put(arrivals, "9.9.1", "A2", series="s2", reason="the second exam on the same study")
    assert (done.kind, done.to["series"]) == ("split", ["s2"])
    arrivals.send(series="s1")
    later = arrivals.send(series="s2")
    assert later != batch
    assert (arrivals.look("A1").images_received, arrivals.look("A2").images_received) == (2, 2)
    undo(arrivals, done.id)
    assert (arrivals.look("A1").images_received, arrivals.look("A2").images_received) == (4, 0)
    assert arrivals.batch(batch).received == 4
    assert everything(arrivals)[2] == before[2] == []


def test_the_last_conflicting_series_split_off_leaves_no_conflict_behind(arrivals: Arrivals) -> None:
    arrivals.send(sex="F")
    put(arrivals, "9.9.1", "A3", series="s1", reason="Li Na lay on the table")
    assert arrivals.look("A1").images_state == ImagesState.NONE
    assert arrivals.look("A3").images_received == 1


def test_corrections_are_undone_the_latest_first(arrivals: Arrivals) -> None:
    arrivals.send(accession="")
    first = put(arrivals, "9.9.1", "A1")
    second = take(arrivals)
    with pytest.raises(Refused, match=f"correction {second.id} touches the same images later"):
        undo(arrivals, first.id)
    undo(arrivals, second.id)
    undo(arrivals, first.id)
    assert arrivals.look("A1").images_received == 0


def test_a_correction_to_an_exam_closed_meanwhile_is_not_undone(arrivals: Arrivals) -> None:
    arrivals.send()
    done = take(arrivals)
    with arrivals.records.writing() as work:
        course.close(work, course.find_exam(work, "A1", "MAIN"), ExamState.NOT_DONE, "no images")
    with pytest.raises(Refused, match="is not_done now"):
        undo(arrivals, done.id)


def test_the_signer_is_told_when_images_of_a_signed_report_go_or_come(arrivals: Arrivals) -> None:
    arrivals.send()
    arrivals.sign("A1")
    with pytest.raises(Invalid, match="is signed: say why"):
        take(arrivals)
    done = take(arrivals, reason="another patient's")
    assert arrivals.changes("A1") == ["unfiled"]
    undo(arrivals, done.id)
    assert arrivals.changes("A1") == ["unfiled", "filed"]
    assert {event.subject for event in arrivals.news("report")} == {"A1"}


def test_a_series_split_off_a_signed_exam_is_told(arrivals: Arrivals) -> None:
    arrivals.send(series="s1")
    arrivals.send(series="s2")
    arrivals.sign("A1")
    put(arrivals, "9.9.1", "A2", series="s2", reason="second exam")
    assert arrivals.changes("A1") == ["unfiled"]


def test_every_correction_is_in_the_trail_and_on_the_list(arrivals: Arrivals) -> None:
    arrivals.send()
    done = take(arrivals, reason="wrong patient on the table")
    undo(arrivals, done.id)
    with arrivals.records.reading() as work:
        entries = work.session.exec(select(AuditEntry).order_by("id")).all()
        assert audit.broken_link(work) is None
        [listed] = corrections.listing(work, CLERK)
    assert [entry.action for entry in entries] == ["images.filed", "images.unfile", "images.undo"]
    assert entries[1].detail["reason"] == "wrong patient on the table"
    assert (listed.id, listed.kind, listed.undone_at is not None) == (done.id, "unfile", True)


def test_a_series_given_to_another_patient_makes_no_conflict_of_the_rest(arrivals: Arrivals) -> None:
    rest = arrivals.send(accession="", series="s1")
    arrivals.send(accession="", series="s2")
    put(arrivals, "9.9.1", "A3", series="s2", reason="Li Na lay on the table")
    arrivals.send(accession="", series="s1")
    assert arrivals.batch(rest).state == BatchState.UNFILED
    assert arrivals.look("A3").images_state != ImagesState.CONFLICTING


@pytest.mark.parametrize("nonsense", ["9" * 40, "²", "nobody's"])
def test_a_number_out_of_this_world_names_no_batch_and_no_exam(arrivals: Arrivals, nonsense: str) -> None:
    batch = arrivals.send(accession="")
    for reference, accession in ((nonsense, "A1"), (batch, nonsense)):
        with pytest.raises(NotFound):
            put(arrivals, reference, accession)


def test_an_unknown_batch_or_correction_is_told(arrivals: Arrivals) -> None:
    with pytest.raises(NotFound):
        put(arrivals, 77, "A1")
    with pytest.raises(NotFound):
        undo(arrivals, 77)


def test_the_only_series_of_a_batch_is_filed_with_the_batch(arrivals: Arrivals) -> None:
    batch = arrivals.send(accession="", series="s1")
    done = put(arrivals, str(batch), "A2", series="s1", reason="only the number was sent")
    assert done.kind == "file"
    assert arrivals.batch(batch).exam_id == arrivals.look("A2").id
    later = arrivals.send(accession="", series="s2")
    assert later == batch
