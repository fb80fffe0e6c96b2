"""The rule by which images find their exam, as a pure function of what was sent and what is registered.

Two keys that agree file a batch; nothing else does. What is not filed gets its candidates, scored, with the reasons and
the fields that differ. Nothing here knows a database, so that the rule can be tried against anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from core.naming import Agreement, is_placeholder, names_agree, normalise_identifier
from core.vocabulary import EXAM_CLOSED, BatchState, ExamState


class Field(StrEnum):
    """What can agree or differ between a batch and an exam, as people read it."""

    NUMBER = "patient number"
    ACCESSION = "accession"
    STUDY_UID = "study uid"
    NAME = "name"
    SEX = "sex"
    BIRTH_DATE = "birth date"
    MODALITY = "modality"
    BODY_PART = "body part"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Sent:
    """What a batch says of itself; empty where it says nothing."""

    study_uid: str = ""
    number: str = ""
    accession: str = ""
    name: str = ""
    birth_date: date | None = None
    sex: str = ""
    modality: str = ""
    body_part: str = ""
    device: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class KnownExam:
    """An exam as registered. `holds_study`: images of the batch's Study UID are filed to it already."""

    id: int
    accession: str
    study_uid: str = ""
    state: ExamState = ExamState.REGISTERED
    holds_study: bool = False
    modality: str = ""
    body_part: str = ""
    devices: frozenset[str] = frozenset()
    at: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether it still takes images by itself."""
        return self.state not in EXAM_CLOSED


@dataclass(frozen=True, slots=True)
class KnownPatient:
    """A patient as registered: every number they go by, normalised, and their exams; merged records are one patient."""

    id: int
    numbers: frozenset[str] = frozenset()
    name: str = ""
    birth_date: date | None = None  # None where it is unknown or estimated
    sex: str = ""
    exams: tuple[KnownExam, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rule says of a batch: where it belongs, or which exam it contradicts, and why."""

    state: BatchState
    exam: int | None = None
    contradicts: int | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """One exam laid beside what was sent: what agrees, what differs; the rest says nothing."""

    exam: KnownExam
    patient: KnownPatient
    agrees: frozenset[Field]
    differs: frozenset[Field]
    opposite_sex: bool = False
    near: bool = False  # planned for about the time the images were made

    @property
    def keys(self) -> int:
        """How many of the three keys agree."""
        return len(self.agrees & _KEYS)

    @property
    def contradictions(self) -> frozenset[Field]:
        """What contradicts hard: the opposite sex, or two of sex, birth date and name; empty when nothing does."""
        of_the_person = self.differs & _PERSON
        return of_the_person if self.opposite_sex or len(of_the_person) > 1 else frozenset()

    @property
    def score(self) -> float:
        """How well it fits, 0 to 1."""
        said = sum(_WEIGHT[one] for one in self.agrees) - sum(_PENALTY[one] for one in self.differs)
        said += 0.05 * self.near - 0.1 * (not self.exam.open) - 0.2 * self.opposite_sex
        return round(min(1.0, max(0.0, said)), 2)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is proposed, and what speaks against it, in short words."""
        said = [f"{one} agrees" for one in Field if one in self.agrees]
        said += ["planned for about this time"] * self.near
        said += [f"{one} differs" for one in Field if one in self.differs]
        return (*said, *([] if self.exam.open else [f"the exam is {self.exam.state}"]))


_KEYS = frozenset({Field.NUMBER, Field.ACCESSION, Field.STUDY_UID})
_PERSON = frozenset({Field.NAME, Field.SEX, Field.BIRTH_DATE})
_WEIGHT = {
    Field.NUMBER: 0.35, Field.ACCESSION: 0.4, Field.STUDY_UID: 0.4, Field.NAME: 0.12, Field.BIRTH_DATE: 0.1,
    Field.SEX: 0.02, Field.MODALITY: 0.02, Field.BODY_PART: 0.02, Field.DEVICE: 0.05,
}  # fmt: skip
_PENALTY = {
    Field.NUMBER: 0.15, Field.ACCESSION: 0.15, Field.STUDY_UID: 0.1, Field.NAME: 0.15, Field.BIRTH_DATE: 0.15,
    Field.SEX: 0.1, Field.MODALITY: 0.1, Field.BODY_PART: 0.05, Field.DEVICE: 0.02,
}  # fmt: skip
_NEAR = timedelta(hours=12)
_WORTH_SHOWING = 0.1
_OPPOSITE = frozenset({"M", "F"})


def decide(sent: Sent, patients: Sequence[KnownPatient], *, loose: bool = False) -> Verdict:
    """Decide one batch.

    Parameters
    ----------
    patients
        At least everybody whom a key of the batch points to: by number, accession, issued Study UID, or because images
        of the Study UID are filed to them.
    loose
        The site ignores leading zeros and hyphens in numbers, where the result is unique.
    """
    matches = compare(sent, patients, loose=loose)
    clash = _clash(sent, matches, _owners(sent.number, patients, loose=loose))
    if clash:
        return clash
    full = [match for match in matches if match.keys > 1]
    if len(full) != 1:
        return Verdict(BatchState.UNFILED, reasons=_why_unfiled(sent, matches, full))
    return _settled(full[0], sent)


def compare(sent: Sent, patients: Sequence[KnownPatient], *, loose: bool = False) -> list[Match]:
    """Lay every exam beside what was sent, the best match first."""
    owners = _owners(sent.number, patients, loose=loose)
    named = _named(sent.accession, [exam for patient in patients for exam in patient.exams], loose=loose)
    found = []
    for patient in patients:
        person = _person(sent, patient, owned=patient.id in owners)
        found += [_match(sent, patient, exam, {**person, **_order(sent, exam, named)}) for exam in patient.exams]
    return sorted(found, key=lambda match: (-match.keys, -match.score, not match.exam.open, match.exam.id))


def candidates(sent: Sent, patients: Sequence[KnownPatient], *, loose: bool = False) -> list[Match]:
    """Return the exams a person may choose from: those with a key, a name or a place in the camera's day in common."""
    telling = _KEYS | {Field.NAME, Field.DEVICE}
    found = compare(sent, patients, loose=loose)
    return [match for match in found if match.keys or (match.agrees & telling and match.score >= _WORTH_SHOWING)]


