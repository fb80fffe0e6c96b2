"""The listener alone, with services that keep what comes in memory: for tests of the engine and nothing above it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pydicom import Dataset

from core.dicom.encoding import encoded
from core.dicom.information_models import Model
from core.dimse.tls import Certificates
from core.errors import Broken, Invalid
from core.scp import Announced, Answer, Caller, Retrieved, Retrieving, Services
from core.scp.listener import Listener, Manners


@dataclass
class Shelf:
    """What came, and what is to be answered."""

    objects: dict[str, bytes] = field(default_factory=dict)
    announced: list[Announced] = field(default_factory=list)
    abandoned: list[str] = field(default_factory=list)
    pieces: int = 0
    answers: int = 3
    yielded: int = 0
    queries_closed: int = 0
    reported: list[tuple[int, Dataset]] = field(default_factory=list)
    asked: list[tuple[str, Dataset]] = field(default_factory=list)
    full: bool = False
    retrieve: Callable[[Dataset, Retrieving], Retrieved] = lambda _keys, _retrieving: Retrieved(0)
    """The loop of a C-GET or C-MOVE."""

    def services(self) -> Services:
        return Services(
            who=lambda aet, host: Caller(aet, host, "MAIN", loopback=True),
            echo=lambda _caller: None,
            store=lambda _caller, announced: Keeping(self, announced),
            find=self._find,
            find_worklist=lambda _caller, keys: iter([keys] * self.answers),
            mpps_create=lambda _caller, uid, attributes: self.asked.append((uid, attributes)),
            mpps_set=lambda _caller, uid, attributes: self.asked.append((uid, attributes)),
            move=self._move,
            get=self._get,
            commit=lambda _caller, uid, asked: self.asked.append((uid, asked)),
            committed=lambda _caller, kind, told: self.reported.append((kind, told)),
        )

    def _find(self, caller: Caller, keys: Dataset, model: Model, syntax: str) -> Iterator[bytes]:
        if keys.get("PatientID") == "WRONG":
            raise Invalid("PatientID cannot be WRONG")
        try:
            for number in range(self.answers):
                answer = Dataset()
                answer.PatientID = str(number)
                answer.QueryRetrieveLevel = keys.QueryRetrieveLevel
                self.yielded += 1
                yield encoded(answer, syntax)
        finally:
            self.queries_closed += 1

    def _get(self, caller: Caller, keys: Dataset, model: Model, retrieving: Retrieving) -> Retrieved:
        return self.retrieve(keys, retrieving)

    def _move(self, caller: Caller, keys: Dataset, model: Model, to: str, retrieving: Retrieving) -> Retrieved:
        return self.retrieve(keys, retrieving)


class Keeping:
    """One object on its way to the shelf."""

    def __init__(self, shelf: Shelf, announced: Announced) -> None:
        self._shelf, self._announced, self._content = shelf, announced, bytearray()
        shelf.announced.append(announced)

    def write(self, piece: memoryview) -> None:
        self._content += piece
        self._shelf.pieces += 1
        if self._shelf.full:
            raise Broken("the disk is full")

    def finish(self) -> Answer:
        self._shelf.objects[self._announced.sop_instance_uid] = bytes(self._content)
        return Answer(0)

    def abandon(self) -> None:
        self._shelf.abandoned.append(self._announced.sop_instance_uid)


@contextlib.contextmanager
def answering(
    shelf: Shelf, manners: Manners | None = None, certificates: Certificates | None = None
) -> Iterator[Listener]:
    """Run the listener on a free port."""
    listener = Listener(("127.0.0.1", 0), shelf.services(), manners or Manners(), certificates)
    listener.start()
    try:
        yield listener
    finally:
        listener.stop()
