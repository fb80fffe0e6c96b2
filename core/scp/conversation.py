"""What is said on one association: requests in, calls of `Services`, statuses and answers out.

A service never ends the association of the others: what it raises becomes a status with a comment. Objects go to
their sink piece by piece; answers to a query leave several in one send, the first at once, and a cancel is looked for
between.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing

from pydicom import Dataset
from pydicom.uid import PYDICOM_ROOT_UID, generate_uid

from core.dicom import conformance
from core.dicom.encoding import decoded, encoded
from core.dicom.information_models import PATIENT_ROOT, STUDY_ROOT, Model, as_moments
from core.dimse.association import Association
from core.dimse.line import Ended, Part
from core.dimse.messages import CANCELLED, IS_RESPONSE, PENDING, SUCCESS, Command, Field, Status, Tag, response
from core.dimse.negotiation import Context
from core.errors import Broken, CoreError, Forbidden, Invalid, NotFound, PeerFailed, Refused, place_of
from core.scp import Announced, Answer, Awaited, Caller, Duplicate, Outgoing, Retrieved, Services

log = logging.getLogger(__name__)

_SENT_AT_ONCE = 1 << 16
_HELD_SECONDS = 0.005
_READ_AT_ONCE = 1 << 18
_CANNOT_UNDERSTAND, _NO_SUCH_CLASS, _NO_SUCH_OPERATION = 0xC000, 0x0122, 0x0211
_REQUEST_COMMITMENT = 1
_COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"
_REPORTED_WITHIN, _LOOK_EVERY = 2.0, 0.02  # seconds
_MODELS: dict[str, Model] = {
    **dict(zip(conformance.FIND.uids, (PATIENT_ROOT, STUDY_ROOT), strict=True)),
    **dict(zip(conformance.MOVE.uids, (PATIENT_ROOT, STUDY_ROOT), strict=True)),
    **dict(zip(conformance.GET.uids, (PATIENT_ROOT, STUDY_ROOT), strict=True)),
}
_FINDS = frozenset({*conformance.FIND.uids, *conformance.WORKLIST.uids})
_STEPS, _COMMITMENT = frozenset(conformance.PROCEDURE_STEP.uids), frozenset(conformance.COMMITMENT.uids)
_CLASSES: dict[int, frozenset[str]] = {
    Field.C_ECHO: frozenset(conformance.VERIFICATION.uids), Field.C_STORE: frozenset(conformance.STORAGE.uids),
    Field.C_FIND: _FINDS, Field.C_MOVE: frozenset(conformance.MOVE.uids), Field.C_GET: frozenset(conformance.GET.uids),
    Field.N_CREATE: _STEPS, Field.N_SET: _STEPS, Field.N_ACTION: _COMMITMENT, Field.N_EVENT_REPORT: _COMMITMENT,
}  # fmt: skip
"""The SOP Classes on whose contexts each operation is answered."""

_Table = tuple[tuple[type[CoreError], int], ...]
# The first class that fits names the status: PS3.4 B.2.3, C.4.1.1.4, C.4.2.1.5 and C.4.3.1.4, PS3.7 C.4 and C.5.
_FIND_STATUS: _Table = ((Invalid, 0xA900), (Refused, 0xC000), (CoreError, 0xA700))
_STORE_STATUS: _Table = ((Refused, 0xA900), (CoreError, 0xA700))
_MOVE_STATUS: _Table = (
    (Invalid, 0xA900), (NotFound, 0xA801), (Refused, 0xC000), (PeerFailed, 0xA702), (CoreError, 0xA701)
)  # fmt: skip
_GET_STATUS: _Table = ((Invalid, 0xA900), (Refused, 0xC000), (PeerFailed, 0xA702), (CoreError, 0xA701))
_N_STATUS: _Table = (
    (Duplicate, 0x0111), (Forbidden, 0x0124), (NotFound, 0x0112), (Invalid, 0x0106), (CoreError, 0x0110)
)  # fmt: skip


class Conversation:
    """One association and the services behind it."""

    def __init__(self, association: Association, services: Services, largest_object: int) -> None:
        self._association = association
        self._services = services
        self._largest_object = largest_object
        self._known: Caller | None = None
        self._answers: dict[int, Callable[[Command, Context], None]] = {
            Field.C_ECHO: self._echo, Field.C_STORE: self._store, Field.C_FIND: self._find, Field.C_MOVE: self._move,
            Field.C_GET: self._get, Field.N_CREATE: self._create, Field.N_SET: self._set, Field.N_ACTION: self._commit,
            Field.N_EVENT_REPORT: self._committed,
        }  # fmt: skip

    def run(self) -> None:
        """Answer until the association is over, which is raised as `Ended`."""
        while True:
            self._answer(self._association.next_command())

    def _answer(self, command: Command) -> None:
        field = command.field
        if field & IS_RESPONSE or field == Field.C_CANCEL:  # late, or of nothing that runs
            return
        answer, context = self._answers.get(field), self._association.context(command.context)
        if answer is None:
            self._association.respond(command, _NO_SUCH_OPERATION)
        elif context.abstract_syntax not in _CLASSES[field] or command.sop_class != context.abstract_syntax:
            self._association.respond(command, _NO_SUCH_CLASS, "not the SOP Class of this presentation context")
        else:
            answer(command, context)

    # -- who ---------------------------------------------------------------------------------------------------------

    def _caller(self) -> Caller:
        if self._known is None:
            self._known = self._services.who(plain(self._association.calling), self._association.host)
        return self._known

    def _trusted(self) -> Caller:
        caller = self._caller()
        if not caller.trusted:
            raise Forbidden(f"{caller.aet} is not a registered device here")
        return caller

    def _dataset(self, command: Command, context: Context) -> Dataset:
        return decoded(self._association.dataset(command), context.transfer_syntax)

    # -- verification and storage ------------------------------------------------------------------------------------

    def _echo(self, command: Command, _: Context) -> None:
        try:
            self._services.echo(self._caller())
        except Exception as error:  # noqa: BLE001 - whatever it is, we are still there to be heard
            log.warning("C-ECHO could not be noted (%s)", type(error).__name__)
        self._association.respond(command, SUCCESS)

    def _store(self, command: Command, context: Context) -> None:
        if not command.has_dataset:
            self._association.respond(command, _CANNOT_UNDERSTAND, "a C-STORE without a dataset")
            return
        answer = self._received(command, context)
        self._association.respond(command, answer.status, answer.comment)

    def _received(self, command: Command, context: Context) -> Answer:
        announced = Announced(command.sop_class, command.sop_uid, context.transfer_syntax)
        sink = None
        try:
            sink = self._services.store(self._caller(), announced)
            for piece in self._within_limit(self._association.pieces(command)):
                sink.write(piece)
            return sink.finish()
        except BaseException as error:
            if sink is not None:
                sink.abandon()
            if isinstance(error, Ended) or not isinstance(error, Exception):
                raise
            return Answer(*_status(error, _STORE_STATUS, "C-STORE"))

    def _within_limit(self, pieces: Iterator[memoryview]) -> Iterator[memoryview]:
        left = self._largest_object
        for piece in pieces:
            left -= len(piece)
            if left < 0:
                raise Broken(f"an object is larger than the {self._largest_object} bytes this archive takes")
            yield piece

    # -- query -------------------------------------------------------------------------------------------------------

    def _find(self, command: Command, context: Context) -> None:
        try:
            status, comment = self._answer_query(command, context), ""
        except Ended:
            raise
        except Exception as error:  # noqa: BLE001 - a query must never end the association of the others
            status, comment = _status(error, _FIND_STATUS, "C-FIND")
        self._association.respond(command, status, comment)

    def _answer_query(self, command: Command, context: Context) -> int:
        """Send every answer and return the status of the final one."""
        association, number = self._association, command.message_id
        pending = association.framed(context.id, response(command, PENDING, dataset=True), is_command=True)
        parts: list[Part] = []
        size, sent_at = 0, 0.0
        with closing(_generator(self._found(command, context))) as answers:
            for identifier in answers:
                parts += pending
                parts += association.framed(context.id, identifier, is_command=False)
                size += len(identifier)
                now = time.monotonic()
                if size >= _SENT_AT_ONCE or now - sent_at > _HELD_SECONDS:
                    if association.cancelled(number):
                        return CANCELLED
                    association.send_parts(parts)
                    parts, size, sent_at = [], 0, now
        association.send_parts(parts)
        return SUCCESS

    def _found(self, command: Command, context: Context) -> Iterator[bytes]:
        caller, keys = self._trusted(), self._dataset(command, context)
        model = _MODELS.get(context.abstract_syntax)
        if model is not None:
            together = context.extended[conformance.DATE_TIME :][:1] == b"\1"
            asked = as_moments(model) if together else model
            return self._services.find(caller, keys, asked, context.transfer_syntax)
        return (encoded(item, context.transfer_syntax) for item in self._services.find_worklist(caller, keys))

    # -- retrieve ----------------------------------------------------------------------------------------------------

    def _move(self, command: Command, context: Context) -> None:
        def run(caller: Caller, keys: Dataset, model: Model, retrieving: _Retrieving) -> Retrieved:
            if self._services.move is None:
                raise Refused("C-MOVE is not offered here")
            return self._services.move(caller, keys, model, command.text(Tag.MOVE_DESTINATION), retrieving)

        self._retrieve(command, context, run, _MOVE_STATUS)

    def _get(self, command: Command, context: Context) -> None:
        def run(caller: Caller, keys: Dataset, model: Model, retrieving: _Retrieving) -> Retrieved:
            if self._services.get is None:
                raise Refused("C-GET is not offered here")
            return self._services.get(caller, keys, model, retrieving)

        self._retrieve(command, context, run, _GET_STATUS)

    def _retrieve(
        self, command: Command, context: Context, run: Callable[[Caller, Dataset, Model, _Retrieving], Retrieved],
        table: _Table,
    ) -> None:  # fmt: skip
        try:
            caller, keys = self._trusted(), self._dataset(command, context)
            done = run(caller, keys, _MODELS[context.abstract_syntax], _Retrieving(self._association, command))
        except Exception as error:
            if not self._association.is_open:
                raise
            status, comment = _status(error, table, Field(command.field).name.replace("_", "-"))
            done = Retrieved(status, comment=comment)
        self._association.respond(
            command, done.status, done.comment, dataset=_failed_list(done, context), counts=_counts(done)
        )

    # -- performed steps and commitment ------------------------------------------------------------------------------

    def _create(self, command: Command, context: Context) -> None:
        uid = command.sop_uid or str(generate_uid(PYDICOM_ROOT_UID))

        def create() -> None:
            self._services.mpps_create(self._trusted(), uid, self._dataset(command, context))

        self._perform(command, create, uid)

    def _set(self, command: Command, context: Context) -> None:
        def change() -> None:
            self._services.mpps_set(self._trusted(), command.sop_uid, self._dataset(command, context))

        self._perform(command, change)

    def _commit(self, command: Command, context: Context) -> None:
        awaited: list[Awaited] = []

        def commit() -> None:
            caller, asked = self._trusted(), self._dataset(command, context)
            if self._services.commit is None or command.number(Tag.ACTION_TYPE) != _REQUEST_COMMITMENT:
                raise Invalid("only the request for storage commitment (action type 1) is known here")
            report = self._services.commit(caller, str(asked.get("TransactionUID", "")), asked)
            awaited.extend([report] if report else [])

        self._perform(command, commit)
        for each in awaited:
            with each:
                self._report(each, context)

    def _report(self, awaited: Awaited, context: Context) -> None:
        """Report on this association if the report is there before the asker says something else, or leaves."""
        until = time.monotonic() + _REPORTED_WITHIN
        while context.scp and self._association.is_quiet and time.monotonic() < until:
            report = awaited.come(_LOOK_EVERY)
            if report is not None:
                event_type, told = report
                (uid,) = conformance.COMMITMENT.uids
                content = encoded(told, context.transfer_syntax)
                said = self._association.n_event_report(context, uid, _COMMITMENT_INSTANCE, event_type, content)
                if said.code == SUCCESS:
                    awaited.heard()
                return

    def _committed(self, command: Command, context: Context) -> None:
        def hear() -> None:
            caller, told = self._trusted(), self._dataset(command, context)
            if self._services.committed is None:
                raise Refused("no storage commitment was asked for from here")
            self._services.committed(caller, command.number(Tag.EVENT_TYPE), told)

        self._perform(command, hear)

    def _perform(self, command: Command, act: Callable[[], None], made: str = "") -> None:
        """Do what an N-service asks and answer its status."""
        try:
            act()
            status, comment = SUCCESS, ""
        except Ended:
            raise
        except Exception as error:  # noqa: BLE001 - as for C-STORE
            status, comment = _status(error, _N_STATUS, Field(command.field).name.replace("_", "-"))
        self._association.respond(command, status, comment, instance=made if status == SUCCESS else "")


class _Retrieving:
    """The asker's side of a C-MOVE or C-GET; see `core.scp.Retrieving`."""

    def __init__(self, association: Association, command: Command) -> None:
        self._association = association
        self._command = command

    @property
    def message_id(self) -> int:
        return self._command.message_id

    @property
    def cancelled(self) -> bool:
        try:
            return self._association.cancelled(self._command.message_id)
        except Ended:
            return True

    def accepted(self, sop_class: str) -> tuple[str, ...]:
        return tuple(each.transfer_syntax for each in self._contexts(sop_class))

    def send(self, outgoing: Outgoing, dataset: Iterable[bytes | memoryview] | None = None) -> Status:
        for context in self._contexts(outgoing.sop_class):
            if context.transfer_syntax == outgoing.transfer_syntax:
                pieces = dataset if dataset is not None else dataset_of(outgoing)
                return self._association.store(context, outgoing.sop_class, outgoing.sop_uid, pieces)
        raise Refused("the asker does not take this class in this transfer syntax")

    def pending(self, remaining: int, completed: int, failed: int, warning: int) -> None:
        counts = {Tag.REMAINING: remaining, Tag.COMPLETED: completed, Tag.FAILED: failed, Tag.WARNING: warning}
        self._association.respond(self._command, PENDING, counts=counts)

    def _contexts(self, sop_class: str) -> list[Context]:
        return [each for each in self._association.contexts if each.abstract_syntax == sop_class and each.scu]


