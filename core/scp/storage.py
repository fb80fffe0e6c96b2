"""Storage as a provider (PS3.4 B): an object is durable and in its rows before it is acknowledged."""

from __future__ import annotations

from core.archive.keeper import KEPT_APART, Arriving, Mismatch, NoRoom, Unreadable
from core.errors import CoreError
from core.scp import Announced, Answer, Caller
from core.workflow.reception import Reception

OUT_OF_RESOURCES, DOES_NOT_MATCH, CANNOT_UNDERSTAND = 0xA700, 0xA900, 0xC000
_STATUS: tuple[tuple[type[CoreError], int], ...] = (
    (Unreadable, CANNOT_UNDERSTAND),
    (Mismatch, DOES_NOT_MATCH),
    (NoRoom, OUT_OF_RESOURCES),
)
"""PS3.4 B.2.3."""


class Receiving:
    """An object being received, written to the store as it comes.

    What goes wrong meanwhile is answered when the object is whole, for a peer is not listening before.
    """

    def __init__(self, reception: Reception, caller: Caller, announced: Announced) -> None:
        """Begin; a store that takes nothing is heard of by `finish`."""
        self._reception, self._caller = reception, caller
        self._arriving: Arriving | None = None
        self._failure: CoreError | None = None
        said = (announced.sop_class_uid, announced.sop_instance_uid, announced.transfer_syntax_uid)
        try:
            self._arriving = reception.incoming(said, caller.aet)
        except CoreError as error:
            self._failure = error

    def write(self, piece: memoryview) -> None:
        """Take the next bytes."""
        if self._arriving is None or self._failure is not None:
            return
        try:
            self._arriving.write(piece)
        except CoreError as error:
            self._failure = error

    def finish(self) -> Answer:
        """Keep the object and say so in a C-STORE status; raises CoreError for what the standard has no status for."""
        try:
            if self._failure is not None:
                raise self._failure
            if self._arriving is None:
                return Answer(OUT_OF_RESOURCES)
            kept = self._reception.take(self._caller.actor, self._arriving.finish(), self._caller.host)
        except (Unreadable, Mismatch, NoRoom) as error:
            return Answer(next(status for kind, status in _STATUS if isinstance(error, kind)), error.detail)
        return Answer(kept.status, "kept apart: another object has this UID" if kept.status == KEPT_APART else "")

    def abandon(self) -> None:
        """Forget what came."""
        if self._arriving is not None:
            self._arriving.abandon()
