"""Declaring two records one person, and taking that back: both side by side, the one that stays, and why."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

from console.desk import Desk
from console.screens.dialogs import AskText, Choose
from console.screens.fill import Field, Fill, Typed, Unfit
from console.screens.page import Page
from console.widgets.cells import fit
from console.widgets.paged_list import Item
from console.widgets.people import born, name
from console.words import _

_LABEL, _SIDE = 12, 28  # cells
_ANOTHER = ""  # the key of "another number" among those alike


class Merging:
    """One merge begun on the page of a patient; `then` hears of it."""

    def __init__(self, page: Page, desk: Desk, patient: Item, then: Callable[[], None]) -> None:
        self._page, self._desk, self._patient, self._then = page, desk, patient, then

    def begin(self) -> None:
        """Offer the records that look alike; any other may be given by its number."""
        one = self._patient
        asked = {"name": one["name_ideographic"] or one["name"], "birth_date": one["birth_date"], "phone": one["phone"]}
        ask = partial(self._desk.client.get, "patients/similar", **{key: value or None for key, value in asked.items()})
        self._page.ask(ask, self._offer, otherwise=lambda _no: self._offer([]))

    def _offer(self, alike: list[Item]) -> None:
        others = [one for one in alike if one["number"] != self._patient["number"]]
        if not others:
            self._ask_number()
            return
        options = [(one["number"], f"{one['number']}  {name(one)}", born(one)) for one in others]
        options.append((_ANOTHER, _("another number"), ""))
        title = _("Which record is the same person as {who}?").format(who=self._who())
        self._page.app.push_screen(Choose(title, options), self._chosen)

    def _who(self) -> str:
        return f"{self._patient['number']} {name(self._patient)}"

    def _chosen(self, number: str | None) -> None:
        if number == _ANOTHER:
            self._ask_number()
        elif number:
            self._read(number)

    def _ask_number(self) -> None:
        title = _("Which record is the same person as {who}?").format(who=self._who())
        self._page.app.push_screen(AskText(title, _("Patient number or accession number")), self._typed)

    def _typed(self, number: str | None) -> None:
        if number:
            self._read(number)

    def _read(self, number: str) -> None:
        self._page.ask(partial(self._desk.client.get, f"patients/{quote(number, safe='')}"), self._compare)

    def _compare(self, other: Item) -> None:
        mine = self._patient
        if other["number"] == mine["number"]:
            self._page.notify(_("That is this record already."), markup=False)
            return
        numbers = (mine["number"], other["number"])
        fields = [
            Field("stays", _("Number that stays"), other["number"], offers=numbers, required=True),
            Field("reason", _("Reason"), required=True),
        ]
        dialog = Fill(
            self._desk, _("One person?"), fields, partial(self._send, numbers), text=compared(mine, other),
            button=_("Merge"),
        )  # fmt: skip
        self._page.app.push_screen(dialog, self._merged)

    def _send(self, numbers: tuple[str, str], typed: Typed) -> Any:  # noqa: ANN401 - JSON
        stays = typed["stays"].strip()
        if stays not in numbers:
            raise Unfit("stays", _("Write one of the two: {numbers}").format(numbers=", ".join(numbers)))
        goes = numbers[1 - numbers.index(stays)]
        return self._desk.client.post(
            f"patients/{quote(goes, safe='')}/merge", {"into": stays, "reason": typed["reason"]}
        )

    def _merged(self, patient: Item | None) -> None:
        if patient:
            said = _("One person now: {number} stays.").format(number=patient["number"])
            self._page.done(said, undo=_("F10 takes it back."))
            self._then()

    def take_back(self) -> None:
        """Let the record merged last into this one speak for itself again."""
        fields = [Field("reason", _("Reason"), required=True)]
        send = partial(self._desk.client.post, f"patients/{quote(self._patient['number'], safe='')}/unmerge")
        text = _("The record merged last into this one speaks for itself again, with its own visits and exams.")
        title = _("Take a merge back: {who}").format(who=self._who())
        dialog = Fill(self._desk, title, fields, send, text=text, button=_("Take back"))
        self._page.app.push_screen(dialog, self._taken_back)

    def _taken_back(self, patient: Item | None) -> None:
        if patient:
            self._page.done(_("{number} speaks for itself again.").format(number=patient["number"]))
            self._then()


def compared(one: Item, other: Item) -> str:
    """Return two records side by side, a sign before what differs."""
    rows: list[tuple[str, str, Callable[[Item], str]]] = [
        (_("Number"), "number", lambda who: str(who["number"])),
        (_("Name"), "name", name),
        (_("Born"), "born", born),
        (_("Sex"), "sex", lambda who: str(who["sex"])),
        (_("Phone"), "phone", lambda who: str(who["phone"])),
        (_("Exams"), "exams", lambda who: ", ".join(who["exams"][:3])),
    ]
    return "\n".join(_row(label, key, told(one), told(other)) for label, key, told in rows)


def _row(label: str, key: str, mine: str, theirs: str) -> str:
    differs = key not in {"number", "exams"} and mine and theirs and mine != theirs
    mark = "!= " if differs else "   "
    return f"{fit(label, _LABEL)}{fit(mine or '-', _SIDE)}{mark}{fit(theirs or '-', _SIDE)}".rstrip()
