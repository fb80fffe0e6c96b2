"""Keys that come faster than the screen answers go where a slow hand would have put them.

Textual hands a key to what has the focus at the moment it is read. A card reader, a fast hand on a slow line or a busy
machine then types the password into the user's name, because the Enter before it has not moved the focus yet. Here a
key waits until everything from the field up to the app has dealt with the one before; a lone key waits for nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TypeAlias, TypeVar

from textual import events
from textual.app import App
from textual.dom import DOMNode

_AT_MOST = 1.0  # seconds one key holds up the next, whatever its handler waits for

Typed: TypeAlias = events.Key | events.Paste
Returned = TypeVar("Returned")


class TypeAhead(App[Returned]):
    """An app whose keys are handled one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self._coming: deque[Typed] = deque()
        self._limit: asyncio.TimerHandle | None = None

    async def on_event(self, event: events.Event) -> None:
        """Hold back what is typed while a key is being handled."""
        if not isinstance(event, (events.Key, events.Paste)) or event.is_forwarded:
            await super().on_event(event)
        elif self._limit:
            self._coming.append(event)
        else:
            await self._handle(event)

    async def _handle(self, typed: Typed) -> None:
        limit: asyncio.TimerHandle
        limit = asyncio.get_running_loop().call_later(_AT_MOST, lambda: self.call_later(self._next, limit))
        self._limit = limit
        target: DOMNode = self.focused or self.screen
        await super().on_event(typed)
        # Up with the key to the app, where bindings are looked up; then up with what its action said.
        self._climb(target, lambda: self._climb(target, lambda: self.call_later(self._next, limit)))

    def _climb(self, node: DOMNode, then: Callable[[], object]) -> None:
        """Pass behind all that bubbles up from a node, and behind what it tells itself, up to the app."""
        above = node.parent

        def on() -> None:
            if isinstance(above, DOMNode):
                self._climb(above, then)
            else:
                then()

        self._behind(node, lambda: self._behind(node, on))

    def _behind(self, node: DOMNode, step: Callable[[], None]) -> None:
        """Do something behind all that a node has to deal with; at once where the node is gone."""
        if not node.call_later(step):
            step()

    async def _next(self, limit: asyncio.TimerHandle) -> None:
        """Let the next key come, unless this one has been followed already."""
        if limit is not self._limit:
            return
        limit.cancel()
        self._limit = None
        if self._coming:
            await self._handle(self._coming.popleft())
