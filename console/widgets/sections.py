"""The parts of a report as fields one under another; what is typed is told, and never thrown away by what arrives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Static, TextArea

from console.words import _


class Part(TextArea):
    """One part: grows with its text, wraps, keeps Tab for going to the next part."""

    DEFAULT_CSS = """
    Part {
        height: auto; min-height: 3; border: none; padding: 0 1; background: $surface; color: $foreground;
        scrollbar-size-vertical: 1;
        &:focus { background: $panel; border: none; }
        &.-read-only { background: $background; }
        &:ansi { background: ansi_default; }
    }
    """

    def __init__(self, name: str) -> None:
        super().__init__(
            name=name, read_only=True, soft_wrap=True, tab_behavior="focus", compact=True,
            highlight_cursor_line=False, show_line_numbers=False,
        )  # fmt: skip
        self.cursor_blink = False  # an idle screen sends nothing
        for key in ("f6", "f7"):  # the page's own
            self._bindings.key_to_bindings.pop(key, None)


class Sections(VerticalScroll):
    """The parts in their order; `Typed` tells of what a person typed, not of what was filled in."""

    DEFAULT_CSS = """
    Sections { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
    Sections .part-title { height: 1; color: $primary; text-style: bold; }
    Page.-wide Sections .part-title { margin-top: 1; }
    """

    class Typed(Message):
        """Something was typed."""

    def __init__(self) -> None:
        super().__init__(can_focus=False)
        self.parts: list[Part] = []
        self._filling: dict[str, str] = {}  # what was put in by us, until its change has been told

    def lay_out(self, parts: Sequence[Mapping[str, Any]], text: Mapping[str, str]) -> None:
        """Make the fields of these parts, and of parts the text has beside them."""
        titles = {str(part["name"]): _(str(part["title"])) for part in parts}
        titles |= {name: name.capitalize() for name in text if name not in titles}
        if list(titles) == [part.name for part in self.parts]:
            return
        self.remove_children()
        self.parts = [Part(name) for name in titles]
        for part, title in zip(self.parts, titles.values(), strict=True):
            self.mount(Static(title, classes="part-title", markup=False), part)

    def text(self) -> dict[str, str]:
        """Return what stands in the fields."""
        return {part.name or "": part.text for part in self.parts}

    def fill(self, text: Mapping[str, str]) -> None:
        """Put this text into the fields."""
        for part in self.parts:
            wanted = text.get(part.name or "", "")
            if wanted != part.text:
                self._filling[part.name or ""] = wanted
                part.load_text(wanted)

    def allow(self, *, writing: bool) -> None:
        """Let the fields be written in, or only read."""
        for part in self.parts:
            part.read_only = not writing
            part.set_class(not writing, "-read-only")

    def begin(self) -> None:
        """Put the cursor into the first part that is empty, else into the first; never steals it from another field."""
        parts = self.parts
        if parts and not isinstance(self.screen.focused, Part):
            next((part for part in parts if not part.text.strip()), parts[0]).focus()

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Tell of what was typed."""
        event.stop()
        name = event.text_area.name or ""
        if self._filling.get(name) == event.text_area.text:
            del self._filling[name]
            return
        self._filling.pop(name, None)
        self.post_message(self.Typed())


def joined(theirs: Mapping[str, str], mine: Mapping[str, str]) -> dict[str, str]:
    """Put two texts of one report together so that no word of either is lost."""
    return {name: _joined(theirs.get(name, ""), mine.get(name, "")) for name in {**theirs, **mine}}


def _joined(theirs: str, mine: str) -> str:
    if theirs.strip() in mine:
        return mine
    if mine.strip() in theirs:
        return theirs
    return f"{theirs.rstrip()}\n{mine}"
