"""Every command there is, in one table: it feeds the keys, the key line, the palette, the help and the manual.

A command belongs to a page, or to every page (`EVERYWHERE`). `key` is its own key, which the person's keymap may
change; `action` names the method `action_...` of the page that does it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from console.words import _
from core.vocabulary import Operation, Role, extent

EVERYWHERE = ""


@dataclass(frozen=True)
class Command:
    """One thing a person can ask for; `id` never changes, `right` hides it from those who may not."""

    id: str
    key: str
    title: str  # the English words; `words` says them
    shown: bool = True  # on the key line
    right: Operation | None = None

    @property
    def page(self) -> str:
        """The page it belongs to, or EVERYWHERE."""
        return self.id.partition(".")[0] if "." in self.id else EVERYWHERE

    @property
    def action(self) -> str:
        """The name of the method that does it, without `action_`."""
        return self.id.rpartition(".")[2]

    @property
    def words(self) -> str:
        """The title in the person's language."""
        return _(self.title)


COMMANDS: tuple[Command, ...] = (
    Command("help", "f1", "Help"),
    Command("find", "ctrl+g,slash", "Find"),
    Command("palette", "ctrl+p", "All commands"),
    Command("back", "escape", "Back", shown=False),
    Command("reload", "f5", "Read again", shown=False),
    Command("theme", "ctrl+t", "Change theme", shown=False),
    Command("language", "", "Change language", shown=False),
    Command("copy_row", "ctrl+y", "Copy what is selected", shown=False),
    Command("sign_out", "", "Sign out", shown=False),
    Command("quit", "ctrl+q", "Quit", shown=False),
    # -- front desk
    Command("front_desk.new_patient", "f2", "New patient", right=Operation.REGISTER),
    Command("front_desk.new_exam", "f3", "New exam", right=Operation.REGISTER),
    Command("front_desk.arrive", "f4", "Arrived", right=Operation.ATTEND),
    # -- a patient
    Command("patient.new_exam", "f3", "New exam", right=Operation.REGISTER),
    Command("patient.arrive", "f4", "Arrived", right=Operation.ATTEND),
    Command("patient.edit", "f6", "Change", right=Operation.REGISTER),
    Command("patient.receipt", "f7", "Receipt"),
    Command("patient.cancel_exam", "f8", "Cancel exam", right=Operation.REGISTER),
    # -- the registration form
    Command("registration.register", "ctrl+s", "Register"),
    Command("registration.unknown", "f4", "Unknown patient"),
    Command("patient_change.save", "ctrl+s", "Save", right=Operation.REGISTER),
    # -- triage
    Command("triage.urgency", "u", "Urgency", right=Operation.TRIAGE),
    Command("triage.assign", "a", "Assign", right=Operation.TRIAGE),
    Command("triage.checks", "k", "Answer checks", right=Operation.ATTEND),
    Command("triage.arrive", "f4", "Arrived", right=Operation.ATTEND),
    Command("triage.open_patient", "p", "Patient"),
)


def of_page(page: str, roles: Iterable[Role], commands: tuple[Command, ...] = COMMANDS) -> list[Command]:
    """Return the commands of a page, then those of every page, that `roles` may use."""
    may = frozenset(roles)
    own = [one for one in commands if one.page == page and page != EVERYWHERE]
    everywhere = [one for one in commands if one.page == EVERYWHERE]
    return [one for one in own + everywhere if one.right is None or extent(may, one.right)]
