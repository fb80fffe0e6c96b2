"""The state machine of the upper layer, without input or output: PS3.8 table 9-10 as one table.

An event goes in, effects come out in the order the standard has them; whoever runs the machine carries them out. The
names in brackets are the standard's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum, auto

from core.dimse.pdu import Kind
from core.errors import Broken


class State(IntEnum):
    """Where an association is (PS3.8 9.2.1); the number is the standard's."""

    IDLE = 1
    AWAITING_REQUEST = 2
    DECIDING = 3
    CONNECTING = 4
    AWAITING_ANSWER = 5
    ESTABLISHED = 6
    RELEASING = 7
    RELEASE_ASKED = 8
    COLLIDED_AS_REQUESTOR = 9
    COLLIDED_AS_ACCEPTOR = 10
    ANSWERED_AS_REQUESTOR = 11
    CONFIRMED_AS_ACCEPTOR = 12
    AWAITING_CLOSE = 13


class Event(IntEnum):
    """What may happen (PS3.8 9.2.2); the number is the standard's."""

    ASSOCIATE = 1
    CONNECTED = 2
    AC_CAME = 3
    RJ_CAME = 4
    CONNECTION_CAME = 5
    RQ_CAME = 6
    ACCEPT = 7
    REJECT = 8
    SEND_DATA = 9
    DATA_CAME = 10
    RELEASE = 11
    RELEASE_RQ_CAME = 12
    RELEASE_RP_CAME = 13
    ANSWER_RELEASE = 14
    ABORT = 15
    ABORT_CAME = 16
    CLOSED = 17
    ARTIM_EXPIRED = 18
    INVALID_PDU = 19


class Effect(Enum):
    """What is to be done, one step of an action."""

    CONNECT = auto()
    SEND = auto()
    """Send the PDU the event asks for."""
    SEND_USER_ABORT = auto()
    SEND_PROVIDER_ABORT = auto()
    SEND_PROVIDER_REJECT = auto()
    INDICATE = auto()
    """Tell the user of the layer what came."""
    START_ARTIM = auto()
    STOP_ARTIM = auto()
    CLOSE = auto()


EVENT_OF: Mapping[int, Event] = {
    Kind.ASSOCIATE_RQ: Event.RQ_CAME,
    Kind.ASSOCIATE_AC: Event.AC_CAME,
    Kind.ASSOCIATE_RJ: Event.RJ_CAME,
    Kind.DATA: Event.DATA_CAME,
    Kind.RELEASE_RQ: Event.RELEASE_RQ_CAME,
    Kind.RELEASE_RP: Event.RELEASE_RP_CAME,
    Kind.ABORT: Event.ABORT_CAME,
}
"""The event a received PDU makes; any other type is INVALID_PDU."""


@dataclass(frozen=True, slots=True)
class Action:
    """One action of PS3.8 9.2.3: what is done, and where that leads."""

    name: str
    effects: tuple[Effect, ...]
    then: State


_E, _S = Effect, State
AE_1 = Action("AE-1", (_E.CONNECT,), _S.CONNECTING)
AE_2 = Action("AE-2", (_E.SEND,), _S.AWAITING_ANSWER)
AE_3 = Action("AE-3", (_E.INDICATE,), _S.ESTABLISHED)
AE_4 = Action("AE-4", (_E.INDICATE, _E.CLOSE), _S.IDLE)
AE_5 = Action("AE-5", (_E.START_ARTIM,), _S.AWAITING_REQUEST)
AE_6 = Action("AE-6", (_E.STOP_ARTIM, _E.INDICATE), _S.DECIDING)
AE_6_UNACCEPTABLE = Action("AE-6", (_E.STOP_ARTIM, _E.SEND_PROVIDER_REJECT, _E.START_ARTIM), _S.AWAITING_CLOSE)
AE_7 = Action("AE-7", (_E.SEND,), _S.ESTABLISHED)
AE_8 = Action("AE-8", (_E.SEND, _E.START_ARTIM), _S.AWAITING_CLOSE)
DT_1 = Action("DT-1", (_E.SEND,), _S.ESTABLISHED)
DT_2 = Action("DT-2", (_E.INDICATE,), _S.ESTABLISHED)
AR_1 = Action("AR-1", (_E.SEND,), _S.RELEASING)
AR_2 = Action("AR-2", (_E.INDICATE,), _S.RELEASE_ASKED)
AR_3 = Action("AR-3", (_E.INDICATE, _E.CLOSE), _S.IDLE)
AR_4 = Action("AR-4", (_E.SEND, _E.START_ARTIM), _S.AWAITING_CLOSE)
AR_5 = Action("AR-5", (_E.STOP_ARTIM,), _S.IDLE)
AR_6 = Action("AR-6", (_E.INDICATE,), _S.RELEASING)
AR_7 = Action("AR-7", (_E.SEND,), _S.RELEASE_ASKED)
AR_8_REQUESTOR = Action("AR-8", (_E.INDICATE,), _S.COLLIDED_AS_REQUESTOR)
AR_8 = Action("AR-8", (_E.INDICATE,), _S.COLLIDED_AS_ACCEPTOR)
AR_9 = Action("AR-9", (_E.SEND,), _S.ANSWERED_AS_REQUESTOR)
AR_10 = Action("AR-10", (_E.INDICATE,), _S.CONFIRMED_AS_ACCEPTOR)
AA_1 = Action("AA-1", (_E.SEND_USER_ABORT, _E.START_ARTIM), _S.AWAITING_CLOSE)
AA_2 = Action("AA-2", (_E.STOP_ARTIM, _E.CLOSE), _S.IDLE)
AA_3 = Action("AA-3", (_E.INDICATE, _E.CLOSE), _S.IDLE)
AA_4 = Action("AA-4", (_E.INDICATE,), _S.IDLE)
AA_5 = Action("AA-5", (_E.STOP_ARTIM,), _S.IDLE)
AA_6 = Action("AA-6", (), _S.AWAITING_CLOSE)
AA_7 = Action("AA-7", (_E.SEND_PROVIDER_ABORT,), _S.AWAITING_CLOSE)
AA_8 = Action("AA-8", (_E.SEND_PROVIDER_ABORT, _E.INDICATE, _E.START_ARTIM), _S.AWAITING_CLOSE)


