"""Triage: who waits, how urgently, for whom; urgency first, then arrival, never the booking."""

from __future__ import annotations

from functools import partial
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Static

from console.screens.dialogs import AskText, Choose
from console.screens.page import Page
from console.screens.patient import PatientPage
from console.widgets import states
from console.widgets.cells import Cell, Column
from console.widgets.exams import told
from console.widgets.paged_list import Item, PagedList
from console.widgets.people import age, name, waited
from console.words import _
from core.vocabulary import Urgency

_WAITING = ["registered", "assigned", "protocolled", "in_progress"]
_COLUMNS = (
    Column("urgency", "Urgency", 9),
    Column("waits", "Waits", 7, right=True),
    Column("name", "Patient", 18, grow=3),
    Column("age", "Age", 4, priority=5, right=True),
    Column("procedure", "Exam", 11, grow=1),
    Column("state", "State", 13, priority=1),
    Column("doctor", "Doctor", 9, priority=2, grow=1),
    Column("open", "Open checks", 12, grow=2),
    Column("visit", "Visit", 11, priority=6),
    Column("device", "Device", 10, priority=7),
    Column("accession", "Accession", 14, priority=8),
)


class Triage(Page):
    """One queue for everyone who waits."""

    NAME = "triage"
    TITLE = "Triage"
    HELP = (
        "Everyone who waits, the most urgent first, then who arrived first. Those booked but not here yet stand last. "
        "Questions of the exam that nobody has answered yet stand in plain sight: they hold back injection and start."
    )
    HEARS = frozenset({"exam", "patient"})

    def body(self) -> ComposeResult:
        """The queue, and beside it the exam under the cursor."""
        columns = [Column(c.key, _(c.title), c.width, c.priority, c.grow, c.right) for c in _COLUMNS]
        with Horizontal():
            yield PagedList(columns, self._row, "accession", empty=_("Nobody waits."), more=self.desk.more)
            with VerticalScroll(classes="preview", can_focus=False):
                yield Static(id="preview")

    def on_mount(self) -> None:
        """Read the queue; once a minute, and only while it is seen, the waiting times are drawn anew."""
        self.query_one(PagedList).source(self._fetch)
        self.query_one(PagedList).focus()
        self.set_interval(60, self._minute)

    def refresh_rows(self) -> None:
        """Read the queue again."""
        self.query_one(PagedList).reload()

    def point_at(self, exam: str = "") -> None:
        """Put the cursor on an exam."""
        self.query_one(PagedList).choose(exam)

    def selected_text(self) -> str:
        """The accession number."""
        exam = self._chosen()
        return str(exam["accession"]) if exam else ""

    def _minute(self) -> None:
        if self.is_current:
            self.query_one(PagedList).refresh()

    def _fetch(self, offset: int, limit: int) -> Any:  # noqa: ANN401 - JSON
        return self.desk.client.get("exams", order="queue", state=_WAITING, offset=offset, limit=limit)

    def _chosen(self) -> Item | None:
        return self.query_one(PagedList).chosen

    def _row(self, exam: Item) -> dict[str, Cell | str]:
        plain, now = self.desk.ascii, self.desk.now()
        unanswered = [check["name"] for check in exam["checks"] if not check["answer"] and not check["overridden"]]
        mark = f" {states.same_name(ascii_only=plain)}" if exam["same_name_today"] else ""
        return {
            "urgency": states.state(states.URGENCY, exam["urgency"], ascii_only=plain),
            "waits": waited(exam["arrived_at"], now) if exam["arrived_at"] else Cell(_("booked"), "muted"),
            "name": Cell(name(exam, "patient_"), "warn" if mark else "", mark),
            "age": age(exam, now.date(), "patient_"),
            "procedure": exam["procedure"],
            "state": states.state(states.EXAM, exam["state"], ascii_only=plain),
            "doctor": exam["assigned_to"] or "-",
            "open": Cell(" ".join(states.check(one) for one in unanswered), "warn"),
            "visit": states.state(states.VISIT, exam["visit"], ascii_only=plain),
            "device": exam["device"] or "",
            "accession": exam["accession"],
        }

    # -- what is done here -------------------------------------------------------------------------------------------

    def action_urgency(self) -> None:
        """Say how urgent it is."""
        if exam := self._chosen():
            options = [
                (one.value, states.state(states.URGENCY, one, ascii_only=self.desk.ascii).text, "") for one in Urgency
            ]
            title = _("Urgency of {name}").format(name=name(exam, "patient_"))
            self.app.push_screen(Choose(title, options, at=exam["urgency"]), partial(self._triage, exam["accession"]))

    def _triage(self, accession: str, urgency: str | None) -> None:
        if urgency:
            self._post(accession, "triage", {"urgency": urgency}, _("Urgency changed."))

    def action_assign(self) -> None:
        """Assign a doctor; Enter takes the one proposed."""
        if exam := self._chosen():
            accession = exam["accession"]
            path = f"exams/{accession}/proposals"
            self.ask(lambda: self.desk.client.get(path), partial(self._offer, accession), only_last="proposals")

    def _offer(self, accession: str, proposals: list[dict[str, Any]]) -> None:
        options = [
            (one["username"], f"{one['full_name']} ({one['username']})", " ".join(one["reasons"])) for one in proposals
        ]
        options.append(("", _("nobody: take the assignment back"), ""))
        title = _("Who reads {accession}?").format(accession=accession)
        self.app.push_screen(Choose(title, options), partial(self._assign, accession))

    def _assign(self, accession: str, doctor: str | None) -> None:
        if doctor is not None:
            self._post(accession, "assign", {"to": doctor}, _("Assigned to {doctor}.").format(doctor=doctor or "-"))

    def action_checks(self) -> None:
        """Answer the first question that is open."""
        if exam := self._chosen():
            unanswered = [one for one in exam["checks"] if not one["answer"] and not one["overridden"]]
            if unanswered:
                question = states.check(unanswered[0]["name"])
                title = _("{name}: {question}?").format(name=name(exam, "patient_"), question=question)
                then = partial(self._answer, exam["accession"], unanswered[0]["name"])
                self.app.push_screen(AskText(title), then)

    def _answer(self, accession: str, check: str, answer: str | None) -> None:
        if answer:
            self._post(accession, "check", {"name": check, "answer": answer}, _("Answered."))

    def action_arrive(self) -> None:
        """The patient is here."""
        if exam := self._chosen():
            self._post(exam["accession"], "arrive", {}, _("{name} has arrived.").format(name=name(exam, "patient_")))

    def action_open_patient(self) -> None:
        """Open the patient."""
        if exam := self._chosen():
            self.app.push_screen(PatientPage(self.desk, exam["patient_number"], accession=exam["accession"]))

    def _post(self, accession: str, verb: str, body: dict[str, Any], said: str) -> None:
        def after(_exam: Any) -> None:  # noqa: ANN401 - JSON
            self.done(said)
            self.refresh_rows()

        self.ask(lambda: self.desk.client.post(f"exams/{accession}/{verb}", body), after)

    def on_paged_list_opened(self, message: PagedList.Opened) -> None:
        """Enter assigns: that is what the queue is for."""
        message.stop()
        self.action_assign()

    def on_paged_list_chosen(self, message: PagedList.Chosen) -> None:
        """Show the exam beside the list."""
        self.show_beside(lambda: told(message.item, self.desk.now(), plain=self.desk.ascii))

    def on_paged_list_emptied(self) -> None:
        """Nothing to show beside an empty list."""
        self.show_beside(lambda: "")
