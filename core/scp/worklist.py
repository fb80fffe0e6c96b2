"""The modality worklist as a provider (PS3.4 K): what is scheduled, said so that the camera can show it."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import Dataset

from core.dicom import matching
from core.dicom.answering import charset_asked, in_charset
from core.dicom.information_models import WORKLIST
from core.errors import Invalid
from core.records import Records
from core.scp import Caller
from core.workflow import devices
from core.workflow.worklist import worklist


def find(records: Records, caller: Caller, keys: Dataset) -> Iterator[Dataset]:
    """Yield the scheduled steps that answer a query, earliest first.

    A device that shows only plain letters is asked for what it shows: its operator may type `Zhang^Wei` of 张伟.

    Raises
    ------
    Invalid
        The query is malformed; the message says where.
    """
    wrong = matching.problems(keys, WORKLIST)
    if wrong:
        raise Invalid(wrong[0])
    with records.writing() as work:
        devices.heard(work, caller.aet, caller.site, caller.host, "worklist")
        device = devices.known(work, caller.aet)
    asked, shown = charset_asked(keys), device.charset if device else ""
    with records.reading() as work:
        for item in worklist(work, caller.site, matching.as_criteria(keys, WORKLIST)):
            if matching.match(keys, item, WORKLIST) or (
                shown and matching.match(keys, in_charset(item, asked, shown), WORKLIST)
            ):
                yield in_charset(matching.answer(keys, item, WORKLIST), asked, shown)
