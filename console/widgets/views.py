"""The views of a page in one line: which there are, the key of each, and which one is shown.

A click goes to a view as its key does: both run the action of the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text
from textual.widget import Widget

from console.widgets.lines import tone_colour


@dataclass(frozen=True)
class View:
    """One view: `name` is what the page calls it, `action` what its key does."""

    name: str
    key: str
    words: str
    action: str


class Views(Widget):
    """One line, the shown view marked by brackets as well as by its colour."""

    DEFAULT_CSS = """
    Views {
        height: 1; background: $surface; color: $foreground; link-style: none;
        &:ansi { background: ansi_default; }
    }
    """

    def __init__(self, views: Sequence[View], shown: str) -> None:
        super().__init__()
        self._views, self._shown = tuple(views), shown
        self._counts: dict[str, int] = {}
        self._said = ""

    def mark(self, shown: str) -> None:
        """Mark another view as the one shown."""
        if shown != self._shown:
            self._shown = shown
            self.refresh()

    def count(self, **counts: int) -> None:
        """Say how many there are in some views; what is the same is not drawn again."""
        if any(self._counts.get(name) != count for name, count in counts.items()):
            self._counts |= counts
            self.refresh()

    def say(self, text: str) -> None:
        """Say something at the right: a device, a subject."""
        if text != self._said:
            self._said = text
            self.refresh()

    def render(self) -> Text:
        """Draw the views that fit."""
        line = Text(" ", end="", no_wrap=True)
        for view in self._views:
            part = self._part(view)
            if line.cell_len + part.cell_len <= self.size.width:
                line.append_text(part)
        said = Text(self._said, style=tone_colour(self, "accent"))
        room = self.size.width - line.cell_len - said.cell_len - 1
        if room > 0:
            line.append(" " * room).append_text(said)
        return line

    def _part(self, view: View) -> Text:
        count = self._counts.get(view.name)
        words = view.words if count is None else f"{view.words} {count}"
        here = view.name == self._shown
        part = Text.assemble((view.key, tone_colour(self, "key")), (f"[{words}]" if here else f" {words} ", ""))
        if here:
            part.stylize("bold", len(view.key))
        part.apply_meta({"@click": f"screen.{view.action}"})
        return part
