"""Prove the archive, page by page, and keep what is damaged in sight until it is mended.

A proof writes down how far it has come with what it found, so that one that was stopped, or killed, goes on from there.
Files are looked at outside any unit of work. What is damaged is shown with what depends on it: exams, and the signed
reports that rest on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sqlmodel import and_, col, func, select

from core import access, audit, wire
from core.access import Actor
from core.archive import proof
from core.archive.proof import BESIDE, STAGE_AFTER, Acknowledged, Fault, Page, Stage
from core.archive.stores import Store
from core.errors import NotFound
from core.model import Batch, Correction, Damage, Exam, Image, Proof, Report, ReportVersion
from core.records import Records, Work
from core.vocabulary import REPORT_SIGNED, Operation
from core.workflow.queue import Ticket

KIND = "verify"
"""The kind of job that goes on with a proof."""

_IN_PASSING = "in passing"
"""The stage of a proof that was none: damage was come across."""
_READERS = 4
_NAMED = 20
_AT_ONCE = 500

Tell = Callable[[int, int], None]


# -- proving ---------------------------------------------------------------------------------------------------------


def begin(work: Work, actor: Actor, *, deep: bool) -> Proof:
    """Begin a proof; `deep` reads every byte."""
    access.require(actor, Operation.ADMINISTER)
    row = Proof(
        site=actor.site, deep=deep, by=str(actor), of=proof.rows_of(work), started_at=work.now, moved_at=work.now
    )
    work.add(row)
    return row


def ask(work: Work, actor: Actor, form: wire.AskProof) -> wire.Proof:
    """Queue a proof to be made behind the scenes."""
    row = begin(work, actor, deep=form.deep)
    work.enqueue(actor.site, KIND, {"proof": row.id}, lane=KIND, asked_by=actor.name)
    audit.record(work, actor, "archive.verify", str(row.id), deep=form.deep)
    return shape(row)


def unfinished(work: Work, actor: Actor, *, deep: bool) -> Proof:
    """Return the last proof of this depth that was stopped; raises NotFound when there is none."""
    access.require(actor, Operation.ADMINISTER)
    found = select(Proof).where(Proof.deep == deep, Proof.site == actor.site, Proof.stage != _IN_PASSING)
    row = work.session.exec(found.order_by(col(Proof.id).desc()).limit(1)).first()
    if row is None or row.ended_at is not None:
        raise NotFound(f"no {'deep' if deep else 'quick'} verification was broken off: begin one without --resume")
    return row


@dataclass(frozen=True)
class Verifier:
    """Goes through the archive for a proof."""

    records: Records
    store: Store

    def work_off(self, ticket: Ticket) -> None:
        """Go on with the proof a job asks for."""
        row = self.run(int(ticket.payload["proof"]), ticket.progress, ticket.cancelled)
        ticket.result["faults"] = row.faults

    def run(self, proof_id: int, tell: Tell = lambda _done, _of: None, stopped: Callable[[], bool] = bool) -> Proof:
        """Go on with a proof until it has ended or is `stopped`; `tell` hears how far it has come."""
        with ThreadPoolExecutor(_READERS, "verify") as readers:
            row = self._row(proof_id)
            while row.ended_at is None and not stopped():
                row = self._go_on(row, readers)
                tell(row.done, row.of)
        return row

    def _row(self, proof_id: int) -> Proof:
        with self.records.reading() as work:
            return work.session.get_one(Proof, proof_id)

    def _go_on(self, row: Proof, readers: ThreadPoolExecutor) -> Proof:
        """Look at one page, and write down what was found with how far that is."""
        stage = Stage(row.stage)
        with self.records.reading() as work:
            page = proof.page(work, stage, row.after)
        if page is None:
            return self._leave(row, stage)
        damaged = self._damaged(page.objects, readers, deep=row.deep)
        with self.records.writing() as work:
            return _moved(work, row.id, page, damaged)

    def _damaged(
        self, objects: Sequence[Acknowledged], readers: ThreadPoolExecutor, *, deep: bool
    ) -> list[tuple[Acknowledged, Fault]]:
        looks = readers.map(lambda one: list(proof.faults_of(self.store, one, deep=deep)), objects)
        suspects = [one for one, faults in zip(objects, looks, strict=True) if faults]
        found = []
        for one in suspects:
            one = self._as_it_is_now(one)  # noqa: PLW2901 - it may have been moved while it was looked at
            found += [(one, fault) for fault in proof.faults_of(self.store, one, deep=deep)][:1]
        return found

    def _as_it_is_now(self, one: Acknowledged) -> Acknowledged:
        if not one.indexed:
            return one
        with self.records.reading() as work:
            return proof.again(work, one.site, one.sop_uid, one.path) or one

    def _leave(self, row: Proof, stage: Stage) -> Proof:
        """Go to the next stage; after the last, look whether old damage is mended and whether the trail holds."""
        following = STAGE_AFTER[stage]
        if following is None:
            return self._end(row)
        with self.records.writing() as work:
            row = work.session.get_one(Proof, row.id)
            row.stage, row.after, row.moved_at = following, 0, work.now
            work.add(row)
            return row

    def _end(self, row: Proof) -> Proof:
        mended = self._mended(row.id or 0)
        with self.records.reading() as work:
            broken = audit.broken_link(work)
        with self.records.writing() as work:
            row = work.session.get_one(Proof, row.id)
            for damage in mended:
                damage.mended_at = work.now
                work.session.merge(damage)
            row.ended_at = row.moved_at = work.now
            row.of, row.audit_broken_at = row.done, broken
            work.add(row)
            actor = access.system(KIND, row.site)
            audit.record(
                work, actor, "archive.verified", str(row.id), deep=row.deep, objects=row.objects, faults=row.faults,
                mended=[damage.sop_uid for damage in mended[:_NAMED]], by=row.by,
            )  # fmt: skip
            work.tell(row.site, "verify", str(row.id), faults=row.faults, mended=len(mended))
            return row

    def _mended(self, proof_id: int) -> list[Damage]:
        """Return the damage found by earlier proofs that is there no more; every byte is read to say so."""
        with self.records.reading() as work:
            still_open = select(Damage).where(col(Damage.mended_at).is_(None), Damage.proof_id != proof_id)
            rows = work.session.exec(still_open).all()
            now = [proof.again(work, row.site, row.sop_uid, row.path) for row in rows]
        pairs = zip(rows, now, strict=True)
        return [row for row, one in pairs if one and not any(proof.faults_of(self.store, one, deep=True))]


def _moved(work: Work, proof_id: int | None, page: Page, damaged: Sequence[tuple[Acknowledged, Fault]]) -> Proof:
    row = work.session.get_one(Proof, proof_id)
    row.after, row.moved_at = page.last, work.now
    row.done += page.rows
    row.objects += len(page.objects) if row.stage not in BESIDE else 0
    row.bytes += sum(one.size for one in page.objects)
    row.faults += len(damaged)
    new = [_damage(work, row, one, fault) for one, fault in damaged]
    work.add(row)
    uids = [one.sop_uid for one in new if one]
    if uids:
        actor = access.system(KIND, row.site)
        audit.record(work, actor, "archive.damaged", str(row.id), count=len(uids), objects=uids[:_NAMED])
        work.tell(row.site, KIND, str(row.id), damaged=len(uids))
    return row


def come_across(work: Work, by: str, site: str, whole: int, damaged: Sequence[tuple[Acknowledged, Fault]]) -> None:
    """Write down damage that was come across while objects were read for another reason; `whole` were not damaged."""
    row = Proof(
        site=site, deep=True, by=by, stage=_IN_PASSING, started_at=work.now, moved_at=work.now, ended_at=work.now,
        of=whole + len(damaged), objects=whole,
    )  # fmt: skip
    work.add(row)
    _moved(work, row.id, Page([one for one, _ in damaged], row.of, 0), damaged)


def _damage(work: Work, row: Proof, one: Acknowledged, fault: Fault) -> Damage | None:
    """Write a fault down; return it when it was not known before."""
    found = select(Damage).where(
        Damage.site == one.site, Damage.sop_uid == one.sop_uid, Damage.path == one.path,
        col(Damage.mended_at).is_(None),
    )  # fmt: skip
    known = work.session.exec(found).first()
    damage = known or Damage(
        site=one.site, proof_id=0, sop_uid=one.sop_uid, store=one.store, path=one.path, found_at=work.now
    )
    damage.proof_id, damage.fault = row.id or 0, fault.fault
    work.session.add(damage)
    return None if known else damage


# -- what is damaged, and what depends on it ---------------------------------------------------------------------------


def proofs(work: Work, actor: Actor, limit: int = 20) -> list[wire.Proof]:
    """Return the proofs made, the latest first."""
    access.require(actor, Operation.FIND)
    found = select(Proof).where(Proof.site == actor.site).order_by(col(Proof.id).desc()).limit(limit)
    return [shape(row) for row in work.session.exec(found)]


def shape(row: Proof) -> wire.Proof:
    """Return a proof as it travels."""
    return wire.Proof(
        id=row.id or 0, deep=row.deep, by=row.by, done=row.done, of=max(row.of, row.done), objects=row.objects,
        bytes=row.bytes, faults=row.faults, audit_chain_broken_at=row.audit_broken_at,
        started_at=wire.local(row.started_at), moved_at=wire.local(row.moved_at),
        ended_at=wire.local(row.ended_at) if row.ended_at else None,
    )  # fmt: skip


def damages(work: Work, actor: Actor, limit: int = 200) -> list[wire.Damage]:
    """Return the damage that is not mended, the latest first, with what depends on it."""
    access.require(actor, Operation.FIND)
    found = select(Damage).where(Damage.site == actor.site, col(Damage.mended_at).is_(None))
    return told(work, work.session.exec(found.order_by(col(Damage.id).desc()).limit(limit)).all())


def found_by(work: Work, row: Proof) -> list[wire.Damage]:
    """Return what a proof found, in the order it did."""
    found = select(Damage).where(Damage.proof_id == row.id, col(Damage.mended_at).is_(None))
    return told(work, work.session.exec(found.order_by(col(Damage.id))).all())


def told(work: Work, rows: Iterable[Damage]) -> list[wire.Damage]:
    """Return damage as it travels."""
    return [_told(work, row) for row in rows]


def _told(work: Work, row: Damage) -> wire.Damage:
    batch = _batch(work, row)
    exams = _exams(work, batch) if batch else []
    return wire.Damage(
        sop_instance_uid=row.sop_uid, study_instance_uid=batch.study_uid if batch else "", path=row.path,
        fault=row.fault, found_at=wire.local(row.found_at), exams=[exam.accession for exam in exams],
        reports=[said for exam in exams for said in _resting(work, exam, row.sop_uid)],
    )  # fmt: skip


def _batch(work: Work, row: Damage) -> Batch | None:
    found = select(Batch).join(Image, col(Image.batch_id) == Batch.id)
    return work.session.exec(found.where(Image.site == row.site, Image.sop_uid == row.sop_uid)).first()


def _exams(work: Work, batch: Batch) -> Sequence[Exam]:
    """Return the exam a batch is filed to or contradicts, and those its study was filed to before a correction."""
    made = select(Correction).where(Correction.site == batch.site, Correction.study_instance_uid == batch.study_uid)
    before = {row.before.get("accession") for row in work.session.exec(made)}
    ids = {batch.exam_id, batch.contradicts}
    found = select(Exam).where(Exam.site == batch.site).order_by(col(Exam.id))
    now = work.session.exec(found.where(col(Exam.id).in_(ids - {None}))).all()
    earlier = work.session.exec(found.where(col(Exam.accession).in_(before - {None}))).all()
    return list({exam.id: exam for exam in (*now, *earlier)}.values())


def _resting(work: Work, exam: Exam, sop_uid: str) -> list[str]:
    """Say which signed versions of an exam's report rest on an object."""
    found = select(ReportVersion).join(Report, col(Report.id) == ReportVersion.report_id)
    found = found.where(Report.exam_id == exam.id, col(ReportVersion.state).in_(REPORT_SIGNED))
    return [
        f"{exam.accession} version {row.number} signed by {row.signed_by}"
        for row in work.session.exec(found.order_by(col(ReportVersion.number)))
        if any(image.get("sop_uid") == sop_uid for image in row.images)
    ]


