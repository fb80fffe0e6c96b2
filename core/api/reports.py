"""Reports over HTTP."""

from fastapi import APIRouter, Response

from core import wire
from core.api.caller import Caller, RowId
from core.records import Records
from core.rendering.pages import Press
from core.workflow import papers, reading
from core.workflow.reading import Desk
from core.workflow.staffing import SignIns


def router(records: Records, sign_ins: SignIns, desk: Desk, press: Press) -> APIRouter:
    """Return the routes of reports, of their pages, and of calls to the technologist."""
    routes = APIRouter(tags=["reports"])
    _showing(routes, records)
    _writing(routes, records, desk)
    _signing(routes, records, sign_ins)
    _calling(routes, records)
    _printing(routes, records, press)
    return routes


def _printing(routes: APIRouter, records: Records, press: Press) -> None:
    @routes.get("/exams/{reference}/report/pdf", response_class=Response)
    def report_page(reference: str, actor: Caller) -> Response:
        with records.reading() as work:
            facts = papers.report(work, actor, reference)
        return Response(press.report_pdf(facts), media_type="application/pdf")

    @routes.get("/exams/{reference}/receipt", response_class=Response)
    def receipt(reference: str, actor: Caller) -> Response:
        with records.reading() as work:
            facts = papers.receipt(work, actor, reference)
        return Response(press.receipt_pdf(facts), media_type="application/pdf")


def _showing(routes: APIRouter, records: Records) -> None:
    @routes.get("/exams/{reference}/report")
    def show(reference: str, actor: Caller) -> wire.Report:
        with records.reading() as work:
            return reading.show(work, actor, reference)

    @routes.get("/exams/{reference}/report/versions")
    def versions(reference: str, actor: Caller) -> list[wire.ReportVersion]:
        with records.reading() as work:
            return reading.versions(work, actor, reference)

    @routes.get("/exams/{reference}/report/rejected")
    def rejected(reference: str, actor: Caller) -> list[wire.Rejected]:
        with records.reading() as work:
            return reading.rejected(work, actor, reference)


def _writing(routes: APIRouter, records: Records, desk: Desk) -> None:
    @routes.post("/exams/{reference}/report/open")
    def open_report(reference: str, form: wire.OpenReport, actor: Caller) -> wire.Report:
        with records.writing() as work:
            return reading.open_report(work, actor, reference, form, desk)

    @routes.post("/exams/{reference}/report/amend")
    def amend(reference: str, form: wire.OpenReport, actor: Caller) -> wire.Report:
        with records.writing() as work:
            return reading.amend(work, actor, reference, form, desk)

    @routes.put("/exams/{reference}/report/draft")
    def save(reference: str, form: wire.SaveReport, actor: Caller) -> wire.Report:
        return reading.save_or_keep(records, actor, reference, form, desk)

    @routes.post("/exams/{reference}/report/ask")
    def ask(reference: str, actor: Caller) -> wire.Report:
        with records.writing() as work:
            return reading.ask(work, actor, reference)

    @routes.post("/exams/{reference}/report/release")
    def release(reference: str, form: wire.Fenced, actor: Caller) -> wire.Report:
        with records.writing() as work:
            return reading.release(work, actor, reference, form)

    @routes.post("/exams/{reference}/report/preliminary")
    def preliminary(reference: str, form: wire.Fenced, actor: Caller) -> wire.Report:
        with records.writing() as work:
            return reading.preliminary(work, actor, reference, form)

    @routes.post("/exams/{reference}/report/return")
    def send_back(reference: str, form: wire.Fenced, actor: Caller) -> wire.Report:
        with records.writing() as work:
            return reading.send_back(work, actor, reference, form)

    @routes.post("/exams/{reference}/report/seen")
    def seen(reference: str, actor: Caller) -> wire.Report:
        with records.writing() as work:
            return reading.seen(work, actor, reference)


def _signing(routes: APIRouter, records: Records, sign_ins: SignIns) -> None:
    @routes.post("/exams/{reference}/report/sign")
    def sign(reference: str, form: wire.Sign, actor: Caller) -> wire.Report:
        sign_ins.confirm(actor, form.password)
        with records.writing() as work:
            return reading.sign(work, actor, reference, form)

    @routes.post("/exams/{reference}/report/withdraw")
    def withdraw(reference: str, form: wire.Withdraw, actor: Caller) -> wire.Report:
        sign_ins.confirm(actor, form.password)
        with records.writing() as work:
            return reading.withdraw(work, actor, reference, form)


def _calling(routes: APIRouter, records: Records) -> None:
    @routes.post("/exams/{reference}/report/call", status_code=201)
    def call(reference: str, form: wire.CallTechnologist, actor: Caller) -> wire.Call:
        with records.writing() as work:
            return reading.call_technologist(work, actor, reference, form)

    @routes.get("/calls")
    def calls(actor: Caller) -> list[wire.Call]:
        with records.reading() as work:
            return reading.calls(work, actor)

    @routes.post("/calls/{call_id}/answer")
    def answer(call_id: RowId, form: wire.Say, actor: Caller) -> wire.Call:
        with records.writing() as work:
            return reading.answer_call(work, actor, call_id, form)
