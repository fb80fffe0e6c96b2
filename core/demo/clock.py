"""A clock that can be set back, so that a made-up department has a past; from where it is set, it runs on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class DemoClock:
    """Tells the time of the department. Setting it is one attribute, so threads may read it freely."""

    def __init__(self) -> None:
        self._behind = timedelta()

    def __call__(self) -> datetime:
        """Return the department's time."""
        return datetime.now(UTC) - self._behind

    def set(self, moment: datetime) -> None:
        """Let it be `moment` now."""
        self._behind = datetime.now(UTC) - moment

    def catch_up(self) -> None:
        """Let it tell the true time again."""
        self._behind = timedelta()