def damaged_in(work: Work, batch_ids: Iterable[int | None]) -> dict[str, str]:
    """Return what is wrong with those objects of some batches that are damaged."""
    damaged = and_(col(Damage.site) == Image.site, col(Damage.sop_uid) == Image.sop_uid)
    found = select(Damage.sop_uid, Damage.fault).join(Image, damaged)
    found = found.where(col(Image.batch_id).in_(list(batch_ids)), col(Damage.mended_at).is_(None))
    return dict(work.session.exec(found).all())


def warnings(work: Work, exam: Exam, signed: ReportVersion | None) -> list[str]:
    """Say what of an exam's images, and of those its signed report rests on, is damaged."""
    if not still_damaged(work, exam.site):
        return []
    filed = len(damaged_in(work, work.session.exec(select(Batch.id).where(Batch.exam_id == exam.id)).all()))
    rests = _damaged_under(work, exam.site, signed) if signed else 0
    said = [f"{filed} of its objects {_is(filed)} damaged in the archive"] if filed else []
    return said + ([f"it was signed on {rests} object{'s' * (rests > 1)} that {_is(rests)} damaged now"] * (rests > 0))


def _damaged_under(work: Work, site: str, signed: ReportVersion) -> int:
    """Count the damaged objects a signed version rests on."""
    uids = sorted({str(image.get("sop_uid")) for image in signed.images})
    count = 0
    for start in range(0, len(uids), _AT_ONCE):
        found = select(func.count(col(Damage.sop_uid).distinct())).where(Damage.site == site)
        found = found.where(col(Damage.sop_uid).in_(uids[start : start + _AT_ONCE]), col(Damage.mended_at).is_(None))
        count += work.session.exec(found).one()
    return count


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def still_damaged(work: Work, site: str) -> int:
    """Count the damage of a site that is not mended."""
    found = select(func.count()).select_from(Damage)
    return work.session.exec(found.where(Damage.site == site, col(Damage.mended_at).is_(None))).one()
