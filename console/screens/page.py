"""What every page is: a status line, a body, a line of keys; it asks the service in workers and hears its news.

A page says its `NAME` (its commands begin with it), its `TITLE`, its `HELP`, and the kinds of news it `HEARS`. It makes
its widgets in `body`, and reads its rows again in `refresh_rows`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static
from textual.worker import get_current_worker

from console import commands
from console.client import ServiceAway, ServiceRefused
from console.desk import Desk
from console.events import UNAUTHORIZED, LineDown, SignedOut
from console.widgets.lines import KeyLine, StatusLine
from console.widgets.paged_list import PagedList
from console.words import _

T = TypeVar("T")
_BESIDE_AFTER = 0.12  # seconds; laying a preview out must not hold up the next key


class Page(Screen[Any]):
    """A page of the console, over one desk."""

    NAME: ClassVar[str] = ""
    TITLE: ClassVar[str] = ""  # the English words
    HELP: ClassVar[str] = ""
    HEARS: ClassVar[frozenset[str]] = frozenset()
    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]
    DEFAULT_CSS = """
    Page { background: $background; layers: base; }
    Page .preview { display: none; }
    Page.-wide .preview { display: block; width: 2fr; padding: 0 1; border-left: solid $panel; }
    Page.-wide PagedList { width: 3fr; }
    """

    class _Answered(Message):
        def __init__(self, then: Callable[[], None]) -> None:
            super().__init__()
            self.then = then

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self._outdated = False
        self._refreshing = False
        self._beside: Callable[[], Any] | None = None
        self._beside_pause: Timer | None = None
        self.own_commands = [one for one in commands.of_page(self.NAME, desk.roles) if one.page == self.NAME]
        for command in self.own_commands:
            for key in filter(None, desk.keymap.key(command).split(",")):
                binding = Binding(key, command.action, command.words, show=False, id=command.id)
                self._bindings.key_to_bindings.setdefault(key, []).append(binding)

    def compose(self) -> ComposeResult:
        """Put the two lines around the body."""
        yield StatusLine(self.desk.told(_(self.TITLE)))
        yield from self.body()
        yield KeyLine(commands.of_page(self.NAME, self.desk.roles), self.desk.keymap)

    def body(self) -> ComposeResult:
        """Make the widgets of the page."""
        yield from ()

    def refresh_rows(self) -> None:
        """Read again what the page shows."""

    def help_text(self) -> str:
        """Say in a few sentences what the page is for."""
        return _(self.HELP)

    def step_back(self) -> bool:
        """Go one step back within the page; False when there is none, and the page may be left."""
        return False

    def selected_text(self) -> str:
        """Return what a copy takes."""
        return ""

    # -- the line to the service -------------------------------------------------------------------------------------

    def ask(
        self,
        work: Callable[[], T],
        then: Callable[[T], None] | None = None,
        *,
        otherwise: Callable[[ServiceRefused], None] | None = None,
        only_last: str = "",
    ) -> None:
        """Run `work` in a worker, then `then(answer)` here.

        A refusal goes to `otherwise`, or is shown as the service worded it. With `only_last`, the answer to an older
        question of that name is dropped.
        """
        job = partial(self._work, work, then, otherwise)
        self.run_worker(job, thread=True, group=only_last or "ask", exclusive=bool(only_last))

    def _work(
        self,
        work: Callable[[], T],
        then: Callable[[T], None] | None,
        otherwise: Callable[[ServiceRefused], None] | None,
    ) -> None:
        worker = get_current_worker()
        try:
            answer = work()
        except (ServiceRefused, ServiceAway) as error:
            following = partial(self._fail, error, otherwise)
        else:
            following = partial(then, answer) if then else partial(self.refresh_rows)
        if not worker.is_cancelled:
            self.post_message(self._Answered(following))

    def on_page__answered(self, message: _Answered) -> None:
        """Go on, here, with what a worker brought."""
        message.stop()
        if self.is_attached:
            message.then()

    def _fail(self, error: ServiceRefused | ServiceAway, otherwise: Callable[[ServiceRefused], None] | None) -> None:
        if isinstance(error, ServiceAway):
            self.app.post_message(LineDown())
            self.notify(_("The service is not there; nothing was changed."), severity="error", markup=False)
        elif error.status == UNAUTHORIZED:
            self.app.post_message(SignedOut())
        elif otherwise is not None:
            otherwise(error)
        else:
            self.notify(error.detail, severity="error", timeout=10, markup=False)

    def on_paged_list_failed(self, message: PagedList.Failed) -> None:
        """Say why a list could not be read."""
        message.stop()
        if isinstance(message.error, ServiceAway):
            self.app.post_message(LineDown())
        else:
            self._fail(message.error, None)

    def done(self, text: str, *, undo: str = "") -> None:
        """Say what happened, and how to undo it."""
        self.notify(f"{text}\n{undo}" if undo else text, timeout=8, markup=False)

    # -- beside the list ---------------------------------------------------------------------------------------------

    def show_beside(self, make: Callable[[], Any]) -> None:
        """Show what `make` returns in `#preview`, a moment after the last key, and only where a preview is seen."""
        self._beside = make
        if self._beside_pause:
            self._beside_pause.stop()
        self._beside_pause = self.set_timer(_BESIDE_AFTER, self._draw_beside)

    def _draw_beside(self) -> None:
        if self._beside is not None and self.has_class("-wide"):
            self.query_one("#preview", Static).update(self._beside())

    def on_resize(self) -> None:
        """A terminal made wider shows what it had no room for."""
        self.call_after_refresh(self._draw_beside)

    # -- news --------------------------------------------------------------------------------------------------------

    def tell_status(self) -> None:
        """Draw the status line anew."""
        for line in self.query(StatusLine):
            line.tell(self.desk.told(_(self.TITLE)))

    def hear(self, kind: str) -> None:
        """Read the rows again soon when the news is of a kind the page shows; a burst is one reading."""
        if kind and kind not in self.HEARS:
            return
        if not self.is_current:
            self._outdated = True
        elif not self._refreshing:
            self._refreshing = True
            self.set_timer(0.15, self._refresh_once)

    def _refresh_once(self) -> None:
        self._refreshing = False
        if self.is_current:
            self.refresh_rows()
        else:
            self._outdated = True

    def on_screen_resume(self) -> None:
        """Catch up with what was heard meanwhile."""
        self.tell_status()
        if self._outdated:
            self._outdated = False
            self.refresh_rows()
