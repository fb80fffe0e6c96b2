"""What the front desk does: patients, their numbers, exams, bookings and arrivals."""

from __future__ import annotations

import re
import threading
from datetime import date, timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from core import wire
from core.access import Actor
from core.errors import Forbidden, Invalid, NotFound, Refused
from core.model import Exam, PatientTerm, Site
from core.naming import Person, PersonName, check, with_check_digit
from core.vocabulary import BirthDateKnown, IdentifierKind, Identity, StepState
from core.workflow import acquisition, catalogue, patients, registration
from tests.unit.workflow.front import ADMIN, CLERK, DOCTOR, HEAD, MORNING, NURSE, READER, TECHNOLOGIST, Front

NATIONAL_ID = "110101199003072316"


def found(front: Front, query: str) -> list[str]:
    with front.records.reading() as work:
        return [one.number for one in patients.find(work, CLERK, query)]


# -- patients --------------------------------------------------------------------------------------------------------


def test_numbers_are_made_by_the_sites_rule_with_a_check_digit_and_never_twice(front: Front) -> None:
    with front.records.writing() as work:
        site = work.session.get_one(Site, "MAIN")
        site.rules = {"numbering": {"patient_prefix": "NM"}}
        work.add(site)
    first, second = front.patient(None), front.patient(None, "Li^Na")
    assert re.fullmatch(r"NM\d{6}[0-9A-Z]", first.number)
    assert check(first.number)
    assert first.number != second.number


def test_a_made_number_steps_over_one_the_hospital_gave(front: Front) -> None:
    made = front.patient(None).number
    front.do(patients.merge, HEAD, front.patient(None, "Li^Na").number, wire.Merge(into=made))
    taken = with_check_digit("P", 3)
    front.patient(taken, "Wu^Di")
    assert front.patient(None, "Zhou^Jie").number not in {made, taken}


@pytest.mark.parametrize("number", ["TEST", "0", "12345", "a\\b", "UNKNOWN", "x" * 65])
def test_a_placeholder_or_impossible_number_is_refused(front: Front, number: str) -> None:
    with pytest.raises((Invalid, ValueError)):
        front.patient(number)


def test_a_number_is_given_once_whatever_its_case(front: Front) -> None:
    front.patient("Ab1")
    with pytest.raises(Refused, match="given already"):
        front.patient("aB1", "Li^Na")


@pytest.mark.parametrize("typed", ["张伟", "Zhang^Wei=张^伟", "张伟 Zhang Wei"])
def test_a_name_is_understood_as_it_is_typed(front: Front, typed: str) -> None:
    patient = front.patient(name=typed)
    assert (patient.name, patient.name_ideographic) == ("Zhang^Wei", "张^伟")


def test_a_patient_needs_a_name(front: Front) -> None:
    with pytest.raises(Invalid, match="name"):
        front.patient(name="")


def test_a_national_id_fills_birth_date_and_sex_and_is_masked(front: Front) -> None:
    patient = front.patient(birth_date=None, sex="", national_id=NATIONAL_ID)
    assert (patient.birth_date, patient.sex) == (date(1990, 3, 7), "M")
    shown = [one.value for one in patient.identifiers if one.kind is IdentifierKind.NATIONAL_ID]
    assert shown == ["110***********2316"]
    assert NATIONAL_ID not in patient.model_dump_json()


@pytest.mark.parametrize("given", [{"birth_date": date(1990, 3, 8), "sex": ""}, {"birth_date": None, "sex": "F"}])
def test_a_national_id_that_contradicts_is_refused(front: Front, given: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="differs from the national id"):
        front.patient(national_id=NATIONAL_ID, **given)


def test_a_national_id_corrects_an_estimated_birth_date(front: Front) -> None:
    front.patient(birth_date=date(1990, 1, 1), birth_date_known=BirthDateKnown.ESTIMATED)
    changed = front.do(patients.change, CLERK, "P1", wire.PatientChange(national_id=NATIONAL_ID))
    assert (changed.birth_date, changed.birth_date_known) == (date(1990, 3, 7), BirthDateKnown.EXACT)


