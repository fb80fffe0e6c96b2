"""The department's words: every state stands in its table, and rights are as the manual prints them."""

from __future__ import annotations

from enum import StrEnum

import pytest

from core import access
from core.errors import Forbidden
from core.vocabulary import (
    CONSULTATION_AFTER,
    DELIVERY_AFTER,
    EXAM_AFTER,
    JOB_AFTER,
    OPERATION_TITLES,
    REPORT_AFTER,
    RIGHTS,
    STEP_AFTER,
    ConsultationState,
    DeliveryState,
    ExamState,
    Extent,
    JobState,
    Operation,
    ReportState,
    Role,
    StepState,
    extent,
)


@pytest.mark.parametrize(
    ("states", "table"),
    [
        (StepState, STEP_AFTER),
        (ExamState, EXAM_AFTER),
        (ReportState, REPORT_AFTER),
        (ConsultationState, CONSULTATION_AFTER),
        (JobState, JOB_AFTER),
        (DeliveryState, DELIVERY_AFTER),
    ],
)
def test_every_state_stands_in_its_table(states: type[StrEnum], table: dict[StrEnum, frozenset[StrEnum]]) -> None:
    assert set(table) == set(states)
    assert all(after <= set(states) for after in table.values())


def test_every_state_but_the_first_can_be_reached() -> None:
    for first, table in (
        (StepState.SCHEDULED, STEP_AFTER),
        (ExamState.REGISTERED, EXAM_AFTER),
        (ConsultationState.REQUESTED, CONSULTATION_AFTER),
        (JobState.QUEUED, JOB_AFTER),
        (DeliveryState.WAITING, DELIVERY_AFTER),
    ):
        assert frozenset().union(*table.values()) | {first} == set(table)


def test_a_signed_report_never_becomes_a_draft_again() -> None:
    assert ReportState.DRAFT not in REPORT_AFTER[ReportState.FINAL]
    assert ReportState.DRAFT not in REPORT_AFTER[ReportState.AMENDED]


def test_every_operation_has_a_title_and_somebody_who_may() -> None:
    assert set(RIGHTS) == set(OPERATION_TITLES) == set(Operation)
    assert all(RIGHTS.values())


@pytest.mark.parametrize(
    ("operation", "role", "granted"),
    [
        (Operation.REGISTER, Role.CLERK, Extent.ALL),
        (Operation.REGISTER, Role.DOCTOR, None),
        (Operation.TRIAGE, Role.DOCTOR, Extent.OWN),
        (Operation.TRIAGE, Role.CLERK, None),
        (Operation.FILE, Role.TECHNOLOGIST, None),
        (Operation.CONFIRM_CANDIDATE, Role.TECHNOLOGIST, Extent.ALL),
        (Operation.FILE, Role.ADMIN, Extent.ALL),
        (Operation.SIGN_REPORT, Role.PHYSICIST, None),
        (Operation.WRITE_REPORT, Role.OUTSIDE_READER, Extent.OWN),
        (Operation.OVERRIDE_REPORT, Role.DOCTOR, None),
        (Operation.OVERRIDE_REPORT, Role.HEAD, Extent.ALL),
    ],
)
def test_rights_are_those_of_the_table(operation: Operation, role: Role, granted: Extent | None) -> None:
    assert extent(frozenset({role}), operation) == granted


def test_the_wider_of_two_roles_counts() -> None:
    assert extent(frozenset({Role.DOCTOR, Role.NURSE}), Operation.TRIAGE) is Extent.ALL


def test_a_refusal_names_the_right_and_who_has_it() -> None:
    clerk = access.person("clerk", "MAIN", Role.CLERK)
    with pytest.raises(Forbidden, match=r"may not sign, amend; ask one of: doctor, head"):
        access.require(clerk, Operation.SIGN_REPORT)


def test_an_own_right_ends_at_others_cases() -> None:
    reader = access.person("reader", "MAIN", Role.OUTSIDE_READER)
    access.require(reader, Operation.WRITE_REPORT, own=True)
    with pytest.raises(Forbidden, match="beyond your own cases"):
        access.require(reader, Operation.WRITE_REPORT)


def test_a_device_may_do_nothing_that_people_decide() -> None:
    camera = access.device("GAMMA1", "MAIN")
    for operation in Operation:
        with pytest.raises(Forbidden):
            access.require(camera, operation, own=True)
