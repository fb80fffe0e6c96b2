"""What is drawn over a picture: outlines, cursors, the place that is shown elsewhere, by the half cell.

The picture under them stays as it was painted; only the cells with marks are made anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

_UPPER_HALF = "▀"
COLOURS = {"region": "#00d7ff", "chosen": "#ffd700", "cursor": "#ff5f5f", "place": "#5fd75f"}
LETTERS = {"region": "o", "chosen": "O", "cursor": "X", "place": "+"}  # on terminals without colours


@dataclass(frozen=True)
class Mark:
    """One half cell of a picture: `y` counts half rows, `x` columns; `tone` is a name of COLOURS."""

    y: int
    x: int
    tone: str


Halves = tuple[str, str]  # the tones of the upper and the lower half, "" where there is none
Marks = Mapping[int, Mapping[int, Halves]]  # by row and column of cells


def in_cells(marks: Iterable[Mark]) -> Marks:
    """Sort marks by the cell they stand in; later ones stand over earlier ones."""
    cells: dict[int, dict[int, Halves]] = defaultdict(dict)
    for mark in marks:
        row, lower = divmod(mark.y, 2)
        above, below = cells[row].get(mark.x, ("", ""))
        cells[row][mark.x] = (above, mark.tone) if lower else (mark.tone, below)
    return cells


def over(strip: Strip, marks: Mapping[int, Halves], *, characters: bool) -> Strip:
    """Draw the marks of one row over its strip."""
    cut = sorted(column for column in marks if 0 <= column < strip.cell_length)
    parts, at = [], 0
    for column in cut:
        cell = strip.crop(column, column + 1)
        parts += [strip.crop(at, column), Strip([_cell(cell, marks[column], characters=characters)], 1)]
        at = column + 1
    return Strip.join([*parts, strip.crop(at)])


def _cell(under: Strip, tones: Halves, *, characters: bool) -> Segment:
    if characters:
        return Segment(LETTERS[tones[0] or tones[1]], Style(bold=True))
    segment = next(iter(under), Segment(" "))
    style = segment.style or Style()
    below = style.bgcolor
    above = style.color if segment.text == _UPPER_HALF else below
    upper = COLOURS[tones[0]] if tones[0] else above
    lower = COLOURS[tones[1]] if tones[1] else below
    return Segment(_UPPER_HALF, Style(color=upper, bgcolor=lower))
