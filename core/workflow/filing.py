"""Tie what arrived to what was ordered.

The rule decides (`matching_rule`), here its verdict is carried out and its reasons kept; what a person decided is never
decided again by the rule. Original objects are never touched.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlmodel import col, func, or_, select

from core import access, audit, course
from core.dicom.objects import SentIdentity, is_qc
from core.model import (
    Batch,
    Device,
    Exam,
    Identifier,
    Image,
    ImagesChanged,
    Patient,
    Procedure,
    Report,
    ReportVersion,
    Series,
    Site,
    Step,
    Study,
)
from core.naming import PersonName, is_placeholder, normalise_identifier, same_name_key
from core.records import Work
from core.vocabulary import (
    EXAM_CLOSED,
    REPORT_SIGNED,
    BatchState,
    BirthDateKnown,
    ExamState,
    ReportState,
    StepState,
)
from core.workflow import matching_rule
from core.workflow.matching_rule import KnownExam, KnownPatient, Match, Sent, Verdict

RULE = "rule"

_MOST_CANDIDATES = 12
_LOOKALIKES = 10
_AROUND = timedelta(hours=12)


# -- an object arrives -----------------------------------------------------------------------------------------------


def arrived(work: Work, batch: Batch, image: Image, *, scheduled_step: str = "") -> None:
    """Decide an object that was just stored; `scheduled_step` is the SPS ID it names (0040,0009).

    A batch that is filed, in conflict, or decided by a person takes its later objects with it.
    """
    work.session.flush()
    if batch.decided_by in ("", RULE) and batch.state in (BatchState.UNFILED, BatchState.QC):
        _carry_out(work, batch, _decided(work, batch, image), scheduled_step)
    elif batch.state == BatchState.FILED:
        follow(work, batch, [scheduled_step])
    else:
        tell(work, batch)


def _decided(work: Work, batch: Batch, image: Image) -> Verdict:
    """Ask the rule; what finds no exam goes to the QC shelf when all of the batch is quality control."""
    asked = ask(work, batch)
    verdict = matching_rule.decide(asked.sent, _known(work, batch, asked), loose=asked.loose)
    only_qc = batch.decided_by == "" or batch.state == BatchState.QC
    if verdict.state is BatchState.UNFILED and only_qc and _shows_qc(work, batch, image):
        return Verdict(BatchState.QC, reasons=("quality control or a phantom, no patient",))
    return verdict


def _shows_qc(work: Work, batch: Batch, image: Image) -> bool:
    series = work.session.get(Series, image.series_id)
    return is_qc(
        SentIdentity(
            patient_id=batch.patient_number, name=PersonName.parse(batch.patient_name), accession=batch.accession,
            birth_date=_date(batch.birth_date), study_description=batch.description,
            series_description=series.description if series else "", image_type=tuple(image.image_type.split("\\")),
        )
    )  # fmt: skip


def _carry_out(work: Work, batch: Batch, verdict: Verdict, scheduled_step: str) -> None:
    before = (batch.state, batch.exam_id, batch.contradicts)
    batch.state, batch.exam_id, batch.contradicts = verdict.state, verdict.exam, verdict.contradicts
    batch.reasons, batch.decided_by = list(verdict.reasons), RULE
    changed = before != (batch.state, batch.exam_id, batch.contradicts)
    exam = work.session.get(Exam, verdict.exam) if verdict.exam else None
    if exam:
        batch.step_id = step_of(work, exam, batch, scheduled_step)
    work.add(batch)
    settle(work, [*before[1:], batch.exam_id, batch.contradicts])
    if exam:
        flag(work, exam, batch.study_uid, "filed")
    if changed and batch.state != BatchState.QC:
        _note(work, batch)
    if changed or batch.state != BatchState.FILED:
        tell(work, batch)


def follow(work: Work, batch: Batch, scheduled_steps: Iterable[str]) -> None:
    """Let objects go where their batch is filed; each may name its step."""
    exam = work.session.get_one(Exam, batch.exam_id)
    for named in filter(None, scheduled_steps):
        if batch.step_id and step_of(work, exam, batch, named) != batch.step_id:
            batch.step_id = None  # the batch serves more than one step
            work.add(batch)
    course.settle(work, exam)
    flag(work, exam, batch.study_uid, "filed")


def _note(work: Work, batch: Batch) -> None:
    """Write the rule's decision into the audit trail."""
    exam = work.session.get(Exam, batch.exam_id or batch.contradicts or 0)
    actor = access.system("filing", batch.site)
    audit.record(
        work, actor, f"images.{batch.state}", exam.accession if exam else batch.study_uid,
        study=batch.study_uid, batch=batch.id, aet=batch.aet, reasons=batch.reasons,
    )  # fmt: skip


