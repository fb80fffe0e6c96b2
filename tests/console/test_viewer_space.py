"""Series in space and side by side: linked planes, the turning projection, one series over another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from console.screens.viewer import Viewer
from console.widgets.picture import Picture
from console.widgets.reel import Reel
from console.widgets.sides import FRAMES, MIP, PLANES, Side, box
from core.imaging.acquisition import Phantom
from core.imaging.phantom import ct_slices, pet_slices
from tests.console.conftest import Department
from tests.console.reading_room import DOCTOR, WIDE, ReadingRoom, Sitting, reading_room


@pytest.fixture
def room(department: Department, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReadingRoom]:
    with reading_room(department, tmp_path, monkeypatch) as room:
        yield room


def _petct(room: ReadingRoom) -> None:
    """Send a few slices of a CT and of a PET of the same body."""
    exam = room.exam("A1", "PETCT-FDG", images=False)
    made = (ct_slices(np.random.default_rng(1)), pet_slices(np.random.default_rng(1)))
    room.send(exam, Phantom(tuple(one for phantom in made for one in phantom.acquisitions[10:30]), {}))


def _viewer(sitting: Sitting) -> Viewer:
    viewer = sitting.app.screen
    assert isinstance(viewer, Viewer)
    return viewer


def _page(desk: Any) -> Viewer:  # noqa: ANN401 - the console's desk
    return Viewer(desk, "A1")


def _places(viewer: Viewer) -> list[tuple[float, ...]]:
    return [tuple(round(value, 1) for value in pane.numbers["place"]["at"]) for pane in viewer.panes]


async def test_three_planes_and_two_series_show_the_same_place(room: ReadingRoom) -> None:
    _petct(room)
    async with room.sitting(DOCTOR, _page, WIDE) as sitting:
        viewer = _viewer(sitting)
        await sitting.until(lambda: viewer.settled)
        await sitting.press("3")
        await sitting.until(lambda: len(viewer.panes) == 4 and viewer.settled)
        assert [pane.kind for pane in viewer.panes] == [*PLANES, MIP]
        await sitting.press("right", "right", "l", "k")
        await sitting.until(lambda: viewer.settled)
        assert len(set(_places(viewer)[:3])) == 1  # all three go through one place
        before, coronal = viewer.side.at, viewer.panes[1]
        viewer.post_message(Picture.Pointed(coronal, "down", 20, 20))
        await sitting.until(lambda: viewer.side.at != before and viewer.settled)
        assert len(set(_places(viewer)[:3])) == 1  # as it does where one clicks
        assert viewer.pane is coronal
        await sitting.press("2")
        await sitting.sees("Compare with")
        await sitting.press("enter")
        await sitting.until(lambda: len(viewer.panes) == 6 and viewer.settled)
        await sitting.press("right")
        await sitting.until(lambda: viewer.settled)
        assert len(set(_places(viewer))) == 1  # the other series lies in the same frame of reference
        await sitting.press("u", "right")
        await sitting.until(lambda: viewer.settled)
        assert len(set(_places(viewer))) == 2  # each by itself
        await sitting.press("2", "1")
        await sitting.until(lambda: len(viewer.panes) == 1 and viewer.settled)


async def test_a_series_is_laid_over_another_and_the_projection_turns(room: ReadingRoom) -> None:
    _petct(room)
    async with room.sitting(DOCTOR, _page, WIDE) as sitting:
        viewer = _viewer(sitting)
        await sitting.until(lambda: viewer.settled)
        await sitting.press("b")
        await sitting.hears("3 shows them")
        await sitting.press("g", "right")
        await sitting.until(lambda: viewer.settled)
        assert [tile["frame"] for tile in viewer.pane.numbers["tiles"]] == [4, 5, 6, 7]  # slices of single files
        await sitting.press("f")
        await sitting.sees("5-8/20  Window")  # the numbers stand below, the pictures have the width
        await sitting.press("f")
        await sitting.press("3")
        await sitting.until(lambda: len(viewer.panes) == 4 and viewer.settled)
        await sitting.press("b")
        await sitting.sees("Lay over it")
        await sitting.press("enter")
        await sitting.until(lambda: viewer.side.over and viewer.settled)
        await sitting.sees("blend 50%", "as they lie")
        await sitting.press("greater_than_sign", "v")
        await sitting.sees("blend 60%", "hot metal blue")
        await sitting.press("c")
        await sitting.sees("checkerboard")
        await sitting.press("b", "4", "space")
        await sitting.until(lambda: viewer.side.angle >= 20)
        assert len(viewer.panes) == 1
        await sitting.press("space")
        assert viewer._cine is None


async def test_two_series_go_together_frame_by_frame(room: ReadingRoom) -> None:
    number = room.exam("A1", "RENO-MAG3")["patient_number"]
    form = {"patient": number, "procedure": "RENO-MAG3", "accession": "A2"}
    again = room.department.client.post("exams", form)
    room.department.client.post("exams/A2/protocol", {"device": "CAM1"})
    room.send(again)
    async with room.sitting(DOCTOR, _page, WIDE) as sitting:
        viewer = _viewer(sitting)
        await sitting.until(lambda: viewer.settled)
        await sitting.press("right", "2")
        await sitting.sees("Compare with")
        await sitting.press("enter")
        await sitting.until(lambda: len(viewer.panes) == 2 and viewer.settled)
        assert [side.exam["accession"] for side in viewer.sides] == ["A1", "A2"]
        await sitting.press("right", "right")
        assert [side.reel.place for side in viewer.sides] == [3, 3]
        await sitting.press("u", "right", "u", "right")
        assert [side.reel.place for side in viewer.sides] == [5, 4]  # what was set apart stays apart
        await sitting.press("o", "w")
        await sitting.sees("Lower and upper end")
        await sitting.press("ctrl+u", *"1 9", "enter")
        assert [side.look.window for side in viewer.sides] == [None, (1, 9)]
        await sitting.press("s")
        await sitting.until(lambda: all(side.look.window == (1, 9) for side in viewer.sides))
        await sitting.press("m")
        assert len({side.look.map for side in viewer.sides}) == 1
        await sitting.until(lambda: viewer.settled)
        assert {pane.numbers["palette"] for pane in viewer.panes} == {"inverted_gray"}


# -- without a screen ------------------------------------------------------------------------------------------------


def _shape(moments: int = 0) -> dict[str, Any]:
    """A volume of 10 slices of 4 mm, 20 rows and 30 columns of 2 mm, its first voxel at (-29, -19, 100)."""
    return {
        "grid": [10, 20, 30], "affine": [[2, 0, 0, -29], [0, 2, 0, -19], [0, 0, 4, 100], [0, 0, 0, 1]],
        "planes": {"axial": {"step_mm": 4}, "coronal": {"step_mm": 2}, "sagittal": {"step_mm": 2}},
        "moments": [f"gate {number}" for number in range(moments)], "frame_of_reference": "1.2",
    }  # fmt: skip


def _side(**said: Any) -> Side:  # noqa: ANN401 - of a shape
    side = Side(Reel([{"uid": "1", "instances": [{"uid": "1.1", "frames": 5}]}]))
    side.lie(_shape(**said))
    return side


def test_the_eye_begins_in_the_middle_and_never_leaves_the_volume() -> None:
    side = _side()
    assert box(_shape()) == ((-29, -19, 100), (29, 19, 136))
    assert side.at == (0, 0, 118)
    side.step("axial", 1)
    assert side.at == (0, 0, 122)
    side.step("axial", 100)
    assert side.at == (0, 0, 136)
    side.step("axial", 1, round_about=True)
    assert side.at == (0, 0, 100)
    side.edge("sagittal", 1)
    assert side.at == (29, 0, 100)


def test_a_place_of_the_other_series_is_taken_over_where_it_is_inside() -> None:
    side = _side()
    side.lie(_shape(), (5.0, 5.0, 110.0))
    assert side.at == (5, 5, 110)
    side.lie(_shape(), (5.0, 5.0, 500.0))
    assert side.at == (0, 0, 118)


def test_a_gated_volume_plays_its_moments_and_a_projection_turns() -> None:
    side = _side(moments=3)
    moments = []
    for _tick in range(4):
        side.play("axial")
        moments.append(side.moment)
    assert moments == [0, 1, 2, 0]
    for _tick in range(37):
        side.play(MIP)
    assert side.angle == 10
    asked = dict(_side(moments=3).coming("axial", (10, 20), 2, "axial")[1].query)
    assert (asked["moment"], asked["plane"], asked["at"]) == (1, "axial", "0.000,0.000,118.000")


def test_looking_ahead_leaves_the_eye_where_it_is() -> None:
    side = _side()
    side.coming("coronal", (10, 20), 3, "coronal")
    assert (side.at, side.angle, side.moment) == ((0, 0, 118), 0, -1)
    assert [dict(one.query)["frame"] for one in side.coming(FRAMES, (10, 20), 2, FRAMES)] == [1, 2]
