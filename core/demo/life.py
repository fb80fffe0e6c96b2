"""Keep the department alive at a human pace while somebody plays a role in it.

Colleagues do what waits, a little at a time, and leave to the player what is the player's. An act that is refused,
because the player was faster, is left alone.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from core.demo.caseload import CaseFile
from core.demo.cases import NM1, NM2, PETCT, SPECTCT, Case, Mistake, Stage
from core.demo.day import Day
from core.demo.people import COMING, Person
from core.errors import CoreError, Refused
from core.imaging.phantom import OF_PROCEDURE
from core.vocabulary import Role

log = logging.getLogger(__name__)

_OFFERED = (
    ("BONE-WB", SPECTCT), ("THYROID", NM2), ("RENO-DTPA", NM1), ("LUNG-PERF", NM1), ("MPI-STRESS", SPECTCT),
    ("DMSA", NM2), ("PET-FDG", PETCT), ("MUGA", NM2), ("SLN", NM2), ("RENO-MAG3", NM1),
)  # fmt: skip
_MISHAPS = (Mistake.ACCESSION_TYPED_WRONG, Mistake.NUMBER_TYPED_WRONG, Mistake.NAME_IN_PINYIN, Mistake.SENT_TWICE)
_DESK, _CAMERA, _READING = Stage.ARRIVED, Stage.IMAGED, Stage.SIGNED
# Whose act brings a case to a stage.
_DOER = {
    Stage.BOOKED: Role.CLERK, Stage.ARRIVED: Role.NURSE, Stage.TRIAGED: Role.NURSE, Stage.PROTOCOLLED: Role.DOCTOR,
    Stage.CHECKED: Role.NURSE, Stage.INJECTED: Role.TECHNOLOGIST, Stage.ON_CAMERA: Role.TECHNOLOGIST,
    Stage.IMAGED: Role.TECHNOLOGIST, Stage.DRAFTED: Role.DOCTOR, Stage.PRELIMINARY: Role.DOCTOR,
    Stage.SIGNED: Role.DOCTOR,
}  # fmt: skip
_BEFORE_IMAGES = frozenset({Stage.PROTOCOLLED, Stage.CHECKED, Stage.INJECTED, Stage.ON_CAMERA})
_REACHED = {
    "in_progress": Stage.ON_CAMERA, "acquired": Stage.IMAGED, "ready": Stage.IMAGED, "reported": Stage.SIGNED,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take, in seconds: between two acts of the department, and between two of one case."""

    act: float
    case: float
    newcomer: float
    object: float


PACES = {"human": Pace(act=6, case=25, newcomer=50, object=1.2), "fast": Pace(act=0.2, case=0.5, newcomer=1, object=0)}


