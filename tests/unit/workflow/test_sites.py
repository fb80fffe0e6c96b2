"""What one institution sees of another: nothing."""

from __future__ import annotations

import pytest

from core import access, course, wire
from core.errors import NotFound
from core.vocabulary import Role
from core.workflow import devices, patients, registration
from tests.unit.workflow.front import CLERK, Front

ELSEWHERE = access.person("li.jing", "EAST", Role.ADMIN)
OPERATOR = access.operator("root", "MAIN")


def test_the_devices_of_another_site_are_neither_listed_nor_called(front: Front) -> None:
    with front.records.reading() as work:
        assert devices.listing(work, ELSEWHERE) == []
        assert len(devices.listing(work, OPERATOR)) == 3
        with pytest.raises(NotFound):
            devices.to_call(work, ELSEWHERE, "SPECT1")


def test_a_namesake_at_another_site_is_nobodys_namesake(front: Front) -> None:
    front.patient()
    front.exam()
    front.do(registration.add_site, OPERATOR, "WEST", "Hospital in the west")
    clerk = access.person("zhou.yan", "WEST", Role.CLERK)
    form = wire.Registration(
        patient=wire.NewPatient(number="W1", name="Zhang^Wei=张^伟", accept_similar=True),
        exam=wire.NewExam(patient="W1", procedure="BONE-WB"),
    )
    assert not front.do(registration.register, clerk, form).same_name_today
    with front.records.reading() as work:
        assert not course.shape(work, course.find_exam(work, "A1", "MAIN")).same_name_today


def test_a_number_typed_in_full_is_found_among_many_that_begin_so(front: Front) -> None:
    front.patient("77")
    front.after(minutes=1)
    for last in range(4):
        front.patient(f"77{last}", f"Li^Na{last}")
    with front.records.reading() as work:
        assert patients.find(work, CLERK, "77", 1)[0].number == "77"


def test_a_number_in_no_digits_of_ours_names_nobody(front: Front) -> None:
    with front.records.reading() as work, pytest.raises(NotFound, match="nobody answers"):
        patients.find_patient(work, "²", "MAIN")
