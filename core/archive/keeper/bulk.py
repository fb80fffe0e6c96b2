"""Rows of many objects at once, for what only adds to a study and a batch that are known.

Nothing is remembered between two groups: where an object belongs is asked anew in the transaction that puts it there,
by one query through indexes. What is not plain (a new study, a UID that is taken) is answered by None, for `keep`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, func, insert, select, update
from sqlmodel import col

from core.archive.keeper import rows
from core.archive.keeper.staged import Staged
from core.model import Batch, BatchSeries, Image, Receipt, SentPatient, Series, Study
from core.model.columns import UtcTime
from core.records import Prepared, Work

_STORED = 0x0000
_KEY = (
    col(Batch.site) == bindparam("site"), col(Batch.study_uid) == bindparam("study"),
    col(Batch.identity_key) == bindparam("identity"),
)  # fmt: skip
_SPLIT_KEY = (
    col(BatchSeries.site) == bindparam("site"), col(BatchSeries.study_uid) == bindparam("study"),
    col(BatchSeries.identity_key) == bindparam("identity"), col(BatchSeries.series_uid) == bindparam("series"),
)  # fmt: skip
_SPLIT_OFF = select(col(BatchSeries.batch_id)).where(*_SPLIT_KEY).scalar_subquery()
_FIRST = select(func.min(col(Batch.id))).where(*_KEY).scalar_subquery()
_SAME_PATIENT = (
    col(SentPatient.site) == bindparam("site"), col(SentPatient.identity_key) == bindparam("identity"),
)  # fmt: skip
_SAME_UID = (col(Image.sop_uid) == bindparam("uid"), col(Image.site) == bindparam("site"))
_TAKEN = select(col(Image.id)).where(*_SAME_UID).scalar_subquery()
_PLACE_OF: tuple[Any, ...] = (_TAKEN, Study.id, Series.id, Batch.id, Batch.state, Batch.decided_by, Batch.received)
_PLACE: Select[Any] = (
    select(*_PLACE_OF)
    .select_from(SentPatient)
    .join(Study, and_(col(Study.sent_patient_id) == col(SentPatient.id), col(Study.uid) == bindparam("study")))
    .outerjoin(Series, and_(col(Series.study_id) == col(Study.id), col(Series.uid) == bindparam("series")))
    .join(Batch, col(Batch.id) == func.coalesce(_SPLIT_OFF, _FIRST))
    .where(*_SAME_PATIENT)
)
_FIND = Prepared(_PLACE)
_IMAGE = Prepared(insert(Image), list(rows.BLANK_IMAGE))
_RECEIPT_OF = ("site", "sop_uid", "content_sha256", "sha256", "size", "store", "path", "aet")
_RECEIPT = Prepared(insert(Receipt), [*_RECEIPT_OF, "status", "at"])
_SERIES = insert(Series)
_GROWN = Prepared(
    update(Batch)
    .where(col(Batch.id) == bindparam("batch"))
    .values(received=col(Batch.received) + bindparam("more"), last_at=bindparam("now", type_=UtcTime()))
)


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A staged object that has its final name, not yet its rows."""

    staged: Staged
    path: str
    site: str


@dataclass(slots=True)
class Grown:
    """A batch that grew by objects, decided as it was before."""

    batch_id: int
    state: str
    decided_by: str
    received: int
    site: str
    study_uid: str
    objects: list[tuple[Placed, int]] = field(default_factory=list)
    """Each with the id of its series."""


def add_all(work: Work, placed: Sequence[Placed], store: str) -> tuple[list[Grown], list[Placed]]:
    """Give objects their rows in the batches they belong to; return those batches, and the objects left for `keep`."""
    connection = work.connection
    batches: dict[int, Grown] = {}
    left, images, seen = list[Placed](), list[dict[str, Any]](), set[tuple[str, str]]()
    for one in placed:
        uid = (one.site, one.staged.identity.sop_instance_uid)
        found = _place_of(connection, one) if uid not in seen else None
        if found is None:
            left.append(one)
            continue
        seen.add(uid)
        study_id, series_id, batch_id, state, decided_by, received = found
        series_id = series_id or _new_series(connection, one.staged, study_id)
        study_uid = one.staged.identity.study_instance_uid
        fresh = Grown(batch_id, state, decided_by, received, one.site, study_uid)
        batch = batches.setdefault(batch_id, fresh)
        batch.received += 1
        batch.objects.append((one, series_id))
        images.append(_image(one, store, series_id, batch.batch_id))
    if images:
        _IMAGE.run(connection, *images)
        _RECEIPT.run(connection, *(_receipt(work, image) for image in images))
        _GROWN.run(connection, *(_growth(work, batch) for batch in batches.values()))
    return list(batches.values()), left


def _place_of(connection: Connection, one: Placed) -> Any:  # noqa: ANN401 - a row of the query above
    """Return study, series if it is there, and batch of an object; None where it needs care."""
    said = one.staged.identity
    key = {
        "site": one.site, "identity": one.staged.identity_key, "study": said.study_instance_uid,
        "series": said.series_instance_uid, "uid": said.sop_instance_uid,
    }  # fmt: skip
    found = _FIND.run(connection, key).fetchone()
    return None if found is None or found[0] is not None else found[1:]


def _new_series(connection: Connection, staged: Staged, study_id: int) -> int:
    made = connection.execute(_SERIES, rows.values(rows.series_row(staged, study_id)))
    key = made.inserted_primary_key
    return int(key[0]) if key else 0


def _image(one: Placed, store: str, series_id: int, batch_id: int) -> dict[str, Any]:
    values = rows.image_values(one.staged, one.site, store, one.path)
    return {**rows.BLANK_IMAGE, **values, "series_id": series_id, "batch_id": batch_id}


def _receipt(work: Work, image: dict[str, Any]) -> dict[str, Any]:
    return {**{name: image[name] for name in _RECEIPT_OF}, "status": _STORED, "at": work.now}


def _growth(work: Work, batch: Grown) -> dict[str, object]:
    return {"batch": batch.batch_id, "more": len(batch.objects), "now": work.now}
