"""What is said around a report: who holds it, what warns, what it rests on, what came before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.text import Text

from console.widgets import states
from console.widgets.people import age, born, clock, name
from console.words import _
from core.vocabulary import LockReason

Report = Mapping[str, Any]


def who_line(exam: Mapping[str, Any], now: datetime) -> Text:
    """Say whose report it is."""
    text = Text(name(exam, "patient_"), "bold", no_wrap=True)
    who = [exam["patient_sex"], born(exam, "patient_"), age(exam, now.date(), "patient_"), exam["patient_number"]]
    text.append("  " + "  ".join(part for part in who if part), "")
    text.append(f"  {exam['procedure']}  {exam['accession']}")
    return text


def lock_line(report: Report, saved: str, now: datetime, *, me: str, plain: bool) -> Text:
    """Say how the report stands: its state, who holds it and since when, and when it was saved."""
    looks = states.state(states.REPORT, report["state"], ascii_only=plain)
    text = Text(looks.text, "bold", no_wrap=True)
    if report["version"]:
        text.append(_("  version {number}").format(number=report["version"]))
    if report["signed_by"]:
        text.append("  " + _("signed by {who}").format(who=report["signed_by"]) + " " + clock(report["signed_at"], now))
    elif report["author"]:
        text.append("  " + _("by {who}").format(who=report["author"]))
    if report["fence"] is not None:
        text.append("  " + _("you are writing since {time}").format(time=clock(report["held_since"], now)), "bold")
    elif report["holder"]:
        who = _("you, at another desk,") if report["holder"] == me else report["holder"]
        held = _("{who} is writing since {time}").format(who=who, time=clock(report["held_since"], now))
        text.append(f"  {held}", "bold reverse")
    if saved:
        text.append(f"  {saved}", "dim")
    return text


def banners(
    report: Report, exam: Mapping[str, Any], now: datetime, *, plain: bool, trouble: str = ""
) -> list[tuple[str, str]]:
    """Return what a reader must not miss, as (words, tone); `trouble` is what keeps a text from being saved."""
    mark = "! " if plain else "⚠ "
    said: list[tuple[str, str]] = [(trouble, "bad")] if trouble else []
    if report["asked_by"] and report["fence"] is not None:
        said.append((_("{who} asks for this report: F9 hands it over").format(who=report["asked_by"]), "warn"))
    if report["images_changed"]:
        changes = ", ".join(f"{_(one['change'])} {clock(one['at'], now)}" for one in report["images_changed"][:3])
        said.append((_("images changed since signing: {changes}; Ctrl+N marks it seen").format(changes=changes), "bad"))
    if report["comment"]:
        said.append((_("returned: {comment}").format(comment=report["comment"]), "warn"))
    if report["amend_reason"] and report["fence"] is not None:
        said.append((_("amending: {reason}").format(reason=report["amend_reason"]), "accent"))
    if report["override_reason"]:
        said.append((_("lock overridden: {reason}").format(reason=report["override_reason"]), "bad"))
    said += [(_(warning), "warn") for warning in report["warnings"]]
    if report["rejected"] and report["fence"] is not None:
        said.append((_("{count} texts kept from late writes: Ctrl+L").format(count=report["rejected"]), "warn"))
    if exam["same_name_today"]:
        said.append((_("another patient of this name is here today"), "warn"))
    return [(mark + words, tone) for words, tone in said]


def locked_words(report: Report, exam: Mapping[str, Any], heard: str, now: datetime) -> str:
    """Say why nothing can be written, when the device was last heard, and what to do."""
    images, lines = exam["images"], []
    due = images["expected"] if images["expected"] is not None else "?"
    if report["lock_reason"] == LockReason.NO_IMAGES:
        lines.append(_("Locked: no images of {accession} have arrived.").format(accession=exam["accession"]))
    elif report["lock_reason"] == LockReason.CONFLICTING:
        lines.append(_("Locked: images sent for {accession} contradict it.").format(accession=exam["accession"]))
        lines.append(_("They have to be put right on the filing page first."))
    lines.append(_("Images {received}/{due}").format(received=images["received"], due=due))
    if images["due_at"]:
        lines.append(_("due {time}").format(time=clock(images["due_at"], now)))
    if exam["device"]:
        lines.append(
            _("Device {aet} last heard {time}").format(aet=exam["device"], time=clock(heard, now) or _("never"))
        )
    lines.append(_("t tells the technologist."))
    return "\n".join(lines)


def around(report: Report, exam: Mapping[str, Any], priors: Sequence[Report], now: datetime, *, plain: bool) -> Text:
    """Tell what stands beside the text: request, images it rests on, consultations, earlier reports."""
    text = Text()
    _request(text, exam)
    _series(text, report, exam)
    _consultations(text, report, now, plain=plain)
    _priors(text, priors, now)
    return text


def _request(text: Text, exam: Mapping[str, Any]) -> None:
    said = [exam["complaint"], exam["diagnosis"], exam["lab"], exam["plan"]]
    _heading(text, _("Request"))
    text.append("\n".join(filter(None, said)) or "-")
    text.append("\n")
    for dose in exam["doses"]:
        amount = dose["drawn_mbq"] if dose["drawn_mbq"] is not None else dose["planned_mbq"]
        text.append(f"{dose['radiopharmaceutical']} {amount if amount is not None else '?'} MBq\n")


def _series(text: Text, report: Report, exam: Mapping[str, Any]) -> None:
    _heading(text, _("Images it rests on"))
    for one in report["series"]:
        date = str(one["date"])
        day = f"{date[:4]}-{date[4:6]}-{date[6:8]}" if len(date) >= len("YYYYMMDD") else date
        what = f"{one['modality']} {one['description']}".strip()
        text.append(f"{exam['accession']}  {one['step'] or '-'}  {day}  ")
        text.append(f"{what}\n", "dim")
    if not report["series"]:
        text.append("-\n")


def _consultations(text: Text, report: Report, now: datetime, *, plain: bool) -> None:
    for case in report["consultations"]:
        _heading(text, _("Consultation"))
        text.append_text(case_told(case, now, plain=plain))


def case_told(case: Mapping[str, Any], now: datetime, *, plain: bool) -> Text:
    """Tell a case put before colleagues: its state, the question, opinions in their order, the conclusion."""
    text = Text()
    looks = states.state(states.CONSULTATION, case["state"], ascii_only=plain)
    text.append(f"{looks.text}  {clock(case['scheduled_at'], now)}".rstrip() + "\n", "bold")
    text.append(f"{_('Question')}  ", "dim").append(f"{case['question']}\n")
    text.append(f"{_('Asked by')}  ", "dim").append(f"{case['requested_by']} {clock(case['requested_at'], now)}\n")
    for said in case["opinions"]:
        text.append(f"{said['by']} {clock(said['at'], now)}  ", "dim").append(f"{said['text']}\n")
    if case["conclusion"]:
        text.append(f"{_('Conclusion')}  ", "dim").append(f"{case['conclusion']}", "bold")
        text.append(f"  {case['concluded_by']} {clock(case['concluded_at'], now)}\n", "dim")
    return text


def _priors(text: Text, priors: Sequence[Report], now: datetime) -> None:
    if priors:
        _heading(text, _("Earlier reports"))
    for prior in priors:
        text.append(f"{prior['procedure']}  {prior['accession']}  {clock(prior['signed_at'], now)}\n", "bold")
        said = prior["text"].get("impression") or prior["text"].get("findings") or "-"
        text.append(f"{said}\n")


def versions_told(versions: Sequence[Mapping[str, Any]], now: datetime) -> str:
    """Tell every version, the newest first, in full."""
    lines: list[str] = []
    for one in reversed(versions):
        head = [f"{one['number']}", _(states.REPORT[one["state"]][2]), clock(one["written_at"], now), one["author"]]
        if one["signed_by"]:
            head.append(_("signed by {who}").format(who=one["signed_by"]))
        lines.append("  ".join(head))
        if one["predecessor"]:
            lines.append(_("  after version {number}").format(number=one["predecessor"]))
        if one["reason"]:
            lines.append(_("  because: {reason}").format(reason=one["reason"]))
        lines += [f"  {name}: {text}" for name, text in one["text"].items() if text.strip()]
        if one["sha256"]:
            lines.append(_("  rests on {count} objects, SHA-256 {digest}").format(
                count=len(one["images"]), digest=one["sha256"][:16]
            ))  # fmt: skip
        lines.append("")
    return "\n".join(lines).strip() or _("No version yet.")


def _heading(text: Text, words: str) -> None:
    text.append("\n" if text else "")
    text.append(f"{words}\n", "bold underline")
