"""What the made-up department knows it did, to be compared with what the service has on record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum, auto

from pydicom import Dataset

from core.demo.cases import Mistake
from core.demo.people import Person
from core.scu.peer import Stored
from core.workflow.catalogue import TABLE

_SUCCESS, _KEPT_APART = 0x0000, 0xB000


class Fate(StrEnum):
    """Where the rule has to put what was sent."""

    FILED = auto()
    UNFILED = auto()
    CONFLICTING = auto()
    QC = auto()


FATE_OF = {
    Mistake.ACCESSION_TYPED_WRONG: Fate.UNFILED,
    Mistake.NUMBER_TYPED_WRONG: Fate.UNFILED,
    Mistake.NUMBER_OF_ANOTHER: Fate.CONFLICTING,
}


@dataclass
class Tally:
    """Counts of what was done, kept by those who did it."""

    numbers: dict[Person, str] = field(default_factory=dict)
    exams: int = 0
    signed: int = 0
    amended: int = 0
    steps_reported: int = 0
    repeated: int = 0
    refused: int = 0
    corrections: int = 0
    fates: dict[str, Fate] = field(default_factory=dict)  # by SOP Instance UID
    studies: dict[str, Fate] = field(default_factory=dict)  # by Study Instance UID
    doubled: set[str] = field(default_factory=set)  # SOP Instance UIDs used twice
    wrong_statuses: list[str] = field(default_factory=list)
    usual_mbq: dict[str, float] = field(default_factory=lambda: {code: entry[6] for code, entry in TABLE.items()})

    def registered(self, person: Person, number: str) -> None:
        """Note that a person got a number."""
        self.numbers[person] = number

    def number_of(self, person: Person) -> str | None:
        """Return a person's number, if they have one."""
        return self.numbers.get(person)

    def somebody_but(self, number: str) -> str:
        """Return the number of another patient."""
        return next(one for one in self.numbers.values() if one != number)

    def note(self, answers: Sequence[Stored], objects: Iterable[Dataset], mistake: Mistake | None) -> None:
        """Note what was sent and where it has to go by what is wrong with it."""
        self.expect(answers, objects, FATE_OF.get(mistake, Fate.FILED) if mistake else Fate.FILED)

    def expect(self, answers: Sequence[Stored], objects: Iterable[Dataset], fate: Fate) -> None:
        """Note what was sent and where it has to go."""
        self._demand(answers, _SUCCESS)
        for one in objects:
            self.fates[str(one.SOPInstanceUID)] = fate
            self.studies.setdefault(str(one.StudyInstanceUID), fate)

    def again(self, answers: Sequence[Stored]) -> None:
        """Note objects sent a second time: a success, and nothing doubled."""
        self._demand(answers, _SUCCESS)
        self.repeated += len(answers)

    def kept_apart(self, answers: Sequence[Stored]) -> None:
        """Note objects that reuse a UID: a warning, and kept apart."""
        self._demand(answers, _KEPT_APART)
        self.doubled |= {one.sop_instance_uid for one in answers}

    def _demand(self, answers: Sequence[Stored], status: int) -> None:
        wrong = [one for one in answers if one.status != status]
        self.wrong_statuses += [f"{one.sop_instance_uid} answered {one.status}, not {status:04X}" for one in wrong]

    def objects(self, fate: Fate) -> int:
        """Count the objects that have to go there."""
        return sum(one is fate for one in self.fates.values())

    def batches(self, fate: Fate) -> int:
        """Count the studies that have to go there."""
        return sum(one is fate for one in self.studies.values())
