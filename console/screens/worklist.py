"""The doctor's worklist: my patients, the department, the late, the latest; what each has, and when it is due."""

from __future__ import annotations

from functools import partial
from typing import Any

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.timer import Timer
from textual.widgets import Static

from console.desk import Desk
from console.screens.exam import Deciding, ExamPage, Surroundings
from console.widgets import states
from console.widgets.cells import Cell, Column
from console.widgets.paged_list import Item, PagedList
from console.widgets.people import age, clock, moment, name
from console.widgets.views import View, Views
from console.words import _
from core.vocabulary import EXAM_OPEN, ExamState, ImagesState, Role, Urgency

_UNREPORTED = sorted(EXAM_OPEN - {ExamState.REPORTED})
_ASKS: dict[str, dict[str, Any]] = {
    "mine": {"assigned_to": "me", "state": _UNREPORTED, "order": "queue"},
    "everyone": {"state": _UNREPORTED, "order": "queue"},
    "late": {"late": True, "order": "due"},
    "latest": {"order": "recent"},
}
_COLUMNS = (
    Column("urgency", "Urgency", 8),
    Column("state", "State", 13),
    Column("name", "Patient", 16, grow=3),
    Column("procedure", "Exam", 10, grow=1),
    Column("images", "Images", 9, right=True),
    Column("priors", "Pri", 3, priority=1, right=True),
    Column("due", "Due", 12, right=True),
    Column("report", "Report", 13, priority=2),
    Column("doctor", "Doctor", 9, priority=3, grow=1),
    Column("age", "Age", 4, priority=5, right=True),
    Column("accession", "Accession", 11, priority=4),
    Column("device", "Device", 9, priority=6),
    Column("visit", "Visit", 11, priority=7),
)
_SHORT = 7  # cells a mark may take from a name
_GLANCE = 0.12  # seconds before it is drawn beside the list: the cursor itself never waits for that
_REST = 0.25  # seconds the cursor rests on an exam before its surroundings are asked for


