"""Consultations: the queue by time, the case beside it, opinions by name, the conclusion.

`ask_consultation(page, accession)` is the dialog by which any page puts a case before colleagues.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeAlias

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Static

from console.screens.dialogs import AskText, Confirm, Read
from console.screens.page import Page
from console.screens.writing import WriteText
from console.widgets import states
from console.widgets.cells import Cell, Column
from console.widgets.paged_list import Item, PagedList
from console.widgets.people import clock, latin
from console.widgets.report_words import case_told
from console.words import _
from core.vocabulary import CONSULTATION_AFTER, ConsultationState, Operation

Sure: TypeAlias = bool | None  # the answer to a question that may be left
_ALL = [state.value for state in ConsultationState]


class ConsultationPage(Page):
    """Cases put before colleagues."""

    NAME = "consultation"
    TITLE = "Consultation"
    HELP = (
        "Cases put before colleagues. The head sets the time, marks that images and papers are at hand, begins the "
        "session and concludes it; every doctor adds opinions, which stand by name in their order. Opinions and "
        "conclusion are shown and printed with the report."
    )
    HEARS = frozenset({"consultation"})

    def body(self) -> ComposeResult:
        """The queue, and beside it the case under the cursor."""
        columns = (
            Column("state", _("State"), 13),
            Column("time", _("Time"), 11),
            Column("name", _("Patient"), 12, grow=2),
            Column("procedure", _("Exam"), 9),
            Column("question", _("Question"), 16, grow=4),
            Column("opinions", _("Opinions"), 8, priority=2, right=True),
            Column("asked", _("Asked by"), 10, priority=4),
            Column("accession", _("Accession"), 14, priority=6),
        )
        with Horizontal():
            yield PagedList(columns, self._row, "id", empty=_("No case waits."), more=self.desk.more)
            with VerticalScroll(classes="preview", can_focus=False):
                yield Static(id="preview")

    def on_mount(self) -> None:
        """Read the queue."""
        self._over = False  # whether cases that are over are shown too
        self.query_one(PagedList).focus()
        self.refresh_rows()

    def refresh_rows(self) -> None:
        """Read the queue again."""
        states_wanted = _ALL if self._over else None
        self.ask(partial(self.desk.client.get, "consultations", state=states_wanted), self._show, only_last="queue")

    def _show(self, cases: list[Item]) -> None:
        self.query_one(PagedList).show(cases)

    def point_at(self, case: str = "") -> None:
        """Put the cursor on a case."""
        if case:
            self.query_one(PagedList).choose(case)

    def selected_text(self) -> str:
        """The accession number."""
        return str(self._chosen["accession"]) if self._chosen else ""

    @property
    def _chosen(self) -> Item | None:
        return self.query_one(PagedList).chosen

    def _row(self, case: Item) -> dict[str, Cell | str]:
        return {
            "state": states.state(states.CONSULTATION, case["state"], ascii_only=self.desk.ascii),
            "time": clock(case["scheduled_at"], self.desk.now()) or Cell(_("no time yet"), "muted"),
            "name": latin(case["patient_name"]),
            "procedure": case["procedure"],
            "question": case["question"],
            "opinions": str(len(case["opinions"])),
            "asked": case["requested_by"],
            "accession": case["accession"],
        }

    def on_paged_list_chosen(self, message: PagedList.Chosen) -> None:
        """Show the case beside the list."""
        self.query_one("#preview", Static).update(self._told(message.item))

    def on_paged_list_emptied(self) -> None:
        """Nothing beside an empty list."""
        self.query_one("#preview", Static).update("")

    def on_paged_list_opened(self, message: PagedList.Opened) -> None:
        """Read the case in full."""
        message.stop()
        title = _("Consultation {number}").format(number=message.item["id"])
        self.app.push_screen(Read(title, self._told(message.item).plain))

    def _told(self, case: Item) -> Text:
        text = Text(f"{latin(case['patient_name'])}  {case['patient_number']}\n", "bold")
        text.append(f"{case['procedure']}  {case['accession']}\n\n")
        return text.append_text(case_told(case, self.desk.now(), plain=self.desk.ascii))

    # -- what is done here -------------------------------------------------------------------------------------------

    def _case(self, to: ConsultationState | None = None) -> Item | None:
        """Return the case under the cursor, if it can become `to`; say so when it cannot."""
        case = self._chosen
        if case is None:
            return None
        now = ConsultationState(case["state"])
        if to is not None and to not in CONSULTATION_AFTER[now]:
            words = _(states.CONSULTATION[now][2]), _(states.CONSULTATION[to][2])
            said = _("It is {now}: it cannot become {then}.").format(now=words[0], then=words[1])
            self.notify(said, severity="warning")
            return None
        return case

    def _post(self, case: Item, verb: str, said: str, body: Item | None = None) -> None:
        def after(_case: Any) -> None:  # noqa: ANN401 - JSON
            self.done(said)
            self.refresh_rows()

        self.ask(partial(self.desk.client.post, f"consultations/{case['id']}/{verb}", body), after)

    def action_schedule(self) -> None:
        """Set the time."""
        if case := self._case(ConsultationState.SCHEDULED):
            at = case["scheduled_at"]
            begin = datetime.fromisoformat(at).astimezone() if at else _next_hour(self.desk.now())
            text = _("HH:MM today, MM-DD HH:MM, or YYYY-MM-DD HH:MM")
            ask = AskText(_("When is it discussed?"), text, value=begin.strftime("%Y-%m-%d %H:%M"))
            self.app.push_screen(ask, partial(self._schedule, case))

    def _schedule(self, case: Item, text: str | None) -> None:
        if text is None:
            return
        try:
            at = read_time(text, self.desk.now())
        except ValueError:
            self.notify(_("'{text}' is not a time: write HH:MM").format(text=text), severity="warning", markup=False)
            return
        said = _("Set for {time}.").format(time=clock(at.isoformat(), self.desk.now()))
        self._post(case, "schedule", said, {"at": at.isoformat()})

    def action_gather(self) -> None:
        """Note that images and papers are at hand."""
        if case := self._case(ConsultationState.GATHERED):
            self._post(case, "gather", _("Marked as gathered."))

    def action_start(self) -> None:
        """Begin the session."""
        if case := self._case(ConsultationState.IN_SESSION):
            self._post(case, "start", _("The session has begun."))

    def action_opinion(self) -> None:
        """Give an opinion."""
        if (case := self._case()) and CONSULTATION_AFTER[ConsultationState(case["state"])]:
            self._write(case, "opinion", _("Your opinion"), _("Your opinion stands in the case."))

    def action_conclude(self) -> None:
        """Close the case with its conclusion."""
        if case := self._case(ConsultationState.CONCLUDED):
            self._write(case, "conclude", _("Conclusion"), _("Concluded."))

    def _write(self, case: Item, verb: str, title: str, said: str) -> None:
        def then(text: str | None) -> None:
            if text:
                self._post(case, verb, said, {"text": text})

        self.app.push_screen(WriteText(title, self._told(case).plain.strip()), then)

    def action_withdraw(self) -> None:
        """Take the case back."""
        if case := self._case(ConsultationState.WITHDRAWN):

            def then(sure: Sure) -> None:
                if sure:
                    self._post(case, "withdraw", _("Taken back."))

            self.app.push_screen(Confirm(_("Take the case back?"), case["question"], yes=_("Take it back")), then)

    def action_over(self) -> None:
        """Show cases that are over too, or leave them out."""
        self._over = not self._over
        self.refresh_rows()

    def action_view(self) -> None:
        """Look at the images."""
        from console.screens.viewer import Viewer  # noqa: PLC0415 - when it is first wanted

        if case := self._chosen:
            self.app.push_screen(Viewer(self.desk, case["accession"]))

    def action_report(self) -> None:
        """Read or write the report."""
        from console.screens.report import ReportPage  # noqa: PLC0415 - the report asks for consultations too

        if case := self._chosen:
            self.app.push_screen(ReportPage(self.desk, case["accession"]))


def ask_consultation(page: Page, accession: str) -> None:
    """Ask for the question, and put the exam before colleagues."""
    if not page.desk.may(Operation.CONSULT):
        page.notify(_("You may not ask for consultations."), severity="warning")
        return

    def then(question: str | None) -> None:
        if question:
            form = {"accession": accession, "question": question}
            post = partial(page.desk.client.post, "consultations", form)
            page.ask(post, lambda _case: page.done(_("The case is in the queue; the head sets the time.")))

    page.app.push_screen(WriteText(_("Consultation on {accession}: your question").format(accession=accession)), then)


def read_time(text: str, now: datetime) -> datetime:
    """Read HH:MM (today), MM-DD HH:MM or YYYY-MM-DD HH:MM as local time.

    Raises
    ------
    ValueError
        When it is none of them.
    """
    here, words = now.astimezone(), text.split()
    day = words[0] if len(words) > 1 else f"{here:%Y-%m-%d}"
    if len(day) == len("MM-DD"):
        day = f"{here:%Y}-{day}"
    return datetime.strptime(f"{day} {words[-1]}", "%Y-%m-%d %H:%M").astimezone()


def _next_hour(now: datetime) -> datetime:
    return now.astimezone().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
