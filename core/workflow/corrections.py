"""Put filing right by hand: file, split, unfile, undo.

Each correction keeps what was before and what came after, with who, when and why; it can be taken back exactly, the
latest first. Only the ties between batches and exams change, never an object.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlmodel import col, func, select

from core import access, audit, course, wire
from core.access import Actor
from core.errors import Forbidden, Invalid, NotFound, Refused
from core.model import Batch, BatchSeries, Correction, Exam, Image, Report, Series
from core.records import Work
from core.vocabulary import EXAM_CLOSED, REPORT_SIGNED, BatchState, Extent, Operation
from core.workflow import filing
from core.workflow.matching_rule import Field, Match

_TELLING = frozenset({Field.NUMBER, Field.ACCESSION, Field.NAME, Field.SEX, Field.BIRTH_DATE})
_LONGEST_ID = 19  # digits of a 64 bit number
_KEPT = ("id", "state", "exam_id", "step_id", "contradicts", "decided_by", "reasons")


def file_batch(work: Work, actor: Actor, reference: str, form: wire.FileBatch) -> wire.Correction:
    """File a batch, or one series of it, to an exam; `reference` is its id or its Study UID.

    Raises
    ------
    Forbidden
        The actor may only confirm candidates, and this exam is none.
    Refused
        It is filed already, the exam is closed, or what differs wants a reason.
    """
    in_full = access.reach(actor, Operation.FILE) is Extent.ALL
    access.require(actor, Operation.FILE if in_full else Operation.CONFIRM_CANDIDATE)
    batch = find_batch(work, actor.site, reference, form.series)
    exam = course.find_exam(work, form.accession, actor.site)
    _refuse_filed(work, batch, exam, form, by_study=reference == batch.study_uid)
    if form.series and series_of(work, batch) == [form.series]:
        form = form.model_copy(update={"series": None})  # nothing is split off when nothing else is there
    if exam.state in EXAM_CLOSED:
        raise Refused(f"{exam.accession} is {exam.state}: reopen it before images are filed to it")
    match = filing.match_of(work, batch, exam)
    if not in_full:
        _confirms_a_candidate(work, actor, batch, exam, form, match)
    _demand_reason(batch, exam, form, match)
    before = _snapshot(work, [batch], [form.series] if form.series else [])
    target = _split_off(work, batch, form.series) if form.series else batch
    _tie(work, actor, target, exam, form)
    touched = [target] if target is batch else [target, batch]
    return _corrected(work, actor, "split" if form.series else "file", touched, before, form.reason)


def unfile(work: Work, actor: Actor, form: wire.Unfile) -> wire.Correction:
    """Take a study from the exam it is filed to; it waits among the unfiled for a person.

    Raises
    ------
    Refused
        It is filed to more than one exam and none was named, or the report is signed and no reason given.
    """
    access.require(actor, Operation.FILE)
    filed = _filed(work, actor.site, form)
    exam = work.session.get_one(Exam, filed[0].exam_id)
    if not form.reason and _is_signed(work, exam):
        raise Invalid(f"the report of {exam.accession} is signed: say why its images are taken away")
    before = _snapshot(work, filed)
    for batch in filed:
        batch.state, batch.exam_id, batch.step_id, batch.contradicts = BatchState.UNFILED, None, None, None
        batch.decided_by, batch.reasons = actor.name, [f"taken from {exam.accession} by {actor.name}"]
        work.add(batch)
    return _corrected(work, actor, "unfile", filed, before, form.reason)


def undo(work: Work, actor: Actor, correction_id: int, form: wire.Undo) -> wire.Correction:
    """Take a correction back: everything is tied again as it was before.

    Raises
    ------
    Refused
        It was undone already, a later correction touches the same images, or the exam they came from is closed now.
    """
    access.require(actor, Operation.FILE)
    row = work.session.get(Correction, correction_id)
    if row is None or row.site != actor.site:
        raise NotFound(f"there is no correction {correction_id}: 'photopeak images corrections' lists them")
    _refuse_undoing(work, row)
    before, after = _kept(row.before), _kept(row.after)
    batches = [work.session.get_one(Batch, kept["id"]) for kept in after]
    if row.kind == "split":
        _join(work, batches[0], work.session.get_one(Batch, before[0]["id"]))
    for kept in before:
        _restore(work, kept)
    row.undone_at, row.undone_by = work.now, actor.name
    work.add(row)
    _settled(work, batches, after, before)
    audit.record(work, actor, "images.undo", row.study_instance_uid, correction=row.id, reason=form.reason)
    return shape(row)


def listing(work: Work, actor: Actor, limit: int = 100) -> list[wire.Correction]:
    """Return corrections, the latest first."""
    access.require(actor, Operation.FIND)
    found = select(Correction).where(Correction.site == actor.site).order_by(col(Correction.id).desc()).limit(limit)
    return [shape(row) for row in work.session.exec(found)]


def shape(row: Correction) -> wire.Correction:
    """Return a correction as it travels."""
    shown: list[dict[str, Any]] = [
        {k: v for k, v in kept.items() if k != "batches"} for kept in (row.before, row.after)
    ]
    return wire.Correction.model_validate(
        {
            "id": row.id, "kind": row.kind, "study_instance_uid": row.study_instance_uid, "from": shown[0],
            "to": shown[1], "reason": row.reason, "by": row.by, "at": wire.local(row.at),
            "undone_at": wire.local(row.undone_at) if row.undone_at else None,
        }
    )  # fmt: skip


# -- finding ---------------------------------------------------------------------------------------------------------


def find_batch(work: Work, site: str, reference: str, series: str | None = None) -> Batch:
    """Return the batch an id or a Study UID (and a series of it) names; refuse when it is not exactly one."""
    found = select(Batch).where(Batch.site == site, Batch.received > 0).order_by(col(Batch.id))
    by_id = reference.isascii() and reference.isdigit() and len(reference) < _LONGEST_ID
    named = found.where(Batch.id == int(reference)) if by_id else found.where(Batch.study_uid == reference)
    batches: Sequence[Batch] = work.session.exec(named).all()
    if series:
        batches = [batch for batch in batches if series in series_of(work, batch)]
    batches = [batch for batch in batches if batch.state != BatchState.FILED] or batches
    if not batches:
        what = f"series {series} of {reference}" if series else f"'{reference}'"
        raise NotFound(f"no batch answers to {what}: 'photopeak images unfiled' lists ids and Study UIDs")
    if len(batches) > 1:
        raise Refused(f"{reference} came under {len(batches)} identities: name one by its id, {_ids(batches)}")
    return batches[0]


def series_of(work: Work, batch: Batch) -> list[str]:
    """Return the UIDs of the series that have images in a batch."""
    return series_of_each(work, [batch])[batch.id]


def series_of_each(work: Work, batches: Sequence[Batch]) -> dict[int | None, list[str]]:
    """Return the UIDs of the series that have images in each of some batches."""
    found = select(Image.batch_id, Series.uid).join(Series, col(Series.id) == Image.series_id).distinct()
    wanted = found.where(col(Image.batch_id).in_([batch.id for batch in batches]))
    series: dict[int | None, list[str]] = {batch.id: [] for batch in batches}
    for batch_id, uid in sorted(work.session.exec(wanted).all()):
        series[batch_id].append(uid)
    return series


def _filed(work: Work, site: str, form: wire.Unfile) -> Sequence[Batch]:
    """Return the batches of a study that are filed, all to one exam."""
    found = select(Batch).where(
        Batch.site == site, Batch.study_uid == form.study_instance_uid, Batch.state == BatchState.FILED,
        Batch.received > 0,
    )  # fmt: skip
    if form.accession:
        found = found.where(Batch.exam_id == course.find_exam(work, form.accession, site).id)
    batches = work.session.exec(found.order_by(col(Batch.id))).all()
    if not batches:
        where = f"to {form.accession}" if form.accession else "to any exam"
        raise Refused(f"study {form.study_instance_uid} is not filed {where}: nothing was changed")
    exams = {batch.exam_id for batch in batches}
    if len(exams) > 1:
        names = ", ".join(work.session.get_one(Exam, one).accession for one in exams)
        raise Refused(f"study {form.study_instance_uid} is filed to {names}: say from which it is to be taken")
    return batches


def _ids(batches: Iterable[Batch]) -> str:
    return ", ".join(str(batch.id) for batch in batches)


# -- what stands against it --------------------------------------------------------------------------------------------


def _refuse_filed(work: Work, batch: Batch, exam: Exam, form: wire.FileBatch, *, by_study: bool) -> None:
    """Refuse what somebody, or the rule, has filed meanwhile.

    Images filed by the rule may be moved by naming their study, any series may be split off, each with a reason.
    """
    if batch.state != BatchState.FILED:
        return
    there = work.session.get_one(Exam, batch.exam_id)
    moves = form.series or (by_study and batch.decided_by == filing.RULE)
    if there.id == exam.id or not moves:
        raise Refused(f"these images are filed to {there.accession} by {batch.decided_by} already: unfile them first")
    if not form.reason:
        raise Invalid(f"these images are filed to {there.accession}: give a reason to move them, or unfile them first")


def _confirms_a_candidate(
    work: Work, actor: Actor, batch: Batch, exam: Exam, form: wire.FileBatch, match: Match
) -> None:
    """Refuse what goes beyond confirming an unfiled batch's candidate."""
    candidate = any(one.exam.id == exam.id for one in filing.candidates_of(work, batch))
    if not candidate or match.contradictions or form.series or batch.state != BatchState.UNFILED:
        said = f"{exam.accession} is no plain candidate of batch {batch.id}: {actor} may only confirm candidates"
        raise Forbidden(f"{said}; ask a physicist, the head or an administrator")


