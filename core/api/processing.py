"""What is made of images: asked for, looked at step by step, accepted."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse

from core import wire
from core.api.caller import Caller, RowId
from core.records import Records
from core.workflow.processing import asking, deciding, looking
from core.workflow.processing.shelf import Shelf
from core.workflow.reception import Reception


def router(records: Records, reception: Reception, shelf: Shelf) -> APIRouter:
    """Return the routes of processing."""
    routes = APIRouter(tags=["processing"])
    _looking(routes, records, shelf)
    _doing(routes, records, reception, shelf)
    return routes


def _looking(routes: APIRouter, records: Records, shelf: Shelf) -> None:
    @routes.get("/processing/recipes")
    def recipes(actor: Caller) -> list[wire.RecipeForm]:
        return asking.recipes(actor)

    @routes.get("/processing")
    def processings(actor: Caller, exam: str | None = None, *, waiting: bool = False) -> list[wire.Processing]:
        with records.reading() as work:
            return asking.listing(work, actor, exam=exam, waiting=waiting)

    @routes.get("/processing/{number}")
    def processing(number: RowId, actor: Caller) -> wire.Processing:
        with records.reading() as work:
            return asking.one(work, actor, number)

    @routes.get("/processing/{number}/stages/{name}/picture")
    def picture(number: RowId, name: str, actor: Caller, look: Annotated[wire.Look, Query()]) -> JSONResponse:
        with records.reading() as work:
            _, stage = looking.stage_of(work, actor, number, name)
        return JSONResponse(looking.picture(shelf, number, stage, look))


def _doing(routes: APIRouter, records: Records, reception: Reception, shelf: Shelf) -> None:
    @routes.post("/exams/{reference}/processing", status_code=202)
    def ask(reference: str, form: wire.AskProcessing, actor: Caller) -> wire.Processing:
        with records.writing() as work:
            return asking.ask(work, actor, reference, form)

    @routes.post("/processing/{number}/repeat", status_code=202)
    def repeat(number: RowId, form: wire.RepeatProcessing, actor: Caller) -> wire.Processing:
        with records.writing() as work:
            return asking.repeat(work, actor, number, form)

    @routes.post("/processing/{number}/accept")
    def accept(number: RowId, actor: Caller) -> wire.Processing:
        return deciding.accept(reception, shelf, actor, number)

    @routes.post("/processing/{number}/discard")
    def discard(number: RowId, actor: Caller) -> wire.Processing:
        with records.writing() as work:
            return deciding.discard(work, shelf, actor, number)

    @routes.post("/processing/{number}/cancel")
    def cancel(number: RowId, actor: Caller) -> wire.Processing:
        with records.writing() as work:
            return asking.cancel(work, actor, number)
