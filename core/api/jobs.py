"""The queue of work, and asking for objects to be sent or fetched."""

from typing import Annotated

from fastapi import APIRouter, Query

from core import wire
from core.api.caller import Caller, RowId
from core.records import Records
from core.vocabulary import JobState
from core.workflow import fetching, queue, sending


def router(records: Records) -> APIRouter:
    """Return the routes of the queue."""
    routes = APIRouter(tags=["jobs"])

    @routes.get("/jobs")
    def jobs(
        actor: Caller, state: JobState | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> list[wire.Job]:
        with records.reading() as work:
            return queue.listing(work, actor, state=state, limit=limit)

    @routes.get("/jobs/{number}")
    def job(number: RowId, actor: Caller) -> wire.Job:
        with records.reading() as work:
            return queue.one(work, actor, number)

    @routes.post("/jobs/{number}/cancel")
    def cancel(number: RowId, actor: Caller) -> wire.Job:
        with records.writing() as work:
            return queue.cancel(work, actor, number)

    @routes.post("/jobs/{number}/retry")
    def retry(number: RowId, actor: Caller) -> wire.Job:
        with records.writing() as work:
            return queue.retry(work, actor, number)

    @routes.post("/devices/{aet}/send", status_code=202)
    def send(aet: str, form: wire.SendObjects, actor: Caller) -> wire.Job:
        with records.writing() as work:
            return sending.enqueue(work, actor, aet, form.query, commit=form.commit)

    @routes.post("/devices/{aet}/fetch", status_code=202)
    def fetch(aet: str, form: wire.FetchObjects, actor: Caller) -> wire.Job:
        with records.writing() as work:
            return fetching.enqueue(work, actor, aet, form.query, get=form.get)

    return routes