def _person(sent: Sent, patient: KnownPatient, *, owned: bool) -> dict[Field, bool | None]:
    """Say what agrees (True) and differs (False) of the person; None where either says nothing."""
    return {
        Field.NUMBER: owned if not is_placeholder(sent.number) else None,
        Field.NAME: {Agreement.AGREE: True, Agreement.DIFFER: False}.get(names_agree(sent.name, patient.name)),
        Field.SEX: _same(sent.sex, patient.sex),
        Field.BIRTH_DATE: _same(sent.birth_date, patient.birth_date),
    }


def _order(sent: Sent, exam: KnownExam, named: frozenset[int]) -> dict[Field, bool | None]:
    """Say the same of what was ordered; a Study UID of the camera's own making says nothing."""
    return {
        Field.ACCESSION: exam.id in named if not is_placeholder(sent.accession) else None,
        Field.STUDY_UID: True if sent.study_uid and sent.study_uid == exam.study_uid else None,
        Field.MODALITY: _same(sent.modality, exam.modality),
        Field.BODY_PART: _same(sent.body_part.casefold(), exam.body_part.casefold()),
        Field.DEVICE: (sent.device in exam.devices) if sent.device and exam.devices else None,
    }


def _match(sent: Sent, patient: KnownPatient, exam: KnownExam, said: dict[Field, bool | None]) -> Match:
    return Match(
        exam, patient, frozenset(one for one, same in said.items() if same),
        frozenset(one for one, same in said.items() if same is False),
        opposite_sex={sent.sex, patient.sex} == _OPPOSITE,
        near=bool(sent.at and exam.at and abs(sent.at - exam.at) <= _NEAR),
    )  # fmt: skip


def _same(one: object, other: object) -> bool | None:
    return one == other if one and other else None


def _owners(number: str, patients: Iterable[KnownPatient], *, loose: bool) -> frozenset[int]:
    """Return the patients who go by the number sent; a placeholder is nobody's."""
    if is_placeholder(number):
        return frozenset()
    plain = normalise_identifier(number)
    strictly = frozenset(patient.id for patient in patients if plain in patient.numbers)
    if strictly or not loose:
        return strictly
    bare = _bare(number)
    loosely = frozenset(patient.id for patient in patients if bare in {_bare(known) for known in patient.numbers})
    return loosely if len(loosely) == 1 else frozenset()


def _named(accession: str, exams: Iterable[KnownExam], *, loose: bool) -> frozenset[int]:
    """Return the exam of the accession sent; a placeholder names none."""
    if is_placeholder(accession):
        return frozenset()
    exams = list(exams)
    plain = normalise_identifier(accession)
    strictly = frozenset(exam.id for exam in exams if normalise_identifier(exam.accession) == plain)
    if strictly or not loose:
        return strictly
    loosely = frozenset(exam.id for exam in exams if _bare(exam.accession) == _bare(accession))
    return loosely if len(loosely) == 1 else frozenset()


