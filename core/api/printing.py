"""Films: print an exam's images, and ask a printer how it is."""

from collections.abc import Callable

from fastapi import APIRouter

from core import wire
from core.api.caller import Caller
from core.records import Records
from core.scu.peer import Peer
from core.workflow import devices, printing


def router(records: Records, call: Callable[[wire.Device], Peer]) -> APIRouter:
    """Return the routes of printing; `call` gives the peer of a device, for as briefly as somebody waits."""
    routes = APIRouter(tags=["printing"])

    @routes.post("/exams/{reference}/print", status_code=202)
    def print_films(reference: str, form: wire.PrintFilms, actor: Caller) -> wire.Job:
        with records.writing() as work:
            return printing.enqueue(work, actor, reference, form)

    @routes.get("/devices/{aet}/printer")
    def printer_state(aet: str, actor: Caller) -> wire.PrinterState:
        with records.reading() as work:
            device = devices.shape(devices.named(work, aet))
        return printing.state(actor, device, call(device))

    return routes
