"""Patients: find, register, change, merge."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query

from core import wire
from core.api.caller import Caller
from core.naming import Person, build_name, mask_national_id, read_national_id
from core.records import Records
from core.workflow import patients, registration

Limit = Annotated[int, Query(ge=1, le=200)]


def router(records: Records) -> APIRouter:
    """Return the routes of patients."""
    routes = APIRouter(tags=["patients"])

    @routes.get("/patients")
    def find(actor: Caller, query: str = "", limit: Limit = 20) -> list[wire.Patient]:
        with records.reading() as work:
            return patients.find(work, actor, query, limit)

    @routes.get("/patients/similar")
    def similar(actor: Caller, name: str = "", birth_date: date | None = None, phone: str = "") -> list[wire.Patient]:
        with records.reading() as work:
            person = Person(build_name(name), birth_date, phone) if name else Person(birth_date=birth_date, phone=phone)
            return patients.similar(work, actor, person)

    @routes.get("/national_id/{text}")
    def read_id(text: str, _actor: Caller) -> dict[str, Any]:
        read = read_national_id(text, today=date.today())  # noqa: DTZ011 - the desk's own day
        return {"birth_date": read.birth_date, "sex": read.sex, "masked": mask_national_id(read.number)}

    _writing(routes, records)
    return routes


def _writing(routes: APIRouter, records: Records) -> None:
    @routes.post("/patients", status_code=201)
    def add(form: wire.NewPatient, actor: Caller) -> wire.Patient:
        with records.writing() as work:
            return patients.add(work, actor, form)

    @routes.get("/patients/{reference}")
    def show(reference: str, actor: Caller) -> wire.Patient:
        with records.reading() as work:
            return patients.show(work, actor, reference)

    @routes.patch("/patients/{reference}")
    def change(reference: str, form: wire.PatientChange, actor: Caller) -> wire.Patient:
        with records.writing() as work:
            return registration.change_patient(work, actor, reference, form)

    @routes.post("/patients/{reference}/merge")
    def merge(reference: str, form: wire.Merge, actor: Caller) -> wire.Patient:
        with records.writing() as work:
            return patients.merge(work, actor, reference, form)

    @routes.post("/patients/{reference}/unmerge")
    def unmerge(reference: str, form: wire.Undo, actor: Caller) -> wire.Patient:
        with records.writing() as work:
            return patients.unmerge(work, actor, reference, form)
