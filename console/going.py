"""How a screen asks for another page."""

from __future__ import annotations

from textual.message import Message


class GoTo(Message):
    """Go to a page; what it is to point at (exam="A1", patient="P1") goes to its `point_at`."""

    def __init__(self, page: str, **what: str) -> None:
        super().__init__()
        self.page, self.what = page, what
