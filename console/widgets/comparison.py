"""A batch as sent beside the exam as registered and the exam whose worklist entry it used, differences marked.

What differs is what the service says; only where it says nothing of a worklist entry are the texts themselves compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from console.widgets import states
from console.widgets.paged_list import Item
from console.widgets.people import clock, name
from console.widgets.repairs import repair_lines
from console.words import _

Tones = Mapping[str, str]
_LABEL = 10  # cells of the names of the rows
_SAYS = {
    "number": "patient number", "name": "name", "born": "birth date", "sex": "sex", "accession": "accession",
    "what": "body part", "device": "device", "uid": "study uid", "modality": "modality",
}  # fmt: skip


def sent_name(text: str) -> str:
    """Return a name as it stands in an object, both groups as people write them."""
    return name({"name": text, "name_ideographic": text.partition("=")[2].partition("=")[0]})


def sent_day(text: str) -> str:
    """Return a DICOM date as 1961-03-04; what is none stays as it came."""
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == len("19610304") and text.isdigit() else text


def _sent(batch: Item) -> dict[str, str]:
    return {
        "number": batch["patient_number"], "name": sent_name(batch["patient_name"]),
        "born": sent_day(batch["birth_date"]), "sex": batch["sex"], "accession": batch["accession"],
        "what": batch["description"], "modality": batch["modality"], "device": batch["aet"],
        "uid": _("issued by us") if batch["from_worklist"] else _("of its own"),
    }  # fmt: skip


def _registered(exam: Item | None, candidate: Item | None = None) -> dict[str, str]:
    if exam is not None:
        return {
            "number": exam["patient_number"], "name": name(exam, "patient_"),
            "born": str(exam["patient_birth_date"] or ""), "sex": exam["patient_sex"], "accession": exam["accession"],
            "what": exam["procedure_name"], "modality": exam["modality"], "device": exam["device"] or "", "uid": "",
        }  # fmt: skip
    if candidate is not None:
        return {
            "number": candidate["patient_number"], "name": name(candidate, "patient_"),
            "born": str(candidate["birth_date"] or ""), "sex": candidate["sex"],
            "accession": candidate["accession"], "what": candidate["procedure"],
        }  # fmt: skip
    return {}


def compared(
    batch: Item, candidate: Item | None, exams: Mapping[str, Item], now: datetime, tones: Tones, *, plain: bool
) -> RenderableType:
    """Return the whole comparison: why it waits, the three columns, the candidates."""
    issued = issued_to(batch)
    registered = _registered(exams.get(candidate["accession"]) if candidate else None, candidate)
    worklist = _registered(exams.get(issued), _candidate_of(batch, issued)) if issued else {}
    differs = set(candidate["differs"]) if candidate else set()
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(width=_LABEL, no_wrap=True)
    for _column in range(3):
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_row("", *(Text(one, style="bold") for one in (_("as sent"), _("as registered"), _("worklist-issued"))))
    words = (
        ("number", _("Number")), ("name", _("Name")), ("born", _("Born")), ("sex", _("Sex")),
        ("accession", _("Accession")), ("what", _("Exam")), ("device", _("Device")), ("uid", _("Study UID")),
    )  # fmt: skip
    sent = _sent(batch)
    for key, label in words:
        wrong = registered.get(key) and _SAYS[key] in differs
        other = worklist.get(key) and _differs(batch, issued, key, sent[key], worklist[key])
        table.add_row(
            Text(label, style="dim"), Text(sent[key] or "-"),
            _cell(registered.get(key, ""), tones, plain=plain, wrong=bool(wrong)),
            _cell(worklist.get(key, ""), tones, plain=plain, wrong=bool(other)),
        )  # fmt: skip
    mended = repair_lines(batch.get("repairs") or [])
    parts = (_why(batch, now, tones), table, _candidates(batch, candidate, tones, plain=plain))
    return Group(*parts, mended) if mended else Group(*parts)


def issued_to(batch: Item) -> str:
    """Return the accession of the exam whose Study UID the batch bears."""
    for one in batch["candidates"]:
        if "study uid agrees" in one["reasons"]:
            return str(one["accession"])
    return str(batch["contradicts"] or "") if batch["from_worklist"] else ""


def _candidate_of(batch: Item, accession: str) -> Item | None:
    return next((one for one in batch["candidates"] if one["accession"] == accession), None)


def _differs(batch: Item, issued: str, key: str, sent: str, there: str) -> bool:
    candidate = _candidate_of(batch, issued)
    if candidate is not None:
        return _SAYS[key] in candidate["differs"]
    return bool(sent) and key != "what" and sent.casefold() != there.casefold()


def _cell(text: str, tones: Tones, *, plain: bool, wrong: bool) -> Text:
    if not text:
        return Text("-", style="dim")
    return Text(f"{'#' if plain else '≠'} {text}", style=tones["bad"]) if wrong else Text(text)


def _why(batch: Item, now: datetime, tones: Tones) -> Text:
    text = Text()
    for reason in batch["reasons"]:
        text.append(f"{reason}\n", tones["bad" if batch["state"] == "conflicting" else "warn"])
    came = _("objects: {count}, series: {series}, last {time}").format(
        count=batch["received"], series=len(batch["series"]), time=clock(batch["last_at"], now)
    )
    return text.append(came, "dim")


def _candidates(batch: Item, chosen: Item | None, tones: Tones, *, plain: bool) -> Text:
    text = Text()
    if not batch["candidates"]:
        return text.append(_("No candidate: f files it to an accession number you type."), tones["muted"])
    for one in batch["candidates"]:
        here = chosen is not None and one["accession"] == chosen["accession"]
        mark = (">" if plain else "▸") if here else " "
        state = states.state(states.EXAM, one["state"], ascii_only=plain).text
        head = f"{mark} {one['score']:.0%} {one['accession']} {one['procedure']} {state}"
        text.append(f"{head}: ", "bold" if here else "")
        text.append(", ".join(one["reasons"]) + "\n", "" if here else "dim")
    return text


def correction_told(correction: Item, now: datetime, names: Sequence[tuple[str, str]]) -> Text:
    """Return a correction: what was before, what came after, who, when, why."""
    text = Text()
    text.append(f"{correction['kind']}  {clock(correction['at'], now)}  {correction['by']}\n", "bold")
    if correction["undone_at"]:
        text.append(_("undone {time}").format(time=clock(correction["undone_at"], now)) + "\n", "bold")
    for label, key in names:
        there = correction[key]
        said = f"{there.get('accession') or '-'}  {there.get('state') or ''}".rstrip()
        text.append(f"{label}: ", "dim").append(f"{said}\n")
    text.append(f"{_('Reason')}: ", "dim").append(f"{correction['reason'] or '-'}\n")
    text.append(f"{_('Study')}: ", "dim").append(f"{correction['study_instance_uid']}\n")
    for series in correction["to"].get("series") or []:
        text.append(f"{_('Series')}: ", "dim").append(f"{series}\n")
    return text
