"""Storage as a provider (PS3.4 B): an object is durable and in its rows before it is acknowledged."""

from __future__ import annotations

from collections.abc import Callable

from core.access import Actor
from core.archive.keeper import KEPT_APART, Keeper, Kept, Mismatch, NoRoom, Staged, Unreadable
from core.scp import Announced, Answer, Caller

OUT_OF_RESOURCES, DOES_NOT_MATCH, CANNOT_UNDERSTAND = 0xA700, 0xA900, 0xC000

Receive = Callable[[Actor, Staged, str], Kept]


class Buffered:
    """An object being received, held until it is whole."""

    def __init__(self, keeper: Keeper, receive: Receive, caller: Caller, announced: Announced) -> None:
        self._keeper, self._receive, self._caller, self._announced = keeper, receive, caller, announced
        self._dataset = bytearray()

    def write(self, piece: memoryview) -> None:
        """Take the next bytes."""
        self._dataset += piece

    def finish(self) -> Answer:
        """Keep the object and say so in a C-STORE status (PS3.4 B.2.3)."""
        sent = self._announced
        announced = (sent.sop_class_uid, sent.sop_instance_uid, sent.transfer_syntax_uid)
        try:
            staged = self._keeper.stage(bytes(self._dataset), announced, self._caller.aet)
            kept = self._receive(self._caller.actor, staged, self._caller.host)
        except Unreadable as error:
            return Answer(CANNOT_UNDERSTAND, error.detail)
        except Mismatch as error:
            return Answer(DOES_NOT_MATCH, error.detail)
        except NoRoom as error:
            return Answer(OUT_OF_RESOURCES, error.detail)
        return Answer(kept.status, "kept apart: another object has this UID" if kept.status == KEPT_APART else "")

    def abandon(self) -> None:
        """Forget what came."""
        self._dataset.clear()
