"""A list asks for what is seen, and for nothing else."""

from __future__ import annotations

from typing import Any

from textual.app import App, ComposeResult

from console.widgets.cells import Cell, Column, fit, share
from console.widgets.paged_list import PAGE, PagedList
from tests.console.conftest import picture, until

MANY = 200_000


class Archive:
    """Two hundred thousand rows, and what was asked of them."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, offset: int, limit: int) -> dict[str, Any]:
        self.asked.append(offset)
        rows = [{"id": str(place), "text": f"row {place}"} for place in range(offset, min(MANY, offset + limit))]
        return {"total": MANY, "items": rows}


class Shelf(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.archive = Archive()

    def compose(self) -> ComposeResult:
        yield PagedList([Column("text", "Text", 10, grow=1)], lambda item: {"text": item["text"]}, "id")

    def on_mount(self) -> None:
        self.query_one(PagedList).source(self.archive)
        self.query_one(PagedList).focus()


async def test_two_hundred_thousand_rows_open_and_page_with_a_handful_of_windows() -> None:
    app = Shelf()
    async with app.run_test(size=(80, 24)) as pilot:
        rows = app.query_one(PagedList)
        await until(pilot, lambda: "row 0" in picture(app))
        await pilot.press("end")
        await until(pilot, lambda: f"row {MANY - 1}" in picture(app))
        await pilot.press("pageup", "pageup")
        await until(pilot, lambda: f"row {MANY - 40}" in picture(app))
        assert rows.total == MANY
        assert len(app.archive.asked) <= 4
        assert len(rows._items) <= 4 * PAGE


async def test_enter_opens_what_is_under_the_cursor_after_a_long_jump() -> None:
    app = Shelf()
    async with app.run_test(size=(80, 24)) as pilot:
        rows = app.query_one(PagedList)
        await until(pilot, lambda: rows.chosen)
        await pilot.press("end", "up")
        await until(pilot, lambda: rows.chosen)
        assert rows.chosen == {"id": str(MANY - 2), "text": f"row {MANY - 2}"}


def test_wide_characters_take_two_cells() -> None:
    assert fit("张伟", 6) == "张伟  "
    assert fit("欧阳娜娜", 5) == "欧阳…"
    assert fit("张伟", 3) == "张…"
    assert fit("7", 3, right=True) == "  7"


def test_what_would_move_the_cursor_is_not_written() -> None:
    assert fit("a\x1b[2Jb\nc", 8) == "a[2Jb c "


def test_a_mark_is_never_cut() -> None:
    assert Cell("Zhang Weiwei", tail=" ⚠").fitted(8) == "Zhang… ⚠"
    assert Cell("Li", tail=" ⚠").fitted(8) == "Li ⚠    "


def test_a_narrow_terminal_loses_the_least_important_columns_first() -> None:
    columns = [Column("a", "A", 10), Column("b", "B", 10, priority=2), Column("c", "C", 10, priority=1, grow=1)]
    assert [column.key for column, _wide in share(columns, 21)] == ["a", "c"]
    assert [wide for _column, wide in share(columns, 40)] == [10, 10, 18]
