"""A processing as people read it: whose it is, how far it is, by which method, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.text import Text

from console.widgets import states
from console.widgets.cells import Cell, fit
from console.widgets.people import clock, name
from console.words import _
from core.vocabulary import ProcessingState

Item = Mapping[str, Any]
Parameters = Mapping[str, Any]

_DIGITS = 9  # steps that have a key of their own
_NARROW = 30  # cells in which there is no room for how many frames there are
_ROW = 6  # numbers in a row that are read one by one; more are drawn
_CURVE = 24  # cells of a curve
_NAMED = {
    "fbp": "FBP", "osem": "OSEM", "mlem": "MLEM", "map": "MAP", "tew": "TEW", "ct": "CT", "hann": "Hann",
    "hamming": "Hamming", "butterworth": "Butterworth", "shepp_logan": "Shepp-Logan", "parzen": "Parzen",
    "metz": "Metz", "gaussian": "Gauss", "huber": "Huber", "nyquist": "Nyquist", "haar": "Haar",
}  # fmt: skip
_RULE = "rule"  # asked for by what the catalogue or the protocol says
UNDER_WAY = frozenset({ProcessingState.WAITING, ProcessingState.QUEUED, ProcessingState.RUNNING})
TO_ACCEPT = frozenset({ProcessingState.MADE})
STOPPED = frozenset({ProcessingState.FAILED, ProcessingState.CANCELLED})


def processing_row(one: Item, now: datetime, *, ascii_only: bool) -> dict[str, Cell | str]:
    """Return one processing as a row: whose, what, how far, and what it complains of."""
    return {
        "when": clock(one["made_at"] or one["asked_at"], now),
        "name": who(one),
        "number": one["patient_number"],
        "exam": one["procedure"],
        "accession": one["accession"],
        "what": _(one["title"]),
        "state": state_cell(one, ascii_only=ascii_only),
        "by": one["accepted_by"] or asked_by(one),
        "note": note(one),
    }


def who(one: Item) -> str:
    """Return the patient's name as people write it, both scripts."""
    return name(one, "patient_")


def asked_by(one: Item) -> str:
    """Return who asked for it: a person, or the catalogue and protocol by themselves."""
    return _("by itself") if one["by"] == _RULE else str(one["by"])


def state_cell(one: Item, *, ascii_only: bool) -> Cell:
    """Return the state, with how far it is while it runs."""
    cell = states.state(states.PROCESSING, one["state"], ascii_only=ascii_only)
    running = one["state"] == ProcessingState.RUNNING and one["total"]
    return Cell(cell.text, cell.tone, f" {100 * one['done'] // one['total']}%") if running else cell


def note(one: Item) -> Cell:
    """Return why it failed, without the object it names, else the first thing to be warned of."""
    if one["error"]:
        return Cell(one["error"].partition(": ")[2] or one["error"], "bad")
    count = len(one["warnings"])
    more = f" (+{count - 1})" if count > 1 else ""
    return Cell(one["warnings"][0] + more, "warn") if count else Cell("")


def bar(one: Item, width: int, *, ascii_only: bool) -> str:
    """Return how far it is, as a bar of so many cells."""
    full, empty = ("#", "-") if ascii_only else ("█", "░")
    filled = width * one["done"] // one["total"] if one["total"] else 0
    return full * min(width, filled) + empty * (width - min(width, filled))


# -- parameters ------------------------------------------------------------------------------------------------------


def applies(parameter: Item, values: Parameters) -> bool:
    """Whether a parameter means anything with these values: `depends_on` names others and what they may be."""
    return all(values.get(other) in wanted for other, wanted in parameter["depends_on"].items())


def with_defaults(recipe: Item, values: Parameters) -> dict[str, Any]:
    """Return every parameter of the recipe: as given, else as usual."""
    return {one["name"]: values.get(one["name"], one["default"]) for one in recipe["parameters"]}


def value_words(parameter: Item, value: Any) -> str:  # noqa: ANN401 - JSON
    """Return a value as it is read: yes and no, a choice in words, a number with its unit."""
    if value is None or value == "":
        return "-"
    if parameter["kind"] == "flag":
        return _("yes") if value else _("no")
    if parameter["kind"] == "choice":
        return choice_words(str(value))
    number = f"{value:g}" if isinstance(value, int | float) else str(value)
    return f"{number} {parameter['unit']}".strip()


def choice_words(value: str) -> str:
    """Return what a choice is called: as its inventor is written, else in words."""
    return _NAMED.get(value) or _(value.replace("_", " "))


def unusual(recipe: Item, values: Parameters) -> list[tuple[str, str]]:
    """Return label and value of the parameters that apply and are other than usual."""
    every = with_defaults(recipe, values)
    return [
        (_(one["label"]), value_words(one, every[one["name"]]))
        for one in recipe["parameters"]
        if applies(one, every) and every[one["name"]] != one["default"]
    ]