def _bare(number: str) -> str:
    return normalise_identifier(number, ignore_zeros_and_hyphens=True)


# -- clashes ---------------------------------------------------------------------------------------------------------


def _clash(sent: Sent, matches: Sequence[Match], owners: frozenset[int]) -> Verdict | None:
    """Tell when the batch's keys point to different exams or people; None when they do not."""
    named = [match for match in matches if Field.ACCESSION in match.agrees]
    issued = [match for match in matches if Field.STUDY_UID in match.agrees]
    for match in (*issued, *(match for match in matches if match.exam.holds_study)):
        whose = _another_person(sent, match)
        if whose:
            said = f"the study uid belongs to {match.exam.accession}, a patient {whose}"
            return _conflict(_best(matches, match), said)
        if any(other.patient.id != match.patient.id for other in named):
            said = f"the study uid belongs to {match.exam.accession}, the accession is another patient's"
            return _conflict(_best(matches, match), said)
    if issued and named and {match.exam.id for match in issued} != {match.exam.id for match in named}:
        said = f"the study uid was issued for {issued[0].exam.accession}, the accession is {named[0].exam.accession}"
        return _conflict(_best(matches, named[0]), said)
    if owners and any(match.patient.id not in owners for match in named):
        said = f"the accession is {named[0].exam.accession}'s, the patient number is another patient's"
        return _conflict(_best(matches, named[0]), said)
    return None


def _another_person(sent: Sent, match: Match) -> str:
    """Say how the batch shows another person than the match's patient; empty when it does not."""
    if Field.NUMBER in match.differs:
        return "of another number"
    if not is_placeholder(sent.number) or not match.contradictions:
        return ""
    return f"whose {_differ(match.contradictions)}"


def _best(matches: Sequence[Match], otherwise: Match) -> Match:
    """Return the exam that a clashing batch contradicts: the one with two keys, else the one named."""
    return next((match for match in matches if match.keys > 1), otherwise)


def _conflict(match: Match, reason: str) -> Verdict:
    return Verdict(BatchState.CONFLICTING, contradicts=match.exam.id, reasons=(reason,))


# -- without a clash -------------------------------------------------------------------------------------------------


def _settled(match: Match, sent: Sent) -> Verdict:
    """Decide for the only exam with at least two keys, no key pointing elsewhere."""
    agreed = _listed(match.agrees & _KEYS)
    if match.contradictions:
        return _conflict(match, f"{agreed} are {match.exam.accession}'s, but {_differ(match.contradictions)}")
    if not match.exam.open:
        why = f"{agreed} are {match.exam.accession}'s, which is {match.exam.state}: reopen it, or file elsewhere"
        return Verdict(BatchState.UNFILED, reasons=(why,))
    if Field.ACCESSION in match.differs:
        why = f"{agreed} are {match.exam.accession}'s, but the accession sent is another: {sent.accession}"
        return Verdict(BatchState.UNFILED, reasons=(why,))
    return Verdict(BatchState.FILED, exam=match.exam.id, reasons=(f"{agreed} agree",))


def _why_unfiled(sent: Sent, matches: Sequence[Match], full: Sequence[Match]) -> tuple[str, ...]:
    """Say what a batch lacks."""
    if full:
        return (f"{len(full)} exams agree equally: {', '.join(match.exam.accession for match in full[:4])}",)
    said = []
    keyed = [match for match in matches if match.keys]
    if keyed:
        said.append(f"only the {_listed(keyed[0].agrees & _KEYS)} agrees: two keys are needed")
    if is_placeholder(sent.number):
        said.append("no patient number was sent")
    elif not any(Field.NUMBER in match.agrees for match in matches):
        said.append("the patient number has no registered exam")
    if is_placeholder(sent.accession):
        said.append("no accession was sent")
    elif not any(Field.ACCESSION in match.agrees for match in matches):
        said.append("the accession is not registered")
    return tuple(said)


def _differ(fields: frozenset[Field]) -> str:
    return f"{_listed(fields)} {'differs' if len(fields) == 1 else 'differ'}"


def _listed(fields: Iterable[Field]) -> str:
    """Say fields as people do: `patient number, name and sex`."""
    words = [one.value for one in Field if one in fields]
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)
