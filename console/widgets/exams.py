"""An exam told in full, beside a list or on a page of its own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.text import Text

from console.widgets import states
from console.widgets.cells import Cell
from console.widgets.people import age, born, clock, name
from console.words import _

Exam = Mapping[str, Any]
_BOLD = {"bad": "bold", "warn": "bold", "accent": "bold", "good": "bold", "strong": "bold", "muted": "dim"}


def told(exam: Exam, now: datetime, *, plain: bool = False) -> Text:
    """Return who, what, why, where it stands: the request, the checks, the steps, images and report."""
    text = Text()
    text.append(f"{name(exam, 'patient_')}\n", "bold")
    if exam["same_name_today"]:
        text.append(f"{states.same_name(ascii_only=plain)}: {_('another patient of this name is here today')}\n")
    who = [exam["patient_number"], exam["patient_sex"], born(exam, "patient_"), age(exam, now.date(), "patient_")]
    text.append("  ".join(part for part in who if part) + "\n\n")
    for label, value in _facts(exam, now, plain=plain):
        _line(text, label, value)
    _steps(text, exam, now, plain=plain)
    _checks(text, exam)
    return text


def _facts(exam: Exam, now: datetime, *, plain: bool) -> list[tuple[str, str | Cell]]:
    images, report = exam["images"], exam["report"]
    count = f"{images['received']}/{images['expected'] if images['expected'] is not None else '?'}"
    looks = states.state(states.IMAGES, images["state"], ascii_only=plain)
    body = "  ".join(f"{exam[key]} {unit}" for key, unit in (("weight_kg", "kg"), ("height_cm", "cm")) if exam[key])
    facts: list[tuple[str, str | Cell]] = [
        (_("Exam"), f"{exam['procedure']}  {exam['procedure_name']}"),
        (_("Accession"), exam["accession"]),
        (_("State"), states.state(states.EXAM, exam["state"], ascii_only=plain)),
        (_("Urgency"), states.state(states.URGENCY, exam["urgency"], ascii_only=plain)),
        (_("Visit"), f"{states.state(states.VISIT, exam['visit']).text}  {exam['from_department']}"),
        (_("Booked"), clock(exam["booked_at"], now)),
        (_("Arrived"), clock(exam["arrived_at"], now)),
        (_("Doctor"), exam["assigned_to"] or ""),
        (_("Device"), exam["device"] or ""),
        (_("Plan"), exam["plan"]),
        (_("Complaint"), exam["complaint"]),
        (_("Diagnosis"), exam["diagnosis"]),
        (_("Laboratory"), exam["lab"]),
        (_("Body"), body),
        (_("Infection"), Cell(exam["infection"], "bad")),
        (_("Images"), Cell(f"{looks.text} {count}", looks.tone)),
        (_("Report"), states.state(states.REPORT, report["state"], ascii_only=plain)),
        (_("Report due"), clock(report["due_at"], now)),
        (_("Closed because"), exam["closed_reason"]),
    ]
    return facts


def _line(text: Text, label: str, value: str | Cell) -> None:
    cell = Cell(value) if isinstance(value, str) else value
    if cell.text.strip():
        text.append(f"{label}  ", "dim")
        text.append(f"{cell.text.strip()}\n", _BOLD.get(cell.tone, ""))


def _steps(text: Text, exam: Exam, now: datetime, *, plain: bool) -> None:
    if exam["steps"]:
        text.append(f"\n{_('Steps')}\n", "dim")
    for step in exam["steps"]:
        looks = states.state(states.STEP, step["state"], ascii_only=plain)
        when = clock(step["started_at"] or step["planned_at"], now)
        devices = ",".join(step["devices"])
        text.append("  ".join(part for part in (looks.text, step["name"], when, devices) if part) + "\n")


def _checks(text: Text, exam: Exam) -> None:
    if exam["checks"]:
        text.append(f"\n{_('Checks')}\n", "dim")
    for check in exam["checks"]:
        answer = check["answer"] or (_("overridden") if check["overridden"] else "")
        text.append(f"{states.check(check['name'])}: ")
        text.append(
            f"{answer or _('not answered')}  {check['note']} {check['by']}".rstrip() + "\n", "" if answer else "bold"
        )