# -- in full ---------------------------------------------------------------------------------------------------------


def about(one: Item, recipe: Item | None, now: datetime, tones: Mapping[str, str], *, plain: bool) -> Text:
    """Return everything known of a processing."""
    text = Text()
    cell = state_cell(one, ascii_only=plain)
    text.append(f"{_(one['title'])}  ", "bold").append(f"{cell.text}{cell.tail}\n", tones.get(cell.tone, ""))
    text.append(f"{who(one)}  {one['patient_number']}  {one['accession']}  {one['procedure']}\n")
    if one["total"] and one["state"] in UNDER_WAY:
        text.append(f"{bar(one, 24, ascii_only=plain)}  {one['done']}/{one['total']}\n", tones.get("warn", ""))
    text.append_text(complaints(one, tones))
    text.append_text(parameters_told(one, recipe))
    for label, value in _record(one, now):
        text.append(f"{label}  ", "dim").append(f"{value}\n")
    return text.append_text(numbers_told(one["numbers"], plain=plain))


def complaints(one: Item, tones: Mapping[str, str]) -> Text:
    """Return why it failed and what to be warned of, a line each."""
    text = Text()
    if one["error"]:
        text.append(f"{one['error']}\n", tones.get("bad", ""))
    for warning in one["warnings"]:
        text.append(f"! {warning}\n", tones.get("warn", ""))
    return text


def parameters_told(one: Item, recipe: Item | None) -> Text:
    """Return what was done as the service says it, then the parameters that are other than usual, a line each."""
    text = Text()
    for words in one["said"]:
        text.append(f"{words}\n")
    for label, value in unusual(recipe, one["parameters"]) if recipe else ():
        text.append(f"{label}  ", "dim").append(f"{value}\n", "bold")
    return text


def stages_told(stages: Sequence[Item], seen: int, width: int) -> Text:
    """Return the steps, a line each, with the digit that goes there and how many frames there are."""
    text = Text()
    for number, stage in enumerate(stages):
        mark = ">" if number == seen else " "
        digit = str(number + 1) if number < _DIGITS else " "
        frames = f" {stage['frames']:>4}" if width > _NARROW else ""
        title = fit(_(stage["title"]).partition(",")[0], max(8, width - 3 - len(frames)))
        text.append(f"{mark}{digit} {title}{frames}\n", "bold" if number == seen else "dim")
    return text.append("\n") if stages else text


def numbers_told(numbers: Mapping[str, Any], *, plain: bool) -> Text:
    """Return the numbers of a result, a line each; a long row as a curve, a matrix not at all: it is in the object."""
    text = Text()
    for label, value in numbers.items():
        if isinstance(value, list) and value and isinstance(value[0], list):
            continue
        text.append(f"{_(label.replace('_', ' '))}  ", "dim").append(f"{number_words(value, plain=plain)}\n")
    return text


def number_words(value: Any, *, plain: bool) -> str:  # noqa: ANN401 - JSON
    """Return one number, several in their order, or a long row of them as a curve."""
    if isinstance(value, bool) or value is None:
        return _("yes") if value else _("no")
    if isinstance(value, list):
        if len(value) > _ROW and all(isinstance(one, int | float) for one in value):
            return f"{min(value):.3g} .. {max(value):.3g}\n{curve(value, plain=plain)}"
        return "  ".join(number_words(one, plain=plain) for one in value)
    return f"{value:.4g}" if isinstance(value, float) else _(str(value))


def curve(values: Sequence[float], *, plain: bool) -> str:
    """Return a row of numbers as a curve, a cell each; two make one cell where they would not fit."""
    marks = "_.-=+*#%" if plain else "▁▂▃▄▅▆▇█"
    each = -(-len(values) // _CURVE)
    pairs = [values[place : place + each] for place in range(0, len(values), each)]
    means = [sum(pair) / len(pair) for pair in pairs]
    low, high = min(means), max(means)
    return "".join(marks[min(len(marks) - 1, int((one - low) / (high - low or 1) * len(marks)))] for one in means)


def _record(one: Item, now: datetime) -> list[tuple[str, str]]:
    lines = [(_("Asked"), f"{clock(one['asked_at'], now)}  {asked_by(one)}")]
    if one["made_at"]:
        lines.append((_("Made"), clock(one["made_at"], now)))
    if one["accepted_at"]:
        lines.append((_("Accepted"), f"{clock(one['accepted_at'], now)}  {one['accepted_by']}"))
    lines.append((_("From"), _("{count} objects").format(count=len(one["inputs"]) + len(one["over"]))))
    if one["results"]:
        label = _("Filed") if one["state"] == ProcessingState.ACCEPTED else _("Result")
        lines.append((label, _("{count} objects").format(count=len(one["results"]))))
    if one["version"]:
        lines.append((_("Version"), one["version"]))
    return lines
