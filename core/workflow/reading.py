"""Reports: opened under a lease, saved as typed, signed once and for all.

A fence counts only together with its holder and only grows. A write that comes late is refused, and what it wanted
to write is kept. A signed version never changes: an amendment is a new version that names the one before.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import col, select

from core import access, audit, course, wire
from core.access import Actor
from core.errors import Forbidden, Invalid, NotFound, Refused
from core.model import (
    Batch,
    CallToTechnologist,
    Exam,
    Image,
    ImagesChanged,
    Lease,
    RejectedText,
    Report,
    ReportVersion,
    Series,
    Step,
)
from core.records import Records, Work
from core.vocabulary import (
    EXAM_CLOSED,
    REPORT_AFTER,
    REPORT_SIGNED,
    ImagesState,
    LockReason,
    Operation,
    ReportState,
    may_follow,
)
from core.workflow import consultation, integrity, templates

_LONGEST_TEXT = 100_000


class StaleFence(Refused):
    """A write under a fence that no longer counts."""


@dataclass(frozen=True)
class Desk:
    """The reading room's one setting: how long a lease lasts after the last keystroke."""

    lease: timedelta


# -- opening and holding ---------------------------------------------------------------------------------------------


def open_report(work: Work, actor: Actor, reference: str, form: wire.OpenReport, desk: Desk) -> wire.Report:
    """Open a report for writing: take its lease and return it with its fence.

    Raises
    ------
    Refused
        When there are no images, the images contradict the exam, it is signed already, or somebody else holds it.
    """
    exam = _exam(work, actor, reference, Operation.WRITE_REPORT)
    report = _report(work, exam)
    if report and report.state in REPORT_SIGNED:
        msg = f"the report of {exam.accession} is signed: amend it ('report amend {exam.accession} --reason TEXT')"
        raise Refused(msg)
    _refuse_closed(exam)
    reason = _pass_lock(work, actor, exam, form)
    if report is None:
        report = Report(site=exam.site, exam_id=exam.id or 0, author=actor.name, created_at=work.now)
    elif report.state == ReportState.WITHDRAWN:
        _move(exam, report, ReportState.DRAFT)
    report.override_reason, report.overridden = reason, _lock_now(exam) if reason else ""
    work.add(report)
    _take(work, actor, exam, form, desk)
    return shape(work, exam, actor)


def amend(work: Work, actor: Actor, reference: str, form: wire.OpenReport, desk: Desk) -> wire.Report:
    """Open a signed report for an amendment; its text starts from the signed one."""
    exam = _exam(work, actor, reference, Operation.SIGN_REPORT)
    report = _report(work, exam)
    if report is None or report.state not in REPORT_SIGNED:
        msg = f"the report of {exam.accession} is not signed: open it instead"
        raise Refused(msg)
    if not form.reason:
        msg = f"say why the signed report of {exam.accession} is amended: give a reason"
        raise Invalid(msg)
    reason = _pass_lock(work, actor, exam, form)
    report.override_reason, report.overridden = reason, _lock_now(exam) if reason else ""
    _take(work, actor, exam, form, desk)
    report.amend_reason = form.reason
    work.add(report)
    audit.record(work, actor, "report.amend", exam.accession, reason=form.reason)
    return shape(work, exam, actor)


def _refuse_closed(exam: Exam) -> None:
    if exam.state in EXAM_CLOSED:
        msg = f"{exam.accession} is {exam.state} and has no report: reopen the exam first"
        raise Refused(msg)


def _pass_lock(work: Work, actor: Actor, exam: Exam, form: wire.OpenReport) -> str:
    """Refuse while the report is locked; return the reason the head overrides it with, or ''."""
    reason = course.lock_reason(exam, None, None)
    if reason is None:
        return ""
    if not form.override:
        raise Refused(_why(exam, reason))
    access.require(actor, Operation.OVERRIDE_REPORT)
    if not form.reason:
        msg = f"say why the lock of {exam.accession} is overridden: give a reason"
        raise Invalid(msg)
    audit.record(work, actor, "report.override", exam.accession, lock=reason, reason=form.reason)
    return form.reason


def _lock_now(exam: Exam) -> str:
    return course.lock_reason(exam, None, None) or ""


