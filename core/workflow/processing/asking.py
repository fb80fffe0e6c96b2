"""Ask for a processing, look at what was asked for, do one again, give one up."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement
from sqlmodel import col, func, select

from core import access, audit, course, wire
from core.access import Actor, ActorKind
from core.errors import Invalid, NotFound, Refused
from core.model import Batch, Exam, Image, Job, Patient, Processing, Series
from core.records import Work
from core.vocabulary import PROCESSING_DECIDED, ImagesState, JobState, Operation, ProcessingState, Recipe
from core.workflow import queue
from core.workflow.processing.recipes import FORMS, Form, form_of

_MOST = 500


# -- what there is ---------------------------------------------------------------------------------------------------


def recipes(actor: Actor) -> list[wire.RecipeForm]:
    """Return what can be done with images, and what can be chosen."""
    access.require(actor, Operation.FIND)
    return [_form_shape(form) for form in FORMS.values()]


def _form_shape(form: Form) -> wire.RecipeForm:
    parameters = [
        wire.Parameter(
            name=one.name, label=one.label, kind=one.kind, unit=one.unit, choices=list(one.choices), lowest=one.lowest,
            highest=one.highest, default=one.default, group=one.group, help=one.help,
            depends_on={name: list(values) for name, values in one.depends_on.items()},
        )
        for one in form.parameters
    ]  # fmt: skip
    return wire.RecipeForm(
        name=form.recipe, title=form.title, takes=form.takes, needs_over=form.needs_over, parameters=parameters
    )


def listing(work: Work, actor: Actor, *, exam: str | None = None, waiting: bool = False) -> list[wire.Processing]:
    """Return processings, the latest first: of an exam, or of the site; with `waiting` those to be decided on.

    One that is being done again waits no more: what replaces it does.
    """
    access.require(actor, Operation.VIEW_IMAGES, own=exam is not None and _own(work, actor, exam))
    found = select(Processing).where(Processing.site == actor.site).order_by(col(Processing.id).desc()).limit(_MOST)
    if exam is not None:
        found = found.where(Processing.exam_id == course.find_exam(work, exam, actor.site).id)
    if waiting:
        found = found.where(col(Processing.state).not_in(PROCESSING_DECIDED), _last_of_its_kind())
    return shapes(work, work.session.exec(found).all())


def to_decide(work: Work, site: str) -> int:
    """Count what is made, or failed, and waits for a person."""
    asks = (ProcessingState.MADE, ProcessingState.FAILED)
    found = select(func.count()).select_from(Processing).where(Processing.site == site, _last_of_its_kind())
    return work.session.exec(found.where(col(Processing.state).in_(asks))).one()


def _last_of_its_kind() -> ColumnElement[bool]:
    """Return the condition that nothing is made in its place."""
    again = select(Processing.replaces).where(
        col(Processing.replaces).is_not(None), Processing.state != ProcessingState.DISCARDED
    )
    return col(Processing.id).not_in(again)


def one(work: Work, actor: Actor, number: int) -> wire.Processing:
    """Return one processing."""
    row = named(work, actor, number)
    own = work.session.get_one(Exam, row.exam_id).assigned_to == actor.name
    access.require(actor, Operation.VIEW_IMAGES, own=own)
    return shape(work, row)


def _own(work: Work, actor: Actor, reference: str) -> bool:
    return course.find_exam(work, reference, actor.site).assigned_to == actor.name


def named(work: Work, actor: Actor, number: int) -> Processing:
    """Return a processing's row.

    Raises
    ------
    NotFound
        There is none of that number at the actor's site.
    """
    row = work.session.get(Processing, number)
    if row is None or (actor.kind is ActorKind.PERSON and row.site != actor.site):
        raise NotFound(f"there is no processing {number}: see 'photopeak process list'")
    return row


# -- asking ----------------------------------------------------------------------------------------------------------


def asked(wanted: Sequence[wire.AskedProcessing]) -> list[dict[str, object]]:
    """Return what a catalogue entry or a protocol keeps of the processing it names.

    Raises
    ------
    Invalid
        A parameter is none of the recipe's.
    """
    for one in wanted:
        form_of(one.recipe).values(one.parameters)
    return [{"recipe": str(one.recipe), "parameters": dict(one.parameters)} for one in wanted]


def ask(work: Work, actor: Actor, reference: str, form: wire.AskProcessing) -> wire.Processing:
    """Queue a processing of an exam's images, or of those named.

    Raises
    ------
    Refused
        The exam has no images yet.
    Invalid, NotFound
        A parameter is none of the recipe's, or an object is not the exam's patient's.
    """
    access.require(actor, Operation.PROCESS)
    exam = course.find_exam(work, reference, actor.site)
    recipe = form_of(form.recipe)
    recipe.values(form.parameters)
    if exam.images_state in (ImagesState.NONE, ImagesState.CONFLICTING):
        raise Refused(f"{exam.accession} has no images to process: its images are {exam.images_state}")
    if recipe.needs_over and not form.over:
        raise Invalid(f"{recipe.title} needs a second image: name its series in 'over'")
    row = Processing(
        site=exam.site, exam_id=exam.id or 0, recipe=form.recipe, parameters=dict(form.parameters),
        inputs=objects_named(work, exam, form.inputs), over=objects_named(work, exam, form.over),
        asked_by=str(actor), asked_at=work.now,
    )  # fmt: skip
    return _queued(work, actor, exam, row)


def repeat(work: Work, actor: Actor, number: int, form: wire.RepeatProcessing) -> wire.Processing:
    """Do a processing once more with some parameters changed; it stands in the other's place once accepted."""
    access.require(actor, Operation.PROCESS)
    before = named(work, actor, number)
    parameters = {**before.parameters, **form.parameters}
    form_of(before.recipe).values(parameters)  # type: ignore[arg-type]  # what was kept was checked
    if ProcessingState(before.state) in (ProcessingState.QUEUED, ProcessingState.RUNNING):
        raise Refused(f"processing {number} is {before.state}: cancel it first, or wait until it is made")
    exam = work.session.get_one(Exam, before.exam_id)
    row = Processing(
        site=before.site, exam_id=before.exam_id, recipe=before.recipe, position=before.position, due=before.due,
        parameters=parameters, inputs=before.inputs, over=before.over, asked_by=str(actor), asked_at=work.now,
        replaces=before.id,
    )  # fmt: skip
    return _queued(work, actor, exam, row)