def _demand_reason(batch: Batch, exam: Exam, form: wire.FileBatch, match: Match) -> None:
    differs = [one.value for one in Field if one in match.differs & _TELLING]
    if form.reason or not (differs or batch.state == BatchState.CONFLICTING):
        return
    what = (
        f"{' and '.join(differs)} {'differs' if len(differs) == 1 else 'differ'}"
        if differs
        else "the images contradict an exam"
    )
    raise Invalid(f"{what}: give a reason to file batch {batch.id} to {exam.accession}")


def _refuse_undoing(work: Work, row: Correction) -> None:
    if row.undone_at:
        at = wire.local(row.undone_at).strftime("%Y-%m-%d %H:%M")
        raise Refused(f"correction {row.id} was undone by {row.undone_by} at {at}")
    own = {kept["id"] for kept in (*_kept(row.before), *_kept(row.after))}
    later = select(Correction).where(
        Correction.site == row.site, Correction.study_instance_uid == row.study_instance_uid,
        col(Correction.id) > row.id, col(Correction.undone_at).is_(None),
    )  # fmt: skip
    for other in work.session.exec(later.order_by(col(Correction.id).desc())):
        if own & {kept["id"] for kept in (*_kept(other.before), *_kept(other.after))}:
            raise Refused(f"correction {other.id} touches the same images later: undo that first")
    for kept in _kept(row.before):
        exam = work.session.get(Exam, kept["exam_id"] or 0)
        if exam and exam.state in EXAM_CLOSED:
            raise Refused(f"{exam.accession}, where the images were, is {exam.state} now: reopen it first")


