"""Whether each part of the service works, and what there is to count.

Anybody may ask, as often as they like: what was found a moment ago is answered again, and one asker at a time looks, so
that askers never stand in the queue of the writers.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Generic, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, func, select

from core import wire
from core.errors import CoreError
from core.model import Batch, Damage, Event, Image, Job, Proof, Quarantined, Receipt
from core.records import Records, Work
from core.vocabulary import JobState
from core.workflow import unfiled

Look = Callable[[], str]
"""Looks at a part: raises when it does not work, returns a word of warning when it soon will not."""

_PARTS_FOR = 1.0
_COUNTED_FOR = 10.0
_STALE = 30.0  # seconds after which nobody is told an old answer
_GIGABYTE = 1e9
_ALIVE = (JobState.QUEUED, JobState.RUNNING, JobState.FAILED)

Found = TypeVar("Found")
Sample = tuple[Mapping[str, str], float]


@dataclass(frozen=True)
class Measure:
    """Something counted: `samples` are labels and numbers; a `total` only ever grows."""

    name: str
    about: str
    samples: Sequence[Sample] = field(default=())
    total: bool = False


class Lately(Generic[Found]):
    """Finds something anew when what it found is older than `seconds`; one asker looks, the others hear the old."""

    def __init__(self, find: Callable[[], Found], seconds: float) -> None:
        self._find, self._seconds = find, seconds
        self._turn = threading.Lock()
        self._found: tuple[float, Found] | None = None

    def __call__(self) -> Found:
        """Return what was found; to wait while somebody looks, it has to be the first time, or long ago."""
        before = self._found
        age = time.monotonic() - before[0] if before else _STALE
        if before and (age <= self._seconds or (age < _STALE and self._turn.locked())):
            return before[1]
        with self._turn:
            if self._found is None or self._found is before:
                self._found = (time.monotonic(), self._find())
            return self._found[1]


class Health:
    """Looks at the parts, and counts."""

    def __init__(
        self, records: Records, looks: Mapping[str, Look], places: Mapping[str, Path],
        counters: Callable[[], Sequence[Measure]] = tuple,
    ) -> None:  # fmt: skip
        """`places` are folders whose disks are watched; `counters` tells what this process has counted itself."""
        self._records, self._looks, self._places, self._counters = records, looks, places, counters
        self.parts = Lately(self._look, _PARTS_FOR)
        self._counted = Lately(self._count, _COUNTED_FOR)

    def _look(self) -> list[wire.Part]:
        return [_part(name, look) for name, look in self._looks.items()]

    def measures(self) -> list[Measure]:
        """Return everything that is counted."""
        ready = [({"part": part.name}, float(part.ready)) for part in self.parts()]
        return [
            Measure("part_ready", "Whether a part of the service works", ready),
            *_disks(self._places), *self._counters(), *self._counted(),
        ]  # fmt: skip

    def _count(self) -> list[Measure]:
        with self._records.reading() as work:
            return [*_archive(work), *_work(work)]


def _part(name: str, look: Look) -> wire.Part:
    try:
        return wire.Part(name=name, ready=True, detail=look())
    except (CoreError, OSError, SQLAlchemyError) as error:
        detail = error.detail if isinstance(error, CoreError) else type(error).__name__
        return wire.Part(name=name, ready=False, detail=detail)


def space_warning(free: float, least: float, what: str) -> str:
    """Say that a disk runs full; nothing as long as `least` bytes are free."""
    if free >= least:
        return ""
    return f"only {free / _GIGABYTE:.1f} GB are free for {what}: make room before it is full"


def _disks(places: Mapping[str, Path]) -> Iterator[Measure]:
    disks = [({"place": name}, shutil.disk_usage(place)) for name, place in places.items() if place.exists()]
    yield Measure("disk_free_bytes", "Bytes free on the disk of a place", [(name, one.free) for name, one in disks])
    yield Measure("disk_bytes", "Size of the disk of a place", [(name, one.total) for name, one in disks])


def _archive(work: Work) -> Iterator[Measure]:
    held = select(Image.site, func.count(), func.sum(Image.size)).group_by(col(Image.site))
    rows = work.session.exec(held).all()
    yield Measure("archive_objects", "Objects in the archive", [({"site": row[0]}, row[1]) for row in rows])
    yield Measure("archive_bytes", "Their bytes", [({"site": row[0]}, float(row[2])) for row in rows])
    apart = work.session.exec(select(func.count()).select_from(Quarantined)).one()
    yield Measure("archive_quarantined_objects", "Objects kept apart: their UID was another's", [({}, apart)])
    damaged = select(func.count()).select_from(Damage).where(col(Damage.mended_at).is_(None))
    damage = work.session.exec(damaged).one()
    yield Measure("archive_damaged_objects", "Objects found damaged and not mended", [({}, damage)])
    yield Measure("archive_proven_timestamp_seconds", "When a verification last ended", _proven(work))
    waiting = select(Batch.state, func.count()).where(col(Batch.state).in_(unfiled.WAITING), Batch.received > 0)
    states = dict(work.session.exec(waiting.group_by(col(Batch.state))).all())
    samples = [({"state": str(state)}, float(states.get(state, 0))) for state in unfiled.WAITING]
    yield Measure("batches_waiting", "Batches that wait to be filed", samples)


def _proven(work: Work) -> list[Sample]:
    ended = select(Proof.deep, func.max(Proof.ended_at)).where(col(Proof.ended_at).is_not(None)).group_by(Proof.deep)  # type: ignore[arg-type]
    return [({"deep": str(deep).lower()}, at.timestamp()) for deep, at in work.session.exec(ended) if at]


def _work(work: Work) -> Iterator[Measure]:
    acknowledged = work.session.exec(select(func.max(Receipt.id))).one() or 0
    about = "Objects whose storage was acknowledged, each time they came"
    yield Measure("objects_acknowledged", about, [({}, acknowledged)], total=True)
    events = work.session.exec(select(func.max(Event.seq))).one() or 0
    yield Measure("events", "Events told", [({}, events)], total=True)
    jobs = select(Job.kind, Job.state, func.count()).where(col(Job.state).in_(_ALIVE))
    rows = work.session.exec(jobs.group_by(col(Job.kind), col(Job.state))).all()
    samples = [({"kind": kind, "state": state}, count) for kind, state, count in rows]
    yield Measure("jobs", "Jobs that wait, run, or failed", samples)
    oldest = select(func.min(Job.due_at)).where(Job.state == JobState.QUEUED, col(Job.due_at) <= work.now)
    due: datetime | None = work.session.exec(oldest).one()
    age = (work.now - due).total_seconds() if due else 0.0
    yield Measure("jobs_oldest_due_seconds", "How long the job that is due longest has waited", [({}, age)])
