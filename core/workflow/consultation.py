"""Cases before colleagues: the doctor asks, the head sets the time, opinions are given by name, a conclusion closes."""

from sqlmodel import col, select

from core import access, audit, course, wire
from core.access import Actor
from core.errors import Invalid, NotFound, Refused
from core.model import Consultation, Exam, Opinion, Patient
from core.records import Work
from core.vocabulary import CONSULTATION_AFTER, ConsultationState, Extent, Operation, may_follow

_ENDED = frozenset({ConsultationState.CONCLUDED, ConsultationState.WITHDRAWN})


def request(work: Work, actor: Actor, form: wire.AskConsultation) -> wire.Consultation:
    """Put a case before colleagues with a question."""
    exam = course.find_exam(work, form.accession, actor.site)
    access.require(actor, Operation.CONSULT, own=exam.assigned_to == actor.name)
    if not form.question:
        msg = "say what is asked of the colleagues: give a question"
        raise Invalid(msg)
    row = Consultation(
        site=exam.site, exam_id=exam.id or 0, question=form.question, requested_by=actor.name, requested_at=work.now
    )
    work.add(row)
    return _changed(work, actor, row, "consultation.request")


def schedule(work: Work, actor: Actor, number: int, form: wire.ScheduleConsultation) -> wire.Consultation:
    """Set, or set anew, when the case is discussed."""
    row = _case(work, actor, number, Operation.CONCLUDE_CONSULTATION)
    _move(row, ConsultationState.SCHEDULED)
    row.scheduled_at, row.scheduled_by = form.at, actor.name
    return _changed(work, actor, row, "consultation.schedule", at=form.at)


def gather(work: Work, actor: Actor, number: int) -> wire.Consultation:
    """Note that images and papers are at hand where the case is discussed."""
    row = _case(work, actor, number, Operation.CONCLUDE_CONSULTATION)
    _move(row, ConsultationState.GATHERED)
    return _changed(work, actor, row, "consultation.gather")


def start(work: Work, actor: Actor, number: int) -> wire.Consultation:
    """Begin the session."""
    row = _case(work, actor, number, Operation.CONCLUDE_CONSULTATION)
    _move(row, ConsultationState.IN_SESSION)
    return _changed(work, actor, row, "consultation.start")


def opinion(work: Work, actor: Actor, number: int, form: wire.Say) -> wire.Consultation:
    """Give an opinion by name; a second one stands beside the first."""
    row = _case(work, actor, number, Operation.CONSULT)
    if row.state in _ENDED:
        msg = f"consultation {number} is {row.state}: ask for a new one"
        raise Refused(msg)
    work.add(Opinion(consultation_id=row.id or 0, by=actor.name, at=work.now, text=form.text))
    return _changed(work, actor, row, "consultation.opinion")


def conclude(work: Work, actor: Actor, number: int, form: wire.Say) -> wire.Consultation:
    """Close the case with its conclusion."""
    row = _case(work, actor, number, Operation.CONCLUDE_CONSULTATION)
    _move(row, ConsultationState.CONCLUDED)
    row.conclusion, row.concluded_by, row.concluded_at = form.text, actor.name, work.now
    return _changed(work, actor, row, "consultation.conclude")


def withdraw(work: Work, actor: Actor, number: int) -> wire.Consultation:
    """Take a case back: by who asked, or by the head."""
    row = _case(work, actor, number, Operation.CONSULT)
    if row.requested_by != actor.name:
        access.require(actor, Operation.CONCLUDE_CONSULTATION)
    _move(row, ConsultationState.WITHDRAWN)
    return _changed(work, actor, row, "consultation.withdraw")


def queue(work: Work, actor: Actor, states: list[ConsultationState]) -> list[wire.Consultation]:
    """Return the cases in these states (those still open when none are named), by time set, then as asked."""
    access.require(actor, Operation.FIND, own=True)
    wanted = states or [state for state in ConsultationState if state not in _ENDED]
    found = select(Consultation).where(Consultation.site == actor.site, col(Consultation.state).in_(wanted))
    if access.reach(actor, Operation.FIND) is Extent.OWN:
        found = found.join(Exam, col(Exam.id) == Consultation.exam_id).where(Exam.assigned_to == actor.name)
    by_time = (col(Consultation.scheduled_at).is_(None), col(Consultation.scheduled_at), col(Consultation.id))
    rows = work.session.exec(found.order_by(*by_time))
    return [shape(work, row) for row in rows.all()]


def show(work: Work, actor: Actor, number: int) -> wire.Consultation:
    """Return one case."""
    return shape(work, _case(work, actor, number, Operation.FIND))


def of_exam(work: Work, exam: Exam) -> list[wire.Consultation]:
    """Return the exam's cases, for its report."""
    found = select(Consultation).where(Consultation.exam_id == exam.id).order_by(col(Consultation.id))
    return [shape(work, row) for row in work.session.exec(found).all()]


def shape(work: Work, row: Consultation) -> wire.Consultation:
    """Return a case as it travels."""
    exam, patient = work.session.exec(
        select(Exam, Patient).join(Patient, col(Patient.id) == Exam.patient_id).where(Exam.id == row.exam_id)
    ).one()
    said = select(Opinion).where(Opinion.consultation_id == row.id).order_by(col(Opinion.id))
    return wire.Consultation(
        id=row.id or 0, accession=exam.accession, patient_number=patient.number, patient_name=patient.name,
        procedure=exam.procedure, question=row.question, state=ConsultationState(row.state),
        requested_by=row.requested_by, requested_at=wire.local(row.requested_at),
        scheduled_at=wire.local(row.scheduled_at) if row.scheduled_at else None,
        opinions=[wire.Opinion(by=o.by, at=wire.local(o.at), text=o.text) for o in work.session.exec(said)],
        conclusion=row.conclusion, concluded_by=row.concluded_by,
        concluded_at=wire.local(row.concluded_at) if row.concluded_at else None,
    )  # fmt: skip


def _case(work: Work, actor: Actor, number: int, operation: Operation) -> Consultation:
    row = work.session.get(Consultation, number)
    if row is None or row.site != actor.site:
        msg = f"there is no consultation {number}: 'photopeak consult list' shows those there are"
        raise NotFound(msg)
    exam = work.session.get(Exam, row.exam_id)
    access.require(actor, operation, own=exam is not None and exam.assigned_to == actor.name)
    return row


def _move(row: Consultation, to: ConsultationState) -> None:
    now = ConsultationState(row.state)
    if not may_follow(CONSULTATION_AFTER, now, to):
        msg = f"consultation {row.id} is {now}: it cannot become {to}"
        raise Refused(msg)
    row.state = to


def _changed(work: Work, actor: Actor, row: Consultation, action: str, **detail: object) -> wire.Consultation:
    work.add(row)
    shown = shape(work, row)
    audit.record(work, actor, action, shown.accession, consultation=row.id, **detail)
    work.tell(row.site, "consultation", str(row.id), accession=shown.accession, state=row.state)
    return shown
