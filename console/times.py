"""Moments as people type them: 10:30, +1 10:30 (tomorrow), 2026-11-22 10:30, 10-22 10:30; nothing is now."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta

from console.words import _

_DAY = r"(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})[ T]|(?P<month_only>\d{1,2})-(?P<day_only>\d{1,2}) "
_FORMS = re.compile(rf"(?:{_DAY}|(?P<shift>[+-]\d{{1,3}}) )?(?P<hour>\d{{1,2}})[:：.]?(?P<minute>\d{{2}})")


class MomentUnread(ValueError):
    """What was typed is no moment; says how one is written."""


def read_moment(text: str, now: datetime) -> datetime:
    """Return the local moment that was typed; raises MomentUnread."""
    text = " ".join(text.split())
    if not text:
        return now
    try:
        return _read(_FORMS.fullmatch(text), now)
    except ValueError as error:
        example = now.strftime("%Y-%m-%d %H:%M")
        said = _("'{text}' is no time: write 10:30, +1 10:30 for tomorrow, or {example}")
        raise MomentUnread(said.format(text=text, example=example)) from error


def _read(found: re.Match[str] | None, now: datetime) -> datetime:
    if found is None:
        raise ValueError
    return datetime.combine(_day(found, now), time(int(found["hour"]), int(found["minute"]))).astimezone()


def _day(found: re.Match[str], now: datetime) -> date:
    today = now.astimezone().date()
    if found["year"]:
        return date(int(found["year"]), int(found["month"]), int(found["day"]))
    if found["month_only"]:
        return date(today.year, int(found["month_only"]), int(found["day_only"]))
    return today + timedelta(days=int(found["shift"] or 0))
