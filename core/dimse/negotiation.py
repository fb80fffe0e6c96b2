"""What two nodes agree on when an association begins (PS3.8 7.1.1, PS3.7 D.3), as a function of what they said.

Of the transfer syntaxes a context proposes, the first one offered here is taken: the requestor lists what it has first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from core.dicom.conformance import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, MAXIMUM_PDU
from core.dimse import pdu
from core.dimse.pdu import AssociateAc, AssociateRq, ContextAc, ContextRq, Reject, Roles, User

MAXIMUM_CONTEXTS = 128
ACCEPTED, NO_ABSTRACT_SYNTAX, NO_TRANSFER_SYNTAX = 0, 3, 4
NOT_BY_THAT_NAME = Reject(pdu.PERMANENT, 1, 7)
NOT_YOU = Reject(pdu.PERMANENT, 1, 3)
NO_ROOM = Reject(pdu.TRANSIENT, 3, 2)
OTHER_APPLICATION = Reject(pdu.PERMANENT, 1, 2)
OTHER_VERSION = Reject(pdu.PERMANENT, 2, 2)


@dataclass(frozen=True, slots=True)
class Proposed:
    """A context we ask for: an abstract syntax, transfer syntaxes best first, and our roles in it."""

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]
    scu: bool = True
    scp: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """An accepted presentation context; the roles are ours. `extended` is what was agreed of its SOP Class beyond."""

    id: int
    abstract_syntax: str
    transfer_syntax: str
    scu: bool = True
    scp: bool = False
    extended: bytes = b""


@dataclass(frozen=True, slots=True)
class Offer:
    """What we accept of one abstract syntax: its transfer syntaxes, and the roles the requestor may take.

    `extended` has a byte for each feature of extended negotiation, 1 where it is offered; empty: nothing is answered.
    """

    transfer_syntaxes: frozenset[str]
    requestor_scu: bool = True
    requestor_scp: bool = False
    extended: bytes = b""


def answer(
    request: AssociateRq, offers: Mapping[str, Offer], maximum_length: int = MAXIMUM_PDU
) -> tuple[AssociateAc, tuple[Context, ...]]:
    """Answer an acceptable request: the A-ASSOCIATE-AC, and the contexts it accepts.

    An asynchronous operations window is answered with one operation at a time; user identities are read, not asked for,
    so they get no answer (PS3.7 D.3.3.7.3). Extended negotiation is answered for the SOP Classes that have any, feature
    by feature: what is asked for and offered (PS3.7 D.3.3.5).
    """
    contexts = tuple(_context(each, offers) for each in request.contexts)
    roles = tuple(_role(each, offers[each.sop_class]) for each in request.user.roles if each.sop_class in offers)
    extended = {
        sop_class: _extended(asked, offers[sop_class])
        for sop_class, asked in request.user.extended
        if sop_class in offers and offers[sop_class].extended
    }
    user = User(
        maximum_length, IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME,
        (1, 1) if request.user.window else None, roles, tuple(extended.items()),
    )  # fmt: skip
    accept = AssociateAc(request.called, request.calling, contexts, user)
    accepted = _accepted(request.contexts, contexts, roles, we_asked=False)
    return accept, tuple(replace(each, extended=extended.get(each.abstract_syntax, b"")) for each in accepted)


def _extended(asked: bytes, offer: Offer) -> bytes:
    return bytes(wanted == offered == 1 for wanted, offered in zip(asked, offer.extended, strict=False))


def _context(proposed: ContextRq, offers: Mapping[str, Offer]) -> ContextAc:
    first = proposed.transfer_syntaxes[0] if proposed.transfer_syntaxes else ""
    offer = offers.get(proposed.abstract_syntax)
    if offer is None:
        return ContextAc(proposed.id, NO_ABSTRACT_SYNTAX, first)
    for syntax in proposed.transfer_syntaxes:
        if syntax in offer.transfer_syntaxes:
            return ContextAc(proposed.id, ACCEPTED, syntax)
    return ContextAc(proposed.id, NO_TRANSFER_SYNTAX, first)


def _role(proposed: Roles, offer: Offer) -> Roles:
    return Roles(proposed.sop_class, proposed.scu and offer.requestor_scu, proposed.scp and offer.requestor_scp)


def _accepted(
    proposed: Iterable[ContextRq], answered: Iterable[ContextAc], roles: Iterable[Roles], *, we_asked: bool
) -> Iterable[Context]:
    """Pair what was proposed with what was accepted; roles are turned to ours."""
    asked = {each.id: each.abstract_syntax for each in proposed}
    chosen = {each.sop_class: each for each in roles}
    for each in answered:
        if each.result == ACCEPTED and each.id in asked:
            abstract = asked[each.id]
            role = chosen.get(abstract, Roles(abstract, scu=True, scp=False))
            scu, scp = (role.scu, role.scp) if we_asked else (role.scp, role.scu)
            yield Context(each.id, abstract, each.transfer_syntax, scu, scp)


def propose(calling: str, called: str, contexts: Sequence[Proposed], maximum_length: int = MAXIMUM_PDU) -> AssociateRq:
    """Return the request for the contexts we want; those beyond 128 are left out."""
    asked = tuple(
        ContextRq(2 * index + 1, each.abstract_syntax, each.transfer_syntaxes)
        for index, each in enumerate(contexts[:MAXIMUM_CONTEXTS])
    )
    roles = {each.abstract_syntax: Roles(each.abstract_syntax, each.scu, each.scp) for each in contexts if each.scp}
    user = User(maximum_length, IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, None, tuple(roles.values()))
    return AssociateRq(called, calling, asked, user)


def agreed(request: AssociateRq, accept: AssociateAc) -> tuple[Context, ...]:
    """Return the contexts a peer accepted of our request."""
    proposed = {each.id: each.transfer_syntaxes for each in request.contexts}
    contexts = [each for each in accept.contexts if each.transfer_syntax in proposed.get(each.id, ())]
    return tuple(_accepted(request.contexts, contexts, accept.user.roles, we_asked=True))


def payload(peer_maximum: int, ours: int = MAXIMUM_PDU) -> int:
    """Return how many dataset bytes go into one fragment for a peer: an even number, at least two (PS3.8 D.1)."""
    longest = min(peer_maximum, ours) if peer_maximum else ours
    return max((longest - 6) & ~1, 2)
