"""Exams: register, list, triage, protocol, attend, and the doses given for them."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query

from core import wire
from core.access import Actor
from core.api.caller import Caller
from core.records import Records, Work
from core.workflow import acquisition, desk, radiopharmacy, registration, triage

Act = Callable[[Work, Actor, str, Any], wire.Exam]

_STEP_ACTS: dict[str, Act] = {
    "arrive": acquisition.arrive,
    "inject": radiopharmacy.inject_step,
    "start": acquisition.start,
    "finish": acquisition.finish,
    "discontinue": acquisition.discontinue,
    "not_done": acquisition.not_done,
    "reopen": registration.reopen,
}
_DOSE_ACTS: dict[str, Act] = {
    "draw": radiopharmacy.draw,
    "inject": radiopharmacy.inject,
    "residual": radiopharmacy.residual,
}


def router(records: Records) -> APIRouter:
    """Return the routes of exams."""
    routes = APIRouter(tags=["exams"])
    _listing(routes, records)
    _deciding(routes, records)
    for name, act in _STEP_ACTS.items():
        _step_act(routes, records, name, act)
    for name, act in _DOSE_ACTS.items():
        _dose_act(routes, records, name, act)
    return routes


def _listing(routes: APIRouter, records: Records) -> None:
    @routes.get("/exams")
    def listed(wanted: Annotated[wire.ExamsWanted, Query()], actor: Caller) -> wire.ExamPage:
        with records.reading() as work:
            return desk.exams(work, actor, wanted)

    @routes.get("/exams/{reference}")
    def show(reference: str, actor: Caller) -> wire.Exam:
        with records.reading() as work:
            return desk.show(work, actor, reference)

    @routes.get("/exams/{reference}/proposals")
    def proposals(reference: str, actor: Caller) -> list[wire.Proposal]:
        with records.reading() as work:
            return triage.proposals(work, actor, reference)


def _deciding(routes: APIRouter, records: Records) -> None:
    @routes.post("/registrations", status_code=201)
    def register(form: wire.Registration, actor: Caller) -> wire.Exam:
        with records.writing() as work:
            return registration.register(work, actor, form)

    @routes.post("/exams", status_code=201)
    def register_exam(form: wire.NewExam, actor: Caller) -> wire.Exam:
        with records.writing() as work:
            return registration.register_exam(work, actor, form)

    @routes.post("/exams/{reference}/triage")
    def set_urgency(reference: str, form: wire.Triage, actor: Caller) -> wire.Exam:
        with records.writing() as work:
            return triage.triage(work, actor, reference, form)

    @routes.post("/exams/{reference}/assign")
    def assign(reference: str, form: wire.Assign, actor: Caller) -> wire.Exam:
        with records.writing() as work:
            return triage.assign(work, actor, reference, form)

    @routes.post("/exams/{reference}/protocol")
    def protocol(reference: str, form: wire.ProtocolExam, actor: Caller) -> wire.Exam:
        with records.writing() as work:
            return triage.protocol(work, actor, reference, form)

    @routes.post("/exams/{reference}/check")
    def check(reference: str, form: wire.AnswerCheck, actor: Caller) -> wire.Exam:
        with records.writing() as work:
            return acquisition.answer_check(work, actor, reference, form)

    @routes.post("/exams/{reference}/step")
    def add_step(reference: str, form: wire.NewStep, actor: Caller) -> wire.Exam:
        with records.writing() as work:
            return registration.add_step(work, actor, reference, form)

    @routes.post("/exams/{reference}/cancel")
    def cancel(reference: str, form: wire.CloseExam, actor: Caller) -> wire.Exam:
        with records.writing() as work:
            return registration.cancel(work, actor, reference, form)


def _step_act(routes: APIRouter, records: Records, name: str, act: Act) -> None:
    @routes.post(f"/exams/{{reference}}/{name}", name=name)
    def attend(reference: str, form: wire.StepAct, actor: Caller) -> wire.Exam:
        with records.writing() as work:
            return act(work, actor, reference, form)


def _dose_act(routes: APIRouter, records: Records, name: str, act: Act) -> None:
    @routes.post(f"/exams/{{reference}}/dose/{name}", name=f"dose {name}")
    def dose(reference: str, form: wire.Dose, actor: Caller) -> wire.Exam:
        with records.writing() as work:
            return act(work, actor, reference, form)