def test_a_national_id_belongs_to_one_person(front: Front) -> None:
    front.patient(birth_date=None, national_id=NATIONAL_ID)
    with pytest.raises(Refused, match="P1"):
        front.patient("P2", "Li^Na", birth_date=None, national_id=NATIONAL_ID)


def test_a_birth_date_may_be_unknown_or_estimated_but_not_in_the_future(front: Front) -> None:
    assert front.patient("P1", birth_date=None).birth_date_known is BirthDateKnown.UNKNOWN
    estimated = front.patient("P2", birth_date=date(1960, 1, 1), birth_date_known=BirthDateKnown.ESTIMATED)
    assert estimated.birth_date_known is BirthDateKnown.ESTIMATED
    with pytest.raises(Invalid):
        front.patient("P3", birth_date=date(2030, 1, 1))
    with pytest.raises(Invalid):
        front.patient("P4", birth_date=None, birth_date_known=BirthDateKnown.ESTIMATED)


def test_an_unknown_patient_gets_a_temporary_identity_and_is_made_known_later(front: Front) -> None:
    unknown = front.patient(None, "", identity=Identity.TEMPORARY, birth_date=None, sex="")
    assert unknown.name == f"UNKNOWN^{unknown.number}"
    assert unknown.identity is Identity.TEMPORARY
    front.exam(patient=unknown.number, procedure="LUNG-PERF")
    known = front.do(patients.change, CLERK, unknown.number, wire.PatientChange(name="李娜", sex="F"))
    assert (known.identity, known.name, known.exams) == (Identity.KNOWN, "Li^Na", ["A1"])


def test_two_unknown_patients_are_not_taken_for_one(front: Front) -> None:
    for _ in range(2):
        front.patient(None, "", identity=Identity.TEMPORARY, birth_date=None, sex="", accept_similar=False)


@pytest.mark.parametrize(
    ("name", "born", "phone"),
    [("张伟", date(1961, 3, 4), ""), ("Wei Zhang", date(1961, 3, 4), ""), ("张薇", date(1961, 3, 4), ""),
     ("Zhang Wei", None, "138 0000 4471")],
)  # fmt: skip
def test_a_duplicate_is_shown_before_it_is_made(front: Front, name: str, born: date | None, phone: str) -> None:
    front.patient(phone="13800004471")
    with pytest.raises(Refused, match="P1"):
        front.patient(None, name, birth_date=born, phone=phone, accept_similar=False)
    with front.records.reading() as work:
        alike = patients.similar(work, CLERK, Person(PersonName.parse("Zhang^Wei"), date(1961, 3, 4)))
    assert [one.number for one in alike] == ["P1"]
    assert front.patient("P2", name, birth_date=born, phone=phone, accept_similar=True).number == "P2"


def test_people_who_share_only_a_name_are_registered_without_a_word(front: Front) -> None:
    front.patient()
    front.patient("P2", "张伟", birth_date=date(1988, 11, 30), accept_similar=False)


@pytest.mark.parametrize(
    "query",
    ["P1", "p1", "张伟", "张", "伟", "zhangwei", "zhang wei", "zw", "zhangw", "4471", "13800004471", "1961-03-04",
     "19610304", "1961", "110101196103047135"],
)  # fmt: skip
def test_a_patient_is_found_by_everything_they_go_by(front: Front, query: str) -> None:
    front.patient(
        "P1",
        phone="13800004471",
        identifiers=[wire.NewIdentifier(kind=IdentifierKind.CARD, value="110101196103047135")],
    )
    front.patient("Q7", "Wang^Fang=王^芳", birth_date=date(1970, 5, 5), sex="F", phone="13911112222")
    assert found(front, query) == ["P1"]


def test_a_change_is_found_by_its_new_words_and_kept_in_the_trail(front: Front) -> None:
    front.patient()
    front.do(patients.change, CLERK, "P1", wire.PatientChange(name="张炜", phone="139", reason="misheard"))
    assert found(front, "炜") == ["P1"]
    assert found(front, "伟") == []
    assert "patient.change" in front.audited()


