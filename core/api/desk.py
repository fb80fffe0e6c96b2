"""The day's counts, finding from anywhere, and the catalogue of procedures."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from core import wire
from core.api.caller import Caller
from core.records import Records
from core.workflow import catalogue, desk


def router(records: Records) -> APIRouter:
    """Return the routes of the desk."""
    routes = APIRouter(tags=["desk"])

    @routes.get("/today")
    def today(actor: Caller) -> wire.Today:
        with records.reading() as work:
            return desk.today(work, actor)

    @routes.get("/find")
    def find(actor: Caller, query: str = "", limit: Annotated[int, Query(ge=1, le=100)] = 10) -> dict[str, list[Any]]:
        with records.reading() as work:
            return desk.find(work, actor, query, limit)

    @routes.get("/procedures")
    def procedures(actor: Caller) -> list[wire.Procedure]:
        with records.reading() as work:
            return catalogue.entries(work, actor)

    @routes.patch("/procedures/{code}")
    def change(code: str, form: wire.ProcedureChange, actor: Caller) -> wire.Procedure:
        with records.writing() as work:
            return catalogue.change(work, actor, code, form)

    return routes
