"""A report as it is read: whose it is, how it stands, what it rests on, what came before, its versions and its page."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Static

from console.client import ServiceRefused
from console.desk import Desk
from console.screens.consultation import ask_consultation
from console.screens.dialogs import AskText, Read
from console.screens.page import Page
from console.widgets.lines import tone_colour
from console.widgets.paged_list import Item
from console.widgets.report_words import around, banners, lock_line, locked_words, versions_told, who_line
from console.widgets.sections import Sections
from console.words import _
from core.vocabulary import REPORT_SIGNED, LockReason

_PRIORS = 3


class ReportReader(Page):
    """The report of one exam, as everybody may read it; `ReportPage` writes in it."""

    DEFAULT_CSS = """
    ReportReader #who, ReportReader #lock { height: 1; padding: 0 1; background: $surface; }
    ReportReader #banners { height: auto; padding: 0 1; }
    ReportReader #closed { width: 3fr; height: auto; padding: 1 2; display: none; }
    ReportReader.-closed #closed { display: block; }
    ReportReader.-closed Sections { display: none; }
    ReportReader.-wide Sections { width: 3fr; }
    """

    def __init__(self, desk: Desk, accession: str) -> None:
        super().__init__(desk)
        self._accession = accession
        self._exam: Item = {}
        self._report: Item = {}
        self._priors: list[Item] = []
        self._heard = ""  # when the device was last heard
        self._fence: int | None = None  # under which it is written here
        self._trouble = ""

    def body(self) -> ComposeResult:
        """Whose it is, how it stands, what to mind, the text, and what belongs to it beside."""
        yield Static(id="who")
        yield Static(id="lock")
        yield Static(id="banners")
        with Horizontal():
            yield Static(id="closed")
            yield Sections()
            with VerticalScroll(classes="preview", can_focus=False):
                yield Static(id="around")

    def _take(self, report: Item) -> None:
        """Take in how the report stands."""
        self._report = report
        self._tell()

    def selected_text(self) -> str:
        """The accession number."""
        return self._accession

    # -- reading -----------------------------------------------------------------------------------------------------

    def _path(self, verb: str = "") -> str:
        return f"exams/{self._accession}/report/{verb}".rstrip("/")

    def _read(self) -> tuple[Item, Item, str]:
        client = self.desk.client
        exam, report = client.get(f"exams/{self._accession}"), client.get(self._path())
        return exam, report, _last_heard(client, exam["device"]) if report["locked"] else ""

    def _read_priors(self) -> list[Item]:
        """Return the latest signed reports of the patient's other exams."""
        client = self.desk.client
        patient = client.get(f"exams/{self._accession}")["patient_number"]
        exams = client.get("exams", patient=patient, order="recent", limit=20)["items"]
        signed = [
            one for one in exams if one["report"]["state"] in REPORT_SIGNED and one["accession"] != self._accession
        ]
        return [
            client.get(f"exams/{one['accession']}/report") | {"procedure": one["procedure"]} for one in signed[:_PRIORS]
        ]

    def _take_priors(self, priors: list[Item]) -> None:
        self._priors = priors
        self._tell()

    # -- around it ---------------------------------------------------------------------------------------------------

    def action_view(self) -> None:
        """Look at the images."""
        from console.screens.viewer import Viewer  # noqa: PLC0415 - the viewer opens reports too

        self.app.push_screen(Viewer(self.desk, self._accession))

    def action_versions(self) -> None:
        """Read every version."""
        title = _("Versions of {accession}").format(accession=self._accession)

        def show(found: list[Item]) -> None:
            self.app.push_screen(Read(title, versions_told(found, self.desk.now())))

        self.ask(partial(self.desk.client.get, self._path("versions")), show)

    def action_around(self) -> None:
        """Read request, series, consultations and earlier reports where there is no room beside."""
        if self._report:
            self.app.push_screen(Read(_("Around the report"), self._around().plain))

    def action_page(self) -> None:
        """Save the report's page as PDF."""
        ask = AskText(_("Save the page as"), value=str(Path.cwd() / f"report-{self._accession}.pdf"))
        self.app.push_screen(ask, self._save_page)

    def _save_page(self, path: str | None) -> None:
        if not path:
            return

        def work() -> str:
            page: bytes = self.desk.client.get(self._path("pdf"))
            try:
                Path(path).expanduser().write_bytes(page)
            except OSError as error:
                return _("The page was not saved: {why}").format(why=error.strerror)
            return _("Saved: {path}").format(path=path)

        self.ask(work, self.done)

    def action_seen(self) -> None:
        """Mark that the changed images were seen."""
        if self._report.get("images_changed"):
            self.ask(lambda: self.desk.client.post(self._path("seen")), self._take)

    def action_call(self) -> None:
        """Tell the technologist that images are missing."""
        title = _("Tell the technologist about {accession}").format(accession=self._accession)
        said = _("The images of {accession} have not arrived.").format(accession=self._accession)

        def then(text: str | None) -> None:
            if text is not None:
                post = partial(self.desk.client.post, self._path("call"), {"text": text})
                self.ask(
                    post, lambda _call: self.done(_("The technologist has been told; the answer comes back here."))
                )

        self.app.push_screen(AskText(title, value=said), then)

    def action_consult(self) -> None:
        """Ask colleagues."""
        ask_consultation(self, self._accession)

    # -- saying ------------------------------------------------------------------------------------------------------

    def _around(self) -> Text:
        return around(self._report, self._exam, self._priors, self.desk.now(), plain=self.desk.ascii)

    def _tell(self) -> None:
        if not (self.is_mounted and self._report and self._exam):
            return
        now, plain = self.desk.now(), self.desk.ascii
        report = {**self._report, "fence": self._fence}
        self.query_one("#who", Static).update(who_line(self._exam, now))
        lock = lock_line(report, self._saved_words(), now, me=self.desk.me["username"], plain=plain)
        self.query_one("#lock", Static).update(lock)
        said = banners(report, self._exam, now, plain=plain, trouble=self._trouble)
        lines = [Text(words, tone_colour(self, tone)) for words, tone in said]
        self.query_one("#banners", Static).update(Text("\n").join(lines))
        self.query_one("#banners", Static).display = bool(lines)
        self.query_one("#around", Static).update(self._around())
        closed = report["lock_reason"] in (LockReason.NO_IMAGES, LockReason.CONFLICTING) and self._fence is None
        empty = not any(text.strip() for text in report["text"].values())
        self.set_class(closed and empty, "-closed")
        if closed:
            self.query_one("#closed", Static).update(locked_words(report, self._exam, self._heard, now))

    def _saved_words(self) -> str:
        if self._fence is None or not self._report["saved_at"]:
            return ""
        return _("saved {time}").format(time=_second(self._report["saved_at"]))


def _second(text: str) -> str:
    return text[11:19]


def _last_heard(client: Any, aet: str | None) -> str:  # noqa: ANN401 - the client of the desk
    """Return when the device was last heard; nothing for those who may not see devices."""
    try:
        found = client.get("devices") if aet else []
    except ServiceRefused:
        return ""
    return next((one["last_heard_at"] or "" for one in found if one["aet"] == aet), "")
