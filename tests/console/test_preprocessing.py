"""The physicist's page: what waits, each step looked at, changed, repeated, moved by keys, accepted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from console.screens.preprocessing import Preprocessing
from console.screens.processing import ProcessingPage
from console.screens.processing_form import ParametersPage, as_value, explained
from console.widgets.pane import Pane
from console.widgets.processing import applies, bar, with_defaults
from console.widgets.processing_handles import handles_of, step_after
from console.widgets.processing_steps import Steps, place
from core import access, wire
from core.course import find_exam
from core.model import Processing
from core.vocabulary import ExamState, ProcessingState, Recipe, Role
from core.workflow.processing import asking
from core.workflow.processing.shelf import write_stages
from tests.console.conftest import Department, opened
from tests.console.reading_room import NARROW, WIDE, ReadingRoom, Sitting
from tests.console.test_snapshots import FOLDER, _compare

PHYSICIST = "sun.yi"
STAGES = {"projections": 12, "corrected": 12, "reconstructed": 8}


@pytest.fixture
def room(department: Department, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReadingRoom]:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    department.employ(PHYSICIST, "Sun Yi", Role.PHYSICIST)
    room = ReadingRoom(department, tmp_path)
    room.exam("A1", images=False)
    yield room
    room.close()


def made(room: ReadingRoom, state: str = "made", **said: Any) -> int:  # noqa: ANN401 - columns of the row
    """Put a processing of A1 on the shelf as if it had been made: each step a disc, brighter from step to step."""
    service = room.department.service
    stages = [
        wire.Stage(name=name, title=name.capitalize(), frames=frames, rows=16, columns=16, unit="counts")
        for name, frames in STAGES.items()
    ]
    with service.records.writing() as work:
        row = Processing(
            site="MAIN", exam_id=find_exam(work, "A1", "MAIN").id or 0, recipe=Recipe.SPECT, state=state,
            asked_at=work.now, asked_by="rule",
            stages=[one.model_dump() for one in stages], inputs=["1.2.3"], version="0.1", **said,
        )  # fmt: skip
        work.add(row)
        work.session.flush()
        key = row.id or 0
    folder = service.shelf.begin(key, 1)
    disc = np.zeros((16, 16), np.float32)
    disc[4:12, 4:12] = 1
    arrays = {
        one.name: np.stack([disc * (100 * (place + 1) + frame) for frame in range(one.frames)])
        for place, one in enumerate(stages)
    }
    write_stages(folder, arrays)
    service.shelf.put(key, folder)
    return key


def stored(room: ReadingRoom, number: int) -> dict[str, Any]:
    one: dict[str, Any] = room.client(PHYSICIST).get(f"processing/{number}")
    return one


@asynccontextmanager
async def at_home(
    room: ReadingRoom, tmp_path: Path, size: tuple[int, int] = NARROW, **chosen: str
) -> AsyncIterator[Sitting]:
    async with opened(room.department, PHYSICIST, tmp_path, size, **chosen) as pilot:
        assert isinstance(pilot.app.screen, Preprocessing)
        yield Sitting(pilot.app, pilot)  # type: ignore[arg-type]  # opened by the console


@asynccontextmanager
async def looking_at(room: ReadingRoom, tmp_path: Path, size: tuple[int, int] = NARROW) -> AsyncIterator[Sitting]:
    async with at_home(room, tmp_path, size) as sitting:
        await sitting.sees("SPECT reconstruction", "to accept")
        await sitting.press("enter")
        await sitting.until(lambda: isinstance(sitting.app.screen, ProcessingPage))
        await shown(sitting)
        yield sitting


def pane(sitting: Sitting, name: str = "now") -> Pane:
    return sitting.app.screen.query_one(f"#{name} Pane", Pane)


async def shown(sitting: Sitting) -> dict[str, Any]:
    """Wait until what is wanted is on the screen; return its numbers."""
    await sitting.until(lambda: pane(sitting).wanted is not None and pane(sitting).wanted == pane(sitting).shown)
    return dict(pane(sitting).numbers)


# -- what waits ------------------------------------------------------------------------------------------------------


async def test_what_waits_is_the_physicists_home(room: ReadingRoom, tmp_path: Path) -> None:
    made(room)
    made(room, "failed", error="object 1.2.3: 3 views of 60 are there")
    async with at_home(room, tmp_path) as sitting:
        await sitting.sees("1[Waiting 2]", "2 To accept 1", "4 Failed 1", "by itself", "张伟")
        await sitting.press("4")
        await sitting.sees("failed", "3 views of 60", "object 1.2.3")
        await sitting.press("escape")
        await sitting.sees("to accept")


async def test_what_another_asks_for_comes_into_sight(room: ReadingRoom, tmp_path: Path) -> None:
    async with at_home(room, tmp_path) as sitting:
        await sitting.sees("Nothing waits here")
        key = made(room)
        with room.department.service.records.writing() as work:
            work.tell("MAIN", "processing", str(key))
        await sitting.sees("to accept")


# -- each step -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["80x24", "160x50"])
async def test_each_step_is_looked_at_frame_by_frame(room: ReadingRoom, tmp_path: Path, size: tuple[int, int]) -> None:
    made(room)
    async with looking_at(room, tmp_path, size) as sitting:
        await sitting.sees(">3 Reconstructed", "5/8  Reconstructed", "Window", "Range", "counts")
        assert (await shown(sitting))["maximum"] == pytest.approx(304)
        await sitting.press("up")
        await sitting.sees(">2 Corrected", "7/12")
        assert (await shown(sitting))["maximum"] == pytest.approx(206)
        await sitting.press("1", "right", "right")
        await sitting.sees(">1 Projections", "9/12")
        assert (await shown(sitting))["maximum"] == pytest.approx(108)
        await sitting.press("home")
        assert (await shown(sitting))["maximum"] == pytest.approx(100)


async def test_before_stands_beside_after(room: ReadingRoom, tmp_path: Path) -> None:
    first = made(room)
    made(room, replaces=first)
    async with looking_at(room, tmp_path) as sitting:
        await sitting.until(lambda: "before" not in sitting.seen())
        await sitting.press("b")
        await sitting.sees("before: 5/8")
        await sitting.until(lambda: pane(sitting, "earlier").settled)
        assert f"processing/{first}/" in pane(sitting, "earlier").shown.path  # type: ignore[union-attr]
        await sitting.press("right")
        await sitting.until(lambda: dict(pane(sitting, "earlier").shown.query)["frame"] == 5)  # type: ignore[union-attr]
        await sitting.press("escape")
        await sitting.until(lambda: "before" not in sitting.seen())
        assert isinstance(sitting.app.screen, ProcessingPage)


async def test_while_it_is_made_again_the_result_before_is_seen(room: ReadingRoom, tmp_path: Path) -> None:
    made(room, numbers={"cut_off_per_cm": 0.45})
    async with looking_at(room, tmp_path) as sitting:
        await sitting.press("d")
        await sitting.sees("cut off per cm  0.45", "Asked", "Esc closes")
        await sitting.press("escape")
        await sitting.press("2", "home")
        await shown(sitting)
        await sitting.press("f6")
        await sitting.sees("before: 1/12  Corrected")
        await sitting.until(lambda: "failed" in sitting.seen())  # there is no object 1.2.3
        await sitting.sees("before: 1/12  Corrected", "1.2.3")


async def test_without_a_result_before_the_step_before_stands_beside_in_the_same_window(
    room: ReadingRoom, tmp_path: Path
) -> None:
    made(room)
    async with looking_at(room, tmp_path) as sitting:
        await sitting.press("b")
        await sitting.until(lambda: pane(sitting, "earlier").settled)
        assert "stages/corrected/" in pane(sitting, "earlier").shown.path  # type: ignore[union-attr]
        await sitting.press("w")
        await sitting.sees("Lower and upper end")
        await sitting.press("ctrl+u", *"10 500", "enter")
        both = [pane(sitting), pane(sitting, "earlier")]
        await sitting.until(lambda: all(one.numbers.get("window") == {"lower": 10, "upper": 500} for one in both))
        await sitting.press("a")
        await sitting.sees("(automatic)")


async def test_cine_stops_when_the_page_is_left(room: ReadingRoom, tmp_path: Path) -> None:
    made(room)
    async with looking_at(room, tmp_path) as sitting:
        page = sitting.app.screen
        assert isinstance(page, ProcessingPage)
        await sitting.press("space")
        await sitting.until(lambda: page._steps.frame not in {4, 5})
        await sitting.press("f1")
        await sitting.until(lambda: sitting.app.screen is not page)
        assert page._cine is None


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["80x24", "160x50"])
async def test_the_pages_look_as_they_did(room: ReadingRoom, tmp_path: Path, size: tuple[int, int]) -> None:
    first = made(room)
    made(room, replaces=first, said=["butterworth, 0.5 of Nyquist"], numbers={"turn_deg": [1.5, 0, -2.0]})
    name = f"{size[0]}x{size[1]}"
    async with at_home(room, tmp_path, size) as sitting:
        await sitting.sees("butterworth, 0.5 of Nyquist", *(["▀▀▀▀"] if size == WIDE else []))
        _compare(sitting.seen(), FOLDER / f"preprocessing-{name}.txt")
        await sitting.press("enter")
        await sitting.until(lambda: isinstance(sitting.app.screen, ProcessingPage))
        await shown(sitting)
        await sitting.press("b")
        await sitting.sees("before: 5/8")
        await sitting.until(lambda: pane(sitting, "earlier").settled and pane(sitting).settled)
        _compare(sitting.seen(), FOLDER / f"processing-{name}.txt")


# -- what is done with it --------------------------------------------------------------------------------------------


async def test_parameters_are_changed_in_a_form_and_it_is_processed_again(room: ReadingRoom, tmp_path: Path) -> None:
    first = made(room)
    async with looking_at(room, tmp_path) as sitting:
        await sitting.press("f3")
        await sitting.until(lambda: isinstance(sitting.app.screen, ParametersPage))
        await sitting.sees("Cut-off", "Method")
        form = sitting.app.screen.query_one("Form")
        sitting.app.screen.query_one("#method").focus()
        await sitting.press(*"osem")
        await sitting.sees("Iterations")
        await sitting.until(lambda: not sitting.app.screen.query_one("#cut_off").parent.display)  # type: ignore[union-attr]
        field = sitting.app.screen.query_one("#iterations")
        field.focus()
        await sitting.press("ctrl+u", *"900", "ctrl+s")
        await sitting.sees("must be 1 to 200")
        field.focus()
        await sitting.press("ctrl+u", *"12", "ctrl+s")
        await sitting.until(lambda: isinstance(sitting.app.screen, ProcessingPage))
        assert form is not None
        again = room.client(PHYSICIST).get("processing", exam="A1")[0]
        assert again["replaces"] == first
        assert (again["parameters"]["method"], again["parameters"]["iterations"]) == ("osem", 12)


async def test_what_is_typed_into_the_form_is_there_again(room: ReadingRoom, tmp_path: Path) -> None:
    made(room)
    async with looking_at(room, tmp_path) as sitting:
        await sitting.press("f3")
        await sitting.until(lambda: isinstance(sitting.app.screen, ParametersPage))
        sitting.app.screen.query_one("#cut_off").focus()
        await sitting.press("ctrl+u", *"0.55")
        await sitting.until(lambda: room.client(PHYSICIST).get("drafts/processing-1").get("cut_off") == "0.55")
        await sitting.press("escape")
        await sitting.until(lambda: isinstance(sitting.app.screen, ProcessingPage))
        await sitting.press("f3")
        await sitting.sees("0.55")


async def test_moving_by_keys_processes_again(room: ReadingRoom, tmp_path: Path) -> None:
    first = made(room, parameters={"heart_axes": True, "axis_x_mm": 4.0})
    async with looking_at(room, tmp_path) as sitting:
        await sitting.sees("Move the axis left")
        await sitting.press("n")
        await sitting.sees("Shift  +4  +0  +0 mm", "2 mm a key")
        await sitting.press("right", "right", "up", "pageup", "full_stop", "pageup")
        await sitting.sees("Shift  +8  -2  +7 mm", "Enter processes again")
        await sitting.press("n", "left")
        await sitting.sees("Turn  -5  +0  +0 deg")
        await sitting.press("enter")
        await sitting.until(lambda: room.client(PHYSICIST).get("processing", exam="A1")[0]["replaces"] == first)
        moved = room.client(PHYSICIST).get("processing", exam="A1")[0]["parameters"]
        assert [moved[f"axis_{axis}_mm"] for axis in "xyz"] == [8, -2, 7]
        assert moved["axis_turn_x_deg"] == -5
        await sitting.press("escape")
        await sitting.until(lambda: "Turn  " not in sitting.seen())


async def test_accepting_goes_back_to_what_waits(room: ReadingRoom, tmp_path: Path) -> None:
    key = made(room)
    async with looking_at(room, tmp_path) as sitting:
        await sitting.press("f4")
        await sitting.until(lambda: stored(room, key)["state"] == ProcessingState.ACCEPTED)
        await sitting.until(lambda: isinstance(sitting.app.screen, Preprocessing))
        await sitting.sees("Nothing waits here")
        await sitting.press("5")
        await sitting.sees("accepted", PHYSICIST)


async def test_a_result_with_warnings_is_accepted_only_after_they_are_read(room: ReadingRoom, tmp_path: Path) -> None:
    key = made(room, warnings=["the patient moved by 3 mm at view 31"])
    async with looking_at(room, tmp_path) as sitting:
        await sitting.press("f4")
        await sitting.sees("in spite of this", "moved by 3 mm")
        await sitting.press("escape")
        await sitting.until(lambda: isinstance(sitting.app.screen, ProcessingPage))
        assert stored(room, key)["state"] == ProcessingState.MADE
        await sitting.press("f4")
        await sitting.sees("in spite of this")
        await sitting.press("y")
        await sitting.until(lambda: stored(room, key)["state"] == ProcessingState.ACCEPTED)


async def test_discarding_asks_first(room: ReadingRoom, tmp_path: Path) -> None:
    key = made(room)
    async with at_home(room, tmp_path) as sitting:
        await sitting.sees("to accept")
        await sitting.press("f8")
        await sitting.sees("The images stay as they are")
        await sitting.press("y")
        await sitting.until(lambda: stored(room, key)["state"] == ProcessingState.DISCARDED)


async def test_what_does_not_run_is_not_stopped(room: ReadingRoom, tmp_path: Path) -> None:
    made(room)
    async with at_home(room, tmp_path) as sitting:
        await sitting.sees("to accept")
        await sitting.press("f9")
        await sitting.hears("there is nothing to stop")


async def test_what_the_camera_sent_is_made_accepted_and_ready(room: ReadingRoom, tmp_path: Path) -> None:
    head = room.department.client
    room.exam("A2", "MPI-REST")
    head.post("exams/A2/finish", {})
    for _look in range(600):
        if head.get("processing")[0]["state"] == ProcessingState.MADE:
            break
        await asyncio.sleep(0.2)
    async with looking_at(room, tmp_path) as sitting:
        await sitting.sees("6 Short axis", "filtered")
        await sitting.press("6")
        assert (await shown(sitting))["maximum"] > 0
        await sitting.press("f4")
        await sitting.until(lambda: isinstance(sitting.app.screen, Preprocessing))
        assert head.get("exams/A2")["state"] == ExamState.READY
        modalities = [one["instances"][0]["image_type"] for one in head.get("exams/A2/series")]
        assert any("RECON" in str(one) for one in modalities)


async def test_a_clerk_has_no_such_page(room: ReadingRoom, tmp_path: Path) -> None:
    made(room)
    async with opened(room.department, "wang.li", tmp_path) as pilot:
        pilot.app.action_go("preprocessing")  # type: ignore[attr-defined]
        await pilot.pause(0.2)
        assert not isinstance(pilot.app.screen, Preprocessing)


# -- what a page knows of recipes ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spect() -> dict[str, Any]:
    forms = asking.recipes(access.operator("test", "MAIN"))
    return next(one.model_dump(mode="json") for one in forms if one.name == Recipe.SPECT)


def test_what_means_nothing_with_the_other_parameters_does_not_apply(spect: dict[str, Any]) -> None:
    values = with_defaults(spect, {"method": "osem"})
    there = {one["name"] for one in spect["parameters"] if applies(one, values)}
    assert "iterations" in there
    assert not there & {"filter", "cut_off", "axis_x_mm"}


def test_numbers_are_read_kindly_and_refused_out_of_bounds(spect: dict[str, Any]) -> None:
    cut_off = next(one for one in spect["parameters"] if one["name"] == "cut_off")
    assert as_value(cut_off, "0,5") == 0.5
    for wrong in ("", "much", "-1", "inf", "nan"):
        with pytest.raises(ValueError, match=r"."):
            as_value(cut_off, wrong)
    assert "usual: 0.8" in explained(cut_off)


def test_only_what_applies_is_moved(spect: dict[str, Any]) -> None:
    assert handles_of(spect, {"heart_axes": False}) == []
    shift, turn = handles_of(spect, {"heart_axes": True})
    assert (shift.unit, turn.unit) == ("mm", "deg")
    assert shift.moved({"axis_z_mm": 99.0}, 2, 5) == {"axis_z_mm": 100}
    assert shift.moved({}, 3, 5) == {}


def test_strides_end_where_they_end() -> None:
    assert step_after(2.0, 1) == 5.0
    assert step_after(10.0, 1) == 10.0
    assert step_after(0.5, -1) == 0.5


def test_the_eye_stays_on_its_step_when_there_are_more() -> None:
    stages = [{"name": name, "frames": frames, "moments": 1, "begin": None} for name, frames in STAGES.items()]
    steps = Steps(stages[:2])
    assert steps.stage == stages[1]
    steps.step(3)
    steps.refill(stages)
    assert (steps.stage, steps.frame) == (stages[1], 9)
    steps.refill([])
    assert steps.stage is None
    assert steps.frames == 0


def test_cine_of_a_beating_heart_stays_at_its_slice() -> None:
    stage = {"name": "short_axis", "frames": 24, "moments": 8, "begin": None}
    steps = Steps([stage])
    assert (steps.frame, place(stage, steps.frame)) == (1, "2/3 (1/8)")
    assert steps.coming(2, 1) == [4, 7]
    for _moment in range(7):
        steps.play(1)
    assert place(stage, steps.frame) == "2/3 (8/8)"
    assert steps.next_moment()
    assert steps.frame == 1
    steps.step(1)
    assert place(stage, steps.frame) == "3/3 (1/8)"
    assert not Steps([{**stage, "moments": 1}]).next_moment()


def test_a_bar_is_as_wide_as_asked() -> None:
    assert bar({"done": 1, "total": 4}, 8, ascii_only=True) == "##------"
    assert bar({"done": 0, "total": 0}, 4, ascii_only=True) == "----"
