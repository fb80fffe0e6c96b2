"""What of a processing is moved by keys: a coregistration by millimetres and degrees, the axis of the heart.

A handle is up to three number parameters of a recipe that belong together: their names are the same but for the last
word before the unit (nudge_x_mm, nudge_y_mm, nudge_z_mm; axis_apex_x_mm ...) and begin with one of `MOVED`. The arrow
keys move the first and the second, page up and page down the third.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from console.widgets.processing import applies, with_defaults
from console.words import _

Item = Mapping[str, Any]
MOVED = frozenset({"nudge", "axis"})
STEPS = (0.5, 1.0, 2.0, 5.0, 10.0)
_UNITS = frozenset({"mm", "deg", "degrees"})


@dataclass(frozen=True)
class Handle:
    """Parameters that move together, in the order of their keys."""

    name: str
    unit: str
    parameters: tuple[Item, ...]

    @property
    def words(self) -> str:
        """What it is called: a shift where its unit is a length."""
        return _("Shift") if self.unit == "mm" else _("Turn")

    def values(self, parameters: Mapping[str, Any]) -> list[float]:
        """Return where it stands."""
        return [float(parameters.get(one["name"], one["default"]) or 0.0) for one in self.parameters]

    def moved(self, parameters: Mapping[str, Any], place: int, by: float) -> dict[str, float]:
        """Return what changes when the parameter at `place` goes on by so much; it stays within its bounds."""
        if place >= len(self.parameters):
            return {}
        one = self.parameters[place]
        value = self.values(parameters)[place] + by
        low, high = one["lowest"], one["highest"]
        value = value if low is None else max(low, value)
        value = value if high is None else min(high, value)
        return {str(one["name"]): round(value, 3)}


def handles_of(recipe: Item, parameters: Mapping[str, Any]) -> list[Handle]:
    """Return the handles of a recipe that apply with these parameters, in the order of the recipe."""
    values = with_defaults(recipe, parameters)
    groups: dict[tuple[str, str], list[Item]] = {}
    for one in recipe["parameters"]:
        words = str(one["name"]).split("_")
        if one["kind"] == "number" and words[0] in MOVED and applies(one, values):
            words = words[:-1] if words[-1] in _UNITS else words
            groups.setdefault(("_".join(words[:-1]) or words[0], one["unit"]), []).append(one)
    return [Handle(name, unit, tuple(parameters[:3])) for (name, unit), parameters in groups.items()]


def handle_words(handle: Handle, parameters: Mapping[str, Any], step: float) -> str:
    """Return where a handle stands, and how far one key moves it."""
    values = "  ".join(f"{value:+.4g}" for value in handle.values(parameters))
    each = _("{step} {unit} a key").format(step=f"{step:g}", unit=handle.unit)
    return f"{handle.words}  {values} {handle.unit}  ({each})"


def step_after(step: float, by: int, steps: Sequence[float] = STEPS) -> float:
    """Return the next greater or smaller step; the last of them stays."""
    place = steps.index(step) + by if step in steps else 0
    return steps[min(max(0, place), len(steps) - 1)]
