"""Move what has grown old to the archive tier, bring it back, and keep second copies elsewhere (mission F3, G9, G14).

Files are written and proven outside any unit of work; the rows change in one; the file that was left goes after a
grace, so that whoever is reading it can end. Receipts are never rewritten: a move says which bytes they mean now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

from pydicom.uid import UID
from sqlalchemy import and_
from sqlmodel import col, func, select

from core import access, audit
from core.access import Actor
from core.archive import conversions
from core.archive.tiers import Copied, Tiers, Written
from core.dicom.codecs import rules
from core.dicom.codecs.rules import Purpose, Rule
from core.errors import CoreError, NotFound
from core.model import BackupCopy, Image, Job, Series, Study, TierMove
from core.records import Records, Work
from core.vocabulary import Operation, Tier
from core.workflow.queue import OPEN, Ticket

KIND = "tier"
GRACE = timedelta(hours=1)
_AT_ONCE = 50
Progress = Callable[[int, int], object]
One = TypeVar("One")


@dataclass
class Told:
    """What came of a run: objects and bytes before and after, how they were written, and what could not be."""

    objects: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    codecs: Counter[str] = field(default_factory=Counter)
    faults: list[dict[str, str]] = field(default_factory=list)

    def add(self, before: int, after: int, codec: str) -> None:
        """Count one object."""
        self.objects += 1
        self.bytes_before += before
        self.bytes_after += after
        self.codecs[codec or "as-is"] += 1

    @property
    def ratio(self) -> float:
        """Bytes before over bytes after."""
        return self.bytes_before / self.bytes_after if self.bytes_after else 1.0


class Tiering:
    """Runs over many objects, a group of rows at a time; each can be stopped and begun again anywhere."""

    def __init__(self, records: Records, tiers: Tiers, written: str, new_uid: Callable[[], str]) -> None:
        self._records, self._tiers, self._new_uid = records, tiers, new_uid
        self._rules = rules.read(written)

    def work_off(self, ticket: Ticket) -> None:
        """Do the run a job asks for; what it leaves, the next one finds."""
        actor = access.system(KIND, ticket.site)
        if ticket.payload["what"] == "move":
            days = timedelta(days=int(ticket.payload["days"]))
            told = self.move(actor, days, ticket.progress, stop=ticket.cancelled)
        else:
            told = self.back_up(actor, ticket.progress, stop=ticket.cancelled)
        ticket.result.update(objects=told.objects, bytes_before=told.bytes_before, bytes_after=told.bytes_after)
        ticket.result["faults"] = len(told.faults)

    # -- to the archive ----------------------------------------------------------------------------------------------

    def move(
        self, actor: Actor, older_than: timedelta, progress: Progress, *, most: int | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Told:  # fmt: skip
        """Move what came longer than `older_than` ago, at most `most` objects; `stop` is asked after each group."""
        access.require(actor, Operation.ADMINISTER)
        with self._records.reading() as work:
            ids = _numbers(work, _old(actor.site, work.now - older_than).limit(most))
        told = Told()
        for group in _groups(ids, told, progress, stop):
            moved = list(self._each(group, told, self._archived))
            with self._records.writing() as work:
                for image, written in moved:
                    _moved(work, image, written, Tier.ARCHIVE, told)
        self._say(actor, "archive.move", told)
        return told

    def _archived(self, image: Image, modality: str) -> tuple[Image, Written]:
        rule = self._rule(Purpose.IMPORTANT, image, modality)
        return image, self._tiers.archive(image, rule.codec)

    def _rule(self, purpose: Purpose, image: Image, modality: str) -> Rule:
        return rules.choose(self._rules, purpose, modality, derived=not image.counted)

    # -- and back ----------------------------------------------------------------------------------------------------

    def recall(self, actor: Actor, study_uid: str, progress: Progress) -> Told:
        """Bring a study back online, every file as it came, byte for byte."""
        access.require(actor, Operation.ADMINISTER)
        with self._records.reading() as work:
            found = select(Image.id).join(Series, col(Series.id) == Image.series_id)
            found = found.join(Study, col(Study.id) == Series.study_id)
            ids = _numbers(work, found.where(Study.site == actor.site, Study.uid == study_uid))
            if not ids:
                raise NotFound(f"no study {study_uid} is in the archive")
            away = set(_numbers(work, select(Image.id).where(Image.tier == Tier.ARCHIVE, col(Image.id).in_(ids))))
        told = Told()
        for group in _groups([each for each in ids if each in away], told, progress):
            back = list(self._each(group, told, self._recalled))
            with self._records.writing() as work:
                for image, written in back:
                    _moved(work, image, written, Tier.ONLINE, told)
        self._say(actor, "archive.recall", told, study_uid)
        return told

    def _recalled(self, image: Image, _modality: str) -> tuple[Image, Written]:
        with self._records.reading() as work:
            found = select(TierMove).where(TierMove.site == image.site, TierMove.sop_uid == image.sop_uid)
            move = work.session.exec(found.where(TierMove.became_sha256 == image.sha256)).first()
        if move is None:
            raise NotFound(f"nothing says how object {image.sop_uid} was before: it stays on the archive tier")
        former = Written(move.left_path, move.size, move.sha256, "", move.transfer_syntax, pixel_vr=move.pixel_vr)
        return image, self._tiers.recall(image, former)

    # -- second copies -----------------------------------------------------------------------------------------------

    def back_up(
        self, actor: Actor, progress: Progress, *, most: int | None = None, stop: Callable[[], bool] = lambda: False
    ) -> Told:
        """Keep a second copy of every object that has none."""
        access.require(actor, Operation.ADMINISTER)
        with self._records.reading() as work:
            ids = _numbers(work, _uncopied(actor.site).limit(most))
        told = Told()
        for group in _groups(ids, told, progress, stop):
            made = list(self._each(group, told, self._copied))
            with self._records.writing() as work:
                for image, copied in made:
                    work.session.add(_copy_row(work, image, copied))
                    told.add(image.size, copied.file.size, copied.file.codec or copied.file.syntax)
        self._say(actor, "archive.back_up", told)
        return told

    def _copied(self, image: Image, modality: str) -> tuple[Image, Copied]:
        return image, self._tiers.copy(image, self._rule(Purpose.BACKUP, image, modality), self._new_uid())

    # -- letting go --------------------------------------------------------------------------------------------------

    def let_go(self, grace: timedelta = GRACE) -> int:
        """Remove the files moves left behind longer than `grace` ago; return how many those were."""
        with self._records.reading() as work:
            left = select(TierMove).where(col(TierMove.removed_at).is_(None), TierMove.moved_at <= work.now - grace)
            moves = work.session.exec(left.order_by(col(TierMove.id))).all()
        for start in range(0, len(moves), _AT_ONCE):
            with self._records.writing() as work:
                for move in moves[start : start + _AT_ONCE]:
                    self._let_go(work, move)
        return len(moves)

    def _let_go(self, work: Work, move: TierMove) -> None:
        """Remove what one move left, unless a row has that file again, or the other one is not there."""
        rows = work.session.exec(select(Image).where(Image.site == move.site, Image.sop_uid == move.sop_uid)).all()
        needed = not rows or any(row.path == move.left_path for row in rows)
        whole = all(self._tiers.store.size(row.path) == row.size for row in rows)
        if not needed and whole:
            self._tiers.store.remove(move.left_path)
        if whole or needed:
            move.removed_at = work.now
            work.session.add(move)

    # -- over many ---------------------------------------------------------------------------------------------------

    def _each(self, ids: Sequence[int], told: Told, do: Callable[[Image, str], One]) -> Iterator[One]:
        with self._records.reading() as work:
            found = select(Image, Series.modality).join(Series, col(Series.id) == Image.series_id)
            rows = work.session.exec(found.where(col(Image.id).in_(ids))).all()
        for image, modality in rows:
            try:
                yield do(image, modality)
            except CoreError as error:
                told.faults.append({"sop_instance_uid": image.sop_uid, "fault": error.detail})

    def _say(self, actor: Actor, action: str, told: Told, subject: str = "") -> None:
        if not told.objects and not told.faults:
            return
        with self._records.writing() as work:
            audit.record(
                work, actor, action, subject, objects=told.objects, bytes_before=told.bytes_before,
                bytes_after=told.bytes_after, codecs=dict(told.codecs), faults=len(told.faults),
            )  # fmt: skip


def _numbers(work: Work, found: Any) -> list[int]:  # noqa: ANN401 - SQLModel's selects differ in type by their columns
    return [number for number in work.session.exec(found) if number is not None]


def _groups(
    ids: Sequence[int], told: Told, progress: Progress, stop: Callable[[], bool] = lambda: False
) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), _AT_ONCE):
        if stop():
            return
        yield ids[start : start + _AT_ONCE]
        progress(told.objects + len(told.faults), len(ids))


def _moved(work: Work, image: Image, written: Written, tier: Tier, told: Told) -> None:
    """Let an object's row name its new file, and write down which one it was."""
    row = work.session.get(Image, image.id)
    if row is None or (row.path, row.sha256) != (image.path, image.sha256):
        told.faults.append({"sop_instance_uid": image.sop_uid, "fault": "it was changed meanwhile: run this again"})
        return
    work.session.add(
        TierMove(
            site=row.site, sop_uid=row.sop_uid, tier=tier, codec=written.codec, sha256=row.sha256, size=row.size,
            transfer_syntax=row.transfer_syntax, pixel_vr=written.pixel_vr, became_sha256=written.sha256,
            became_size=written.size, became_syntax=written.syntax, left_store=row.store, left_path=row.path,
            moved_at=work.now,
        )
    )  # fmt: skip
    _mended_follows(work, row, written)
    row.path, row.size, row.sha256, row.tier = written.path, written.size, written.sha256, tier
    row.content_sha256, row.transfer_syntax = written.content_sha256, written.syntax
    work.session.add(row)
    told.add(image.size, written.size, written.codec)


