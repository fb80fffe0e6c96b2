"""Series in space: planes, the view through, what lies over it, and what is measured there."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from core import wire
from core.access import Actor
from core.api.caller import Caller
from core.api.images import PICTURE_FILE
from core.records import Records
from core.workflow import exporting, laying, measuring, planes, volumes
from core.workflow.laying import Laid
from core.workflow.volumes import Standing, VolumeBox


def router(records: Records, box: VolumeBox) -> APIRouter:
    """Return the routes of volumes; `uid` is that of a series, or of one object."""
    routes = APIRouter(tags=["volumes"])

    def standing(actor: Actor, uid: str, number: int) -> Standing:
        with records.reading() as work:
            asked = volumes.asked(work, actor, uid, box)
        return volumes.chosen(box.volumes(asked), number)

    def laid(actor: Actor, uid: str, look: wire.VolumeLook) -> Laid:
        with records.reading() as work:
            found = laying.objects_of(work, actor, uid, look, box)
        return laying.laid(box, found, look)

    @routes.get("/volumes/{uid}")
    def volume(uid: str, actor: Caller, volume: Annotated[int, Query(ge=0, le=1000)] = 0) -> wire.Volume:
        with records.reading() as work:
            asked = volumes.asked(work, actor, uid, box)
        return volumes.described(uid, box.volumes(asked), volume)

    @routes.get("/volumes/{uid}/picture", responses={200: {"model": wire.Picture}})
    def picture(uid: str, actor: Caller, look: Annotated[wire.VolumeLook, Query()]) -> JSONResponse:
        found = laid(actor, uid, look)
        return JSONResponse(planes.picture(found.below, found.look, found.above, found.notes))

    @routes.get("/volumes/{uid}/export", response_class=Response, responses=PICTURE_FILE)
    def export(uid: str, actor: Caller, asked: Annotated[wire.VolumeExport, Query()]) -> Response:
        found = laid(actor, uid, asked)
        asked = asked.model_copy(update={"at": found.look.at})
        return Response(exporting.of_volume(found.below, asked, found.above), media_type=f"image/{asked.format}")

    @routes.post("/volumes/{uid}/regions")
    def region(uid: str, form: wire.MeasurePlane, actor: Caller) -> wire.Measured:
        return measuring.on_plane(standing(actor, uid, form.volume), form)

    @routes.post("/volumes/{uid}/curves")
    def curves(uid: str, form: wire.AskCurves, actor: Caller) -> wire.Curves:
        return measuring.through_moments(standing(actor, uid, form.volume), form)

    return routes