def _why(exam: Exam, reason: LockReason) -> str:
    if reason is LockReason.CONFLICTING:
        return f"images sent for {exam.accession} contradict it: have them put right on the filing page first"
    why = f"there are no images of {exam.accession}, and a report needs them"
    return f"{why}: tell the technologist, or look at the unfiled"


def _take(work: Work, actor: Actor, exam: Exam, form: wire.OpenReport, desk: Desk) -> Lease:
    """Take the lease under a new fence; refuse while somebody else holds it, unless it is taken over."""
    lease = work.session.get(Lease, exam.id) or Lease(exam_id=exam.id or 0)
    held = _held(lease, work)
    if held and lease.holder != actor.name and not form.take_over:
        since = wire.local(lease.since).strftime("%H:%M") if lease.since else "?"
        msg = f"the report of {exam.accession} is held by {lease.holder} since {since}: ask for it, or take it over"
        raise Refused(msg)
    if held and lease.holder != actor.name:
        audit.record(work, actor, "report.take_over", exam.accession, held_by=lease.holder, fence=lease.fence)
    lease.since = lease.since if held and lease.holder == actor.name else work.now
    lease.holder, lease.fence = actor.name, lease.fence + 1
    lease.asked_by, lease.asked_at = "", None
    lease.expires_at = work.now + desk.lease
    work.add(lease)
    _told(work, exam)
    return lease


def _held(lease: Lease | None, work: Work) -> bool:
    return bool(lease and lease.holder and lease.expires_at and lease.expires_at > work.now)


def ask(work: Work, actor: Actor, reference: str) -> wire.Report:
    """Ask the holder for the report; the holder sees who asks."""
    exam = _exam(work, actor, reference, Operation.WRITE_REPORT)
    lease = work.session.get(Lease, exam.id)
    if lease is None or not _held(lease, work):
        msg = f"nobody holds the report of {exam.accession}: open it"
        raise Refused(msg)
    lease.asked_by, lease.asked_at = actor.name, work.now
    work.add(lease)
    _told(work, exam)
    return shape(work, exam, actor)


def release(work: Work, actor: Actor, reference: str, form: wire.Fenced) -> wire.Report:
    """Let go of the report; what was saved stays."""
    exam = _exam(work, actor, reference, Operation.WRITE_REPORT)
    _let_go(work, _own_lease(work, actor, exam, form.fence))
    _told(work, exam)
    return shape(work, exam, actor)


def _own_lease(work: Work, actor: Actor, exam: Exam, fence: int) -> Lease:
    """Return the actor's lease under this fence.

    Raises
    ------
    StaleFence
        When the report was taken over, released, or opened anew since.
    """
    lease = work.session.get(Lease, exam.id)
    if lease is None or lease.holder != actor.name or lease.fence != fence:
        holder = lease.holder if lease and lease.holder else "nobody"
        msg = (
            f"the report of {exam.accession} is no longer yours under fence {fence} (held by {holder} now): "
            "your text is kept, open the report again to see it"
        )
        raise StaleFence(msg)
    return lease


def _let_go(work: Work, lease: Lease) -> None:
    lease.holder, lease.since, lease.expires_at, lease.asked_by, lease.asked_at = "", None, None, "", None
    work.add(lease)


# -- writing ---------------------------------------------------------------------------------------------------------


def save_or_keep(records: Records, actor: Actor, reference: str, form: wire.SaveReport, desk: Desk) -> wire.Report:
    """Save a draft; a write under an old fence is refused and its text kept, in a unit of work of its own.

    So is that of a writer whose right to the case was taken away while they wrote.
    """
    try:
        with records.writing() as work:
            return save(work, actor, reference, form, desk)
    except (StaleFence, Forbidden) as refused:
        with records.writing() as work:
            exam = course.find_exam(work, reference, actor.site)
            lease = work.session.get(Lease, exam.id)
            if isinstance(refused, StaleFence) or (lease and (lease.holder, lease.fence) == (actor.name, form.fence)):
                _keep_aside(work, exam, actor.name, form.fence, dict(form.text))
                audit.record(work, actor, "report.rejected_text", exam.accession, fence=form.fence)
        raise


def _keep_aside(work: Work, exam: Exam, by: str, fence: int, text: dict[str, object]) -> None:
    work.add(RejectedText(exam_id=exam.id or 0, by=by, fence=fence, text=text, at=work.now))


