"""What can go wrong, grouped by who is at fault.

The rule raises; the face translates. Each message says what happened, to what, and what to do.
"""

from __future__ import annotations


class CoreError(Exception):
    """Anything photopeak raises on purpose; `detail` is one sentence fit for a person."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Refused(CoreError):
    """The caller asked for something the rules do not allow as things stand."""


class Invalid(Refused):
    """The caller's words do not make sense: a wrong date, a number that fails its check digit."""


class NotFound(Refused):
    """Nothing, or more than one thing, answers to the name given."""


class Forbidden(Refused):
    """The caller is known but has not the right."""


class Unauthenticated(Refused):
    """The caller is not known, or no longer signed in."""


class TooSoon(Refused):
    """The caller has to wait for `seconds` before it may try again."""

    def __init__(self, detail: str, seconds: int) -> None:
        super().__init__(detail)
        self.seconds = seconds


class PeerFailed(CoreError):
    """A remote node, printer or server did not do its part."""


class Broken(CoreError):
    """We failed: a full disk, a missing file, a database that does not answer."""


def place_of(error: BaseException | None) -> str:
    """Name the line an error comes from, for a log: its text may hold what somebody typed or a device sent."""
    trace = error.__traceback__ if error else None
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"