def _row(columns: str, *actions: Action) -> dict[State, Action]:
    return dict(zip((State(int(number)) for number in columns.split()), actions, strict=True))


_TO_12 = "3 5 6 7 8 9 10 11 12"
TABLE: Mapping[Event, Mapping[State, Action]] = {
    Event.ASSOCIATE: _row("1", AE_1),
    Event.CONNECTED: _row("4", AE_2),
    Event.AC_CAME: _row(f"2 {_TO_12} 13", AA_1, AA_8, AE_3, *[AA_8] * 7, AA_6),
    Event.RJ_CAME: _row(f"2 {_TO_12} 13", AA_1, AA_8, AE_4, *[AA_8] * 7, AA_6),
    Event.CONNECTION_CAME: _row("1", AE_5),
    Event.RQ_CAME: _row(f"2 {_TO_12} 13", AE_6, *[AA_8] * 9, AA_7),
    Event.ACCEPT: _row("3", AE_7),
    Event.REJECT: _row("3", AE_8),
    Event.SEND_DATA: _row("6 8", DT_1, AR_7),
    Event.DATA_CAME: _row(f"2 {_TO_12} 13", AA_1, AA_8, AA_8, DT_2, AR_6, *[AA_8] * 5, AA_6),
    Event.RELEASE: _row("6", AR_1),
    Event.RELEASE_RQ_CAME: _row(f"2 {_TO_12} 13", AA_1, AA_8, AA_8, AR_2, AR_8, *[AA_8] * 5, AA_6),
    Event.RELEASE_RP_CAME: _row(f"2 {_TO_12} 13", AA_1, AA_8, AA_8, AA_8, AR_3, AA_8, AA_8, AR_10, AR_3, AA_8, AA_6),
    Event.ANSWER_RELEASE: _row("8 9 12", AR_4, AR_9, AR_4),
    Event.ABORT: _row(f"4 {_TO_12}", AA_2, *[AA_1] * 9),
    Event.ABORT_CAME: _row(f"2 {_TO_12} 13", AA_2, *[AA_3] * 9, AA_2),
    Event.CLOSED: _row(f"2 4 {_TO_12} 13", AA_5, AA_4, *[AA_4] * 9, AR_5),
    Event.ARTIM_EXPIRED: _row("2 13", AA_2, AA_2),
    Event.INVALID_PDU: _row(f"2 {_TO_12} 13", AA_1, *[AA_8] * 9, AA_7),
}
"""PS3.8 table 9-10. A pair that is absent cannot happen."""


class UpperLayer:
    """One association's place in the table."""

    __slots__ = ("requestor", "state")

    def __init__(self, *, requestor: bool) -> None:
        self.requestor = requestor
        self.state = State.IDLE

    def on(self, event: Event, *, acceptable: bool = True) -> tuple[Effect, ...]:
        """Move on, and return what is to be done.

        `acceptable` says of an A-ASSOCIATE-RQ whether the service-provider can accept it (AE-6).

        Raises
        ------
        Broken
            The event cannot happen in this state.
        """
        action = TABLE[event].get(self.state)
        if action is None:
            raise Broken(f"{event.name} cannot happen to an association that is {self.state.name}")
        if action is AE_6 and not acceptable:
            action = AE_6_UNACCEPTABLE
        elif action is AR_8 and self.requestor:
            action = AR_8_REQUESTOR
        self.state = action.then
        return action.effects

    def allows(self, event: Event) -> bool:
        """Whether the event can happen now."""
        return self.state in TABLE[event]
