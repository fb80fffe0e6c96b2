"""Fetch by C-GET (PS3.4 C.4.3): the node sends on the association that asked, so it need not know where we listen.

The objects are taken as they come, piece by piece, by whoever keeps them; what is not kept is answered so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from pydicom import Dataset
from pynetdicom.dsutils import encode

from core.dicom import conformance
from core.dimse import association as engine
from core.dimse.line import Ended
from core.dimse.link import Patience
from core.dimse.messages import Command, Field, Tag, request
from core.dimse.negotiation import Context, Proposed
from core.errors import CoreError, PeerFailed
from core.scu.peer import MAXIMUM_CONTEXTS, PENDING, PLAIN, WARNINGS, Moved, Peer

STUDY_ROOT_GET = conformance.GET.uids[1]
_MESSAGE_ID = 1
_OUT_OF_RESOURCES, _NO_SUCH_SERVICE = 0xA700, 0x0211
_PACKED = tuple(syntax for syntax in conformance.KEPT_SYNTAXES if syntax not in PLAIN)


class Incoming(Protocol):
    """One object being received."""

    def write(self, piece: memoryview) -> None:
        """Take the next bytes of the dataset; the view is valid until this returns."""

    def finish(self) -> int:
        """Make the object durable and return the C-STORE status that says what became of it."""

    def abandon(self) -> None:
        """Forget what came."""


Take = Callable[[tuple[str, str, str]], Incoming]
"""Begins to take an object of a SOP class, a SOP instance and a transfer syntax."""


def get(peer: Peer, keys: Dataset, kinds: Sequence[str], take: Take) -> Moved:
    """Have a node send what the keys name, objects of the SOP classes in `kinds`, and return the last count.

    Raises
    ------
    PeerFailed
        The node cannot be reached, does not offer C-GET, breaks off, or refuses.
    """
    waits = peer.timeouts
    patience = Patience(waits.connect, waits.association, waits.silence, waits.answer)
    try:
        with engine.connect(
            peer.host, peer.port, calling=peer.calling_aet, called=peer.aet, contexts=_contexts(kinds), tls=peer.tls,
            patience=patience,
        ) as association:  # fmt: skip
            return _Getting(peer, association, take).run(keys)
    except Ended as error:
        raise PeerFailed(f"{peer.aet} broke off while it sent; look at its log") from error


def _contexts(kinds: Sequence[str]) -> list[Proposed]:
    """Propose to take each class plain, then packed in as many ways as an association has room for."""
    plain = [Proposed(kind, (syntax,), scu=False, scp=True) for kind in kinds for syntax in map(str, PLAIN)]
    packed = [Proposed(kind, (syntax,), scu=False, scp=True) for syntax in _PACKED for kind in kinds]
    asking = Proposed(STUDY_ROOT_GET, tuple(map(str, PLAIN)))
    return [asking, *plain, *packed][:MAXIMUM_CONTEXTS]


class _Getting:
    def __init__(self, peer: Peer, association: engine.Association, take: Take) -> None:
        self._peer, self._association, self._take = peer, association, take

    def run(self, keys: Dataset) -> Moved:
        context = self._context()
        implicit = context.transfer_syntax == PLAIN[1]
        identifier = encode(keys, implicit, True) or b""
        asked = request(Field.C_GET, _MESSAGE_ID, STUDY_ROOT_GET, dataset=True, more=[(Tag.PRIORITY, 0)])
        self._association.send(context.id, asked, [identifier])
        while True:
            command = self._association.next_command()
            if command.field == Field.C_STORE:
                self._store(command)
            elif command.field == Field.C_GET | 0x8000:
                if command.status.code not in PENDING:
                    return self._ended(command)
            else:
                self._association.respond(command, _NO_SUCH_SERVICE)

    def _context(self) -> Context:
        for context in self._association.contexts:
            if context.abstract_syntax == STUDY_ROOT_GET:
                return context
        raise PeerFailed(f"{self._peer.aet} does not offer C-GET: fetch without --get")

    def _store(self, command: Command) -> None:
        syntax = self._association.context(command.context).transfer_syntax
        try:
            with _abandoned(self._take((command.sop_class, command.sop_uid, syntax))) as incoming:
                for piece in self._association.pieces(command):
                    incoming.write(piece)
                status, comment = incoming.finish(), ""
        except PeerFailed:
            raise
        except CoreError as error:
            status, comment = _OUT_OF_RESOURCES, error.detail
        self._association.respond(command, status, comment)

    def _ended(self, command: Command) -> Moved:
        code = command.status.code
        if code and code not in WARNINGS:
            raise PeerFailed(f"{self._peer.aet} answered C-GET with status {code:04X}; look at its log")
        completed, failed, warned = (command.number(tag) for tag in (Tag.COMPLETED, Tag.FAILED, Tag.WARNING))
        return Moved(completed, failed, warned)


@contextmanager
def _abandoned(incoming: Incoming) -> Iterator[Incoming]:
    """Forget what came of an object when it breaks off."""
    try:
        yield incoming
    except BaseException:
        incoming.abandon()
        raise
