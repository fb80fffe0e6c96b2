"""Query as a provider (PS3.4 C.4.1): Study and Patient Root FIND over what arrived."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import Dataset

from core.dicom.information_models import Model
from core.records import Records
from core.scp import Caller
from core.workflow import retrieval
from core.workflow.retrieval import Asker


def find(
    records: Records, own_aet: str, caller: Caller, keys: Dataset, model: Model, transfer_syntax: str
) -> Iterator[bytes]:
    """Yield what answers a query, encoded; raises Invalid where the query is malformed."""
    return retrieval.find(records, asker(caller), keys, model, transfer_syntax, own_aet)


def asker(caller: Caller) -> Asker:
    """Return a caller as the workflow knows it."""
    return Asker(caller.aet, caller.host, caller.site)
