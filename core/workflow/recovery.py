"""Rebuild the index of what arrived from the files alone.

Batches, filings, corrections, receipts and the audit trail stay and are found again by site, Study UID, identity and
series. What no batch knows yet is filed anew by its numbers, once all of it is there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import and_, insert, update
from sqlmodel import col, delete, func, or_, select

from core import audit, course
from core.access import Actor
from core.archive import keeper as keeping
from core.archive.keeper import Keeper, Staged
from core.archive.keeper.rows import values
from core.archive.reading_back import Read, read_all
from core.archive.stores import QUARANTINE
from core.archive.tiers import online_path, tier_of
from core.model import Batch, Exam, Examination, Image, Quarantined, Receipt, SentPatient, Series, Study, TierMove
from core.records import Work
from core.workflow import filing

APART = QUARANTINE
"""The folder of the quarantine in a store."""


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
    rebuilding = _Rebuilding(work, keeper, actor)
    before = _held(work)
    for table in (Image, Series, Study, SentPatient, Examination):
        work.session.exec(delete(table))
    for some in read_all(keeper.store, files):
        rebuilding.bring_back(some)
    for some in read_all(keeper.store, apart):
        rebuilding.bring_back_apart(some)
    _recount_batches(work)
    rebuilding.file_new()
    _recount_exams(work, before)
    rebuilt = rebuilding.rebuilt
    audit.record(work, actor, "archive.reindex", "", objects=rebuilt.objects, left_out=len(rebuilt.left_out))
    return rebuilt


@dataclass(frozen=True)
class _Place:
    """Where the objects of a series belong."""

    series_id: int
    batch_id: int


class _Rebuilding:
    """One rebuild: what it has found, and where each series belongs."""

    def __init__(self, work: Work, keeper: Keeper, actor: Actor) -> None:
        self._work, self._keeper, self._actor = work, keeper, actor
        self._known = set(work.session.exec(select(Batch.id)))
        self._places: dict[tuple[str, str, str, str], _Place] = {}
        self._seen: set[tuple[str, str]] = set()
        self._new: dict[int, dict[object, tuple[Image, str]]] = defaultdict(dict)
        self.rebuilt = Rebuilt()

    def bring_back(self, some: Sequence[Read]) -> None:
        """Give objects their rows again."""
        found = self._readable(some)
        receipts = _receipts(self._work, [staged for _, staged in found])
        images = [self._image(path, staged, receipts) for path, staged in found]
        rows = [values(image) for image in images if image is not None]
        if rows:
            self._work.session.connection().execute(insert(Image), rows)
        self.rebuilt.objects += len(rows)

    def _readable(self, some: Sequence[Read]) -> list[tuple[str, Staged]]:
        for path, read in some:
            if isinstance(read, str):
                self._leave_out(path, read)
        return [(path, read) for path, read in some if isinstance(read, Staged)]

    def _leave_out(self, path: str, reason: str) -> None:
        self.rebuilt.left_out.append({"path": path, "reason": reason})

    def _image(self, path: str, staged: Staged, receipts: _Receipts) -> Image | None:
        """Return an object's row; None when it is left out."""
        uid = staged.identity.sop_instance_uid
        receipt = receipts.of(path, staged)
        if receipt is None and uid in receipts.uids:
            self._leave_out(path, f"another object was acknowledged as {uid}")
            return None
        site = receipt.site if receipt else self._actor.site
        if (site, uid) in self._seen:
            self._leave_out(path, f"{uid} is there already")
            return None
        self._seen.add((site, uid))
        place = self._place(staged, site)
        image = keeping.image_row(staged, site, self._keeper.store.name, path)
        image.series_id, image.batch_id, image.tier = place.series_id, place.batch_id, tier_of(path)
        if receipt:
            image.received_at, image.aet = receipt.at, receipt.aet or image.aet
        if place.batch_id not in self._known:
            step = staged.identity.scheduled_step_id
            self._new[place.batch_id].setdefault((place.series_id, image.image_type, step), (image, step))
        return image

    def _place(self, staged: Staged, site: str) -> _Place:
        said = staged.identity
        key = (site, staged.identity_key, said.study_instance_uid, said.series_instance_uid)
        if key not in self._places:
            series = keeping.index_rows(self._work, staged, site)
            batch = keeping.batch_of(self._work, staged, site)
            self._places[key] = _Place(series.id or 0, batch.id or 0)
        return self._places[key]

    def bring_back_apart(self, some: Sequence[Read]) -> None:
        """Give objects kept apart the rows they lack."""
        found = self._readable(some)
        receipts = _receipts(self._work, [staged for _, staged in found], keeping.KEPT_APART)
        for path, staged in found:
            receipt = receipts.of(path, staged)
            site = receipt.site if receipt else self._actor.site
            known = select(Quarantined.id).where(
                Quarantined.site == site, Quarantined.content_sha256 == staged.content_sha256
            )
            if self._work.session.exec(known).first() is None:
                row = keeping.quarantined_row(staged, site, self._keeper.store.name, path, self._work.now)
                self._work.add(row)
            self.rebuilt.quarantined += 1

    def file_new(self) -> None:
        """Let filing decide about the batches nobody knew, once for each kind of object in them."""
        for batch_id, kinds in self._new.items():
            batch = self._work.session.get_one(Batch, batch_id, populate_existing=True)
            for image, step in kinds.values():
                filing.arrived(self._work, batch, image, scheduled_step=step)