def save(work: Work, actor: Actor, reference: str, form: wire.SaveReport, desk: Desk) -> wire.Report:
    """Save what was typed and renew the lease."""
    exam = _exam(work, actor, reference, Operation.WRITE_REPORT)
    if sum(map(len, form.text.values())) > _LONGEST_TEXT:
        msg = f"the text is too long: at most {_LONGEST_TEXT} characters"
        raise Invalid(msg)
    lease, report = _own_lease(work, actor, exam, form.fence), _written(work, exam)
    report.draft = {**_start(work, report), **form.text}
    report.draft_by, report.draft_saved_at = actor.name, work.now
    if report.state == ReportState.DRAFT:
        report.author = actor.name
    lease.expires_at = work.now + desk.lease
    work.add(report, lease)
    return shape(work, exam, actor)


def _start(work: Work, report: Report) -> dict[str, object]:
    """Return the text writing starts from: the draft, else the last version's."""
    return dict(report.draft) if report.draft else _last_text(work, report)


def _last_text(work: Work, report: Report) -> dict[str, object]:
    last = _last_version(work, report)
    return dict(last.text) if last else {}


def preliminary(work: Work, actor: Actor, reference: str, form: wire.Fenced) -> wire.Report:
    """Hand the draft to a reviewer: a preliminary version."""
    exam = _exam(work, actor, reference, Operation.WRITE_REPORT)
    lease, report = _own_lease(work, actor, exam, form.fence), _written(work, exam)
    _refuse_locked(exam, report)
    if report.state in REPORT_SIGNED:
        msg = f"the report of {exam.accession} is signed: sign the amendment instead"
        raise Refused(msg)
    if report.state != ReportState.PRELIMINARY:
        _move(exam, report, ReportState.PRELIMINARY)
    reason = _reasons(report, "")
    _write_version(work, exam, report, ReportState.PRELIMINARY, author=report.author, reason=reason)
    _let_go(work, lease)
    audit.record(work, actor, "report.preliminary", exam.accession, version=report.version)
    _told(work, exam)
    return shape(work, exam, actor)


def send_back(work: Work, actor: Actor, reference: str, form: wire.Fenced) -> wire.Report:
    """Return a preliminary report to its writer with a comment."""
    exam = _exam(work, actor, reference, Operation.SIGN_REPORT)
    lease, report = _own_lease(work, actor, exam, form.fence), _written(work, exam)
    if not form.comment:
        msg = "say what is to be changed: give a comment"
        raise Invalid(msg)
    _move(exam, report, ReportState.DRAFT)
    report.comment = form.comment
    work.add(report)
    _let_go(work, lease)
    audit.record(work, actor, "report.return", exam.accession, comment=form.comment)
    _told(work, exam)
    return shape(work, exam, actor)


def sign(work: Work, actor: Actor, reference: str, form: wire.Sign) -> wire.Report:
    """Sign the report: an immutable version resting on the images listed in it. The password is checked before.

    Raises
    ------
    Refused
        When it is locked, empty, no longer held, or signed already.
    """
    exam = _exam(work, actor, reference, Operation.SIGN_REPORT)
    report = _written(work, exam)
    lease = _lease_to_sign(work, actor, exam, report, form.fence)
    _refuse_locked(exam, report)
    to = ReportState.AMENDED if _ever_signed(work, report) else ReportState.FINAL
    _move(exam, report, to)
    author = actor.name if report.amend_reason else report.author or actor.name
    version = _write_version(work, exam, report, to, author=author, reason=_reasons(report, form.reason))
    version.signed_by, version.signed_at = actor.name, work.now
    version.images = _evidence(work, exam)
    version.sha256 = seal(exam.accession, version)
    report.comment = report.override_reason = report.overridden = report.amend_reason = ""
    work.add(version, report)
    _let_go(work, lease)
    audit.record(work, actor, "report.sign", exam.accession, version=version.number, sha256=version.sha256)
    course.settle(work, exam)
    _told(work, exam)
    return shape(work, exam, actor)


def _reasons(report: Report, said: str) -> str:
    """Return why this version is written; that a lock was overridden is never left out."""
    overridden = f"lock overridden: {report.override_reason}" if report.override_reason else ""
    return "; ".join(filter(None, (said or report.amend_reason, overridden)))


