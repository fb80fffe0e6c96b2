"""What is to be made, as it goes to the process that makes it: all a pipeline may know, and it fits into JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from core.vocabulary import Recipe
from core.workflow.processing.recipes import Values, form_of

TASK = "core.workflow.processing.making:make"
PIPELINE = "core.workflow.processing.spect"
"""What a worker may import while it waits: the heaviest, and nearly all there is."""

_FILES = ("inputs", "over", "registrations")


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be made: everything a pipeline may know. `before` is what the one it replaces found."""

    recipe: Recipe
    parameters: Values
    inputs: tuple[Path, ...]
    over: tuple[Path, ...]
    registrations: tuple[Path, ...]
    folder: Path
    version: str
    at: datetime
    series_number: int
    before: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it as an executor takes it."""
        return {
            "recipe": self.recipe, "parameters": self.parameters, "folder": str(self.folder), "version": self.version,
            "at": self.at.isoformat(), "series_number": self.series_number, "before": dict(self.before),
            **{name: [str(path) for path in getattr(self, name)] for name in _FILES},
        }  # fmt: skip

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Order:
        """Read it back."""
        recipe = Recipe(said["recipe"])
        inputs, over, registrations = (tuple(map(Path, said[name])) for name in _FILES)
        return cls(
            recipe, form_of(recipe).values(said["parameters"]), inputs, over, registrations, Path(said["folder"]),
            said["version"], datetime.fromisoformat(said["at"]), said["series_number"], said["before"],
        )  # fmt: skip

    def number(self, name: str) -> float:
        """Return a parameter that is a number."""
        return float(self.parameters[name])

    def word(self, name: str) -> str:
        """Return a parameter that is a choice or a text."""
        return str(self.parameters[name])

    def flag(self, name: str) -> bool:
        """Return a parameter that is yes or no."""
        return bool(self.parameters[name])

    def used(self) -> dict[str, str | float | int | bool]:
        """Return the parameters that played a part: those whose conditions hold."""
        kept: dict[str, str | float | int | bool] = {}
        for one in form_of(self.recipe).parameters:
            if all(self.parameters[name] in values for name, values in one.depends_on.items()):
                kept[one.name] = self.parameters[one.name]
        return kept
