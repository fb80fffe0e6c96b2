"""What must hold at the end of the played day: each claim is what the script did beside what the service says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from core import audit
from core.archive import proof
from core.demo.cases import Ending, Mistake, Stage
from core.demo.day import Day
from core.demo.tally import Fate

_ALL = 1000
_EVENING = {Stage.SIGNED: "reported", Stage.AMENDED: "reported"}
_ENDED = {Ending.CANCELLED: "cancelled", Ending.NOT_DONE: "not_done"}


@dataclass(frozen=True, slots=True)
class Claim:
    """Something said, what it must be, and what was found."""

    text: str
    expected: int
    found: int

    @property
    def holds(self) -> bool:
        """Whether both are the same."""
        return self.expected == self.found


def at_noon(day: Day) -> list[Claim]:
    """Return what must hold before anybody puts a mistake right."""
    return list(_at_noon(day))


def _at_noon(day: Day) -> Iterator[Claim]:
    tally, batches = day.tally, _batches(day)
    for fate in (Fate.UNFILED, Fate.CONFLICTING, Fate.QC):
        there = [one for one in batches if one["state"] == fate]
        yield Claim(f"studies {_words(fate)}", tally.batches(fate), len(there))
        yield Claim(f"objects {_words(fate)}", tally.objects(fate), sum(one["received"] for one in there))
    with_candidate = sum(bool(one["candidates"]) for one in batches if one["state"] == Fate.UNFILED)
    yield Claim("unfiled studies with the right exam among the candidates", 2, with_candidate)


def in_the_evening(day: Day) -> list[Claim]:
    """Return what must hold when the day is over."""
    return [*_people(day), *_objects(day), *_reports(day), *_proof(day)]


def _people(day: Day) -> Iterator[Claim]:
    tally, exams = day.tally, _exams(day)
    registered = {exam["patient_number"] for exam in exams.values()}
    yield Claim("patients registered", len(tally.numbers), len(registered))
    yield Claim("exams registered", tally.exams, len(exams))
    wanted = {file.accession: _state(file.case.ending, file.case.evening) for file in day.today}
    as_wanted = sum(state is None or exams[accession]["state"] == state for accession, state in wanted.items())
    yield Claim("exams of today in the state the day leaves them in", len(wanted), as_wanted)
    reported_by_camera = [file for file in day.cases.files if _reported_by_camera(day, file.case.device, file.stage)]
    ended = sum(step["state"] == "done" for file in reported_by_camera for step in exams[file.accession]["steps"])
    yield Claim("steps begun and ended by the cameras' own reports (MPPS)", tally.steps_reported, ended)


def _reported_by_camera(day: Day, device: str, stage: Stage) -> bool:
    return day.department.cameras[device].profile.reports_steps and stage >= Stage.IMAGED


def _state(ending: Ending | None, evening: Stage) -> str | None:
    return _ENDED[ending] if ending else _EVENING.get(evening)


def _objects(day: Day) -> Iterator[Claim]:
    tally, service = day.tally, day.department.service
    with service.records.reading() as work:
        kept = Counter(one.sop_uid for one in proof.acknowledged(work))
    yield Claim("objects sent and acknowledged as they have to be", 0, len(tally.wrong_statuses))
    yield Claim("objects in the archive, none lost", len(tally.fates), len(set(tally.fates) & set(kept)))
    yield Claim("objects in the archive, none doubled", len(tally.fates) + len(tally.doubled), kept.total())
    apart = {one["sop_instance_uid"] for one in day.cases.who("physicist").ask("images/quarantined")}
    yield Claim("objects kept apart: the UID was used twice", len(tally.doubled), len(apart & tally.doubled))
    left = Counter(one["state"] for one in _batches(day))
    yield Claim("studies left unfiled: nobody registered for them", 1, left["unfiled"])
    yield Claim("studies left in conflict", 0, left["conflicting"])
    filed = sum(exam["images"]["received"] > 0 for exam in _exams(day).values())
    yield Claim("exams with images", _exams_imaged(day), filed)
    made = day.cases.who("physicist").ask("corrections", limit=_ALL)
    yield Claim("corrections on record", tally.corrections, len(made))
    yield Claim("corrections undone", 1, sum(one["undone_at"] is not None for one in made))
    misfiled = [file for file in day.today if file.case.mistake is Mistake.ENTRY_TAKEN]
    empty = sum(_exams(day)[file.accession]["images"]["received"] == 0 for file in misfiled)
    yield Claim("exams whose entry was taken by mistake are without images again", len(misfiled), empty)


def _exams_imaged(day: Day) -> int:
    return sum(bool(file.sent) for file in day.cases.files)


def _reports(day: Day) -> Iterator[Claim]:
    tally, exams = day.tally, _exams(day)
    states = Counter(exam["report"]["state"] for exam in exams.values())
    yield Claim("reports signed", tally.signed, states["final"] + states["amended"])
    yield Claim("reports amended", tally.amended, states["amended"])
    yield Claim(
        "locks that held: no images, contradicted images, held by a colleague, typed too late", 4, tally.refused
    )
    late = [file for file in day.today if file.case.mistake is Mistake.LATE_IMAGE]
    flagged = sum(exams[file.accession]["report"]["images_changed"] for file in late)
    yield Claim("signed reports flagged for a late image", len(late), flagged)
    closed = day.cases.who("head").ask("consultations", state="concluded")
    yield Claim("consultations concluded", 1, len(closed))


def _proof(day: Day) -> Iterator[Claim]:
    service = day.department.service
    with service.records.reading() as work:
        objects, broken = list(proof.acknowledged(work)), audit.broken_link(work)
    faults = [fault for one in objects for fault in proof.faults_of(service.keeper.store, one, deep=True)]
    yield Claim(f"faults in {len(objects)} acknowledged objects, every byte read", 0, len(faults))
    yield Claim("breaks in the audit trail", 0, int(broken is not None))


def _exams(day: Day) -> dict[str, dict[str, Any]]:
    page = day.cases.who("head").ask("exams", order="recent", limit=_ALL)
    return {exam["accession"]: exam for exam in page["items"]}


def _batches(day: Day) -> list[dict[str, Any]]:
    states = [fate.value for fate in Fate if fate is not Fate.FILED]
    batches: list[dict[str, Any]] = day.cases.who("physicist").ask("images/unfiled", state=states, limit=_ALL)
    return batches


def _words(fate: Fate) -> str:
    return {Fate.UNFILED: "unfiled", Fate.CONFLICTING: "in conflict", Fate.QC: "on the QC shelf"}[fate]