def _lease_to_sign(work: Work, actor: Actor, exam: Exam, report: Report, fence: int) -> Lease:
    lease = work.session.get(Lease, exam.id)
    if report.state in REPORT_SIGNED and (lease is None or lease.holder != actor.name):
        msg = f"the report of {exam.accession} is signed already: a change is an amendment"
        raise Refused(msg)
    return _own_lease(work, actor, exam, fence)


def withdraw(work: Work, actor: Actor, reference: str, form: wire.Withdraw) -> wire.Report:
    """Withdraw a signed report (the wrong patient's, say); its versions stay."""
    exam = _exam(work, actor, reference, Operation.OVERRIDE_REPORT)
    report = _written(work, exam)
    if not form.reason:
        msg = f"say why the report of {exam.accession} is withdrawn: give a reason"
        raise Invalid(msg)
    _move(exam, report, ReportState.WITHDRAWN)
    lease = work.session.get(Lease, exam.id)
    if report.draft:  # what is withdrawn is what was signed, not an amendment begun since
        _keep_aside(work, exam, report.draft_by, lease.fence if lease else 0, report.draft)
        report.draft = {}
    version = _write_version(work, exam, report, ReportState.WITHDRAWN, author=actor.name, reason=form.reason)
    version.signed_by, version.signed_at = actor.name, work.now
    version.sha256 = seal(exam.accession, version)
    work.add(version)
    if lease:
        _let_go(work, lease)
    audit.record(work, actor, "report.withdraw", exam.accession, reason=form.reason)
    course.settle(work, exam)
    _told(work, exam)
    return shape(work, exam, actor)


