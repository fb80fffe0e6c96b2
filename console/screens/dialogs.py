"""The dialogs over a page: choose one, answer yes or no, give a text, read a text. Esc takes none of them."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from console.widgets.cells import Cell, Column
from console.widgets.paged_list import Item, PagedList
from console.words import _

_FRAME = """
    align: center middle; background: $background 60%;
    & > Vertical {
        width: 76; max-width: 95%; height: auto; max-height: 90%;
        border: round $primary; background: $surface; padding: 0 1;
    }
    & .title { text-style: bold; color: $primary; }
    & .text { height: auto; }
    & Horizontal { height: 1; margin-top: 1; align-horizontal: right; }
    & Button { margin-left: 2; }
    &:ansi { background: ansi_default; }
"""


class Choose(ModalScreen["str | None"]):
    """Pick one of some: typing narrows them, Enter takes; returns its key, None when left."""

    AUTO_FOCUS = "#narrow"
    DEFAULT_CSS = f"Choose {{ {_FRAME} PagedList {{ height: 14; background: $surface; }} }}"
    BINDINGS = [
        Binding("escape", "dismiss(None)", show=False),
        Binding("down", "walk(1)", show=False),
        Binding("up", "walk(-1)", show=False),
    ]

    def __init__(self, title: str, options: Sequence[tuple[str, str, str]], *, at: str | None = None) -> None:
        """`options` are (key, words, what stands at the right); the cursor begins at the key `at`."""
        super().__init__()
        self._title, self._at = title, at
        self._options: list[Item] = [{"key": key, "words": words, "right": right} for key, words, right in options]

    def compose(self) -> ComposeResult:
        """A field over a list."""
        with Vertical():
            yield Static(self._title, classes="title", markup=False)
            yield Input(id="narrow", compact=True, placeholder=_("type to narrow"))
            columns = (Column("words", "", 20, grow=3), Column("right", "", 14, grow=1))
            yield PagedList(columns, _option_row, "key", empty=_("none"))

    def on_mount(self) -> None:
        """Show all there are."""
        options = self.query_one(PagedList)
        options.show(self._options)
        if self._at is not None:
            options.choose(self._at)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow by every word typed."""
        typed = event.value.casefold().split()
        fits = [one for one in self._options if all(word in _sought(one) for word in typed)]
        self.query_one(PagedList).show(fits)

    def on_input_submitted(self) -> None:
        """Take the one under the cursor."""
        self.query_one(PagedList).action_open()

    def on_paged_list_opened(self, message: PagedList.Opened) -> None:
        """Take it."""
        self.dismiss(message.item["key"])

    def action_walk(self, by: int) -> None:
        """Move in the list while the field keeps the focus."""
        self.query_one(PagedList).action_move(by)


def _sought(option: Item) -> str:
    return f"{option['words']} {option['right']} {option['key']}".casefold()


def _option_row(option: Item) -> dict[str, Cell | str]:
    return {"words": option["words"], "right": Cell(option["right"], "muted")}


class Confirm(ModalScreen[bool]):
    """Asks before something that matters; returns whether to go on."""

    DEFAULT_CSS = f"Confirm {{ {_FRAME} }}"
    BINDINGS = [
        Binding("escape", "dismiss(False)", show=False),
        Binding("y", "dismiss(True)", show=False),
        Binding("n", "dismiss(False)", show=False),
        Binding("left,right", "other", show=False),
    ]

    def __init__(self, title: str, text: str, *, yes: str = "", no: str = "") -> None:
        super().__init__()
        self._title, self._text, self._yes, self._no = title, text, yes, no

    def compose(self) -> ComposeResult:
        """The question, and two buttons; the cautious one has the focus."""
        with Vertical():
            yield Static(self._title, classes="title", markup=False)
            yield Static(self._text, classes="text", markup=False)
            with Horizontal():
                yield Button(self._no or _("No"), id="no", compact=True)
                yield Button(self._yes or _("Yes"), id="yes", compact=True, variant="primary")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        self.dismiss(event.button.id == "yes")

    def action_other(self) -> None:
        """Go to the other button."""
        self.focus_next()


class AskText(ModalScreen["str | None"]):
    """Asks for one line of text (a reason, a number, a password); returns it, None when left."""

    AUTO_FOCUS = "#text"
    DEFAULT_CSS = f"AskText {{ {_FRAME} Input {{ margin-top: 1; }} }}"
    BINDINGS = [Binding("escape", "dismiss(None)", show=False)]

    def __init__(
        self, title: str, text: str = "", *, value: str = "", required: bool = True, secret: bool = False
    ) -> None:
        super().__init__()
        self._title, self._text, self._value, self._required, self._secret = title, text, value, required, secret

    def compose(self) -> ComposeResult:
        """A question over a field."""
        with Vertical():
            yield Static(self._title, classes="title", markup=False)
            yield Static(self._text, classes="text", markup=False)
            yield Input(self._value, id="text", compact=True, password=self._secret)
            yield Static(_("Enter goes on, Esc leaves it."), classes="text")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Return what was typed; nothing is no answer where one is needed."""
        if event.value.strip() or not self._required:
            self.dismiss(event.value if self._secret else event.value.strip())


class Read(ModalScreen["str | None"]):
    """Shows a longer text: the help of a page, a receipt. Letters of `keys` close it and are returned."""

    DEFAULT_CSS = f"Read {{ {_FRAME} & VerticalScroll {{ height: auto; max-height: 18; }} }}"
    BINDINGS = [Binding("escape,enter,f1,q", "dismiss(None)", show=False)]

    def __init__(self, title: str, text: str, *, keys: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__()
        self._title, self._text, self._keys = title, text, keys
        for key, _words in keys:
            self._bindings.bind(key, f"dismiss('{key}')", show=False)

    def compose(self) -> ComposeResult:
        """The text, scrolling, and what can be done with it."""
        with Vertical():
            yield Static(self._title, classes="title", markup=False)
            with VerticalScroll():
                yield Static(self._text, classes="text", markup=False)
            yield Static("  ".join([*(f"{key} {words}" for key, words in self._keys), _("Esc closes")]), markup=False)
