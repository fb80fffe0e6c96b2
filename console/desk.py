"""What a page is given: the line to the service, who sits here, their preferences and keys, and the state of the line.

Nobody imports the app; a page knows its desk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any

from console.client import Client
from console.keymap import Keymap
from console.preferences import Preferences
from console.widgets.lines import Told
from console.widgets.states import ROLES
from console.words import _
from core.vocabulary import Operation, Role, extent


class Line(Enum):
    """Whether the service is there."""

    CONNECTED = auto()
    RETRYING = auto()
    STALE = auto()


@dataclass
class Desk:
    """One signed-in person at one terminal."""

    client: Client
    me: Mapping[str, Any]
    preferences: Preferences
    keymap: Keymap
    now: Callable[[], datetime]
    today: Mapping[str, Any] = field(default_factory=dict)
    line: Line = Line.CONNECTED
    heard_at: datetime | None = None  # when the service was last there

    @property
    def roles(self) -> list[Role]:
        """The roles of the person."""
        return [Role(role) for role in self.me["roles"]]

    def may(self, operation: Operation) -> bool:
        """Whether the person may, at least with their own cases."""
        return extent(frozenset(self.roles), operation) is not None

    @property
    def ascii(self) -> bool:
        """Whether only ASCII glyphs are drawn."""
        return self.preferences.ascii

    @property
    def more(self) -> str:
        """The mark of text that was cut."""
        return "~" if self.ascii else "…"

    def told(self, title: str) -> Told:
        """Return what the status line says on the page of this title."""
        roles = ", ".join(_(ROLES[role]) for role in self.roles)
        return Told(title, self.me["site"], f"{self.me['username']} ({roles})", self._service(), self._needs())

    def _service(self) -> tuple[str, str]:
        if self.line is Line.CONNECTED:
            return (_("connected") if self.ascii else "● " + _("connected"), "good")
        if self.line is Line.RETRYING or self.heard_at is None:
            return (_("retrying") if self.ascii else "◌ " + _("retrying"), "warn")
        since = _("stale since {time}").format(time=self.heard_at.astimezone().strftime("%H:%M"))
        return (since if self.ascii else "■ " + since, "bad")

    def _needs(self) -> tuple[tuple[str, str], ...]:
        """Say what needs this person, the most pressing first."""
        today, roles = self.today, set(self.roles)
        filing = roles & {Role.TECHNOLOGIST, Role.PHYSICIST, Role.HEAD, Role.ADMIN}
        counts = [
            ("conflicting", _("{count} conflicting"), "bad", bool(filing)),
            ("late", _("{count} late"), "bad", True),
            ("unfiled", _("{count} unfiled"), "warn", bool(filing)),
            ("quarantined", _("{count} quarantined"), "warn", bool(filing)),
            ("images_changed", _("{count} changed since signing"), "bad", True),
            ("to_accept", _("{count} to accept"), "accent", Role.PHYSICIST in roles),
            ("to_read", _("{count} to read"), "", True),
            ("waiting", _("{count} waiting"), "", bool(roles & {Role.CLERK, Role.NURSE, Role.TECHNOLOGIST})),
        ]
        said = [(text.format(count=today[key]), tone) for key, text, tone, mine in counts if mine and today.get(key)]
        if at := today.get("next_consultation_at"):
            time = datetime.fromisoformat(at).astimezone().strftime("%H:%M")
            said.append((_("consultation at {time}").format(time=time), "accent"))
        return tuple(said)
