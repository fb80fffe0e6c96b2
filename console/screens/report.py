"""The report page: opened under a lease, saved as it is typed, signed with the password.

What a person typed stays in its fields until the service has it: a lost line, a report taken over, or a refusal never
takes a word away.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from textual.message import Message
from textual.timer import Timer

from console.client import ServiceAway, ServiceRefused
from console.desk import Desk
from console.events import UNAUTHORIZED
from console.screens.dialogs import AskText, Choose, Confirm, Read
from console.screens.report_reader import ReportReader
from console.screens.writing import WriteText
from console.widgets.paged_list import Item
from console.widgets.people import clock, name
from console.widgets.report_words import banners
from console.widgets.sections import Sections, joined
from console.words import _
from core.vocabulary import REPORT_SIGNED, LockReason, Operation, ReportState

_PAUSE = 0.8  # seconds after the last key before a draft is saved
_TRY_AGAIN = 2.0

Sure: TypeAlias = bool | None  # the answer to a question that may be left


class ReportPage(ReportReader):
    """The report of one exam."""

    NAME = "report"
    TITLE = "Report"
    HELP = (
        "The report of one exam. Opening it makes it yours to write until you leave it or somebody takes it over; what "
        "you type is saved as you type. F3 hands it to a reviewer, F4 signs it with your password. A signed report "
        "never changes: F10 amends it with a reason. Whatever happens to the line, what you typed stays on the screen "
        "and is saved when the service is back."
    )
    HEARS = frozenset({"report", "exam", "consultation", "call", "device"})

    class _Saved(Message):
        def __init__(self, answer: Item | ServiceRefused | ServiceAway) -> None:
            super().__init__()
            self.answer = answer

    def __init__(self, desk: Desk, accession: str) -> None:
        super().__init__(desk, accession)
        self._unsaved = False
        self._saving = False
        self._pause: Timer | None = None

    def on_mount(self) -> None:
        """Read the report, and take it when it is free."""
        self.ask(self._read, self._first_look, only_last="report")
        self.ask(self._read_priors, self._take_priors)

    def hear(self, kind: str) -> None:
        """When the line is back, what could not be saved is saved."""
        if not kind and self._unsaved:
            self._save()
        super().hear(kind)

    def refresh_rows(self) -> None:
        """Read it again; what is being typed stays as it is."""
        self.ask(self._read, partial(self._show, self._fence), only_last="report")

    def _first_look(self, read: tuple[Item, Item, str]) -> None:
        self._show(None, read)
        free = not self._report["locked"] and self._report["state"] not in REPORT_SIGNED
        if free and self.desk.may(Operation.WRITE_REPORT):
            self._open({})

    def _show(self, fence: int | None, read: tuple[Item, Item, str]) -> None:
        """Take in what was read; `fence` is that of the moment it was asked for, and an older one proves nothing."""
        self._exam, report, self._heard = read
        self.query_one(Sections).lay_out(report["parts"], report["text"])
        if self._fence is not None and fence == self._fence and self._taken_away(report):
            self._report = report
            self._lose()
        self._take(report)

    def _take(self, report: Item) -> None:
        """Take in how the report stands; the fields are filled only while nobody here writes in them."""
        if self._fence is None and not self._unsaved:
            self.query_one(Sections).fill(report["text"])
        self.query_one(Sections).allow(writing=self._fence is not None)
        super()._take(report)

    def _taken_away(self, report: Item) -> bool:
        if report["holder"] == self.desk.me["username"]:
            return bool(report["fence"] != self._fence)
        return report["holder"] is not None

    # -- opening -----------------------------------------------------------------------------------------------------

    def _open(self, form: Item, mine: dict[str, str] | None = None) -> None:
        """Take the lease; `mine` is text of ours that is to be put into it."""
        self._begin("open", form, mine)

    def _begin(self, verb: str, form: Item, mine: dict[str, str] | None = None) -> None:
        self.ask(lambda: self.desk.client.post(self._path(verb), form), partial(self._opened, mine))

    def _opened(self, mine: dict[str, str] | None, report: Item) -> None:
        sections = self.query_one(Sections)
        sections.lay_out(report["parts"], report["text"])
        self._fence, self._unsaved, self._trouble = report["fence"], False, ""
        self._take(report)
        text = joined(report["text"], mine) if mine else report["text"]
        sections.fill(text)
        sections.begin()
        if mine:
            self._typed()

    def action_take(self) -> None:
        """Open what is free, ask for or take over what another holds, hand over what is asked for."""
        report = self._report
        if not report:
            return
        if self._fence is not None:
            self._hand_over()
        elif report["lock_reason"] in (LockReason.NO_IMAGES, LockReason.CONFLICTING):
            self._override()
        elif report["state"] in REPORT_SIGNED:
            self.notify(_("It is signed: F10 amends it."))
        elif report["holder"] in (None, self.desk.me["username"]):
            self._open({})
        else:
            self._ask_or_take_over(report["holder"])

    def _ask_or_take_over(self, holder: str, mine: dict[str, str] | None = None) -> None:
        since = clock(self._report["held_since"], self.desk.now())
        title = _("{who} is writing since {time}").format(who=holder, time=since)
        options = [
            ("ask", _("Ask for it: {who} sees it at once").format(who=holder), ""),
            ("take", _("Take it over: {who} can write no more").format(who=holder), ""),
        ]

        def then(chosen: str | None) -> None:
            if chosen == "ask":
                said = _("{who} has been asked.").format(who=holder)
                self.ask(lambda: self.desk.client.post(self._path("ask")), lambda _report: self.done(said))
            elif chosen == "take":
                self._sure_to_take_over(holder, mine)

        self.app.push_screen(Choose(title, options), then)

    def _sure_to_take_over(self, holder: str, mine: dict[str, str] | None = None) -> None:
        text = _(
            "What {who} has saved stays in the report. What {who} types from now on is refused and kept apart, and "
            "{who} is told. The trail says that you took it over."
        ).format(who=holder)

        def then(sure: Sure) -> None:
            if sure:
                self._open({"take_over": True}, mine)

        self.app.push_screen(Confirm(_("Take the report over?"), text, yes=_("Take it over")), then)

    def _override(self) -> None:
        if not self.desk.may(Operation.OVERRIDE_REPORT):
            self.notify(_("It is locked: only the head may open it, with a reason."), severity="warning")
            return
        text = _("The reason is kept in the trail and printed on the report.")

        def then(reason: str | None) -> None:
            if reason:
                self._open({"override": True, "reason": reason})

        self.app.push_screen(AskText(_("Why is the locked report opened?"), text), then)

    def _hand_over(self) -> None:
        asked = self._report.get("asked_by")
        text = _("{who} asks for it.").format(who=asked) if asked else _("Nobody has asked for it.")

        def then(sure: Sure) -> None:
            if sure:
                self._act("release", {}, lambda: self.done(_("The report is free. What you wrote is saved.")))

        self.app.push_screen(Confirm(_("Let go of the report?"), text, yes=_("Let go")), then)

    # -- saving ------------------------------------------------------------------------------------------------------

    def on_sections_typed(self, message: Sections.Typed) -> None:
        """A key was pressed: it is saved after a pause."""
        message.stop()
        if self._fence is not None:
            self._typed()

    def _typed(self) -> None:
        self._unsaved = True
        self._later(_PAUSE)

    def _later(self, seconds: float) -> None:
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(seconds, self._save)

    def action_save(self) -> None:
        """Save now."""
        if self._fence is None:
            self.notify(_("Nothing to save: you are not writing this report."))
        self._save()

    def _save(self) -> None:
        if self._pause is not None:
            self._pause.stop()
            self._pause = None
        if self._fence is not None and self._unsaved and not self._saving:
            self._saving, self._unsaved = True, False
            form = {"fence": self._fence, "text": self.query_one(Sections).text()}
            self.run_worker(partial(self._put, form), thread=True, group="save")

    def _put(self, form: Item) -> None:
        try:
            answer = self.desk.client.put(self._path("draft"), form)
        except (ServiceRefused, ServiceAway) as error:
            answer = error
        self.post_message(self._Saved(answer))

    def on_report_page__saved(self, message: _Saved) -> None:
        """Say that it is saved, or keep it and try again."""
        message.stop()
        self._saving, answer = False, message.answer
        if isinstance(answer, ServiceAway):
            self._unsaved, self._trouble = True, _("NOT SAVED: the service is not there; your text is kept here")
            self._later(_TRY_AGAIN)
        elif isinstance(answer, ServiceRefused):
            self._not_taken(answer)
        else:
            self._trouble = ""
            self._take(answer)
            if self._unsaved:
                self._later(_PAUSE)
        self._tell()

    def _not_taken(self, refused: ServiceRefused) -> None:
        if refused.status == UNAUTHORIZED:
            self._unsaved = True
            self._fail(refused, None)
        elif refused.status == 409:  # noqa: PLR2004 - an old fence
            self._lose()
        else:
            self._unsaved, self._trouble = True, _("NOT SAVED: {why}").format(why=refused.detail)

    def _lose(self) -> None:
        """Somebody took it over: what is typed here is given to the service to keep, and stays in the fields."""
        fence, mine = self._fence, self.query_one(Sections).text()
        if fence is None:
            return
        unsaved, self._fence, self._unsaved = self._unsaved, None, True
        self._trouble = _("TAKEN OVER: your text is kept; F9 opens the report again")
        self.query_one(Sections).allow(writing=False)
        if unsaved:
            form = {"fence": fence, "text": mine}
            self.ask(lambda: self.desk.client.put(self._path("draft"), form), otherwise=lambda _refused: None)
        text = _("Somebody else writes this report now. Your text is kept at the service and stands here still.")

        def then(sure: Sure) -> None:
            if sure:
                self._open_again(mine)

        title = _("The report was taken over")
        self.app.push_screen(Confirm(title, text, yes=_("Open it again with my text")), then)
        self.refresh_rows()

    def _open_again(self, mine: dict[str, str]) -> None:
        """Look who writes now: it may be nobody any more."""

        def then(read: tuple[Item, Item, str]) -> None:
            self._show(None, read)
            holder = self._report["holder"]
            if holder and holder != self.desk.me["username"]:
                self._ask_or_take_over(holder, mine)
            else:
                self._open({}, mine)

        self.ask(self._read, then)

    def keep_drafts(self) -> None:
        """The terminal goes away: save, and let go, while there is time."""
        if self._fence is None:
            return
        try:
            if self._unsaved:
                form = {"fence": self._fence, "text": self.query_one(Sections).text()}
                self.desk.client.put(self._path("draft"), form)
            self.desk.client.post(self._path("release"), {"fence": self._fence})
        except (ServiceRefused, ServiceAway):
            return  # a refused text is kept by the service; where there is none, nothing more can be done
        self._fence, self._unsaved = None, False

    def on_screen_suspend(self) -> None:
        """Another page is looked at: save what is typed."""
        self._save()

    # -- acting on it ------------------------------------------------------------------------------------------------

    def _act(self, verb: str, form: Item, then: Callable[[], None]) -> None:
        """Save what is typed, then do `verb` under the fence; afterwards the report is no longer being written here."""
        if self._fence is None:
            self.notify(_("You are not writing this report: F9 opens it."), severity="warning")
            return
        if self._saving:
            self.set_timer(0.1, partial(self._act, verb, form, then))
            return
        if self._pause is not None:
            self._pause.stop()
        fence, unsaved, text = self._fence, self._unsaved, self.query_one(Sections).text()
        self._saving = True

        def work() -> Item:
            if unsaved:
                self.desk.client.put(self._path("draft"), {"fence": fence, "text": text})
            answer: Item = self.desk.client.post(self._path(verb), {**form, "fence": fence})
            return answer

        def after(report: Item | ServiceRefused | ServiceAway) -> None:
            self._saving = False
            if isinstance(report, ServiceRefused | ServiceAway):
                self._later(_TRY_AGAIN)
                self._fail(report, None)
                return
            self._fence, self._unsaved, self._trouble = None, False, ""
            self._take(report)
            then()

        self.ask(partial(_caught, work), after)

    def action_preliminary(self) -> None:
        """Hand it to a reviewer."""
        self._act("preliminary", {}, lambda: self.done(_("Handed to a reviewer as preliminary.")))

    def action_send_back(self) -> None:
        """Return a preliminary report to its writer."""
        if self._report.get("state") != ReportState.PRELIMINARY:
            self.notify(_("Only a preliminary report is returned."), severity="warning")
            return
        title = _("Return it to {who}: what is to be changed?").format(who=self._report["author"])

        def then(comment: str | None) -> None:
            if comment:
                self._act("return", {"comment": comment}, lambda: self.done(_("Returned with your comment.")))

        self.app.push_screen(WriteText(title), then)

    def action_sign(self) -> None:
        """Sign with the password."""
        if self._fence is None:
            self.notify(_("You are not writing this report: F9 opens it."), severity="warning")
            return
        text = "\n".join([
            name(self._exam, "patient_"),
            f"{self._exam['procedure']}  {self._accession}",
            *(words for words, _tone in banners(self._report, self._exam, self.desk.now(), plain=self.desk.ascii)),
            _("Signed, it never changes; a correction is an amendment."),
        ])  # fmt: skip

        def then(password: str | None) -> None:
            if password:
                self._act("sign", {"password": password}, lambda: self.done(_("Signed.")))

        self.app.push_screen(AskText(_("Sign with your password"), text, secret=True), then)

    def action_amend(self) -> None:
        """Amend a signed report."""
        if self._report.get("state") not in REPORT_SIGNED or self._fence is not None:
            self.notify(_("Only a signed report is amended."), severity="warning")
            return

        def then(reason: str | None) -> None:
            if reason:
                self._begin("amend", {"reason": reason})

        self.app.push_screen(AskText(_("Why is the signed report amended?")), then)

    def action_withdraw(self) -> None:
        """Withdraw a signed report."""
        if self._report.get("state") not in REPORT_SIGNED:
            self.notify(_("Only a signed report is withdrawn."), severity="warning")
            return

        def with_password(reason: str, password: str | None) -> None:
            if password:
                form = {"reason": reason, "password": password}
                self.ask(lambda: self.desk.client.post(self._path("withdraw"), form), self._take)

        def then(reason: str | None) -> None:
            if reason:
                ask = AskText(_("Withdraw with your password"), reason, secret=True)
                self.app.push_screen(ask, partial(with_password, reason))

        self.app.push_screen(AskText(_("Why is the report withdrawn?")), then)

    # -- what may be put in ------------------------------------------------------------------------------------------

    def action_template(self) -> None:
        """Put the template's words into the parts that are still empty."""
        if self._fence is None:
            self.notify(_("You are not writing this report: F9 opens it."), severity="warning")
            return
        sections = self.query_one(Sections)
        starters = {part["name"]: part["starter"] for part in self._report["parts"]}
        sections.fill(
            {name: text if text.strip() else starters.get(name, "") for name, text in sections.text().items()}
        )
        self._typed()

    def action_kept(self) -> None:
        """Choose a text kept from a late write."""
        self.ask(lambda: self.desk.client.get(self._path("rejected")), self._choose_kept)

    def _choose_kept(self, kept: list[Item]) -> None:
        now = self.desk.now()
        options = [
            (str(place), f"{one['by']} {clock(one['at'], now)}  " + " / ".join(filter(None, one["text"].values())), "")
            for place, one in enumerate(kept)
        ]

        def then(chosen: str | None) -> None:
            if chosen is not None:
                self._put_in(kept[int(chosen)]["text"])

        self.app.push_screen(Choose(_("Texts kept from late writes: Enter puts one in"), options), then)

    def _put_in(self, text: dict[str, str]) -> None:
        sections = self.query_one(Sections)
        if self._fence is None:
            words = "\n\n".join(filter(None, text.values()))
            self.app.push_screen(Read(_("A text kept from a late write"), words))
            return
        sections.fill(joined(sections.text(), text))
        self._typed()

    # -- leaving -----------------------------------------------------------------------------------------------------

    def step_back(self) -> bool:
        """Save and let go before the page is left."""
        if self._fence is None:
            return False
        self._leave()
        return True

    def _leave(self) -> None:
        if self._saving:
            self.set_timer(0.1, self._leave)
            return
        fence, unsaved, text = self._fence, self._unsaved, self.query_one(Sections).text()

        def work() -> bool:
            try:
                if unsaved:
                    self.desk.client.put(self._path("draft"), {"fence": fence, "text": text})
                self.desk.client.post(self._path("release"), {"fence": fence})
            except ServiceAway:
                return not unsaved
            except ServiceRefused:
                return True  # taken over meanwhile: the service has kept the text
            return True

        def then(kept: Sure) -> None:
            if kept:
                self.dismiss(None)
                return
            text = _("The service is not there. If you stay, your text is saved when it is back.")
            ask = Confirm(_("Leave and lose what is not saved?"), text, yes=_("Leave"), no=_("Stay"))
            self.app.push_screen(ask, self._leave_anyway)

        self.ask(work, then)

    def _leave_anyway(self, sure: Sure) -> None:
        if sure:
            self.dismiss(None)


def _caught(work: Callable[[], Item]) -> Item | ServiceRefused | ServiceAway:
    try:
        return work()
    except (ServiceRefused, ServiceAway) as error:
        return error
