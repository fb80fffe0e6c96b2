"""Receive an object: kept, acknowledged, filed and told in one unit of work.

Filing must never cost an object: what goes wrong there is undone and logged once, and the object stays unfiled.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from core import audit
from core.access import Actor
from core.archive.keeper import Keeper, Kept, Outcome, Staged
from core.errors import Broken, place_of
from core.model import Batch, Image
from core.records import Records, Work
from core.vocabulary import BatchState
from core.workflow import devices, filing

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reception:
    """Where objects come in, from a device or from files."""

    records: Records
    keeper: Keeper

    def receive(self, actor: Actor, staged: Staged, host: str = "") -> Kept:
        """Keep a staged object and let filing decide about it; return what became of it once it is committed.

        Raises
        ------
        Broken
            It could not be kept: the sender must keep it and send it again.
        """
        try:
            with self.records.writing() as work:
                kept = self._kept(work, actor, staged, host)
        except SQLAlchemyError as error:
            raise Broken(f"the database did not take the object ({type(error).__name__}): send it again") from error
        self.keeper.forget(staged)  # when it was not kept, the sweeper does: the rows may be there after all
        return kept

    def _kept(self, work: Work, actor: Actor, staged: Staged, host: str) -> Kept:
        kept = self.keeper.keep(work, staged, actor.site)
        if kept.outcome is Outcome.QUARANTINED:
            uid = staged.identity.sop_instance_uid
            work.tell(actor.site, "quarantined", uid, aet=staged.aet)
            audit.record(work, actor, "object.quarantine", uid, content=staged.content_sha256)
        if kept.outcome is Outcome.STORED and kept.batch and kept.image:
            _file(work, kept.batch, kept.image, staged.identity.scheduled_step_id)
        if staged.aet:
            devices.heard(work, staged.aet, actor.site, host, "C-STORE", objects=1)
        return kept


def _file(work: Work, batch: Batch, image: Image, scheduled_step: str) -> None:
    batch_id, sop_uid, site = batch.id, image.sop_uid, batch.site
    try:
        with work.session.begin_nested():
            filing.arrived(work, batch, image, scheduled_step=scheduled_step)
            work.session.flush()
    except Exception as error:  # noqa: BLE001 - whatever it is, the object has come and must stay
        log.error(  # noqa: TRY400 - the text of the exception may hold what a device sent
            "object %s is kept unfiled: %s in %s", sop_uid, type(error).__name__, place_of(error)
        )
        work.tell(site, "unfiled", str(batch_id), state=BatchState.UNFILED)
