"""An established association: messages in and out, whichever side asked for it.

Datasets are never joined: what comes is handed on in the pieces it came in, what goes out is cut from the pieces given.
Command and dataset leave in one system call. One operation runs at a time (PS3.7 D.3.3.3.2), in one thread.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from core.dimse import messages, negotiation, pdu
from core.dimse.line import Ended, Line, Part
from core.dimse.link import Link, Patience, Released
from core.dimse.messages import Command, Field, Status, Tag
from core.dimse.negotiation import Context, Proposed
from core.dimse.pdu import DATA_HEAD, Kind, Malformed, Why
from core.dimse.upper_layer import State
from core.errors import PeerFailed

VERIFICATION = "1.2.840.10008.1.1"
LONGEST_DATASET = 1 << 25
"""Of datasets that are held whole: queries, answers, attribute lists."""
_SENT_AT_ONCE = 1 << 20
_MOST_PARTS, _FEW = 512, 16
_IS_COMMAND, _IS_LAST = 1, 2
_MOST = 65535
_UNRECOGNISED_OPERATION = 0x0211
_More = list[tuple[int, int | str | bytes]]


class Association:
    """A context manager when we asked for it: leaves by release, by abort when something went wrong."""

    def __init__(
        self, link: Link, contexts: Sequence[Context], peer_maximum: int, *, calling: str, called: str, host: str
    ) -> None:
        self.contexts = tuple(contexts)
        self.calling, self.called, self.host = calling, called, host
        self._link = link
        self._by_id = {each.id: each for each in contexts}
        self._payload = negotiation.payload(peer_maximum)
        self._fragments: Iterator[tuple[int, int, memoryview]] = iter(())
        self._held: Command | None = None
        self._due: Command | None = None
        self._message_id = 0
        self._cancelled_id: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.release()
        else:
            self.abort()

    @property
    def is_open(self) -> bool:
        """Whether something can still be said on it."""
        return self._link.state in {State.ESTABLISHED, State.RELEASE_ASKED}

    def context(self, number: int) -> Context:
        """Return the accepted presentation context with that identifier."""
        return self._by_id[number]

    # -- receiving ---------------------------------------------------------------------------------------------------

    def next_command(self) -> Command:
        """Wait for the next command; a dataset nobody took is let go first.

        Raises
        ------
        Released
            The peer wants to end.
        Ended
            The association is over.
        """
        if self._link.state is State.RELEASE_ASKED:
            raise Released("the peer asked for release")
        if self._due is not None:
            self._let_go(self._due)
        command, self._held = self._held or self._read_command(), None
        self._due = command if command.has_dataset else None
        return command

    def _let_go(self, command: Command) -> None:
        for _ in self.pieces(command):
            pass

    def pieces(self, command: Command) -> Iterator[memoryview]:
        """Yield the dataset that follows a command as it comes; each piece is valid until the next.

        Raises
        ------
        Ended
            The association is over, and the dataset is not whole.
        """
        if self._due is not command:
            return
        while True:
            context, control, piece = self._fragment()
            if control & _IS_COMMAND or context != command.context:
                self._refuse("a fragment that is not of the dataset due", Why.UNEXPECTED_PARAMETER)
            if control & _IS_LAST:
                self._due = None
                yield piece
                return
            yield piece

    def dataset(self, command: Command, longest: int = LONGEST_DATASET) -> bytes:
        """Return the whole dataset that follows a command; aborts when it grows past `longest`."""
        whole = bytearray()
        for piece in self.pieces(command):
            whole += piece
            if len(whole) > longest:
                self._refuse("a dataset that is longer than it may be", Why.NOT_SPECIFIED)
        return bytes(whole)

    def cancelled(self, message_id: int) -> bool:
        """Whether the peer cancelled the operation it began by that message; never waits.

        Another request that came meanwhile is kept for `next_command`. Raises Ended when the peer is gone; a release
        asked for meanwhile is answered after the operation.
        """
        with contextlib.suppress(Released):
            while self._held is None and self._cancelled_id != message_id and self._is_something_there():
                command = self._read_command()
                if command.field == Field.C_CANCEL:
                    self._cancelled_id = command.responded_id
                else:
                    self._held = command
        return self._cancelled_id == message_id

    @property
    def is_quiet(self) -> bool:
        """Whether the association stands and the peer has said nothing more that waits to be heard; never waits."""
        return self._link.state is State.ESTABLISHED and self._held is None and not self._is_something_there()

    def _is_something_there(self) -> bool:
        try:
            piece = next(self._fragments, None)
        except Malformed as error:
            self._link.refuse_bytes(error)
        if piece is not None:
            self._fragments = itertools.chain([piece], self._fragments)
            return True
        return self._link.waiting()

    def _read_command(self) -> Command:
        context, control, piece = self._fragment()
        content: bytes | memoryview = piece
        while True:
            if not control & _IS_COMMAND or context not in self._by_id:
                self._refuse("a fragment that is of no command, or on no context agreed", Why.UNEXPECTED_PARAMETER)
            if control & _IS_LAST:
                break
            content = bytes(content)
            first = context
            context, control, piece = self._fragment()
            content += piece
            if context != first or len(content) > messages.LONGEST_COMMAND:
                self._refuse("a command set that changes its context or has no end", Why.INVALID_PARAMETER)
        try:
            return messages.decode(content, context)
        except Malformed as error:
            self._link.refuse_bytes(error)

    def _fragment(self) -> tuple[int, int, memoryview]:
        try:
            for fragment in self._fragments:
                return fragment
            while True:
                self._fragments = pdu.fragments(self._link.receive())
                for fragment in self._fragments:
                    return fragment
        except Malformed as error:
            self._link.refuse_bytes(error)

    def _refuse(self, detail: str, why: Why) -> None:
        self._link.refuse_bytes(Malformed(detail, why))

    # -- sending -----------------------------------------------------------------------------------------------------

    def send(self, context: int, command: bytes, dataset: Iterable[Part] | None = None) -> None:
        """Send a message: a command set, and the dataset's bytes in pieces of any length.

        What `dataset` raises passes; the association is aborted when part of the message has gone by then.
        """
        parts = self.framed(context, command, is_command=True)
        size, begun = 0, False
        try:
            for frame in self._frames(context, dataset) if dataset is not None else ():
                if size >= _SENT_AT_ONCE or len(parts) >= _MOST_PARTS:
                    begun = True
                    self._link.send(parts)
                    parts, size = [], 0
                parts += frame
                size += self._payload
        except BaseException:
            if begun:  # half a message has gone: what follows could not be told from it
                self.abort()
            raise
        self._link.send(parts)

    def framed(self, context: int, content: bytes, *, is_command: bool) -> list[Part]:
        """Return the PDUs that carry a command set or a dataset, ready to be sent."""
        kind, size = _IS_COMMAND if is_command else 0, len(content)
        if size <= self._payload:
            return [DATA_HEAD.pack(Kind.DATA, size + 6, size + 2, context, kind | _IS_LAST), content]
        return [part for frame in self._frames(context, [content], kind) for part in frame]

    def _frames(self, context: int, dataset: Iterable[Part], kind: int = 0) -> Iterator[list[Part]]:
        """Yield the PDUs of a command set or dataset, all but the last as long as the peer takes them."""
        pieces: list[Part] = []
        room = self._payload
        for chunk in dataset:
            view = memoryview(chunk)
            while view:
                if not room:
                    yield _framed(context, kind, pieces, self._payload)
                    pieces, room = [], self._payload
                pieces.append(view[:room])
                view = view[room:]
                room -= len(pieces[-1])
        yield _framed(context, kind | _IS_LAST, pieces, self._payload - room)

    def send_parts(self, parts: Sequence[Part]) -> None:
        """Send what `framed` made, several messages at once where they are small."""
        for at in range(0, len(parts), _MOST_PARTS):
            self._link.send(parts[at : at + _MOST_PARTS])

    def respond(
        self, to: Command, status: int, comment: str = "", *, dataset: bytes | None = None, instance: str = "",
        counts: Mapping[Tag, int] | None = None,
    ) -> None:  # fmt: skip
        """Answer a request; `instance` names the SOP Instance where the request did not, `counts` sub-operations.

        An answer never overtakes its request: what is left of the dataset is let go first. A count beyond what US holds
        is said as the most it holds.
        """
        self._let_go(to)
        more: dict[int, int | str | bytes] = {int(tag): min(count, _MOST) for tag, count in (counts or {}).items()}
        if instance:
            more[Tag.AFFECTED_INSTANCE] = instance
        command = messages.response(to, status, comment, dataset=dataset is not None, more=more)
        self.send(to.context, command, None if dataset is None else [dataset])

    # -- asking ------------------------------------------------------------------------------------------------------

    def echo(self) -> int:
        """Ask whether the peer is there (C-ECHO) and return the status."""
        context = self._context_of(VERIFICATION)
        return self._asked(context, Field.C_ECHO, VERIFICATION).status.code

    def store(
        self, context: Context, sop_class: str, sop_uid: str, dataset: Iterable[bytes | memoryview], *,
        originator: tuple[str, int] | None = None,
    ) -> Status:  # fmt: skip
        """Send an object (C-STORE) and return what the peer said.

        `dataset` is encoded in the transfer syntax of the context. `originator` is the
        AE title and Message ID of the C-MOVE this belongs to.
        """
        more: _More = [(Tag.AFFECTED_INSTANCE, sop_uid), (Tag.PRIORITY, 0)]
        if originator:
            aet = originator[0].encode("latin-1", "replace")
            more += [(Tag.ORIGINATOR, aet + b" " * (len(aet) % 2)), (Tag.ORIGINATOR_ID, originator[1])]
        return self._asked(context, Field.C_STORE, sop_class, dataset, more).status

    def find(self, context: Context, sop_class: str, keys: bytes) -> Iterator[tuple[Status, bytes]]:
        """Yield each answer to a query (C-FIND), the final one too: its status and its encoded identifier."""
        yield from self._asked_for_many(context, Field.C_FIND, sop_class, keys, [(Tag.PRIORITY, 0)])

    def move(self, context: Context, sop_class: str, keys: bytes, destination: str) -> Iterator[tuple[Status, Command]]:
        """Ask the peer to send what the keys name to an AE title (C-MOVE); yield each answer, the final one too."""
        aet = destination.encode("latin-1", "replace")
        more: _More = [
            (Tag.PRIORITY, 0),
            (Tag.MOVE_DESTINATION, aet + b" " * (len(aet) % 2)),
        ]
        for command, _ in self._answers(context, Field.C_MOVE, sop_class, keys, more):
            yield command.status, command

    def n_event_report(self, context: Context, sop_class: str, sop_uid: str, event_type: int, dataset: bytes) -> Status:
        """Tell the peer of an event (N-EVENT-REPORT) and return what it said."""
        more: _More = [(Tag.AFFECTED_INSTANCE, sop_uid), (Tag.EVENT_TYPE, event_type)]
        return self._asked(context, Field.N_EVENT_REPORT, sop_class, [dataset], more).status

    def n_action(self, context: Context, sop_class: str, sop_uid: str, action_type: int, dataset: bytes) -> Status:
        """Ask the peer to act (N-ACTION) and return what it said."""
        more: _More = [(Tag.REQUESTED_INSTANCE, sop_uid), (Tag.ACTION_TYPE, action_type)]
        return self._asked(context, Field.N_ACTION, sop_class, [dataset], more).status

    def _context_of(self, abstract_syntax: str) -> Context:
        for context in self.contexts:
            if context.abstract_syntax == abstract_syntax:
                return context
        raise PeerFailed("the peer does not offer this service on the association")

    def _asked(
        self, context: Context, field: Field, sop_class: str, dataset: Iterable[Part] | None = None,
        more: _More | None = None,
    ) -> Command:  # fmt: skip
        self._ask(context, field, sop_class, dataset, more or [])
        return self._response()

    def _ask(
        self, context: Context, field: Field, sop_class: str, dataset: Iterable[Part] | None,
        more: _More,
    ) -> None:  # fmt: skip
        self._message_id = self._message_id % _MOST + 1
        command = messages.request(field, self._message_id, sop_class, dataset=dataset is not None, more=more or ())
        self.send(context.id, command, dataset)

    def _response(self) -> Command:
        """Wait for the response to our request; a cancel that comes instead is noted, another request is refused."""
        while True:
            command = self.next_command()
            if command.field & messages.IS_RESPONSE:
                if command.responded_id == self._message_id:
                    return command
            elif command.field == Field.C_CANCEL:
                self._cancelled_id = command.responded_id
            else:
                self.respond(command, _UNRECOGNISED_OPERATION)

    def _answers(
        self, context: Context, field: Field, sop_class: str, keys: bytes,
        more: _More,
    ) -> Iterator[tuple[Command, bytes]]:  # fmt: skip
        self._ask(context, field, sop_class, [keys], more)
        asked = self._message_id
        is_over = False
        try:
            while not is_over:
                command = self._response()
                is_over = command.status.code & 0xFF00 != messages.PENDING
                yield command, self.dataset(command)
        finally:
            if not is_over:
                with contextlib.suppress(Ended):
                    self.send(context.id, messages.cancel(asked))

    def _asked_for_many(
        self, context: Context, field: Field, sop_class: str, keys: bytes,
        more: _More,
    ) -> Iterator[tuple[Status, bytes]]:  # fmt: skip
        for command, identifier in self._answers(context, field, sop_class, keys, more):
            yield command.status, identifier

    # -- ending ------------------------------------------------------------------------------------------------------

    def release(self) -> None:
        """End in good order; what goes wrong then is no matter any more."""
        with contextlib.suppress(Ended):
            if self._link.state is State.RELEASE_ASKED:
                self._link.answer_release()
                self._link.linger()
            elif self._link.state is State.ESTABLISHED:
                self._link.release()
        self._link.line.close()

    def abort(self) -> None:
        """Break off at once."""
        self._link.abort()
        self._link.line.close()


def _framed(context: int, control: int, pieces: list[Part], size: int) -> list[Part]:
    head = DATA_HEAD.pack(Kind.DATA, size + 6, size + 2, context, control)
    return [head, *pieces] if len(pieces) <= _FEW else [head, b"".join(pieces)]


def connect(
    host: str, port: int, *, calling: str, called: str, contexts: Sequence[Proposed],
    tls: ssl.SSLContext | None = None, patience: Patience | None = None,
) -> Association:  # fmt: skip
    """Ask a node for an association.

    Raises
    ------
    PeerFailed
        It cannot be reached, its certificate does not convince, it rejected the association (with the reason in the
        words of PS3.8), answered with nonsense, or not in time. The message names the node.
    """
    patience = patience or Patience()
    request = negotiation.propose(calling, called, contexts)
    where = f"{called} at {host}:{port}"
    line = _connected(host, port, tls, patience, where)
    link = Link(line, patience, requestor=True)
    try:
        answer = link.request(request)
        agreed = negotiation.agreed(request, answer)
    except Ended as error:
        line.close()
        raise PeerFailed(f"{where}: {error.detail}") from error
    return Association(link, agreed, answer.user.maximum_length, calling=calling, called=called, host=host)


def _connected(host: str, port: int, tls: ssl.SSLContext | None, patience: Patience, where: str) -> Line:
    try:
        connection = socket.create_connection((host, port), patience.connect)
    except OSError as error:
        reason = error.strerror or "no answer"
        raise PeerFailed(
            f"{where} cannot be reached ({reason}): check that it runs, its address and the network"
        ) from error
    try:
        if tls:
            connection.settimeout(patience.artim)
            connection = tls.wrap_socket(connection, server_hostname=host)
        return Line(connection)
    except (ssl.SSLError, ssl.CertificateError) as error:
        connection.close()
        raise PeerFailed(f"{where} could not agree on TLS ({error.reason}): check the certificates") from error
    except OSError as error:
        connection.close()
        raise PeerFailed(f"{where} hung up during the TLS handshake: check that it speaks TLS there") from error
