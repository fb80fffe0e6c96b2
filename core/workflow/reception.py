"""Receive objects: kept, acknowledged, filed and told in one unit of work for all that wait for it.

Bytes first, each thread its own: synced, under their final name, the folders synced. Then the rows of all that are
ready in one transaction, and each caller hears of its own. What adds to a batch that is there is put in bulk; a first
object, a UID that is taken and whatever fails in a group goes alone, with every care.
Filing must never cost an object: what goes wrong there is undone and logged once, and the object stays unfiled.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import select

from core import audit
from core.access import Actor
from core.archive.keeper import Arriving, Grown, Keeper, Kept, Outcome, Placed, Staged, add_all, image_row
from core.errors import Broken, CoreError, place_of
from core.model import Batch, Image
from core.records import Records, Work
from core.vocabulary import BatchState
from core.workflow import devices, filing
from core.workflow.together import Together

log = logging.getLogger(__name__)

_REMEMBERED = 10_000


@dataclass(slots=True, eq=False)
class _Arrival:
    """An object whose bytes are durable, waiting for its rows; then what became of it."""

    actor: Actor
    staged: Staged
    host: str
    path: str | None
    kept: Kept | None = None
    failure: CoreError | None = None


class Reception:
    """Where objects come in, from a device or from files."""

    def __init__(self, records: Records, keeper: Keeper) -> None:
        self.records = records
        self.keeper = keeper
        self._together = Together(self._keep)
        self._asked: dict[object, object] = {}

    def incoming(self, announced: tuple[str, str, str], aet: str) -> Arriving:
        """Begin to take the bytes of an object; arguments and what is raised as of `Keeper.arriving`."""
        return self.keeper.arriving(announced, aet)

    def receive(self, actor: Actor, staged: Staged, host: str = "") -> Kept:
        """Keep a staged object and let filing decide about it; return it with its rows once they are committed.

        Raises
        ------
        Broken
            It could not be kept: the sender must keep it and send it again.
        """
        kept = self.take(actor, staged, host)
        return kept if kept.image or kept.outcome is Outcome.QUARANTINED else self._with_rows(kept, actor, staged)

    def take(self, actor: Actor, staged: Staged, host: str = "") -> Kept:
        """Keep an object as `receive` does; one that came with others is answered without its rows."""
        arrival = _Arrival(actor, staged, host, self.keeper.place(staged))
        self._together.do(arrival)
        if arrival.failure is not None:
            raise arrival.failure
        if arrival.kept is None:
            raise Broken("the object was not kept: send it again")
        self.keeper.forget(staged)  # when it was not kept, the sweeper does: the rows may be there after all
        return arrival.kept

    def _with_rows(self, kept: Kept, actor: Actor, staged: Staged) -> Kept:
        with self.records.reading() as work:
            uid = staged.identity.sop_instance_uid
            image = work.session.exec(select(Image).where(Image.site == actor.site, Image.sop_uid == uid)).one()
            return Kept(kept.outcome, image, work.session.get(Batch, image.batch_id))

    # -- all that wait -----------------------------------------------------------------------------------------------

    def _keep(self, arrivals: list[_Arrival]) -> None:
        """Give each its rows or its failure."""
        placed = {Placed(one.staged, one.path, one.actor.site): one for one in arrivals if one.path}
        kept = self._kept_in_bulk(placed) if placed else set()
        for one in arrivals:
            if one in kept:
                one.kept = Kept(Outcome.STORED)
            else:
                self._keep_with_care(one)

    def _kept_in_bulk(self, placed: dict[Placed, _Arrival]) -> set[_Arrival]:
        """Put there what only adds; return what was put."""
        try:
            with self.records.writing() as work:
                work.arrival = True
                grown, left = add_all(work, list(placed), self.keeper.store.name)
                for batch in grown:
                    self._file_more(work, batch)
                kept = [one for key, one in placed.items() if key not in left]
                _note_heard(work, kept)
        except Exception as error:  # noqa: BLE001 - whichever object it was, the others must not suffer from it
            log.warning("a group is kept one by one: %s in %s", type(error).__name__, place_of(error))
            return set()
        return set(kept)

    def _file_more(self, work: Work, batch: Grown) -> None:
        """Let filing know of objects that came into a batch, once for all of them."""
        if batch.state == BatchState.FILED:
            steps = {placed.staged.identity.scheduled_step_id for placed, _ in batch.objects}
            _carefully(work, batch.batch_id, batch.site, lambda: filing.follow(work, _row(work, batch), steps))
        elif self._must_ask(work, batch):
            for placed, series_id in batch.objects:
                image = image_row(placed.staged, batch.site, "", placed.path)
                image.series_id = series_id
                self._file(work, _row(work, batch), image, placed.staged.identity.scheduled_step_id)
        else:
            told = {"state": batch.state, "study": batch.study_uid, "received": batch.received}
            work.tell(batch.site, "unfiled", str(batch.batch_id), **told)

    def _must_ask(self, work: Work, batch: Grown) -> bool:
        """Whether the rule may say something else of a batch than it did, for all that was written since."""
        if batch.decided_by not in ("", filing.RULE) or batch.state not in (BatchState.UNFILED, BatchState.QC):
            return False
        edition = work.edition()
        keys = (
            _question(batch.state, batch.batch_id, series, "\\".join(one.staged.identity.image_type))
            for one, series in batch.objects
        )
        return any(self._asked.get(key) != edition for key in keys)

    def _file(self, work: Work, batch: Batch, image: Image, scheduled_step: str) -> None:
        """Let filing decide about an object; what finds no exam is not asked about again before something changes."""
        _carefully(
            work, batch.id, batch.site, lambda: filing.arrived(work, batch, image, scheduled_step=scheduled_step)
        )
        work.arrival = work.arrival and batch.state in (BatchState.UNFILED, BatchState.QC)
        if work.arrival and batch.decided_by == filing.RULE:
            if len(self._asked) > _REMEMBERED:
                self._asked.clear()
            self._asked[_question(batch.state, batch.id, image.series_id, image.image_type)] = work.edition()

    # -- one alone ---------------------------------------------------------------------------------------------------

    def _keep_with_care(self, one: _Arrival) -> None:
        try:
            with self.records.writing() as work:
                work.arrival = True
                one.kept = self._kept(work, one)
        except CoreError as error:
            one.kept, one.failure = None, error
        except SQLAlchemyError as error:
            why = f"the database did not take the object ({type(error).__name__}): send it again"
            one.kept, one.failure = None, Broken(why)
        except Exception as error:  # noqa: BLE001 - the others of the group are still to be told
            log.error("an object is not kept: %s in %s", type(error).__name__, place_of(error))  # noqa: TRY400 - as below
            one.kept, one.failure = None, Broken("the object could not be kept: see the log, and send it again")

    def _kept(self, work: Work, one: _Arrival) -> Kept:
        actor, staged = one.actor, one.staged
        kept = self.keeper.keep(work, staged, actor.site)
        if kept.outcome is Outcome.QUARANTINED:
            uid = staged.identity.sop_instance_uid
            work.tell(actor.site, "quarantined", uid, aet=staged.aet)
            audit.record(work, actor, "object.quarantine", uid, content=staged.content_sha256)
        if kept.outcome is Outcome.STORED and kept.batch and kept.image:
            self._file(work, kept.batch, kept.image, staged.identity.scheduled_step_id)
        _note_heard(work, [one])
        return kept


def _question(state: str, batch_id: int | None, series_id: int, image_type: str) -> object:
    """Name what the rule was asked: of a batch, and of its kind of object too while it may be quality control."""
    return batch_id if state == BatchState.UNFILED else (batch_id, series_id, image_type)


def _row(work: Work, batch: Grown) -> Batch:
    return work.session.get_one(Batch, batch.batch_id)


def _note_heard(work: Work, kept: Sequence[_Arrival]) -> None:
    """Note who sent objects, once for each sender."""
    counts = Counter((one.staged.aet, one.actor.site, one.host) for one in kept if one.staged.aet)
    for (aet, site, host), objects in counts.items():
        devices.heard(work, aet, site, host, "C-STORE", objects=objects)


def _carefully(work: Work, batch_id: int | None, site: str, decide: Callable[[], None]) -> None:
    """Decide, and take back what went wrong: whatever it is, the objects have come and must stay."""
    try:
        with work.session.begin_nested():
            decide()
            work.session.flush()
    except Exception as error:  # noqa: BLE001 - as said
        log.error(  # noqa: TRY400 - the text of the exception may hold what a device sent
            "objects of batch %s are kept unfiled: %s in %s", batch_id, type(error).__name__, place_of(error)
        )
        work.tell(site, "unfiled", str(batch_id), state=BatchState.UNFILED)
