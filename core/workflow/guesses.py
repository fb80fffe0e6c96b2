"""Wrong passwords: each stands in the audit trail, and after some of them one has to wait, longer each time.

The trail itself is what is counted, so a restart forgives nothing. A name is counted where it was typed, so that nobody
locks out a colleague from elsewhere; a name that is nobody's is treated alike, and never written down: people type
their password there.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import col, select

from core import access, audit
from core.errors import TooSoon
from core.model import AuditEntry, Site, Staff
from core.records import Work

WRONG, RIGHT = "session.refused", "session.sign_in"
SIGNATURE = "signature"  # in place of a host, where a password confirms a signature
FREE, FREE_FROM_HOST = 5, 60
_WINDOW = timedelta(hours=1)
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=10), timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A name, and where it was typed."""

    name: str
    host: str

    def marks(self) -> dict[str, str]:
        """Return what the trail keeps of it: four digits of a hash, which tell names apart but never tell one."""
        return {"host": self.host, "mark": hashlib.sha256(self.name.encode()).hexdigest()[:4]}


def demand_patience(work: Work, attempt: Attempt) -> None:
    """Refuse an attempt that comes too soon after wrong ones.

    Raises
    ------
    TooSoon
        Saying how long to wait.
    """
    recent = select(AuditEntry).where(col(AuditEntry.at) > work.now - _WINDOW)
    recent = recent.where(col(AuditEntry.action).in_((WRONG, RIGHT)))
    entries = work.session.exec(recent.order_by(col(AuditEntry.id))).all()
    marks = attempt.marks()
    here = [entry for entry in entries if entry.detail.get("host") == marks["host"]]
    own = _since_right([entry for entry in here if entry.detail.get("mark") == marks["mark"]])
    all_here = [] if _is_shared(attempt.host) else [entry for entry in here if entry.action == WRONG]
    seconds = max(_seconds_left(own, FREE, work.now), _seconds_left(all_here, FREE_FROM_HOST, work.now))
    if seconds > 0:
        raise TooSoon(f"too many wrong passwords: wait {seconds} seconds, then try again", seconds)


def _since_right(entries: Sequence[AuditEntry]) -> list[AuditEntry]:
    wrong: list[AuditEntry] = []
    for entry in entries:
        wrong = [] if entry.action == RIGHT else [*wrong, entry]
    return wrong


def _seconds_left(wrong: Sequence[AuditEntry], free: int, now: datetime) -> int:
    """Return how long to wait yet: not at all after fewer than `free`, then for a pause that doubles."""
    if len(wrong) < free:
        return 0
    pause = min(_FIRST_PAUSE * 2 ** min(len(wrong) - free, 10), _LONGEST_PAUSE)
    left: timedelta = wrong[-1].at + pause - now
    return math.ceil(left.total_seconds())


def _is_shared(host: str) -> bool:
    """Whether many people come from there: consoles on this machine, or signatures."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return True


def note(work: Work, attempt: Attempt, staff: Staff | None) -> None:
    """Write a wrong attempt into the trail, under the name of whoever it was about."""
    site = staff.site if staff else work.session.exec(select(Site.code).order_by(col(Site.code)).limit(1)).one()
    subject = staff.username if staff else ""
    audit.record(work, access.system("sign-in", site), WRONG, subject, **attempt.marks())
