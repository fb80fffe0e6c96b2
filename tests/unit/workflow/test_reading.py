"""Reports: a lease with a fence, texts that are never lost, signatures that never change."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import col, select

from core import course, wire
from core.access import Actor
from core.errors import Forbidden, Invalid, Refused
from core.model import ImagesChanged, Report, ReportVersion
from core.vocabulary import ExamState, LockReason, ReportState
from core.workflow import reading
from core.workflow.reading import Desk, StaleFence
from tests.unit.workflow.department import CLERK, HEAD, READER, SUN, TECHNOLOGIST, ZHAO, Department

DESK = Desk(timedelta(minutes=10))
TEXT = {"findings": "Even uptake.", "impression": "Normal."}


class ReadingRoom:
    """The workflow, each act in a unit of work of its own, as the routes do it."""

    def __init__(self, department: Department) -> None:
        self.records, self.clock, self.department = department.records, department.clock, department

    def open(self, actor: Actor, exam: str = "A1", **form: object) -> wire.Report:
        with self.records.writing() as work:
            return reading.open_report(work, actor, exam, wire.OpenReport.model_validate(form), DESK)

    def amend(self, actor: Actor, exam: str = "A1", **form: object) -> wire.Report:
        with self.records.writing() as work:
            return reading.amend(work, actor, exam, wire.OpenReport.model_validate(form), DESK)

    def save(self, actor: Actor, fence: int | None, exam: str = "A1", **text: str) -> wire.Report:
        return reading.save_or_keep(self.records, actor, exam, wire.SaveReport(fence=fence or 0, text=text), DESK)

    def preliminary(self, actor: Actor, fence: int | None) -> wire.Report:
        with self.records.writing() as work:
            return reading.preliminary(work, actor, "A1", wire.Fenced(fence=fence or 0))

    def send_back(self, actor: Actor, fence: int | None, comment: str = "") -> wire.Report:
        with self.records.writing() as work:
            return reading.send_back(work, actor, "A1", wire.Fenced(fence=fence or 0, comment=comment))

    def release(self, actor: Actor, fence: int | None) -> wire.Report:
        with self.records.writing() as work:
            return reading.release(work, actor, "A1", wire.Fenced(fence=fence or 0))

    def sign(self, actor: Actor, fence: int | None, exam: str = "A1", reason: str = "") -> wire.Report:
        with self.records.writing() as work:
            return reading.sign(work, actor, exam, wire.Sign(fence=fence or 0, password="", reason=reason))

    def withdraw(self, actor: Actor, reason: str) -> wire.Report:
        with self.records.writing() as work:
            return reading.withdraw(work, actor, "A1", wire.Withdraw(password="", reason=reason))

    def ask(self, actor: Actor) -> wire.Report:
        with self.records.writing() as work:
            return reading.ask(work, actor, "A1")

    def show(self, actor: Actor, exam: str = "A1") -> wire.Report:
        with self.records.reading() as work:
            return reading.show(work, actor, exam)

    def versions(self) -> list[wire.ReportVersion]:
        with self.records.reading() as work:
            return reading.versions(work, HEAD, "A1")

    def rejected(self, actor: Actor) -> list[wire.Rejected]:
        with self.records.reading() as work:
            return reading.rejected(work, actor, "A1")

    def signed(self, by: Actor = ZHAO) -> wire.Report:
        """Return the report of A1 signed by someone."""
        self.department.file_images()
        fence = self.open(by).fence
        self.save(by, fence, **TEXT)
        return self.sign(by, fence)


@pytest.fixture
def room(department: Department) -> ReadingRoom:
    return ReadingRoom(department)


# -- opening ---------------------------------------------------------------------------------------------------------


def test_a_report_without_images_stays_closed_and_says_why(room: ReadingRoom) -> None:
    with pytest.raises(Refused, match="no images of A1"):
        room.open(ZHAO)
    shown = room.show(ZHAO)
    assert (shown.locked, shown.lock_reason) == (True, LockReason.NO_IMAGES)


def test_contradicting_images_lock_the_report(room: ReadingRoom, department: Department) -> None:
    department.file_images()
    department.contradict()
    with pytest.raises(Refused, match="contradict"):
        room.open(ZHAO)
    assert room.show(ZHAO).lock_reason is LockReason.CONFLICTING


@pytest.mark.parametrize("evidence", ["document", "none"])
def test_a_report_that_rests_on_no_images_opens_without(
    room: ReadingRoom, department: Department, evidence: str
) -> None:
    department.exam("A2", evidence=evidence)
    assert room.open(ZHAO, "A2").fence == 1


def test_opening_takes_the_lease_and_tells_only_the_holder_its_fence(room: ReadingRoom, department: Department) -> None:
    department.file_images()
    mine = room.open(ZHAO)
    assert (mine.holder, mine.fence, mine.locked) == ("zhao.min", 1, False)
    theirs = room.show(SUN)
    assert (theirs.holder, theirs.fence, theirs.lock_reason) == ("zhao.min", None, LockReason.HELD)
    assert theirs.held_since == mine.held_since is not None


def test_incomplete_images_warn(room: ReadingRoom, department: Department) -> None:
    department.file_images(frames=1)
    assert room.open(ZHAO).warnings == ["images are not complete: 1 of 2 frames"]


def test_a_closed_exam_has_no_report(room: ReadingRoom, department: Department) -> None:
    with department.records.writing() as work:
        course.close(work, course.find_exam(work, "A1", "MAIN"), ExamState.CANCELLED, "twice")
    with pytest.raises(Refused, match="reopen the exam first"):
        room.open(HEAD, override=True, reason="for the file")


@pytest.mark.parametrize("actor", [CLERK, TECHNOLOGIST, READER], ids=str)
def test_only_who_may_write_opens_a_report(room: ReadingRoom, department: Department, actor: Actor) -> None:
    department.file_images()
    with pytest.raises(Forbidden):
        room.open(actor)


def test_an_outside_reader_writes_their_own_case(room: ReadingRoom, department: Department) -> None:
    department.exam("A3", assigned_to="reader.far")
    department.file_images("A3")
    fence = room.open(READER, "A3").fence
    assert room.save(READER, fence, "A3", **TEXT).text["findings"] == "Even uptake."
    with pytest.raises(Forbidden):
        room.sign(READER, fence, "A3")


# -- the lease -------------------------------------------------------------------------------------------------------


def test_a_second_doctor_sees_who_holds_it_and_may_ask(room: ReadingRoom, department: Department) -> None:
    department.file_images()
    room.open(ZHAO)
    with pytest.raises(Refused, match=r"held by zhao\.min since"):
        room.open(SUN)
    room.ask(SUN)
    assert room.show(ZHAO).asked_by == "sun.wei"


def test_a_late_write_is_refused_and_its_text_kept(room: ReadingRoom, department: Department) -> None:
    department.file_images()
    old = room.open(ZHAO).fence
    room.save(ZHAO, old, findings="first words")
    new = room.open(SUN, take_over=True)
    assert new.fence == 2
    assert new.text == {"findings": "first words"}
    with pytest.raises(StaleFence, match=r"held by sun\.wei now"):
        room.save(ZHAO, old, findings="words typed too late")
    assert room.show(SUN).text == {"findings": "first words"}
    kept = room.rejected(ZHAO)
    assert [(one.by, one.fence, one.text) for one in kept] == [("zhao.min", 1, {"findings": "words typed too late"})]
    assert room.show(SUN).rejected == 1


def test_words_written_while_the_right_to_the_case_was_taken_away_are_kept(
    room: ReadingRoom, department: Department
) -> None:
    department.file_images()
    _assign(department, READER.name)
    fence = room.open(READER).fence
    _assign(department, ZHAO.name)
    with pytest.raises(Forbidden):
        room.save(READER, fence, findings="words on the way")
    assert [(one.by, one.text) for one in room.rejected(ZHAO)] == [(READER.name, {"findings": "words on the way"})]


def test_a_stranger_to_the_case_leaves_nothing(room: ReadingRoom, department: Department) -> None:
    department.file_images()
    fence = room.open(ZHAO).fence
    with pytest.raises(Forbidden):
        room.save(READER, fence, findings="not mine")
    assert room.rejected(ZHAO) == []


def _assign(department: Department, name: str) -> None:
    with department.records.writing() as work:
        course.find_exam(work, "A1", "MAIN").assigned_to = name


def test_a_fence_counts_only_with_its_holder(room: ReadingRoom, department: Department) -> None:
    department.file_images()
    fence = room.open(ZHAO).fence
    with pytest.raises(StaleFence):
        room.save(SUN, fence, findings="in another's name")


def test_opening_at_another_desk_ends_the_first(room: ReadingRoom, department: Department) -> None:
    department.file_images()
    first = room.open(ZHAO)
    second = room.open(ZHAO)
    assert (second.fence, second.held_since) == (2, first.held_since)
    with pytest.raises(StaleFence):
        room.save(ZHAO, first.fence, findings="from the first desk")


def test_a_lease_ends_ten_minutes_after_the_last_keystroke(room: ReadingRoom, department: Department) -> None:
    department.file_images()
    fence = room.open(ZHAO).fence
    room.clock.after(minutes=9)
    room.save(ZHAO, fence, findings="still here")
    room.clock.after(minutes=9)
    with pytest.raises(Refused, match="held by"):
        room.open(SUN)
    room.clock.after(minutes=2)
    assert room.open(SUN).holder == "sun.wei"


def test_a_lapsed_lease_nobody_took_still_writes(room: ReadingRoom, department: Department) -> None:
    department.file_images()
    fence = room.open(ZHAO).fence
    room.clock.after(minutes=30)
    assert room.show(ZHAO).holder is None
    assert room.save(ZHAO, fence, findings="back from the phone").holder == "zhao.min"


def test_letting_go_keeps_what_was_saved(room: ReadingRoom, department: Department) -> None:
    department.file_images()
    fence = room.open(ZHAO).fence
    room.save(ZHAO, fence, **TEXT)
    room.release(ZHAO, fence)
    taken = room.open(SUN)
    assert (taken.fence, taken.text) == (2, TEXT)


def test_the_writer_is_who_wrote_last(room: ReadingRoom, department: Department) -> None:
    department.file_images()
    room.release(ZHAO, room.open(ZHAO).fence)
    fence = room.open(SUN).fence
    room.save(SUN, fence, **TEXT)
    assert room.preliminary(SUN, fence).author == "sun.wei"


# -- preliminary -----------------------------------------------------------------------------------------------------


def test_a_preliminary_report_comes_back_with_a_comment(room: ReadingRoom, department: Department) -> None:
    department.file_images()
    fence = room.open(ZHAO).fence
    room.save(ZHAO, fence, **TEXT)
    handed = room.preliminary(ZHAO, fence)
    assert (handed.state, handed.version, handed.holder) == (ReportState.PRELIMINARY, 1, None)
    reviewer = room.open(SUN).fence
    with pytest.raises(Invalid, match="give a comment"):
        room.send_back(SUN, reviewer)
    back = room.send_back(SUN, reviewer, "say which rib")
    assert (back.state, back.comment, back.author) == (ReportState.DRAFT, "say which rib", "zhao.min")


def test_the_reviewer_signs_and_the_writer_stays_named(room: ReadingRoom, department: Department) -> None:
    department.file_images()
    fence = room.open(ZHAO).fence
    room.save(ZHAO, fence, **TEXT)
    room.preliminary(ZHAO, fence)
    fence = room.open(SUN).fence
    room.save(SUN, fence, impression="Normal scan.")
    signed = room.sign(SUN, fence)
    assert (signed.author, signed.signed_by, signed.state) == ("zhao.min", "sun.wei", ReportState.FINAL)
    assert [v.state for v in room.versions()] == [ReportState.PRELIMINARY, ReportState.FINAL]
    assert room.versions()[1].text == {"findings": "Even uptake.", "impression": "Normal scan."}


def test_an_empty_report_is_not_handed_on(room: ReadingRoom, department: Department) -> None:
    department.file_images()
    fence = room.open(ZHAO).fence
    room.save(ZHAO, fence, findings="  ")
    with pytest.raises(Refused, match="is empty"):
        room.preliminary(ZHAO, fence)
    with pytest.raises(Refused, match="is empty"):
        room.sign(ZHAO, fence)


def test_images_gone_since_opening_stop_preliminary_and_signature(room: ReadingRoom, department: Department) -> None:
    department.file_images()
    fence = room.open(ZHAO).fence
    room.save(ZHAO, fence, **TEXT)
    department.unfile_all()
    for act in (room.preliminary, room.sign):
        with pytest.raises(Refused, match="no images"):
            act(ZHAO, fence)
    assert room.show(ZHAO).text == TEXT


# -- signing ---------------------------------------------------------------------------------------------------------


def test_a_signature_ends_the_exam_and_lists_what_it_rests_on(room: ReadingRoom, department: Department) -> None:
    signed = room.signed()
    assert (signed.state, signed.version, signed.lock_reason) == (ReportState.FINAL, 1, LockReason.FINAL)
    assert department.state() == "reported"
    version = room.versions()[0]
    assert [image["sha256"] for image in version.images] == ["a" * 64]
    assert version.signed_by == "zhao.min"


def test_a_signed_report_refuses_a_second_signature(room: ReadingRoom) -> None:
    room.signed()
    with pytest.raises(Refused, match="signed already"):
        room.sign(ZHAO, 1)


def test_a_signed_report_takes_no_more_writing(room: ReadingRoom) -> None:
    room.signed()
    with pytest.raises(Refused, match="amend it"):
        room.open(ZHAO)
    with pytest.raises(StaleFence):
        room.save(ZHAO, 1, findings="something else")
    assert room.show(CLERK).text == TEXT


def test_the_hash_of_a_version_covers_what_was_signed(room: ReadingRoom) -> None:
    room.signed()
    with room.records.writing() as work:
        version = work.session.exec(select(ReportVersion)).one()
        assert reading.seal("A1", version) == version.sha256
        version.text = {**version.text, "impression": "Metastases."}
        assert reading.seal("A1", version) != version.sha256


def test_an_amendment_is_a_new_version_that_names_the_one_before(room: ReadingRoom) -> None:
    room.signed()
    with pytest.raises(Invalid, match="give a reason"):
        room.amend(SUN)
    opened = room.amend(SUN, reason="left and right were swapped")
    assert opened.text == TEXT
    room.save(SUN, opened.fence, impression="Normal on the left.")
    amended = room.sign(SUN, opened.fence)
    assert (amended.state, amended.version) == (ReportState.AMENDED, 2)
    first, second = room.versions()
    assert (first.text, second.predecessor, second.reason) == (TEXT, 1, "left and right were swapped")
    assert (second.author, second.signed_by) == ("sun.wei", "sun.wei")


def test_an_amendment_under_way_is_not_shown_as_signed(room: ReadingRoom) -> None:
    room.signed()
    fence = room.amend(SUN, reason="a slip").fence
    room.save(SUN, fence, impression="Half a thou")
    assert room.show(ZHAO).text == TEXT
    assert room.show(SUN).text["impression"] == "Half a thou"
    room.release(SUN, fence)
    assert room.show(SUN).text == TEXT


def test_only_a_signed_report_is_amended(room: ReadingRoom, department: Department) -> None:
    department.file_images()
    room.open(ZHAO)
    with pytest.raises(Refused, match="not signed"):
        room.amend(ZHAO, reason="too early")


def test_an_amendment_needs_images_too(room: ReadingRoom, department: Department) -> None:
    room.signed()
    department.unfile_all()
    with pytest.raises(Refused, match="no images"):
        room.amend(ZHAO, reason="other images")


# -- the head --------------------------------------------------------------------------------------------------------


def test_only_the_head_overrides_a_lock_and_says_why(room: ReadingRoom) -> None:
    with pytest.raises(Forbidden):
        room.open(ZHAO, override=True, reason="I am sure")
    with pytest.raises(Invalid, match="give a reason"):
        room.open(HEAD, override=True)
    opened = room.open(HEAD, override=True, reason="films seen by eye")
    room.save(HEAD, opened.fence, **TEXT)
    room.sign(HEAD, opened.fence)
    assert room.versions()[0].reason == "lock overridden: films seen by eye"


def test_an_override_is_not_inherited(room: ReadingRoom) -> None:
    room.release(HEAD, room.open(HEAD, override=True, reason="films seen by eye").fence)
    with pytest.raises(Refused, match="no images"):
        room.open(ZHAO)


def test_an_override_opens_the_lock_it_was_given_for_and_no_other(room: ReadingRoom, department: Department) -> None:
    opened = room.open(HEAD, override=True, reason="films seen by eye")
    room.save(HEAD, opened.fence, **TEXT)
    department.contradict()
    with pytest.raises(Refused, match="contradict"):
        room.sign(HEAD, opened.fence)


def test_the_head_withdraws_and_the_report_can_be_written_again(room: ReadingRoom, department: Department) -> None:
    room.signed()
    with pytest.raises(Forbidden):
        room.withdraw(ZHAO, "wrong patient")
    with pytest.raises(Invalid):
        room.withdraw(HEAD, "")
    withdrawn = room.withdraw(HEAD, "wrong patient")
    assert (withdrawn.state, withdrawn.signed_by) == (ReportState.WITHDRAWN, None)
    assert department.state() != "reported"
    again = room.open(ZHAO)
    assert again.state is ReportState.DRAFT
    room.sign(ZHAO, again.fence)
    assert [v.state for v in room.versions()] == [ReportState.FINAL, ReportState.WITHDRAWN, ReportState.AMENDED]


def test_a_withdrawal_withdraws_what_was_signed_not_an_amendment_begun(room: ReadingRoom) -> None:
    room.signed()
    fence = room.amend(SUN, reason="a slip").fence
    room.save(SUN, fence, impression="Half a thou")
    room.withdraw(HEAD, "wrong patient")
    assert room.versions()[1].text == TEXT
    with pytest.raises(StaleFence):
        room.save(SUN, fence, impression="Half a thought")
    kept = [(one.by, one.text["impression"]) for one in room.rejected(SUN)]
    assert kept == [(SUN.name, "Half a thou"), (SUN.name, "Half a thought")]


# -- around ----------------------------------------------------------------------------------------------------------


def test_images_that_change_later_are_told_until_the_signer_has_seen_them(
    room: ReadingRoom, department: Department
) -> None:
    room.signed()
    with department.records.writing() as work:
        version = work.session.exec(select(ReportVersion)).one()
        exam = course.find_exam(work, "A1", "MAIN")
        work.add(
            ImagesChanged(
                version_id=version.id or 0, exam_id=exam.id or 0, change="filed", study_uid="1.2", at=work.now
            )
        )
    assert [change["change"] for change in room.show(ZHAO).images_changed] == ["filed"]
    with pytest.raises(Forbidden), department.records.writing() as work:
        reading.seen(work, SUN, "A1")
    with department.records.writing() as work:
        assert reading.seen(work, ZHAO, "A1").images_changed == []


def test_the_call_to_the_technologist_is_tracked_to_its_answer(room: ReadingRoom, department: Department) -> None:
    with department.records.writing() as work:
        call = reading.call_technologist(work, ZHAO, "A1", wire.CallTechnologist(text="where are they?"))
    with department.records.reading() as work:
        assert [one.id for one in reading.calls(work, TECHNOLOGIST)] == [call.id]
    with pytest.raises(Forbidden), department.records.writing() as work:
        reading.answer_call(work, CLERK, call.id, wire.Say(text="no idea"))
    with department.records.writing() as work:
        answered = reading.answer_call(work, TECHNOLOGIST, call.id, wire.Say(text="sending now"))
    assert (answered.answer, answered.answered_by) == ("sending now", "liu.yang")
    with department.records.reading() as work:
        assert reading.calls(work, TECHNOLOGIST) == []


def test_the_series_under_a_report_are_named(room: ReadingRoom, department: Department) -> None:
    department.file_images()
    assert [(s["description"], s["date"]) for s in room.show(ZHAO).series] == [("WB", "20260302")]


def test_the_parts_follow_the_procedure(room: ReadingRoom) -> None:
    assert [part.name for part in room.show(ZHAO).parts] == ["technique", "findings", "impression"]


def test_a_draft_is_never_news_and_never_in_the_trail(room: ReadingRoom, department: Department) -> None:
    department.file_images()
    fence = room.open(ZHAO).fence
    before = room.records.last_event()
    room.save(ZHAO, fence, **TEXT)
    assert room.records.last_event() == before


def test_too_long_a_text_is_refused(room: ReadingRoom, department: Department) -> None:
    department.file_images()
    fence = room.open(ZHAO).fence
    with pytest.raises(Invalid, match="too long"):
        room.save(ZHAO, fence, findings="x" * 200_001)


def test_one_exam_has_one_report(room: ReadingRoom, department: Department) -> None:
    department.file_images()
    room.open(ZHAO)
    room.open(SUN, take_over=True)
    with room.records.reading() as work:
        assert len(work.session.exec(select(Report).order_by(col(Report.id))).all()) == 1
