"""The nurse's queue: urgency, arrival, who reads it, what nobody has asked yet."""

from __future__ import annotations

from pathlib import Path

from console.screens.dialogs import AskText, Choose
from console.screens.triage import Triage
from console.widgets.paged_list import PagedList
from tests.console.conftest import Department, opened, picture, until


async def test_the_most_urgent_stands_first_then_who_came_first(department: Department, tmp_path: Path) -> None:
    department.registered("Ann^A")
    department.clock.pass_minutes(10)
    department.registered("Bea^B", urgency="stat")
    department.registered("Cam^C")
    department.clock.pass_minutes(25)
    async with opened(department, "liu.min", tmp_path) as pilot:
        assert isinstance(pilot.app.screen, Triage)
        await until(pilot, lambda: "Cam" in picture(pilot.app))
        text = picture(pilot.app)
        assert text.index("Bea") < text.index("Ann") < text.index("Cam")
        assert "35 min" in text


async def test_patients_of_one_name_carry_a_mark(department: Department, tmp_path: Path) -> None:
    department.registered("张伟")
    department.registered("张伟", birth_date="1980-01-01")
    department.registered("李娜", sex="F")
    async with opened(department, "liu.min", tmp_path) as pilot:
        await until(pilot, lambda: "李娜" in picture(pilot.app))
        marked = [line for line in picture(pilot.app).splitlines() if "⚠same" in line]
        assert len(marked) == 2
        assert all("张伟" in line for line in marked)


async def test_urgency_is_two_keys_away_and_the_cursor_follows_the_patient(
    department: Department, tmp_path: Path
) -> None:
    department.registered("Ann^A")
    department.registered("Bea^B")
    async with opened(department, "liu.min", tmp_path) as pilot:
        queue = pilot.app.screen.query_one(PagedList)
        await until(pilot, lambda: queue.total == 2)
        await pilot.press("down", "u")
        await until(pilot, lambda: isinstance(pilot.app.screen, Choose))
        await pilot.press(*"stat", "enter")
        await until(pilot, lambda: queue.chosen and queue.chosen["urgency"] == "stat")
        assert queue.chosen
        assert queue.chosen["patient_name"] == "Bea^B"
        assert queue._cursor == 0


async def test_enter_takes_the_proposed_doctor(department: Department, tmp_path: Path) -> None:
    exam = department.registered("Ann^A")
    async with opened(department, "liu.min", tmp_path) as pilot:
        await until(pilot, lambda: pilot.app.screen.query_one(PagedList).chosen)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(pilot.app.screen, Choose))
        await pilot.press("enter")
        await until(pilot, lambda: department.client.get(f"exams/{exam['accession']}")["assigned_to"])


async def test_a_question_nobody_asked_yet_stands_in_the_queue_until_it_is_answered(
    department: Department, tmp_path: Path
) -> None:
    exam = department.registered("Ann^A", "PET-FDG", sex="M")
    asked = len(exam["checks"])
    assert asked
    async with opened(department, "liu.min", tmp_path) as pilot:
        await until(pilot, lambda: "fasting" in picture(pilot.app))
        for _question in range(asked):
            await pilot.press("k")
            await until(pilot, lambda: isinstance(pilot.app.screen, AskText))
            await pilot.press(*"yes", "enter")
            await until(pilot, lambda: isinstance(pilot.app.screen, Triage))
            await pilot.pause(0.5)
        await until(pilot, lambda: "fasting" not in picture(pilot.app))
    assert all(check["answer"] == "yes" for check in department.client.get(f"exams/{exam['accession']}")["checks"])


async def test_who_may_not_triage_has_no_key_for_it(department: Department, tmp_path: Path) -> None:
    department.registered("Ann^A")
    async with opened(department, "wang.li", tmp_path) as pilot:
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(pilot.app.screen, Choose))
        assert "Assign" not in picture(pilot.app)
        assert "Triage" not in picture(pilot.app)
