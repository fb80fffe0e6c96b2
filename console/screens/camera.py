"""At the camera: who is next by device and time, what must be asked first, the dose, start and finish, what arrives.

Nothing is injected or started before the patient has said two identifiers; they are typed anew each time, never kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.timer import Timer
from textual.widgets import Static

from console.desk import Desk
from console.screens.dialogs import Choose, Read
from console.screens.exam import Deciding
from console.screens.fill import Field, Fill, Typed, Unfit
from console.screens.worklist import counted, shared_name
from console.times import MomentUnread, read_moment
from console.widgets import states
from console.widgets.camera_card import card, dose_of, planned, unanswered
from console.widgets.cells import TONES, Cell, Column
from console.widgets.halves import Halves
from console.widgets.lines import tone_colour
from console.widgets.paged_list import Item, PagedList
from console.widgets.people import clock, name
from console.widgets.views import View, Views
from console.words import _
from core.vocabulary import STEP_ENDED, ExamState, StepState

_DAY = [state for state in ExamState if state not in {ExamState.CANCELLED, ExamState.NOT_DONE}]
_GLANCE = 0.12  # seconds before the card is drawn: the cursor itself never waits for that
_MOST = 500  # exams of one day in one department
_ANY = ""
_BEFORE_START = {StepState.SCHEDULED, StepState.ARRIVED, StepState.INJECTED}
_COLUMNS = (
    Column("when", "Planned", 12, grow=1),
    Column("name", "Patient", 15, grow=3),
    Column("step", "Exam, step", 16, grow=2),
    Column("state", "State", 13),
    Column("asks", "Checks", 7),
    Column("images", "Images", 9, right=True),
    Column("device", "Device", 8, priority=2),
    Column("number", "Number", 10, priority=3),
    Column("accession", "Accession", 11, priority=4),
)


class Camera(Deciding):
    """The steps of the day, one under the other."""

    NAME = "camera"
    TITLE = "Camera"
    HELP = (
        "The steps of today, by device and time: what runs on top, then who is next, what has ended at the bottom. "
        "Questions nobody has answered stand in red and hold back injection and start; k answers them. F6 draws the "
        "dose, F7 injects, F8 measures what was left; s starts, f finishes. Before injection and start the patient "
        "says name and number or birth date. If it is not the patient, press x: it says what to do and starts nothing."
    )
    HEARS = frozenset({"exam", "patient", "call", "unfiled"})
    DEFAULT_CSS = """
    Camera #calls { height: auto; max-height: 3; display: none; padding: 0 1; background: $panel; color: $warning; }
    Camera #calls.-some { display: block; }
    Camera #calls:ansi { background: ansi_default; text-style: bold; }
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._device = _ANY
        self._view = "today"
        self._rows: list[Item] = []
        self._calls: list[Item] = []
        self._waiting: list[Item] = []  # unfiled batches with a candidate
        self._pointed = ""
        self._glance: Timer | None = None

    def body(self) -> ComposeResult:
        """What is asked of the technologist, the steps, and the card of the one under the cursor."""
        views = [
            View("today", "1", _("Today"), "view_today"), View("next", "2", _("Not done yet"), "view_next"),
        ]  # fmt: skip
        yield Views(views, self._view)
        yield Static(id="calls", markup=False)
        columns = [Column(c.key, _(c.title), c.width, c.priority, c.grow, c.right) for c in _COLUMNS]
        with Halves():
            yield PagedList(columns, self._row, "key", empty=_("Nothing is planned here today."), more=self.desk.more)
            with VerticalScroll(classes="about"):
                yield Static(id="card")

    def on_mount(self) -> None:
        """Read the day."""
        self.query_one(PagedList).focus()
        self._say_device()
        self.refresh_rows()

    def refresh_rows(self) -> None:
        """Read the day, the calls and what waits for confirmation again."""
        self.ask(self._read, self._show, only_last="day")

    def _read(self) -> tuple[list[Item], list[Item], list[Item]]:
        client = self.desk.client
        where = {"device": self._device or None, "limit": _MOST}
        today = client.get("exams", date="today", state=_DAY, **where)["items"]
        running = client.get("exams", state=[ExamState.IN_PROGRESS], **where)["items"]
        exams = {exam["accession"]: exam for exam in (*today, *running)}
        calls = [call for call in client.get("calls") if not call["answered_at"]]
        unfiled = client.get("images/unfiled", state=["unfiled"], limit=50)
        candidates = [batch for batch in unfiled if batch["candidates"]]
        return list(exams.values()), calls, candidates

    def _show(self, answer: tuple[list[Item], list[Item], list[Item]]) -> None:
        exams, self._calls, self._waiting = answer
        self._rows = _in_order(exams, self._device)
        self._show_rows()
        self._say_asked()

    def _show_rows(self) -> None:
        ended = {step.value for step in STEP_ENDED}
        rows = [row for row in self._rows if self._view == "today" or row["step"]["state"] not in ended]
        steps = self.query_one(PagedList)
        steps.show(rows)
        if self._pointed and (row := next((one for one in rows if one["exam"]["accession"] == self._pointed), None)):
            self._pointed = ""
            steps.choose(row["key"])
        waiting = sum(row["step"]["state"] not in ended for row in self._rows)
        self.query_one(Views).count(today=len(self._rows), next=waiting)

    def _say_asked(self) -> None:
        lines = [
            _("{who} asks about {accession}: {text} (t answers)").format(
                who=call["by"], accession=call["accession"], text=call["text"] or _("where are the images?")
            )
            for call in self._calls[:2]
        ]
        if self._waiting:
            lines.append(_("Studies to be confirmed: {count} (g)").format(count=len(self._waiting)))
        said = self.query_one("#calls", Static)
        said.update("\n".join(lines))
        said.set_class(bool(lines), "-some")

    def point_at(self, exam: str = "") -> None:
        """Put the cursor on an exam's first open step."""
        self._pointed = exam
        self._show_rows()

    def _chosen(self) -> Item | None:
        return self.query_one(PagedList).chosen

    def chosen_exam(self) -> Item | None:
        """The exam whose step is under the cursor."""
        row = self._chosen()
        return row["exam"] if row else None

    def selected_text(self) -> str:
        """The accession number."""
        exam = self.chosen_exam()
        return str(exam["accession"]) if exam else ""

    # -- rows and the card -------------------------------------------------------------------------------------------

    def _row(self, row: Item) -> dict[str, Cell | str]:
        exam, step, plain = row["exam"], row["step"], self.desk.ascii
        mark = shared_name(exam, plain=plain)
        ended = step["state"] in {one.value for one in STEP_ENDED}
        asks = len(unanswered(exam))
        when = planned({**step, "window_minutes": None}, self.desk.now())
        apart = any(one["images"] for one in exam["steps"]) and len(exam["steps"]) > 1
        images = {**exam["images"], **_of_step(step)} if apart else exam["images"]
        return {
            "when": Cell((f"{_('next')} " if row["next"] else "") + when, "accent" if row["next"] else ""),
            "name": Cell(mark + name(exam, "patient_"), "muted" if ended else "warn" if mark else ""),
            "step": exam["procedure"] if len(exam["steps"]) == 1 else f"{exam['procedure']} {step['name']}",
            "state": states.state(states.STEP, step["state"], ascii_only=plain),
            "asks": Cell((_("{count} open")).format(count=asks), "bad") if asks and not ended else "",
            "images": counted(images, plain=plain),
            "device": ",".join(step["devices"]) or exam["device"] or "-",
            "number": exam["patient_number"],
            "accession": exam["accession"],
        }

    def on_paged_list_chosen(self, message: PagedList.Chosen) -> None:
        """Show the card of the step under the cursor."""
        message.stop()
        if self._glance:
            self._glance.stop()
        self._glance = self.set_timer(_GLANCE, partial(self._show_card, message.item))

    def _show_card(self, row: Item) -> None:
        tones = {tone: tone_colour(self, tone) for tone in TONES}
        text = card(row["exam"], row["step"], self.desk.now(), tones, plain=self.desk.ascii)
        self.query_one("#card", Static).update(text)

    def on_paged_list_emptied(self) -> None:
        """No card without a step."""
        self.query_one("#card", Static).update("")

    def on_paged_list_opened(self, message: PagedList.Opened) -> None:
        """Enter does what comes next for this step."""
        message.stop()
        self._next_act(message.item)()

    def _next_act(self, row: Item) -> Callable[[], None]:
        exam, step = row["exam"], row["step"]
        if unanswered(exam) and step["state"] in _BEFORE_START:
            return self.action_checks
        if step["state"] == StepState.IN_PROGRESS:
            return self.action_finish
        if step["state"] == StepState.INJECTED or (step["injected_at"] and step["state"] in _BEFORE_START):
            return self.action_start
        if step["state"] == StepState.SCHEDULED and not exam["arrived_at"]:
            return self.action_arrive
        return self.action_inject if step["state"] in _BEFORE_START else self.action_patient

    # -- which device, which steps -----------------------------------------------------------------------------------

    def action_view_today(self) -> None:
        """Show every step of today."""
        self._change_view("today")

    def action_view_next(self) -> None:
        """Show what is not done yet."""
        self._change_view("next")

    def _change_view(self, view: str) -> None:
        self._view = view
        self.query_one(Views).mark(view)
        self._show_rows()

    def action_device(self) -> None:
        """Choose the device or pool whose patients are shown."""
        self.ask(
            lambda: self.desk.client.get("devices"), self._offer_devices, otherwise=lambda _no: self._offer_devices([])
        )

    def _offer_devices(self, devices: Sequence[Mapping[str, Any]]) -> None:
        options = [(_ANY, _("every device"), "")]
        options += [(one["aet"], one["aet"], " ".join([*one["modalities"], one["pool"]])) for one in devices]
        self.app.push_screen(Choose(_("Whose patients?"), options, at=self._device), self._take_device)

    def _take_device(self, device: str | None) -> None:
        if device is not None:
            self._device = device
            self._say_device()
            self.refresh_rows()

    def _say_device(self) -> None:
        self.query_one(Views).say(self._device or _("every device"))

    # -- arriving, injecting, starting, ending -----------------------------------------------------------------------

    def action_arrive(self) -> None:
        """The patient is here."""
        if row := self._chosen():
            self._act(row, "arrive", {}, _("{name} has arrived."))

    def action_draw(self) -> None:
        """Note the dose drawn."""
        if row := self._chosen():
            fields = [self._activity(row, "planned_mbq"), self._time(), Field("vial", _("Vial"))]
            self._dose(
                row, "draw", _("Dose drawn"), fields, _("{mbq} MBq drawn for {name}."), _("F6 again corrects it.")
            )

    def action_inject(self) -> None:
        """Note the injection, after two identifiers."""
        if row := self._chosen():
            fields = [*_identifiers(), self._activity(row, "drawn_mbq"), self._time(), *self._reason(row["exam"])]
            undo = _("Residual: F8. If it was not so, tell the head: an injection stays on record.")
            self._dose(row, "inject", _("Injection"), fields, _("{name} is injected."), undo)

    def action_residual(self) -> None:
        """Note what was left in the syringe."""
        if row := self._chosen():
            fields = [Field("mbq", _("Residual, MBq"), required=True), self._time()]
            said = _("{mbq} MBq were left.")
            self._dose(row, "residual", _("Residual"), fields, said, _("F8 again corrects it."))

    def _activity(self, row: Item, known: str) -> Field:
        dose = dose_of(row["exam"], row["step"])
        value = dose[known] if dose else None
        hint = _("planned {mbq:g} MBq").format(mbq=dose["planned_mbq"]) if dose and dose["planned_mbq"] else ""
        return Field("mbq", _("Activity, MBq"), f"{value:g}" if value is not None else "", hint, kept=True)

    def _time(self) -> Field:
        return Field("at", _("Time"), "", _("10:30; empty: now"))

    def _reason(self, exam: Item) -> list[Field]:
        waiting = ", ".join(_(one) for one in unanswered(exam))
        if not waiting:
            return []
        hint = _("not answered: {names}. Esc, then k answers them; or say why you go on without").format(names=waiting)
        return [Field("reason", _("Reason"), "", hint)]

    def _dose(self, row: Item, verb: str, title: str, fields: list[Field], said: str, undo: str) -> None:
        exam, step = row["exam"], row["step"]
        heading = f"{title}: {name(exam, 'patient_')}  {exam['patient_number']}  {exam['procedure']}"
        send = partial(self._send_dose, exam["accession"], step["id"], verb)

        def then(answer: Item | None) -> None:
            if answer:
                dose = dose_of(answer, step) or {}
                key = "residual_mbq" if verb == "residual" else "drawn_mbq"
                self.done(said.format(name=name(exam, "patient_"), mbq=f"{dose.get(key) or 0:g}"), undo=undo)
                self.refresh_rows()

        form = f"dose-{verb}-{exam['accession']}-{step['id']}"
        self.app.push_screen(Fill(self.desk, heading, fields, send, form=form, button=title), then)

    def _send_dose(self, accession: str, step: int, verb: str, typed: Typed) -> Any:  # noqa: ANN401 - JSON
        body: dict[str, Any] = {"at": self._moment(typed["at"]), "steps": [step]}
        if typed["mbq"]:
            body["mbq"] = _number(typed["mbq"])
        if "vial" in typed:
            body["vial"] = typed["vial"]
        if verb != "inject":
            return self.desk.client.post(f"exams/{accession}/dose/{verb}", body)
        said = _said(typed)
        if not typed.get("reason"):
            return self.desk.client.post(f"exams/{accession}/dose/inject", {**body, "confirm": said})
        if "mbq" in body:
            self.desk.client.post(f"exams/{accession}/dose/draw", body)
        without = {"step": step, "at": body["at"], "confirm": said, "reason": typed["reason"]}
        return self.desk.client.post(f"exams/{accession}/inject", without)

    def _moment(self, text: str) -> str:
        try:
            return read_moment(text, self.desk.now()).isoformat()
        except MomentUnread as unread:
            raise Unfit("at", str(unread)) from unread

    def action_start(self) -> None:
        """Begin at the camera, after two identifiers."""
        if row := self._chosen():
            fields = [*_identifiers(), *self._reason(row["exam"])]
            undo = _("f finishes, b breaks off, x: not this patient.")
            self._fill_act(row, "start", _("Start"), fields, _("{step} of {name} is started."), undo)

    def action_finish(self) -> None:
        """End what runs."""
        if row := self._chosen():
            said = _("{step} of {name} is finished.")
            self._act(row, "finish", {"step": row["step"]["id"]}, said, _("u takes it up again."))

    def action_not_done(self) -> None:
        """Say that it was not done, and why."""
        if row := self._chosen():
            fields = [Field("reason", _("Why was it not done?"), required=True)]
            said = _("{step} of {name} is not done.")
            self._fill_act(row, "not_done", _("Not done"), fields, said, _("u takes it up again."))

    def action_break_off(self) -> None:
        """Break off what runs, and say why."""
        if row := self._chosen():
            fields = [Field("reason", _("Why is it broken off?"), required=True)]
            said = _("{step} of {name} is broken off; its images stay.")
            self._fill_act(row, "discontinue", _("Break off"), fields, said, _("u takes it up again."))

    def action_reopen(self) -> None:
        """Take up again what has ended."""
        if row := self._chosen():
            fields = [Field("reason", _("Why is it taken up again?"), required=True)]
            self._fill_act(row, "reopen", _("Take up again"), fields, _("{step} of {name} is open again."), "")

    def _fill_act(self, row: Item, verb: str, title: str, fields: list[Field], said: str, undo: str) -> None:
        exam, step = row["exam"], row["step"]
        heading = f"{title}: {name(exam, 'patient_')}  {exam['patient_number']}  {exam['procedure']} {step['name']}"

        def send(typed: Typed) -> Any:  # noqa: ANN401 - JSON
            body: dict[str, Any] = {"step": step["id"], "reason": typed.get("reason", "")}
            if "name" in typed:
                body["confirm"] = _said(typed)
            return self.desk.client.post(f"exams/{exam['accession']}/{verb}", body)

        form = f"{verb}-{exam['accession']}-{step['id']}"
        then = partial(self._acted, row, said, undo)
        self.app.push_screen(Fill(self.desk, heading, fields, send, form=form, button=title), then)

    def _act(self, row: Item, verb: str, body: dict[str, Any], said: str, undo: str = "") -> None:
        path = f"exams/{row['exam']['accession']}/{verb}"
        self.ask(lambda: self.desk.client.post(path, body), partial(self._acted, row, said, undo))

    def _acted(self, row: Item, said: str, undo: str, answer: Item | None) -> None:
        if answer:
            self.done(said.format(name=name(row["exam"], "patient_"), step=row["step"]["name"]), undo=undo)
            self.refresh_rows()

    # -- not this patient --------------------------------------------------------------------------------------------

    def action_not_this_patient(self) -> None:
        """Say what to do when somebody else lies there; starts and records nothing."""
        if not (row := self._chosen()):
            return
        exam, step = row["exam"], row["step"]
        running = step["state"] == StepState.IN_PROGRESS
        lines = [
            _("This is not {name}. Nothing was started or noted by this key.").format(name=name(exam, "patient_")),
            "",
            _("1. Stop: inject nothing, start nothing."),
            _("2. Ask name and birth date anew, read the wristband or card."),
            _("3. Find who it is with Ctrl+G, and go on with that patient's own line."),
            _("4. Choose the right line on the camera's worklist too, before it acquires."),
        ]
        if step["injected_at"]:
            lines.append(_("5. Somebody was injected as {name}: tell the doctor and the head now.").format(
                name=name(exam, "patient_")))  # fmt: skip
        if running:
            lines.append(_("It runs as {name}: b breaks it off. What was sent goes to filing.").format(
                name=name(exam, "patient_")))  # fmt: skip
        keys = [("b", _("breaks it off"))] if running else []
        self.app.push_screen(Read(_("Not this patient"), "\n".join(lines), keys=keys), self._after_not_this)

    def _after_not_this(self, key: str | None) -> None:
        if key == "b":
            self.action_break_off()

    # -- filing candidates and calls ---------------------------------------------------------------------------------

    def action_confirm(self) -> None:
        """Confirm where a study belongs that found no exam by itself."""
        if not self._waiting:
            self.notify(_("Nothing waits to be confirmed."), markup=False)
            return
        options = [self._candidate(batch, one) for batch in self._waiting for one in batch["candidates"]]
        exam = self.chosen_exam()
        at = next((key for key, *_rest in options if exam and key.endswith(f" {exam['accession']}")), "")
        self.app.push_screen(Choose(_("Which study belongs to which exam?"), options, at=at), self._ask_confirm)

    def _candidate(self, batch: Item, one: Mapping[str, Any]) -> tuple[str, str, str]:
        who = name(batch, "patient_") or batch["patient_number"]
        came = f"{batch['aet']} {clock(batch['last_at'], self.desk.now())}"
        return f"{batch['id']} {one['accession']}", f"{came} {who}", f"> {one['accession']} {one['score']:.0%}"

    def _ask_confirm(self, chosen: str | None) -> None:
        if chosen is None:
            return
        number, _space, accession = chosen.partition(" ")
        batch = next(one for one in self._waiting if str(one["id"]) == number)
        candidate = next(one for one in batch["candidates"] if one["accession"] == accession)
        sent = [
            batch["patient_number"],
            name(batch, "patient_"),
            batch["birth_date"],
            batch["sex"],
            batch["description"],
        ]
        there = [
            candidate["patient_number"],
            name(candidate, "patient_"),
            str(candidate["birth_date"]),
            candidate["sex"],
        ]
        text = "\n".join([
            _("as sent:       {text}").format(text="  ".join(sent)),
            _("as registered: {text}").format(text="  ".join([*there, candidate["procedure"]])),
            "; ".join(candidate["reasons"]),
        ])  # fmt: skip
        fields = [Field("reason", _("Reason"), "", _("needed where number, name, sex or birth date differ"))]
        path = f"images/unfiled/{number}/file"

        def send(typed: Typed) -> Any:  # noqa: ANN401 - JSON
            return self.desk.client.post(path, {"accession": accession, **typed})

        title = _("File to {accession}?").format(accession=accession)
        form = f"confirm-{number}-{accession}"
        dialog = Fill(self.desk, title, fields, send, text=text, form=form, button=_("File"))
        self.app.push_screen(dialog, self._confirmed)

    def _confirmed(self, correction: Item | None) -> None:
        if correction:
            said = _("Filed to {accession}.").format(accession=correction["to"].get("accession"))
            self.done(said, undo=_("A physicist or the head can undo it on the filing page."))
            self.refresh_rows()

    def action_answer(self) -> None:
        """Answer a doctor's call."""
        if not self._calls:
            self.notify(_("No doctor calls."), markup=False)
            return
        options = [(str(one["id"]), f"{one['accession']}  {one['text']}", one["by"]) for one in self._calls]
        if len(options) == 1:
            self._answer_call(options[0][0])
        else:
            self.app.push_screen(Choose(_("Which call?"), options), self._answer_call)

    def _answer_call(self, number: str | None) -> None:
        call = next((one for one in self._calls if str(one["id"]) == number), None)
        if call is None:
            return
        title = _("{who} about {accession}").format(who=call["by"], accession=call["accession"])
        fields = [Field("text", _("Answer"), required=True)]
        path = f"calls/{call['id']}/answer"
        dialog = Fill(self.desk, title, fields, partial(self.desk.client.post, path), text=call["text"],
                      form=f"answer-{call['id']}", button=_("Answer"))  # fmt: skip
        self.app.push_screen(dialog, self._answered)

    def _answered(self, call: Item | None) -> None:
        if call:
            self.done(_("{who} has your answer.").format(who=call["by"]))
            self.refresh_rows()


