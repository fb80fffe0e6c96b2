"""The front desk: the search field is the page."""

from __future__ import annotations

from textual.app import ComposeResult

from console.screens.page import Page


class FrontDesk(Page):
    """Find, register."""

    NAME = "front_desk"
    TITLE = "Front desk"

    def body(self) -> ComposeResult:
        yield from ()
