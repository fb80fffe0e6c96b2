"""How people and moments are written on a screen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from console.words import _


def latin(text: str) -> str:
    """Return the alphabetic group of a DICOM person name as people write it: Zhang^Wei=张^伟 is Zhang Wei."""
    return " ".join(text.partition("=")[0].replace("^", " ").split())


def name(person: Mapping[str, Any], before: str = "") -> str:
    """Return both scripts of a name; `before` is what its keys begin with (patient_)."""
    ideographic = str(person.get(f"{before}name_ideographic") or "").replace("^", "").replace(" ", "")
    return "  ".join(part for part in (ideographic, latin(str(person.get(f"{before}name") or ""))) if part)


def born(person: Mapping[str, Any], before: str = "") -> str:
    """Return the birth date, ~ before an estimated one, ? for an unknown one."""
    day = person.get(f"{before}birth_date")
    known = person.get(f"{before}birth_date_known", "exact")
    if not day:
        return "?"
    return f"~{str(day)[:4]}" if known == "estimated" else str(day)


def age(person: Mapping[str, Any], today: date, before: str = "") -> str:
    """Return the age in years, in months for small children."""
    text = person.get(f"{before}birth_date")
    if not text:
        return ""
    day = date.fromisoformat(str(text))
    months = (today.year - day.year) * 12 + today.month - day.month - (today.day < day.day)
    return _("{count} mo").format(count=months) if months < 36 else str(months // 12)  # noqa: PLR2004 - three years


def moment(text: str | None) -> datetime | None:
    """Read a moment of the service as local time."""
    return datetime.fromisoformat(text).astimezone() if text else None


def clock(text: str | None, now: datetime) -> str:
    """Return the time of day, with the date when it is not today."""
    at = moment(text)
    if at is None:
        return ""
    return at.strftime("%H:%M") if at.date() == now.astimezone().date() else at.strftime("%m-%d %H:%M")


def waited(text: str | None, now: datetime) -> str:
    """Return how long ago, as minutes up to two hours, then hours."""
    at = moment(text)
    if at is None:
        return ""
    minutes = max(0, int((now - at).total_seconds() // 60))
    for unit, length, most in ((_("{count} min"), 1, 120), (_("{count} h"), 60, 2880)):
        if minutes < most:
            return unit.format(count=minutes // length)
    return _("{count} d").format(count=minutes // 1440)