def seal(accession: str, version: ReportVersion) -> str:
    """Return the hash that covers a signed version: text, signer, moment, images and predecessor."""
    said = [
        accession, version.number, version.state, version.text, version.author, version.signed_by,
        version.signed_at.isoformat() if version.signed_at else None, version.predecessor, version.reason,
        version.images,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(said, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _write_version(
    work: Work, exam: Exam, report: Report, state: ReportState, *, author: str, reason: str = ""
) -> ReportVersion:
    text = _start(work, report)
    if state is not ReportState.WITHDRAWN and not any(str(part).strip() for part in text.values()):
        msg = f"the report of {exam.accession} is empty: write findings or an impression first"
        raise Refused(msg)
    before = _last_version(work, report)
    report.version += 1
    version = ReportVersion(
        report_id=report.id or 0, number=report.version, state=state, text=text, author=author, reason=reason,
        predecessor=before.id if before else None, written_at=work.now,
    )  # fmt: skip
    report.draft = {}
    work.add(version, report)
    return version


def _evidence(work: Work, exam: Exam) -> list[dict[str, object]]:
    """Return the objects filed to the exam, with their hashes: what a signature rests on."""
    found = select(Image.sop_uid, Image.sha256).join(Batch, col(Batch.id) == Image.batch_id)
    found = found.where(Batch.exam_id == exam.id).order_by(col(Image.sop_uid))
    return [{"sop_uid": uid, "sha256": sha256} for uid, sha256 in work.session.exec(found)]


def _refuse_locked(exam: Exam, report: Report) -> None:
    reason = course.lock_reason(exam, None, None)
    if reason and reason != report.overridden:
        raise Refused(_why(exam, reason))


def _move(exam: Exam, report: Report, to: ReportState) -> None:
    now = ReportState(report.state)
    if not may_follow(REPORT_AFTER, now, to):
        msg = f"the report of {exam.accession} is {now}: it cannot become {to}"
        raise Refused(msg)
    report.state = to


# -- around the report -----------------------------------------------------------------------------------------------


def seen(work: Work, actor: Actor, reference: str) -> wire.Report:
    """Note that the signer (or the head, in their place) has seen how the images changed since the signature."""
    exam = _exam(work, actor, reference, Operation.WRITE_REPORT)
    report = _report(work, exam)
    signed = _last_version(work, report, signed=True) if report else None
    if signed and signed.signed_by != actor.name:
        access.require(actor, Operation.OVERRIDE_REPORT)
    unseen = select(ImagesChanged).where(ImagesChanged.exam_id == exam.id, col(ImagesChanged.seen_at).is_(None))
    for change in work.session.exec(unseen).all():
        change.seen_by, change.seen_at = actor.name, work.now
        work.add(change)
    audit.record(work, actor, "report.seen_change", exam.accession)
    _told(work, exam)
    return shape(work, exam, actor)


def call_technologist(work: Work, actor: Actor, reference: str, form: wire.CallTechnologist) -> wire.Call:
    """Tell the technologist that images are missing; the answer is tracked."""
    exam = _exam(work, actor, reference, Operation.WRITE_REPORT)
    call = CallToTechnologist(site=exam.site, exam_id=exam.id or 0, by=actor.name, at=work.now, text=form.text)
    work.add(call)
    audit.record(work, actor, "report.call_technologist", exam.accession)
    work.tell(exam.site, "call", exam.accession, device=exam.device)
    return _call(call, exam)


def calls(work: Work, actor: Actor) -> list[wire.Call]:
    """Return the calls not answered yet, oldest first."""
    access.require(actor, Operation.FIND)
    found = select(CallToTechnologist, Exam).join(Exam, col(Exam.id) == CallToTechnologist.exam_id)
    still_open = found.where(Exam.site == actor.site, col(CallToTechnologist.answered_at).is_(None))
    return [_call(call, exam) for call, exam in work.session.exec(still_open.order_by(col(CallToTechnologist.id)))]


def answer_call(work: Work, actor: Actor, call_id: int, form: wire.Say) -> wire.Call:
    """Answer a doctor's call."""
    access.require(actor, Operation.ATTEND)
    call = work.session.get(CallToTechnologist, call_id)
    exam = work.session.get(Exam, call.exam_id) if call else None
    if call is None or exam is None or exam.site != actor.site:
        msg = f"there is no call {call_id}"
        raise NotFound(msg)
    call.answer, call.answered_by, call.answered_at = form.text, actor.name, work.now
    work.add(call)
    audit.record(work, actor, "report.answer_call", exam.accession)
    work.tell(exam.site, "call", exam.accession, answered=True)
    return _call(call, exam)


def _call(call: CallToTechnologist, exam: Exam) -> wire.Call:
    return wire.Call(
        id=call.id or 0, accession=exam.accession, device=exam.device, by=call.by, at=wire.local(call.at),
        text=call.text, answer=call.answer, answered_by=call.answered_by,
        answered_at=wire.local(call.answered_at) if call.answered_at else None,
    )  # fmt: skip


# -- showing ---------------------------------------------------------------------------------------------------------


def show(work: Work, actor: Actor, reference: str) -> wire.Report:
    """Return the report as it stands, without taking it."""
    exam = _exam(work, actor, reference, Operation.FIND)
    return shape(work, exam, actor)


def versions(work: Work, actor: Actor, reference: str) -> list[wire.ReportVersion]:
    """Return every version written, oldest first."""
    report = _report(work, _exam(work, actor, reference, Operation.FIND))
    if report is None:
        return []
    found = select(ReportVersion).where(ReportVersion.report_id == report.id).order_by(col(ReportVersion.number))
    rows = work.session.exec(found).all()
    numbers = {row.id: row.number for row in rows}
    return [_version(row, numbers.get(row.predecessor)) for row in rows]


def rejected(work: Work, actor: Actor, reference: str) -> list[wire.Rejected]:
    """Return the texts kept from writes that came late."""
    exam = _exam(work, actor, reference, Operation.WRITE_REPORT)
    found = select(RejectedText).where(RejectedText.exam_id == exam.id).order_by(col(RejectedText.id))
    return [
        wire.Rejected(by=row.by, fence=row.fence, text=_words(row.text), at=wire.local(row.at))
        for row in work.session.exec(found)
    ]


def shape(work: Work, exam: Exam, actor: Actor) -> wire.Report:
    """Return the report as it travels; the fence goes to its holder alone."""
    work.session.flush()
    report = _report(work, exam) or Report(site=exam.site, exam_id=exam.id or 0, created_at=work.now)
    lease = work.session.get(Lease, exam.id)
    held = lease if lease and _held(lease, work) else None
    mine = held is not None and held.holder == actor.name
    signed = _last_version(work, report, signed=True) if report.state in REPORT_SIGNED else None
    text = _last_text(work, report) if signed and not mine else _start(work, report)
    reason = course.lock_reason(exam, report if report.id else None, None if mine else held)
    return wire.Report(
        accession=exam.accession, state=ReportState(report.state), version=report.version,
        text=_words(text), author=report.author, signed_by=signed.signed_by if signed else None,
        signed_at=wire.local(signed.signed_at) if signed and signed.signed_at else None,
        fence=held.fence if held and mine else None, holder=held.holder if held else None,
        held_since=wire.local(held.since) if held and held.since else None,
        lease_expires_at=wire.local(held.expires_at) if held and held.expires_at else None,
        asked_by=(held.asked_by or None) if held else None, locked=reason is not None, lock_reason=reason,
        comment=report.comment, parts=templates.parts(exam, course.procedure_of(work, exam)),
        override_reason=report.override_reason, amend_reason=report.amend_reason,
        warnings=_warnings(work, exam) + integrity.warnings(work, exam, signed),
        saved_at=wire.local(report.draft_saved_at) if report.draft_saved_at else None,
        images_changed=_changes(work, exam), series=_series(work, exam),
        consultations=consultation.of_exam(work, exam), rejected=_rejected_count(work, exam),
    )  # fmt: skip


def _warnings(work: Work, exam: Exam) -> list[str]:
    state = course.images_state(exam, work.now)
    if state in {ImagesState.ARRIVING, ImagesState.OVERDUE} and exam.images_received:
        due = exam.images_expected if exam.images_expected is not None else "?"
        return [f"images are not complete: {exam.images_received} of {due} {exam.images_unit}"]
    return []


def _changes(work: Work, exam: Exam) -> list[dict[str, object]]:
    found = select(ImagesChanged).where(ImagesChanged.exam_id == exam.id, col(ImagesChanged.seen_at).is_(None))
    return [
        {"change": row.change, "study_instance_uid": row.study_uid, "at": wire.local(row.at).isoformat()}
        for row in work.session.exec(found.order_by(col(ImagesChanged.id)))
    ]


def _series(work: Work, exam: Exam) -> list[dict[str, object]]:
    found = select(Series, Step.name).join(Image, col(Image.series_id) == Series.id)
    found = found.join(Batch, col(Batch.id) == Image.batch_id).outerjoin(Step, col(Step.id) == Batch.step_id)
    rows = work.session.exec(found.where(Batch.exam_id == exam.id).distinct().order_by(col(Series.id))).all()
    return [
        {"uid": row.uid, "description": row.description, "modality": row.modality, "date": row.date, "step": step or ""}
        for row, step in rows
    ]


def _rejected_count(work: Work, exam: Exam) -> int:
    return len(work.session.exec(select(RejectedText.id).where(RejectedText.exam_id == exam.id)).all())


def _version(row: ReportVersion, predecessor: int | None) -> wire.ReportVersion:
    return wire.ReportVersion(
        number=row.number, state=ReportState(row.state), text=_words(row.text), author=row.author,
        signed_by=row.signed_by or None, signed_at=wire.local(row.signed_at) if row.signed_at else None,
        predecessor=predecessor, sha256=row.sha256, reason=row.reason, images=row.images,
        written_at=wire.local(row.written_at),
    )  # fmt: skip


def _words(text: dict[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in text.items()}


def _exam(work: Work, actor: Actor, reference: str, operation: Operation) -> Exam:
    """Return the exam, once the actor may do this to it."""
    exam = course.find_exam(work, reference, actor.site)
    access.require(actor, operation, own=exam.assigned_to == actor.name)
    return exam


def _report(work: Work, exam: Exam) -> Report | None:
    return work.session.exec(select(Report).where(Report.exam_id == exam.id)).first()


def _written(work: Work, exam: Exam) -> Report:
    report = _report(work, exam)
    if report is None:
        msg = f"nobody has opened the report of {exam.accession} yet: open it first"
        raise Refused(msg)
    return report


def _last_version(work: Work, report: Report, *, signed: bool = False) -> ReportVersion | None:
    found = select(ReportVersion).where(ReportVersion.report_id == report.id)
    if signed:
        found = found.where(col(ReportVersion.state).in_(REPORT_SIGNED))
    return work.session.exec(found.order_by(col(ReportVersion.number).desc()).limit(1)).first()


def _ever_signed(work: Work, report: Report) -> bool:
    return _last_version(work, report, signed=True) is not None


def _told(work: Work, exam: Exam) -> None:
    lease, report = work.session.get(Lease, exam.id), _report(work, exam)
    work.tell(
        exam.site, "report", exam.accession, state=report.state if report else None,
        holder=lease.holder if lease and lease.holder else None, asked_by=lease.asked_by if lease else "",
    )  # fmt: skip
