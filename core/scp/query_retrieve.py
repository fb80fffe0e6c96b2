"""Query as a provider (PS3.4 C.4.1): Study and Patient Root FIND over what arrived."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom import Dataset

from core.dicom.information_models import Model
from core.scp import Caller
from core.workflow.retrieval import Asker, Finder


def find(finder: Finder, caller: Caller, keys: Dataset, model: Model, transfer_syntax: str) -> Iterator[bytes]:
    """Yield what answers a query, encoded; raises Invalid where the query is malformed."""
    return finder.find(asker(caller), keys, model, transfer_syntax)


def asker(caller: Caller) -> Asker:
    """Return a caller as the workflow knows it."""
    return Asker(caller.aet, caller.host, caller.site)
