"""A picture in half blocks: the service draws it at this size, here it is only painted.

What travels is one palette index a pixel and the palette's colours; each pair of colours becomes a style once, and
runs of equal pairs become one segment. Terminals without colours get a ramp of characters.
"""

from __future__ import annotations

import zlib
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any, TypeAlias

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from console.widgets.marks import Mark, Marks, in_cells, over

RAMP = " .:-=+*#%@"
_FIXED_COLOURS = "true_colour"  # indices of this palette are no levels and are never rounded
_LEVELS = 64
_ROUNDED = bytes(min(255, (index * _LEVELS // 256) * 255 // (_LEVELS - 1)) for index in range(256))
_UPPER_HALF = "▀"

StylesOfPairs: TypeAlias = dict[tuple[int, int], Style]


@dataclass(frozen=True)
class Drawn:
    """A picture as it came: `pixels` has 2 * rows lines of `columns` indices into `colours` (256 x 3 bytes)."""

    rows: int
    columns: int
    palette: str
    pixels: bytes
    colours: bytes
    labels: tuple[tuple[int, int, str], ...] = ()  # row, column, text

    @classmethod
    def from_wire(cls, answer: Mapping[str, Any], *, labelled: bool = False) -> Drawn:
        """Take in what the service sent; with `labelled` each tile is named in its corner."""
        tiles: Sequence[Mapping[str, Any]] = answer["tiles"] if labelled else ()
        pixels = zlib.decompress(b64decode(answer["pixels"]))
        if answer["palette"] != _FIXED_COLOURS:
            pixels = pixels.translate(_ROUNDED)
        return cls(
            rows=answer["rows"],
            columns=answer["columns"],
            palette=answer["palette"],
            pixels=pixels,
            colours=b64decode(answer["colours"]),
            labels=tuple((tile["top"] // 2, tile["left"], str(tile["frame"] + 1)) for tile in tiles) + _letters(answer),
        )


def _letters(answer: Mapping[str, Any]) -> tuple[tuple[int, int, str], ...]:
    """Say at the edges of a plane which way the patient lies."""
    place, tiles = answer.get("place"), answer["tiles"]
    if not place or len(tiles) != 1:
        return ()
    (left, right, top, bottom), tile = place["letters"], tiles[0]
    first, last = tile["top"] // 2, (tile["top"] + tile["height"] - 1) // 2
    middle, across = (first + last) // 2, tile["left"] + tile["width"] // 2
    ends = [(middle, tile["left"], left), (middle, tile["left"] + tile["width"] - len(right), right)]
    ends += [(first, across, top), (last, across, bottom)]
    return tuple(end for end in ends if end[2])


def painted(drawn: Drawn) -> list[Strip]:
    """Return the strips of a picture in colour, two pixels a cell."""
    styles, width = _styles_of(drawn.colours), drawn.columns
    labels: dict[int, list[tuple[int, str]]] = {}
    for row, column, text in drawn.labels:
        labels.setdefault(row, []).append((column, text))
    strips = []
    for row in range(drawn.rows):
        start = 2 * row * width
        upper, lower = drawn.pixels[start : start + width], drawn.pixels[start + width : start + 2 * width]
        strip = Strip(_segments(upper, lower, drawn.colours, styles), width)
        strips.append(_labelled(strip, labels[row]) if row in labels else strip)
    return strips


def _segments(upper: bytes, lower: bytes, colours: bytes, styles: StylesOfPairs) -> Iterator[Segment]:
    for pair, run in groupby(zip(upper, lower, strict=True)):
        style = styles.get(pair)
        if style is None:
            style = styles[pair] = _style(pair, colours)
        yield Segment((" " if pair[0] == pair[1] else _UPPER_HALF) * len(tuple(run)), style)


def _style(pair: tuple[int, int], colours: bytes) -> Style:
    above, below = (Color.from_rgb(*colours[3 * index : 3 * index + 3]) for index in pair)
    return Style(color=above, bgcolor=below)


@lru_cache(maxsize=16)
def _styles_of(colours: bytes) -> StylesOfPairs:
    """Return the styles made so far for a palette; they are made once and kept."""
    assert len(colours) == 3 * 256  # noqa: S101 - the shape that travels
    return {}


def _labelled(strip: Strip, labels: list[tuple[int, str]]) -> Strip:
    for column, text in labels:
        label = Strip([Segment(text, Style(color="white", bgcolor="black"))], len(text))
        before, after = strip.crop(0, column), strip.crop(column + len(text))
        strip = Strip.join([before, label, after])
    return strip


def in_characters(drawn: Drawn) -> list[Strip]:
    """Return the strips of a picture as characters, one a cell, darker to brighter as `RAMP` goes."""
    brightness = bytes(
        (299 * drawn.colours[i] + 587 * drawn.colours[i + 1] + 114 * drawn.colours[i + 2]) // 1000
        for i in range(0, len(drawn.colours), 3)
    )
    light, width, strips = drawn.pixels.translate(brightness), drawn.columns, []
    for row in range(drawn.rows):
        start = 2 * row * width
        pairs = zip(light[start : start + width], light[start + width : start + 2 * width], strict=True)
        text = "".join(RAMP[(above + below) * len(RAMP) // 512] for above, below in pairs)
        for at, column, label in drawn.labels:
            if at == row:
                text = text[:column] + label + text[column + len(label) :]
        strips.append(Strip([Segment(text[:width])], width))
    return strips


class Picture(Widget):
    """Paints the picture it is given in the middle of its place; asks for another when its size changes."""

    DEFAULT_CSS = """
    Picture { width: 1fr; height: 1fr; background: #000000; color: #c0c0c0; }
    """

    class _Of(Message):
        def __init__(self, picture: Picture) -> None:
            super().__init__()
            self.picture = picture

        @property
        def control(self) -> Picture:
            return self.picture

    class Resized(_Of):
        """There is room for `columns` x `rows` cells now."""

        def __init__(self, picture: Picture, rows: int, columns: int) -> None:
            super().__init__(picture)
            self.rows, self.columns = rows, columns

    class Dragged(_Of):
        """The mouse was dragged: by so many cells to the right and downward."""

        def __init__(self, picture: Picture, right: int, down: int) -> None:
            super().__init__(picture)
            self.right, self.down = right, down

    class Wheeled(_Of):
        """The wheel was turned: 1 downward, -1 upward."""

        def __init__(self, picture: Picture, steps: int) -> None:
            super().__init__(picture)
            self.steps = steps

    class Pointed(_Of):
        """The mouse went down, was dragged or went up here; `y` counts half rows, `x` columns of the picture."""

        def __init__(self, picture: Picture, phase: str, y: float, x: float) -> None:
            super().__init__(picture)
            self.phase, self.y, self.x = phase, y, x

    def __init__(self, *, characters: bool = False, id: str | None = None) -> None:  # noqa: A002 - Textual's word
        super().__init__(id=id)
        self.characters = characters
        self._strips: list[Strip] = []
        self._words = ""
        self._caption = Strip([])
        self._marks: Marks = {}
        self._pressed = False

    def painter(self) -> Callable[[Drawn], list[Strip]]:
        """Return how this terminal is painted on; it may be called from any thread, ahead of time."""
        return in_characters if self.in_characters else painted

    @property
    def in_characters(self) -> bool:
        """Whether this terminal is painted on with characters alone."""
        return self.characters or self._colourless()

    def show(self, strips: list[Strip]) -> None:
        """Show a picture that `painter` painted."""
        self._strips, self._words = strips, ""
        self.refresh()

    def say(self, words: str) -> None:
        """Show words in place of a picture."""
        self._strips, self._words = [], words
        self.refresh()

    def caption(self, words: str, *, strong: bool = False) -> None:
        """Write over the first line, at the left, what is shown."""
        style = Style(color="black", bgcolor="#ffd700") if strong else Style(color="white", bgcolor="black")
        said = Strip([Segment(words, style)]) if words else Strip([])
        if said != self._caption:
            self._caption = said
            self.refresh(Region(0, 0, self.size.width, 1))

    def mark(self, marks: Iterable[Mark]) -> None:
        """Draw over the picture; marks of before are gone, and only rows that change are sent again."""
        before, self._marks = self._marks, in_cells(marks)
        top = self._top
        rows = [row for row in {*before, *self._marks} if before.get(row) != self._marks.get(row)]
        if rows:
            self.refresh(*(Region(0, top + row, self.size.width, 1) for row in rows))

    def _colourless(self) -> bool:
        return self.app.no_color or self.app.console.color_system in (None, "standard")

    @property
    def _top(self) -> int:
        return (self.size.height - len(self._strips)) // 2

    @property
    def _left(self) -> int:
        return (self.size.width - self._strips[0].cell_length) // 2 if self._strips else 0

    def render_line(self, y: int) -> Strip:
        """Return one line: of the picture, of the words, or empty."""
        line = self._line(y)
        if y == 0 and self._caption.cell_length:
            return Strip.join([self._caption, line.crop(self._caption.cell_length)]).crop(0, self.size.width)
        return line

    def _line(self, y: int) -> Strip:
        width, height = self.size
        row = y - self._top
        if self._strips and 0 <= row < len(self._strips):
            strip = self._strips[row]
            if row in self._marks:
                strip = over(strip, self._marks[row], characters=self.in_characters)
            return self._placed(strip, (width - strip.cell_length) // 2, width)
        if self._words and y == height // 2:
            words = Strip([Segment(self._words, self.rich_style)])
            return self._placed(words, (width - words.cell_length) // 2, width)
        return Strip.blank(width, self.rich_style)

    def _placed(self, strip: Strip, left: int, width: int) -> Strip:
        if left == 0 and strip.cell_length == width:
            return strip
        before = Strip.blank(max(0, left), self.rich_style)
        return Strip.join([before, strip]).crop(0, width).extend_cell_length(width, self.rich_style)

    def on_resize(self, event: events.Resize) -> None:
        """Ask for a picture of this size."""
        if event.size.width and event.size.height:
            self.post_message(self.Resized(self, event.size.height, event.size.width))

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Begin to drag."""
        self._pressed = event.button == 1
        if self._pressed:
            self.capture_mouse()
            self._point("down", event)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Tell how far the mouse was dragged."""
        if self._pressed and (event.delta_x or event.delta_y):
            self.post_message(self.Dragged(self, event.delta_x, event.delta_y))
            self._point("drag", event)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """End the drag."""
        if self._pressed:
            self._point("up", event)
        self._pressed = False
        self.release_mouse()

    def _point(self, phase: str, event: events.MouseEvent) -> None:
        """Tell where the mouse is, in the middle of its cell."""
        y, x = 2 * (event.y - self._top) + 1, event.x - self._left + 0.5
        self.post_message(self.Pointed(self, phase, y, x))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Tell that the wheel was turned."""
        event.stop()
        self.post_message(self.Wheeled(self, 1))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Tell that the wheel was turned."""
        event.stop()
        self.post_message(self.Wheeled(self, -1))
