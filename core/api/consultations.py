"""Consultations over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query

from core import wire
from core.api.caller import Caller, RowId
from core.records import Records
from core.vocabulary import ConsultationState
from core.workflow import consultation


def router(records: Records) -> APIRouter:
    """Return the routes of consultations."""
    routes = APIRouter(tags=["consultations"])
    _asking(routes, records)
    _holding(routes, records)
    return routes


def _asking(routes: APIRouter, records: Records) -> None:
    @routes.get("/consultations")
    def queue(
        actor: Caller, state: Annotated[list[ConsultationState] | None, Query()] = None
    ) -> list[wire.Consultation]:
        with records.reading() as work:
            return consultation.queue(work, actor, state or [])

    @routes.post("/consultations", status_code=201)
    def request(form: wire.AskConsultation, actor: Caller) -> wire.Consultation:
        with records.writing() as work:
            return consultation.request(work, actor, form)

    @routes.get("/consultations/{number}")
    def show(number: RowId, actor: Caller) -> wire.Consultation:
        with records.reading() as work:
            return consultation.show(work, actor, number)

    @routes.post("/consultations/{number}/withdraw")
    def withdraw(number: RowId, actor: Caller) -> wire.Consultation:
        with records.writing() as work:
            return consultation.withdraw(work, actor, number)


def _holding(routes: APIRouter, records: Records) -> None:
    @routes.post("/consultations/{number}/schedule")
    def schedule(number: RowId, form: wire.ScheduleConsultation, actor: Caller) -> wire.Consultation:
        with records.writing() as work:
            return consultation.schedule(work, actor, number, form)

    @routes.post("/consultations/{number}/gather")
    def gather(number: RowId, actor: Caller) -> wire.Consultation:
        with records.writing() as work:
            return consultation.gather(work, actor, number)

    @routes.post("/consultations/{number}/start")
    def start(number: RowId, actor: Caller) -> wire.Consultation:
        with records.writing() as work:
            return consultation.start(work, actor, number)

    @routes.post("/consultations/{number}/opinion")
    def opinion(number: RowId, form: wire.Say, actor: Caller) -> wire.Consultation:
        with records.writing() as work:
            return consultation.opinion(work, actor, number, form)

    @routes.post("/consultations/{number}/conclude")
    def conclude(number: RowId, form: wire.Say, actor: Caller) -> wire.Consultation:
        with records.writing() as work:
            return consultation.conclude(work, actor, number, form)
