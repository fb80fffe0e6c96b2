"""Answer what other nodes ask for: queries over what arrived, and the objects themselves.

Reading waits for nobody that writes; what leaves is in the audit trail.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword

from core import access, audit, wire
from core.archive import conversions, index
from core.dicom import matching
from core.dicom.identifiers import RETRIEVE_AE_TITLE, TIMEZONE_OFFSET, IdentifierWriter, Shown
from core.dicom.information_models import LEVELS, UNIQUE_KEYS, Model
from core.errors import Invalid, NotFound
from core.records import Records, Work
from core.scu.peer import Object
from core.workflow import availability, devices

_NOTED_EVERY = timedelta(minutes=1)
_MOST_NOTED = 1000


@dataclass(frozen=True, slots=True)
class Asker:
    """A node that asks: the AE title it calls itself, where it calls from, and the site it belongs to."""

    aet: str
    host: str
    site: str


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What is to be sent, in order, and to which device; to the asker itself where none is named."""

    objects: list[Object]
    device: wire.Device | None = None


class Finder:
    """Answers queries, and remembers who asked until it is written down."""

    def __init__(self, records: Records, own_aet: str, archive_is_away: Callable[[], bool] = lambda: False) -> None:
        """`own_aet` is where the objects may be retrieved from, `archive_is_away` says whether a tier's disk is."""
        self._records, self._own_aet, self._archive_is_away = records, own_aet, archive_is_away
        self._noted: dict[Asker, datetime] = {}
        self._lock, self._unsaid = threading.Lock(), Counter[tuple[Asker, str]]()

    def find(self, asker: Asker, keys: Dataset, model: Model, transfer_syntax: str) -> Iterator[bytes]:
        """Yield the encoded identifiers that answer a query, in letters the asker can show and an order that stays.

        Raises
        ------
        Invalid
            The query is malformed; the message says where.
        """
        wrong = matching.problems(keys, model)
        if wrong:
            raise Invalid(wrong[0])
        self._note(asker, matching.level_of(keys).lower())
        return self._answers(asker, keys, model, transfer_syntax)

    def _answers(self, asker: Asker, keys: Dataset, model: Model, transfer_syntax: str) -> Iterator[bytes]:
        with self._records.reading() as work:
            always = {RETRIEVE_AE_TITLE: self._own_aet, TIMEZONE_OFFSET: f"{work.now.astimezone():%z}"}
            shown = Shown(transfer_syntax, devices.charset(work, asker.aet), always)
            writer = IdentifierWriter(keys, index.held(keys), shown)
            found = _found(work, keys, model, asker.site)
            found = availability.told(work, keys, asker.site, found, archive_is_away=self._archive_is_away())
            yield from map(writer.write, found)

    def _note(self, asker: Asker, level: str) -> None:
        """Note that a node asked; written down at most once a minute, because that is a durable write."""
        with self._lock:
            self._unsaid[asker, level] += 1
        with self._records.reading() as work:
            now = work.now
        noted = self._noted.get(asker)
        if noted is not None and noted > now - _NOTED_EVERY:
            return
        if len(self._noted) > _MOST_NOTED:
            self._noted.clear()
        self._noted[asker] = now
        self.write_down()

    def write_down(self) -> None:
        """Put into the audit trail who asked how often since the last time."""
        with self._lock:
            unsaid, self._unsaid = self._unsaid, Counter()
        levels: dict[Asker, dict[str, int]] = {}
        for (asker, level), queries in unsaid.items():
            levels.setdefault(asker, {})[level] = queries
        if not levels:
            return
        with self._records.writing() as work:
            for asker, asked in levels.items():
                devices.heard(work, asker.aet, asker.site, asker.host, "C-FIND")
                actor = access.device(asker.aet, asker.site)
                audit.record(work, actor, "images.query", asker.host, queries=asked)


def _found(work: Work, keys: Dataset, model: Model, site: str) -> Iterator[tuple[str, ...]]:
    """Yield the texts of each answer; of dates and times that are asked for as one, the database knows the dates."""
    together = matching.moments(keys, model)
    if not together:
        return index.find(work, keys, model, site)
    places = {tag: at for at, tag in enumerate(index.held(keys))}
    tests = [(each, places[each.date_tag], places[each.time_tag]) for each in together]
    rows = index.find(work, matching.without_times(keys, together), model, site)
    return (row for row in rows if all(each.holds(row[day], row[hour]) for each, day, hour in tests))


def retrieve(
    records: Records, place: Callable[[str], Path], asker: Asker, keys: Dataset, model: Model, destination: str | None
) -> Retrieval:
    """Choose what a C-MOVE (to a destination) or C-GET (None) names, and write down who asked for it.

    `place` tells where a path of the store is on this machine.

    Raises
    ------
    Invalid
        The keys are malformed, or name nothing by a unique key of their level.
    NotFound
        The destination is no device of the asker's site.
    """
    uids = _unique(keys, model)
    with records.reading() as work:
        device = None if destination is None else _device(work, destination, asker.site)
        images = conversions.outgoing(work, index.named(work, uids, asker.site))
        objects = [Object(one.sop_class, one.sop_uid, one.transfer_syntax, place(one.path), one.size) for one in images]
    with records.writing() as work:
        service = "C-GET" if destination is None else "C-MOVE"
        devices.heard(work, asker.aet, asker.site, asker.host, service)
        actor = access.device(asker.aet, asker.site)
        level = matching.level_of(keys).lower()
        audit.record(work, actor, "images.retrieve", destination or asker.aet, level=level, objects=len(objects))
    return Retrieval(objects, device)


def _device(work: Work, aet: str, site: str) -> wire.Device:
    row = devices.known(work, aet)
    if row is None or row.site != site:
        raise NotFound(f"the move destination {aet} is no registered device here")
    return devices.shape(row)


def _unique(keys: Dataset, model: Model) -> list[tuple[str, ...]]:
    """Return the unique keys of each level down to that of the request."""
    wrong = matching.problems(keys, model)
    if wrong:
        raise Invalid(wrong[0])
    level = matching.level_of(keys)
    asked = {wish.tag: wish.asked for wish in matching.wishes(keys, model)}
    uids = [asked.get(tag_for_keyword(UNIQUE_KEYS[each]) or 0, ()) for each in LEVELS[: LEVELS.index(level) + 1]]
    if any(re.search(r"[*?]", value) for values in uids for value in values):
        raise Invalid("a retrieve request takes no wild cards")
    if not uids[-1]:
        raise Invalid(f"{UNIQUE_KEYS[level]} must say what to retrieve at level {level}")
    return uids