def _is_signed(work: Work, exam: Exam) -> bool:
    return work.session.exec(select(Report.state).where(Report.exam_id == exam.id)).first() in REPORT_SIGNED


# -- carrying out ----------------------------------------------------------------------------------------------------


def _tie(work: Work, actor: Actor, batch: Batch, exam: Exam, form: wire.FileBatch) -> None:
    steps = course.steps_of(work, exam)
    if form.step is not None and form.step not in {step.id for step in steps}:
        raise Invalid(f"{exam.accession} has no step {form.step}: it has {', '.join(str(step.id) for step in steps)}")
    batch.state, batch.exam_id, batch.contradicts = BatchState.FILED, exam.id, None
    batch.step_id = form.step if form.step is not None else filing.step_of(work, exam, batch)
    batch.decided_by, batch.reasons = actor.name, [f"filed by {actor.name}", *([form.reason] if form.reason else [])]
    work.add(batch)


def _split_off(work: Work, batch: Batch, series: str) -> Batch:
    """Give one series, and what of it arrives later, a batch of its own."""
    own = Batch(**batch.model_dump(exclude={"id"}))
    work.add(own)
    for row in _links(work, batch, series):
        work.session.delete(row)
    work.session.flush()
    link = BatchSeries(
        site=batch.site, study_uid=batch.study_uid, identity_key=batch.identity_key, series_uid=series,
        batch_id=own.id or 0,
    )  # fmt: skip
    work.add(link)
    _move_images(work, batch, own, series)
    if not batch.received:  # nothing is left to be unfiled or in conflict
        batch.state, batch.exam_id, batch.contradicts = BatchState.UNFILED, None, None
    return own


def _links(work: Work, batch: Batch, series: str) -> Sequence[BatchSeries]:
    found = select(BatchSeries).where(
        BatchSeries.site == batch.site, BatchSeries.study_uid == batch.study_uid,
        BatchSeries.identity_key == batch.identity_key, BatchSeries.series_uid == series,
    )  # fmt: skip
    return work.session.exec(found).all()


