"""What several threads wait for, done in one go.

Whoever comes first leads: it takes what waits at that moment, itself included, and the first of those who came
meanwhile leads next. A lone caller waits for nobody, and no thread is kept for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Waiting(Generic[T]):
    one: T
    called: threading.Lock = field(default_factory=threading.Lock)
    done: bool = False


class Together(Generic[T]):
    """Calls `act` with all that waits; it must not raise, and leave its outcome in what it is given."""

    def __init__(self, act: Callable[[list[T]], None]) -> None:
        self._act = act
        self._lock = threading.Lock()
        self._waiting: list[_Waiting[T]] = []
        self._led = False

    def do(self, one: T) -> None:
        """Wait until `one` was among those acted upon."""
        mine = _Waiting(one)
        mine.called.acquire()
        with self._lock:
            self._waiting.append(mine)
            leads, self._led = not self._led, True
        if not leads:
            mine.called.acquire()  # until it is done, or leads
        if not mine.done:
            self._lead()

    def _lead(self) -> None:
        with self._lock:
            group, self._waiting = self._waiting, []
        try:
            self._act([each.one for each in group])
        finally:
            self._call(group)

    def _call(self, group: list[_Waiting[T]]) -> None:
        with self._lock:
            heir = self._waiting[0] if self._waiting else None
            self._led = heir is not None
        for each in group:
            each.done = True
            each.called.release()
        if heir:
            heir.called.release()