def _identifiers() -> list[Field]:
    """Ask for what the patient says; it is typed or read anew each time."""
    return [
        Field("name", _("Name, as said"), kept=False, required=True),
        Field(
            "other", _("Number or birth date"), hint=_("read the wristband or card, or ask"), kept=False, required=True
        ),
    ]


def _said(typed: Typed) -> list[str]:
    return [typed["name"], typed["other"]]


def _number(text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError as error:
        raise Unfit("mbq", _("'{text}' is no activity: write MBq, such as 740").format(text=text)) from error


def _of_step(step: Mapping[str, Any]) -> dict[str, Any]:
    state = "complete" if step["expected"] and step["images"] >= step["expected"] else "arriving"
    return {"received": step["images"], "expected": step["expected"], "state": state if step["images"] else "none"}


def _in_order(exams: Sequence[Item], device: str) -> list[Item]:
    """Return the steps as rows: what runs, then by device and time, what has ended at the end; the next one marked."""
    ended = {step.value for step in STEP_ENDED}
    rows = [
        {"key": f"{exam['accession']} {step['id']}", "exam": exam, "step": step, "next": False}
        for exam in exams for step in exam["steps"]
    ]  # fmt: skip

    def order(row: Item) -> tuple[bool, bool, str, str]:
        step, exam = row["step"], row["exam"]
        place = "" if device else ",".join(step["devices"]) or exam["device"] or "~"
        when = step["planned_at"] or exam["booked_at"] or exam["arrived_at"] or exam["registered_at"]
        return step["state"] in ended, step["state"] != StepState.IN_PROGRESS, place, when

    rows.sort(key=order)
    served: set[str] = set()
    for row in rows:
        place = ",".join(row["step"]["devices"])
        here = row["exam"]["arrived_at"] or row["step"]["arrived_at"]
        if here and row["step"]["state"] in _BEFORE_START and place and place not in served:
            served.add(place)
            row["next"] = True
    return rows