def test_merged_patients_lead_to_the_survivor_and_can_be_parted_again(front: Front) -> None:
    front.patient("P1")
    front.patient("P2", "Chang^Wei", birth_date=date(1961, 3, 5))
    front.exam("A2", patient="P2")
    survivor = front.do(patients.merge, HEAD, "P2", wire.Merge(into="P1", reason="one person"))
    assert survivor.exams == ["A2"]
    assert front.look("A2").patient_number == "P1"
    assert found(front, "P2") == ["P1"]
    with front.records.reading() as work:
        assert work.session.exec(select(Exam.patient_id)).one() == 2  # no row was rewritten
    assert front.exam("A3", patient="P2").patient_number == "P1"
    parted = front.do(patients.unmerge, ADMIN, "P2", wire.Undo())
    assert (parted.number, parted.exams) == ("P2", ["A2"])
    assert front.look("A2").patient_number == "P2"


def test_a_chain_of_merges_leads_to_its_end_and_never_in_a_circle(front: Front) -> None:
    for number, name in (("P1", "Li^Na"), ("P2", "Wu^Di"), ("P3", "He^Jun")):
        front.patient(number, name)
    front.do(patients.merge, HEAD, "P1", wire.Merge(into="P2"))
    front.do(patients.merge, HEAD, "P2", wire.Merge(into="P3"))
    with front.records.reading() as work:
        assert patients.show(work, CLERK, "P1").number == "P3"
    with pytest.raises(Refused, match="one record already"):
        front.do(patients.merge, HEAD, "P3", wire.Merge(into="P1"))


@pytest.mark.parametrize("actor", [CLERK, NURSE, TECHNOLOGIST, DOCTOR])
def test_only_head_and_admin_merge(front: Front, actor: Actor) -> None:
    front.patient("P1")
    front.patient("P2", "Li^Na")
    with pytest.raises(Forbidden):
        front.do(patients.merge, actor, "P2", wire.Merge(into="P1"))


@pytest.mark.parametrize("actor", [TECHNOLOGIST, DOCTOR, ADMIN, READER])
def test_only_the_desk_registers(front: Front, actor: Actor) -> None:
    with pytest.raises(Forbidden):
        front.do(patients.add, actor, wire.NewPatient(name="Li^Na"))


def test_an_outside_reader_sees_their_own_cases_alone(front: Front) -> None:
    front.patient("P1")
    front.patient("P2", "Li^Na")
    front.exam("A2", patient="P2")
    with front.records.writing() as work:
        exam = work.session.exec(select(Exam)).one()
        exam.assigned_to = "reader.far"
        work.add(exam)
    with front.records.reading() as work:
        assert [one.number for one in patients.find(work, READER, "P")] == ["P2"]
        assert patients.show(work, READER, "P2").number == "P2"
        with pytest.raises(Forbidden):
            patients.show(work, READER, "P1")


# -- exams -----------------------------------------------------------------------------------------------------------


def test_patient_visit_and_exam_are_registered_in_one_go(front: Front) -> None:
    form = wire.Registration(
        patient=wire.NewPatient(name="李娜", sex="F", birth_date=date(1988, 11, 30)),
        exam=wire.NewExam(procedure="bone-wb", weight_kg=61, height_cm=165, from_department="骨科", complaint="pain"),
    )
    exam = front.do(registration.register, CLERK, form)
    assert check(exam.accession)
    assert len(exam.accession) <= 16
    assert (exam.procedure, exam.state, exam.weight_kg, exam.from_department) == ("BONE-WB", "registered", 61, "骨科")
    assert [step.name for step in exam.steps] == ["whole body"]
    assert exam.images.expected == 2
    assert exam.arrived_at == MORNING


def test_a_refused_exam_leaves_no_patient_behind(front: Front) -> None:
    form = wire.Registration(patient=wire.NewPatient(number="P9", name="李娜"), exam=wire.NewExam(procedure="NO-SUCH"))
    with pytest.raises(NotFound, match="BONE-WB"):
        front.do(registration.register, CLERK, form)
    assert found(front, "P9") == []


@pytest.mark.parametrize("accession", ["TEST", "0", "a\\b"])
def test_an_accession_that_means_nothing_is_refused(front: Front, accession: str) -> None:
    front.patient()
    with pytest.raises(Invalid):
        front.exam(accession)


