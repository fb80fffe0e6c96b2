"""Dates, times and moments as keys ask for them and as objects have them (PS3.4 C.2.2.2.5, PS3.5 6.2)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import Generic, TypeVar

When = TypeVar("When", date, time, datetime)

_DATE = re.compile(r"\d{8}")
_TIME = re.compile(r"(\d{2})(?:(\d{2})(?:(\d{2})(?:\.(\d{1,6}))?)?)?")
_DATE_TIME = re.compile(r"(\d{4}(?:\d{2}){0,5})(?:\.(\d{1,6}))?(?:([+-])(\d{2})(\d{2}))?")


def as_date(text: str) -> date | None:
    """Read a DA value; None when it is not one."""
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:])) if _DATE.fullmatch(text) else None
    except ValueError:
        return None


def as_time(text: str) -> time | None:
    """Read a TM value of any precision; None when it is not one. What it leaves out is zero."""
    found = _TIME.fullmatch(text)
    if not found:
        return None
    try:
        return time(int(found[1]), int(found[2] or 0), int(found[3] or 0), int((found[4] or "0").ljust(6, "0")))
    except ValueError:
        return None


def as_moment(text: str) -> datetime | None:
    """Read a DT value of any precision; one without an offset counts as UTC, so that two without compare as written."""
    found = _DATE_TIME.fullmatch(text)
    if not found:
        return None
    digits = found[1] + "00000101000000"[len(found[1]) :]
    sign = -1 if found[3] == "-" else 1
    offset = sign * timedelta(hours=int(found[4] or 0), minutes=int(found[5] or 0))
    try:
        fraction = timedelta(microseconds=int((found[2] or "0").ljust(6, "0")))
        return datetime.strptime(f"{digits}+0000", "%Y%m%d%H%M%S%z").replace(tzinfo=timezone(offset)) + fraction
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True)
class Range(Generic[When]):
    """What a date or time key asks for; an end that is None is open, `single` means one value and no range."""

    first: When | None
    last: When | None
    single: bool = False

    def holds(self, value: When | None) -> bool:
        """Say whether a value lies inside, both ends included; an unknown value does not."""
        return (
            value is not None
            and (self.first is None or self.first <= value)
            and (self.last is None or value <= self.last)
        )


def as_range(text: str, read: Callable[[str], When | None]) -> Range[When] | None:
    """Read a DA, TM or DT key: one value, or a range whose ends may be open (C.2.2.2.5); None when it is neither.

    Strict, as DCMTK is: no blanks, no ACR-NEMA separators.
    """
    single = read(text)
    if single is not None:
        return Range(single, single, single=True)
    for dash in (found.start() for found in re.finditer("-", text)):
        ends = text[:dash], text[dash + 1 :]
        first, last = (read(end) if end else None for end in ends)
        if all(bool(end) == (value is not None) for end, value in zip(ends, (first, last), strict=True)):
            return Range(first, last)
    return None


def is_range(text: str, vr: str) -> bool:
    """Say whether a key is a value or a range of a DA, TM or DT."""
    if vr == "TM":
        return as_range(text, as_time) is not None
    return (as_range(text, as_moment) if vr == "DT" else as_range(text, as_date)) is not None


def in_range(asked: str, known: str, vr: str) -> bool:
    """Say whether a known DA, TM or DT lies in what is asked for."""
    if vr == "TM":
        times = as_range(asked, as_time)
        return times is not None and times.holds(known_time(known))
    if vr == "DT":
        moments = as_range(asked, as_moment)
        return moments is not None and moments.holds(as_moment(known))
    dates = as_range(asked, as_date)
    return dates is not None and dates.holds(known_date(known))


def known_date(text: str) -> date | None:
    """Read a date that an object holds, also as ACR-NEMA wrote it: yyyy.mm.dd (PS3.5 6.2)."""
    return as_date(text.replace(".", ""))


def known_time(text: str) -> time | None:
    """Read a time that an object holds, also as ACR-NEMA wrote it: hh:mm:ss (PS3.5 6.2)."""
    return as_time(text.replace(":", ""))


def as_one(dates: Range[date], times: Range[time]) -> Range[datetime] | None:
    """Join a range of dates and a range of times into one (Table K.6-1); None where their open ends do not fit.

    Where a closed range of dates meets an open end of time, the last day counts to its midnight, as in DCMTK; the
    standard speaks of closed ranges only.
    """
    if dates.single or times.single:
        return None
    if (times.first and not dates.first) or (times.last and not dates.last):
        return None
    first = datetime.combine(dates.first, times.first or time.min) if dates.first else None
    last = datetime.combine(dates.last, times.last or time.min) if dates.last else None
    return Range(first, last)


def moment_matches(asked: tuple[str, str], known: tuple[str, str]) -> bool:
    """Match date and time as one moment where both are ranges of the same form, else each by itself."""
    dates, times = as_range(asked[0], as_date), as_range(asked[1], as_time)
    day, hour = known_date(known[0]), known_time(known[1])
    if dates is None or times is None or day is None or hour is None:
        return False
    together = as_one(dates, times)
    if together is None:
        return dates.holds(day) and times.holds(hour)
    return together.holds(datetime.combine(day, hour))
