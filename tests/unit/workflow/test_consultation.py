"""Consultations: asked with a question, given a time, answered by name, closed by a conclusion."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core import wire
from core.errors import Forbidden, Invalid, NotFound, Refused
from core.vocabulary import ConsultationState
from core.workflow import consultation, reading
from tests.unit.workflow.department import CLERK, HEAD, READER, SUN, TECHNOLOGIST, ZHAO, Department


def _asked(department: Department, question: str = "osteoarthritis or metastasis?") -> int:
    with department.records.writing() as work:
        return consultation.request(work, ZHAO, wire.AskConsultation(accession="A1", question=question)).id


def _schedule(department: Department, number: int, hours: int = 2) -> wire.Consultation:
    at = department.clock() + timedelta(hours=hours)
    with department.records.writing() as work:
        return consultation.schedule(work, HEAD, number, wire.ScheduleConsultation(at=at))


def test_a_case_goes_from_question_to_conclusion(department: Department) -> None:
    number = _asked(department)
    assert _schedule(department, number).state is ConsultationState.SCHEDULED
    for act, state in ((consultation.gather, "gathered"), (consultation.start, "in_session")):
        with department.records.writing() as work:
            assert act(work, HEAD, number).state == state
    for actor, text in ((SUN, "degenerative"), (ZHAO, "agreed"), (SUN, "with CT in doubt")):
        with department.records.writing() as work:
            consultation.opinion(work, actor, number, wire.Say(text=text))
    with department.records.writing() as work:
        done = consultation.conclude(work, HEAD, number, wire.Say(text="degenerative; CT in 3 months"))
    assert done.state is ConsultationState.CONCLUDED
    assert [(one.by, one.text) for one in done.opinions] == [
        ("sun.wei", "degenerative"), ("zhao.min", "agreed"), ("sun.wei", "with CT in doubt"),
    ]  # fmt: skip
    assert (done.conclusion, done.concluded_by) == ("degenerative; CT in 3 months", "head.chen")


def test_the_report_shows_opinions_and_conclusion(department: Department) -> None:
    number = _asked(department)
    _schedule(department, number)
    with department.records.writing() as work:
        consultation.opinion(work, SUN, number, wire.Say(text="degenerative"))
        consultation.conclude(work, HEAD, number, wire.Say(text="agreed"))
    with department.records.reading() as work:
        shown = reading.show(work, ZHAO, "A1").consultations[0]
    assert (shown.opinions[0].text, shown.conclusion) == ("degenerative", "agreed")


def test_a_question_is_needed(department: Department) -> None:
    with pytest.raises(Invalid, match="give a question"):
        _asked(department, " ")


def test_who_may_not_consult_is_refused(department: Department) -> None:
    number = _asked(department)
    for actor in (CLERK, TECHNOLOGIST, READER):
        with pytest.raises(Forbidden), department.records.writing() as work:
            consultation.opinion(work, actor, number, wire.Say(text="looks fine"))


def test_only_the_head_sets_the_time_and_concludes(department: Department) -> None:
    number = _asked(department)
    with pytest.raises(Forbidden), department.records.writing() as work:
        consultation.schedule(work, ZHAO, number, wire.ScheduleConsultation(at=department.clock()))
    _schedule(department, number)
    with pytest.raises(Forbidden), department.records.writing() as work:
        consultation.conclude(work, ZHAO, number, wire.Say(text="mine"))


def test_a_case_not_yet_set_a_time_cannot_be_concluded(department: Department) -> None:
    number = _asked(department)
    with pytest.raises(Refused, match="cannot become concluded"), department.records.writing() as work:
        consultation.conclude(work, HEAD, number, wire.Say(text="too early"))


def test_who_asked_takes_it_back_and_nobody_adds_to_it(department: Department) -> None:
    number = _asked(department)
    with pytest.raises(Forbidden), department.records.writing() as work:
        consultation.withdraw(work, SUN, number)
    with department.records.writing() as work:
        assert consultation.withdraw(work, ZHAO, number).state is ConsultationState.WITHDRAWN
    with pytest.raises(Refused, match="ask for a new one"), department.records.writing() as work:
        consultation.opinion(work, SUN, number, wire.Say(text="late"))


def test_the_queue_stands_by_time_and_leaves_out_what_is_over(department: Department) -> None:
    first, second, third, over = (_asked(department, f"question {n}") for n in range(4))
    _schedule(department, second, 3)
    _schedule(department, third, 1)
    with department.records.writing() as work:
        consultation.withdraw(work, ZHAO, over)
    with department.records.reading() as work:
        assert [case.id for case in consultation.queue(work, SUN, [])] == [third, second, first]
        asked = consultation.queue(work, SUN, [ConsultationState.WITHDRAWN])
        assert [case.id for case in asked] == [over]


def test_an_outside_reader_sees_their_own_cases_alone(department: Department) -> None:
    department.exam("A3", assigned_to="reader.far")
    _asked(department)
    with department.records.writing() as work:
        own = consultation.request(work, READER, wire.AskConsultation(accession="A3", question="agree?"))
    with department.records.reading() as work:
        assert [case.id for case in consultation.queue(work, READER, [])] == [own.id]


def test_a_case_that_is_not_there_says_where_to_look(department: Department) -> None:
    with pytest.raises(NotFound, match="consult list"), department.records.reading() as work:
        consultation.show(work, ZHAO, 99)
