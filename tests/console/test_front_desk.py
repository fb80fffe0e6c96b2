"""The clerk's day: find, register, receive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from console.app import Console
from console.client import Client, ServiceAway
from console.screens.dialogs import Choose, Read
from console.screens.front_desk import FrontDesk
from console.screens.patient import PatientPage
from console.screens.registration import RegistrationPage
from console.widgets.form import Choice, Form
from console.widgets.paged_list import PagedList
from tests.console.conftest import PASSWORD, Department, opened, picture, until


def _values(pilot: Pilot[Any]) -> dict[str, str]:
    return pilot.app.screen.query_one(Form).values


async def test_a_clerk_starts_at_the_front_desk_with_the_search_field_ready(
    department: Department, tmp_path: Path
) -> None:
    async with opened(department, "wang.li", tmp_path) as pilot:
        assert isinstance(pilot.app.screen, FrontDesk)
        assert isinstance(pilot.app.focused, Input)
        assert "wang.li (clerk)" in picture(pilot.app)
        assert "connected" in picture(pilot.app)


async def test_typing_finds_by_initials_and_enter_opens_the_patient(department: Department, tmp_path: Path) -> None:
    department.registered("张伟")
    async with opened(department, "wang.li", tmp_path) as pilot:
        await pilot.press(*"zw")
        await until(pilot, lambda: pilot.app.screen.query_one("#found", PagedList).total == 1)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, PatientPage))
        await until(pilot, lambda: "BONE-WB" in picture(pilot.app))


async def test_a_card_reader_may_end_its_number_with_enter_before_the_answer_is_there(
    department: Department, tmp_path: Path
) -> None:
    exam = department.registered("张伟")
    async with opened(department, "wang.li", tmp_path) as pilot:
        await pilot.press(*exam["patient_number"], "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, PatientPage))


async def test_nobody_found_offers_a_new_patient_with_what_was_typed_in_place(
    department: Department, tmp_path: Path
) -> None:
    async with opened(department, "wang.li", tmp_path) as pilot:
        await pilot.press(*"Li Na", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, RegistrationPage))
        assert _values(pilot)["name"] == "Li Na"


async def test_one_form_registers_patient_visit_and_exam_and_hands_out_a_receipt(
    department: Department, tmp_path: Path
) -> None:
    async with opened(department, "wang.li", tmp_path) as pilot:
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(pilot.app.screen, RegistrationPage))
        await pilot.press(*"Li Na=李娜", "enter", *"11010119610304123", "0", "enter")
        await until(pilot, lambda: _values(pilot)["birth_date"] == "1961-03-04")
        assert _values(pilot)["sex"] in {"M", "F"}
        pilot.app.screen.query_one("#procedure").focus()
        await until(pilot, lambda: len(pilot.app.screen.query_one("#procedure", Choice)._options) > 1)
        await pilot.press(*"bone-w")
        assert _values(pilot)["procedure"] == "BONE-WB"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, Read))
        assert "李娜" in picture(pilot.app)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, FrontDesk))
    page = department.client.get("exams", date="today")
    assert [one["procedure"] for one in page["items"]] == ["BONE-WB"]
    assert page["items"][0]["patient_name_ideographic"] == "李娜"


async def test_who_looks_alike_is_shown_before_a_duplicate_can_be_made(department: Department, tmp_path: Path) -> None:
    known = department.registered("张伟", phone="13800004471")
    async with opened(department, "wang.li", tmp_path) as pilot:
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(pilot.app.screen, RegistrationPage))
        pilot.app.screen.query_one(Form).fill({"name": "张伟", "birth_date": "1961-03-04", "sex": "M"})
        await until(pilot, lambda: known["patient_number"] in picture(pilot.app))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, Choose))
        await pilot.press("enter")  # it is the one who is known
        await until(pilot, lambda: isinstance(pilot.app.screen, FrontDesk))
    assert len(department.client.get("patients", query="张伟")) == 1


async def test_what_was_typed_is_back_after_the_form_was_left(department: Department, tmp_path: Path) -> None:
    async with opened(department, "wang.li", tmp_path) as pilot:
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(pilot.app.screen, RegistrationPage))
        await pilot.press(*"Li Na")
        await until(pilot, lambda: department_draft(department).get("name") == "Li Na")
    async with opened(department, "wang.li", tmp_path / "elsewhere") as pilot:
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(pilot.app.screen, RegistrationPage))
        await until(pilot, lambda: _values(pilot)["name"] == "Li Na")


def department_draft(department: Department) -> dict[str, Any]:
    line = Client(department.url)
    line.sign_in("wang.li", PASSWORD)
    draft: dict[str, Any] = line.get("drafts/registration")
    line.close()
    return draft


async def test_a_birth_date_that_is_none_is_told_under_its_field(department: Department, tmp_path: Path) -> None:
    async with opened(department, "wang.li", tmp_path) as pilot:
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(pilot.app.screen, RegistrationPage))
        pilot.app.screen.query_one(Form).fill({"name": "Li Na", "birth_date": "yesterday"})
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "Write a birth date" in picture(pilot.app))
        assert pilot.app.focused is not None
        assert pilot.app.focused.id == "birth_date"


async def test_a_change_made_elsewhere_appears_without_moving_the_cursor(
    department: Department, tmp_path: Path
) -> None:
    for name in ("Ann^A", "Bea^B", "Cam^C"):
        department.registered(name)
    async with opened(department, "wang.li", tmp_path) as pilot:
        day = pilot.app.screen.query_one("#day", PagedList)
        await until(pilot, lambda: day.total == 3)
        await pilot.press("down")
        assert day.chosen
        under_the_hand = day.chosen["accession"]
        department.registered("Dan^D", urgency="stat")
        await until(pilot, lambda: day.total == 4)
        assert day.chosen["accession"] == under_the_hand
        assert "Dan" in picture(pilot.app)


async def test_a_console_that_is_left_hangs_up(department: Department, tmp_path: Path) -> None:
    async with opened(department, "wang.li", tmp_path) as pilot:
        app = pilot.app
        assert isinstance(app, Console)
        line, ear = app._client, app._ear
        assert line is not None
        assert ear is not None
    ear._thread.join(5)
    assert not ear._thread.is_alive()
    assert line._http.is_closed
    with pytest.raises(ServiceAway, match="hung up"):
        line.get("session")
