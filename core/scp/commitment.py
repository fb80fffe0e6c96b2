"""Storage commitment as a provider and as a user that is reported to (PS3.4 J): both ends of what comes in."""

from __future__ import annotations

from contextlib import ExitStack

from pydicom import Dataset

from core.records import Records
from core.scp import Caller
from core.workflow import commitment


def asked(
    records: Records, reports: commitment.Reports, caller: Caller, transaction_uid: str, request: Dataset
) -> commitment.Awaited:
    """Take a request (N-ACTION): once this returns it is written down, and will be answered."""
    with ExitStack() as otherwise:
        awaited = otherwise.enter_context(reports.awaited(transaction_uid))
        with records.writing() as work:
            commitment.asked(work, caller.actor, caller.aet, transaction_uid, request)
        otherwise.pop_all()
    return awaited


def reported(records: Records, caller: Caller, event_type: int, report: Dataset) -> None:
    """Take a report on what we asked for (N-EVENT-REPORT)."""
    with records.writing() as work:
        commitment.reported(work, caller.actor, caller.aet, event_type, report)
