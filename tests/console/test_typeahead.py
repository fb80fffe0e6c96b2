"""Whatever is typed in one burst goes where a slow hand would have put it."""

from __future__ import annotations

import asyncio

from textual import events
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Input

from console.typeahead import TypeAhead


class Form(Screen[None]):
    AUTO_FOCUS = "#first"

    def compose(self) -> ComposeResult:
        yield Input(id="first")
        yield Input(id="second")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id == "first":
            self.query_one("#second", Input).focus()
        else:
            self.app.push_screen(Form())


class Desk(TypeAhead[None]):
    def on_mount(self) -> None:
        self.push_screen(Form())


def _burst(app: Desk, text: str) -> None:
    for letter in text:
        key = "enter" if letter == "\r" else "tab" if letter == "\t" else letter
        app.post_message(events.Key(key, letter))


async def _settled(app: Desk) -> None:
    for _ in range(500):
        await asyncio.sleep(0.01)
        if not app._coming and not app._limit:
            return


async def test_a_burst_moves_on_where_enter_moves_on() -> None:
    app = Desk()
    async with app.run_test() as pilot:
        await pilot.pause()
        form = app.screen
        _burst(app, "wang\rsecret")
        await _settled(app)
        assert [field.value for field in form.query(Input)] == ["wang", "secret"]


async def test_what_is_typed_behind_enter_reaches_the_next_screen() -> None:
    app = Desk()
    async with app.run_test() as pilot:
        await pilot.pause()
        first = app.screen
        _burst(app, "a\rb\r")
        await _settled(app)
        await pilot.pause()
        assert app.screen is not first
        _burst(app, "c\td")
        await _settled(app)
        assert [field.value for field in first.query(Input)] == ["a", "b"]
        assert [field.value for field in app.screen.query(Input)] == ["c", "d"]


async def test_keys_and_a_paste_keep_their_order() -> None:
    app = Desk()
    async with app.run_test() as pilot:
        await pilot.pause()
        app.post_message(events.Key("x", "x"))
        app.post_message(events.Paste("123"))
        app.post_message(events.Key("y", "y"))
        app.post_message(events.Key("enter", "\r"))
        app.post_message(events.Paste("456"))
        await _settled(app)
        assert [field.value for field in app.screen.query(Input)] == ["x123y", "456"]
