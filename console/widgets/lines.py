"""The two lines every page has: the status line at the top, the keys at the bottom.

Each is drawn from what it is given, as one strip: no children, no clocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text
from textual.widget import Widget

from console.commands import Command
from console.keymap import Keymap
from console.widgets.cells import fit


@dataclass(frozen=True)
class Told:
    """What the status line says; `service` is a word and its tone."""

    title: str
    site: str = ""
    who: str = ""
    service: tuple[str, str] = ("", "")
    needs: tuple[tuple[str, str], ...] = ()


class StatusLine(Widget):
    """Page, site, person, what needs them, and whether the service is there."""

    DEFAULT_CSS = """
    StatusLine {
        height: 1; dock: top; background: $panel; color: $foreground;
        &:ansi { text-style: reverse; }
    }
    """
    COMPONENT_CLASSES = {"status--title"}

    def __init__(self, told: Told) -> None:
        super().__init__()
        self._told = told

    def tell(self, told: Told) -> None:
        """Say something else; what is the same is not drawn again."""
        if told != self._told:
            self._told = told
            self.refresh()

    def render(self) -> Text:
        """Draw what fits: when it is too much, the site goes first, then the person, then needs from the last."""
        told, width = self._told, self.size.width
        right = Text.assemble((told.service[0], self._colour(told.service[1])), " ")
        room = width - cell_len(f" {told.title}  ") - right.cell_len
        left = Text(f" {told.title}  ", style="bold", end="")
        for text, tone in self._fitting(room):
            left.append(f"{text}  ", self._colour(tone))
        left.append(" " * max(0, width - left.cell_len - right.cell_len))
        return left.append_text(right)

    def _fitting(self, room: int) -> list[tuple[str, str]]:
        told = self._told
        needs = [(text, tone) for text, tone in told.needs]
        tries = [[(told.site, "muted"), (told.who, ""), *needs], [(told.who, ""), *needs]]
        tries += [[(told.who, ""), *needs[:count]] for count in range(len(needs) - 1, -1, -1)]
        for parts in tries:
            parts = [part for part in parts if part[0]]  # noqa: PLW2901 - without what is empty
            if sum(cell_len(text) + 2 for text, _tone in parts) <= room:
                return parts
        return [(fit(told.who, max(0, room - 2)), "")]

    def _colour(self, tone: str) -> str:
        return tone_colour(self, tone)


def tone_colour(widget: Widget, tone: str) -> str:
    """Return the rich style of a tone in the theme now used."""
    variables = widget.app.theme_variables
    name = {"good": "success", "warn": "warning", "bad": "error", "accent": "accent", "key": "accent"}.get(tone)
    if name is None:
        return "dim" if tone == "muted" else "bold" if tone == "strong" else ""
    colour = variables.get(name, "")
    colour = colour.removeprefix("ansi_") if colour.startswith("ansi_") else colour
    return f"bold {colour}" if tone in {"bad", "key"} else colour


class KeyLine(Widget):
    """The keys of the page, and what each does; a click does it too."""

    DEFAULT_CSS = """
    KeyLine {
        height: 1; dock: bottom; background: $panel; color: $foreground;
        &:ansi { background: ansi_default; }
    }
    """

    def __init__(self, commands: Sequence[Command], keymap: Keymap) -> None:
        super().__init__()
        self._commands = [one for one in commands if one.shown and keymap.key(one)]
        self._keymap = keymap

    def render(self) -> Text:
        """Draw the page's own keys, then those of every page, as many as fit."""
        line = Text(" ", end="", no_wrap=True)
        for command in self._commands:
            part = Text.assemble((self._keymap.shown(command), tone_colour(self, "key")), f" {command.words}  ")
            if line.cell_len + part.cell_len <= self.size.width:
                action = f"screen.{command.action}"
                part.apply_meta({"@click": action})
                line.append_text(part)
        return line
