"""Proves that every object ever acknowledged is present and intact.

What was acknowledged stands in the receipts, which outlive the index: an object the index lost is a fault too. All of
it is looked at in pages, each of which says where the next begins, so that a long proof can stop and go on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum, auto
from pathlib import Path
from typing import TypeVar

from sqlalchemy import and_, exists, or_
from sqlmodel import col, func, select

from core.archive.stores import QUARANTINE, Store
from core.model import Image, Quarantined, Receipt, TierMove
from core.records import Work

_PIECE = 1 << 20
_AT_ONCE = 500


class Stage(StrEnum):
    """What is looked at, in this order."""

    IMAGES = auto()
    APART = auto()
    RECEIPTS = auto()


STAGE_AFTER: dict[Stage, Stage | None] = {
    Stage.IMAGES: Stage.APART,
    Stage.APART: Stage.RECEIPTS,
    Stage.RECEIPTS: None,
}


@dataclass(frozen=True)
class Acknowledged:
    """An object that must be there."""

    sop_uid: str
    path: str
    size: int
    sha256: str
    site: str = field(default="", kw_only=True)
    store: str = field(default="", kw_only=True)
    indexed: bool = field(default=True, kw_only=True)


@dataclass(frozen=True)
class Page:
    """Some objects of a stage: `rows` were looked through, the last of them `last`."""

    objects: list[Acknowledged]
    rows: int
    last: int


@dataclass(frozen=True)
class Fault:
    """An object that is not as it was acknowledged."""

    sop_instance_uid: str
    path: str
    fault: str


def page(work: Work, stage: Stage, after: int, at_once: int = _AT_ONCE) -> Page | None:
    """Return what stands behind the row `after` of a stage; None when that was the last."""
    if stage is Stage.RECEIPTS:
        return _receipts_page(work, after, at_once)
    rows: Sequence[Image | Quarantined] = (
        _rows(work, Image, after, at_once) if stage is Stage.IMAGES else _rows(work, Quarantined, after, at_once)
    )
    return Page([_of(row) for row in rows], len(rows), rows[-1].id or 0) if rows else None


_Row = TypeVar("_Row", Image, Quarantined)


def _rows(work: Work, table: type[_Row], after: int, at_once: int) -> Sequence[_Row]:
    found = select(table).where(col(table.id) > after).order_by(col(table.id)).limit(at_once)
    return work.session.exec(found).all()


def _of(row: Image | Quarantined | Receipt) -> Acknowledged:
    indexed = not isinstance(row, Receipt)
    return Acknowledged(row.sop_uid, row.path, row.size, row.sha256, site=row.site, store=row.store, indexed=indexed)


def _receipts_page(work: Work, after: int, at_once: int) -> Page | None:
    """Return the objects among some receipts that have no row any more."""
    some = select(Receipt.id).where(col(Receipt.id) > after).order_by(col(Receipt.id)).limit(10 * at_once).subquery()
    rows, last = work.session.exec(select(func.count(), func.max(some.c.id)).select_from(some)).one()
    if not rows:
        return None
    moved = exists().where(
        col(TierMove.site) == Receipt.site, col(TierMove.sop_uid) == Receipt.sop_uid,
        col(TierMove.sha256) == Receipt.sha256,
    )  # fmt: skip
    same_bytes = or_(col(Image.sha256) == Receipt.sha256, moved)  # a move was proven to hold what it left
    same_image = and_(col(Image.site) == Receipt.site, col(Image.sop_uid) == Receipt.sop_uid, same_bytes)
    same_apart = and_(
        col(Quarantined.site) == Receipt.site, col(Quarantined.sop_uid) == Receipt.sop_uid,
        col(Quarantined.sha256) == Receipt.sha256,
    )  # fmt: skip
    lost = select(Receipt).outerjoin(Image, same_image).outerjoin(Quarantined, same_apart)
    lost = lost.where(col(Image.id).is_(None), col(Quarantined.id).is_(None))
    found = work.session.exec(lost.where(col(Receipt.id) > after, col(Receipt.id) <= last))
    once = dict.fromkeys(_of(row) for row in found)
    return Page(list(once), rows, last)


def acknowledged(work: Work) -> Iterator[Acknowledged]:
    """Yield all that must be there: images, objects kept apart, and receipts whose object has no row any more."""
    for stage in Stage:
        after = 0
        while found := page(work, stage, after):
            yield from found.objects
            after = found.last


def rows_of(work: Work) -> int:
    """Return how many rows a proof looks through."""
    return sum(work.session.exec(select(func.count()).select_from(t)).one() for t in (Image, Quarantined, Receipt))


def receipts(work: Work) -> int:
    """Return how many times storage was acknowledged."""
    return work.session.exec(select(func.count()).select_from(Receipt)).one()


def again(work: Work, site: str, sop_uid: str, path: str) -> Acknowledged | None:
    """Read an object's row anew: it may have been moved or mended since; None when it has no row any more."""
    images = select(Image).where(Image.sop_uid == sop_uid, Image.site == site)
    apart = select(Quarantined).where(Quarantined.sop_uid == sop_uid, Quarantined.site == site)
    rows = [_of(row) for row in (*work.session.exec(images), *work.session.exec(apart))]
    rows.sort(key=lambda row: row.path != path)
    moved = bool(rows) and rows[0].path != path and path.startswith(QUARANTINE)
    return rows[0] if rows and not moved else None


def faults_of(store: Store, one: Acknowledged, *, deep: bool) -> Iterator[Fault]:
    """Look at one object: its presence and size, and with `deep` at every byte."""
    for fault in _faults(store, one, deep=deep):
        yield Fault(one.sop_uid, one.path, fault)


def _faults(store: Store, one: Acknowledged, *, deep: bool) -> Iterable[str]:
    if not one.indexed:
        yield "acknowledged, but not in the index: run 'photopeakd reindex'"
    size = store.size(one.path)
    if size is None:
        yield "its file is missing"
    elif size != one.size:
        yield f"its file has {size} bytes instead of {one.size}"
    elif deep:
        yield from _changed(store.local(one.path), one.sha256)


def _changed(path: Path, sha256: str) -> Iterable[str]:
    try:
        if sha256_of(path) != sha256:
            yield "its file has other bytes than those received"
    except OSError as error:
        yield f"its file cannot be read ({error.strerror})"


def sha256_of(path: Path) -> str:
    """Return the checksum of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
