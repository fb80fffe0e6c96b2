"""What people type for dates and times, read kindly: 19610304, 1961-3-4, 1961, 9:30, tomorrow 9:30."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta

from console.words import _

_DAY = re.compile(r"(\d{4})[-./ 年]?(\d{1,2})[-./ 月]?(\d{1,2})日?")
_MOMENT = re.compile(r"(?:(?P<day>\d{4}-\d{1,2}-\d{1,2}|\d{1,2}-\d{1,2}|\+\d+)\s+)?(?P<hour>\d{1,2}):(?P<minute>\d{2})")


def birth_date(text: str) -> tuple[str | None, str | None]:
    """Return (birth date as ISO text, how well it is known): ? is unknown, a year or an age such as 60y is estimated.

    Raises
    ------
    ValueError
        When it is none of these; the text is fit for a person.
    """
    text = text.strip().lstrip("~")
    if not text:
        return None, None
    if text in {"?", "？"}:
        return None, "unknown"
    if re.fullmatch(r"(18|19|20)\d\d", text):
        return f"{text}-01-01", "estimated"
    if found := _DAY.fullmatch(text):
        try:
            return date(int(found[1]), int(found[2]), int(found[3])).isoformat(), "exact"
        except ValueError:
            pass  # told below, as any other text that is no date
    raise ValueError(_("Write a birth date as 1961-03-04, a year when it is estimated, ? when it is unknown."))


def moment(text: str, now: datetime) -> datetime | None:
    """Return the moment meant: 9:30 today, +1 9:30 tomorrow, 10-24 9:30, 2026-10-24 9:30; None for nothing.

    Raises
    ------
    ValueError
        When it is none of these; the text is fit for a person.
    """
    if not text.strip():
        return None
    if found := _MOMENT.fullmatch(text.strip()):
        try:
            at = time(int(found["hour"]), int(found["minute"]))
            return datetime.combine(_day(found["day"] or "+0", now.date()), at).astimezone()
        except ValueError:
            pass  # told below, as any other text that is no time
    raise ValueError(_("Write a time as 9:30, +1 9:30 for tomorrow, 10-24 9:30 or 2026-10-24 9:30."))


def _day(text: str, today: date) -> date:
    if text.startswith("+"):
        return today + timedelta(days=int(text))
    parts = [int(part) for part in text.split("-")]
    if len(parts) == 3:  # noqa: PLR2004 - year, month, day
        return date(*parts)
    day = date(today.year, *parts)
    return day if day >= today - timedelta(days=180) else day.replace(year=today.year + 1)


def quantity(text: str) -> float | None:
    """Return a number of kilograms or centimetres; None for nothing.

    Raises
    ------
    ValueError
        When it is no number; the text is fit for a person.
    """
    if not text.strip():
        return None
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        raise ValueError(_("{text} is no number.").format(text=text.strip())) from None