def dataset_of(outgoing: Outgoing) -> Iterator[bytes]:
    """Yield the dataset's bytes of an object to send, read from its file piece by piece."""
    with outgoing.path.open("rb", buffering=0) as file:
        file.seek(outgoing.offset)
        left = outgoing.size
        while left > 0:
            piece = file.read(min(left, _READ_AT_ONCE))
            if not piece:
                raise Broken(f"the file of object {outgoing.sop_uid} is shorter than its row says: run verify")
            left -= len(piece)
            yield piece


def plain(aet: str) -> str:
    """Make an AE title fit for logs and rows: printable ASCII, no backslash, at most 16 (PS3.5 6.2)."""
    return "".join(sign if " " <= sign <= "~" and sign != "\\" else "_" for sign in aet).strip()[:16]


def _failed_list(done: Retrieved, context: Context) -> bytes | None:
    if not done.failed_uids:
        return None
    identifier = Dataset()
    identifier.FailedSOPInstanceUIDList = list(done.failed_uids)
    return encoded(identifier, context.transfer_syntax)


def _counts(done: Retrieved) -> dict[Tag, int]:
    counts = {Tag.COMPLETED: done.completed, Tag.FAILED: done.failed, Tag.WARNING: done.warning}
    return {**counts, Tag.REMAINING: done.remaining} if done.status == CANCELLED else counts


def _generator(answers: Iterator[bytes]) -> Generator[bytes, None, None]:
    """Give an iterator the `close` of a generator, whose own is closed with it."""
    yield from answers


def _status(error: Exception, table: _Table, what: str) -> tuple[int, str]:
    """Name the status of an error and its comment; ours and unforeseen ones are logged, without what they hold."""
    if not isinstance(error, CoreError):
        log.error("%s failed: %s in %s", what, type(error).__name__, place_of(error))
        return table[-1][1], "internal error, see the log"
    if not isinstance(error, Refused):
        log.error("%s failed: %s", what, error.detail)
    return next(status for kind, status in table if isinstance(error, kind)), error.detail
