"""Who may: actors, and the question every workflow asks first."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum, auto

from core.errors import Forbidden
from core.vocabulary import OPERATION_TITLES, RIGHTS, Extent, Operation, Role, extent


class ActorKind(StrEnum):
    """What kind of caller asks."""

    PERSON = auto()
    DEVICE = auto()
    OPERATOR = auto()  # someone at photopeakd's own command line
    SYSTEM = auto()


@dataclass(frozen=True)
class Actor:
    """Who asks: a signed-in person, a device, the operator, or the service itself."""

    kind: ActorKind
    name: str
    site: str
    roles: frozenset[Role] = field(default_factory=frozenset)
    staff_id: int | None = None
    full_name: str = ""

    def __str__(self) -> str:
        """Name the actor as the audit trail does."""
        return self.name if self.kind is ActorKind.PERSON else f"{self.kind}:{self.name}"


def person(name: str, site: str, *roles: Role, staff_id: int | None = None, full_name: str = "") -> Actor:
    """Return a signed-in member of staff."""
    return Actor(ActorKind.PERSON, name, site, frozenset(roles), staff_id, full_name)


def device(aet: str, site: str) -> Actor:
    """Return a calling device."""
    return Actor(ActorKind.DEVICE, aet, site)


def operator(name: str, site: str) -> Actor:
    """Return the person at the service's own command line, known by their Unix user."""
    return Actor(ActorKind.OPERATOR, name, site)


def system(name: str, site: str) -> Actor:
    """Return a part of the service acting by itself."""
    return Actor(ActorKind.SYSTEM, name, site)


def reach(actor: Actor, operation: Operation) -> Extent | None:
    """How far `actor` may go; operator and system everywhere, devices nowhere that people decide."""
    if actor.kind in (ActorKind.OPERATOR, ActorKind.SYSTEM):
        return Extent.ALL
    return extent(actor.roles, operation)


def require(actor: Actor, operation: Operation, *, own: bool = False) -> None:
    """Refuse unless `actor` may do `operation`; `own` says that the case is the actor's own.

    Raises
    ------
    Forbidden
        Naming the right and the roles that have it.
    """
    granted = reach(actor, operation)
    if granted is Extent.ALL or (granted is Extent.OWN and own):
        return
    roles = ", ".join(role.value for role in RIGHTS[operation])
    limited = " beyond your own cases" if granted is Extent.OWN else ""
    msg = f"{actor} may not {OPERATION_TITLES[operation]}{limited}; ask one of: {roles}"
    raise Forbidden(msg)
