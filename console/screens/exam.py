"""What a doctor does with an exam, wherever it is chosen: protocol, view, report, consultation, checks.

Also the exam in full: request, history, priors, latest images; beside a list on wide terminals, a page on narrow ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from console.client import ServiceRefused
from console.desk import Desk
from console.screens.dialogs import Choose, Read
from console.screens.fill import Field, Fill, Typed, Unfit
from console.screens.page import Page
from console.screens.patient import PatientPage
from console.times import MomentUnread, read_moment
from console.widgets import states
from console.widgets.exams import told
from console.widgets.paged_list import Item
from console.widgets.people import clock, moment, name, waited
from console.words import _
from core.vocabulary import LockReason, Operation

_SHUT = {LockReason.NO_IMAGES, LockReason.CONFLICTING}  # signed and held reports can still be read
_PRIORS = 6


class Deciding(Page):
    """A page on which an exam is chosen and something decided about it."""

    def chosen_exam(self) -> Item | None:
        """Return the exam that is meant."""
        raise NotImplementedError

    # -- protocol ----------------------------------------------------------------------------------------------------

    def action_protocol(self) -> None:
        """Say how it is done: device or pool, time, plan, steps."""
        if exam := self.chosen_exam():
            self.ask(self._devices, partial(self._ask_protocol, exam), only_last="devices")

    def _devices(self) -> list[dict[str, Any]]:
        """Return the devices there are; a service that lists none still takes a name typed."""
        try:
            devices: list[dict[str, Any]] = self.desk.client.get("devices")
        except ServiceRefused:
            return []
        return devices

    def _ask_protocol(self, exam: Item, devices: Sequence[Mapping[str, Any]]) -> None:
        places = _places(devices, exam["modality"])
        now = self.desk.now()
        planned = moment(next((step["planned_at"] for step in exam["steps"] if step["planned_at"]), None))
        steps = ", ".join(step["name"] for step in exam["steps"])
        fields = [
            Field("device", _("Device or pool"), exam["device"] or (places[0] if len(places) == 1 else ""),
                  ", ".join(places), places),
            Field("at", _("First step at"), planned.strftime("%Y-%m-%d %H:%M") if planned else "",
                  _("10:30, +1 10:30 for tomorrow, or {day} 10:30; empty: now").format(day=now.strftime("%Y-%m-%d"))),
            Field("plan", _("Plan"), exam["plan"]),
            Field("steps", _("Steps"), steps, _("in their order, with commas; from the catalogue unless changed")),
        ]  # fmt: skip
        title = _("Protocol: {name}  {exam}").format(name=name(exam, "patient_"), exam=exam["procedure_name"])
        send = partial(self._send_protocol, exam)
        form = f"protocol-{exam['accession']}"
        text = "  ".join(part for part in (exam["diagnosis"], exam["complaint"]) if part)
        self.app.push_screen(
            Fill(self.desk, title, fields, send, text=text, form=form, button=_("Protocol")), self._protocolled
        )

    def _send_protocol(self, exam: Item, typed: Typed) -> Any:  # noqa: ANN401 - JSON
        body: dict[str, Any] = {"plan": typed["plan"], "at": _at(typed["at"], self.desk)}
        if typed["device"]:
            body["device"] = typed["device"]
        names = [one.strip() for one in typed["steps"].replace("，", ",").split(",") if one.strip()]
        if names != [step["name"] for step in exam["steps"]]:
            frames = {step["name"]: step["expected"] for step in exam["steps"]}
            body["steps"] = [{"name": one, "expected_frames": frames.get(one)} for one in names]
        return self.desk.client.post(f"exams/{exam['accession']}/protocol", body)

    def _protocolled(self, exam: Item | None) -> None:
        if exam:
            at = clock(exam["steps"][0]["planned_at"], self.desk.now()) if exam["steps"] else ""
            said = _("{accession} is on the worklist of {device}, {at}.")
            said = said.format(accession=exam["accession"], device=exam["device"] or "-", at=at)
            self.done(said, undo=_("p again changes it."))
            self.refresh_rows()

    # -- view, report ------------------------------------------------------------------------------------------------

    def action_view(self) -> None:
        """Look at the images."""
        if exam := self.chosen_exam():
            if exam["images"]["received"] or exam["images"]["uncounted"]:
                from console.screens.viewer import Viewer  # noqa: PLC0415 - loaded when it is opened

                self.app.push_screen(Viewer(self.desk, exam["accession"]))
            else:
                said = _("{accession} has no images yet.").format(accession=exam["accession"])
                self.notify(said, severity="warning", markup=False)

    def action_report(self) -> None:
        """Write or read the report; where it is locked, say why."""
        if exam := self.chosen_exam():
            if exam["report"]["lock_reason"] in _SHUT:
                self.ask(self._devices, partial(self._say_locked, exam), only_last="devices")
            else:
                self._open_report(exam)

    def _open_report(self, exam: Item) -> None:
        from console.screens.report import ReportPage  # noqa: PLC0415 - loaded when it is opened

        self.app.push_screen(ReportPage(self.desk, exam["accession"]))

    def _say_locked(self, exam: Item, devices: Sequence[Mapping[str, Any]]) -> None:
        reason = _(states.LOCKS[exam["report"]["lock_reason"]])
        lines = [_("The report of {accession} cannot be opened: {reason}.").format(
            accession=exam["accession"], reason=reason)]  # fmt: skip
        used = {one for step in exam["steps"] for one in step["devices"]} | {exam["device"]}
        for device in devices:
            if device["aet"] in used or device["pool"] in used:
                heard = waited(device["last_heard_at"], self.desk.now())
                lines.append(
                    _("{device} was last heard {ago} ago.").format(device=device["aet"], ago=heard)
                    if heard
                    else _("{device} has not been heard yet.").format(device=device["aet"])
                )
        keys = [("t", _("tells the technologist"))] if self.desk.may(Operation.WRITE_REPORT) else []
        if self.desk.may(Operation.OVERRIDE_REPORT):
            keys.append(("o", _("opens it for a reason")))
        dialog = Read(_("Report locked"), "\n".join(lines), keys=keys)
        self.app.push_screen(dialog, partial(self._locked_answered, exam))

    def _locked_answered(self, exam: Item, key: str | None) -> None:
        if key == "o":
            self._open_report(exam)
        elif key == "t":
            fields = [Field("text", _("What do you need?"))]
            path = f"exams/{exam['accession']}/report/call"
            title = _("To the technologist, about {accession}").format(accession=exam["accession"])
            form = f"call-{exam['accession']}"
            dialog = Fill(self.desk, title, fields, partial(self.desk.client.post, path), form=form)
            self.app.push_screen(dialog, self._called)

    def _called(self, call: Item | None) -> None:
        if call:
            self.done(_("The technologist is told; the answer comes to this exam."))

    # -- consultation, checks, patient -------------------------------------------------------------------------------

    def action_consult(self) -> None:
        """Mark the case for consultation, with a question."""
        if exam := self.chosen_exam():
            title = _("Consultation: {name}  {exam}").format(name=name(exam, "patient_"), exam=exam["procedure_name"])
            fields = [Field("question", _("Question"), required=True)]

            def send(typed: Typed) -> Any:  # noqa: ANN401 - JSON
                return self.desk.client.post("consultations", {"accession": exam["accession"], **typed})

            self.app.push_screen(
                Fill(self.desk, title, fields, send, form=f"consult-{exam['accession']}", button=_("Ask")),
                self._consulted,
            )

    def _consulted(self, consultation: Item | None) -> None:
        if consultation:
            said = _("{accession} is in the queue of consultations.").format(accession=consultation["accession"])
            self.done(said, undo=_("It can be withdrawn on the consultation page."))
            self.refresh_rows()

    def action_checks(self) -> None:
        """Answer the questions of the exam; the first open one is under the cursor."""
        exam = self.chosen_exam()
        if exam and exam["checks"]:
            unanswered = [one["name"] for one in exam["checks"] if not one["answer"] and not one["overridden"]]
            options = [(one["name"], _(one["name"]), _answer(one)) for one in exam["checks"]]
            title = _("Checks of {name}").format(name=name(exam, "patient_"))
            self.app.push_screen(
                Choose(title, options, at=unanswered[0] if unanswered else ""), partial(self._ask_check, exam)
            )
        elif exam:
            self.notify(_("This exam asks nothing."), markup=False)

    def _ask_check(self, exam: Item, check: str | None) -> None:
        if check is None:
            return
        fields = [
            Field("answer", _("Answer"), offers=("no", "yes"), hint=_("empty: go on without, for the reason below")),
            Field("note", _("Note or reason")),
        ]
        title = _("{name}: {question}?").format(name=name(exam, "patient_"), question=_(check))
        form = f"check-{exam['accession']}-{check}"
        send = partial(self._send_check, exam["accession"], check)
        self.app.push_screen(Fill(self.desk, title, fields, send, form=form), self._checked)

    def _send_check(self, accession: str, check: str, typed: Typed) -> Any:  # noqa: ANN401 - JSON
        if not typed["answer"] and not typed["note"]:
            raise Unfit("answer", _("Give an answer, or a reason to go on without one."))
        return self.desk.client.post(
            f"exams/{accession}/check", {"name": check, **typed, "override": not typed["answer"]}
        )

    def _checked(self, exam: Item | None) -> None:
        if exam:
            still = [_(one["name"]) for one in exam["checks"] if not one["answer"] and not one["overridden"]]
            open_ = (
                _("Still open: {names}.").format(names=", ".join(still)) if still else _("Nothing is open any more.")
            )
            self.done(_("Answered.") + " " + open_, undo=_("k again changes it."))
            self.refresh_rows()

    def action_patient(self) -> None:
        """Open the patient."""
        if exam := self.chosen_exam():
            self.app.push_screen(PatientPage(self.desk, exam["patient_number"], accession=exam["accession"]))


def _at(text: str, desk: Desk) -> str:
    try:
        return read_moment(text, desk.now()).isoformat()
    except MomentUnread as unread:
        raise Unfit("at", str(unread)) from unread


def _places(devices: Sequence[Mapping[str, Any]], modality: str) -> tuple[str, ...]:
    """Return the pools and devices that fit a modality, else all."""
    working = [one for one in devices if one["enabled"]]
    fitting = [one for one in working if modality in one["modalities"]] or working
    pools = dict.fromkeys(one["pool"] for one in fitting if one["pool"])
    return (*pools, *(one["aet"] for one in fitting))


def _answer(check: Mapping[str, Any]) -> str:
    if check["overridden"]:
        return _("without: {reason} ({by})").format(reason=check["note"], by=check["by"])
    return f"{check['answer']} ({check['by']})" if check["answer"] else _("not answered")


# -- the exam in full --------------------------------------------------------------------------------------------------


class Surroundings:
    """What stands around an exam: the patient's other exams, and its series."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def read(self, exam: Mapping[str, Any]) -> tuple[list[Item], list[Item]]:
        """Ask for priors and series (runs in a worker)."""
        client, priors, series = self._desk.client, [], []
        if exam["priors"]:
            page = client.get("exams", patient=exam["patient_number"], order="recent", limit=_PRIORS + 1)
            priors = [one for one in page["items"] if one["accession"] != exam["accession"]][:_PRIORS]
        if self._desk.may(Operation.VIEW_IMAGES) and (exam["images"]["received"] or exam["images"]["uncounted"]):
            try:
                series = client.get(f"exams/{exam['accession']}/series")
            except ServiceRefused:
                series = []  # a case that is not one's own: its images are not shown
        return priors, series

    def told(self, exam: Mapping[str, Any], around: tuple[list[Item], list[Item]] | None) -> Text:
        """Return the exam in full, with what is known of its surroundings."""
        now, plain = self._desk.now(), self._desk.ascii
        text = told(exam, now, plain=plain)
        priors, series = around or ([], [])
        if series:
            text.append(f"\n{_('Latest images')}\n", "dim")
        for one in reversed(series[-_PRIORS:]):
            frames = sum(int(image.get("frames") or 1) for image in one["instances"])
            count = _("{images} images, {frames} frames").format(images=len(one["instances"]), frames=frames)
            text.append("  ".join(part for part in (one["modality"], one["description"], one["step"], count) if part))
            text.append("\n")
        if priors:
            text.append(f"\n{_('Earlier')}\n", "dim")
        for one in priors:
            looks = states.state(states.EXAM, one["state"], ascii_only=plain)
            when = clock(one["arrived_at"] or one["registered_at"], now)
            text.append("  ".join((when, one["procedure"], looks.text, one["accession"])) + "\n")
        return text


