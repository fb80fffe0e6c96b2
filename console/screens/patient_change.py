"""Changing what is known of a patient; only what was changed is sent, with the reason."""

from __future__ import annotations

from typing import Any

from textual.app import ComposeResult

from console import typed
from console.desk import Desk
from console.screens.page import Page
from console.widgets.form import Field, Form
from console.widgets.paged_list import Item
from console.widgets.people import name
from console.words import _

_TEXTS = ("name", "national_id", "sex", "phone", "address", "allergies", "alerts", "reason")


class PatientChangePage(Page):
    """The patient's half of the registration form, filled."""

    NAME = "patient_change"
    TITLE = "Change a patient"
    HELP = "What is changed here is changed everywhere, and stands in the audit trail with your reason."

    def __init__(self, desk: Desk, patient: Item) -> None:
        super().__init__(desk)
        self._patient = patient

    def body(self) -> ComposeResult:
        """One column of fields."""
        one = self._patient
        both = "=".join(part for part in (one["name"], one["name_ideographic"]) if part)
        sexes = (("", "-"), ("M", _("male")), ("F", _("female")), ("O", _("other")))
        day = {"unknown": "?", "estimated": str(one["birth_date"])[:4]}.get(one["birth_date_known"], one["birth_date"])
        temporary = one["identity"] == "temporary"
        identities = (("temporary", _("not known yet")), ("known", _("known")))
        fields = [
            Field("name", _("Name"), value=both, required=True),
            Field("birth_date", _("Born"), value=str(day or "?")),
            Field("sex", _("Sex"), sexes, one["sex"]),
            Field("phone", _("Phone"), value=one["phone"]),
            Field("address", _("Address"), value=one["address"]),
            Field("national_id", _("National id"), hint=_("only to add or correct it")),
            Field("allergies", _("Allergies"), value=one["allergies"]),
            Field("alerts", _("Alerts"), value=one["alerts"]),
            Field("reason", _("Reason")),
        ]
        if temporary:
            fields.insert(0, Field("identity", _("Identity"), identities, "temporary"))
        yield Form([(f"{one['number']}  {name(one)}", fields)])

    def on_mount(self) -> None:
        """Begin at the name."""
        self._before = self.query_one(Form).values
        self.query_one(Form).entry("name").focus()

    def action_save(self) -> None:
        """Send what was changed."""
        form = self.query_one(Form)
        values, complaints = form.values, form.missing()
        changed = {key for key, value in values.items() if value != self._before[key]}
        body: dict[str, Any] = {key: values[key].strip() for key in (*_TEXTS, "identity") if key in changed}
        if "birth_date" in changed:
            try:
                body["birth_date"], body["birth_date_known"] = typed.birth_date(values["birth_date"])
            except ValueError as error:
                complaints["birth_date"] = str(error)
        form.complain(complaints)
        form.go_to_first_of(complaints)
        if not complaints and body:
            self.ask(lambda: self.desk.client.patch(f"patients/{self._patient['number']}", body), self._changed)

    def _changed(self, patient: Item) -> None:
        self.done(_("Changed: {name}").format(name=name(patient)))
        self.dismiss(patient)