def tell(work: Work, batch: Batch) -> None:
    """Tell that an unfiled batch came, grew or went."""
    work.tell(batch.site, "unfiled", str(batch.id), state=batch.state, study=batch.study_uid, received=batch.received)


def settle(work: Work, exam_ids: Iterable[int | None]) -> None:
    """Settle each exam a decision or correction has touched."""
    for exam_id in sorted({one for one in exam_ids if one is not None}):
        course.settle(work, work.session.get_one(Exam, exam_id))


def flag(work: Work, exam: Exam, study_uid: str, change: str) -> None:
    """Tell the signer of a signed report that images came or went; once, until seen."""
    report = work.session.exec(select(Report).where(Report.exam_id == exam.id)).first()
    if report is None or ReportState(report.state) not in REPORT_SIGNED:
        return
    versions = select(ReportVersion).where(
        ReportVersion.report_id == report.id, col(ReportVersion.state).in_(REPORT_SIGNED)
    )
    version = work.session.exec(versions.order_by(col(ReportVersion.number).desc())).first()
    if version is None:
        return
    row = ImagesChanged(
        version_id=version.id or 0, exam_id=exam.id or 0, change=change, study_uid=study_uid, at=work.now
    )
    told = select(ImagesChanged.id).where(
        ImagesChanged.version_id == row.version_id, ImagesChanged.study_uid == study_uid,
        ImagesChanged.change == change, col(ImagesChanged.seen_at).is_(None),
    )  # fmt: skip
    if work.session.exec(told).first() is None:
        work.add(row)
        work.tell(exam.site, "report", exam.accession, state=report.state, images_changed=change)


# -- which step ------------------------------------------------------------------------------------------------------


def step_of(work: Work, exam: Exam, batch: Batch, scheduled_step: str = "") -> int | None:
    """Return the step a batch belongs to: the one it names, else the only one of its device and time."""
    steps = course.steps_of(work, exam)
    named = normalise_identifier(scheduled_step)
    for group in (
        [step for step in steps if named and normalise_identifier(step.sps_id) == named],
        steps,
        _at_device(work, batch, [step for step in steps if step.state == StepState.IN_PROGRESS]),
        _at_device(work, batch, [step for step in steps if _near(step.planned_at, batch.first_at)]),
    ):
        if len(group) == 1:
            return group[0].id
    return None


def _at_device(work: Work, batch: Batch, steps: Sequence[Step]) -> Sequence[Step]:
    names = ask(work, batch).names
    return [step for step in steps if not step.devices or names & set(step.devices)]


def _near(one: datetime | None, other: datetime) -> bool:
    return one is not None and abs(one - other) <= _AROUND


# -- what was sent, what is known --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """What a batch asks the register: its own words, the names a step may know its device by, the site's rule."""

    sent: Sent
    names: frozenset[str]
    loose: bool


def ask(work: Work, batch: Batch) -> Asked:
    """Read a batch as the rule does."""
    devices = work.session.exec(select(Device).where(Device.site == batch.site)).all()
    device = next((one for one in devices if batch.aet and batch.aet in (one.aet, *one.aliases)), None)
    accession = batch.accession
    if is_placeholder(accession) and device and device.profile.get("study_id_is_accession"):
        accession = _study_id(work, batch)
    sent = Sent(
        study_uid=batch.study_uid, number=batch.patient_number, accession=accession, name=batch.patient_name,
        birth_date=_date(batch.birth_date), sex=batch.sex, modality=batch.modality, body_part=batch.body_part,
        device=device.aet if device else batch.aet, at=_moment(batch.study_at) or batch.first_at,
    )  # fmt: skip
    names = {device.aet, device.pool, *device.aliases} if device else {batch.aet}
    return Asked(sent, frozenset(names - {""}), _loose(work, batch.site))


def _study_id(work: Work, batch: Batch) -> str:
    found = select(Study.study_id).join(Series, col(Series.study_id) == Study.id)
    found = found.join(Image, col(Image.series_id) == Series.id).where(Image.batch_id == batch.id)
    return work.session.exec(found.limit(1)).first() or ""


