"""What a technologist must see of one step at the camera: who, what is unanswered, the dose, the window, the frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from rich.text import Text

from console.widgets import states
from console.widgets.paged_list import Item
from console.widgets.people import age, born, clock, moment, name
from console.words import _

Tones = Mapping[str, str]  # tone -> rich style


def unanswered(exam: Mapping[str, Any]) -> list[str]:
    """Return the names of the checks nobody has answered or overridden."""
    return [check["name"] for check in exam["checks"] if not check["answer"] and not check["overridden"]]


def planned(step: Mapping[str, Any], now: datetime) -> str:
    """Return when a step is planned, in words near today, and how far it may drift: tomorrow 09:10 ± 60 min."""
    at = moment(step["planned_at"])
    if at is None:
        return ""
    days = (at.date() - now.astimezone().date()).days
    near = {-1: _("yesterday"), 0: "", 1: _("tomorrow")}
    day = near[days] if days in near else at.strftime("%m-%d")
    window = _("± {count} min").format(count=step["window_minutes"]) if step["window_minutes"] else ""
    return " ".join(part for part in (day, at.strftime("%H:%M"), window) if part)


def frames(counts: Mapping[str, Any]) -> str:
    """Return images that came of those expected."""
    expected = counts["expected"]
    return f"{counts.get('received', counts.get('images'))}/{'?' if expected is None else expected}"


def dose_of(exam: Mapping[str, Any], step: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the dose that serves a step, the last one when there were several."""
    return next((dose for dose in reversed(exam["doses"]) if step["id"] in dose["steps"]), None)


def card(exam: Item, step: Item, now: datetime, tones: Tones, *, plain: bool) -> Text:
    """Put one step's card together, the most important line first."""
    text = Text()
    mark = f"  {states.same_name(ascii_only=plain)}" if exam["same_name_today"] else ""
    text.append(name(exam, "patient_"), "bold")
    text.append(f"{mark}\n", tones["bad"])
    who = (exam["patient_number"], exam["patient_sex"], born(exam, "patient_"), age(exam, now.date(), "patient_"))
    text.append("  ".join(part for part in who if part) + "\n")
    _checks(text, exam, tones)
    if exam["infection"]:
        text.append(f"{_('Infection')}: {exam['infection']}\n", tones["bad"])
    text.append(f"{exam['procedure_name']}  {exam['accession']}\n")
    _doses(text, exam, step, now, tones)
    _steps(text, exam, step, now, tones, plain=plain)
    _rest(text, exam)
    return text


def _checks(text: Text, exam: Item, tones: Tones) -> None:
    if waiting := unanswered(exam):
        text.append(f"{_('NOT ANSWERED')}: {', '.join(_(one) for one in waiting)}\n", tones["bad"])
    elif exam["checks"]:
        text.append(f"{_('Checks answered')}: {', '.join(_said(one) for one in exam['checks'])}\n", tones["good"])


def _said(check: Mapping[str, Any]) -> str:
    return f"{_(check['name'])} {check['answer'] or _('overridden')}"


def _doses(text: Text, exam: Item, step: Item, now: datetime, tones: Tones) -> None:
    dose = dose_of(exam, step)
    if dose is None:
        if step["injected_at"]:
            text.append(f"{_('Injected')} {clock(step['injected_at'], now)}\n")
        return
    text.append(f"{dose['radiopharmaceutical']}  ", "bold")
    parts = [(_("planned"), dose["planned_mbq"], None), (_("drawn"), dose["drawn_mbq"], dose["drawn_at"])]
    parts.append((_("residual"), dose["residual_mbq"], dose["residual_at"]))
    told = [_measured(words, mbq, at, now) for words, mbq, at in parts if mbq is not None]
    text.append("  ".join(told) + "\n")
    if dose["injected_at"]:
        said = _("injected {time} by {who}").format(time=clock(dose["injected_at"], now), who=dose["injected_by"])
        text.append(said + "\n", tones["accent"])
    else:
        text.append(_("not injected yet") + "\n", tones["warn"])


def _measured(words: str, mbq: float, at: str | None, now: datetime) -> str:
    return f"{words} {mbq:g} MBq" + (f" {clock(at, now)}" if at else "")


def _steps(text: Text, exam: Item, chosen: Item, now: datetime, tones: Tones, *, plain: bool) -> None:
    follows = next((one for one in exam["steps"] if one["state"] in {"scheduled", "arrived", "injected"}), None)
    for step in exam["steps"]:
        looks = states.state(states.STEP, step["state"], ascii_only=plain)
        here = (">" if plain else "▸") if step["id"] == chosen["id"] else " "
        parts = [looks.text, step["name"], planned(step, now), frames(step), ",".join(step["devices"])]
        line = f"{here} " + "  ".join(part for part in parts if part)
        if follows is not None and step["id"] == follows["id"]:
            line += f"  {_('(next)')}"
        text.append(line + "\n", "bold" if step["id"] == chosen["id"] else tones[looks.tone] if looks.tone else "")
        if step["reason"]:
            text.append(f"    {step['reason']}\n", tones["muted"])
    images = exam["images"]
    looks = states.state(states.IMAGES, images["state"], ascii_only=plain)
    text.append(f"{_('Images')}: {looks.text} {frames(images)}\n", tones[looks.tone] if looks.tone else "")


def _rest(text: Text, exam: Item) -> None:
    body = "  ".join(f"{exam[key]:g} {unit}" for key, unit in (("weight_kg", "kg"), ("height_cm", "cm")) if exam[key])
    facts: Iterable[tuple[str, str]] = (
        (_("Plan"), exam["plan"]), (_("Body"), body), (_("Diagnosis"), exam["diagnosis"]),
        (_("Complaint"), exam["complaint"]), (_("Doctor"), exam["assigned_to"] or ""),
    )  # fmt: skip
    for label, value in facts:
        if value:
            text.append(f"{label}: ", "dim")
            text.append(f"{value}\n")
