"""A node that was asked to answer for objects and stays silent is asked again, a few times."""

from __future__ import annotations

from datetime import timedelta

from sqlmodel import col, select

from core.model import AuditEntry, Delivery, Job
from core.vocabulary import DeliveryState, JobState
from core.workflow import commitment
from tests.unit.workflow.front import Front

HOURS = timedelta(hours=6)


def _asked(front: Front, *states: DeliveryState) -> None:
    """Let objects be sent and asked about; some have been answered for."""
    with front.records.writing() as work:
        sent = work.enqueue("MAIN", "send", {"aet": "PACS", "commit": True})
        for number, state in enumerate(states):
            row = Delivery(
                site="MAIN", job_id=sent.id or 0, aet="PACS", sop_uid=f"1.2.{number}", state=state, sent_at=work.now,
                transaction_uid="1.9" if state is not DeliveryState.WAITING else "",
            )  # fmt: skip
            work.add(row)
        asking = work.enqueue("MAIN", commitment.ASK, {"aet": "PACS", "transaction_uid": "1.9", "sent_by": sent.id})
        asking.state, asking.finished_at = JobState.DONE, work.now


def _again(front: Front) -> int:
    with front.records.writing() as work:
        return commitment.ask_again(work, HOURS)


def _heard(front: Front) -> None:
    """Let every request reach the node, which says nothing more."""
    with front.records.writing() as work:
        for job in work.session.exec(select(Job).where(Job.kind == commitment.ASK, Job.state == JobState.QUEUED)):
            job.state, job.finished_at = JobState.DONE, work.now


def test_a_report_that_does_not_come_is_asked_for_again_for_what_it_is_owed(front: Front) -> None:
    owed = DeliveryState.SENT
    _asked(front, owed, DeliveryState.COMMITTED, owed, DeliveryState.NOT_COMMITTED, DeliveryState.WAITING)
    assert _again(front) == 0
    front.after(minutes=6 * 60 + 1)
    assert _again(front) == 2
    with front.records.reading() as work:
        new = work.session.exec(select(Job).where(Job.kind == commitment.ASK).order_by(col(Job.id).desc())).first()
        assert new is not None
        assert new.state == JobState.QUEUED
        told = select(Delivery.sop_uid).where(Delivery.transaction_uid == str(new.arguments["transaction_uid"]))
        assert sorted(work.session.exec(told)) == ["1.2.0", "1.2.2"]
        said = work.session.exec(select(AuditEntry).where(AuditEntry.action == "commitment.unanswered")).all()
        assert [entry.detail["objects"] for entry in said] == [2]


def test_nobody_is_asked_twice_at_once_nor_for_ever(front: Front) -> None:
    _asked(front, DeliveryState.SENT)
    front.after(minutes=6 * 60 + 1)
    asked = []
    for _ in range(6):
        asked.append((_again(front), _again(front)))
        _heard(front)
        front.after(minutes=6 * 60 + 1)
    assert asked == [(1, 0)] * 3 + [(0, 0)] * 3