def test_an_accession_is_given_once_in_a_site_and_has_sixteen_signs(front: Front) -> None:
    front.patient()
    front.exam("A1")
    with pytest.raises(Refused, match="given already"):
        front.exam("A1")
    with pytest.raises(ValueError, match="16"):
        front.exam("A" * 17)


def test_one_request_holds_several_exams_of_one_patient(front: Front) -> None:
    front.patient()
    front.patient("P2", "Li^Na")
    one = front.exam("A1", request_number="R9", complaint="pain")
    other = front.exam("A2", "THYROID", request_number="R9")
    assert (one.request_number, other.request_number, other.complaint) == ("R9", "R9", "pain")
    with pytest.raises(Refused, match="another patient"):
        front.exam("A3", patient="P2", request_number="R9")


def test_every_exam_offers_a_study_uid_and_every_step_an_id_of_its_own(front: Front) -> None:
    front.patient()
    exams = [front.exam(None, "BONE-3P"), front.exam(None, "MPI-GATED")]
    uids = {exam.study_instance_uid for exam in exams}
    ids = [step.sps_id for exam in exams for step in exam.steps]
    assert len(uids) == 2
    assert len(set(ids)) == len(ids) == 5
    assert all(len(one) <= 16 and check(one) for one in ids)


def test_a_booking_has_not_arrived_and_waits_at_its_own_time(front: Front) -> None:
    front.patient()
    booked = MORNING + timedelta(days=1)
    exam = front.exam(booked_at=booked)
    assert (exam.arrived_at, exam.booked_at, exam.steps[0].planned_at) == (None, booked, booked)
    with front.records.reading() as work:
        assert work.session.exec(select(Exam.queued_at)).one() == booked


def test_a_standing_device_protocols_at_registration(front: Front) -> None:
    change = wire.ProcedureChange(standing_device="SPECT1", standing_plan="as always")
    front.do(catalogue.change, ADMIN, "BONE-WB", change)
    front.patient()
    exam = front.exam()
    assert (exam.state, exam.device, exam.plan) == ("protocolled", "SPECT1", "as always")
    assert (exam.steps[0].devices, exam.steps[0].planned_at) == (["SPECT1"], MORNING)


def test_pregnancy_is_asked_of_women_who_may_be_pregnant(front: Front) -> None:
    front.patient("P1", sex="M")
    front.patient("P2", "Li^Na", sex="F", birth_date=date(1990, 1, 1))
    front.patient("P3", "Wu^Di", sex="F", birth_date=date(1940, 1, 1))
    front.patient("P4", "He^Jun", sex="", birth_date=None)
    asked = {n: [one.name for one in front.exam(None, patient=n).checks] for n in ("P1", "P2", "P3", "P4")}
    assert asked == {"P1": [], "P2": ["pregnancy", "breastfeeding"], "P3": [], "P4": ["pregnancy", "breastfeeding"]}


def test_a_corrected_sex_asks_what_then_fits(front: Front) -> None:
    front.patient()
    front.exam()
    front.do(registration.change_patient, CLERK, "P1", wire.PatientChange(sex="F", birth_date=date(1990, 1, 1)))
    assert [one.name for one in front.look().checks] == ["pregnancy", "breastfeeding"]


def test_namesakes_of_the_day_carry_a_mark(front: Front) -> None:
    front.patient("P1")
    front.patient("P2", "张薇", birth_date=date(1988, 11, 30), sex="F")
    front.patient("P3", "Li^Na")
    exams = [front.exam(None, patient=number) for number in ("P1", "P2", "P3")]
    assert [front.look(exam.accession).same_name_today for exam in exams] == [True, True, False]


def test_a_cancelled_exam_comes_back_as_it_was(front: Front) -> None:
    front.patient()
    front.exam()
    cancelled = front.do(registration.cancel, CLERK, "A1", wire.CloseExam(reason="went home"))
    assert (cancelled.state, cancelled.closed_reason, front.states()) == ("cancelled", "went home", ["not_done"])
    again = front.do(registration.reopen, CLERK, "A1", wire.StepAct())
    assert (again.state, again.closed_reason, front.states()) == ("registered", "", ["scheduled"])
    with pytest.raises(Refused, match="nothing to reopen"):
        front.do(registration.reopen, CLERK, "A1", wire.StepAct())


