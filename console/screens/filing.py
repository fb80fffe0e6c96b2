"""Filing: what found no exam, what contradicts one, what is overdue or kept apart; put right by hand, and undone.

As sent, as registered and worklist-issued stand side by side; what differs is marked. Nothing of the original objects
changes, and every correction is in the trace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.timer import Timer
from textual.widgets import Static

from console.desk import Desk
from console.screens.dialogs import Choose, Confirm
from console.screens.exam import ExamPage
from console.screens.fill import Field, Fill, Typed
from console.screens.page import Page
from console.widgets.cells import TONES, Cell, Column
from console.widgets.comparison import compared, correction_told, issued_to, sent_name
from console.widgets.exams import told
from console.widgets.halves import Halves
from console.widgets.lines import tone_colour
from console.widgets.paged_list import Item, PagedList
from console.widgets.people import clock, name
from console.widgets.views import View, Views
from console.words import _
from core.vocabulary import Operation

_BATCHES = {"unfiled": "unfiled", "conflicting": "conflicting", "qc": "qc", "filed": "filed"}  # view -> batch state
_PATHS: dict[str, tuple[str, dict[str, Any]]] = {
    **{
        view: ("images/unfiled", {"state": [state], "limit": 500, "candidates": False})
        for view, state in _BATCHES.items()
    },
    "overdue": ("images/overdue", {"limit": 500}),
    "quarantined": ("images/quarantined", {"limit": 500}),
    "corrections": ("corrections", {"limit": 500}),
}
_COUNTED = ("unfiled", "conflicting", "overdue", "quarantined")
_COLUMNS = (
    Column("when", "When", 11),
    Column("who", "Patient", 14, grow=2),
    Column("number", "Number", 9, priority=2),
    Column("what", "Exam", 13, grow=2),
    Column("accession", "Accession", 11, priority=1),
    Column("count", "Images", 7, right=True),
    Column("device", "Device", 9, priority=3),
    Column("why", "Why", 13, grow=3),
)
_REST = 0.2  # seconds the cursor rests before the exams are read in full


class Filing(Page):
    """What waits for a person to say where it belongs."""

    NAME = "filing"
    TITLE = "Filing"
    HELP = (
        "Images that found no exam by themselves, that contradict one, or that never came. f files a study to the "
        "candidate marked (full stop goes to the next one) or to any accession number; s gives one series to another "
        "exam; n takes a study away from its exam; u undoes a correction. A reason is asked for where something "
        "differs. Objects that repeat a UID with other content are kept apart: a gives one a UID of its own and takes "
        "it in. Phantoms lie on the QC shelf."
    )
    HEARS = frozenset({"unfiled", "quarantined", "converted", "exam"})
    DEFAULT_CSS = "Filing Halves > .about { height: 13; }"

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._view = "unfiled"
        self._candidate = 0
        self._exams: dict[str, Item] = {}
        self._candidates: dict[int, list[Item]] = {}  # of the batches looked at
        self._repairs: dict[int, list[str]] = {}  # what was mended in them
        self._read: set[int] = set()  # those read since the list was
        self._rest: Timer | None = None

    def body(self) -> ComposeResult:
        """The views, the list, and the comparison."""
        names = (
            ("unfiled", _("Unfiled")), ("conflicting", _("Conflicting")), ("overdue", _("Overdue")),
            ("quarantined", _("Kept apart")), ("qc", _("QC")), ("filed", _("Filed")), ("corrections", _("Trace")),
        )  # fmt: skip
        views = [View(view, str(place), words, f"view_{view}") for place, (view, words) in enumerate(names, 1)]
        yield Views(views, self._view)
        columns = [Column(c.key, _(c.title), c.width, c.priority, c.grow, c.right) for c in _COLUMNS]
        with Halves():
            yield PagedList(columns, self._row, "id", empty=_("Nothing waits here."), more=self.desk.more)
            with VerticalScroll(classes="about"):
                yield Static(id="comparison")

    def on_mount(self) -> None:
        """Read what waits."""
        self.query_one(PagedList).focus()
        self.refresh_rows()

    def refresh_rows(self) -> None:
        """Read the shown view again, and count the others."""
        view = self._view
        path, query = _PATHS[view]
        self.ask(lambda: self.desk.client.get(path, **query), partial(self._show, view), only_last="view")
        self.ask(self._count, lambda counts: self.query_one(Views).count(**counts), only_last="counts")

    def _count(self) -> dict[str, int]:
        today = self.desk.client.get("today")
        counts = {view: today[view] for view in _COUNTED if view in today}
        return counts | {"overdue": len(self.desk.client.get("images/overdue", limit=500))}

    def _show(self, view: str, rows: list[Item]) -> None:
        if view == self._view:
            self._exams.clear()
            self._read.clear()
            for row in rows if view in _BATCHES else ():
                row["candidates"] = self._candidates.get(row["id"], [])
                row["repairs"] = self._repairs.get(row["id"], [])
            self.query_one(PagedList).show(rows)
            if chosen := self._chosen():
                self._draw(chosen)
                self._look_closer()

    def _chosen(self) -> Item | None:
        return self.query_one(PagedList).chosen

    def _batch(self) -> Item | None:
        """The batch under the cursor; None in the views that show something else."""
        return self._chosen() if self._view in _BATCHES else None

    def selected_text(self) -> str:
        """The Study UID, or the accession number."""
        row = self._chosen() or {}
        return str(row.get("study_instance_uid") or row.get("accession") or "")

    def step_back(self) -> bool:
        """Esc goes to the unfiled first."""
        if self._view == "unfiled":
            return False
        self._change_view("unfiled")
        return True

    # -- views -------------------------------------------------------------------------------------------------------

    def action_view_unfiled(self) -> None:
        """Show what found no exam."""
        self._change_view("unfiled")

    def action_view_conflicting(self) -> None:
        """Show what contradicts its exam."""
        self._change_view("conflicting")

    def action_view_overdue(self) -> None:
        """Show exams whose images should have come."""
        self._change_view("overdue")

    def action_view_quarantined(self) -> None:
        """Show what repeats a UID with other content."""
        self._change_view("quarantined")

    def action_view_qc(self) -> None:
        """Show the QC shelf."""
        self._change_view("qc")

    def action_view_filed(self) -> None:
        """Show what was filed lately."""
        self._change_view("filed")

    def action_view_corrections(self) -> None:
        """Show what was put right, by whom and why."""
        self._change_view("corrections")

    def _change_view(self, view: str) -> None:
        self._view = view
        self.query_one(Views).mark(view)
        self.query_one(PagedList).show([])
        self.refresh_rows()

    # -- rows --------------------------------------------------------------------------------------------------------

    def _row(self, row: Item) -> dict[str, Cell | str]:
        if self._view in _BATCHES:
            return self._batch_row(row)
        rows: dict[str, Callable[[Item], dict[str, Cell | str]]] = {
            "overdue": self._overdue_row, "quarantined": self._quarantined_row, "corrections": self._correction_row,
        }  # fmt: skip
        return rows[self._view](row)

    def _clock(self, text: str | None) -> str:
        return clock(text, self.desk.now())

    def _batch_row(self, batch: Item) -> dict[str, Cell | str]:
        best = batch["candidates"][0] if batch["candidates"] else None
        why = f"{best['score']:.0%} {best['accession']}" if best else "; ".join(batch["reasons"])
        tone = "bad" if batch["state"] == "conflicting" else "accent" if best else "muted"
        return {
            "when": self._clock(batch["last_at"]), "who": sent_name(batch["patient_name"]) or "-",
            "number": batch["patient_number"], "what": batch["description"] or batch["modality"],
            "accession": batch["accession"] or "-", "count": str(batch["received"]), "device": batch["aet"],
            "why": Cell(why, tone),
        }  # fmt: skip

    def _overdue_row(self, exam: Item) -> dict[str, Cell | str]:
        images = exam["images"]
        count = f"{images['received']}/{images['expected'] if images['expected'] is not None else '?'}"
        return {
            "when": Cell(self._clock(images["due_at"]), "bad"), "who": name(exam, "patient_"),
            "number": exam["patient_number"], "what": exam["procedure"], "accession": exam["accession"],
            "count": count, "device": exam["device"] or "", "why": exam["assigned_to"] or "",
        }  # fmt: skip

    def _quarantined_row(self, one: Item) -> dict[str, Cell | str]:
        return {
            "when": self._clock(one["received_at"]), "who": _("{size} kB").format(size=one["size"] // 1024),
            "number": "", "what": one["sop_instance_uid"], "accession": "", "count": "1", "device": one["aet"],
            "why": Cell(one["reason"], "bad"),
        }  # fmt: skip

    def _correction_row(self, one: Item) -> dict[str, Cell | str]:
        undone = self._clock(one["undone_at"])
        way = f"{one['from'].get('accession') or '-'} > {one['to'].get('accession') or '-'}"
        why = Cell(_("undone {time}").format(time=undone), "muted") if undone else one["reason"]
        return {
            "when": self._clock(one["at"]), "who": one["by"], "number": _(one["kind"]), "what": way,
            "accession": str(one["to"].get("accession") or ""), "count": "", "device": "", "why": why,
        }  # fmt: skip

    # -- what stands beside it ---------------------------------------------------------------------------------------

    def on_paged_list_chosen(self, message: PagedList.Chosen) -> None:
        """Compare the batch under the cursor; its exams are read in full when the cursor rests."""
        message.stop()
        self._candidate = 0
        self._compare(message.item)

    def _compare(self, row: Item) -> None:
        self._draw(row)
        if self._rest:
            self._rest.stop()
        self._rest = self.set_timer(_REST, self._look_closer)

    def _look_closer(self) -> None:
        """Read the candidates of the batch under the cursor, then the exams that stand in the comparison."""
        if (batch := self._batch()) and batch["id"] not in self._read:
            self._ask_candidates(batch, lambda _batch: self._look_closer())
        elif batch and (wanted := self._wanted(batch)):
            self._read_exams(wanted)

    def _ask_candidates(self, batch: Item, then: Callable[[Item], object]) -> None:
        """Go on with a batch once its candidates are known."""

        def known(full: Item) -> None:
            batch["candidates"] = self._candidates[batch["id"]] = full["candidates"]
            batch["repairs"] = self._repairs[batch["id"]] = full["repairs"]
            self._read.add(batch["id"])
            self.query_one(PagedList).refresh()
            if self._batch() is batch:
                self._draw(batch)
            then(batch)

        if batch["id"] in self._read:
            then(batch)
        else:
            path = f"images/unfiled/{batch['id']}"
            self.ask(lambda: self.desk.client.get(path), known, only_last="candidates")

    def _wanted(self, batch: Item) -> set[str]:
        """Return the accessions that stand in the comparison and are not read yet."""
        candidate = self._candidate_of(batch)
        names = {candidate["accession"] if candidate else "", issued_to(batch)} - {""}
        return names - set(self._exams)

    def _read_exams(self, wanted: set[str]) -> None:
        def read() -> list[Item]:
            return [self.desk.client.get(f"exams/{accession}") for accession in sorted(wanted)]

        def show(exams: list[Item]) -> None:
            self._exams |= {exam["accession"]: exam for exam in exams}
            if row := self._chosen():
                self._draw(row)

        self.ask(read, show, only_last="exams", otherwise=lambda _no: None)

    def _candidate_of(self, batch: Item) -> Item | None:
        found = batch["candidates"]
        candidate: Item | None = found[self._candidate % len(found)] if found else None
        return candidate

    def _draw(self, row: Item) -> None:
        now, plain = self.desk.now(), self.desk.ascii
        tones = {tone: tone_colour(self, tone) for tone in TONES}
        beside = self.query_one("#comparison", Static)
        if self._view in _BATCHES:
            beside.update(compared(row, self._candidate_of(row), self._exams, now, tones, plain=plain))
        elif self._view == "overdue":
            beside.update(told(row, now, plain=plain))
        elif self._view == "corrections":
            beside.update(correction_told(row, now, ((_("Before"), "from"), (_("After"), "to"))))
        else:
            hint = _("a gives it a UID of its own and takes it in.") if self.desk.may(Operation.FILE) else ""
            beside.update(f"{row['reason']}\n{row['sop_instance_uid']}\n{row['study_instance_uid']}\n\n{hint}")

    def on_paged_list_emptied(self) -> None:
        """Nothing to compare."""
        self.query_one("#comparison", Static).update("")

    def action_other_candidate(self) -> None:
        """Go to the next candidate."""
        if (batch := self._batch()) and batch["candidates"]:
            self._candidate = (self._candidate + 1) % len(batch["candidates"])
            self._compare(batch)

    # -- putting right -----------------------------------------------------------------------------------------------

    def on_paged_list_opened(self, message: PagedList.Opened) -> None:
        """Enter does what the view is for."""
        message.stop()
        if self._view == "overdue":
            self.app.push_screen(ExamPage(self.desk, message.item))
        elif self._view == "corrections":
            self.action_undo()
        elif self._view == "quarantined" and self.desk.may(Operation.FILE):
            self.action_admit()
        elif self._view == "filed":
            self.action_view()
        elif self._view in _BATCHES and self.desk.may(Operation.CONFIRM_CANDIDATE):
            self.action_file()

    def action_file(self) -> None:
        """File the batch to an exam."""
        if batch := self._batch():
            self._ask_candidates(batch, partial(self._ask_exam, series=None))

    def _ask_exam(self, batch: Item, series: str | None) -> None:
        candidate = self._candidate_of(batch)
        accession = candidate["accession"] if candidate else ""
        who = f"{sent_name(batch['patient_name'])}  {batch['patient_number']}"
        title = (_("File one series: {who}") if series else _("File: {who}")).format(who=who)
        differs = ", ".join(candidate["differs"]) if candidate else ""
        fields = [
            Field("accession", _("To accession"), accession, required=True,
                  offers=tuple(one["accession"] for one in batch["candidates"])),
            Field("reason", _("Reason"), "", _("differs: {names}").format(names=differs) if differs else ""),
        ]  # fmt: skip

        def send(typed: Typed) -> Any:  # noqa: ANN401 - JSON
            return self.desk.client.post(f"images/unfiled/{batch['id']}/file", {**typed, "series": series})

        form = f"file-{batch['id']}-{(series or '')[-12:]}"
        dialog = Fill(self.desk, title, fields, send, text="; ".join(batch["reasons"]), form=form, button=_("File"))
        self.app.push_screen(dialog, self._corrected)

    def _corrected(self, correction: Item | None) -> None:
        if correction:
            to = correction["to"].get("accession")
            said = (
                _("Filed to {accession}.").format(accession=to) if to else _("Taken away; it waits among the unfiled.")
            )
            self.done(said, undo=_("u undoes it."))
            self.refresh_rows()

    def action_split(self) -> None:
        """Give one series of the batch to an exam."""
        if batch := self._batch():
            path = f"studies/{batch['study_instance_uid']}/series"
            then = partial(self._offer_series, batch)
            self.ask(lambda: self.desk.client.get(path), then, otherwise=lambda _no: then([]))

    def _offer_series(self, batch: Item, series: list[Item]) -> None:
        known = {one["uid"]: one for one in series}
        options = [(uid, _series_words(known.get(uid), uid), uid[-12:]) for uid in batch["series"]]
        dialog = Choose(_("Which series goes to another exam?"), options)
        self.app.push_screen(dialog, partial(self._split, batch))

    def _split(self, batch: Item, series: str | None) -> None:
        if series:
            self._ask_candidates(batch, partial(self._ask_exam, series=series))

    def action_unfile(self) -> None:
        """Take a filed study away from its exam."""
        batch = self._batch()
        if batch is None or self._view != "filed":
            self.notify(_("Choose a filed study first: 6 shows them."), markup=False)
            return
        title = _("Take away from its exam: {who}").format(who=sent_name(batch["patient_name"]))
        fields = [
            Field("accession", _("From accession"), batch["accession"]),
            Field("reason", _("Reason"), required=True),
        ]

        def send(typed: Typed) -> Any:  # noqa: ANN401 - JSON
            body = {"study_instance_uid": batch["study_instance_uid"], "reason": typed["reason"]}
            return self.desk.client.post(
                "images/unfile", body | ({"accession": typed["accession"]} if typed["accession"] else {})
            )

        form = f"unfile-{batch['id']}"
        self.app.push_screen(Fill(self.desk, title, fields, send, form=form, button=_("Unfile")), self._corrected)

    def action_admit(self) -> None:
        """Give an object that is kept apart a UID of its own, and take it in."""
        one = self._chosen()
        if one is None or self._view != "quarantined":
            self.notify(_("Choose an object that is kept apart first: 4 shows them."), markup=False)
            return
        path = f"images/quarantined/{one['id']}/admit"

        text = _("Another object has its UID {uid}. It is taken in under a UID of its own; the file as it came stays.")
        text = text.format(uid=one["sop_instance_uid"])
        self.app.push_screen(Confirm(_("Take this object in?"), text, yes=_("Take it in")), partial(self._admit, path))

    def _admit(self, path: str, sure: bool | None) -> None:  # noqa: FBT001 - as the dialog answers
        if sure:
            self.ask(lambda: self.desk.client.post(path, {}), self._admitted)

    def _admitted(self, made: Item) -> None:
        self.done(_("Taken in as {uid}.").format(uid=made["sop_uid"]))
        self.refresh_rows()

    def action_undo(self) -> None:
        """Undo the correction under the cursor; elsewhere the last one made."""
        if self._view == "corrections":
            if one := self._chosen():
                self._ask_undo([one])
        else:
            self.ask(lambda: self.desk.client.get("corrections", limit=50), self._ask_undo, only_last="undo")

    def _ask_undo(self, corrections: list[Item]) -> None:
        one = next((one for one in corrections if not one["undone_at"]), None)
        if one is None:
            self.notify(_("There is nothing to undo."), markup=False)
            return
        text = str(correction_told(one, self.desk.now(), ((_("After undoing"), "from"), (_("Now"), "to"))))
        fields = [Field("reason", _("Reason"))]
        send = partial(self.desk.client.post, f"corrections/{one['id']}/undo")
        title = _("Undo this correction?")
        dialog = Fill(self.desk, title, fields, send, text=text, form=f"undo-{one['id']}", button=_("Undo"))
        self.app.push_screen(dialog, self._undone)

    def _undone(self, correction: Mapping[str, Any] | None) -> None:
        if correction:
            self.done(_("Undone: everything is as it was before."), undo=_("7 shows the trace."))
            self.refresh_rows()

    def action_view(self) -> None:
        """Look at the images of a batch."""
        from console.screens.viewer import Viewer  # noqa: PLC0415 - loaded when it is opened

        if batch := self._batch():
            self.app.push_screen(Viewer(self.desk, study=batch["study_instance_uid"]))


def _series_words(series: Item | None, uid: str) -> str:
    if series is None:
        return uid
    count = _("{count} images").format(count=len(series["instances"]))
    return f"{series['number'] or ''} {series['modality']} {series['description']}  {count}".strip()
