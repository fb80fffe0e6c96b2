"""A dialog for a longer text: a question to colleagues, an opinion, a conclusion, a comment."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static, TextArea

from console.words import _


class WriteText(ModalScreen["str | None"]):
    """Asks for a text of several lines; Ctrl+S gives it, Esc leaves (what was typed is offered again by `value`)."""

    AUTO_FOCUS = "TextArea"
    DEFAULT_CSS = """
    WriteText { align: center middle; background: $background 60%; }
    WriteText > Vertical {
        width: 76; max-width: 95%; height: auto; max-height: 90%; border: round $primary; background: $surface;
        padding: 0 1;
    }
    WriteText .title { text-style: bold; color: $primary; }
    WriteText .text { height: auto; max-height: 8; }
    WriteText TextArea { height: 7; border: none; background: $panel; margin: 1 0; }
    WriteText:ansi { background: ansi_default; }
    """
    BINDINGS = [
        Binding("escape", "dismiss(None)", show=False, priority=True),
        Binding("ctrl+s", "give", show=False, priority=True),
    ]

    def __init__(self, title: str, text: str = "", *, value: str = "") -> None:
        super().__init__()
        self._title, self._text, self._value = title, text, value

    def compose(self) -> ComposeResult:
        """The question over the field."""
        with Vertical():
            yield Static(self._title, classes="title", markup=False)
            if self._text:
                yield Static(self._text, classes="text", markup=False)
            field = TextArea(self._value, tab_behavior="focus", compact=True, highlight_cursor_line=False)
            field.cursor_blink = False
            yield field
            yield Static(_("Ctrl+S gives it, Esc leaves it."), markup=False)

    def action_give(self) -> None:
        """Return the text; nothing is no answer."""
        if text := self.query_one(TextArea).text.strip():
            self.dismiss(text)
