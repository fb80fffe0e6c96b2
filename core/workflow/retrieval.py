"""Answer what other nodes ask for: queries over what arrived.

Reading waits for nobody: who was heard is noted at most once a minute, because a note is a durable write.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from pydicom import Dataset

from core.archive import index
from core.dicom import matching
from core.dicom.identifiers import RETRIEVE_AE_TITLE, TIMEZONE_OFFSET, IdentifierWriter, Shown
from core.dicom.information_models import Model
from core.errors import Invalid
from core.model import Heard
from core.records import Records, Work
from core.workflow import devices

_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Asker:
    """A node that asks: the AE title it calls itself, where it calls from, and the site it belongs to."""

    aet: str
    host: str
    site: str


def find(
    records: Records, asker: Asker, keys: Dataset, model: Model, transfer_syntax: str, own_aet: str
) -> Iterator[bytes]:
    """Yield the encoded identifiers that answer a query, in an order that stays the same.

    Each is in letters the asker can show; `own_aet` is where the objects may be retrieved from.

    Raises
    ------
    Invalid
        The query is malformed; the message says where.
    """
    wrong = matching.problems(keys, model)
    if wrong:
        raise Invalid(wrong[0])
    note(records, asker, "C-FIND")
    return _answers(records, asker, keys, model, (transfer_syntax, own_aet))


def _answers(records: Records, asker: Asker, keys: Dataset, model: Model, shown: tuple[str, str]) -> Iterator[bytes]:
    with records.reading() as work:
        device = devices.known(work, asker.aet)
        always = {RETRIEVE_AE_TITLE: shown[1], TIMEZONE_OFFSET: f"{work.now.astimezone():%z}"}
        writer = IdentifierWriter(keys, index.held(keys), Shown(shown[0], device.charset if device else "", always))
        yield from map(writer.write, index.find(work, keys, model, asker.site))


def note(records: Records, asker: Asker, service: str) -> None:
    """Note that a node was heard, unless that was noted just now."""
    with records.reading() as work:
        if _noted(work, asker, service):
            return
    with records.writing() as work:
        devices.heard(work, asker.aet, asker.site, asker.host, service)


def _noted(work: Work, asker: Asker, service: str) -> bool:
    row = work.session.get(Heard, asker.aet)
    said = row is not None and (row.host, row.service) == (asker.host, service)
    return said and row is not None and row.at is not None and row.at > work.now - _NOTED_EVERY
