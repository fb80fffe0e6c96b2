"""PS3.8 table 9-10: every state with every event."""

from __future__ import annotations

import pytest
from pynetdicom.fsm import TRANSITION_TABLE

from core.dimse.pdu import Kind
from core.dimse.upper_layer import EVENT_OF, TABLE, Effect, Event, State, UpperLayer
from core.errors import Broken

EVERY_PAIR = [(event, state) for event in Event for state in State]


def _at(state: State, *, requestor: bool = False) -> UpperLayer:
    layer = UpperLayer(requestor=requestor)
    layer.state = state
    return layer


@pytest.mark.parametrize(("event", "state"), EVERY_PAIR, ids=lambda each: each.name.lower())
def test_every_event_in_every_state_does_what_the_standard_says(event: Event, state: State) -> None:
    """The independent reading of the table is pynetdicom's."""
    expected = TRANSITION_TABLE.get((f"Evt{event.value}", f"Sta{state.value}"))
    layer = _at(state)
    if expected is None:
        with pytest.raises(Broken, match=event.name):
            layer.on(event)
        assert layer.state is state
        return
    action = TABLE[event][state]
    assert action.name == expected
    assert layer.on(event) == action.effects
    assert layer.state is action.then


THEN = {
    "AE-1": 4, "AE-2": 5, "AE-3": 6, "AE-4": 1, "AE-5": 2, "AE-6": 3, "AE-7": 6, "AE-8": 13, "DT-1": 6, "DT-2": 6,
    "AR-1": 7, "AR-2": 8, "AR-3": 1, "AR-4": 13, "AR-5": 1, "AR-6": 7, "AR-7": 8, "AR-8": 10, "AR-9": 11, "AR-10": 12,
    "AA-1": 13, "AA-2": 1, "AA-3": 1, "AA-4": 1, "AA-5": 1, "AA-6": 13, "AA-7": 13, "AA-8": 13,
}  # fmt: skip


def test_every_action_leads_where_the_standard_says() -> None:
    assert {action.name: int(action.then) for row in TABLE.values() for action in row.values()} == THEN


def test_a_connection_is_closed_by_us_only_on_the_way_to_idle() -> None:
    for row in TABLE.values():
        for action in row.values():
            assert Effect.CLOSE not in action.effects or action.then is State.IDLE


def test_whatever_a_peer_sends_has_a_place_in_every_state_with_a_connection() -> None:
    with_connection = [state for state in State if state not in {State.IDLE, State.CONNECTING}]
    from_peers = {*EVENT_OF.values(), Event.INVALID_PDU, Event.CLOSED}
    assert all(state in TABLE[event] for event in from_peers for state in with_connection)
    assert set(EVENT_OF) == set(Kind)


def test_a_request_the_provider_cannot_accept_is_rejected_and_the_timer_runs() -> None:
    layer = _at(State.AWAITING_REQUEST)
    effects = layer.on(Event.RQ_CAME, acceptable=False)
    assert effects == (Effect.STOP_ARTIM, Effect.SEND_PROVIDER_REJECT, Effect.START_ARTIM)
    assert layer.state is State.AWAITING_CLOSE


@pytest.mark.parametrize(
    ("requestor", "events"),
    [
        (True, [Event.RELEASE, Event.RELEASE_RQ_CAME, Event.ANSWER_RELEASE, Event.RELEASE_RP_CAME]),
        (False, [Event.RELEASE, Event.RELEASE_RQ_CAME, Event.RELEASE_RP_CAME, Event.ANSWER_RELEASE, Event.CLOSED]),
    ],
    ids=["requestor", "acceptor"],
)
def test_a_release_collision_ends_in_good_order_on_both_sides(requestor: bool, events: list[Event]) -> None:  # noqa: FBT001
    layer = _at(State.ESTABLISHED, requestor=requestor)
    for event in events:
        layer.on(event)
    assert layer.state is State.IDLE
