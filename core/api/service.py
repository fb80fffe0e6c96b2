"""What the service page shows: parts, archive, who called, devices, staff and the audit trail."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query

from core import wire
from core.api.caller import Caller
from core.errors import Broken
from core.records import Records
from core.workflow import devices, integrity, oversight, staffing

Limit = Annotated[int, Query(ge=1, le=1000)]


def router(
    records: Records,
    parts: Callable[[], list[wire.Part]],
    free_bytes: Callable[[], int],
    echo: Callable[[wire.Device], None],
) -> APIRouter:
    """Return the routes of the service page; `echo` calls a device and raises PeerFailed when it does not answer."""
    routes = APIRouter(tags=["service"])

    @routes.get("/service")
    def service(actor: Caller) -> wire.ServiceFacts:
        free = _known(free_bytes)
        with records.reading() as work:
            archive, heard = oversight.archive(work, actor, free), oversight.heard(work, actor)
        return wire.ServiceFacts(parts=parts(), archive=archive, heard=heard)

    @routes.get("/proofs")
    def proofs_made(actor: Caller, limit: Limit = 20) -> list[wire.Proof]:
        with records.reading() as work:
            return integrity.proofs(work, actor, limit)

    @routes.post("/proofs", status_code=201)
    def prove(form: wire.AskProof, actor: Caller) -> wire.Proof:
        with records.writing() as work:
            return integrity.ask(work, actor, form)

    @routes.get("/damages")
    def damage_open(actor: Caller, limit: Limit = 200) -> list[wire.Damage]:
        with records.reading() as work:
            return integrity.damages(work, actor, limit)

    @routes.get("/devices")
    def known_devices(actor: Caller) -> list[wire.Device]:
        with records.reading() as work:
            return devices.listing(work, actor)

    @routes.post("/devices/{aet}/echo")
    def echo_device(aet: str, actor: Caller) -> wire.Echoed:
        with records.reading() as work:
            device = devices.to_call(work, actor, aet)
        echo(device)
        return wire.Echoed(aet=device.aet, answered=True)

    @routes.get("/staff")
    def staff(actor: Caller) -> list[wire.Staff]:
        with records.reading() as work:
            return staffing.listing(work, actor)

    @routes.get("/audit")
    def audit_trail(
        actor: Caller, subject: str = "", limit: Limit = 100, offset: Annotated[int, Query(ge=0, lt=2**63)] = 0
    ) -> list[wire.AuditEntry]:
        with records.reading() as work:
            return oversight.trail(work, actor, subject, limit, offset)

    return routes


def _known(free_bytes: Callable[[], int]) -> int | None:
    try:
        return free_bytes()
    except Broken:
        return None  # the part of the store says why