class Life:
    """What goes on by itself in the department, until it is stopped."""

    def __init__(self, day: Day, pace: Pace, player: Role | None, stop: threading.Event) -> None:
        self._day, self._pace, self._player, self._stop = day, pace, player, stop
        self._cases = day.cases
        self._coming = 0
        self._next_newcomer = day.department.clock()

    def go_on(self) -> None:
        """Do one small thing after another."""
        while not self._stop.wait(self._pace.act):
            try:
                self._one_thing()
            except Refused as refused:
                log.info("left alone: %s", type(refused).__name__)
            except CoreError as error:
                log.warning("the simulated department stumbled: %s", error.detail)

    def _one_thing(self) -> None:
        now = self._day.department.clock()
        self._newcomers_of_others()
        if self._player is Role.TECHNOLOGIST:
            self._cameras_look()
        if self._player is not Role.PHYSICIST:
            self._results_accepted()
        if now >= self._next_newcomer:
            slower = 3 if self._player is Role.CLERK else 1
            self._next_newcomer = now + timedelta(seconds=self._pace.newcomer * slower)
            self._newcomer()
            return
        file = self._waiting_longest()
        if file is not None:
            self._go_on_with(file)

    def _newcomer(self) -> None:
        """Let the next patient come; those who were here before come again."""
        person = COMING[self._coming % len(COMING)]
        procedure, device = _OFFERED[self._coming % len(_OFFERED)]
        mistake = _MISHAPS[self._coming // 3 % len(_MISHAPS)] if self._coming % 3 == 2 else None
        self._coming += 1
        typed = device in (NM1, NM2)  # the others take everything from the worklist
        case = Case(person, procedure, device, Stage.NOTHING, mistake=mistake if typed else None)
        file = self._cases.open_file(case)
        self._day.today.append(file)
        self._cases.carry(file, _DESK)

    def _waiting_longest(self) -> CaseFile | None:
        """Return a case whose next act is due and not the player's."""
        now = self._day.department.clock()
        patience = timedelta(seconds=self._pace.case)
        due = [file for file in self._day.today if file.since and now - file.since >= patience and self._ours(file)]
        return min(due, key=lambda file: file.since or now, default=None)

    def _ours(self, file: CaseFile) -> bool:
        """Whether a simulated colleague does the next act of a case."""
        to = Stage(min(file.stage + 1, Stage.AMENDED))
        if to > min(file.case.evening, _READING) or file.case.ending or file.case.mistake is Mistake.ENTRY_TAKEN:
            return False
        if to > _CAMERA and file.case.mistake in (*_MISHAPS[:2], Mistake.NUMBER_OF_ANOTHER, Mistake.ANOTHER_ENTRY):
            return False  # until somebody puts it right
        if _DOER[to] is not self._player:
            return True
        return self._left_by_the_player(file)

    def _left_by_the_player(self, file: CaseFile) -> bool:
        """The second camera room and the second doctor's patients are not the player's."""
        if self._player is Role.TECHNOLOGIST:
            return file.case.device in {SPECTCT, PETCT}
        if self._player is Role.DOCTOR and file.stage >= Stage.TRIAGED:
            return self._cases.doctor_of(file).username == "doctor2"
        return False

    def _go_on_with(self, file: CaseFile) -> None:
        file.since = self._day.department.clock()  # whatever comes of it, it is not tried again at once
        self._look_at(file)
        if self._ours(file):
            self._cases.step(file)

    def _look_at(self, file: CaseFile) -> None:
        """See where the player has brought a case, and to which camera."""
        exam = self._cases.exam(file)
        file.stage = max(file.stage, stage_of(exam))
        if exam["device"] in self._day.department.cameras:
            file.case = replace(file.case, device=exam["device"])
        if exam["state"] in ("cancelled", "not_done"):
            file.case = replace(file.case, evening=file.stage)

    def _cameras_look(self) -> None:
        """Let a camera send what the player has started at it."""
        for file in self._day.today:
            if file.sent or file.case.device not in (NM1, NM2) or file.stage not in _BEFORE_IMAGES:
                continue
            exam = self._cases.exam(file)
            if any(step["state"] == "in_progress" for step in exam["steps"]):
                self._look_at(file)
                self._cases.acquire(file)
                return

    def _results_accepted(self) -> None:
        """Let the physicist accept the oldest result that waits, however it looks."""
        physicist = self._cases.who("physicist")
        made = [one["id"] for one in physicist.ask("processing", waiting=True) if one["state"] == "made"]
        if made:
            physicist.do(f"processing/{min(made)}/accept")

    def _newcomers_of_others(self) -> None:
        """Take up exams that the player registered."""
        known = {file.accession for file in self._cases.files}
        for exam in self._cases.who("tech").ask("exams", order="recent", limit=10)["items"]:
            if exam["accession"] in known or exam["procedure"] not in OF_PROCEDURE:
                continue
            born = exam["patient_birth_date"] or "1960-01-01"
            person = Person(exam["patient_name"], exam["patient_sex"], date.fromisoformat(born))
            device = next((aet for code, aet in _OFFERED if code == exam["procedure"]), NM1)
            file = self._cases.open_file(Case(person, exam["procedure"], device, Stage.NOTHING))
            file.accession, file.number = exam["accession"], exam["patient_number"]
            file.stage, file.since = stage_of(exam), self._day.department.clock()
            self._day.today.append(file)


def stage_of(exam: dict[str, Any]) -> Stage:
    """Return how far an exam has come by its own account."""
    if exam["state"] in _REACHED:
        return _REACHED[exam["state"]]
    if any(step["injected_at"] for step in exam["steps"]):
        return Stage.INJECTED
    if exam["protocolled_by"]:
        return Stage.PROTOCOLLED
    if exam["assigned_to"]:
        return Stage.TRIAGED
    return Stage.ARRIVED if exam["arrived_at"] else Stage.BOOKED
