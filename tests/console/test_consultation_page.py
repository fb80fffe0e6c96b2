"""Consultations on the screen, and how the pages of reading look."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from console.screens.consultation import ConsultationPage, read_time
from console.screens.report import ReportPage
from console.screens.viewer import Viewer
from tests.console.conftest import MORNING, Department
from tests.console.reading_room import COLLEAGUE, DOCTOR, HEAD, ReadingRoom
from tests.console.test_snapshots import FOLDER, SIZES, _compare

TEXT = {
    "technique": "静脉注射 Tc-99m MDP 740 MBq，3 h 后显像。",
    "findings": "第 4 腰椎右缘见局灶性放射性增高。\nOtherwise even uptake.",
    "impression": "退行性改变可能大。 Probably degenerative.",
}


@pytest.fixture
def room(department: Department, tmp_path: Path) -> Iterator[ReadingRoom]:
    room = ReadingRoom(department, tmp_path)
    room.exam("A1")
    yield room
    room.close()


def _asked(room: ReadingRoom) -> int:
    form = {"accession": "A1", "question": "退行性改变还是转移？"}
    number: int = room.client(DOCTOR).post("consultations", form)["id"]
    return number


async def test_a_case_is_asked_for_from_the_report(room: ReadingRoom) -> None:
    async with room.sitting(DOCTOR, partial(ReportPage, accession="A1")) as sitting:
        await sitting.sees("you are writing since")
        await sitting.press("f12")
        await sitting.sees("your question")
        await sitting.type("agree?")
        await sitting.press("ctrl+s")
        await sitting.until(lambda: room.client(HEAD).get("consultations"))
    assert room.client(HEAD).get("consultations")[0]["question"] == "agree?"


async def test_the_head_takes_a_case_from_question_to_conclusion(room: ReadingRoom) -> None:
    number, head = _asked(room), room.client(HEAD)
    async with room.sitting(HEAD, ConsultationPage) as sitting:
        await sitting.sees("requested", "no time yet")
        await sitting.press("s")
        await sitting.sees("When is it discussed?")
        await sitting.press("ctrl+u", *"15:00", "enter")
        await sitting.sees("scheduled", "15:00")
        await sitting.press("g")
        await sitting.sees("gathered")
        await sitting.press("b")
        await sitting.sees("in session")
        room.client(COLLEAGUE).post(f"consultations/{number}/opinion", {"text": "degenerative"})
        await sitting.press("k")
        await sitting.sees("Ctrl+S gives it")
        await sitting.type("CT in 3 months")
        await sitting.press("ctrl+s")
        await sitting.sees("No case waits.")
    done = head.get(f"consultations/{number}")
    assert (done["state"], done["conclusion"]) == ("concluded", "CT in 3 months")
    assert done["opinions"][0]["by"] == COLLEAGUE


def test_times_are_read_as_people_write_them() -> None:
    noon = [read_time(text, MORNING) for text in ("12:00", "10-05 12:00", "2026-10-05 12:00")]
    assert len(set(noon)) == 1
    with pytest.raises(ValueError, match="does not match"):
        read_time("at noon", MORNING)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_pages_of_reading_look_as_they_did(room: ReadingRoom, size: tuple[int, int]) -> None:
    at, number, head = f"{size[0]}x{size[1]}.txt", _asked(room), room.client(HEAD)
    head.post(f"consultations/{number}/schedule", {"at": "2026-10-05T15:00:00+08:00"})
    room.client(COLLEAGUE).post(f"consultations/{number}/opinion", {"text": "倾向退行性变。"})
    fence = room.client(DOCTOR).post("exams/A1/report/open", {})["fence"]
    room.client(DOCTOR).put("exams/A1/report/draft", {"fence": fence, "text": TEXT})
    async with room.sitting(DOCTOR, ConsultationPage, size) as sitting:
        await sitting.sees("scheduled", "15:00")
        _compare(sitting.seen(), FOLDER / f"consultation-{at}")
        await sitting.press("escape")
        await sitting.app.push_screen(_report(sitting.app._desk))
        await sitting.sees("you are writing since", "退行性改变可能大")
        _compare(sitting.seen(), FOLDER / f"report-{at}")
        await sitting.press("f2")
        viewer = sitting.app.screen
        await sitting.until(lambda: isinstance(sitting.app.screen, Viewer))
        viewer = sitting.app.screen
        assert isinstance(viewer, Viewer)
        await sitting.until(lambda: viewer.settled)
        await sitting.sees("Total")
        _compare(_without_picture(sitting.seen()), FOLDER / f"viewer-{at}")


def _report(desk: Any) -> ReportPage:  # noqa: ANN401 - the console's desk
    return ReportPage(desk, "A1")


_FIGURES = re.compile(r"^( *(?:Window|Range|Total)) +[\d,.]+(?: - [\d,.]+)?")


def _without_picture(seen: str) -> str:
    """Leave out the picture and its figures: they are the phantom's, and what it is painted in is the terminal's."""
    lines = (line.rpartition("│")[2].rstrip() for line in seen.splitlines())
    return "\n".join(_FIGURES.sub(r"\1 ...", line) if _FIGURES.match(line) else line for line in lines) + "\n"
