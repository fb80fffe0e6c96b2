"""What arrived and where it is filed: the unfiled, corrections, overdue and quarantined."""

from typing import Annotated

from fastapi import APIRouter, Query

from core import wire
from core.api.caller import Caller
from core.records import Records
from core.vocabulary import BatchState
from core.workflow import corrections, unfiled

Limit = Annotated[int, Query(ge=1, le=1000)]


def router(records: Records) -> APIRouter:
    """Return the routes of the filing page."""
    routes = APIRouter(tags=["images"])

    @routes.get("/images/unfiled")
    def waiting(
        actor: Caller, state: Annotated[list[BatchState] | None, Query()] = None, limit: Limit = 100
    ) -> list[wire.Unfiled]:
        with records.reading() as work:
            return unfiled.listing(work, actor, state or unfiled.WAITING, limit)

    @routes.get("/images/unfiled/{reference}")
    def one_batch(reference: str, actor: Caller) -> wire.Unfiled:
        with records.reading() as work:
            return unfiled.one(work, actor, reference)

    @routes.post("/images/unfiled/{reference}/file")
    def file_batch(reference: str, form: wire.FileBatch, actor: Caller) -> wire.Correction:
        with records.writing() as work:
            return corrections.file_batch(work, actor, reference, form)

    @routes.post("/images/unfile")
    def unfile(form: wire.Unfile, actor: Caller) -> wire.Correction:
        with records.writing() as work:
            return corrections.unfile(work, actor, form)

    @routes.get("/corrections")
    def corrections_made(actor: Caller, limit: Limit = 100) -> list[wire.Correction]:
        with records.reading() as work:
            return corrections.listing(work, actor, limit)

    @routes.post("/corrections/{correction}/undo")
    def undo(correction: int, form: wire.Undo, actor: Caller) -> wire.Correction:
        with records.writing() as work:
            return corrections.undo(work, actor, correction, form)

    @routes.get("/images/quarantined")
    def kept_apart(actor: Caller, limit: Limit = 200) -> list[wire.Quarantined]:
        with records.reading() as work:
            return unfiled.quarantined(work, actor, limit)

    @routes.get("/images/overdue")
    def overdue(actor: Caller, limit: Limit = 200) -> list[wire.Exam]:
        with records.reading() as work:
            return unfiled.overdue(work, actor, limit)

    return routes
