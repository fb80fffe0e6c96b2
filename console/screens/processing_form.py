"""The parameters of a processing, changed in a form; what does not apply is not shown, and nothing typed is lost.

The recipe, as the service tells it, is the form: labels, units, bounds and which parameter depends on which.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.widgets import Static

from console.client import ServiceAway, ServiceRefused
from console.desk import Desk
from console.screens.page import Page
from console.widgets.form import Field, Form, Option
from console.widgets.paged_list import Item
from console.widgets.processing import applies, choice_words, value_words, with_defaults
from console.words import _

_YES, _NO = "yes", "no"
_INPUTS, _OVER = "images_inputs", "images_over"  # names of the two fields that are no parameters


class ParametersPage(Page):
    """One field a parameter, and which images where they can be chosen; returns what the service answered."""

    NAME = "processing_form"
    TITLE = "Parameters"
    HELP = (
        "Each line is a parameter of the processing; those that mean nothing with the others as they are, are hidden. "
        "Under the form stands what the field may hold and what is usual. Ctrl+S starts the processing with these "
        "parameters; Ctrl+R puts the usual ones back. What you type is kept until it is sent."
    )
    DEFAULT_CSS = """
    ParametersPage #whose { height: 1; padding: 0 1; background: $surface; }
    ParametersPage Form > Horizontal { layout: vertical; }
    ParametersPage.-wide Form > Horizontal { layout: grid; grid-size: 2; grid-rows: auto; }
    ParametersPage Form .label { width: 36; }
    ParametersPage #explained { height: 1; padding: 0 1; color: $accent; }
    ParametersPage:ansi #explained { color: ansi_default; text-style: bold; }
    """

    def __init__(
        self, desk: Desk, recipe: Item, values: Mapping[str, Any], send: Callable[[dict[str, Any]], Any],
        *, whose: str = "", form: str = "", images: Sequence[Option] = (),
    ) -> None:  # fmt: skip
        """`send` takes what the service is asked for, in a worker; `form` names the draft; `images` can be chosen."""
        super().__init__(desk)
        self._images = list(images)
        self._recipe, self._values, self._send = recipe, with_defaults(recipe, values), send
        self._whose, self._form_name = whose, form
        self._parameters = {str(one["name"]): one for one in recipe["parameters"]}
        self._kept: dict[str, str] = {}
        self._busy = False

    def body(self) -> ComposeResult:
        """Whose it is, the fields, and what is to be said of the one under the cursor."""
        yield Static(f"{_(self._recipe['title'])}  {self._whose}", id="whose", markup=False)
        groups: dict[str, list[Field]] = {"images": self._image_fields()} if self._images else {}
        for name, one in self._parameters.items():
            groups.setdefault(one["group"], []).append(_field(one, self._values[name]))
        yield Form([(choice_words(group).capitalize(), fields) for group, fields in groups.items()])
        yield Static("", id="explained", markup=False)

    def _image_fields(self) -> list[Field]:
        needed = self._recipe["needs_over"]
        usual, none = ("", _("what it takes of the exam")), ("", _("choose one") if needed else _("none"))
        return [
            Field(_INPUTS, _("Image"), (usual, *self._images)),
            Field(_OVER, _("Other image"), (none, *self._images), required=needed),
        ]

    @property
    def _form(self) -> Form:
        return self.query_one(Form)

    def on_mount(self) -> None:
        """Begin at the first field, with what was typed before."""
        self._kept = self._form.values
        self._show_what_applies()
        self._form.action_step(1)
        self.ask(partial(self.desk.client.get, f"drafts/{self._form_name}"), self._restore, otherwise=lambda _no: None)

    # -- while it is typed -------------------------------------------------------------------------------------------

    def _restore(self, draft: Mapping[str, Any]) -> None:
        typed = {key: value for key, value in draft.items() if key in self._kept and isinstance(value, str)}
        if typed and typed.items() - self._form.values.items():
            self._form.fill(typed)
            self._show_what_applies()
            self.done(_("What you had typed is back."), undo=_("Ctrl+R puts the usual parameters in place."))

    def on_form_changed(self) -> None:
        """Keep the draft, and show what applies now."""
        values = self._form.values
        if values != self._kept:
            self._kept = values
            self._show_what_applies()
            self.ask(partial(self._save_draft, values), lambda _none: None, only_last="draft")

    def _save_draft(self, values: Mapping[str, str]) -> None:
        self.desk.client.put(f"drafts/{self._form_name}", dict(values))

    def keep_drafts(self) -> None:
        """The terminal goes away: keep what was typed, at once."""
        try:
            self._save_draft(self._form.values)
        except (ServiceRefused, ServiceAway):
            return  # nobody is left to be told

    def _show_what_applies(self) -> None:
        values, _complaints = self._read()
        for name, one in self._parameters.items():
            row = self._form.entry(name).parent
            if row is not None and (shown := applies(one, values)) != row.display:
                row.display = shown

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Say what the field may hold."""
        if (one := self._parameters.get(event.widget.id or "")) is not None:
            self.query_one("#explained", Static).update(explained(one))

    # -- sending -----------------------------------------------------------------------------------------------------

    def action_usual(self) -> None:
        """Put the usual parameters in place."""
        self._form.fill({name: as_typed(one, one["default"]) for name, one in self._parameters.items()})
        self._form.complain({})

    def action_start(self) -> None:
        """Start it with what stands here."""
        values, complaints = self._read()
        sent = {name: value for name, value in values.items() if applies(self._parameters[name], values)}
        complaints = {name: why for name, why in complaints.items() if name in sent} | self._form.missing()
        self._form.complain(complaints)
        self._form.go_to_first_of(complaints)
        if not complaints and not self._busy:
            self._busy = True
            body = {"parameters": sent, **self._chosen_images()}
            self.ask(partial(self._send_and_forget, body), self._sent, otherwise=self._refused)

    def _chosen_images(self) -> dict[str, list[str]]:
        values = self._form.values
        chosen = {"inputs": values.get(_INPUTS, ""), "over": values.get(_OVER, "")}
        return {name: [uid] for name, uid in chosen.items() if uid}

    def _send_and_forget(self, body: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        answer = self._send(body)
        self._save_draft({})
        return answer

    def _sent(self, answer: Any) -> None:  # noqa: ANN401 - JSON
        self.dismiss(answer)

    def _refused(self, refused: ServiceRefused) -> None:
        self._busy = False
        self.notify(refused.detail, severity="error", timeout=12, markup=False)

    def _read(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Return what is typed as values, and what is wrong with it; a wrong one keeps its former value."""
        values, complaints = dict(self._values), {}
        typed = self._form.values
        for name, one in self._parameters.items():
            try:
                values[name] = as_value(one, typed[name])
            except ValueError as error:
                complaints[name] = str(error)
        return values, complaints


def _field(one: Item, value: Any) -> Field:  # noqa: ANN401 - JSON
    label = f"{_(one['label'])}, {one['unit']}" if one["unit"] else _(one["label"])
    return Field(str(one["name"]), label, _options(one), as_typed(one, value))


def _options(one: Item) -> tuple[Option, ...]:
    if one["kind"] == "flag":
        return ((_YES, _("yes")), (_NO, _("no")))
    return tuple((str(choice), choice_words(str(choice))) for choice in one["choices"] or ())


def as_typed(one: Item, value: Any) -> str:  # noqa: ANN401 - JSON
    """Return a value as it stands in its field."""
    if one["kind"] == "flag":
        return _YES if value else _NO
    if value is None:
        return ""
    return f"{value:.10g}" if isinstance(value, int | float) else str(value)


def as_value(one: Item, text: str) -> Any:  # noqa: ANN401 - JSON
    """Read what stands in a field.

    Raises
    ------
    ValueError
        When it is no number, or out of bounds; the text is fit for a person.
    """
    text = text.strip()
    if one["kind"] == "flag":
        return text == _YES
    if one["kind"] != "number":
        return text
    if not text:
        raise ValueError(_("is needed"))
    try:
        value = float(text.replace(",", "."))
    except ValueError as error:
        raise ValueError(_("{text} is no number.").format(text=text)) from error
    low, high = one["lowest"], one["highest"]
    if not math.isfinite(value) or (low is not None and value < low) or (high is not None and value > high):
        raise ValueError(_("must be {bounds}").format(bounds=bounds_words(one)))
    return value


def bounds_words(one: Item) -> str:
    """Return within what a number must be."""
    low, high = one["lowest"], one["highest"]
    if low is not None and high is not None:
        return _("{low} to {high}").format(low=f"{low:g}", high=f"{high:g}")
    if low is not None:
        return _("at least {low}").format(low=f"{low:g}")
    return _("at most {high}").format(high=f"{high:g}") if high is not None else _("any number")


def explained(one: Item) -> str:
    """Return what a field may hold, and what is usual."""
    usual = _("usual: {value}").format(value=value_words(one, one["default"]))
    bounds = f"{bounds_words(one)} {one['unit']}".rstrip() if one["kind"] == "number" else ""
    return f"{_(one['label'])}: " + "; ".join(part for part in (bounds, usual, _(one["help"])) if part)
