"""What the screens list: exams by queue, by recency or by deadline, the counts of the day, finding from anywhere.

Lists stay fast over hundreds of thousands of exams: ids are counted and paged from an index, and rows are read for the
one page that is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlmodel import and_, col, func, or_, select, union

from core import access, course, wire
from core.access import Actor
from core.errors import Invalid
from core.model import (
    Batch,
    Consultation,
    Device,
    Exam,
    ImagesChanged,
    Patient,
    Quarantined,
    Report,
    ReportVersion,
    Request,
    Step,
)
from core.naming import normalise_query
from core.records import Work
from core.vocabulary import (
    EXAM_OPEN,
    REPORT_SIGNED,
    ConsultationState,
    Evidence,
    ExamState,
    Extent,
    ImagesState,
    Operation,
    StepState,
)
from core.workflow import patients, unfiled
from core.workflow.processing import asking

_UNREPORTED = sorted(EXAM_OPEN - {ExamState.REPORTED})
_WAITING = (ExamState.REGISTERED, ExamState.ASSIGNED, ExamState.PROTOCOLLED)
_READABLE = (ExamState.ACQUIRED, ExamState.READY)
_RANKS = (0, 1, 2)
_ORDERS: dict[str, Sequence[Any]] = {
    "queue": (col(Exam.urgency_rank), col(Exam.queued_at), col(Exam.id)),
    "recent": (col(Exam.registered_at).desc(), col(Exam.id).desc()),
    "due": (col(Exam.report_due_at).is_(None), col(Exam.report_due_at), col(Exam.id)),
}


# The same order as "queue", said so that the planner finds the few first and sorts them, instead of walking the queue.
_SORTED = (col(Exam.urgency_rank) + 0, col(Exam.queued_at), col(Exam.id))


def exams(work: Work, actor: Actor, wanted: wire.ExamsWanted) -> wire.ExamPage:
    """Return a window of the exams wanted, and how many there are in all."""
    access.require(actor, Operation.FIND, own=True)
    conditions = _conditions(work, actor, wanted)
    total = work.session.exec(select(func.count()).select_from(Exam).where(*conditions)).one()
    if wanted.order not in _ORDERS:
        msg = f"exams are not ordered by '{wanted.order}': use {', '.join(_ORDERS)}"
        raise Invalid(msg)
    order = _SORTED if wanted.order == "queue" and _are_few(wanted) else _ORDERS[wanted.order]
    page = select(Exam.id).where(*conditions).order_by(*order).offset(wanted.offset).limit(wanted.limit)
    ids = list(work.session.exec(page))
    rows = {exam.id: exam for exam in work.session.exec(select(Exam).where(col(Exam.id).in_(ids)))}
    return wire.ExamPage(total=total, offset=wanted.offset, items=course.shapes(work, [rows[one] for one in ids]))


def _are_few(wanted: wire.ExamsWanted) -> bool:
    """Whether what is wanted is a small part of the history: anything but whole states that only ever grow."""
    unreported = len(wanted.state) > 1 and set(wanted.state) <= set(_UNREPORTED)
    return bool(unreported or wanted.late or wanted.date or wanted.query or wanted.patient)


def _conditions(work: Work, actor: Actor, wanted: wire.ExamsWanted) -> list[Any]:
    # Where ids are found first, the site is wrapped, so that no planner walks all of its exams to test each of them.
    site = func.coalesce(Exam.site, "") if wanted.query or wanted.date else col(Exam.site)
    conditions: list[Any] = [site == actor.site]
    if wanted.state:
        conditions.append(col(Exam.state).in_(wanted.state))
    if wanted.assigned_to:
        conditions.append(Exam.assigned_to == (actor.name if wanted.assigned_to == "me" else wanted.assigned_to))
    if access.reach(actor, Operation.FIND) is Extent.OWN:
        conditions.append(Exam.assigned_to == actor.name)
    if wanted.date:
        conditions.append(_on_day(actor.site, _midnight(work, wanted.date)))
    if wanted.late:
        conditions.append(is_late(work.now))
    if wanted.device:
        conditions.append(col(Exam.device).in_(_names_of_device(work, actor.site, wanted.device)))
    if wanted.query:
        conditions.append(_found_by(actor.site, wanted.query))
    if wanted.patient:
        patient = patients.find_patient(work, wanted.patient, actor.site)
        conditions.append(col(Exam.patient_id).in_(course.one_person(work, patient.id)))
    return conditions


def _midnight(work: Work, day: str) -> datetime:
    now = wire.local(work.now)
    if day == "today":
        return now.replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        chosen = date.fromisoformat(day)
    except ValueError as error:
        msg = f"'{day}' is not a day: write today or YYYY-MM-DD"
        raise Invalid(msg) from error
    return datetime(chosen.year, chosen.month, chosen.day).astimezone()


def _on_day(site: str, midnight: datetime) -> Any:  # noqa: ANN401 - a condition of SQLAlchemy's
    """Exams that arrived or are booked that day, or have a step planned for it."""
    end = wire.local(midnight + timedelta(hours=26)).replace(hour=0)
    queued = select(Exam.id).where(Exam.site == site, col(Exam.urgency_rank).in_(_RANKS))
    queued = queued.where(Exam.queued_at >= midnight, Exam.queued_at < end)
    planned = select(Step.exam_id).where(col(Step.state).in_(list(StepState)))
    planned = planned.where(col(Step.planned_at) >= midnight, col(Step.planned_at) < end)
    return col(Exam.id).in_(_united([queued, planned]))


def is_late(now: datetime) -> Any:  # noqa: ANN401 - a condition of SQLAlchemy's
    """Exams whose images are overdue or whose report is.

    The due times are wrapped so that no planner starts from them: almost every exam of the past was due some time,
    while few are unreported.
    """
    waiting = col(Exam.images_state).in_([ImagesState.NONE, ImagesState.ARRIVING])
    images_due, report_due = (func.coalesce(due, now) for due in (Exam.images_due_at, Exam.report_due_at))
    no_images = and_(waiting, images_due < now, Exam.evidence == Evidence.IMAGES)
    return and_(col(Exam.state).in_(_UNREPORTED), or_(no_images, report_due < now))


def _names_of_device(work: Work, site: str, name: str) -> list[str]:
    """Return the device's own title and its pool's name."""
    found = select(Device).where(Device.site == site)
    known = [one for one in work.session.exec(found) if name in (one.aet, *one.aliases)]
    return [name, *(one.aet for one in known), *(one.pool for one in known if one.pool)]


def _found_by(site: str, query: str) -> Any:  # noqa: ANN401 - a condition of SQLAlchemy's
    """Exams whose accession or request number begins so, or whose patient is found by the query."""
    term = normalise_query(query)
    typed = {query.strip(), query.strip().upper()}
    by_accession = [
        select(Exam.id).where(Exam.site == site, Exam.accession >= one, Exam.accession < one + "\U0010ffff")
        for one in typed
    ]
    if not term:
        return col(Exam.id).in_(_united(by_accession))
    requests = select(Request.id).where(col(Request.number).in_(typed), func.coalesce(Request.site, "") == site)
    people = patients.with_term(term)
    survivors = select(Patient.merged_into).where(col(Patient.id).in_(people), col(Patient.merged_into).is_not(None))
    merged = select(Patient.id).where(col(Patient.merged_into).in_(people))
    by_patient = [select(Exam.id).where(col(Exam.patient_id).in_(ids)) for ids in (people, survivors, merged)]
    return col(Exam.id).in_(
        _united([*by_accession, select(Exam.id).where(col(Exam.request_id).in_(requests)), *by_patient])
    )


def _united(selects: Sequence[Any]) -> Any:  # noqa: ANN401 - a subquery of SQLAlchemy's
    """Return one subquery of ids, each part of which has an index of its own."""
    return select(union(*selects).subquery().c[0])


def show(work: Work, actor: Actor, reference: str) -> wire.Exam:
    """Return one exam."""
    exam = course.find_exam(work, reference, actor.site)
    access.require(actor, Operation.FIND, own=exam.assigned_to == actor.name)
    return course.shape(work, exam)


def find(work: Work, actor: Actor, query: str, limit: int = 10) -> dict[str, list[Any]]:
    """Return the patients and exams a query finds, from anywhere."""
    found = patients.find(work, actor, query, limit)
    page = exams(work, actor, wire.ExamsWanted(query=query, order="recent", limit=limit)) if query.strip() else None
    return {"patients": found, "exams": page.items if page else []}


# -- the day in numbers ------------------------------------------------------------------------------------------------


def today(work: Work, actor: Actor) -> wire.Today:
    """Count the day of the actor's site; each count is one look at an index. Outside readers: of their own cases."""
    access.require(actor, Operation.FIND, own=True)
    if access.reach(actor, Operation.FIND) is Extent.OWN:
        return _own_day(work, actor)
    midnight = _midnight(work, "today")
    arrived = _count(work, actor, col(Exam.state).in_(_WAITING), col(Exam.urgency_rank).in_(_RANKS),
                     Exam.queued_at >= midnight, col(Exam.arrived_at).is_not(None))  # fmt: skip
    batches = select(Batch.state, func.count()).where(Batch.site == actor.site)
    waiting = batches.where(col(Batch.state).in_(("unfiled", "conflicting"))).group_by(Batch.state)
    by_state = dict(work.session.exec(waiting).all())
    quarantined = select(func.count()).select_from(Quarantined).where(*unfiled.kept_apart(actor.site))
    consultations, upcoming = _consultations(work, actor.site)
    return wire.Today(
        registered=_count(work, actor, Exam.registered_at >= midnight), waiting=arrived,
        on_camera=_count(work, actor, Exam.state == ExamState.IN_PROGRESS),
        read=_read_since(work, actor.site, midnight),
        late=_count(work, actor, is_late(work.now)), unfiled=by_state.get("unfiled", 0),
        conflicting=by_state.get("conflicting", 0), quarantined=work.session.exec(quarantined).one(),
        consultations=consultations, next_consultation_at=wire.local(upcoming) if upcoming else None,
        to_read=_to_read(work, actor), images_changed=_images_changed(work, actor.name),
        to_accept=asking.to_decide(work, actor.site),
    )  # fmt: skip


