"""Proves that every object ever acknowledged is present and intact.

What was acknowledged stands in the receipts, which outlive the index: an object the index lost is a fault too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import and_
from sqlmodel import col, func, select

from core.archive.stores import Store
from core.model import Image, Quarantined, Receipt
from core.records import Work

_PIECE = 1 << 20
_AT_ONCE = 1000


@dataclass(frozen=True)
class Acknowledged:
    """An object that must be there."""

    sop_uid: str
    path: str
    size: int
    sha256: str
    indexed: bool = field(default=True, kw_only=True)


@dataclass(frozen=True)
class Fault:
    """An object that is not as it was acknowledged."""

    sop_instance_uid: str
    path: str
    fault: str


def acknowledged(work: Work) -> list[Acknowledged]:
    """Return all that must be there: images, objects kept apart, and receipts whose object has no row any more."""
    images = select(Image.sop_uid, Image.path, Image.size, Image.sha256)
    apart = select(Quarantined.sop_uid, Quarantined.path, Quarantined.size, Quarantined.sha256)
    found = [Acknowledged(*row) for rows in (images, apart) for row in work.session.exec(rows).yield_per(_AT_ONCE)]
    return found + [Acknowledged(*row, indexed=False) for row in _lost(work)]


def _lost(work: Work) -> Iterable[tuple[str, str, int, str]]:
    same_image = and_(col(Image.sop_uid) == Receipt.sop_uid, col(Image.sha256) == Receipt.sha256)
    same_apart = and_(col(Quarantined.sop_uid) == Receipt.sop_uid, col(Quarantined.sha256) == Receipt.sha256)
    lost = select(Receipt.sop_uid, Receipt.path, Receipt.size, Receipt.sha256).distinct()
    lost = lost.outerjoin(Image, same_image).outerjoin(Quarantined, same_apart)
    return work.session.exec(lost.where(col(Image.id).is_(None), col(Quarantined.id).is_(None)))


def receipts(work: Work) -> int:
    """Return how many times storage was acknowledged."""
    return work.session.exec(select(func.count()).select_from(Receipt)).one()


def faults_of(store: Store, one: Acknowledged, *, deep: bool) -> Iterator[Fault]:
    """Look at one object: its presence and size, and with `deep` at every byte."""
    if not one.indexed:
        yield Fault(one.sop_uid, one.path, "acknowledged, but not in the index: run 'photopeakd reindex'")
    size = store.size(one.path)
    if size is None:
        yield Fault(one.sop_uid, one.path, "its file is missing")
    elif size != one.size:
        yield Fault(one.sop_uid, one.path, f"its file has {size} bytes instead of {one.size}")
    elif deep and sha256_of(store.local(one.path)) != one.sha256:
        yield Fault(one.sop_uid, one.path, "its file has other bytes than those received")


def sha256_of(path: Path) -> str:
    """Return the checksum of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
