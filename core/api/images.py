"""What arrived, where it is filed, and how it looks."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, JSONResponse, Response

from core import wire
from core.api.caller import Caller, RowId
from core.records import Records
from core.vocabulary import BatchState
from core.workflow import corrections, exporting, intake, measuring, unfiled, viewing
from core.workflow.intake import Intake
from core.workflow.viewing import LightBox

Limit = Annotated[int, Query(ge=1, le=1000)]
PICTURE_FILE: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}, "image/apng": {}}}}


def router(records: Records, light_box: LightBox, brought: Intake) -> APIRouter:
    """Return the routes of the filing page and of the viewer."""
    routes = APIRouter(tags=["images"])
    _filing(routes, records)
    _viewing(routes, records, light_box)
    _converted(routes, records, brought)
    return routes


def _filing(routes: APIRouter, records: Records) -> None:

    @routes.get("/images/unfiled")
    def waiting(
        actor: Caller, state: Annotated[list[BatchState] | None, Query()] = None, limit: Limit = 50,
        candidates: bool = True,  # noqa: FBT001, FBT002 - a query of HTTP has a name
    ) -> list[wire.Unfiled]:  # fmt: skip
        with records.reading() as work:
            return unfiled.listing(work, actor, state or unfiled.WAITING, limit, candidates=candidates)

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
    def undo(correction: RowId, form: wire.Undo, actor: Caller) -> wire.Correction:
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


def _viewing(routes: APIRouter, records: Records, light_box: LightBox) -> None:
    @routes.get("/exams/{reference}/series")
    def series_of_exam(reference: str, actor: Caller) -> list[wire.Series]:
        with records.reading() as work:
            return viewing.exam_series(work, actor, reference)

    @routes.get("/studies/{study_uid}/series")
    def series_of_study(study_uid: str, actor: Caller) -> list[wire.Series]:
        with records.reading() as work:
            return viewing.study_series(work, actor, study_uid)

    @routes.get("/images/{sop_uid}/picture", responses={200: {"model": wire.Picture}})
    def picture(sop_uid: str, actor: Caller, look: Annotated[wire.Look, Query()]) -> JSONResponse:
        with records.reading() as work:
            row = viewing.image(work, actor, sop_uid)
            series = viewing.siblings(work, row, look, light_box)
        return JSONResponse(light_box.picture(row, look, series))

    @routes.get("/images/{sop_uid}/export", response_class=Response, responses=PICTURE_FILE)
    def export(sop_uid: str, actor: Caller, asked: Annotated[wire.Export, Query()]) -> Response:
        with records.reading() as work:
            row = viewing.image(work, actor, sop_uid)
            series = viewing.siblings(work, row, asked, light_box)
        return Response(exporting.of_image(light_box, row, asked, series), media_type=f"image/{asked.format}")

    @routes.post("/images/{sop_uid}/regions")
    def region(sop_uid: str, form: wire.MeasureRegion, actor: Caller) -> wire.Measured:
        with records.reading() as work:
            row = viewing.image(work, actor, sop_uid)
        return measuring.on_frame(light_box, row, form)

    @routes.post("/images/{sop_uid}/curves")
    def curves(sop_uid: str, form: wire.AskCurves, actor: Caller) -> wire.Curves:
        with records.reading() as work:
            row = viewing.image(work, actor, sop_uid)
        return measuring.through_frames(light_box, row, form)

    @routes.get("/images/{sop_uid}/header")
    def header(sop_uid: str, actor: Caller, search: Annotated[str, Query(max_length=200)] = "") -> list[wire.HeaderRow]:
        with records.reading() as work:
            row = viewing.image(work, actor, sop_uid)
        return viewing.header(light_box.file(row), search)

    @routes.get("/images/{sop_uid}/file", response_class=FileResponse)
    def file(sop_uid: str, actor: Caller, *, as_it_came: bool = False) -> FileResponse:
        with records.reading() as work:
            row = viewing.image(work, actor, sop_uid, as_it_came=as_it_came)
        return FileResponse(light_box.file(row), media_type="application/dicom", filename=f"{sop_uid}.dcm")


def _converted(routes: APIRouter, records: Records, brought: Intake) -> None:
    @routes.get("/images/converted")
    def converted(actor: Caller, limit: Limit = 200) -> list[wire.Conversion]:
        with records.reading() as work:
            return intake.listing(work, actor, limit)

    @routes.post("/images/quarantined/{number}/admit")
    def admit(number: RowId, actor: Caller) -> wire.Admitted:
        return wire.Admitted.model_validate(asdict(brought.admit(actor, number)))
