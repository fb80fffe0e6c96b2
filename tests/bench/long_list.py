"""The worklist page over 200,000 exams against the same page over 200: opening, paging, deep pages, counts.

Run: .venv/bin/python -m tests.bench.long_list [EXAMS]
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from sqlmodel import insert

from core import access, wire
from core.model import Exam, Patient, Request, Site, Step, Visit
from core.records import Records, Work
from core.vocabulary import Role
from core.workflow import catalogue, desk

DOCTOR = access.person("zhao.min", "MAIN", Role.DOCTOR)
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
STATES = ("registered", "assigned", "protocolled", "in_progress", "acquired", "ready")
TIMES = 15


def fill(folder: Path, exams: int) -> Records:
    """Make a department with a history: all but the last hundred exams are reported."""
    records = Records(f"sqlite:///{folder / f'{exams}.sqlite'}", clock=lambda: NOW, new_uid=lambda: "1.2")
    records.migrate()
    with records.writing() as work:
        work.add(Site(code="MAIN"))
        catalogue.stock_catalogue(work, "MAIN")
        for first in range(1, exams + 1, 10_000):
            numbers = range(first, min(first + 10_000, exams + 1))
            for table, row in ((Patient, _patient), (Visit, _visit), (Request, _request), (Exam, _exam), (Step, _step)):
                work.session.connection().execute(insert(table), [row(number, exams) for number in numbers])
    return records


def _at(number: int, exams: int) -> datetime:
    return NOW - timedelta(minutes=5 * (exams - number))


def _patient(number: int, exams: int) -> dict[str, Any]:
    at = _at(number, exams)
    return {"id": number, "site": "MAIN", "number": f"P{number:07}", "name": f"Li^{number}", "registered_at": at,
            "changed_at": at, "same_name": f"li {number % 5000}"}  # fmt: skip


def _visit(number: int, exams: int) -> dict[str, Any]:
    return {"id": number, "site": "MAIN", "patient_id": number, "at": _at(number, exams)}


def _request(number: int, exams: int) -> dict[str, Any]:
    at = _at(number, exams)
    return {"id": number, "site": "MAIN", "patient_id": number, "visit_id": number, "requested_at": at}


def _exam(number: int, exams: int) -> dict[str, Any]:
    at, recent = _at(number, exams), number > exams - 100
    return {
        "id": number, "site": "MAIN", "accession": f"A{number:07}", "patient_id": number, "visit_id": number,
        "request_id": number, "procedure": "BONE-WB", "urgency_rank": number % 20 and 2, "registered_at": at,
        "queued_at": at, "arrived_at": at, "state": STATES[number % 6] if recent else "reported",
        "assigned_to": f"doctor{number % 4}" if number % 5 else "zhao.min", "study_instance_uid": f"2.25.{number}",
        "images_due_at": at + timedelta(days=1), "report_due_at": at + timedelta(days=2), "device": "SPECT1",
    }  # fmt: skip


def _step(number: int, exams: int) -> dict[str, Any]:
    return {"id": number, "site": "MAIN", "exam_id": number, "sps_id": f"S{number}", "name": "whole body",
            "planned_at": _at(number, exams), "state": "scheduled" if number > exams - 100 else "done"}  # fmt: skip


def milliseconds(records: Records, ask: Callable[..., object]) -> float:
    """Return the median time of one answer."""
    took = []
    for _ in range(TIMES):
        with records.reading() as work:
            began = time.perf_counter()
            ask(work)
            took.append(1000 * (time.perf_counter() - began))
    return median(took)


def _page(wanted: wire.ExamsWanted, work: Work) -> object:
    return desk.exams(work, DOCTOR, wanted)


def main() -> None:
    """Print a line for each question."""
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    wanted = {
        "open, all": {}, "page 2": {"offset": 50}, "middle": {"offset": many // 2}, "last": {"offset": many - 50},
        "open ones": {"state": list(STATES)}, "registered": {"state": ["registered"]}, "mine": {"assigned_to": "me"},
        "mine to read": {"assigned_to": "me", "state": ["acquired", "ready"]}, "today": {"date": "today"},
        "late": {"late": True}, "recent": {"order": "recent"}, "recent, deep": {"order": "recent", "offset": many - 50},
        "reported": {"state": ["reported"]}, "by due": {"order": "due"}, "accession": {"query": "A0000017"},
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        few, lots = fill(Path(folder), 200), fill(Path(folder), many)
        for name, how in wanted.items():
            ask = partial(_page, wire.ExamsWanted.model_validate(how))
            small, large = milliseconds(few, ask), milliseconds(lots, ask)
            print(f"{name:14} {small:7.1f} ms over 200   {large:7.1f} ms over {many}   ratio {large / small:5.2f}")
        small, large = (milliseconds(r, lambda w: desk.today(w, DOCTOR)) for r in (few, lots))
        print(f"{'the day':14} {small:7.1f} ms over 200   {large:7.1f} ms over {many}   ratio {large / small:5.2f}")


if __name__ == "__main__":
    main()
