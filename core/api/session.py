"""Signing in and out, who am I, and the drafts of forms."""

from typing import Any

from fastapi import APIRouter, Request

from core import wire
from core.api.caller import Bearer, Caller
from core.records import Records
from core.workflow import staffing
from core.workflow.staffing import SignIns


def router(records: Records, sign_ins: SignIns) -> APIRouter:
    """Return the routes of the session."""
    routes = APIRouter(tags=["session"])

    @routes.post("/session", status_code=201)
    def sign_in(form: wire.Login, request: Request) -> wire.Token:
        return sign_ins.sign_in(form.username, form.password, request.client.host if request.client else "")

    @routes.get("/session")
    def who_am_i(actor: Caller) -> wire.Me:
        return sign_ins.me(actor)

    @routes.delete("/session", status_code=204)
    def sign_out(token: Bearer) -> None:
        sign_ins.sign_out(token)

    @routes.get("/drafts/{form}")
    def draft(form: str, actor: Caller) -> dict[str, Any]:
        with records.reading() as work:
            return staffing.draft(work, actor, form)

    @routes.put("/drafts/{form}", status_code=204)
    def save_draft(form: str, fields: dict[str, Any], actor: Caller) -> None:
        with records.writing() as work:
            staffing.save_draft(work, actor, form, fields)

    return routes
