"""Find from anywhere: patients and exams by number, name, pinyin, initials, phone."""

from __future__ import annotations

from functools import partial
from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Input, Static

from console.client import ServiceAway, ServiceRefused
from console.desk import Desk
from console.widgets import states
from console.widgets.cells import Cell, Column
from console.widgets.paged_list import Item, PagedList
from console.widgets.people import born, name
from console.words import _

_PAUSE = 0.15  # seconds after the last key before the service is asked


class Find(ModalScreen["tuple[str, str] | None"]):
    """Returns (patient number, accession or nothing) of what was chosen."""

    AUTO_FOCUS = "#sought"
    DEFAULT_CSS = """
    Find { align: center top; background: $background 60%; }
    Find > Vertical {
        width: 78; max-width: 100%; height: 20; margin-top: 1; border: round $primary; background: $surface;
    }
    Find PagedList { background: $surface; }
    Find:ansi { background: ansi_default; }
    """
    BINDINGS = [
        Binding("escape", "dismiss(None)", show=False),
        Binding("down", "walk(1)", show=False),
        Binding("up", "walk(-1)", show=False),
    ]

    class _Found(Message):
        def __init__(self, sought: str, found: dict[str, Any] | None, said: str = "") -> None:
            super().__init__()
            self.sought, self.found, self.said = sought, found, said

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._pause: Timer | None = None

    def compose(self) -> ComposeResult:
        """A field over what it finds."""
        with Vertical():
            yield Input(id="sought", compact=True, placeholder=_("number, name, pinyin, initials, phone"))
            columns = (
                Column("what", "", 14),
                Column("name", "", 22, grow=1),
                Column("born", "", 10, priority=1),
                Column("state", "", 20, priority=2),
            )
            yield PagedList(columns, self._row, "id", more=self._desk.more)
            yield Static(_("Enter opens, Esc leaves."), classes="text")

    def on_input_changed(self, _event: Input.Changed) -> None:
        """Ask a moment after the last key."""
        if self._pause:
            self._pause.stop()
        self._pause = self.set_timer(_PAUSE, self._seek)

    def _seek(self) -> None:
        if sought := self.query_one(Input).value.strip():
            self.run_worker(partial(self._ask, sought), thread=True, exclusive=True)
        else:
            self.query_one(PagedList).show([])

    def _ask(self, sought: str) -> None:
        try:
            self.post_message(self._Found(sought, self._desk.client.get("find", query=sought)))
        except (ServiceRefused, ServiceAway) as error:
            self.post_message(self._Found(sought, None, error.detail))

    def on_find__found(self, message: _Found) -> None:
        """Show what was found, unless something else is sought by now."""
        if message.sought != self.query_one(Input).value.strip():
            return
        found = message.found or {"patients": [], "exams": []}
        rows: list[Item] = [{"id": f"p {one['number']}", "patient": one} for one in found["patients"]]
        rows += [{"id": f"e {one['accession']}", "exam": one} for one in found["exams"]]
        self.query_one(PagedList).say_when_empty(message.said or _("Nothing found."))
        self.query_one(PagedList).show(rows)

    def _row(self, item: Item) -> dict[str, Cell | str]:
        if patient := item.get("patient"):
            return {"what": patient["number"], "name": name(patient), "born": born(patient), "state": patient["phone"]}
        exam = item["exam"]
        state = states.state(states.EXAM, exam["state"], ascii_only=self._desk.ascii)
        return {
            "what": Cell(exam["accession"], "accent"),
            "name": name(exam, "patient_"),
            "born": exam["procedure"],
            "state": state,
        }

    def on_input_submitted(self) -> None:
        """Open the one under the cursor."""
        self.query_one(PagedList).action_open()

    def on_paged_list_opened(self, message: PagedList.Opened) -> None:
        """Return it."""
        if exam := message.item.get("exam"):
            self.dismiss((exam["patient_number"], exam["accession"]))
        else:
            self.dismiss((message.item["patient"]["number"], ""))

    def action_walk(self, by: int) -> None:
        """Move in the list while the field keeps the focus."""
        self.query_one(PagedList).action_move(by)
