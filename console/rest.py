"""Garbage is collected while nobody presses a key.

A full collection walks every segment of every line that is painted and takes up to 100 ms: in the middle of a row of
keys it is felt. What stands for good is frozen, the oldest generation is left to moments of rest, and one far limit
stays for screens that never rest.
"""

from __future__ import annotations

import gc
from time import monotonic

PAUSE = 2.0  # seconds without a key that count as rest
_OLDEST = 500  # collections of the middle generation, some minutes of cine


class Rest:
    """Knows when the last key came, and whether anything has been made since the last collection."""

    def __init__(self) -> None:
        self._touched = monotonic()
        self._seen = 0
        young, middle, _oldest = gc.get_threshold()
        gc.set_threshold(young, middle, _OLDEST)

    def touch(self) -> None:
        """Somebody pressed a key or moved the mouse."""
        self._touched = monotonic()

    def use(self) -> None:
        """Collect if this is a moment of rest and there is something to collect."""
        made = gc.get_stats()[1]["collections"]
        if made == self._seen or monotonic() - self._touched < PAUSE:
            return
        first, self._seen = self._seen == 0, made
        gc.collect()
        if first:
            gc.freeze()
