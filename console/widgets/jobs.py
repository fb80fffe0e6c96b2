"""How the work in the queue is told in a list."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from console.widgets import states
from console.widgets.cells import Cell
from console.widgets.people import clock
from console.words import _
from core.vocabulary import JobState

Item = Mapping[str, Any]
OPEN = frozenset({JobState.QUEUED, JobState.RUNNING})


def job_row(job: Item, now: datetime, *, ascii_only: bool) -> dict[str, Cell | str]:
    """Return one job: what and whither, how far, and why it waits or failed."""
    waits = job["state"] == JobState.QUEUED and job["error"]
    far = _("{done} of {total}").format(done=job["done"], total=job["total"]) if job["total"] else ""
    again = _("again at {time}").format(time=clock(job["due_at"], now)) if waits else ""
    return {
        "what": job["lane"] or job["kind"],
        "state": states.state(states.JOB, job["state"], ascii_only=ascii_only),
        "when": clock(job["finished_at"] or job["queued_at"], now),
        "more": "  ".join(part for part in (far, again, job["error"], job["asked_by"]) if part),
    }
