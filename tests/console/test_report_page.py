"""The report page, before the real service: leases, drafts, signatures, and words that are never lost."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from console.screens.report import ReportPage
from console.widgets.sections import Part
from tests.console.conftest import PASSWORD, Department
from tests.console.reading_room import COLLEAGUE, DOCTOR, TECHNOLOGIST, WIDE, ReadingRoom, Sitting


@pytest.fixture
def room(department: Department, tmp_path: Path) -> Iterator[ReadingRoom]:
    room = ReadingRoom(department, tmp_path)
    yield room
    room.close()


def _page(accession: str) -> Any:  # noqa: ANN401 - a page's maker
    return partial(_made, accession)


def _made(accession: str, desk: Any) -> ReportPage:  # noqa: ANN401 - the console's desk
    return ReportPage(desk, accession)


def _writing(sitting: Sitting) -> bool:
    return isinstance(sitting.app.focused, Part) and not sitting.app.focused.read_only


async def _findings(sitting: Sitting, text: str) -> None:
    """Type into the second part: technique stands first."""
    await sitting.until(lambda: _writing(sitting))
    await sitting.press("tab")
    await sitting.type(text)


async def test_what_is_typed_is_saved_without_being_asked(room: ReadingRoom) -> None:
    room.exam("A1")
    async with room.sitting(DOCTOR, _page("A1")) as sitting:
        await _findings(sitting, "双肺 ok")
        await sitting.sees("you are writing since", "saved ")
        assert room.client(DOCTOR).get("exams/A1/report")["text"]["findings"] == "双肺 ok"


async def test_leaving_saves_and_lets_go(room: ReadingRoom) -> None:
    room.exam("A1")
    async with room.sitting(DOCTOR, _page("A1")) as sitting:
        await _findings(sitting, "typed and left at once")
        await sitting.press("escape")
        await sitting.until(lambda: not isinstance(sitting.app.screen, ReportPage))
    report = room.client(COLLEAGUE).get("exams/A1/report")
    assert report["text"]["findings"] == "typed and left at once"
    assert report["holder"] is None


async def test_hanging_up_saves_and_lets_go(room: ReadingRoom) -> None:
    room.exam("A1")
    async with room.sitting(DOCTOR, _page("A1")) as sitting:
        await sitting.until(lambda: _writing(sitting))
        await sitting.type("Tc-99m")
        sitting.app._hang_up()
    report = room.client(COLLEAGUE).get("exams/A1/report")
    assert (report["text"]["technique"], report["holder"]) == ("Tc-99m", None)


async def test_a_report_taken_over_keeps_every_word(room: ReadingRoom) -> None:
    room.exam("A1")
    other = room.client(COLLEAGUE)
    async with room.sitting(DOCTOR, _page("A1")) as sitting:
        await _findings(sitting, "first")
        await sitting.sees("saved ")
        fence = other.post("exams/A1/report/open", {"take_over": True})["fence"]
        other.put("exams/A1/report/draft", {"fence": fence, "text": {"findings": "theirs"}})
        await sitting.sees("The report was taken over")
        await sitting.press("n")
        await sitting.sees("TAKEN OVER", "first")
        other.post("exams/A1/report/release", {"fence": fence})
        await sitting.until(lambda: sitting.app.screen._report["holder"] is None)  # type: ignore[attr-defined]
        await sitting.press("f9")
        await sitting.until(lambda: _writing(sitting))


async def test_a_late_text_is_kept_and_comes_back_when_opened_again(room: ReadingRoom) -> None:
    room.exam("A1")
    other = room.client(COLLEAGUE)
    async with room.sitting(DOCTOR, _page("A1")) as sitting:
        await _findings(sitting, "mine")
        fence = other.post("exams/A1/report/open", {"take_over": True})["fence"]
        await sitting.sees("The report was taken over")
        other.put("exams/A1/report/draft", {"fence": fence, "text": {"findings": "theirs"}})
        other.post("exams/A1/report/release", {"fence": fence})
        await sitting.press("y")
        await sitting.until(lambda: _writing(sitting))
        await sitting.press("ctrl+s")
        await sitting.until(lambda: {"theirs", "mine"} <= set(other.get("exams/A1/report")["text"]["findings"].split()))
    kept = room.client(DOCTOR).get("exams/A1/report/rejected")
    assert any(one["text"]["findings"] == "mine" for one in kept)


async def test_the_line_may_go_while_one_types(room: ReadingRoom) -> None:
    room.exam("A1")
    async with room.sitting(DOCTOR, _page("A1")) as sitting:
        await sitting.until(lambda: _writing(sitting))
        line = sitting.app._client
        assert line is not None
        there, line._http = line._http, type(line._http)(base_url="http://127.0.0.1:9/api/v1", timeout=1.0)
        await sitting.type("while away")
        await sitting.sees("NOT SAVED", "while away")
        line._http.close()
        line._http = there
        await sitting.until(lambda: room.client(DOCTOR).get("exams/A1/report")["text"].get("technique") == "while away")
        await sitting.until(lambda: "NOT SAVED" not in sitting.seen())


async def test_a_second_doctor_sees_who_writes_and_asks(room: ReadingRoom) -> None:
    room.exam("A1")
    holder = room.client(COLLEAGUE)
    fence = holder.post("exams/A1/report/open", {})["fence"]
    async with room.sitting(DOCTOR, _page("A1")) as sitting:
        await sitting.sees("sun.wei is writing since")
        await sitting.press("f9")
        await sitting.sees("Ask for it")
        await sitting.press("enter")
        await sitting.until(lambda: holder.get("exams/A1/report")["asked_by"] == DOCTOR)
    holder.post("exams/A1/report/release", {"fence": fence})


async def test_a_signature_wants_the_password_and_ends_the_writing(room: ReadingRoom) -> None:
    room.exam("A1")
    async with room.sitting(DOCTOR, _page("A1"), WIDE) as sitting:
        await _findings(sitting, "even uptake")
        await sitting.press("f4")
        await sitting.sees("Sign with your password", "never changes")
        await sitting.type("wrong password")
        await sitting.press("enter")
        await sitting.hears("the password is wrong")
        assert room.client(DOCTOR).get("exams/A1/report")["state"] == "draft"
        await sitting.press("f4")
        await sitting.type(PASSWORD)
        await sitting.press("enter")
        await sitting.sees("final", "signed by zhao.yi")
        assert not _writing(sitting)
    signed = room.client(COLLEAGUE).get("exams/A1/report")
    assert (signed["state"], signed["text"]["findings"]) == ("final", "even uptake")


async def test_a_locked_report_says_why_and_tells_the_technologist(room: ReadingRoom) -> None:
    room.exam("B1", images=False)
    async with room.sitting(DOCTOR, _page("B1")) as sitting:
        await sitting.sees("no images of B1", "Device CAM1 last heard", "t tells the technologist")
        await sitting.press("t")
        await sitting.sees("Tell the technologist about B1")
        await sitting.press("enter")
        await sitting.hears("has been told")
    assert [call["accession"] for call in room.client(TECHNOLOGIST).get("calls")] == ["B1"]