def _mended_follows(work: Work, row: Image, written: Written) -> None:
    """Let what was mended in an object name its new file too: one of the two it has is the row's."""
    mended = conversions.of_object(work, row.site, row.sop_uid)
    if mended is None:
        return
    if mended.original_path == row.path:
        mended.original_path, mended.original_size, mended.original_sha256 = written.path, written.size, written.sha256
    if mended.standard_path == row.path:
        mended.standard_path, mended.standard_size, mended.standard_sha256 = written.path, written.size, written.sha256
        mended.standard_syntax = written.syntax
    work.session.add(mended)


def _copy_row(work: Work, image: Image, copied: Copied) -> BackupCopy:
    return BackupCopy(
        site=image.site, sop_uid=image.sop_uid, copy_uid=copied.sop_uid, lossless=copied.lossless,
        transfer_syntax=copied.file.syntax, ratio=copied.ratio, psnr_db=copied.psnr_db, source_sha256=image.sha256,
        store=image.store, path=copied.file.path, size=copied.file.size, sha256=copied.file.sha256, made_at=work.now,
    )  # fmt: skip


def queue_run(work: Work, site: str, what: str, days: int) -> bool:
    """Queue a run (`move` or `copy`) unless one waits or there is nothing to do; tell whether it was queued."""
    waiting = select(Job.arguments).where(Job.site == site, Job.kind == KIND, col(Job.state).in_(OPEN))
    if any(one.get("what") == what for one in work.session.exec(waiting)):
        return False
    found = _old(site, work.now - timedelta(days=days)) if what == "move" else _uncopied(site)
    if work.session.exec(found.limit(1)).first() is None:
        return False
    work.enqueue(site, KIND, {"what": what, "days": days}, lane=KIND)
    return True


