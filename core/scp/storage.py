"""Storage as a provider (PS3.4 B): an object is durable and in its rows before it is acknowledged."""

from __future__ import annotations

from collections.abc import Callable

from core.access import Actor
from core.archive.keeper import KEPT_APART, Keeper, Kept, Mismatch, NoRoom, Staged, Unreadable
from core.scp import Answer, Caller, Sent

OUT_OF_RESOURCES, DOES_NOT_MATCH, CANNOT_UNDERSTAND = 0xA700, 0xA900, 0xC000

Receive = Callable[[Actor, Staged, str], Kept]


def store(keeper: Keeper, receive: Receive, caller: Caller, sent: Sent) -> Answer:
    """Keep a sent object and say so in a C-STORE status (PS3.4 B.2.3)."""
    announced = (sent.sop_class_uid, sent.sop_instance_uid, sent.transfer_syntax_uid)
    try:
        kept = receive(caller.actor, keeper.stage(sent.dataset, announced, caller.aet), caller.host)
    except Unreadable as error:
        return Answer(CANNOT_UNDERSTAND, error.detail)
    except Mismatch as error:
        return Answer(DOES_NOT_MATCH, error.detail)
    except NoRoom as error:
        return Answer(OUT_OF_RESOURCES, error.detail)
    return Answer(kept.status, "kept apart: another object has this UID" if kept.status == KEPT_APART else "")