def _join(work: Work, own: Batch, batch: Batch) -> None:
    """Put the series of a split-off batch back where they came from."""
    for link in work.session.exec(select(BatchSeries).where(BatchSeries.batch_id == own.id)).all():
        work.session.delete(link)
        _move_images(work, own, batch, link.series_uid)
        if _was_split(work, batch):
            work.session.flush()
            again = link.model_dump(exclude={"id", "batch_id"})
            work.add(BatchSeries(**again, batch_id=batch.id or 0))
    own.state, own.exam_id, own.contradicts, own.step_id = BatchState.UNFILED, None, None, None
    work.add(own)


def _was_split(work: Work, batch: Batch) -> bool:
    """Whether a batch was itself split off from the first of its study and identity."""
    first = select(func.min(Batch.id)).where(
        Batch.site == batch.site, Batch.study_uid == batch.study_uid, Batch.identity_key == batch.identity_key
    )
    return work.session.exec(first).one() != batch.id


def _move_images(work: Work, source: Batch, target: Batch, series: str) -> None:
    found = select(Image).join(Series, col(Series.id) == Image.series_id)
    for image in work.session.exec(found.where(Image.batch_id == source.id, Series.uid == series)).all():
        image.batch_id = target.id or 0
        work.session.add(image)
    work.session.flush()
    for batch in (source, target):
        _recount(work, batch)


def _recount(work: Work, batch: Batch) -> None:
    counted = select(func.count(), func.min(Image.received_at), func.max(Image.received_at))
    received, first, last = work.session.exec(counted.where(Image.batch_id == batch.id)).one()
    batch.received = received
    if received:
        batch.first_at, batch.last_at = first, last
    work.add(batch)


def _corrected(
    work: Work, actor: Actor, kind: str, batches: Sequence[Batch], before: dict[str, Any], reason: str
) -> wire.Correction:
    """Write the correction down, settle every exam it touches, tell and flag."""
    series = before["series"] if kind == "split" else []
    row = Correction(
        site=batches[0].site, kind=kind, study_instance_uid=batches[0].study_uid, batch_id=batches[0].id or 0,
        before=before, after=_snapshot(work, batches, series), reason=reason, by=actor.name, at=work.now,
    )  # fmt: skip
    work.add(row)
    _settled(work, batches, _kept(row.before), _kept(row.after))
    subject = row.after["accession"] or before["accession"] or row.study_instance_uid
    audit.record(
        work, actor, f"images.{kind}", str(subject), correction=row.id, study=row.study_instance_uid,
        before={"accession": before["accession"], "state": before["state"], "series": series},
        after={"accession": row.after["accession"], "state": row.after["state"]}, reason=reason,
    )  # fmt: skip
    return shape(row)


def _settled(
    work: Work, batches: Sequence[Batch], was: Sequence[dict[str, Any]], now: Sequence[dict[str, Any]]
) -> None:
    """Count anew, flag signed reports whose images came or went, tell the screens."""
    filing.settle(work, [kept[name] for kept in (*was, *now) for name in ("exam_id", "contradicts")])
    lost, gained = was[0]["exam_id"], now[0]["exam_id"]
    for exam_id, change in ((lost, "unfiled"), (gained, "filed")):
        if exam_id is not None and lost != gained:
            filing.flag(work, work.session.get_one(Exam, exam_id), batches[0].study_uid, change)
    for batch in batches:
        filing.tell(work, batch)


def _snapshot(work: Work, batches: Sequence[Batch], series: Sequence[str] = ()) -> dict[str, Any]:
    """Keep how batches are tied; the first is the one people read about."""
    work.session.flush()
    first = batches[0]
    exam = work.session.get(Exam, first.exam_id or 0)
    return {
        "accession": exam.accession if exam else None, "state": str(first.state), "batch_id": first.id,
        "series": list(series) or series_of(work, first),
        "batches": [{name: getattr(batch, name) for name in _KEPT} for batch in batches],
    }  # fmt: skip


def _kept(side: dict[str, object]) -> list[dict[str, Any]]:
    batches = side["batches"]
    return batches if isinstance(batches, list) else []


def _restore(work: Work, kept: dict[str, Any]) -> None:
    batch = work.session.get_one(Batch, kept["id"])
    for name in _KEPT[1:]:
        setattr(batch, name, kept[name])
    work.add(batch)
