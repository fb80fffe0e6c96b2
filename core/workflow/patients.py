"""Registered patients: who they are, the numbers they go by, and records that turn out to be one person.

A duplicate is shown before it can be made. A merge points to the survivor and rewrites no rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from sqlmodel import col, delete, or_, select

from core import access, audit, course, wire
from core.access import Actor
from core.errors import Invalid, NotFound, Refused
from core.model import Exam, Identifier, Patient, PatientMerge, PatientTerm, Visit
from core.naming import (
    Person,
    PersonName,
    build_name,
    mask_national_id,
    normalise_query,
    read_national_id,
    same_name_key,
    search_terms,
)
from core.naming import similar as likeness
from core.records import Work
from core.vocabulary import BirthDateKnown, Extent, IdentifierKind, Identity, Operation
from core.workflow import numbering

_WORTH_A_WARNING = 0.5
_MOST_COMPARED = 500
_LONGEST_NUMBER = 64
_PREFIX_END = "\U0010ffff"


# -- finding ---------------------------------------------------------------------------------------------------------


def find_patient(work: Work, reference: str, site: str, *, follow: bool = True) -> Patient:
    """Return the patient a number, an accession or an id names; a merged record leads to its survivor.

    Raises
    ------
    NotFound
        When nobody, or more than one, answers to it.
    """
    ids = _named(work, reference.strip(), site)
    found = {course.survivor_id(work, one) for one in ids} if follow else set(ids)
    if len(found) != 1:
        how_many = "nobody" if not found else f"{len(found)} patients"
        msg = f"{how_many} answers to '{reference}': give a patient number, an accession number or an id"
        raise NotFound(msg)
    patient = work.session.get(Patient, found.pop())
    if patient is None:
        msg = f"nobody answers to '{reference}'"
        raise NotFound(msg)
    return patient


def _named(work: Work, reference: str, site: str) -> list[int]:
    ask = work.session.exec
    numbers = select(Identifier.patient_id).where(Identifier.site == site)
    finders = [
        select(Patient.id).where(Patient.site == site, Patient.number == reference),
        numbers.where(Identifier.normalised == numbering.normalised(reference)).distinct(),
        select(Exam.patient_id).where(Exam.site == site, Exam.accession == reference),
    ]
    if reference.isdecimal() and len(reference) < 18:  # noqa: PLR2004 - what a database integer holds
        finders.append(select(Patient.id).where(Patient.site == site, Patient.id == int(reference)))
    for finder in finders:
        if found := [one for one in ask(finder).all() if one is not None]:
            return found
    return []


def show(work: Work, actor: Actor, reference: str) -> wire.Patient:
    """Return a patient with visits and exams."""
    patient = find_patient(work, reference, actor.site)
    _may_see(work, actor, patient)
    return shape(work, patient)


def _may_see(work: Work, actor: Actor, patient: Patient) -> None:
    own = False
    if access.reach(actor, Operation.FIND) is Extent.OWN:
        theirs = select(Exam.id).where(col(Exam.patient_id).in_(course.one_person(work, patient.id)))
        own = work.session.exec(theirs.where(Exam.assigned_to == actor.name)).first() is not None
    access.require(actor, Operation.FIND, own=own)


def find(work: Work, actor: Actor, query: str, limit: int = 20) -> list[wire.Patient]:
    """Return the patients found by number, name in any script, pinyin, initials, phone, birth date or national id."""
    access.require(actor, Operation.FIND, own=True)
    term = normalise_query(query)
    if not term:
        return []
    found = select(Patient).where(Patient.site == actor.site, col(Patient.id).in_(with_term(term)))
    if access.reach(actor, Operation.FIND) is Extent.OWN:
        found = found.where(col(Patient.id).in_(select(Exam.patient_id).where(Exam.assigned_to == actor.name)))
    typed = col(Patient.number).in_((query.strip(), query.strip().upper())).desc()  # ever so many numbers may begin so
    found = found.order_by(typed, col(Patient.changed_at).desc(), col(Patient.id))
    rows = work.session.exec(found.limit(2 * limit)).all()
    survivors = dict.fromkeys(course.survivor_id(work, row.id) for row in rows)
    patients = [work.session.get_one(Patient, one) for one in survivors][:limit]
    patients.sort(key=lambda patient: patient.number.casefold() != query.strip().casefold())
    return shapes(work, patients)


def with_term(term: str) -> Any:  # noqa: ANN401 - a subquery of SQLAlchemy's
    """Return the subquery of patient ids that have a term beginning with `term`."""
    return select(PatientTerm.patient_id).where(PatientTerm.term >= term, PatientTerm.term < term + _PREFIX_END)


def similar(work: Work, actor: Actor, person: Person) -> list[wire.Patient]:
    """Return the patients who look like this one, the likest first."""
    access.require(actor, Operation.FIND)
    return shapes(work, _similar(work, actor.site, person))


def _similar(work: Work, site: str, person: Person) -> list[Patient]:
    keys = [same_name_key(person.name)] if person.name else []
    terms = [normalise_query(text) for text in (person.phone, *person.numbers) if text]
    by_term = select(PatientTerm.patient_id).where(col(PatientTerm.term).in_(terms))
    found = select(Patient).where(Patient.site == site, col(Patient.merged_into).is_(None))
    found = found.where(or_(col(Patient.same_name).in_(keys), col(Patient.id).in_(by_term)))
    if person.birth_date:
        found = found.order_by((col(Patient.birth_date) == person.birth_date).desc())
    rows = work.session.exec(found.limit(_MOST_COMPARED)).all()
    weighed = [(likeness(person, _person(work, row)).score, row) for row in rows]
    likely = [pair for pair in weighed if pair[0] >= _WORTH_A_WARNING]
    return [row for _, row in sorted(likely, key=lambda pair: (-pair[0], pair[1].number))]


def _person(work: Work, patient: Patient) -> Person:
    values = tuple(identifier.value for identifier in _identifiers(work, [patient.id]))
    return Person(_name(patient), patient.birth_date, patient.phone, values)


def _name(patient: Patient) -> PersonName:
    return PersonName.parse(f"{patient.name}={patient.name_ideographic}")


def _identifiers(work: Work, ids: Iterable[int | None]) -> list[Identifier]:
    found = select(Identifier).where(col(Identifier.patient_id).in_(list(ids)))
    return list(work.session.exec(found.order_by(col(Identifier.primary).desc(), col(Identifier.id))))


# -- registering -----------------------------------------------------------------------------------------------------


def add(work: Work, actor: Actor, form: wire.NewPatient) -> wire.Patient:
    """Register a patient; a number is made when none is given.

    Raises
    ------
    Refused
        When the number or national id is somebody's already, or similar patients exist and are not accepted.
    Invalid
        When name, number, national id or birth date make no sense, or contradict each other.
    """
    access.require(actor, Operation.REGISTER)
    temporary = form.identity is Identity.TEMPORARY
    number = _free_number(work, actor.site, form.number, temporary=temporary)
    patient = Patient(
        site=actor.site, number=number, phone=form.phone, address=form.address, allergies=form.allergies,
        alerts=form.alerts, identity=form.identity, registered_at=work.now, changed_at=work.now,
    )  # fmt: skip
    _set_name(patient, form.name or (f"UNKNOWN^{number}" if temporary else ""))
    _set_birth_and_sex(work, patient, form)
    if not form.accept_similar:
        _refuse_similar(work, patient, [value.value for value in form.identifiers])
    work.add(patient)
    kind = IdentifierKind.TEMPORARY if temporary and not form.number else IdentifierKind.HOSPITAL
    _add_identifier(work, patient, wire.NewIdentifier(kind=kind, value=number), primary=True)
    _add_national_id(work, patient, form.national_id)
    for identifier in form.identifiers:
        _add_identifier(work, patient, identifier)
    _index(work, patient)
    audit.record(work, actor, "patient.add", number, identity=patient.identity, accepted_similar=form.accept_similar)
    work.tell(actor.site, "patient", number)
    return shape(work, patient)


def _free_number(work: Work, site: str, number: str | None, *, temporary: bool) -> str:
    if not number:
        return numbering.patient_number(work, site, temporary=temporary)
    number = numbering.given(number, "patient number", longest=_LONGEST_NUMBER)
    if _named_by_number(work, site, number):
        msg = f"patient number {number} is given already: open that patient, or give another number"
        raise Refused(msg)
    return number


def _named_by_number(work: Work, site: str, number: str) -> Patient | None:
    values = select(Identifier.patient_id).where(Identifier.site == site)
    values = values.where(Identifier.normalised == numbering.normalised(number))
    found = select(Patient).where(Patient.site == site)
    return work.session.exec(found.where(or_(Patient.number == number, col(Patient.id).in_(values)))).first()


def _set_name(patient: Patient, typed: str) -> None:
    name = build_name(typed)
    patient.name, patient.name_ideographic = str(name.alphabetic), str(name.ideographic)
    patient.same_name = same_name_key(name)[:200] if patient.identity == Identity.KNOWN else ""


def _set_birth_and_sex(work: Work, patient: Patient, form: wire.NewPatient | wire.PatientChange) -> None:
    """Take birth date and sex from the form and the national id; refuse what contradicts."""
    today = wire.local(work.now).date()
    born, sex = form.birth_date or patient.birth_date, form.sex or patient.sex
    known = form.birth_date_known
    if form.national_id:
        read = read_national_id(form.national_id, today=today)
        estimated = known in {BirthDateKnown.ESTIMATED, BirthDateKnown.UNKNOWN}
        guessed = estimated or patient.birth_date_known != BirthDateKnown.EXACT
        if form.birth_date and form.birth_date != read.birth_date and not estimated:
            msg = "the birth date differs from the national id's: correct one of them"
            raise Invalid(msg)
        if not form.birth_date and born and born != read.birth_date and not guessed:
            msg = "the birth date on record differs from the national id's: correct one of them"
            raise Invalid(msg)
        if sex and sex not in {read.sex, "O"}:
            msg = "the sex differs from the national id's: correct one of them"
            raise Invalid(msg)
        born, sex, known = read.birth_date, sex or read.sex, BirthDateKnown.EXACT
    _check_birth(born, known, today)
    if known is BirthDateKnown.UNKNOWN:
        born = None
    patient.birth_date, patient.sex = born, sex
    exact = BirthDateKnown.EXACT if born else BirthDateKnown.UNKNOWN
    kept = patient.birth_date_known if born and not form.birth_date and patient.id else exact
    patient.birth_date_known = known or BirthDateKnown(kept)


def _check_birth(born: date | None, known: BirthDateKnown | None, today: date) -> None:
    if born and not date(1850, 1, 1) <= born <= today:
        msg = f"{born} cannot be a birth date: give it as YYYY-MM-DD, not after today"
        raise Invalid(msg)
    if not born and known in {BirthDateKnown.EXACT, BirthDateKnown.ESTIMATED}:
        msg = f"an {known} birth date has to be given: write it as YYYY-MM-DD, or say that it is unknown"
        raise Invalid(msg)


def _refuse_similar(work: Work, patient: Patient, numbers: list[str]) -> None:
    known = patient.identity == Identity.KNOWN
    person = Person(_name(patient) if known else PersonName(), patient.birth_date, patient.phone, tuple(numbers))
    alike = _similar(work, patient.site, person)
    if alike:
        msg = (
            f"similar to {', '.join(one.number for one in alike[:8])}: open that patient, or accept that it is another"
        )
        raise Refused(msg)


def _add_national_id(work: Work, patient: Patient, text: str) -> None:
    if text:
        number = read_national_id(text).number
        _add_identifier(work, patient, wire.NewIdentifier(kind=IdentifierKind.NATIONAL_ID, value=number))


def _add_identifier(work: Work, patient: Patient, new: wire.NewIdentifier, *, primary: bool = False) -> None:
    secret = new.kind is IdentifierKind.NATIONAL_ID
    value = read_national_id(new.value).number if secret else new.value
    value = numbering.given(value, f"{new.kind} number", longest=_LONGEST_NUMBER)
    same = select(Identifier).where(Identifier.site == patient.site, Identifier.issuer == new.issuer)
    same = same.where(Identifier.normalised == numbering.normalised(value))
    people = course.one_person(work, patient.id)
    for other in work.session.exec(same):
        if other.patient_id not in people:
            owner = work.session.get_one(Patient, course.survivor_id(work, other.patient_id))
            said = mask_national_id(value) if secret else value
            msg = f"{new.kind} number {said} is patient {owner.number}'s already: open that patient, or merge the two"
            raise Refused(msg)
        if other.patient_id == patient.id and other.kind == new.kind:
            return
    row = Identifier(
        site=patient.site, patient_id=patient.id or 0, kind=new.kind, issuer=new.issuer, value=value,
        normalised=numbering.normalised(value), primary=primary,
    )  # fmt: skip
    work.add(row)


def _index(work: Work, patient: Patient) -> None:
    """Write the words the patient is found by anew."""
    numbers = {patient.number, *(identifier.value for identifier in _identifiers(work, [patient.id]))}
    terms = search_terms(_name(patient), numbers=numbers, phone=patient.phone, birth_date=patient.birth_date)
    work.session.exec(delete(PatientTerm).where(col(PatientTerm.patient_id) == patient.id))
    work.add(*(PatientTerm(patient_id=patient.id or 0, term=term[:128]) for term in sorted(terms)))


# -- changing --------------------------------------------------------------------------------------------------------


def change(work: Work, actor: Actor, reference: str, form: wire.PatientChange) -> wire.Patient:
    """Change what is known of a patient; a temporary identity becomes known when it gets a name."""
    access.require(actor, Operation.REGISTER)
    patient = find_patient(work, reference, actor.site)
    given = form.model_dump(exclude_none=True, exclude={"reason", "identifiers", "national_id"})
    before = {name: getattr(patient, name) for name in given}
    for name in ("phone", "address", "allergies", "alerts", "identity"):
        setattr(patient, name, given.get(name, getattr(patient, name)))
    if form.name is not None:
        if patient.identity == Identity.TEMPORARY and form.identity is None:
            patient.identity = Identity.KNOWN
        _set_name(patient, form.name)
    _set_birth_and_sex(work, patient, form)
    _add_national_id(work, patient, form.national_id or "")
    for identifier in form.identifiers or []:
        _add_identifier(work, patient, identifier)
    patient.changed_at = work.now
    work.add(patient)
    _index(work, patient)
    audit.record(work, actor, "patient.change", patient.number, before=before, reason=form.reason)
    _tell(work, patient)
    return shape(work, patient)


def _tell(work: Work, *patients: Patient) -> None:
    for patient in patients:
        work.tell(patient.site, "patient", patient.number)


def merge(work: Work, actor: Actor, reference: str, form: wire.Merge) -> wire.Patient:
    """Declare that two records are one person; the second speaks for both from now on."""
    access.require(actor, Operation.MERGE_PATIENTS)
    merged = find_patient(work, reference, actor.site)
    survivor = find_patient(work, form.into, actor.site)
    if merged.id == survivor.id:
        msg = f"{reference} and {form.into} are one record already: nothing to merge"
        raise Refused(msg)
    merged.merged_into = survivor.id
    merge_row = PatientMerge(
        site=actor.site,
        merged=merged.id or 0,
        survivor=survivor.id or 0,
        reason=form.reason,
        by=actor.name,
        at=work.now,
    )
    work.add(merged, merge_row)
    audit.record(work, actor, "patient.merge", merged.number, into=survivor.number, reason=form.reason)
    _tell(work, merged, survivor)
    return shape(work, survivor)


def unmerge(work: Work, actor: Actor, reference: str, form: wire.Undo) -> wire.Patient:
    """Take a merge back; the record named, or the one merged last into it, speaks for itself again."""
    access.require(actor, Operation.MERGE_PATIENTS)
    named = find_patient(work, reference, actor.site, follow=False)
    found = select(PatientMerge).where(col(PatientMerge.undone_at).is_(None))
    found = found.where(or_(PatientMerge.merged == named.id, PatientMerge.survivor == named.id))
    own_first = (col(PatientMerge.merged) == named.id).desc()
    row = work.session.exec(found.order_by(own_first, col(PatientMerge.id).desc())).first()
    if row is None:
        msg = f"{named.number} was not merged: nothing to undo"
        raise Refused(msg)
    merged = work.session.get_one(Patient, row.merged)
    survivor = work.session.get_one(Patient, row.survivor)
    merged.merged_into, row.undone_at, row.undone_by = None, work.now, actor.name
    work.add(merged, row)
    audit.record(work, actor, "patient.unmerge", merged.number, was_into=survivor.number, reason=form.reason)
    _tell(work, merged, survivor)
    return shape(work, merged)


# -- showing ---------------------------------------------------------------------------------------------------------


def shape(work: Work, patient: Patient) -> wire.Patient:
    """Return a patient as they travel, with the visits and exams of every record merged into theirs."""
    people = course.one_person(work, patient.id)
    out = _shape(patient, _identifiers(work, people))
    visits = select(Visit).where(col(Visit.patient_id).in_(people)).order_by(col(Visit.at).desc())
    out.visits = [_visit(visit) for visit in work.session.exec(visits)]
    exams = select(Exam).where(col(Exam.patient_id).in_(people)).order_by(col(Exam.registered_at).desc())
    rows = work.session.exec(exams.order_by(col(Exam.id).desc())).all()
    out.exams = [exam.accession for exam in rows]
    out.same_name_today = bool(course.namesakes_today(work, [patient]))
    if patient.merged_into:
        out.merged_into = work.session.get_one(Patient, course.survivor_id(work, patient.id)).number
    if rows:
        out.last_visit_at, out.last_procedure = wire.local(rows[0].queued_at), rows[0].procedure
    return out


def shapes(work: Work, patients: Sequence[Patient]) -> list[wire.Patient]:
    """Return patients for a list: without visits and exams, with when and for what they came last."""
    ids = [patient.id for patient in patients]
    identifiers: dict[int, list[Identifier]] = {}
    for identifier in _identifiers(work, ids):
        identifiers.setdefault(identifier.patient_id, []).append(identifier)
    last: dict[int, Exam] = {}
    for exam in work.session.exec(select(Exam).where(col(Exam.patient_id).in_(ids)).order_by(col(Exam.queued_at))):
        last[exam.patient_id] = exam
    namesakes = course.namesakes_today(work, patients)
    out = []
    for patient in patients:
        one = _shape(patient, identifiers.get(patient.id or 0, []))
        one.same_name_today = patient.id in namesakes
        if latest := last.get(patient.id or 0):
            one.last_visit_at, one.last_procedure = wire.local(latest.queued_at), latest.procedure
        out.append(one)
    return out


def _shape(patient: Patient, identifiers: list[Identifier]) -> wire.Patient:
    return wire.Patient(
        number=patient.number, name=patient.name, name_ideographic=patient.name_ideographic,
        birth_date=patient.birth_date, birth_date_known=BirthDateKnown(patient.birth_date_known), sex=patient.sex,
        phone=patient.phone, address=patient.address, allergies=patient.allergies, alerts=patient.alerts,
        identity=Identity(patient.identity), site=patient.site,
        identifiers=[_identifier(row, patient) for row in identifiers],
    )  # fmt: skip


def _identifier(row: Identifier, patient: Patient) -> wire.Identifier:
    kind = IdentifierKind(row.kind)
    value = mask_national_id(row.value) if kind is IdentifierKind.NATIONAL_ID else row.value
    primary = row.primary and row.patient_id == patient.id
    return wire.Identifier(kind=kind, value=value, issuer=row.issuer, primary=primary)


def _visit(visit: Visit) -> wire.Visit:
    fields = {name: getattr(visit, name) for name in wire.Visit.model_fields}
    return wire.Visit.model_validate({**fields, "at": wire.local(visit.at)})
