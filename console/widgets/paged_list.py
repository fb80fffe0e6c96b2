"""A list of any length, of which only what is seen is ever asked for and drawn.

`fetch(offset, limit)` runs in a worker and returns {"total", "items"}; a short list is given by `show`. The row under
the person's hand stays under it whatever arrives: it is known by its key, never by its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from console.client import ServiceAway, ServiceRefused
from console.widgets.cells import Cell, Column, fit, share

Item = dict[str, Any]
Fetch = Callable[[int, int], Mapping[str, Any]]
Row = Callable[[Item], Mapping[str, Cell | str]]
PAGE = 100


class PagedList(ScrollView, can_focus=True):
    """Rows under a fixed header, one of them chosen."""

    DEFAULT_CSS = """
    PagedList {
        height: 1fr; background: $background; scrollbar-size-vertical: 1; overflow-x: hidden;
        &>.paged-list--header { color: $primary; text-style: bold; background: $surface; }
        &>.paged-list--row { color: $foreground; }
        &>.paged-list--cursor { background: $primary; color: $background; text-style: bold; }
        &>.paged-list--resting { background: $panel; }
        &>.paged-list--muted { color: $foreground 60%; }
        &>.paged-list--good { color: $success; }
        &>.paged-list--warn { color: $warning; }
        &>.paged-list--bad { color: $error; text-style: bold; }
        &>.paged-list--accent { color: $accent; }
        &>.paged-list--strong { text-style: bold; }
        &:ansi {
            &>.paged-list--cursor { background: ansi_default; color: ansi_default; text-style: reverse bold; }
            &>.paged-list--resting { background: ansi_default; text-style: underline; }
            &>.paged-list--muted { color: ansi_default; text-style: dim; }
            &>.paged-list--header { background: ansi_default; text-style: bold underline; }
        }
    }
    """
    COMPONENT_CLASSES = {
        f"paged-list--{name}"
        for name in ("header", "row", "cursor", "resting", "muted", "good", "warn", "bad", "accent", "strong")
    }
    BINDINGS = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "leap(-1)", show=False),
        Binding("pagedown", "leap(1)", show=False),
        Binding("home", "edge(0)", show=False),
        Binding("end", "edge(1)", show=False),
        Binding("enter", "open", show=False),
    ]

    class _About(Message):
        def __init__(self, paged_list: PagedList, item: Item) -> None:
            super().__init__()
            self.paged_list, self.item = paged_list, item

        @property
        def control(self) -> PagedList:
            return self.paged_list

    class Chosen(_About):
        """The cursor stands on another item, or on the same with other content."""

    class Opened(_About):
        """Enter, or a click on the chosen row."""

    class Emptied(Message):
        """There is nothing to choose."""

    class Failed(Message):
        """A window could not be fetched."""

        def __init__(self, error: ServiceRefused | ServiceAway) -> None:
            super().__init__()
            self.error = error

    class _Arrived(Message):
        def __init__(self, turn: int, offset: int, window: Mapping[str, Any] | None) -> None:
            super().__init__()
            self.turn, self.offset, self.window = turn, offset, window

    def __init__(
        self,
        columns: Sequence[Column],
        row: Row,
        key: str,
        *,
        empty: str = "",
        more: str = "…",
        id: str | None = None,  # noqa: A002 - Textual's word
    ) -> None:
        super().__init__(id=id)
        self._columns, self._row, self._key_field, self._empty, self._more = tuple(columns), row, key, empty, more
        self._fetch: Fetch | None = None
        self._items: dict[int, Item] = {}
        self._total = 0
        self._cursor = 0
        self._turn = 0  # what was asked for before the last reload is not wanted any more
        self._asking = False
        self._fresh: dict[int, Item] | None = None  # collects a reload until the seen window is complete
        self._known = False  # whether the service has answered yet

    # -- what pages call ---------------------------------------------------------------------------------------------

    @property
    def chosen(self) -> Item | None:
        """The item under the cursor."""
        return self._items.get(self._cursor)

    @property
    def total(self) -> int:
        """How many items match, seen or not."""
        return self._total

    def source(self, fetch: Fetch, *, keep: bool = False) -> None:
        """Show what `fetch(offset, limit)` returns, from the top unless `keep`."""
        self._fetch = fetch
        if not keep:
            self._cursor = 0
            self._items.clear()
            self.scroll_to(y=0, animate=False)
        self.reload()

    def reload(self) -> None:
        """Ask again for what is seen; until it comes the old rows stay."""
        if self._fetch is None:
            return
        self._turn += 1
        self._asking = False
        self._ask(self._wanted_page())

    def show(self, items: Sequence[Item]) -> None:
        """Show these items and no others."""
        self._fetch = None
        self._take(0, {"total": len(items), "items": items}, afresh=True)

    def say_when_empty(self, text: str) -> None:
        """Say this where there are no rows."""
        self._empty = text
        self.refresh()

    def choose(self, key: str | int) -> bool:
        """Put the cursor on the item with this key, if it is among those read."""
        for place, item in self._items.items():
            if item[self._key_field] == key:
                self._go(place)
                return True
        return False

    # -- asking ------------------------------------------------------------------------------------------------------

    def _seen(self) -> range:
        first = max(0, round(self.scroll_y))
        return range(first, min(self._total, first + max(1, self.size.height - 1)))

    def _wanted_page(self) -> int:
        seen = self._seen()
        place = self._cursor if not seen or self._cursor in seen else seen.start
        return max(0, place - PAGE // 3)

    def _ask_for_missing(self) -> None:
        missing = [place for place in (*self._seen(), self._cursor) if place < self._total and place not in self._items]
        if missing and not self._asking:
            self._ask(max(0, missing[0] - PAGE // 3), fresh=False)

    def _ask(self, offset: int, *, fresh: bool = True) -> None:
        if self._fetch is None:
            return
        self._asking = True
        turn = -self._turn if not fresh else self._turn
        self.run_worker(partial(self._bring, turn, offset, self._fetch), thread=True, group="window")

    def _bring(self, turn: int, offset: int, fetch: Fetch) -> None:
        try:
            window: Mapping[str, Any] | None = fetch(offset, PAGE)
        except (ServiceRefused, ServiceAway) as error:
            self.post_message(self.Failed(error))
            window = None
        self.post_message(self._Arrived(turn, offset, window))

    def on_paged_list__arrived(self, message: _Arrived) -> None:
        """Take a window in, unless something newer was asked for since."""
        message.stop()
        if abs(message.turn) != self._turn:
            return
        self._asking = False
        if message.window is not None:
            self._take(message.offset, message.window, afresh=message.turn > 0)
            self._ask_for_missing()

    def _take(self, offset: int, window: Mapping[str, Any], *, afresh: bool) -> None:
        before, old, on_line = self.chosen, self._cursor, self._cursor - round(self.scroll_y)
        items = {offset + place: item for place, item in enumerate(window["items"])}
        self._items = items if afresh else self._items | items
        self._total, self._known = window["total"], True
        self._cursor = min(self._place_of(before, items, old), max(0, self._total - 1))
        self.virtual_size = Size(self.size.width, self._total + 1)
        if self._cursor != old:
            self.scroll_to(y=max(0, self._cursor - on_line), animate=False, force=True)
        self.refresh()
        self._tell(before)

    def _place_of(self, before: Item | None, items: Mapping[int, Item], old: int) -> int:
        if before is None:
            return old
        same = (place for place, item in items.items() if item[self._key_field] == before[self._key_field])
        return next(same, old)

    def _tell(self, before: Item | None) -> None:
        if (now := self.chosen) is None:
            if not self._total:
                self.post_message(self.Emptied())
        elif now != before:
            self.post_message(self.Chosen(self, now))

    # -- moving ------------------------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        """Move the cursor up or down."""
        self._go(self._cursor + by)

    def action_leap(self, by: int) -> None:
        """Move by a screenful."""
        self._go(self._cursor + by * max(1, self.size.height - 2))

    def action_edge(self, end: int) -> None:
        """Go to the first or the last row."""
        self._go(self._total - 1 if end else 0)

    def action_open(self) -> None:
        """Open what is chosen."""
        if item := self.chosen:
            self.post_message(self.Opened(self, item))

    def _go(self, place: int) -> None:
        place = min(max(0, place), max(0, self._total - 1))
        before, left, self._cursor = self.chosen, self._cursor, place
        top, high = round(self.scroll_y), max(1, self.size.height - 1)
        if place < top or place >= top + high:
            self.scroll_to(y=place if place < top else place - high + 1, animate=False, force=True)
            self.refresh()
        else:
            self._draw_again(left)
            self._draw_again(place)
        self._ask_for_missing()
        self._tell(before)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Ask for what has come into sight."""
        super().watch_scroll_y(old_value, new_value)
        self._ask_for_missing()

    def on_resize(self, _event: events.Resize) -> None:
        """Keep the width of the rows that of the list."""
        self.virtual_size = Size(self.size.width, self._total + 1)
        self._ask_for_missing()

    async def on_click(self, event: events.Click) -> None:
        """Choose the row clicked on; open it when it was chosen already."""
        place = event.y - 1 + round(self.scroll_y)
        if event.y < 1 or place >= self._total:
            return
        if place == self._cursor:
            self.action_open()
        self._go(place)

    # -- drawing -----------------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """Draw one line of what is seen."""
        width = self.size.width
        if y == 0:
            return self._header(width)
        place = y - 1 + round(self.scroll_y)
        if place >= self._total:
            return self._note(width, self._empty if y == 2 and self._known and not self._total else "")  # noqa: PLR2004 - one line of air
        item = self._items.get(place)
        if item is None:
            return self._note(width, "·")
        return self._drawn(item, width, chosen=place == self._cursor)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"paged-list--{name}")

    def _header(self, width: int) -> Strip:
        cells = [fit(column.title, wide, right=column.right) for column, wide in share(self._columns, width - 2)]
        style = self.rich_style + self._style("header")
        return Strip([Segment(fit(f" {' '.join(cells)} ", width), style)], width)

    def _note(self, width: int, text: str) -> Strip:
        return Strip([Segment(fit(f" {text}", width), self.rich_style + self._style("muted"))], width)

    def _drawn(self, item: Item, width: int, *, chosen: bool) -> Strip:
        ground = self.rich_style + self._style("row")
        cursor = self._style("cursor" if self.has_focus else "resting") if chosen else None
        cells, segments = self._row(item), [Segment(" ", ground + cursor if cursor else ground)]
        for column, wide in share(self._columns, width - 2):
            cell = cells.get(column.key, "")
            cell = Cell(cell) if isinstance(cell, str) else cell
            style = ground + self._style(cell.tone) if cell.tone and not (cursor and self.has_focus) else ground
            text = cell.fitted(wide, right=column.right, more=self._more) + " "
            segments.append(Segment(text, style + cursor if cursor else style))
        return Strip(segments).adjust_cell_length(width, ground + cursor if cursor else ground)

    def on_focus(self) -> None:
        """Show the cursor bright."""
        self.refresh()

    def on_blur(self) -> None:
        """Show the cursor resting."""
        self.refresh()

    def _draw_again(self, place: int) -> None:
        """Draw one row again, not the others: a key over a slow line costs two rows."""
        self.refresh(Region(0, place + 1 - round(self.scroll_y), self.size.width, 1))