def _old(site: str, before: datetime) -> Any:  # noqa: ANN401 - SQLModel's selects differ in type by their columns
    found = select(Image.id).where(Image.site == site, Image.tier == Tier.ONLINE, col(Image.received_at) <= before)
    return found.order_by(col(Image.received_at), col(Image.id))


def _uncopied(site: str) -> Any:  # noqa: ANN401 - as above
    same = and_(col(BackupCopy.site) == Image.site, col(BackupCopy.sop_uid) == Image.sop_uid)
    found = select(Image.id).outerjoin(BackupCopy, same).where(Image.site == site, col(BackupCopy.id).is_(None))
    return found.order_by(col(Image.id))


def study_of(work: Work, image: Image) -> str:
    """Return the Study UID of an object, by which it is recalled."""
    found = select(Study.uid).join(Series, col(Series.study_id) == Study.id)
    return work.session.exec(found.where(Series.id == image.series_id)).one()


# -- what is where ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """What one tier holds in one transfer syntax."""

    transfer_syntax: str
    title: str
    objects: int
    bytes: int


@dataclass(frozen=True)
class State:
    """What is where."""

    tiers: dict[str, list[Held]]
    copies: int
    lossy_copies: int
    copied_bytes: int

    def as_json(self) -> dict[str, object]:
        """Return it as `--json` prints it."""
        return asdict(self)


def state(work: Work, actor: Actor) -> State:
    """Return what each tier holds, by transfer syntax, and the second copies."""
    access.require(actor, Operation.ADMINISTER)
    held = select(Image.tier, Image.transfer_syntax, func.count(), func.coalesce(func.sum(Image.size), 0))
    held = held.where(Image.site == actor.site).group_by(col(Image.tier), col(Image.transfer_syntax))
    tiers: dict[str, list[Held]] = {tier.value: [] for tier in Tier}
    for tier, syntax, objects, size in work.session.exec(held):
        tiers.setdefault(tier, []).append(Held(syntax, UID(syntax).name, objects, int(size)))
    copies = select(BackupCopy.lossless, func.count(), func.coalesce(func.sum(BackupCopy.size), 0))
    copies = copies.where(BackupCopy.site == actor.site).group_by(col(BackupCopy.lossless))
    rows = work.session.exec(copies).all()
    lossy = sum(row[1] for row in rows if not row[0])
    return State(tiers, sum(row[1] for row in rows), lossy, int(sum(row[2] for row in rows)))
