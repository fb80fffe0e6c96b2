"""Preprocessing: what waits for the physicist, what is under way, what failed, what was accepted lately.

Enter opens a processing to look at each of its steps; accepting it files the result beside the images.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.timer import Timer
from textual.widgets import Static

from console.desk import Desk
from console.screens.dialogs import AskText
from console.screens.processing import ProcessingPage
from console.screens.processing_deeds import Processed
from console.widgets.cells import TONES, Cell, Column
from console.widgets.halves import Halves
from console.widgets.lines import tone_colour
from console.widgets.paged_list import Item, PagedList
from console.widgets.pane import Pane
from console.widgets.processing import STOPPED, TO_ACCEPT, UNDER_WAY, about, processing_row
from console.widgets.processing_steps import Steps, asked
from console.widgets.reel import Album, Look, Question
from console.widgets.views import View, Views
from console.words import _
from core.vocabulary import PROCESSING_DECIDED, ProcessingState

_LOOK_AGAIN = 2.0  # seconds, while something runs
_VIEWS = {
    "waiting": TO_ACCEPT | STOPPED | UNDER_WAY, "to_accept": TO_ACCEPT, "running": UNDER_WAY, "failed": STOPPED,
    "ended": PROCESSING_DECIDED,
}  # fmt: skip
_S = ProcessingState
_ORDER = [_S.MADE, _S.FAILED, _S.CANCELLED, _S.RUNNING, _S.QUEUED, _S.WAITING]  # what asks for a person comes first
_COLUMNS = (
    Column("when", "When", 11),
    Column("name", "Patient", 14, grow=2),
    Column("what", "Processing", 14, grow=2),
    Column("state", "State", 16),
    Column("note", "Note", 14, priority=1, grow=3),
    Column("exam", "Exam", 11, priority=3),
    Column("number", "Number", 9, priority=4),
    Column("accession", "Accession", 11, priority=2),
    Column("by", "By", 9, priority=5),
)


class Preprocessing(Processed):
    """The processings of the department."""

    NAME = "preprocessing"
    TITLE = "Preprocessing"
    HELP = (
        "What the protocols asked to be processed, by itself as soon as the images were complete, and what you began. "
        "Enter opens one: each step can be looked at, its parameters changed, and the result accepted, which files it "
        "beside the images and makes the exam ready for the doctor. F2 processes an exam in another way, F3 changes "
        "parameters and processes again, F4 accepts, F8 discards, F9 stops what runs. A processing that failed says "
        "in its note what is missing, and of which object."
    )
    HEARS = frozenset({"processing", "job", "exam"})
    DEFAULT_CSS = """
    Preprocessing #about { height: auto; }
    Preprocessing Pane { display: none; margin-top: 1; height: 24; }
    Preprocessing.-wide Pane { display: block; }
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._view = "waiting"
        self._all: list[Item] = []
        self._pointed = 0  # where the cursor goes once it is read
        self._again: Timer | None = None
        self._album = Album()

    def _fetch(self, question: Question) -> Any:  # noqa: ANN401 - JSON
        return self.desk.client.get(question.path, **dict(question.query))

    def body(self) -> ComposeResult:
        """The views, the list, and the one under the cursor in full."""
        names = (
            ("waiting", _("Waiting")), ("to_accept", _("To accept")), ("running", _("Under way")),
            ("failed", _("Failed")), ("ended", _("Lately")),
        )  # fmt: skip
        views = [View(view, str(place), words, f"view_{view}") for place, (view, words) in enumerate(names, 1)]
        yield Views(views, self._view)
        columns = [Column(c.key, _(c.title), c.width, c.priority, c.grow, c.right) for c in _COLUMNS]
        with Halves():
            yield PagedList(columns, self._row, "id", empty=_("Nothing waits here."), more=self.desk.more)
            with VerticalScroll(classes="about"):
                yield Static(id="about")
                yield Pane(self._fetch, self._album, "result", 0, characters=self.desk.ascii)

    def on_mount(self) -> None:
        """Read what waits."""
        self.query_one(PagedList).focus()
        self.refresh_rows()

    def refresh_rows(self) -> None:
        """Read what waits, or what ended lately."""
        self.read_recipes()
        view = self._view
        self.ask(partial(self._read, view), partial(self._show, view), only_last="processing")

    def _read(self, view: str) -> list[Item]:
        waiting: list[Item] = self.desk.client.get("processing", waiting=True)
        if view != "ended":
            return waiting
        ended = [one for one in self.desk.client.get("processing", waiting=False) if one["state"] in PROCESSING_DECIDED]
        return waiting + ended

    def _show(self, view: str, rows: list[Item]) -> None:
        if view != self._view:
            return
        self._all = rows
        self._show_rows()
        if self._pointed:
            self.query_one(PagedList).choose(self._pointed)
            self._pointed = 0
        if self._again:
            self._again.stop()
        if any(one["state"] == _S.RUNNING for one in rows):
            self._again = self.set_timer(_LOOK_AGAIN, self._look_again)

    def _look_again(self) -> None:
        if self.is_current:
            self.refresh_rows()
        else:
            self._outdated = True

    def _show_rows(self) -> None:
        rows = [one for one in self._all if one["state"] in _VIEWS[self._view]]
        if self._view != "ended":
            rows.sort(key=lambda one: _ORDER.index(one["state"]))
        self.query_one(PagedList).show(rows)
        counts = {name: sum(one["state"] in there for one in self._all) for name, there in _VIEWS.items()}
        del counts["ended"]
        self.query_one(Views).count(**counts)

    def _row(self, one: Item) -> dict[str, Cell | str]:
        return processing_row(one, self.desk.now(), ascii_only=self.desk.ascii)

    def on_paged_list_chosen(self, message: PagedList.Chosen) -> None:
        """Tell everything of the one under the cursor."""
        message.stop()
        self._draw(message.item)

    def recipes_read(self) -> None:
        """Tell the parameters by their names."""
        if one := self.chosen_processing():
            self._draw(one)

    def _draw(self, one: Item) -> None:
        tones = {tone: tone_colour(self, tone) for tone in TONES}
        recipe = self.recipes.get(one["recipe"])
        said = about(one, recipe, self.desk.now(), tones, plain=self.desk.ascii)
        self.query_one("#about", Static).update(said)
        self._show_result(one)

    def _show_result(self, one: Item | None) -> None:
        """Show the middle of the last step, where there is room for it."""
        pane = self.query_one(Pane)
        steps = Steps(one["stages"] if one else [])
        if one and steps.stage and all(pane.room):
            pane.want(asked(one["id"], steps.stage, steps.frame, Look(), pane.room))
        else:
            pane.empty()

    def on_picture_resized(self, message: Pane.Resized) -> None:
        """Show it in its new size."""
        message.stop()
        self._show_result(self.chosen_processing())

    def on_pane_failed(self, message: Pane.Failed) -> None:
        """Say that the service is away."""
        message.stop()
        self._fail(message.error, None)

    def on_paged_list_emptied(self) -> None:
        """Nothing to tell."""
        self.query_one("#about", Static).update("")
        self._show_result(None)

    def chosen_processing(self) -> Item | None:
        """The processing under the cursor."""
        return self.query_one(PagedList).chosen

    def processed(self, one: Item) -> None:
        """Read again, and put the cursor on what was made."""
        self._pointed = one["id"]
        self.refresh_rows()

    # -- views -------------------------------------------------------------------------------------------------------

    def action_view_waiting(self) -> None:
        """Show all that is not ended."""
        self._change_view("waiting")

    def action_view_to_accept(self) -> None:
        """Show what is made and not accepted yet."""
        self._change_view("to_accept")

    def action_view_running(self) -> None:
        """Show what waits its turn or runs."""
        self._change_view("running")

    def action_view_failed(self) -> None:
        """Show what failed or was stopped."""
        self._change_view("failed")

    def action_view_ended(self) -> None:
        """Show what was accepted or discarded lately."""
        self._change_view("ended")

    def _change_view(self, view: str) -> None:
        self._view = view
        self.query_one(Views).mark(view)
        self._show_rows()
        self.refresh_rows()

    def step_back(self) -> bool:
        """Esc goes to what waits first."""
        if self._view == "waiting":
            return False
        self._change_view("waiting")
        return True

    # -- what is done here -------------------------------------------------------------------------------------------

    def on_paged_list_opened(self, message: PagedList.Opened) -> None:
        """Look at its steps."""
        message.stop()
        self.app.push_screen(ProcessingPage(self.desk, message.item))

    def action_process(self) -> None:
        """Process an exam in another way."""
        one = self.chosen_processing()
        text = _("Its accession number; the images it has are processed.")
        then: Callable[[str | None], None] = self._process
        self.app.push_screen(AskText(_("Which exam?"), text, value=one["accession"] if one else ""), then)

    def _process(self, accession: str | None) -> None:
        if accession:
            self.ask(partial(self.desk.client.get, f"exams/{accession}"), self.offer_recipes)
