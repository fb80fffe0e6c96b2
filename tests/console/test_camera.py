"""At the camera: two identifiers before anything, what is unanswered in plain sight, frames as they come."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from console.screens.camera import Camera
from console.screens.dialogs import Choose, Read
from console.screens.fill import Fill
from console.widgets.paged_list import PagedList
from tests.console.conftest import Department, opened, picture, until
from tests.console.reading_room import ReadingRoom
from tests.console.test_snapshots import FOLDER, SIZES, _compare

TECHNOLOGIST = "liu.yang"


@pytest.fixture
def room(department: Department, tmp_path: Path) -> Iterator[ReadingRoom]:
    made = ReadingRoom(department, tmp_path)
    yield made
    made.close()


def planned(room: ReadingRoom, name: str, procedure: str, accession: str, **said: Any) -> dict[str, Any]:  # noqa: ANN401 - either half
    room.department.registered(name, procedure, accession=accession, **said)
    body = {"device": "CAM1", "at": "2026-10-05T10:00:00+08:00"}
    made: dict[str, Any] = room.department.client.post(f"exams/{accession}/protocol", body)
    return made


def exam(room: ReadingRoom, accession: str) -> dict[str, Any]:
    shown: dict[str, Any] = room.department.client.get(f"exams/{accession}")
    return shown


async def shown(pilot: Pilot[Any], word: str) -> None:
    await until(pilot, lambda: word in picture(pilot.app))
    await pilot.pause(0.1)


async def filling(pilot: Pilot[Any]) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, Fill) and list(pilot.app.screen.query(Input)))
    await pilot.pause(0.2)


async def back(pilot: Pilot[Any]) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, Camera))


def card(pilot: Pilot[Any]) -> str:
    return str(pilot.app.screen.query_one("#card", Static).visual)


async def test_nobody_is_injected_before_name_and_birth_date_agree(room: ReadingRoom, tmp_path: Path) -> None:
    planned(room, "Zhang^Wei=张^伟", "BONE-WB", "A1")
    async with opened(room.department, TECHNOLOGIST, tmp_path) as pilot:
        await shown(pilot, "张伟")
        await pilot.press("f7")
        await filling(pilot)
        await pilot.press("enter", "ctrl+s")
        await shown(pilot, "is needed")
        await pilot.press(*"Zhang Wei", "down", *"1988-11-30", "down", *"735", "ctrl+s")
        await shown(pilot, "not this patient")
        assert not exam(room, "A1")["doses"]
        other = pilot.app.screen.query_one("#field-other", Input)
        other.value = "1961-03-04"
        await pilot.press("ctrl+s")
        await back(pilot)
    dose = exam(room, "A1")["doses"][0]
    assert (dose["drawn_mbq"], dose["injected_by"], bool(dose["injected_at"])) == (735.0, TECHNOLOGIST, True)


async def test_the_dose_drawn_stands_beside_the_planned_one_and_what_was_left(
    room: ReadingRoom, tmp_path: Path
) -> None:
    planned(room, "Zhang^Wei=张^伟", "BONE-WB", "A1")
    async with opened(room.department, TECHNOLOGIST, tmp_path) as pilot:
        await shown(pilot, "张伟")
        await pilot.press("f6")
        await filling(pilot)
        await pilot.press(*"751,5", "ctrl+s")
        await until(pilot, lambda: exam(room, "A1")["doses"])
        room.department.client.post("exams/A1/dose/inject", {})
        await pilot.press("f8")
        await filling(pilot)
        await pilot.press(*"12", "ctrl+s")
        await back(pilot)
        await shown(pilot, "planned 740 MBq")
        await shown(pilot, "drawn 751.5 MBq")
        await shown(pilot, "residual 12 MBq")


async def test_unanswered_checks_stand_in_plain_sight_and_hold_back_the_start(
    room: ReadingRoom, tmp_path: Path
) -> None:
    planned(room, "Ann^A", "MPI-REST", "A1")
    async with opened(room.department, TECHNOLOGIST, tmp_path) as pilot:
        await shown(pilot, "NOT ANSWERED: fasting")
        await pilot.press("s")
        await filling(pilot)
        await pilot.press(*"Ann A", "down", *"1961-03-04", "ctrl+s")
        await shown(pilot, "unanswered checks (fasting)")
        assert exam(room, "A1")["steps"][0]["state"] == "scheduled"
        await pilot.press("down", *"emergency", "ctrl+s")
        await back(pilot)
        await until(pilot, lambda: exam(room, "A1")["steps"][0]["state"] == "in_progress")
    assert exam(room, "A1")["checks"][0]["note"] == "emergency"


async def test_not_this_patient_says_what_to_do_and_starts_nothing(room: ReadingRoom, tmp_path: Path) -> None:
    before = planned(room, "Zhang^Wei=张^伟", "BONE-WB", "A1")
    async with opened(room.department, TECHNOLOGIST, tmp_path) as pilot:
        await shown(pilot, "张伟")
        await pilot.press("x")
        await until(pilot, lambda: isinstance(pilot.app.screen, Read))
        assert "inject nothing, start nothing" in picture(pilot.app)
        await pilot.press("enter")
        await back(pilot)
    assert exam(room, "A1") == before


async def test_frames_are_counted_while_they_arrive(room: ReadingRoom, tmp_path: Path) -> None:
    made = planned(room, "Zhang^Wei=张^伟", "BONE-WB", "A1")
    async with opened(room.department, TECHNOLOGIST, tmp_path) as pilot:
        await shown(pilot, "0/2")
        room.send(made)
        await shown(pilot, "2/2")


async def test_what_was_not_done_has_its_reason_and_can_be_taken_up_again(room: ReadingRoom, tmp_path: Path) -> None:
    planned(room, "Ann^A", "BONE-WB", "A1")
    async with opened(room.department, TECHNOLOGIST, tmp_path) as pilot:
        await shown(pilot, "BONE-WB")
        await pilot.press("s")
        await filling(pilot)
        await pilot.press(*"Ann A", "down", *"1961-03-04", "ctrl+s")
        await until(pilot, lambda: exam(room, "A1")["steps"][0]["state"] == "in_progress")
        await back(pilot)
        await shown(pilot, "on camera")
        await pilot.press("b")
        await filling(pilot)
        await pilot.press("enter")
        await shown(pilot, "is needed")
        await pilot.press(*"felt sick", "enter")
        await back(pilot)
        await shown(pilot, "discontinued")
        await pilot.press("u")
        await filling(pilot)
        await pilot.press(*"feels better", "enter")
        await until(pilot, lambda: exam(room, "A1")["steps"][0]["state"] in {"scheduled", "in_progress"})


async def test_the_next_step_is_told_with_its_window(room: ReadingRoom, tmp_path: Path) -> None:
    planned(room, "Ann^A", "MPI-GATED", "A1")
    async with opened(room.department, TECHNOLOGIST, tmp_path) as pilot:
        await shown(pilot, "tomorrow 10:00 ± 60 min")


async def test_a_doctors_call_is_answered_at_the_camera(room: ReadingRoom, tmp_path: Path) -> None:
    planned(room, "Ann^A", "BONE-WB", "A1")
    async with opened(room.department, TECHNOLOGIST, tmp_path) as pilot:
        await shown(pilot, "BONE-WB")
        room.department.client.post("exams/A1/report/call", {"text": "where are they?"})
        await shown(pilot, "asks about A1: where are they?")
        await pilot.press("t")
        await filling(pilot)
        await pilot.press(*"being sent", "enter")
        await until(pilot, lambda: not room.department.client.get("calls"))


async def test_a_candidate_is_confirmed_at_the_camera(room: ReadingRoom, tmp_path: Path) -> None:
    made = planned(room, "Zhang^Wei=张^伟", "BONE-WB", "A1")
    room.send(made, sent={"accession": "", "study_instance_uid": ""})
    async with opened(room.department, TECHNOLOGIST, tmp_path) as pilot:
        await shown(pilot, "Studies to be confirmed: 1")
        await pilot.press("g")
        await until(pilot, lambda: isinstance(pilot.app.screen, Choose))
        await pilot.press("enter")
        await filling(pilot)
        assert "as registered" in picture(pilot.app)
        await pilot.press("ctrl+s")
        await back(pilot)
        await until(pilot, lambda: exam(room, "A1")["images"]["received"] == 2)


async def test_the_patient_at_hand_stays_at_hand_when_others_arrive(room: ReadingRoom, tmp_path: Path) -> None:
    planned(room, "Ann^A", "BONE-WB", "A1")
    planned(room, "Bea^B", "BONE-WB", "A2")
    async with opened(room.department, TECHNOLOGIST, tmp_path) as pilot:
        rows = pilot.app.screen.query_one(PagedList)
        await until(pilot, lambda: rows.total == 2)
        await pilot.press("down")
        assert rows.chosen
        key = rows.chosen["key"]
        room.department.registered("Cam^C", "BONE-WB", accession="A3")
        early = {"device": "CAM1", "at": "2026-10-05T09:00:00+08:00"}
        room.department.client.post("exams/A3/protocol", early)
        await until(pilot, lambda: rows.total == 3)
        assert rows.chosen["key"] == key


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_camera_looks_as_it_did(room: ReadingRoom, tmp_path: Path, size: tuple[int, int]) -> None:
    planned(room, "Zhang^Wei=张^伟", "MPI-GATED", "A1", weight_kg=72)
    planned(room, "Zhang^Wei=张^伟", "BONE-WB", "A2", birth_date="1988-11-30")
    room.send(planned(room, "García Márquez^Ana María", "THYROID", "A3", sex="F"), sent={
        "patient_name": "García Márquez^Ana María"})  # fmt: skip
    room.department.client.post("exams/A2/dose/draw", {"mbq": 751.5})
    room.department.clock.pass_minutes(12)
    room.department.client.post("exams/A2/dose/inject", {})
    room.department.client.post("exams/A1/report/call", {"text": "rest images?"})
    async with opened(room.department, TECHNOLOGIST, tmp_path, size) as pilot:
        await shown(pilot, "THYROID")
        await shown(pilot, "rest images?")
        await pilot.press("down")
        await pilot.pause(0.3)
        seen = picture(pilot.app)
    _compare(seen, FOLDER / f"camera-{size[0]}x{size[1]}.txt")
