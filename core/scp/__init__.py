"""What DICOM callers may ask of us, in words that know no engine.

A service is a function: it gets who calls and a Dataset (or the bytes of one), answers or yields Datasets, and raises
what `core.errors` has. `listener` alone knows the engine and turns answers and errors into statuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from pydicom import Dataset

from core.access import Actor
from core.access import device as device_actor
from core.dicom import conformance
from core.dicom.information_models import Model
from core.dimse.messages import Status
from core.errors import Refused

OFFERED: tuple[conformance.Service, ...] = (
    conformance.VERIFICATION,
    conformance.STORAGE,
    conformance.FIND,
    conformance.MOVE,
    conformance.GET,
    conformance.WORKLIST,
    conformance.PROCEDURE_STEP,
    conformance.COMMITMENT,
    conformance.PRINTING,
)
"""The part of the conformance table this version answers; the rest of it is not claimed."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the AE title it gives itself, and the registered device (by title or alias) that makes it, if any."""

    aet: str
    host: str
    site: str
    device: str | None = None
    loopback: bool = False

    @property
    def actor(self) -> Actor:
        """The caller as the rights and the audit trail know it."""
        return device_actor(self.device or self.aet, self.site)

    @property
    def trusted(self) -> bool:
        """Whether it may ask for more than to be heard and to store."""
        return self.device is not None or self.loopback


@dataclass(frozen=True, slots=True)
class Announced:
    """What a C-STORE request says it sends: the UIDs of its command and the transfer syntax of its context."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and what to tell with it."""

    status: int
    comment: str = ""


class Sink(Protocol):
    """One object being received; it never holds the whole of it.

    The listener calls `write` for each piece in order, then `finish`; and `abandon` when the association broke off, the
    object grew past its limit, or `write` or `finish` raised. After `abandon` nothing more is called. All from one
    thread.
    """

    def write(self, piece: memoryview) -> None:
        """Take the next bytes of the dataset (no file meta). The view is the socket's buffer: valid until this returns.

        Raises
        ------
        CoreError
            It cannot be taken; the rest is not delivered, and the sender gets the status that says so.
        """

    def finish(self) -> Answer:
        """Make the object durable, then say what the sender is told; raises CoreError where it cannot be kept."""

    def abandon(self) -> None:
        """Forget what came; safe to call twice."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An object to send: where its dataset's bytes begin in its file (behind the file meta), and how many they are."""

    sop_class: str
    sop_uid: str
    transfer_syntax: str
    path: Path
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Destination:
    """A known device that takes what a C-MOVE names."""

    aet: str
    host: str
    port: int
    tls: bool = False


class Retrieving(Protocol):
    """A running C-MOVE or C-GET as the loop in `retrieve` sees it: where it reports, and for C-GET where it sends."""

    @property
    def message_id(self) -> int:
        """The Message ID of the request: the originator's, for the sub-operations of a C-MOVE."""

    @property
    def cancelled(self) -> bool:
        """Whether the asker sent C-CANCEL, or left; looks at the socket without waiting."""

    def accepted(self, sop_class: str) -> tuple[str, ...]:
        """Return the transfer syntaxes the asker takes this class in on its own association (C-GET); maybe none."""

    def send(self, outgoing: Outgoing, dataset: Iterable[bytes | memoryview] | None = None) -> Status:
        """Send one object on the asker's own association (C-GET) and return what it said.

        `dataset` replaces the bytes of the file (read ahead, or transcoded: then `outgoing` names the new syntax, one
        of `accepted`). Raises PeerFailed when the asker is gone: let it pass.
        """

    def pending(self, remaining: int, completed: int, failed: int, warning: int) -> None:
        """Tell the asker how far it is (FF00H), as often as the loop likes; raises PeerFailed when it is gone."""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """How a C-MOVE or C-GET ended (PS3.4 C.4.2.1.5, C.4.3.1.4): the final status, its counts, and what failed.

    `failed_uids` goes out as Failed SOP Instance UID List; `remaining` only with a cancel (FE00H).
    """

    status: int
    completed: int = 0
    failed: int = 0
    warning: int = 0
    remaining: int = 0
    failed_uids: tuple[str, ...] = ()
    comment: str = ""


class Awaited(Protocol):
    """A report that is on its way to an asker who may still be there; a context manager that stops waiting for it."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def come(self, within: float) -> tuple[int, Dataset] | None:
        """Wait so many seconds for event type and event information; None while there is none."""

    def heard(self) -> None:
        """Say that the asker has taken it; else it goes out on an association of our own."""


class Duplicate(Refused):
    """A SOP Instance that is there already was to be created."""


@dataclass(frozen=True)
class Services:
    """What the listener calls, each built by the composition root; what is None is neither offered nor accepted.

    A service that raises `Invalid`, `NotFound`, `Forbidden`, `Duplicate`, another `Refused` or `Broken` is answered
    with the status that says so and its detail as Error Comment, so details must name no patient. Each is called from
    the thread of its association; several run at once.

    - `who` gets AE title and host.
    - `store` begins an object; see `Sink`.
    - `find` gets the keys, the information model (PATIENT_ROOT or STUDY_ROOT) and the transfer syntax of the context;
      it yields identifiers encoded in that syntax. The first goes out at once, the others as they come, several in one
      send; the iterator is closed early (GeneratorExit) at a C-CANCEL or when the asker is gone.
    - `find_worklist` yields Datasets; each is encoded as it is, with the Specific Character Set it names.
    - `move` gets the keys, the model and the Move Destination; it sends to the destination by `core.dimse` itself and
      reports to `Retrieving`. `get` sends through `Retrieving`. Both answer how it ended; `NotFound` from `move` means
      an unknown destination (A801H), `Invalid` keys that do not fit (A900H).
    - `mpps_create` and `mpps_set` get the SOP Instance UID of the performed step.
    - `commit` gets the Transaction UID and the action information of a storage commitment request (N-ACTION): it writes
      down what was asked; the report comes by `Awaited` while the asker is there, else on an association of our own.
    - `committed` gets the event type (1 all kept, 2 some not) and the event information of a storage commitment another
      node reports to us (N-EVENT-REPORT).
    """

    who: Callable[[str, str], Caller]
    echo: Callable[[Caller], None]
    store: Callable[[Caller, Announced], Sink]
    find: Callable[[Caller, Dataset, Model, str], Iterator[bytes]]
    find_worklist: Callable[[Caller, Dataset], Iterator[Dataset]]
    mpps_create: Callable[[Caller, str, Dataset], None]
    mpps_set: Callable[[Caller, str, Dataset], None]
    move: Callable[[Caller, Dataset, Model, str, Retrieving], Retrieved] | None = None
    get: Callable[[Caller, Dataset, Model, Retrieving], Retrieved] | None = None
    commit: Callable[[Caller, str, Dataset], Awaited | None] | None = None
    committed: Callable[[Caller, int, Dataset], None] | None = None
