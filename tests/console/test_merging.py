"""Two records of one person are merged at the screen with a reason, and the merge is taken back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.widgets import Input

from console.screens.dialogs import AskText
from console.screens.fill import Fill
from console.screens.merging import compared
from console.screens.patient import PatientPage
from tests.console.conftest import Department, opened, picture, until

HEAD = "chen.bo"


async def _on_page(pilot: Any, number: str) -> None:  # noqa: ANN401 - a pilot of any app
    page = PatientPage(pilot.app._desk, number)
    await pilot.app.push_screen(page)
    await until(pilot, lambda: number in picture(pilot.app))


async def _fill(pilot: Any, **typed: str) -> None:  # noqa: ANN401 - as above
    await until(pilot, lambda: isinstance(pilot.app.screen, Fill) and pilot.app.screen.query("#field-reason"))
    for key, text in typed.items():
        pilot.app.screen.query_one(f"#field-{key}", Input).value = text
    await pilot.press("ctrl+s")
    await until(pilot, lambda: isinstance(pilot.app.screen, PatientPage))


async def test_records_alike_are_offered_merged_and_parted_again(department: Department, tmp_path: Path) -> None:
    department.registered("Zhang^Wei=张^伟", number="P1", accession="A1")
    department.registered("Zhang^Wei=张^伟", number="P2", accession="A2")
    async with opened(department, HEAD, tmp_path) as pilot:
        await _on_page(pilot, "P2")
        await pilot.press("f9")
        await until(pilot, lambda: "same person as P2" in picture(pilot.app))
        await pilot.press("enter")
        await until(pilot, lambda: "One person?" in picture(pilot.app))
        assert "P1" in picture(pilot.app)
        await _fill(pilot, stays="P1", reason="registered twice")
        assert department.client.get("patients/P2")["number"] == "P1"
        assert set(department.client.get("patients/P1")["exams"]) == {"A1", "A2"}
        await pilot.press("f10")
        await _fill(pilot, reason="two brothers")
        assert department.client.get("patients/P2")["number"] == "P2"


async def test_a_record_that_does_not_look_alike_is_given_by_its_number(department: Department, tmp_path: Path) -> None:
    department.registered("Zhang^Wei=张^伟", number="P1", accession="A1")
    department.registered("UNKNOWN^X", number="T7", accession="A7", birth_date="1990-01-01")
    async with opened(department, HEAD, tmp_path) as pilot:
        await _on_page(pilot, "T7")
        await pilot.press("f9")
        await until(pilot, lambda: isinstance(pilot.app.screen, AskText))
        await pilot.press(*"A1", "enter")
        await until(pilot, lambda: "One person?" in picture(pilot.app))
        assert "!= " in picture(pilot.app)
        pilot.app.screen.query_one("#field-reason", Input).value = "identified by relatives"
        pilot.app.screen.query_one("#field-stays", Input).value = "P9"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "Write one of the two: T7, P1" in picture(pilot.app))
        await _fill(pilot, stays="P1")
        assert department.client.get("patients/T7")["number"] == "P1"


async def test_a_clerk_has_no_key_to_merge(department: Department, tmp_path: Path) -> None:
    department.registered("Zhang^Wei=张^伟", number="P1", accession="A1")
    async with opened(department, "wang.li", tmp_path) as pilot:
        await _on_page(pilot, "P1")
        await pilot.press("f9")
        await pilot.pause(0.3)
        assert isinstance(pilot.app.screen, PatientPage)


def test_what_differs_between_two_records_is_marked() -> None:
    one = {"number": "P1", "name": "Zhang^Wei", "name_ideographic": "张^伟", "birth_date": "1961-03-04", "sex": "M",
           "phone": "", "exams": ["A1"]}  # fmt: skip
    rows = compared(one, {**one, "number": "P2", "birth_date": "1962-03-04", "exams": []}).splitlines()
    assert [row.split()[0] for row in rows if "!=" in row] == ["Born"]
