"""The rule of filing, tried against departments that hypothesis makes up."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.naming import is_placeholder
from core.vocabulary import EXAM_CLOSED, BatchState, ExamState
from core.workflow.matching_rule import Field, KnownExam, KnownPatient, Sent, candidates, compare, decide

ZHANG_EXAM = KnownExam(1, "A1001", "1.2.3.1")
ZHANG_LATER = KnownExam(2, "A1002", "1.2.3.2")
LI_EXAM = KnownExam(3, "A2001", "1.2.3.3")
ZHANG = KnownPatient(
    1, frozenset({"p1001", "c77"}), "Zhang^Wei=张^伟", date(1961, 3, 4), "M", (ZHANG_EXAM, ZHANG_LATER)
)
LI = KnownPatient(2, frozenset({"p2001"}), "Li^Na=李^娜", date(1988, 11, 30), "F", (LI_EXAM,))
DEPARTMENT = (ZHANG, LI)
TRUE_TO_LIFE = Sent("9.9", "P1001", "A1001", "ZHANG WEI", date(1961, 3, 4), "M")


def verdict(sent: Sent, *, loose: bool = False) -> tuple[BatchState, int | None, int | None]:
    said = decide(sent, DEPARTMENT, loose=loose)
    assert said.reasons, "a decision without a reason explains nothing"
    return said.state, said.exam, said.contradicts


@pytest.mark.parametrize(
    "sent",
    [
        TRUE_TO_LIFE,
        replace(TRUE_TO_LIFE, name="", birth_date=None, sex=""),
        replace(TRUE_TO_LIFE, number=" p1001\0", accession="a1001 "),
        replace(TRUE_TO_LIFE, number="C77"),  # any number the patient goes by
        replace(TRUE_TO_LIFE, name="张伟"),
        replace(TRUE_TO_LIFE, name="Wei^Zhang"),
        replace(TRUE_TO_LIFE, sex=""),
        replace(TRUE_TO_LIFE, birth_date=date(1961, 4, 3)),  # one trait alone is a slip
        replace(TRUE_TO_LIFE, name="Zhao^Lei"),
        replace(TRUE_TO_LIFE, study_uid="1.2.3.1", accession=""),
        replace(TRUE_TO_LIFE, study_uid="1.2.3.1", number=""),
        replace(TRUE_TO_LIFE, study_uid="1.2.3.1", number="TEST"),
    ],
)
def test_two_keys_that_agree_file_a_batch(sent: Sent) -> None:
    assert verdict(sent) == (BatchState.FILED, 1, None)


@pytest.mark.parametrize(
    "sent",
    [
        replace(TRUE_TO_LIFE, accession=""),
        replace(TRUE_TO_LIFE, number=""),
        replace(TRUE_TO_LIFE, number="0"),
        replace(TRUE_TO_LIFE, accession="A9999"),
        replace(TRUE_TO_LIFE, number="P9999"),
        replace(TRUE_TO_LIFE, study_uid="1.2.3.1", number="", accession=""),
        replace(TRUE_TO_LIFE, study_uid="1.2.3.1", accession="A9999"),  # a differing accession never files
        Sent("9.9"),
        Sent("9.9", "TEST", "1", "Test^Patient"),
    ],
)
def test_one_key_alone_files_nothing(sent: Sent) -> None:
    assert verdict(sent) == (BatchState.UNFILED, None, None)


@pytest.mark.parametrize(
    ("sent", "contradicts"),
    [
        (replace(TRUE_TO_LIFE, sex="F"), 1),
        (replace(TRUE_TO_LIFE, name="Li^Na", birth_date=date(1988, 11, 30)), 1),
        (replace(TRUE_TO_LIFE, sex="O", name="Li^Na"), 1),
        (replace(TRUE_TO_LIFE, number="P2001"), 1),
        (replace(TRUE_TO_LIFE, accession="A2001"), 3),
        (replace(TRUE_TO_LIFE, study_uid="1.2.3.3"), 1),  # two keys are Zhang's, the study was issued for Li
        (replace(TRUE_TO_LIFE, study_uid="1.2.3.2"), 1),  # issued for another exam of the same patient
        (replace(TRUE_TO_LIFE, study_uid="1.2.3.3", number="P9999", accession=""), 3),
        (Sent("1.2.3.1", name="Li^Na", sex="F"), 1),
    ],
)
def test_keys_that_clash_or_people_that_differ_are_a_conflict(sent: Sent, contradicts: int) -> None:
    assert verdict(sent) == (BatchState.CONFLICTING, None, contradicts)


@pytest.mark.parametrize("state", sorted(EXAM_CLOSED))
def test_a_closed_exam_is_a_candidate_and_no_more(state: ExamState) -> None:
    closed = replace(ZHANG, exams=(replace(ZHANG_EXAM, state=state),))
    assert decide(TRUE_TO_LIFE, [closed]).state is BatchState.UNFILED
    assert [match.exam.accession for match in candidates(TRUE_TO_LIFE, [closed])] == ["A1001"]


def test_a_reported_exam_takes_late_images() -> None:
    reported = replace(ZHANG, exams=(replace(ZHANG_EXAM, state=ExamState.REPORTED),))
    assert decide(TRUE_TO_LIFE, [reported]).state is BatchState.FILED


def test_a_study_filed_to_another_patient_is_a_conflict() -> None:
    holding = replace(LI, exams=(replace(LI_EXAM, holds_study=True),))
    said = decide(TRUE_TO_LIFE, [ZHANG, holding])
    assert (said.state, said.contradicts) == (BatchState.CONFLICTING, 1)
    said = decide(replace(TRUE_TO_LIFE, number="P9999", accession=""), [holding])
    assert (said.state, said.contradicts) == (BatchState.CONFLICTING, 3)


def test_zeros_and_hyphens_are_ignored_only_where_the_site_says_so_and_one_patient_fits() -> None:
    sent = replace(TRUE_TO_LIFE, number="00-1001")
    patient = replace(ZHANG, numbers=frozenset({"1001"}))
    assert decide(sent, [patient]).state is BatchState.UNFILED
    assert decide(sent, [patient], loose=True).state is BatchState.FILED
    twin = replace(LI, numbers=frozenset({"01001"}))
    assert decide(sent, [patient, twin], loose=True).state is BatchState.UNFILED


def test_candidates_come_with_reasons_and_what_differs_the_likeliest_first() -> None:
    found = candidates(replace(TRUE_TO_LIFE, accession="", sex="F"), DEPARTMENT)
    assert [match.exam.accession for match in found] == ["A1001", "A1002"]
    assert "patient number agrees" in found[0].reasons
    assert found[0].differs == {Field.SEX}
    assert 0 < found[0].score < 1


# -- any department --------------------------------------------------------------------------------------------------

numbers = st.sampled_from(["P1", "P2", "P3", "p1 ", "TEST", "0", "", "77"])
accessions = st.sampled_from(["A1", "A2", "A3", "A4", "", "1"])
uids = st.sampled_from(["1.1", "1.2", "1.3", "9.9", ""])
names = st.sampled_from(["Zhang^Wei", "张伟", "Li^Na", "O'Brien^Pat", "", "TEST"])
births = st.sampled_from([None, date(1961, 3, 4), date(1988, 11, 30)])
sexes = st.sampled_from(["", "M", "F", "O"])
batches = st.builds(Sent, uids, numbers, accessions, names, births, sexes)


@st.composite
def departments(draw: st.DrawFn) -> list[KnownPatient]:
    serial = iter(range(1, 100))
    patients = []
    for patient in range(draw(st.integers(0, 3))):
        exams = []
        for _ in range(draw(st.integers(0, 2))):
            at = next(serial)
            state, holds = draw(st.sampled_from(ExamState)), draw(st.booleans())
            exams.append(KnownExam(at, f"A{at}", f"1.{at}", state, holds_study=holds))
        known_by = frozenset(draw(st.sets(st.sampled_from(["p1", "p2", "p3", "77"]), max_size=2)))
        patients.append(KnownPatient(patient + 1, known_by, draw(names), draw(births), draw(sexes), tuple(exams)))
    return patients


@given(batches, departments())
def test_nothing_is_filed_with_fewer_than_two_keys_or_across_a_contradiction(
    sent: Sent, patients: list[KnownPatient]
) -> None:
    said = decide(sent, patients)
    assert (said.exam is not None) == (said.state is BatchState.FILED)
    assert (said.contradicts is not None) == (said.state is BatchState.CONFLICTING)
    if said.state is not BatchState.FILED:
        return
    [match] = [match for match in compare(sent, patients) if match.exam.id == said.exam]
    keys = [
        sent.number.strip().casefold() in match.patient.numbers and not is_placeholder(sent.number),
        sent.accession == match.exam.accession,
        sent.study_uid == match.exam.study_uid,
    ]
    assert sum(keys) >= 2
    assert match.exam.open
    assert not match.contradictions
    assert {sent.sex, match.patient.sex} != {"M", "F"}
    assert is_placeholder(sent.accession) or sent.accession == match.exam.accession
    assert is_placeholder(sent.number) or keys[0]
    issued = [exam for patient in patients for exam in patient.exams if exam.study_uid == sent.study_uid]
    assert issued in ([], [match.exam])
    assert all(patient is match.patient or not exam.holds_study for patient in patients for exam in patient.exams)


@given(batches, departments(), st.randoms(use_true_random=False))
def test_the_order_in_which_the_register_is_read_changes_nothing(
    sent: Sent, patients: list[KnownPatient], chance: random.Random
) -> None:
    shuffled = list(patients)
    chance.shuffle(shuffled)
    assert decide(sent, patients) == decide(sent, shuffled)


@given(batches, departments())
def test_every_candidate_has_a_reason_and_a_score_between_nought_and_one(
    sent: Sent, patients: list[KnownPatient]
) -> None:
    for match in candidates(sent, patients):
        assert match.reasons
        assert 0 <= match.score <= 1
