"""Query as a provider (PS3.4 C.4.1): Study and Patient Root FIND over what arrived."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import Dataset

from core.archive import index
from core.dicom import matching
from core.dicom.answering import charset_asked, in_charset
from core.dicom.encoding import encoded
from core.dicom.information_models import Model
from core.errors import Invalid
from core.records import Records
from core.scp import Caller
from core.workflow import devices


def find(records: Records, caller: Caller, keys: Dataset, model: Model, transfer_syntax: str) -> Iterator[bytes]:
    """Yield what answers a query, in an order that stays the same, each answer in letters the caller can show.

    Raises
    ------
    Invalid
        The query is malformed; the message says where.
    """
    wrong = matching.problems(keys, model)
    if wrong:
        raise Invalid(wrong[0])
    with records.writing() as work:
        devices.heard(work, caller.aet, caller.site, caller.host, "C-FIND")
        device = devices.known(work, caller.aet)
    asked, shown = charset_asked(keys), device.charset if device else ""
    with records.reading() as work:
        for answer in index.find(work, keys, model, caller.site):
            yield encoded(in_charset(answer, asked, shown), transfer_syntax)
