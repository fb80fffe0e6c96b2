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
from typing import Any

from sqlalchemy import and_, exists, or_
from sqlmodel import col, func, select

from core.archive.stores import COPIES, ORIGINALS, QUARANTINE, STANDARD, Store
from core.model import BackupCopy, Conversion, Damage, Image, Quarantined, Receipt, TierMove
from core.records import Work

_PIECE = 1 << 20
_AT_ONCE = 500
_APART = (COPIES, ORIGINALS, QUARANTINE, STANDARD)  # names the files beside the objects begin with


class Stage(StrEnum):
    """What is looked at, in this order."""

    IMAGES = auto()
    APART = auto()
    CONVERSIONS = auto()
    COPIES = auto()
    RECEIPTS = auto()


BESIDE = frozenset({Stage.CONVERSIONS, Stage.COPIES})
"""The stages of files that stand beside objects counted elsewhere."""

STAGE_AFTER: dict[Stage, Stage | None] = {
    Stage.IMAGES: Stage.APART,
    Stage.APART: Stage.CONVERSIONS,
    Stage.CONVERSIONS: Stage.COPIES,
    Stage.COPIES: Stage.RECEIPTS,
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
    if stage is Stage.CONVERSIONS:
        return _conversions_page(work, after, at_once)
    rows = _rows(work, _TABLES[stage], after, at_once)
    return Page([_of(row) for row in rows], len(rows), rows[-1].id or 0) if rows else None


_Stored = Image | Quarantined | BackupCopy
_TABLES: dict[Stage, type[_Stored]] = {Stage.IMAGES: Image, Stage.APART: Quarantined, Stage.COPIES: BackupCopy}


def _rows(work: Work, table: Any, after: int, at_once: int) -> Sequence[Any]:  # noqa: ANN401 - rows of any table
    return work.session.exec(select(table).where(table.id > after).order_by(table.id).limit(at_once)).all()


def _of(row: _Stored | Receipt) -> Acknowledged:
    indexed = not isinstance(row, Receipt)
    return Acknowledged(row.sop_uid, row.path, row.size, row.sha256, site=row.site, store=row.store, indexed=indexed)


def _conversions_page(work: Work, after: int, at_once: int) -> Page | None:
    """Return the files beside those of objects that came non-standard: as they came, or the standard ones."""
    rows: Sequence[Conversion] = _rows(work, Conversion, after, at_once)
    uids = [row.sop_uid for row in rows]
    images = set(work.session.exec(select(Image.path).where(col(Image.sop_uid).in_(uids))))
    beside = [one for row in rows for one in _files_of(row) if one.path and one.path not in images]
    return Page(beside, len(rows), rows[-1].id or 0) if rows else None


def _files_of(row: Conversion) -> tuple[Acknowledged, Acknowledged]:
    original = (row.original_path, row.original_size, row.original_sha256)
    standard = (row.standard_path, row.standard_size, row.standard_sha256)
    return (
        Acknowledged(row.sop_uid, *original, site=row.site, store=row.store),
        Acknowledged(row.sop_uid, *standard, site=row.site, store=row.store),
    )


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
    """Yield the objects that must be there: images, those kept apart, and receipts whose object has no row any more."""
    for stage in (Stage.IMAGES, Stage.APART, Stage.RECEIPTS):
        after = 0
        while found := page(work, stage, after):
            yield from found.objects
            after = found.last


def rows_of(work: Work) -> int:
    """Return how many rows a proof looks through."""
    tables = (*_TABLES.values(), Conversion, Receipt)
    return sum(work.session.exec(select(func.count()).select_from(table)).one() for table in tables)


def receipts(work: Work) -> int:
    """Return how many times storage was acknowledged."""
    return work.session.exec(select(func.count()).select_from(Receipt)).one()


def again(work: Work, site: str, sop_uid: str, path: str) -> Acknowledged | None:
    """Read an object's row anew: it may have been moved or mended since; None when it has no row any more."""
    found = [_with_uid(work, table, site, sop_uid) for table in (*_TABLES.values(), Conversion)]
    image, rows = found[0], [_of(row) for stored in found[:-1] for row in stored]
    rows += [one for row in found[-1] for one in _files_of(row)]
    there = next((row for row in rows if row.path == path), None)
    beside = path.startswith(_APART)
    return there or (None if beside or not image else _of(image[0]))


def _with_uid(work: Work, table: Any, site: str, sop_uid: str) -> Sequence[Any]:  # noqa: ANN401 - rows of any table
    return work.session.exec(select(table).where(table.site == site, table.sop_uid == sop_uid)).all()


def open_damage(work: Work, image: Image) -> list[Damage]:
    """Return the damage found on an object's file and not mended."""
    found = select(Damage).where(Damage.site == image.site, Damage.sop_uid == image.sop_uid)
    return list(work.session.exec(found.where(Damage.path == image.path, col(Damage.mended_at).is_(None))))


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
