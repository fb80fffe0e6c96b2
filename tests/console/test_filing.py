"""Filing: three columns side by side, what differs marked, and everything can be taken back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from console.screens.filing import Filing
from console.screens.fill import Fill
from console.widgets.paged_list import PagedList
from core.vocabulary import Role
from tests.console.conftest import Department, opened, picture, until
from tests.console.reading_room import ReadingRoom
from tests.console.test_snapshots import FOLDER, SIZES, _compare

PHYSICIST = "sun.yi"


@pytest.fixture
def room(department: Department, tmp_path: Path) -> Iterator[ReadingRoom]:
    made = ReadingRoom(department, tmp_path)
    department.employ(PHYSICIST, "Sun Yi", Role.PHYSICIST)
    yield made
    made.close()


@pytest.fixture
def astray(room: ReadingRoom) -> dict[str, Any]:
    """Give an exam whose images came without numbers of ours and under another birth date."""
    exam = room.exam("A1", images=False)
    room.send(exam, sent={"accession": "", "study_instance_uid": "", "birth_date": "19620304"})
    return exam


@asynccontextmanager
async def at_filing(room: ReadingRoom, tmp_path: Path, size: tuple[int, int] = (80, 24)) -> AsyncIterator[Pilot[Any]]:
    """Open the physicist's console on the filing page."""
    async with opened(room.department, PHYSICIST, tmp_path, size) as pilot:
        pilot.app.action_go("filing")  # type: ignore[attr-defined]
        await until(pilot, lambda: isinstance(pilot.app.screen, Filing))
        yield pilot


async def shown(pilot: Pilot[Any], word: str) -> None:
    await until(pilot, lambda: word in picture(pilot.app))
    await pilot.pause(0.1)


async def filling(pilot: Pilot[Any]) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, Fill) and list(pilot.app.screen.query(Input)))
    await pilot.pause(0.2)


def waiting(room: ReadingRoom, state: str = "unfiled") -> list[dict[str, Any]]:
    batches: list[dict[str, Any]] = room.department.client.get("images/unfiled", state=state)
    return batches


async def test_what_differs_is_marked_between_the_columns(
    room: ReadingRoom, astray: dict[str, Any], tmp_path: Path
) -> None:
    async with at_filing(room, tmp_path) as pilot:
        assert isinstance(pilot.app.screen, Filing)
        await shown(pilot, "as registered")
        await shown(pilot, "≠ 1961-03-04")
        born = next(line for line in picture(pilot.app).splitlines() if "Born" in line)
        assert "1962-03-04" in born
        name = next(line for line in picture(pilot.app).splitlines() if line.strip().startswith("Name"))
        assert "≠" not in name


async def test_a_study_is_filed_for_a_reason_and_it_can_be_undone(
    room: ReadingRoom, astray: dict[str, Any], tmp_path: Path
) -> None:
    async with at_filing(room, tmp_path) as pilot:
        await shown(pilot, "as registered")
        await pilot.press("f")
        await filling(pilot)
        await pilot.press("ctrl+s")
        await shown(pilot, "give a reason")
        field = pilot.app.screen.query_one("#field-reason", Input)
        field.focus()
        await pilot.press(*"birth date mistyped", "ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, Filing))
        assert waiting(room, "filed")
        await pilot.press("u")
        await filling(pilot)
        assert "birth date mistyped" in picture(pilot.app)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: waiting(room))
        assert not waiting(room, "filed")
        await until(pilot, lambda: isinstance(pilot.app.screen, Filing))
        await pilot.press("7")
        await shown(pilot, "undone")


async def test_images_come_into_sight_while_one_looks(room: ReadingRoom, tmp_path: Path) -> None:
    exam = room.exam("A1", images=False)
    async with at_filing(room, tmp_path) as pilot:
        await shown(pilot, "Nothing waits here")
        room.send(exam, sent={"accession": "", "study_instance_uid": ""})
        rows = pilot.app.screen.query_one(PagedList)
        await until(pilot, lambda: rows.total == 1)


