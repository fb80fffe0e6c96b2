"""A patient: who they are, their visits and their exams."""

from __future__ import annotations

from functools import partial
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Static

from console import receipt
from console.desk import Desk
from console.screens.dialogs import AskText, Read
from console.screens.merging import Merging
from console.screens.page import Page
from console.screens.patient_change import PatientChangePage
from console.screens.registration import RegistrationPage, hand_out
from console.widgets import states
from console.widgets.cells import Cell, Column
from console.widgets.exams import told
from console.widgets.paged_list import Item, PagedList
from console.widgets.people import age, born, clock, name
from console.words import _


class PatientPage(Page):
    """One patient, their exams in a list."""

    NAME = "patient"
    TITLE = "Patient"
    HELP = (
        "One patient: who they are, and their exams, the latest first. F9 declares this record and another one person: "
        "the number that stays speaks for both, nothing is rewritten, and F10 takes it back."
    )
    HEARS = frozenset({"exam", "patient", "report"})
    DEFAULT_CSS = "PatientPage #who { height: auto; padding: 0 1; background: $surface; }"

    def __init__(self, desk: Desk, number: str, *, accession: str = "") -> None:
        super().__init__(desk)
        self._number, self._accession = number, accession
        self._patient: Item = {}

    def body(self) -> ComposeResult:
        """Who it is, over their exams."""
        yield Static(id="who")
        columns = (
            Column("accession", _("Accession"), 14),
            Column("when", _("When"), 11),
            Column("procedure", _("Exam"), 11, grow=1),
            Column("state", _("State"), 13),
            Column("images", _("Images"), 9, priority=1, right=True),
            Column("report", _("Report"), 13, priority=2),
            Column("doctor", _("Doctor"), 9, priority=3),
            Column("visit", _("Visit"), 11, priority=4),
        )
        with Horizontal():
            yield PagedList(columns, self._row, "accession", empty=_("No exams."), more=self.desk.more)
            with VerticalScroll(classes="preview", can_focus=False):
                yield Static(id="preview")

    def on_mount(self) -> None:
        """Read the patient and their exams."""
        self.query_one(PagedList).focus()
        self.query_one(PagedList).source(self._fetch)
        self._read_patient()

    def refresh_rows(self) -> None:
        """Read both again."""
        self._read_patient()
        self.query_one(PagedList).reload()

    def selected_text(self) -> str:
        """The accession number, or the patient's when there is no exam."""
        exam = self.query_one(PagedList).chosen
        return str(exam["accession"] if exam else self._number)

    def _read_patient(self) -> None:
        self.ask(partial(self.desk.client.get, f"patients/{self._number}"), self._show, only_last="patient")

    def _fetch(self, offset: int, limit: int) -> Any:  # noqa: ANN401 - JSON
        return self.desk.client.get("exams", patient=self._number, order="recent", offset=offset, limit=limit)

    def _show(self, patient: Item) -> None:
        self._patient = patient
        now = self.desk.now()
        known = {"temporary": _("identity unknown")}.get(patient["identity"], "")
        mark = states.same_name(ascii_only=self.desk.ascii) if patient["same_name_today"] else ""
        who = [
            patient["number"],
            name(patient),
            patient["sex"],
            born(patient),
            age(patient, now.date()),
            patient["phone"],
        ]
        lines = ["  ".join(part for part in [*who, known, mark] if part)]
        for label, key in ((_("Allergies"), "allergies"), (_("Alerts"), "alerts"), (_("Merged into"), "merged_into")):
            if patient[key]:
                lines.append(f"{label}: {patient[key]}")
        self.query_one("#who", Static).update("\n".join(lines))

    def _row(self, exam: Item) -> dict[str, Cell | str]:
        plain, images = self.desk.ascii, exam["images"]
        return {
            "accession": exam["accession"],
            "when": clock(exam["arrived_at"] or exam["registered_at"], self.desk.now()),
            "procedure": exam["procedure"],
            "state": states.state(states.EXAM, exam["state"], ascii_only=plain),
            "images": f"{images['received']}/{images['expected'] if images['expected'] is not None else '?'}",
            "report": states.state(states.REPORT, exam["report"]["state"], ascii_only=plain),
            "doctor": exam["assigned_to"] or "",
            "visit": states.state(states.VISIT, exam["visit"], ascii_only=plain),
        }

    # -- what is done here -------------------------------------------------------------------------------------------

    def _exam(self) -> Item | None:
        exam = self.query_one(PagedList).chosen
        if exam is None:
            self.notify(_("This patient has no exam yet."))
        return exam

    def action_new_exam(self) -> None:
        """Register another exam."""
        if self._patient:
            self.app.push_screen(RegistrationPage(self.desk, self._patient), lambda _made: self.refresh_rows())

    def action_arrive(self) -> None:
        """The patient is here for the exam under the cursor."""
        if exam := self._exam():
            said = _("{name} has arrived.").format(name=name(exam, "patient_"))
            self._post(exam["accession"], "arrive", {}, said)

    def action_receipt(self) -> None:
        """Show the slip of the exam under the cursor, to print or save."""
        if exam := self._exam():
            slip = receipt.text(exam, self.desk.me.get("site_name") or self.desk.me["site"], self.desk.now())
            keys = [("p", _("prints")), ("s", _("saves"))]
            self.app.push_screen(Read(_("Receipt"), slip, keys=keys), partial(hand_out, self, exam["accession"], slip))

    def action_cancel_exam(self) -> None:
        """Cancel the exam under the cursor, with a reason."""
        if exam := self._exam():
            title = _("Cancel {exam} {accession}").format(exam=exam["procedure"], accession=exam["accession"])
            self.app.push_screen(AskText(title, _("Why?")), partial(self._cancel, exam["accession"]))

    def _cancel(self, accession: str, reason: str | None) -> None:
        if reason:
            self._post(accession, "cancel", {"reason": reason}, _("Cancelled {accession}.").format(accession=accession))

    def _post(self, accession: str, verb: str, body: dict[str, Any], said: str) -> None:
        def after(_exam: Any) -> None:  # noqa: ANN401 - JSON
            self.done(said)
            self.refresh_rows()

        self.ask(lambda: self.desk.client.post(f"exams/{accession}/{verb}", body), after)

    def action_edit(self) -> None:
        """Change what is known of the patient."""
        if self._patient:
            self.app.push_screen(PatientChangePage(self.desk, self._patient), lambda _changed: self.refresh_rows())

    def action_merge(self) -> None:
        """Declare this record and another one person."""
        if self._patient:
            Merging(self, self.desk, self._patient, self.refresh_rows).begin()

    def action_unmerge(self) -> None:
        """Take the last merge into this record back."""
        if self._patient:
            Merging(self, self.desk, self._patient, self.refresh_rows).take_back()

    def on_paged_list_chosen(self, message: PagedList.Chosen) -> None:
        """Show the exam beside the list."""
        if self._accession and self.query_one(PagedList).choose(self._accession):
            self._accession = ""
        self.show_beside(lambda: told(message.item, self.desk.now(), plain=self.desk.ascii))
