"""The front desk: the search field is the page, and a card reader types into it.

While nothing is sought, the day is shown: who is expected, who is here.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.timer import Timer
from textual.widgets import Input, Static

from console.screens.page import Page
from console.screens.patient import PatientPage
from console.screens.registration import RegistrationPage
from console.widgets import states
from console.widgets.cells import Cell, Column
from console.widgets.exams import told
from console.widgets.paged_list import Item, PagedList
from console.widgets.people import born, clock, moment, name
from console.words import _
from core.vocabulary import Operation

_PAUSE = 0.15  # seconds after the last key before the service is asked
_ENOUGH = 50  # a longer list is narrowed by typing more


class SearchField(Input):
    """The field that never loses the keys of the list under it."""

    BINDINGS = [
        Binding("down", "screen.walk(1)", show=False),
        Binding("up", "screen.walk(-1)", show=False),
        Binding("pagedown", "screen.walk(10)", show=False),
        Binding("pageup", "screen.walk(-10)", show=False),
    ]


class FrontDesk(Page):
    """Find, register, receive."""

    NAME = "front_desk"
    TITLE = "Front desk"
    HELP = (
        "Type a number, a name in any script, pinyin or its initials, a phone number or a birth date, or read a card. "
        "Enter opens the patient under the cursor; when nobody is found, it begins a new patient with what was typed. "
        "With nothing typed, the list shows today: who is expected and who is here."
    )
    HEARS = frozenset({"exam", "patient"})
    AUTO_FOCUS = "#sought"
    DEFAULT_CSS = """
    FrontDesk #field { height: 1; }
    FrontDesk #field Static { width: auto; padding: 0 1; text-style: bold; color: $primary; }
    FrontDesk #field Input { width: 1fr; }
    FrontDesk #counts { dock: bottom; height: 1; padding: 0 1; margin-bottom: 1; background: $surface; }
    """

    def __init__(self, *given: Any) -> None:  # noqa: ANN401 - what a page is given
        super().__init__(*given)
        self._pause: Timer | None = None
        self._sought = ""
        self._enter_waits = False

    def body(self) -> ComposeResult:
        """The field, what it finds or the day, and the counts."""
        with Horizontal(id="field"):
            yield Static(_("Find"))
            yield SearchField(id="sought", compact=True, placeholder=_("number, name, pinyin, initials, phone, card"))
        people = (
            Column("number", _("Patient"), 12),
            Column("name", _("Name"), 20, grow=3),
            Column("born", _("Born"), 10),
            Column("sex", _("Sex"), 4, priority=2),
            Column("phone", _("Phone"), 13, priority=3),
            Column("last", _("Last visit"), 17, priority=4, grow=1),
        )
        day = (
            Column("when", _("Time"), 6),
            Column("name", _("Patient"), 20, grow=3),
            Column("procedure", _("Exam"), 11, grow=1),
            Column("state", _("State"), 13),
            Column("here", _("Here"), 9, priority=1),
            Column("number", _("Number"), 12, priority=3),
            Column("visit", _("Visit"), 11, priority=4),
            Column("accession", _("Accession"), 14, priority=2),
        )
        with Horizontal():
            found = PagedList(people, self._person, "number", id="found", more=self.desk.more)
            found.display = False
            yield found
            empty = _("Nobody is expected today yet.")
            yield PagedList(day, self._of_day, "accession", id="day", empty=empty, more=self.desk.more)
            with VerticalScroll(classes="preview", can_focus=False):
                yield Static(id="preview")
        yield Static(id="counts", markup=False)

    def on_mount(self) -> None:
        """Show the day."""
        self.query_one("#day", PagedList).source(self._fetch_day)
        self.tell_status()

    @property
    def _list(self) -> PagedList:
        return self.query_one("#found" if self._sought else "#day", PagedList)

    def refresh_rows(self) -> None:
        """Read the day again, and what is sought."""
        self.query_one("#day", PagedList).reload()
        if self._sought:
            self._seek(self._sought)

    def tell_status(self) -> None:
        """Say the day's counts too."""
        super().tell_status()
        words = (
            ("registered", _("registered")),
            ("waiting", _("waiting")),
            ("on_camera", _("on camera")),
            ("read", _("read")),
            ("late", _("late")),
            ("unfiled", _("unfiled")),
        )
        counts = [f"{word} {self.desk.today[key]}" for key, word in words if key in self.desk.today]
        for line in self.query("#counts").results(Static):
            line.update("  ".join([_("Today"), *counts]))

    def selected_text(self) -> str:
        """The number under the cursor."""
        chosen = self._list.chosen
        return str(chosen["number"] if chosen and "number" in chosen else chosen["accession"]) if chosen else ""

    def step_back(self) -> bool:
        """Esc empties the field, and goes back to it."""
        field = self.query_one(SearchField)
        was = bool(field.value) or not field.has_focus
        field.value = ""
        field.focus()
        return was

    # -- finding -----------------------------------------------------------------------------------------------------

    def on_input_changed(self, _event: Input.Changed) -> None:
        """Ask a moment after the last key."""
        if self._pause:
            self._pause.stop()
        self._pause = self.set_timer(_PAUSE, self._begin_search)

    def _begin_search(self) -> None:
        self._sought = self.query_one(SearchField).value.strip()
        self.query_one("#found").display = bool(self._sought)
        self.query_one("#day").display = not self._sought
        if self._sought:
            self._seek(self._sought)
        elif item := self._list.chosen:
            self._preview(item)

    def _seek(self, sought: str) -> None:
        get = partial(self.desk.client.get, "patients", query=sought, limit=_ENOUGH)
        self.ask(get, partial(self._found, sought), only_last="search")

    def _found(self, sought: str, people: list[Item]) -> None:
        if sought != self._sought:
            return
        new = _("Nobody is found. Enter begins a new patient with what you typed.")
        found = self.query_one("#found", PagedList)
        found.say_when_empty(new if self.desk.may(Operation.REGISTER) else _("Nobody is found."))
        found.show(people)
        if self._enter_waits:
            self._enter_waits = False
            self._open()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Open the patient found; a card reader's Enter waits for the answer to what it typed."""
        event.stop()
        if self.query_one(SearchField).value.strip() != self._sought:
            self._enter_waits = True
            if self._pause:
                self._pause.stop()
            self._begin_search()
        else:
            self._open()

    def _open(self) -> None:
        item = self._list.chosen
        if item is None and self._sought and self.desk.may(Operation.REGISTER):
            self.action_new_patient()
        elif item is not None:
            number, accession = item.get("patient_number") or item["number"], item.get("accession", "")
            self.app.push_screen(PatientPage(self.desk, number, accession=accession))

    def on_paged_list_opened(self, message: PagedList.Opened) -> None:
        """Open it."""
        message.stop()
        self._open()

    def on_paged_list_chosen(self, message: PagedList.Chosen) -> None:
        """Show it beside the list."""
        if message.paged_list is self._list:
            self._preview(message.item)

    def _preview(self, item: Item) -> None:
        self.show_beside(lambda: self._beside_text(item))

    def _beside_text(self, item: Item) -> Text:
        if "accession" in item:
            return told(item, self.desk.now(), plain=self.desk.ascii)
        known = [name(item), item["number"], born(item), item["sex"], item["phone"], item["address"]]
        return Text("\n".join(known))

    def action_walk(self, by: int) -> None:
        """Move in the list while the field keeps the focus."""
        self._list.action_move(by)

    def _fetch_day(self, offset: int, limit: int) -> Any:  # noqa: ANN401 - JSON
        return self.desk.client.get("exams", date="today", order="queue", offset=offset, limit=limit)

    # -- registering, receiving --------------------------------------------------------------------------------------

    def action_new_patient(self) -> None:
        """Register someone new; what was typed is in place already."""
        typed = "" if any(mark.isdigit() for mark in self._sought) else self._sought
        self.app.push_screen(RegistrationPage(self.desk, typed_name=typed), self._after)

    def action_new_exam(self) -> None:
        """Register an exam of the patient under the cursor."""
        item = self._list.chosen
        if item is None:
            self.notify(_("Find the patient first."))
        else:
            number = item.get("patient_number") or item["number"]
            self.ask(partial(self.desk.client.get, f"patients/{number}"), self._new_exam_of)

    def _new_exam_of(self, patient: Item) -> None:
        self.app.push_screen(RegistrationPage(self.desk, patient), self._after)

    def _after(self, made: Item | None) -> None:
        if made is not None:
            self.query_one(SearchField).value = ""
            self.refresh_rows()

    def action_arrive(self) -> None:
        """Whoever is expected is here now."""
        item = self._list.chosen
        if item is None or "accession" not in item:
            self.notify(_("Choose one of today's list; F4 says that they are here."))
            return
        said = _("{name} has arrived.").format(name=name(item, "patient_"))
        self.ask(lambda: self.desk.client.post(f"exams/{item['accession']}/arrive"), lambda _exam: self._arrived(said))

    def _arrived(self, said: str) -> None:
        self.done(said)
        self.refresh_rows()

    # -- rows --------------------------------------------------------------------------------------------------------

    def _mark(self, item: Item) -> str:
        return f" {states.same_name(ascii_only=self.desk.ascii)}" if item["same_name_today"] else ""

    def _person(self, patient: Item) -> dict[str, Cell | str]:
        mark = self._mark(patient)
        at = moment(patient["last_visit_at"])
        last = f"{at:%Y-%m-%d} {patient['last_procedure']}" if at else "-"
        return {
            "number": patient["number"],
            "name": Cell(name(patient), "warn" if mark else "", mark),
            "born": born(patient),
            "sex": patient["sex"],
            "phone": patient["phone"],
            "last": last,
        }

    def _of_day(self, exam: Item) -> dict[str, Cell | str]:
        mark = self._mark(exam)
        return {
            "when": clock(exam["arrived_at"] or exam["booked_at"] or exam["registered_at"], self.desk.now()),
            "name": Cell(name(exam, "patient_"), "warn" if mark else "", mark),
            "procedure": exam["procedure"],
            "state": states.state(states.EXAM, exam["state"], ascii_only=self.desk.ascii),
            "here": Cell(_("here"), "good") if exam["arrived_at"] else Cell(_("expected"), "muted"),
            "number": exam["patient_number"],
            "visit": states.state(states.VISIT, exam["visit"], ascii_only=self.desk.ascii),
            "accession": exam["accession"],
        }
