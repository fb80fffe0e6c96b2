"""Text in cells: what fits, what is cut, how wide it is on a terminal.

A Chinese character is two cells wide; nothing here counts characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

TONES = ("muted", "good", "warn", "bad", "accent", "strong")


@dataclass(frozen=True)
class Cell:
    """What one column of one row shows; `tone` is one of TONES or plain, `tail` is never cut."""

    text: str
    tone: str = ""
    tail: str = ""

    def fitted(self, width: int, *, right: bool = False, more: str = "…") -> str:
        """Return it in exactly `width` cells."""
        room = max(0, width - cell_len(self.tail))
        if not self.tail or right or cell_len(self.text) > room:
            return fit(fit(self.text, room, right=right, more=more) + self.tail, width, more=more)
        return fit(self.text + self.tail, width, more=more)


@dataclass(frozen=True)
class Column:
    """A column: its least width in cells; on a narrow terminal the highest `priority` goes first, 0 always stays.

    `grow` is its share of what is left over.
    """

    key: str
    title: str
    width: int
    priority: int = 0
    grow: int = 0
    right: bool = False


def one_line(text: str) -> str:
    """Return the text without anything that would move the cursor."""
    return "".join(" " if mark.isspace() else mark for mark in text if mark.isprintable() or mark.isspace())


def fit(text: str, width: int, *, right: bool = False, more: str = "…") -> str:
    """Return the text in exactly `width` cells, padded or cut with a mark."""
    text = one_line(text)
    wide = cell_len(text)
    if wide <= width:
        return " " * (width - wide) + text if right else text + " " * (width - wide)
    kept = set_cell_size(text, max(0, width - cell_len(more))).rstrip()
    return set_cell_size(kept + more, width)


def share(columns: Sequence[Column], width: int, gap: int = 1) -> list[tuple[Column, int]]:
    """Choose the columns that fit into `width` cells and say how wide each becomes, in their own order."""
    chosen = list(columns)
    while len(chosen) > 1 and _least(chosen, gap) > width and (out := _first_to_go(chosen)):
        chosen.remove(out)
    left = max(0, width - _least(chosen, gap))
    shares = sum(column.grow for column in chosen) or 1
    widths = [column.width + left * column.grow // shares for column in chosen]
    return list(zip(chosen, widths, strict=True))


def _least(columns: Iterable[Column], gap: int) -> int:
    widths = [column.width for column in columns]
    return sum(widths) + gap * (len(widths) - 1)


def _first_to_go(columns: Sequence[Column]) -> Column | None:
    last = max(columns, key=lambda column: column.priority)
    return last if last.priority else None
