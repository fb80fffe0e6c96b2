"""Forms: labelled fields in columns, each left by Enter or the arrow keys, and nothing typed is ever lost.

A form posts `Changed` a moment after the last key; the page keeps the values as a draft.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, Static

from console.widgets.cells import fit
from console.words import _

Option = tuple[str, str]  # value, words
_PAUSE = 0.4  # seconds after the last key before a change is told


@dataclass(frozen=True)
class Field:
    """One field: a line of text, or a choice when it has `options`."""

    name: str
    label: str
    options: tuple[Option, ...] = ()
    value: str = ""
    hint: str = ""
    required: bool = False


class Choice(Widget, can_focus=True):
    """One of some, on one line: left and right go through them, letters narrow them."""

    DEFAULT_CSS = """
    Choice { height: 1; background: $surface; }
    Choice:focus { background: $panel; }
    Choice:ansi:focus { text-style: reverse; }
    """
    BINDINGS = [
        Binding("left", "turn(-1)", show=False),
        Binding("right,space", "turn(1)", show=False),
        Binding("backspace", "rub_out", show=False),
    ]

    class Changed(Message):
        """Another option was taken."""

    def __init__(self, options: Sequence[Option], value: str = "", *, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._options, self._value, self._typed = list(options), value, ""

    @property
    def value(self) -> str:
        """The value of the option taken."""
        return self._value

    @value.setter
    def value(self, value: str) -> None:
        self._value = value
        self.refresh()

    def offer(self, options: Sequence[Option]) -> None:
        """Offer other options; what was taken stays when it is among them."""
        self._options = list(options)
        self.refresh()

    def _fitting(self) -> list[Option]:
        typed = self._typed.casefold()
        begin = [one for one in self._options if one[0].casefold().startswith(typed)]
        return begin + [one for one in self._options if typed in " ".join(one).casefold() and one not in begin]

    def _take(self, value: str) -> None:
        if value != self._value:
            self._value = value
            self.post_message(self.Changed())
        self.refresh()

    def action_turn(self, by: int) -> None:
        """Take the next or the one before."""
        values = [value for value, _words in self._fitting()]
        if values:
            at = values.index(self._value) + by if self._value in values else 0
            self._take(values[at % len(values)])

    def action_rub_out(self) -> None:
        """Take back the last letter typed."""
        self._typed = self._typed[:-1]
        self.refresh()

    def on_key(self, event: events.Key) -> None:
        """Narrow by what is typed."""
        if event.is_printable and event.character and not event.character.isspace():
            event.stop()
            event.prevent_default()
            self._typed += event.character
            fitting = self._fitting()
            if not fitting:
                self._typed = event.character
                fitting = self._fitting()
            if fitting:
                self._take(fitting[0][0])
            else:
                self._typed = ""

    def on_blur(self) -> None:
        """Begin anew next time."""
        self._typed = ""
        self.refresh()

    def on_click(self) -> None:
        """A click takes the next."""
        self.action_turn(1)

    def render(self) -> Text:
        """Show what is taken, and while one chooses, what else there is."""
        words = dict(self._options).get(self._value, self._value)
        if not self.has_focus:
            return Text(fit(words, self.size.width))
        text = Text(f"< {words} >", end="", no_wrap=True)
        others = [other for value, other in self._fitting() if value != self._value]
        room = self.size.width - text.cell_len - 2
        said = " ".join(others)
        if others and room > 6:  # noqa: PLR2004 - room for a word
            text.append(f"  {fit(said, room)}" if cell_len(said) > room else f"  {said}", "dim")
        return text


class Form(VerticalScroll, can_focus=False):
    """Sections of fields side by side; on a narrow screen one under the other."""

    DEFAULT_CSS = """
    Form { height: 1fr; }
    Form > Horizontal { height: auto; }
    Form .section { width: 1fr; height: auto; padding: 0 1; }
    Form .heading { color: $primary; text-style: bold; }
    Form .row { height: 1; }
    Form .label { width: 13; }
    Form .label.-required { text-style: bold; }
    Form Input { width: 1fr; }
    Form Choice { width: 1fr; }
    Form .complaint { color: $error; display: none; height: auto; }
    Form .complaint.-said { display: block; }
    """
    BINDINGS = [
        Binding("down,enter", "step(1)", show=False),
        Binding("up", "step(-1)", show=False),
    ]

    class Changed(Message):
        """Something was typed, and a moment has passed."""

    class Left(Message):
        """A field was left; `name` says which."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, sections: Sequence[tuple[str, Sequence[Field]]], *, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self._sections = sections
        self._pause: Timer | None = None
        self._last = ""

    def compose(self) -> ComposeResult:
        """Labels and fields."""
        with Horizontal():
            for title, fields in self._sections:
                with Vertical(classes="section"):
                    yield Static(title, classes="heading", markup=False)
                    for field in fields:
                        yield from self._row(field)

    def _row(self, field: Field) -> ComposeResult:
        with Horizontal(classes="row"):
            yield Static(field.label, classes="label -required" if field.required else "label", markup=False)
            if field.options:
                yield Choice(field.options, field.value, id=field.name)
            else:
                yield Input(field.value, placeholder=field.hint, compact=True, id=field.name)
        yield Static("", classes="complaint", id=f"{field.name}-complaint", markup=False)

    def _fields(self) -> list[Field]:
        return [field for _title, fields in self._sections for field in fields]

    def entry(self, name: str) -> Input | Choice:
        """Return the widget of a field."""
        widget = self.query_one(f"#{name}")
        if not isinstance(widget, Input | Choice):
            raise TypeError(name)
        return widget

    @property
    def values(self) -> dict[str, str]:
        """What stands in the fields."""
        return {field.name: self.entry(field.name).value for field in self._fields()}

    def fill(self, values: Mapping[str, str], *, only_empty: bool = False) -> None:
        """Put values into the fields that have these names."""
        for field in self._fields():
            entry = self.entry(field.name)
            if field.name in values and not (only_empty and entry.value):
                entry.value = values[field.name]

    def empty(self) -> None:
        """Put every field back as it was made."""
        self.fill({field.name: field.value for field in self._fields()})
        self.complain({})

    def complain(self, complaints: Mapping[str, str]) -> None:
        """Say what is wrong under the fields."""
        for field in self._fields():
            told = self.query_one(f"#{field.name}-complaint", Static)
            told.update(complaints.get(field.name, ""))
            told.set_class(field.name in complaints, "-said")

    def go_to_first_of(self, names: Iterable[str]) -> None:
        """Focus the first field that is among these."""
        if first := next((field.name for field in self._fields() if field.name in set(names)), ""):
            self.entry(first).focus()

    def missing(self) -> dict[str, str]:
        """Return complaints about required fields that are empty."""
        values = self.values
        return {one.name: _("is needed") for one in self._fields() if one.required and not values[one.name].strip()}

    def action_step(self, by: int) -> None:
        """Go to the next field or the one before."""
        (self.screen.focus_next if by > 0 else self.screen.focus_previous)("Input, Choice")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes on."""
        event.stop()
        self.action_step(1)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tell a moment after the last key."""
        event.stop()
        self._tell_soon(event.input.id or "")

    def on_choice_changed(self, event: Choice.Changed) -> None:
        """Tell a moment after the last key."""
        event.stop()
        self._tell_soon("")

    def _tell_soon(self, name: str) -> None:
        for told in self.query(f"#{name}-complaint.-said") if name else ():
            told.remove_class("-said")
        if self._pause:
            self._pause.stop()
        self._pause = self.set_timer(_PAUSE, lambda: self.post_message(self.Changed()))

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        """Tell which field was left."""
        if event.widget.id:
            self.post_message(self.Left(event.widget.id))
