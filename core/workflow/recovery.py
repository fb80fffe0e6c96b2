"""Rebuild the index of what arrived from the files alone.

Batches, filings, corrections, receipts and the audit trail stay and are found again by site, Study UID, identity and
series. What no batch knows yet is filed anew by its numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import and_
from sqlmodel import col, delete, func, select

from core import audit, course
from core.access import Actor
from core.archive import keeper as keeping
from core.archive.keeper import Keeper, Staged
from core.archive.stores import QUARANTINE
from core.archive.tiers import tier_of
from core.errors import Refused
from core.model import Batch, Exam, Image, Quarantined, Receipt, SentPatient, Series, Study, TierMove
from core.records import Work
from core.workflow import filing


@dataclass
class Rebuilt:
    """What a rebuild found."""

    objects: int = 0
    quarantined: int = 0
    left_out: list[dict[str, str]] = field(default_factory=list)


def reindex(work: Work, keeper: Keeper, actor: Actor, files: Iterable[str], apart: Iterable[str]) -> Rebuilt:
    """Empty the four tables and fill them from `files`; `apart` are those of the quarantine.

    It is one unit of work: when it is interrupted, everything is as it was before.
    """
    known = set(work.session.exec(select(Batch.id)))
    for table in (Image, Series, Study, SentPatient):
        work.session.exec(delete(table))
    rebuilt = Rebuilt()
    for path in files:
        _bring_back(work, keeper, actor, path, known, rebuilt)
    for path in apart:
        _bring_back_apart(work, keeper, actor, path, rebuilt)
    _recount(work)
    audit.record(work, actor, "archive.reindex", "", objects=rebuilt.objects, left_out=len(rebuilt.left_out))
    return rebuilt


def _bring_back(work: Work, keeper: Keeper, actor: Actor, path: str, known: set[int | None], rebuilt: Rebuilt) -> None:
    staged = _read(keeper, path, rebuilt)
    if staged is None:
        return
    uid = staged.identity.sop_instance_uid
    receipt = _receipt(work, uid, staged.sha256) or _receipt_before_moving(work, uid, staged.sha256)
    if receipt is None and _receipt(work, uid) is not None:
        rebuilt.left_out.append({"path": path, "reason": f"another object was acknowledged as {uid}"})
        return
    if work.session.exec(select(Image.id).where(Image.sop_uid == uid)).first() is not None:
        rebuilt.left_out.append({"path": path, "reason": f"{uid} is there already"})
        return
    site = receipt.site if receipt else actor.site
    series, batch = keeping.index_rows(work, staged, site), keeping.batch_of(work, staged, site)
    image = keeping.image_row(staged, site, keeper.store.name, path)
    image.series_id, image.batch_id, image.tier = series.id or 0, batch.id or 0, tier_of(path)
    if receipt:
        image.received_at, image.aet = receipt.at, receipt.aet or image.aet
    work.add(image)
    rebuilt.objects += 1
    if batch.id not in known:
        filing.arrived(work, batch, image, scheduled_step=staged.identity.scheduled_step_id)


def _read(keeper: Keeper, path: str, rebuilt: Rebuilt) -> Staged | None:
    try:
        return keeper.read_back(path)
    except (Refused, OSError) as error:
        rebuilt.left_out.append({"path": path, "reason": str(error)})
        return None


def _receipt(work: Work, uid: str, sha256: str | None = None) -> Receipt | None:
    """Return the first receipt of an object's storage, of the very bytes when `sha256` is given."""
    found = select(Receipt).where(Receipt.sop_uid == uid, Receipt.status == keeping.STORED)
    if sha256 is not None:
        found = found.where(Receipt.sha256 == sha256)
    return work.session.exec(found.order_by(col(Receipt.id)).limit(1)).first()


def _receipt_before_moving(work: Work, uid: str, sha256: str) -> Receipt | None:
    """Return the receipt of an object that was written anew when it moved to another tier."""
    same = and_(col(TierMove.site) == Receipt.site, col(TierMove.sop_uid) == Receipt.sop_uid)
    found = select(Receipt).join(TierMove, and_(same, col(TierMove.sha256) == Receipt.sha256))
    found = found.where(Receipt.sop_uid == uid, Receipt.status == keeping.STORED, TierMove.became_sha256 == sha256)
    return work.session.exec(found.order_by(col(Receipt.id)).limit(1)).first()


def _bring_back_apart(work: Work, keeper: Keeper, actor: Actor, path: str, rebuilt: Rebuilt) -> None:
    staged = _read(keeper, path, rebuilt)
    if staged is None:
        return
    found = select(Quarantined.id).where(Quarantined.content_sha256 == staged.content_sha256)
    if work.session.exec(found).first() is None:
        work.add(keeping.quarantined_row(staged, actor.site, keeper.store.name, path, work.now))
    rebuilt.quarantined += 1


def _recount(work: Work) -> None:
    """Set what batches and exams count by the images there are now."""
    counted = select(Image.batch_id, func.count(), func.min(Image.received_at), func.max(Image.received_at))
    counts = {row[0]: row[1:] for row in work.session.exec(counted.group_by(col(Image.batch_id)))}
    for batch in work.session.exec(select(Batch)).all():
        received, first, last = counts.get(batch.id or 0, (0, batch.first_at, batch.last_at))
        batch.received = received
        batch.first_at, batch.last_at = _moment(first, batch.first_at), _moment(last, batch.last_at)
        work.session.add(batch)
    for exam in work.session.exec(select(Exam).join(Batch, col(Batch.exam_id) == Exam.id).distinct()).all():
        before = (exam.images_received, exam.images_state)
        course.count_images(work, exam, course.steps_of(work, exam))
        if before != (exam.images_received, exam.images_state):
            course.settle(work, exam)


def _moment(value: object, otherwise: datetime) -> datetime:
    return value if isinstance(value, datetime) else otherwise


APART = QUARANTINE
"""The folder of the quarantine in a store."""