# -- receipts --------------------------------------------------------------------------------------------------------


class _Receipts:
    """The receipts of some objects by their content, and which UIDs were acknowledged at all."""

    def __init__(self, rows: Iterable[tuple[str, Receipt]]) -> None:
        self._of: defaultdict[tuple[str, str], list[Receipt]] = defaultdict(list)
        self.uids: set[str] = set()
        for sha256, row in rows:
            self._of[row.sop_uid, sha256].append(row)
            self.uids.add(row.sop_uid)

    def of(self, path: str, staged: Staged) -> Receipt | None:
        """Return the first receipt of the very bytes of an object, or of those it was before it moved to another tier.

        Two sites may keep the same bytes: the receipt that names the file tells whose it is.
        """
        found = self._of.get((staged.identity.sop_instance_uid, staged.sha256), [])
        named = (receipt for receipt in found if receipt.path == online_path(path))
        return next(named, found[0] if found else None)


def _receipts(work: Work, some: Sequence[Staged], status: int = keeping.STORED) -> _Receipts:
    uids = [staged.identity.sop_instance_uid for staged in some]
    found = select(Receipt).where(col(Receipt.sop_uid).in_(uids), Receipt.status == status).order_by(col(Receipt.id))
    rows: list[tuple[str, Receipt]] = [(row.sha256, row) for row in work.session.exec(found)]
    was = and_(col(TierMove.site) == Receipt.site, col(TierMove.sop_uid) == Receipt.sop_uid)
    moved = select(TierMove.became_sha256, Receipt).join(Receipt, and_(was, col(TierMove.sha256) == Receipt.sha256))
    moved = moved.where(col(TierMove.sop_uid).in_(uids), Receipt.status == status).order_by(col(Receipt.id))
    return _Receipts([*rows, *work.session.exec(moved).all()])


# -- counting --------------------------------------------------------------------------------------------------------


def _held(work: Work) -> dict[int, tuple[Any, ...]]:
    """Return what each batch holds, as far as exams count it."""
    sums = select(
        Image.batch_id, func.count(), func.sum(Image.frames), func.sum(Image.due_frames),  # type: ignore[call-overload]
        func.count().filter(col(Image.counted)), func.min(Image.received_at), func.max(Image.received_at),
    )  # fmt: skip
    return {row[0]: tuple(row[1:]) for row in work.session.exec(sums.group_by(col(Image.batch_id)))}


def _recount_batches(work: Work) -> None:
    """Set what batches count by the images there are now."""
    theirs = col(Image.batch_id) == Batch.id
    first, last = (select(edge(Image.received_at)).where(theirs).scalar_subquery() for edge in (func.min, func.max))
    work.session.flush()
    work.session.connection().execute(
        update(Batch).values(
            received=select(func.count()).select_from(Image).where(theirs).scalar_subquery(),
            first_at=func.coalesce(first, Batch.first_at), last_at=func.coalesce(last, Batch.last_at),
        )
    )  # fmt: skip
    work.session.expire_all()


def _recount_exams(work: Work, before: dict[int, tuple[Any, ...]]) -> None:
    """Count anew the exams of those batches that hold something else than before."""
    now = _held(work)
    changed = {batch_id for batch_id in before.keys() | now.keys() if before.get(batch_id) != now.get(batch_id)}
    for exam_id in _exams_of(work, changed):
        exam = work.session.get_one(Exam, exam_id)
        was = (exam.images_received, exam.images_state)
        course.count_images(work, exam, course.steps_of(work, exam))
        if was != (exam.images_received, exam.images_state):
            course.settle(work, exam)


def _exams_of(work: Work, batch_ids: set[int]) -> list[int]:
    found = select(Batch.id, Batch.exam_id, Batch.contradicts)
    found = found.where(or_(col(Batch.exam_id).is_not(None), col(Batch.contradicts).is_not(None)))
    rows = [row for row in work.session.exec(found) if row[0] in batch_ids]
    return sorted({exam_id for _, *exams in rows for exam_id in exams if exam_id is not None})