async def test_images_under_another_patients_worklist_entry_contradict_it(room: ReadingRoom, tmp_path: Path) -> None:
    exam = room.exam("A1", images=False)
    room.department.registered("Li^Na=李^娜", accession="A2", number="P2", sex="F")
    room.send(exam, sent={"patient_id": "P2", "patient_name": "Li^Na=李^娜", "sex": "F"})
    async with at_filing(room, tmp_path) as pilot:
        await pilot.press("2")
        await shown(pilot, "worklist-issued")
        await shown(pilot, "issued by us")
        line = next(line for line in picture(pilot.app).splitlines() if line.strip().startswith("Number"))
        assert "P2" in line
        assert "≠" in line


async def test_a_filed_study_is_taken_away_from_its_exam_for_a_reason(room: ReadingRoom, tmp_path: Path) -> None:
    room.exam("A1")
    async with at_filing(room, tmp_path) as pilot:
        await pilot.press("6")
        await shown(pilot, "张伟")
        await pilot.press("n")
        await filling(pilot)
        pilot.app.screen.query_one("#field-reason", Input).value = "another patient lay there"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: waiting(room))
    assert room.department.client.get("exams/A1")["images"]["received"] == 0


async def test_one_series_goes_to_another_exam(room: ReadingRoom, tmp_path: Path) -> None:
    exam = room.exam("A1", "BONE-3P", images=False)
    room.department.registered("Zhang^Wei=张^伟", accession="A2")
    room.send(exam, sent={"accession": "", "study_instance_uid": ""})
    before = waiting(room)[0]
    assert len(before["series"]) > 1
    async with at_filing(room, tmp_path) as pilot:
        await shown(pilot, "as registered")
        await pilot.press("s")
        await shown(pilot, "Which series")
        await pilot.press("enter")
        await filling(pilot)
        pilot.app.screen.query_one("#field-accession", Input).value = "A2"
        pilot.app.screen.query_one("#field-reason", Input).value = "belongs there"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: waiting(room, "filed"))
    assert len(waiting(room, "filed")[0]["series"]) == 1
    assert len(waiting(room)[0]["series"]) == len(before["series"]) - 1


async def test_an_object_kept_apart_is_taken_in_under_a_uid_of_its_own(room: ReadingRoom, tmp_path: Path) -> None:
    exam = room.exam("A1", images=False)
    room.send(exam)
    room.send_again_altered("A1")
    client = room.department.client
    [apart] = client.get("images/quarantined")
    batch = waiting(room, "filed")[0]
    async with at_filing(room, tmp_path) as pilot:
        await shown(pilot, "Nothing waits here")
        await pilot.press("a")
        await shown(pilot, "4 shows them")
        await pilot.press("4")
        await shown(pilot, "has its UID")
        await pilot.press("a")
        await shown(pilot, "Take this object in?")
        await pilot.press("n")
        assert client.get("images/quarantined") == [apart]
        await pilot.press("a")
        await shown(pilot, "Take this object in?")
        await pilot.press("y")
        await until(pilot, lambda: client.get("images/quarantined") == [])
        await shown(pilot, "Nothing waits here")
    assert waiting(room, "filed")[0]["received"] == batch["received"] + 1


async def test_who_may_only_confirm_has_no_key_to_undo(
    room: ReadingRoom, astray: dict[str, Any], tmp_path: Path
) -> None:
    async with opened(room.department, "liu.yang", tmp_path) as pilot:
        pilot.app.action_go("filing")  # type: ignore[attr-defined]
        await shown(pilot, "as registered")
        line = picture(pilot.app).splitlines()[-1]
        assert "File" in line
        assert "Undo" not in line
        await pilot.press("u")
        await pilot.pause(0.3)
        assert isinstance(pilot.app.screen, Filing)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_filing_looks_as_it_did(
    room: ReadingRoom, astray: dict[str, Any], tmp_path: Path, size: tuple[int, int]
) -> None:
    async with at_filing(room, tmp_path, size) as pilot:
        await shown(pilot, "≠ 1961-03-04")
        await shown(pilot, "Overdue 0")
        await pilot.pause(0.5)
        seen = picture(pilot.app)
    _compare(seen, FOLDER / f"filing-{size[0]}x{size[1]}.txt")
