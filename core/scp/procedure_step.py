"""Modality Performed Procedure Step as a provider (PS3.4 F.7): what the camera reports, where it can."""

from __future__ import annotations

from pydicom import Dataset

from core.errors import Invalid
from core.records import Records
from core.scp import Caller, Duplicate
from core.workflow import devices, performed

_LONGEST_UID = 64


def create(records: Records, caller: Caller, sop_uid: str, attributes: Dataset) -> None:
    """Take an N-CREATE.

    Raises
    ------
    Duplicate
        The performed step is there already.
    Invalid
        The UID or an attribute value is wrong.
    """
    if not 0 < len(sop_uid) <= _LONGEST_UID:
        raise Invalid("the SOP Instance UID is empty or longer than 64 characters")
    with records.writing() as work:
        if performed.find(work, sop_uid):
            raise Duplicate("this performed step was created already: change it by N-SET")
        performed.begin(work, caller.actor, sop_uid, attributes)
        devices.heard(work, caller.aet, caller.site, caller.host, "MPPS")


def change(records: Records, caller: Caller, sop_uid: str, attributes: Dataset) -> None:
    """Take an N-SET; raises as `performed.change` does."""
    with records.writing() as work:
        performed.change(work, caller.actor, sop_uid, attributes)
        devices.heard(work, caller.aet, caller.site, caller.host, "MPPS")
