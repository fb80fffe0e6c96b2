"""The elements of an object as it came, narrowed by what is typed."""

from __future__ import annotations

from functools import partial

from textual.app import ComposeResult
from textual.widgets import Input

from console.desk import Desk
from console.screens.dialogs import Read
from console.screens.page import Page
from console.widgets.cells import Cell, Column
from console.widgets.paged_list import Item, PagedList
from console.words import _


class HeaderPage(Page):
    """Every element of one object; typing leaves those whose tag, name or value holds every word typed."""

    NAME = "header"
    TITLE = "Header"
    HELP = (
        "The elements of the object as it came; those of items are marked by >. Type to narrow them: by tag, by name "
        "or by value, several words together. Enter shows a long value in full, Ctrl+Y copies it."
    )
    AUTO_FOCUS = "#narrow"
    DEFAULT_CSS = "HeaderPage PagedList { width: 1fr; }"

    def __init__(self, desk: Desk, uid: str) -> None:
        super().__init__(desk)
        self._uid = uid
        self._rows: list[Item] = []

    def body(self) -> ComposeResult:
        """A field over the elements."""
        yield Input(id="narrow", compact=True, placeholder=_("type to narrow"))
        columns = (
            Column("tag", _("Tag"), 13),
            Column("vr", "VR", 2),
            Column("keyword", _("Name"), 24, grow=1),
            Column("value", _("Value"), 30, grow=3),
        )
        yield PagedList(columns, _row, "key", empty=_("none"))

    def on_mount(self) -> None:
        """Read them."""
        self.refresh_rows()

    def refresh_rows(self) -> None:
        """Read the elements."""
        self.ask(partial(self.desk.client.get, f"images/{self._uid}/header"), self._take, only_last="header")

    def _take(self, rows: list[Item]) -> None:
        self._rows = [{**row, "key": number} for number, row in enumerate(rows)]
        self._narrow(self.query_one(Input).value)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow by every word typed."""
        self._narrow(event.value)

    def _narrow(self, typed: str) -> None:
        sought = typed.casefold().split()
        self.query_one(PagedList).show([row for row in self._rows if all(word in _text(row) for word in sought)])

    def on_key(self, event: object) -> None:
        """Move in the list while the field keeps the focus."""
        steps = {"down": 1, "up": -1, "pagedown": 10, "pageup": -10}
        if by := steps.get(getattr(event, "key", "")):
            self.query_one(PagedList).action_move(by)

    def on_input_submitted(self) -> None:
        """Show the element under the cursor in full."""
        self.query_one(PagedList).action_open()

    def on_paged_list_opened(self, message: PagedList.Opened) -> None:
        """Show it in full."""
        row = message.item
        self.app.push_screen(Read(f"{row['tag']} {row['keyword']}", row["value"] or _("empty")))

    def selected_text(self) -> str:
        """The value under the cursor."""
        chosen = self.query_one(PagedList).chosen
        return str(chosen["value"]) if chosen else ""


def _text(row: Item) -> str:
    """Return what is sought in; tags are found as 0010,0010 and as 00100010."""
    return f"{row['tag']} {row['tag'].replace(',', '')} {row['keyword']} {row['value']}".casefold()


def _row(row: Item) -> dict[str, Cell | str]:
    return {"tag": row["tag"], "vr": Cell(row["vr"], "muted"), "keyword": row["keyword"], "value": row["value"]}