def _date(text: str) -> date | None:
    digits = re.sub(r"\D", "", text)
    try:
        return datetime.strptime(digits, "%Y%m%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return None


def _moment(text: str) -> datetime | None:
    """Read the device's own local time out of whatever signs divide it."""
    digits = re.sub(r"\D", "", text.partition(".")[0])[:14]
    try:
        return datetime.strptime(digits.ljust(14, "0"), "%Y%m%d%H%M%S").astimezone() if len(digits) > 7 else None  # noqa: PLR2004 - a day
    except (ValueError, OverflowError):
        return None


def _loose(work: Work, site: str) -> bool:
    row = work.session.get(Site, site)
    rules = row.rules.get("filing") if row else None
    return isinstance(rules, dict) and bool(rules.get("ignore_zeros_and_hyphens"))


def _known(work: Work, batch: Batch, asked: Asked, *, widely: bool = False) -> list[KnownPatient]:
    """Return everybody a key of the batch points to with their exams; `widely` those alike, or at the camera."""
    owners = _by_number(work, batch.site, asked.sent.number, loose=asked.loose)
    holding = _holding(work, batch)
    issued = select(Exam.id).where(Exam.site == batch.site, Exam.study_instance_uid == batch.study_uid)
    picked = {*holding, *work.session.exec(issued)}
    picked |= _by_accession(work, batch.site, asked.sent.accession, loose=asked.loose)
    if widely:
        picked |= _lookalikes(work, batch.site, asked.sent.name) | _at_the_camera(work, batch, asked.names)
    exams = work.session.exec(select(Exam).where(col(Exam.id).in_(picked))).all()
    families = _families(work, owners | {exam.patient_id for exam in exams})
    kin = {row.id for family in families.values() if owners & {row.id for row in family} for row in family}
    found = select(Exam).where(or_(col(Exam.id).in_(picked), col(Exam.patient_id).in_(kin)))
    return _put_together(work, batch.site, asked, families, work.session.exec(found).all(), holding)


def _by_number(work: Work, site: str, number: str, *, loose: bool) -> set[int]:
    if is_placeholder(number):
        return set()
    plain = normalise_identifier(number)
    found = select(Identifier.patient_id).where(Identifier.site == site)
    strictly = set(work.session.exec(found.where(Identifier.normalised == plain)).all())
    if strictly or not loose:
        return strictly
    bare = normalise_identifier(number, ignore_zeros_and_hyphens=True)
    stripped = func.ltrim(func.replace(func.replace(Identifier.normalised, "-", ""), " ", ""), "0")
    return set(work.session.exec(found.where(stripped == bare)).all())


def _by_accession(work: Work, site: str, accession: str, *, loose: bool) -> set[int | None]:
    if is_placeholder(accession):
        return set()
    plain = normalise_identifier(accession)
    found = select(Exam.id).where(Exam.site == site)
    ways = {accession.strip(), plain, plain.upper()}
    strictly = set(work.session.exec(found.where(col(Exam.accession).in_(ways))).all())
    if strictly or not loose:
        return strictly
    bare = normalise_identifier(accession, ignore_zeros_and_hyphens=True)
    stripped = func.ltrim(func.replace(func.replace(func.lower(Exam.accession), "-", ""), " ", ""), "0")
    return set(work.session.exec(found.where(stripped == bare)).all())


def _holding(work: Work, batch: Batch) -> set[int]:
    """Return the exams that images of this Study UID under another identity are filed to."""
    if not batch.study_uid:  # objects without one have nothing in common
        return set()
    others = select(Batch.exam_id).where(
        Batch.site == batch.site, Batch.study_uid == batch.study_uid, Batch.identity_key != batch.identity_key,
        Batch.state == BatchState.FILED, Batch.received > 0,
    )  # fmt: skip
    return {exam_id for exam_id in work.session.exec(others) if exam_id is not None}


def _lookalikes(work: Work, site: str, name: str) -> set[int | None]:
    key = same_name_key(name) if not is_placeholder(name) else ""
    if not key:
        return set()
    found = select(Exam.id, Exam.site).join(Patient, col(Patient.id) == Exam.patient_id)
    found = found.where(Patient.same_name == key).order_by(col(Exam.queued_at).desc()).limit(_LOOKALIKES)
    return {exam_id for exam_id, where in work.session.exec(found) if where == site}


def _at_the_camera(work: Work, batch: Batch, names: frozenset[str]) -> set[int | None]:
    """Return the exams planned for the batch's device at about the time it arrived."""
    found = select(Exam.id).join(Step, col(Step.exam_id) == Exam.id).where(
        Exam.site == batch.site, col(Exam.device).in_(names), col(Exam.state).not_in(EXAM_CLOSED),
        Exam.images_received == 0, col(Step.state).in_(list(StepState)),  # every state: the index begins with it
        col(Step.planned_at) >= batch.first_at - _AROUND, col(Step.planned_at) <= batch.first_at + _AROUND,
    )  # fmt: skip
    return set(work.session.exec(found.limit(_LOOKALIKES)).all())


def _families(work: Work, patient_ids: Iterable[int]) -> dict[int, list[Patient]]:
    """Group patients by the survivor of their merges: {survivor: [survivor, merged, ...]}."""
    rows: dict[int, Patient] = {}
    fresh = set(patient_ids)
    while fresh:
        near = or_(col(Patient.id).in_(fresh), col(Patient.merged_into).in_(fresh))
        found = work.session.exec(select(Patient).where(near)).all()
        new = [row for row in found if row.id not in rows]
        rows |= {row.id or 0: row for row in found}
        fresh = {row.merged_into for row in new if row.merged_into} - set(rows) | {row.id or 0 for row in new} - fresh
    families: dict[int, list[Patient]] = defaultdict(list)
    for row in rows.values():
        root = row
        while root.merged_into:
            root = rows[root.merged_into]
        families[root.id or 0].insert(0 if row is root else len(families[root.id or 0]), row)
    return families


def _put_together(
    work: Work, site: str, asked: Asked, families: dict[int, list[Patient]], exams: Sequence[Exam], holding: set[int]
) -> list[KnownPatient]:
    root_of = {row.id or 0: root for root, family in families.items() for row in family}
    theirs: dict[int, list[KnownExam]] = defaultdict(list)
    for exam, shape in zip(exams, _exams(work, site, asked, exams, holding), strict=True):
        theirs[root_of[exam.patient_id]].append(shape)
    numbers: dict[int, set[str]] = defaultdict(set)
    said = select(Identifier.patient_id, Identifier.normalised).where(col(Identifier.patient_id).in_(root_of))
    for patient_id, normalised in work.session.exec(said):
        numbers[root_of[patient_id]].add(normalised)
    return [_patient(families[root][0], numbers[root], theirs[root]) for root in sorted(families)]


def _patient(row: Patient, numbers: set[str], exams: Sequence[KnownExam]) -> KnownPatient:
    name = f"{row.name}={row.name_ideographic}".rstrip("=")
    born = row.birth_date if row.birth_date_known == BirthDateKnown.EXACT else None
    known_by = frozenset(numbers | {normalise_identifier(row.number)})
    return KnownPatient(row.id or 0, known_by, name, born, row.sex, tuple(exams))


def _exams(work: Work, site: str, asked: Asked, exams: Sequence[Exam], holding: set[int]) -> list[KnownExam]:
    parts = _body_parts(work, site, {exam.procedure for exam in exams})
    steps: dict[int, list[Step]] = defaultdict(list)
    for step in work.session.exec(select(Step).where(col(Step.exam_id).in_([exam.id for exam in exams]))):
        steps[step.exam_id].append(step)
    return [_exam(exam, steps[exam.id or 0], asked, parts, holding) for exam in exams]


def _exam(exam: Exam, steps: Sequence[Step], asked: Asked, parts: dict[str, str], holding: set[int]) -> KnownExam:
    devices = {name for step in steps for name in step.devices} | ({exam.device} if exam.device else set())
    if devices & asked.names:  # by pool or another of its names
        devices.add(asked.sent.device)
    moments = [at for step in steps if (at := step.started_at or step.planned_at)]
    return KnownExam(
        id=exam.id or 0, accession=exam.accession, study_uid=exam.study_instance_uid, state=ExamState(exam.state),
        holds_study=exam.id in holding, modality=exam.modality, body_part=parts.get(exam.procedure, ""),
        devices=frozenset(devices), at=min(moments, default=exam.queued_at),
    )  # fmt: skip


def _body_parts(work: Work, site: str, codes: set[str]) -> dict[str, str]:
    found = select(Procedure.code, Procedure.body_part).where(Procedure.site == site, col(Procedure.code).in_(codes))
    return dict(work.session.exec(found).all())


def candidates_of(work: Work, batch: Batch) -> list[Match]:
    """Return the exams a batch may belong to as things stand, the likeliest first."""
    asked = ask(work, batch)
    found = matching_rule.candidates(asked.sent, _known(work, batch, asked, widely=True), loose=asked.loose)
    return found[:_MOST_CANDIDATES]


def match_of(work: Work, batch: Batch, exam: Exam) -> Match:
    """Lay one exam beside a batch, whether it is a candidate or not."""
    asked = ask(work, batch)
    families = _families(work, {exam.patient_id})
    patients = _put_together(work, batch.site, asked, families, [exam], _holding(work, batch))
    return matching_rule.compare(asked.sent, patients, loose=asked.loose)[0]
