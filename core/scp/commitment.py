"""Storage commitment as a provider and as a user that is reported to (PS3.4 J): both ends of what comes in."""

from __future__ import annotations

from pydicom import Dataset

from core.records import Records
from core.scp import Caller
from core.workflow import commitment


def asked(records: Records, caller: Caller, transaction_uid: str, request: Dataset) -> None:
    """Take a request (N-ACTION): once this returns it is written down, and will be answered."""
    with records.writing() as work:
        commitment.asked(work, caller.actor, caller.aet, transaction_uid, request)


def reported(records: Records, caller: Caller, event_type: int, report: Dataset) -> None:
    """Take a report on what we asked for (N-EVENT-REPORT)."""
    with records.writing() as work:
        commitment.reported(work, caller.actor, caller.aet, event_type, report)