def test_an_exam_with_images_is_not_cancelled(front: Front) -> None:
    front.patient()
    front.exam()
    front.file_image()
    with pytest.raises(Refused, match="images"):
        front.do(registration.cancel, CLERK, "A1", wire.CloseExam())


def test_a_step_is_added_at_any_time(front: Front) -> None:
    front.patient()
    front.exam()
    exam = front.do(registration.add_step, TECHNOLOGIST, "A1", wire.NewStep(name="delayed"))
    assert [step.name for step in exam.steps] == ["whole body", "delayed"]
    assert exam.steps[1].state is StepState.SCHEDULED


def test_an_ended_step_is_reopened(front: Front) -> None:
    front.patient()
    front.exam()
    front.do(acquisition.start, TECHNOLOGIST, "A1", wire.StepAct())
    front.do(acquisition.finish, TECHNOLOGIST, "A1", wire.StepAct())
    exam = front.do(registration.reopen, TECHNOLOGIST, "A1", wire.StepAct(reason="motion"))
    assert (exam.state, exam.steps[0].state, exam.steps[0].finished_at) == ("in_progress", "in_progress", None)


def test_the_catalogue_ships_whole_and_is_edited_by_an_admin(front: Front) -> None:
    with front.records.reading() as work:
        entries = {one.code: one for one in catalogue.entries(work, CLERK)}
    assert len(entries) == 17
    assert all(len(entries[code].steps) == 1 for code in ("BONE-WB", "RENO-MAG3", "PET-FDG"))
    assert entries["RAIU-PROBE"].evidence == "document"
    assert all(one.name_zh and one.radiopharmaceutical and one.usual_activity_mbq for one in entries.values())
    with pytest.raises(Forbidden):
        front.do(catalogue.change, DOCTOR, "BONE-WB", wire.ProcedureChange(uptake_minutes=120))
    changed = front.do(catalogue.change, ADMIN, "BONE-WB", wire.ProcedureChange(uptake_minutes=120))
    assert changed.uptake_minutes == 120
    steps = [wire.CatalogueStep(name="early"), wire.CatalogueStep(name="late", after_minutes=240)]
    front.do(catalogue.change, ADMIN, "TUMOUR", wire.ProcedureChange(name="Tumour scan", steps=steps))
    front.patient()
    assert [step.name for step in front.exam(procedure="TUMOUR").steps] == ["early", "late"]


def test_terms_are_rewritten_and_not_heaped_up(front: Front) -> None:
    front.patient()
    with front.records.reading() as work:
        before = sorted(work.session.exec(select(PatientTerm.term)))
    front.do(patients.change, CLERK, "P1", wire.PatientChange(address="Nanjing"))
    with front.records.reading() as work:
        assert sorted(work.session.exec(select(PatientTerm.term))) == before


def test_eight_people_writing_at_once_lose_nothing(front: Front) -> None:
    failures: list[BaseException] = []

    def desk(number: int) -> None:
        try:
            for round_ in range(5):
                name = "P" + "ABCDEFGH"[number] + str(round_)
                front.patient(name, f"Li^{name}")
                front.exam(None, patient=name)
                front.do(patients.change, CLERK, name, wire.PatientChange(phone=f"1380000{number}{round_}"))
        except BaseException as error:  # noqa: BLE001 - every failure of a thread is told below
            failures.append(error)

    people = [threading.Thread(target=desk, args=(number,)) for number in range(8)]
    for one in people:
        one.start()
    for one in people:
        one.join(60)
    assert failures == []
    with front.records.reading() as work:
        accessions = list(work.session.exec(select(Exam.accession)))
        assert len(set(accessions)) == len(accessions) == 40
        phones = select(PatientTerm.patient_id).where(col(PatientTerm.term).like("1380000%")).distinct()
        assert len(work.session.exec(phones).all()) == 40