def _queued(work: Work, actor: Actor, exam: Exam, row: Processing) -> wire.Processing:
    work.add(row)
    course.queue_processing(work, row)
    course.settle(work, exam)
    audit.record(
        work, actor, "processing.ask", exam.accession, recipe=row.recipe, processing=row.id, replaces=row.replaces,
        inputs=len(row.inputs), over=len(row.over),
    )  # fmt: skip
    return shape(work, row)


def objects_named(work: Work, exam: Exam, uids: Sequence[str]) -> list[str]:
    """Return the SOP Instance UIDs meant by series or object UIDs, all filed to an exam of the same patient.

    Raises
    ------
    NotFound
        An object is not there, or not filed to this patient.
    """
    found: list[str] = []
    theirs = select(Exam.id).where(col(Exam.patient_id).in_(course.one_person(work, exam.patient_id)))
    for uid in uids:
        of = select(Image.sop_uid).join(Series, col(Series.id) == Image.series_id)
        of = of.join(Batch, col(Batch.id) == Image.batch_id).where(Image.site == exam.site)
        of = of.where(col(Batch.exam_id).in_(theirs), Batch.state == "filed")
        named_so = of.where((Image.sop_uid == uid) | (Series.uid == uid)).order_by(col(Image.number), col(Image.id))
        several = work.session.exec(named_so).all()
        if not several:
            raise NotFound(f"neither a series nor an object {uid} is filed to the patient of {exam.accession}")
        found += [one for one in several if one not in found]
    return found


def cancel(work: Work, actor: Actor, number: int) -> wire.Processing:
    """Give up a processing that waits or runs.

    Raises
    ------
    Refused
        It is made, failed or decided on already.
    """
    access.require(actor, Operation.PROCESS)
    row = named(work, actor, number)
    job = work.session.get(Job, row.job_id or 0)
    if job is not None and JobState(job.state) in queue.OPEN:
        queue.move(work, job, JobState.CANCELLED)
    if row.state != ProcessingState.CANCELLED:
        course.move_processing(work, row, ProcessingState.CANCELLED)
    audit.record(work, actor, "processing.cancel", str(number))
    return shape(work, row)


# -- showing ---------------------------------------------------------------------------------------------------------


def shape(work: Work, row: Processing) -> wire.Processing:
    """Return one processing as it travels."""
    work.session.flush()
    return shapes(work, [row])[0]


def shapes(work: Work, rows: Sequence[Processing]) -> list[wire.Processing]:
    """Return processings as they travel."""
    found = select(Exam, Patient).join(Patient, col(Patient.id) == Exam.patient_id)
    exams = {e.id: (e, p) for e, p in work.session.exec(found.where(col(Exam.id).in_({r.exam_id for r in rows})))}
    jobs = {j.id: j for j in work.session.exec(select(Job).where(col(Job.id).in_({r.job_id for r in rows})))}
    ids = {r.id for r in rows}
    after = select(Processing.replaces, Processing.id).where(col(Processing.replaces).in_(ids))
    replaced = dict(work.session.exec(after.order_by(col(Processing.id))).all())
    return [_shape(row, *exams[row.exam_id], jobs.get(row.job_id), replaced.get(row.id)) for row in rows]


def _shape(row: Processing, exam: Exam, patient: Patient, job: Job | None, replaced_by: int | None) -> wire.Processing:
    form = FORMS[Recipe(row.recipe)]
    running = row.state == ProcessingState.RUNNING and job is not None
    done, total = (job.done, job.total) if running and job else (row.done, row.total)
    accepted = row.state == ProcessingState.ACCEPTED
    return wire.Processing(
        id=row.id or 0, accession=exam.accession, patient_number=patient.number, patient_name=patient.name,
        patient_name_ideographic=patient.name_ideographic, procedure=exam.procedure, recipe=form.recipe,
        title=form.title,
        parameters=form.values({}, row.parameters),  # type: ignore[arg-type]  # what was kept was checked
        said=row.said, inputs=row.inputs, over=row.over, due=row.due, state=ProcessingState(row.state), done=done,
        total=total, error=row.error, warnings=row.warnings,
        stages=[wire.Stage.model_validate(one) for one in row.stages], results=row.results,
        asked_at=wire.local(row.asked_at), asked_by=row.asked_by, by=row.asked_by,
        made_at=wire.local(row.made_at) if row.made_at else None,
        accepted_by=row.decided_by if accepted else "",
        accepted_at=wire.local(row.decided_at) if accepted and row.decided_at else None,
        replaces=row.replaces, replaced_by=replaced_by, version=row.version, numbers=row.numbers,
    )  # fmt: skip
