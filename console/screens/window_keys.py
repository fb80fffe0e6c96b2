"""The keys that make a picture brighter or darker, alike on every page that has pictures."""

from __future__ import annotations

_STEP = 0.1  # of the window's width


class WindowKeys:
    """Moves the ends of a window; the page says whose."""

    def _move_window(self, lower: float, upper: float) -> None:
        """Move the lower and the upper end by parts of the window's width."""
        raise NotImplementedError

    def action_brighter(self) -> None:
        """Lower the upper end."""
        self._move_window(0, -_STEP)

    def action_darker(self) -> None:
        """Raise the upper end."""
        self._move_window(0, _STEP)

    def action_raise_floor(self) -> None:
        """Raise the lower end."""
        self._move_window(_STEP, 0)

    def action_lower_floor(self) -> None:
        """Lower the lower end."""
        self._move_window(-_STEP, 0)
