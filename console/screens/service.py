"""The service, for who looks after it: parts and space, devices, who called, staff, the audit trail."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from console.client import ServiceRefused
from console.desk import Desk
from console.screens.dialogs import AskText
from console.screens.page import Page
from console.widgets import states
from console.widgets.cells import Cell, Column
from console.widgets.halves import Halves
from console.widgets.jobs import OPEN, job_row
from console.widgets.paged_list import Item, PagedList
from console.widgets.people import clock, waited
from console.widgets.proofs import damage_row, is_running, proof_row
from console.widgets.views import View, Views
from console.words import _
from core.vocabulary import JobState, Operation

_LOOK_AGAIN = 2.0  # seconds, while a verification goes on
_UNITS = ("B", "kB", "MB", "GB", "TB")
_COLUMNS = (
    Column("what", "What", 18, grow=1),
    Column("state", "State", 16, grow=1),
    Column("when", "When", 11),
    Column("more", "More", 28, grow=3),
)


class Service(Page):
    """Whether everything works, and who did what."""

    NAME = "service"
    TITLE = "Service"
    HELP = (
        "1 shows whether each part of the service works and what the archive holds, 2 the devices (e calls one by "
        "C-ECHO), 3 who was heard last, known or not, 4 the staff, 5 the audit trail, the latest first; F3 shows the "
        "entries of one accession, patient or person, and of all again when it is left empty. 6 shows what of the "
        "archive is damaged, with the exams and signed reports that depend on it, and the verifications made: v looks "
        "whether everything acknowledged is there, b reads every byte of it. 7 shows the work that waits, runs or "
        "failed, such as objects sent to another archive: r tries a job again now, x gives it up."
    )
    HEARS = frozenset({"device", "verify", "job"})
    DEFAULT_CSS = "Service Halves > .about { height: 8; }"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._view = "parts"
        self._subject = ""
        self._echoed: dict[str, Cell] = {}

    def body(self) -> ComposeResult:
        """The views, a list, and the chosen row in full."""
        names = [("parts", _("Parts")), ("devices", _("Devices")), ("heard", _("Heard")), ("staff", _("Staff"))]
        if self.desk.may(Operation.READ_AUDIT):
            names.append(("audit", _("Audit trail")))
        views = [View(view, str(place), words, f"view_{view}") for place, (view, words) in enumerate(names, 1)]
        views.append(View("integrity", "6", _("Integrity"), "view_integrity"))
        views.append(View("jobs", "7", _("Work"), "view_jobs"))
        yield Views(views, self._view)
        columns = [Column(c.key, _(c.title), c.width, c.priority, c.grow, c.right) for c in _COLUMNS]
        with Halves():
            yield PagedList(columns, self._row, "key", empty=_("Nothing."), more=self.desk.more)
            with VerticalScroll(classes="about"):
                yield Static(id="about", markup=False)

    def on_mount(self) -> None:
        """Ask how it is."""
        self.query_one(PagedList).focus()
        self.refresh_rows()

    def refresh_rows(self) -> None:
        """Ask again."""
        view, rows = self._view, self.query_one(PagedList)
        if view == "audit":
            rows.source(self._fetch_audit, keep=True)
            return
        reads = {"parts": self._read_parts, "devices": self._read_devices, "heard": self._read_heard,
                 "staff": self._read_staff, "integrity": self._read_integrity, "jobs": self._read_jobs}  # fmt: skip

        def show(items: list[Item]) -> None:
            if view == self._view:
                rows.show(items)
                if any(is_running(item["proof"], self.desk.now()) for item in items if "proof" in item):
                    self.set_timer(_LOOK_AGAIN, self._look_again)

        self.ask(reads[view], show, only_last="view")

    # -- reading (in workers) ----------------------------------------------------------------------------------------

    def _read_parts(self) -> list[Item]:
        facts = self.desk.client.get("service")
        rows = [{"key": f"part {one['name']}", "part": one} for one in facts["parts"]]
        return rows + [
            {"key": f"archive {key}", "fact": key, "value": value} for key, value in facts["archive"].items()
        ]

    def _read_devices(self) -> list[Item]:
        return [{"key": one["aet"], "device": one} for one in self.desk.client.get("devices")]

    def _read_heard(self) -> list[Item]:
        return [{"key": one["aet"], "heard": one} for one in self.desk.client.get("service")["heard"]]

    def _read_staff(self) -> list[Item]:
        return [{"key": one["username"], "person": one} for one in self.desk.client.get("staff")]

    def _read_integrity(self) -> list[Item]:
        damages = [{"key": f"{one['path']}", "damage": one} for one in self.desk.client.get("damages")]
        return damages + [{"key": f"proof {one['id']}", "proof": one} for one in self.desk.client.get("proofs")]

    def _read_jobs(self) -> list[Item]:
        return [{"key": f"job {one['id']}", "job": one} for one in self.desk.client.get("jobs")]

    def _look_again(self) -> None:
        if self._view == "integrity" and self.is_current:
            self.refresh_rows()

    def _fetch_audit(self, offset: int, limit: int) -> dict[str, Any]:
        """Return a window of the trail; as long as it is full there may be more, and the list grows as one goes."""
        entries = self.desk.client.get("audit", subject=self._subject or None, offset=offset, limit=limit)
        rows = [{"key": one["id"], "entry": one} for one in entries]
        return {"total": offset + len(rows) + (1 if len(rows) == limit else 0), "items": rows}

    # -- rows --------------------------------------------------------------------------------------------------------

    def _row(self, row: Item) -> dict[str, Cell | str]:
        for key, draw in (("part", _part), ("fact", _fact)):
            if key in row:
                return draw(row, plain=self.desk.ascii)
        now = self.desk.now()
        job = partial(job_row, ascii_only=self.desk.ascii)
        for kind, told in (("damage", damage_row), ("proof", proof_row), ("job", job)):
            if kind in row:
                return told(row[kind], now)
        if "device" in row:
            return self._device_row(row["device"])
        if "heard" in row:
            one = row["heard"]
            known = Cell(_("registered")) if one["device"] else Cell(_("unknown"), "warn")
            more = _("{service} from {host}, {count} objects").format(
                service=one["service"], host=one["host"] or "-", count=one["objects"])  # fmt: skip
            return {"what": one["aet"], "state": known, "when": clock(one["at"], now), "more": more}
        if "person" in row:
            one = row["person"]
            roles = ", ".join(_(states.ROLES[role]) for role in one["roles"])
            enabled = Cell(_("works here"), "good") if one["enabled"] else Cell(_("disabled"), "muted")
            return {"what": one["username"], "state": enabled, "when": "", "more": f"{one['full_name']}  {roles}"}
        entry = row["entry"]
        return {"what": entry["action"], "state": entry["actor"], "when": clock(entry["at"], now),
                "more": f"{entry['subject']}  {_detail(entry)}"}  # fmt: skip

    def _device_row(self, one: Item) -> dict[str, Cell | str]:
        heard = waited(one["last_heard_at"], self.desk.now())
        silent = Cell(_("heard {ago} ago").format(ago=heard)) if heard else Cell(_("never heard"), "muted")
        more = [f"{one['host']}:{one['port']}", " ".join(one["modalities"]), one["pool"], "TLS" if one["tls"] else ""]
        return {
            "what": one["aet"],
            "state": self._echoed.get(one["aet"], silent if one["enabled"] else Cell(_("disabled"), "muted")),
            "when": clock(one["last_heard_at"], self.desk.now()),
            "more": "  ".join(part for part in more if part),
        }

    def on_paged_list_chosen(self, message: PagedList.Chosen) -> None:
        """Show the row in full."""
        message.stop()
        facts = next(value for key, value in message.item.items() if key != "key")
        lines = facts.items() if isinstance(facts, dict) else [(str(facts), message.item.get("value", ""))]
        said = [f"{key}: {_told(value)}" for key, value in lines if value not in ("", None, [], {})]
        self.query_one("#about", Static).update("\n".join(said))

    def on_paged_list_emptied(self) -> None:
        """Nothing to show."""
        self.query_one("#about", Static).update("")

    def selected_text(self) -> str:
        """What stands in the first column, or the hash of an audit entry."""
        row = self.query_one(PagedList).chosen or {}
        return str(row["entry"]["hash"] if "entry" in row else row.get("key", ""))

    # -- what is done here -------------------------------------------------------------------------------------------

    def action_view_parts(self) -> None:
        """Show the parts and the archive."""
        self._change_view("parts")

    def action_view_devices(self) -> None:
        """Show the devices."""
        self._change_view("devices")

    def action_view_heard(self) -> None:
        """Show who was heard last."""
        self._change_view("heard")

    def action_view_staff(self) -> None:
        """Show the staff."""
        self._change_view("staff")

    def action_view_audit(self) -> None:
        """Show the audit trail."""
        self._change_view("audit")

    def action_view_integrity(self) -> None:
        """Show what is damaged, and the verifications made."""
        self._change_view("integrity")

    def action_view_jobs(self) -> None:
        """Show the work that waits, runs and failed."""
        self._change_view("jobs")

    def action_retry(self) -> None:
        """Try the job under the cursor again now."""
        self._change_job("retry", frozenset({JobState.QUEUED, JobState.FAILED}))

    def action_give_up(self) -> None:
        """Give the job under the cursor up."""
        self._change_job("cancel", OPEN)

    def _change_job(self, change: str, of: frozenset[JobState]) -> None:
        row = self.query_one(PagedList).chosen
        if not row or "job" not in row or row["job"]["state"] not in of:
            self.notify(_("Choose a job it can be done to first: 7 shows them."), markup=False)
            return
        path = f"jobs/{row['job']['id']}/{change}"
        self.ask(lambda: self.desk.client.post(path), lambda _job: self.refresh_rows())

    def action_verify(self) -> None:
        """Look whether everything acknowledged is there."""
        self._prove(deep=False)

    def action_verify_bytes(self) -> None:
        """Read every byte of it."""
        self._prove(deep=True)

    def _prove(self, *, deep: bool) -> None:
        def begun(_proof: Item) -> None:
            self.done(_("The verification has begun; it goes on behind the scenes."))
            self._change_view("integrity")

        self.ask(lambda: self.desk.client.post("proofs", {"deep": deep}), begun)

    def _change_view(self, view: str) -> None:
        self._view = view
        self.query_one(Views).mark(view)
        self.query_one(PagedList).show([])
        self.refresh_rows()

    def on_paged_list_opened(self, message: PagedList.Opened) -> None:
        """Enter calls a device."""
        message.stop()
        if "device" in message.item:
            self.action_echo()

    def action_echo(self) -> None:
        """Call the device under the cursor (C-ECHO)."""
        row = self.query_one(PagedList).chosen
        if not row or "device" not in row:
            self.notify(_("Choose a device first: 2 shows them."), markup=False)
            return
        aet = row["key"]
        self._say_echo(aet, Cell(_("calling"), "warn"))
        answered = Cell(_("answers") if self.desk.ascii else "● " + _("answers"), "good")
        path = f"devices/{aet}/echo"
        self.ask(
            lambda: self.desk.client.post(path),
            lambda _answer: self._say_echo(aet, answered),
            otherwise=partial(self._no_echo, aet),
        )

    def _no_echo(self, aet: str, refused: ServiceRefused) -> None:
        self._say_echo(aet, Cell(_("no answer") if self.desk.ascii else "■ " + _("no answer"), "bad"))
        self.notify(refused.detail, severity="error", timeout=10, markup=False)

    def _say_echo(self, aet: str, said: Cell) -> None:
        self._echoed[aet] = said
        self.query_one(PagedList).refresh()

    def action_subject(self) -> None:
        """Show the entries of one accession, patient or person."""
        if self.desk.may(Operation.READ_AUDIT):
            title = _("Audit trail of")
            text = _("accession, patient number or user; empty: everything")
            dialog = AskText(title, text, value=self._subject, required=False)
            self.app.push_screen(dialog, self._take_subject)

    def _take_subject(self, subject: str | None) -> None:
        if subject is not None:
            self._subject = subject
            self.query_one(Views).say(subject)
            self._change_view("audit")


def _part(row: Item, *, plain: bool) -> dict[str, Cell | str]:
    part = row["part"]
    word = _("works") if part["ready"] else _("does not work")
    mark = "" if plain else "● " if part["ready"] else "■ "
    warned = part["ready"] and part["detail"]
    return {
        "what": _(part["name"]),
        "state": Cell(mark + word, "warn" if warned else "good" if part["ready"] else "bad"),
        "more": part["detail"],
    }


def _fact(row: Item, *, plain: bool) -> dict[str, Cell | str]:
    del plain
    value = row["value"]
    size = row["fact"] in {"bytes", "free_bytes"}
    harmed = row["fact"] == "damaged" and value
    words = {"bytes": _("space used"), "free_bytes": _("space free")}.get(row["fact"], _(row["fact"].replace("_", " ")))
    told = "-" if value is None else bytes_told(value) if size else str(value)
    more = _("6 shows what depends on them") if harmed else ""
    return {"what": words, "state": Cell(told, "bad") if harmed else told, "more": more}


def bytes_told(count: float) -> str:
    """Return a size as people read it: 83.4 GB."""
    place = 0
    while count >= 1000 and place < len(_UNITS) - 1:  # noqa: PLR2004 - SI units
        count, place = count / 1000, place + 1
    return f"{count:.1f} {_UNITS[place]}" if place else f"{count:.0f} {_UNITS[0]}"


def _detail(entry: Item) -> str:
    return "  ".join(
        f"{key}={_told(value)}" for key, value in entry["detail"].items() if value not in ("", None, [], {})
    )


def _told(value: Any) -> str:  # noqa: ANN401 - JSON
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
