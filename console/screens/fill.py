"""A dialog of a few fields that sends itself: a refusal is said in it, and nothing typed is lost.

What is typed is kept at the service a moment after each change (`form` names the draft), on Esc and on hang-up, and is
there again when the same form is opened next; sending lets go of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.timer import Timer
from textual.widgets import Button, Input, Static

from console.client import ServiceAway, ServiceRefused
from console.desk import Desk
from console.widgets.cells import fit
from console.words import _

Typed = dict[str, str]
_PAUSE = 0.4  # seconds after the last key before a draft is kept


class Unfit(Exception):
    """What was typed cannot be sent; says why, and which field to look at."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field, self.why = field, why


@dataclass(frozen=True)
class Field:
    """One field; `offers` complete what is typed (Right takes one)."""

    key: str
    label: str
    value: str = ""
    hint: str = ""
    offers: tuple[str, ...] = ()
    kept: bool = True  # False: what identifies a patient is asked anew each time
    required: bool = False


class Fill(ModalScreen[Any]):
    """Returns what the service answered, None when left. Enter goes to the next field, and sends from the last."""

    AUTO_FOCUS = ""
    DEFAULT_CSS = """
    Fill { align: center middle; background: $background 60%;
        & > Vertical { width: 78; max-width: 100%; height: auto; max-height: 100%; border: round $primary;
            background: $surface; padding: 0 1; }
        & .title { text-style: bold; color: $primary; height: auto; }
        & .text { height: auto; }
        & VerticalScroll { height: auto; max-height: 14; }
        & .field { height: 1; }
        & .label { width: 22; }
        & .field Input { width: 1fr; }
        & .hint { color: $foreground 60%; height: auto; padding-left: 22; }
        & #said { color: $error; text-style: bold; height: auto; }
        & #buttons { height: 1; align-horizontal: right; }
        & #buttons .text { width: 1fr; }
        & Button { width: auto; margin-left: 2; }
        &:ansi { background: ansi_default; & .hint { color: ansi_default; text-style: dim; } }
        &.-ascii > Vertical { border: ascii $primary; }
    }
    """
    BINDINGS = [
        Binding("escape", "leave", show=False),
        Binding("ctrl+s", "send", show=False, priority=True),
        Binding("up", "walk(-1)", show=False),
        Binding("down", "walk(1)", show=False),
    ]

    class _Sent(Message):
        def __init__(self, answer: Any) -> None:  # noqa: ANN401 - JSON
            super().__init__()
            self.answer = answer

    class _Refused(Message):
        def __init__(self, why: str, field: str = "") -> None:
            super().__init__()
            self.why, self.field = why, field

    class _Remembered(Message):
        def __init__(self, fields: Mapping[str, Any]) -> None:
            super().__init__()
            self.fields = fields

    def __init__(
        self, desk: Desk, title: str, fields: Sequence[Field], send: Callable[[Typed], Any],
        *, text: str = "", form: str = "", button: str = "",
    ) -> None:  # fmt: skip
        """`send` runs in a worker; it raises Unfit, or what the client raises."""
        super().__init__(classes="-ascii" if desk.ascii else None)
        self._desk, self._title, self._fields, self._send = desk, title, tuple(fields), send
        self._text, self._form, self._button = text, form, button
        self._pause: Timer | None = None
        self._sending = self._touched = False

    def compose(self) -> ComposeResult:
        """Label and field on one line each."""
        wide = max((cell_len(one.label) for one in self._fields), default=0)
        with Vertical():
            yield Static(self._title, classes="title", markup=False)
            if self._text:
                yield Static(self._text, classes="text", markup=False)
            with VerticalScroll(can_focus=False):
                for field in self._fields:
                    with Horizontal(classes="field"):
                        yield Static(fit(field.label, min(wide, 20)), classes="label", markup=False)
                        yield _input(field)
                    if field.hint:
                        yield Static(field.hint, classes="hint", markup=False)
            yield Static("", id="said", markup=False)
            with Horizontal(id="buttons"):
                yield Static(_("Enter next  Ctrl+S sends  Esc leaves"), classes="text", markup=False)
                yield Button(self._button or _("Send"), id="send", compact=True, variant="primary")

    def on_mount(self) -> None:
        """Begin at the first empty field; ask for what was typed before."""
        inputs = list(self.query(Input))
        (next((one for one in inputs if not one.value), inputs[0])).focus()
        if self._form:
            self.run_worker(self._remember, thread=True, group="draft")

    # -- drafts ------------------------------------------------------------------------------------------------------

    def _remember(self) -> None:
        try:
            self.post_message(self._Remembered(self._desk.client.get(f"drafts/{self._form}")))
        except (ServiceRefused, ServiceAway):
            return  # without the draft the form is as it would be anyway

    def on_fill__remembered(self, message: _Remembered) -> None:
        """Put what was typed before in place, unless something is typed already."""
        if self._touched:
            return
        for key, value in message.fields.items():
            for field in self.query(f"#field-{key}").results(Input):
                with self.prevent(Input.Changed):
                    field.value = str(value)

    def on_input_changed(self, _event: Input.Changed) -> None:
        """Keep it a moment after the last key; fields that come to life with their values say so too."""
        self._touched = self._touched or self.typed() != {field.key: field.value.strip() for field in self._fields}
        if self._form and self._touched:
            if self._pause:
                self._pause.stop()
            self._pause = self.set_timer(_PAUSE, self._keep_soon)

    def _keep_soon(self) -> None:
        self.run_worker(partial(self._keep, self._to_keep()), thread=True, group="draft", exclusive=True)

    def _to_keep(self) -> Typed:
        kept = {field.key for field in self._fields if field.kept}
        before = {field.key: field.value for field in self._fields}
        return {key: text for key, text in self.typed().items() if key in kept and text != before[key]}

    def _keep(self, typed: Typed) -> None:
        try:
            self._desk.client.put(f"drafts/{self._form}", typed)
        except (ServiceRefused, ServiceAway):
            return  # it stands on the screen still; sending will say that the service is not there

    def keep_drafts(self) -> None:
        """Keep what is typed at once: the terminal went away."""
        if self._form and self._touched:
            self._keep(self._to_keep())

    # -- filling and sending -----------------------------------------------------------------------------------------

    def typed(self) -> Typed:
        """Return what stands in the fields."""
        return {field.key: self.query_one(f"#field-{field.key}", Input).value.strip() for field in self._fields}

    def action_walk(self, by: int) -> None:
        """Go to the field above or below."""
        (self.focus_previous if by < 0 else self.focus_next)()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go to the next field; send from the last."""
        inputs = list(self.query(Input))
        if event.input is inputs[-1]:
            self.action_send()
        else:
            inputs[inputs.index(event.input) + 1].focus()

    def on_button_pressed(self) -> None:
        """Send."""
        self.action_send()

    def action_send(self) -> None:
        """Send what was typed, unless it is on its way."""
        typed = self.typed()
        empty = next((field for field in self._fields if field.required and not typed[field.key]), None)
        if empty:
            self._say(_("{field} is needed.").format(field=empty.label), empty.key)
        elif not self._sending:
            self._sending = True
            self._say(_("Sending"), "")
            self.run_worker(partial(self._work, typed), thread=True, group="send")

    def _work(self, typed: Typed) -> None:
        try:
            answer = self._send(typed)
            if self._form:
                self._keep({})
        except Unfit as unfit:
            self.post_message(self._Refused(unfit.why, unfit.field))
        except (ServiceRefused, ServiceAway) as error:
            self.post_message(self._Refused(error.detail))
        else:
            self.post_message(self._Sent(answer))

    def on_fill__sent(self, message: _Sent) -> None:
        """Hand on what the service answered."""
        if self._pause:
            self._pause.stop()
        self.dismiss(message.answer)

    def on_fill__refused(self, message: _Refused) -> None:
        """Say why, over what was typed."""
        self._say(message.why, message.field)

    def _say(self, why: str, field: str) -> None:
        self._sending = why == _("Sending")
        self.query_one("#said", Static).update(why)
        if field:
            self.query_one(f"#field-{field}", Input).focus()

    def action_leave(self) -> None:
        """Leave it; what was typed is there again when it is opened next."""
        if self._form and self._touched:
            if self._pause:
                self._pause.stop()
            typed = self._to_keep()
            self.app.run_worker(partial(self._keep, typed), thread=True)
        self.dismiss(None)


def _input(field: Field) -> Input:
    suggester = SuggestFromList(field.offers, case_sensitive=False) if field.offers else None
    return Input(field.value, id=f"field-{field.key}", compact=True, suggester=suggester)