class Worklist(Deciding):
    """Exams to protocol, to look at, to report."""

    NAME = "worklist"
    TITLE = "Worklist"
    HELP = (
        "Your patients first: what waits for a protocol, for images, for a report, the most urgent on top. 1 shows "
        "yours, 2 the department's, 3 what is late, 4 everything, the latest first. Images are counted against what "
        "the protocol expects; Due is the report's deadline, or the images' while there are none. Enter opens an exam "
        "in full; on wide terminals it stands beside the list."
    )
    HEARS = frozenset({"exam", "patient", "report"})
    DEFAULT_CSS = "Worklist .preview:focus { border-left: solid $primary; }"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        own = {Role.DOCTOR, Role.OUTSIDE_READER} & set(desk.roles)
        self._view = "mine" if own else "everyone"
        self._around = Surroundings(desk)
        self._rest: Timer | None = None

    def body(self) -> ComposeResult:
        """The views over the list, and beside it the exam under the cursor."""
        views = [
            View("mine", "1", _("My patients"), "view_mine"),
            View("everyone", "2", _("Department"), "view_everyone"),
            View("late", "3", _("Late"), "view_late"),
            View("latest", "4", _("Latest"), "view_latest"),
        ]
        yield Views(views, self._view)
        columns = [Column(c.key, _(c.title), c.width, c.priority, c.grow, c.right) for c in _COLUMNS]
        with Horizontal():
            yield PagedList(columns, self._row, "accession", empty=_("Nothing waits here."), more=self.desk.more)
            with VerticalScroll(classes="preview"):
                yield Static(id="preview")

    def on_mount(self) -> None:
        """Read the list; once a minute, and only while it is seen, deadlines are drawn anew."""
        self._show_view(self._view)
        self.query_one(PagedList).focus()
        self.set_interval(60, self._minute)

    def _minute(self) -> None:
        if self.is_current:
            self.query_one(PagedList).refresh()

    def refresh_rows(self) -> None:
        """Read the list again."""
        self.query_one(PagedList).reload()

    def point_at(self, exam: str = "") -> None:
        """Put the cursor on an exam."""
        self.query_one(PagedList).choose(exam)

    def chosen_exam(self) -> Item | None:
        """The exam under the cursor."""
        return self.query_one(PagedList).chosen

    def selected_text(self) -> str:
        """The accession number."""
        exam = self.chosen_exam()
        return str(exam["accession"]) if exam else ""

    # -- the views ---------------------------------------------------------------------------------------------------

    def action_view_mine(self) -> None:
        """Show the person's own patients."""
        self._show_view("mine")

    def action_view_everyone(self) -> None:
        """Show the whole department's."""
        self._show_view("everyone")

    def action_view_late(self) -> None:
        """Show what is late."""
        self._show_view("late")

    def action_view_latest(self) -> None:
        """Show all there is, the latest first."""
        self._show_view("latest")

    def _show_view(self, view: str) -> None:
        self._view = view
        self.query_one(Views).mark(view)
        self.query_one(PagedList).source(partial(self._fetch, _ASKS[view]))

    def _fetch(self, asked: dict[str, Any], offset: int, limit: int) -> Any:  # noqa: ANN401 - JSON
        return self.desk.client.get("exams", **asked, offset=offset, limit=limit)

    # -- rows --------------------------------------------------------------------------------------------------------

    def _row(self, exam: Item) -> dict[str, Cell | str]:
        plain = self.desk.ascii
        mark = shared_name(exam, plain=plain)
        return {
            "urgency": urgent(exam, plain=plain),
            "state": states.state(states.EXAM, exam["state"], ascii_only=plain),
            "name": Cell(mark + name(exam, "patient_"), "warn" if mark else ""),
            "procedure": exam["procedure"],
            "images": counted(exam["images"], plain=plain),
            "priors": str(exam["priors"] or ""),
            "due": self._due(exam),
            "report": _report(exam["report"], plain=plain),
            "doctor": exam["assigned_to"] or "-",
            "age": age(exam, self.desk.now().date(), "patient_"),
            "accession": exam["accession"],
            "device": exam["device"] or "",
            "visit": states.state(states.VISIT, exam["visit"], ascii_only=plain),
        }

    def _due(self, exam: Item) -> Cell:
        if exam["state"] in {ExamState.REPORTED, ExamState.CANCELLED, ExamState.NOT_DONE}:
            return Cell("")
        now = self.desk.now()
        at = moment(exam["report"]["due_at"] or exam["images"]["due_at"])
        if at is None:
            return Cell("")
        late = at < now
        mark = "!" if late else ""
        return Cell(mark + clock(at.isoformat(), now), "bad" if late else "")

    def on_paged_list_opened(self, message: PagedList.Opened) -> None:
        """Open the exam in full."""
        message.stop()
        self.app.push_screen(ExamPage(self.desk, message.item))

    def on_paged_list_chosen(self, message: PagedList.Chosen) -> None:
        """Show the exam beside the list; its surroundings are asked for when the cursor rests."""
        message.stop()
        if self.has_class("-wide"):
            if self._rest:
                self._rest.stop()
            self._rest = self.set_timer(_GLANCE, partial(self._show_beside, message.item))

    def _show_beside(self, exam: Item) -> None:
        self.query_one("#preview", Static).update(self._around.told(exam, None))
        self._rest = self.set_timer(_REST, partial(self._read_around, exam))

    def _read_around(self, exam: Item) -> None:
        def show(around: tuple[list[Item], list[Item]]) -> None:
            if (now := self.chosen_exam()) and now["accession"] == exam["accession"]:
                self.query_one("#preview", Static).update(self._around.told(now, around))

        self.ask(partial(self._around.read, exam), show, only_last="around")

    def on_paged_list_emptied(self) -> None:
        """Nothing to show beside an empty list."""
        self.query_one("#preview", Static).update("")


def urgent(exam: Item, *, plain: bool) -> Cell:
    """Return how urgent an exam is; the routine case is a mere dot, so that the others stand out."""
    looks = states.state(states.URGENCY, exam["urgency"], ascii_only=plain)
    return Cell(looks.text.partition(" ")[0], "muted") if exam["urgency"] == Urgency.ROUTINE else looks


def shared_name(exam: Item, *, plain: bool) -> str:
    """Return the mark of a name that somebody else has today, to stand before it; where words are long, its sign."""
    if not exam["same_name_today"]:
        return ""
    mark = states.same_name(ascii_only=plain)
    return f"{mark if cell_len(mark) <= _SHORT else mark[0]} "


def counted(images: Item, *, plain: bool) -> Cell:
    """Return images received of those expected, with the mark of their state."""
    looks = states.state(states.IMAGES, images["state"], ascii_only=plain)
    glyph = looks.text.partition(" ")[0]
    expected = images["expected"]
    if images["state"] == ImagesState.NONE and not expected:
        return Cell("-", "muted")
    return Cell(f"{glyph} {images['received']}/{'?' if expected is None else expected}", looks.tone)


def _report(report: Item, *, plain: bool) -> Cell:
    if report["images_changed"]:
        return Cell(_("!images changed") if plain else _("⚠ changed"), "bad")
    if report["holder"]:
        return Cell((_("held ") if plain else "✎ ") + report["holder"], "accent")
    return states.state(states.REPORT, report["state"], ascii_only=plain)