class ExamPage(Deciding):
    """One exam in full."""

    NAME = "exam"
    TITLE = "Exam"
    HELP = "One exam: the request, checks, steps, images, the report, and what the patient had before."
    HEARS = frozenset({"exam", "report", "patient"})
    DEFAULT_CSS = "ExamPage VerticalScroll { padding: 0 1; }"

    def __init__(self, desk: Desk, exam: Item) -> None:
        super().__init__(desk)
        self._exam = exam
        self._around = Surroundings(desk)

    def body(self) -> ComposeResult:
        """One text that scrolls."""
        with VerticalScroll(id="all"):
            yield Static(id="preview")

    def on_mount(self) -> None:
        """Show what is known, and read the rest."""
        self.query_one("#all").focus()
        self._show(self._exam, None)
        self.refresh_rows()

    def chosen_exam(self) -> Item | None:
        """The exam of the page."""
        return self._exam

    def selected_text(self) -> str:
        """The accession number."""
        return str(self._exam["accession"])

    def refresh_rows(self) -> None:
        """Read it again."""

        def read() -> tuple[Item, tuple[list[Item], list[Item]]]:
            exam = self.desk.client.get(f"exams/{self._exam['accession']}")
            return exam, self._around.read(exam)

        self.ask(read, lambda answer: self._show(*answer), only_last="exam")

    def _show(self, exam: Item, around: tuple[list[Item], list[Item]] | None) -> None:
        self._exam = exam
        self.query_one("#preview", Static).update(self._around.told(exam, around))