def _own_day(work: Work, actor: Actor) -> wire.Today:
    return wire.Today(
        registered=0, waiting=0, on_camera=0, read=0, unfiled=0, conflicting=0, quarantined=0, consultations=0,
        late=_count(work, actor, Exam.assigned_to == actor.name, is_late(work.now)),
        to_read=_to_read(work, actor), images_changed=_images_changed(work, actor.name),
    )  # fmt: skip


def _to_read(work: Work, actor: Actor) -> int:
    return _count(work, actor, Exam.assigned_to == actor.name, col(Exam.state).in_(_READABLE))


def _count(work: Work, actor: Actor, *conditions: Any) -> int:  # noqa: ANN401 - conditions of SQLAlchemy's
    return work.session.exec(select(func.count()).select_from(Exam).where(Exam.site == actor.site, *conditions)).one()


def _read_since(work: Work, site: str, midnight: datetime) -> int:
    """Count reports signed since midnight, reading backwards from the newest version."""
    older = select(ReportVersion.id).where(ReportVersion.written_at < midnight)
    last = work.session.exec(older.order_by(col(ReportVersion.id).desc()).limit(1)).first() or 0
    signed = select(func.count(col(ReportVersion.report_id).distinct())).where(col(ReportVersion.id) > last)
    signed = signed.join(Report, col(Report.id) == ReportVersion.report_id).where(Report.site == site)
    return work.session.exec(signed.where(col(ReportVersion.state).in_(REPORT_SIGNED))).one()


def _consultations(work: Work, site: str) -> tuple[int, datetime | None]:
    """Count the cases that wait for consultation; when the next one is."""
    waiting = [one for one in ConsultationState if one not in {"concluded", "withdrawn"}]
    found = select(func.count(), func.min(Consultation.scheduled_at)).where(Consultation.site == site)
    count, upcoming = work.session.exec(found.where(col(Consultation.state).in_(waiting))).one()
    return count, upcoming


def _images_changed(work: Work, username: str) -> int:
    found = select(func.count(col(ImagesChanged.exam_id).distinct()))
    found = found.join(ReportVersion, col(ReportVersion.id) == ImagesChanged.version_id)
    return work.session.exec(
        found.where(col(ImagesChanged.seen_at).is_(None), ReportVersion.signed_by == username)
    ).one()
