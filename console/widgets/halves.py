"""A list and what it is about: side by side on a wide terminal, one over the other on a narrow one."""

from __future__ import annotations

from textual.containers import Container


class Halves(Container):
    """The first child is the list, the one of class `about` what the chosen row is about."""

    SCOPED_CSS = False  # it looks at the page it stands on
    DEFAULT_CSS = """
    Halves { height: 1fr; layout: vertical; }
    Halves > .about { height: 11; padding: 0 1; border-top: solid $panel; scrollbar-size-vertical: 1; }
    Halves > .about:focus { border-top: solid $primary; }
    Page.-wide Halves { layout: horizontal; }
    Page.-wide Halves > .about { width: 2fr; height: 1fr; border-top: none; border-left: solid $panel; }
    Page.-wide Halves > .about:focus { border-top: none; border-left: solid $primary; }
    Page.-wide Halves > PagedList { width: 3fr; }
    """
