"""Registering: patient, visit and exam in one form; who looks alike is shown before a duplicate can be made."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from textual.app import ComposeResult
from textual.widgets import Static

from console import receipt, typed
from console.client import ServiceAway, ServiceRefused
from console.desk import Desk
from console.screens.dialogs import Choose, Read
from console.screens.page import Page
from console.widgets import states
from console.widgets.form import Choice, Field, Form
from console.widgets.paged_list import Item
from console.widgets.people import born, name
from console.words import _
from core.vocabulary import Charge, Urgency, VisitKind

CONFLICT = 409
_PATIENT = ("name", "national_id", "sex", "phone", "address", "allergies", "alerts")
_EXAM = (
    "procedure",
    "visit",
    "ward",
    "bed",
    "from_department",
    "referrer",
    "urgency",
    "complaint",
    "diagnosis",
    "lab",
    "infection",
    "pregnancy",
    "charge",
)


class RegistrationPage(Page):
    """One form; with a known patient only the exam's half of it. Returns the exam or patient made."""

    NAME = "registration"
    TITLE = "Registration"
    HELP = (
        "One form registers patient, visit and exam. A national id fills birth date and sex. A birth date may be a "
        "year (estimated) or ? (unknown). Without an exam only the patient is registered. With a time in Booked for "
        "the patient is expected then; without one they are here now. What you type is kept until it is registered."
    )
    DEFAULT_CSS = """
    RegistrationPage #alike { height: auto; max-height: 5; padding: 0 1; color: $warning; }
    """

    def __init__(self, desk: Desk, patient: Item | None = None, *, typed_name: str = "") -> None:
        super().__init__(desk)
        self._patient, self._typed = patient, typed_name
        self._form_name = f"registration-{patient['number']}" if patient else "registration"
        self._temporary = False
        self._compared: dict[str, Any] = {}
        self._kept: dict[str, str] = {}
        self._busy = False

    # -- the form ----------------------------------------------------------------------------------------------------

    def body(self) -> ComposeResult:
        """The two halves, and under them who looks alike."""
        sections = [] if self._patient else [(_("Patient"), self._patient_fields())]
        title = _("Visit and exam of {name}").format(name=name(self._patient)) if self._patient else _("Visit and exam")
        yield Form([*sections, (title, self._exam_fields())])
        yield Static("", id="alike", markup=False)

    def _patient_fields(self) -> list[Field]:
        sexes = (("", "-"), ("M", _("male")), ("F", _("female")), ("O", _("other")))
        return [
            Field("name", _("Name"), required=True, hint=_("Zhang Wei=张伟 or 张伟")),
            Field("national_id", _("National id")),
            Field("birth_date", _("Born"), hint="1961-03-04, 1961, ?"),
            Field("sex", _("Sex"), sexes),
            Field("phone", _("Phone")),
            Field("address", _("Address")),
            Field("number", _("Number"), hint=_("made when empty")),
            Field("allergies", _("Allergies")),
            Field("alerts", _("Alerts")),
        ]

    def _exam_fields(self) -> list[Field]:
        visits = tuple((one.value, states.state(states.VISIT, one).text) for one in VisitKind)
        looks = {one: states.state(states.URGENCY, one, ascii_only=self.desk.ascii).text for one in reversed(Urgency)}
        urgencies = tuple((one.value, words) for one, words in looks.items())
        charges = tuple((one.value, _(states.CHARGES[one])) for one in Charge)
        return [
            Field("procedure", _("Exam"), (("", "-"),), required=self._patient is not None),
            Field("visit", _("Visit"), visits, visits[0][0]),
            Field("urgency", _("Urgency"), urgencies, urgencies[0][0]),
            Field("booked_at", _("Booked for"), hint=_("empty: here now")),
            Field("from_department", _("Department")),
            Field("referrer", _("Referrer")),
            Field("ward", _("Ward")),
            Field("bed", _("Bed")),
            Field("weight_kg", _("Weight kg")),
            Field("height_cm", _("Height cm")),
            Field("complaint", _("Complaint")),
            Field("diagnosis", _("Diagnosis")),
            Field("lab", _("Laboratory")),
            Field("infection", _("Infection")),
            Field("pregnancy", _("Pregnancy")),
            Field("charge", _("Charge"), charges, charges[0][0]),
        ]

    @property
    def _form(self) -> Form:
        return self.query_one(Form)

    def on_mount(self) -> None:
        """Begin at the first field; offer the catalogue; bring back what was typed before."""
        self._form.entry("procedure" if self._patient else "name").focus()
        self.ask(partial(self.desk.client.get, "procedures"), self._offer)
        self.ask(partial(self.desk.client.get, f"drafts/{self._form_name}"), self._restore)
        if not self._patient:
            self._form.fill({"name": self._typed})

    def _offer(self, procedures: list[Item]) -> None:
        named = [
            (one["code"], f"{one['code']}  {one['name_zh' if _('Exam') != 'Exam' else 'name']}") for one in procedures
        ]
        choice = self._form.entry("procedure")
        if isinstance(choice, Choice):
            choice.offer([("", "-"), *named])

    def _restore(self, draft: Mapping[str, Any]) -> None:
        kept = {key: value for key, value in draft.items() if isinstance(value, str)}
        if self._typed and kept.get("name") and kept["name"] != self._typed:
            return  # another patient than the one begun before
        if any(kept.get(key) for key in ("name", "complaint", "diagnosis", "phone", "procedure")):
            self._form.fill(kept)
            self.done(_("What you had typed is back."), undo=_("Esc leaves it; it is kept until it is registered."))

    # -- while it is typed -------------------------------------------------------------------------------------------

    def on_form_changed(self) -> None:
        """Keep the draft, and look for people alike."""
        values = self._form.values
        if values != self._kept:
            self._kept = values
            self.ask(partial(self._save_draft, values), lambda _none: None, only_last="draft")
        if not self._patient:
            self._compare(values)

    def _save_draft(self, values: Mapping[str, str]) -> None:
        self.desk.client.put(f"drafts/{self._form_name}", dict(values))

    def keep_drafts(self) -> None:
        """The terminal goes away: keep what was typed, at once."""
        try:
            self._save_draft(self._form.values)
        except (ServiceRefused, ServiceAway):
            return  # nobody is left to be told

    def on_form_left(self, message: Form.Left) -> None:
        """A national id tells birth date and sex."""
        text = self._form.values.get("national_id", "").strip()
        if message.name == "national_id" and text:
            path = f"national_id/{text}"
            self.ask(partial(self.desk.client.get, path), self._fill_from_id, otherwise=self._wrong_id)

    def _fill_from_id(self, told: Item) -> None:
        self._form.complain({})
        self._form.fill({"birth_date": str(told["birth_date"]), "sex": str(told["sex"])}, only_empty=True)

    def _wrong_id(self, refused: ServiceRefused) -> None:
        self._form.complain({"national_id": refused.detail})

    def _compare(self, values: Mapping[str, str]) -> None:
        try:
            day = typed.birth_date(values["birth_date"])[0]
        except ValueError:
            day = None
        asked = {"name": values["name"].strip(), "birth_date": day, "phone": values["phone"].strip()}
        if asked["name"] and asked != self._compared:
            self._compared = asked
            self.ask(partial(self.desk.client.get, "patients/similar", **asked), self._show_alike, only_last="similar")

    def _show_alike(self, alike: list[Item]) -> None:
        lines = [_("Registered already? {who}").format(who=_one(patient)) for patient in alike[:4]]
        self.query_one("#alike", Static).update("\n".join(lines))

    def action_unknown(self) -> None:
        """Nobody knows who it is: a temporary identity, to be known later."""
        if not self._patient:
            self._temporary = not self._temporary
            self._form.fill(
                {"name": _("unknown") if self._temporary else "", "birth_date": "?" if self._temporary else ""}
            )
            said = _("A temporary identity is given.") if self._temporary else _("The identity is known.")
            self.done(said, undo=_("The same key takes it back."))

    # -- registering -------------------------------------------------------------------------------------------------

    def action_register(self) -> None:
        """Check what was typed, and register it."""
        complaints = self._form.missing()
        exam = self._exam(complaints)
        patient = {} if self._patient else self._new_patient(complaints)
        if self._temporary:
            complaints.pop("name", None)
        self._form.complain(complaints)
        self._form.go_to_first_of(complaints)
        if not complaints and not self._busy:
            self._send(patient, exam)

    def _new_patient(self, complaints: dict[str, str]) -> dict[str, Any]:
        values = self._form.values
        body: dict[str, Any] = {key: values[key].strip() for key in _PATIENT}
        try:
            body["birth_date"], known = typed.birth_date(values["birth_date"])
        except ValueError as error:
            complaints["birth_date"], known = str(error), None
        if known:
            body["birth_date_known"] = known
        if number := values["number"].strip():
            body["number"] = number
        if self._temporary:
            body |= {"identity": "temporary", "name": ""}
        return body

    def _exam(self, complaints: dict[str, str]) -> dict[str, Any]:
        values = self._form.values
        body: dict[str, Any] = {key: values[key].strip() for key in _EXAM}
        for key in ("weight_kg", "height_cm"):
            try:
                body[key] = typed.quantity(values[key])
            except ValueError as error:
                complaints[key] = str(error)
        try:
            at = typed.moment(values["booked_at"], self.desk.now())
            body["booked_at"] = at.isoformat() if at else None
        except ValueError as error:
            complaints["booked_at"] = str(error)
        return body

    def _send(self, patient: dict[str, Any], exam: dict[str, Any]) -> None:
        self._busy = True
        post = self.desk.client.post
        otherwise = partial(self._refused, patient, exam)
        if self._patient:
            body = exam | {"patient": self._patient["number"]}
            self.ask(lambda: post("exams", body), self._registered, otherwise=otherwise)
        elif exam["procedure"]:
            form = {"patient": patient, "exam": exam | {"patient": "-"}}
            self.ask(lambda: post("registrations", form), self._registered, otherwise=otherwise)
        else:
            self.ask(lambda: post("patients", patient), self._patient_made, otherwise=otherwise)

    def _refused(self, patient: dict[str, Any], exam: dict[str, Any], refused: ServiceRefused) -> None:
        self._busy = False
        if refused.status == CONFLICT and patient and not patient.get("accept_similar"):
            asked = {"name": patient["name"], "birth_date": patient["birth_date"], "phone": patient["phone"]}
            then = partial(self._offer_similar, patient, exam, refused.detail)
            self.ask(partial(self.desk.client.get, "patients/similar", **asked), then)
        else:
            self.notify(refused.detail, severity="error", timeout=12, markup=False)

    def _offer_similar(self, patient: dict[str, Any], exam: dict[str, Any], detail: str, alike: list[Item]) -> None:
        if not alike:
            self.notify(detail, severity="error", timeout=12, markup=False)
            return
        options = [(one["number"], _one(one), "") for one in alike]
        options.append(("", _("None of them: this is another person"), ""))
        then = partial(self._decided, patient, exam, alike)
        self.app.push_screen(Choose(_("Is it one of these?"), options), then)

    def _decided(self, patient: dict[str, Any], exam: dict[str, Any], alike: list[Item], number: str | None) -> None:
        if number == "":
            self._send(patient | {"accept_similar": True}, exam)
        elif number and exam["procedure"]:
            self._patient = next(one for one in alike if one["number"] == number)
            self._send({}, exam)
        elif number:
            self._patient_made(next(one for one in alike if one["number"] == number))

    def _registered(self, exam: Item) -> None:
        self.ask(partial(self._save_draft, {}), lambda _none: None)
        slip = receipt.text(exam, self.desk.me.get("site_name") or self.desk.me["site"], self.desk.now())
        keys = [("p", _("prints")), ("s", _("saves"))]
        title = _("Registered: {accession}").format(accession=exam["accession"])
        self.app.push_screen(Read(title, slip, keys=keys), partial(self._after_slip, exam, slip))

    def _after_slip(self, exam: Item, slip: str, key: str | None) -> None:
        hand_out(self, exam["accession"], slip, key)
        self.dismiss(exam)

    def _patient_made(self, patient: Item) -> None:
        self.ask(partial(self._save_draft, {}), lambda _none: None)
        self.done(_("{name} is {number}.").format(name=name(patient), number=patient["number"]))
        self.dismiss(patient)


def hand_out(page: Page, accession: str, slip: str, key: str | None) -> None:
    """Print or save a slip, and say so."""
    if key == "s":
        page.done(_("Saved as {path}.").format(path=receipt.save(slip, accession)))
    elif key == "p":
        page.ask(partial(receipt.send_to_printer, slip), lambda wrong: page.done(wrong or _("Sent to the printer.")))


def _one(patient: Item) -> str:
    return "  ".join([patient["number"], name(patient), born(patient), patient["sex"], patient["phone"]])
