"""What two nodes agree on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.dimse import negotiation
from core.dimse.negotiation import Context, Offer, Proposed
from core.dimse.pdu import AssociateRq, ContextRq, Roles, User

NM, ECHO, FIND = "1.2.840.10008.5.1.4.1.1.20", "1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.2.2.1"
IMPLICIT, EXPLICIT, RLE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5"
OFFERS = {
    NM: Offer(frozenset({IMPLICIT, EXPLICIT, RLE}), requestor_scp=True),
    ECHO: Offer(frozenset({IMPLICIT, EXPLICIT})),
}


def _request(*contexts: ContextRq, **user: object) -> AssociateRq:
    return AssociateRq("PHOTOPEAK", "CAM1", contexts, User(**user))  # type: ignore[arg-type]


def test_each_context_is_answered_for_itself() -> None:
    accept, contexts = negotiation.answer(
        _request(
            ContextRq(1, NM, (RLE, EXPLICIT)), ContextRq(3, FIND, (IMPLICIT,)), ContextRq(5, ECHO, (RLE,)),
            ContextRq(7, ECHO, ()), ContextRq(9, NM, (IMPLICIT,)),
        ),
        OFFERS,
    )  # fmt: skip
    assert [(each.id, each.result) for each in accept.contexts] == [(1, 0), (3, 3), (5, 4), (7, 4), (9, 0)]
    assert [(each.id, each.transfer_syntax) for each in contexts] == [(1, RLE), (9, IMPLICIT)]


def test_the_first_transfer_syntax_proposed_that_is_offered_is_taken() -> None:
    _, (context,) = negotiation.answer(_request(ContextRq(1, ECHO, (RLE, EXPLICIT, IMPLICIT))), OFFERS)
    assert context.transfer_syntax == EXPLICIT


@pytest.mark.parametrize(
    ("proposed", "granted", "ours"),
    [
        (None, None, (False, True)),
        ((True, False), (True, False), (False, True)),
        ((False, True), (False, True), (True, False)),
        ((True, True), (True, True), (True, True)),
    ],
)
def test_roles_are_granted_as_offered_and_are_ours_the_other_way_round(
    proposed: tuple[bool, bool] | None, granted: tuple[bool, bool] | None, ours: tuple[bool, bool]
) -> None:
    roles = (Roles(NM, *proposed),) if proposed else ()
    accept, (context,) = negotiation.answer(_request(ContextRq(1, NM, (EXPLICIT,)), roles=roles), OFFERS)
    assert accept.user.roles == ((Roles(NM, *granted),) if granted else ())
    assert (context.scu, context.scp) == ours


def test_a_role_that_is_not_offered_is_not_granted_and_of_an_unknown_class_not_answered() -> None:
    roles = (Roles(ECHO, scu=True, scp=True), Roles(FIND, scu=True, scp=True))
    accept, _ = negotiation.answer(_request(ContextRq(1, ECHO, (IMPLICIT,)), roles=roles), OFFERS)
    assert accept.user.roles == (Roles(ECHO, scu=True, scp=False),)


def test_several_operations_at_once_are_answered_with_one() -> None:
    accept, _ = negotiation.answer(_request(window=(0, 0)), OFFERS)
    assert accept.user.window == (1, 1)
    accept, _ = negotiation.answer(_request(), OFFERS)
    assert accept.user.window is None


def test_of_extended_negotiation_what_is_asked_for_and_offered_is_agreed_to() -> None:
    offers = {FIND: Offer(frozenset({IMPLICIT}), extended=bytes((1, 1, 0, 0, 0))), ECHO: OFFERS[ECHO]}

    def agreed(*asked: int) -> tuple[bytes, bytes]:
        contexts = (ContextRq(1, FIND, (IMPLICIT,)), ContextRq(3, ECHO, (IMPLICIT,)))
        user = User(extended=((FIND, bytes(asked)), (ECHO, b"\1"), ("1.2.3", b"\1")))
        accept, (find, echo) = negotiation.answer(AssociateRq("THEM", "US", contexts, user), offers)
        assert [sop_class for sop_class, _ in accept.user.extended] == [FIND]
        assert echo.extended == b""
        return accept.user.extended[0][1], find.extended

    assert agreed(1, 1, 1, 1, 1) == (bytes((1, 1, 0, 0, 0)),) * 2
    assert agreed(0, 1) == (bytes((0, 1)),) * 2
    assert agreed(1, 0, 1, 0, 0, 9) == (bytes((1, 0, 0, 0, 0)),) * 2
    assert agreed() == (b"", b"")


def test_both_sides_come_to_the_same_contexts() -> None:
    wanted = [Proposed(NM, (EXPLICIT,), scu=False, scp=True), Proposed(FIND, (IMPLICIT,)), Proposed(ECHO, (IMPLICIT,))]
    request = negotiation.propose("US", "THEM", wanted)
    accept, theirs = negotiation.answer(request, OFFERS)
    ours = negotiation.agreed(request, accept)
    assert ours == (Context(1, NM, EXPLICIT, scu=False, scp=True), Context(5, ECHO, IMPLICIT, scu=True, scp=False))
    assert [(each.id, each.scp, each.scu) for each in theirs] == [(each.id, each.scu, each.scp) for each in ours]


@given(some.integers(0, 2**32 - 1))
def test_fragments_are_even_and_never_longer_than_the_peer_takes(maximum: int) -> None:
    size = negotiation.payload(maximum)
    assert size % 2 == 0
    assert size >= 2
    assert maximum == 0 or maximum < 8 or size + 6 <= maximum
