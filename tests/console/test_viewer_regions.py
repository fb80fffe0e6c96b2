"""Regions of interest: drawn by keys and by mouse, measured as they should be, followed through the frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from console.screens.curves import CurvesPage
from console.screens.header import HeaderPage
from console.screens.viewer import Viewer
from console.widgets.marks import Mark, in_cells
from console.widgets.picture import Picture
from console.widgets.regions import ELLIPSE, LINE, POLYGON, RECTANGLE, Region, Shown, begun
from core.imaging.acquisition import Phantom, Phase
from core.imaging.phantom import renogram
from tests.console.conftest import Department
from tests.console.reading_room import DOCTOR, WIDE, ReadingRoom, Sitting, reading_room

FRAMES, SIDE = 6, 40


@pytest.fixture
def room(department: Department, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReadingRoom]:
    with reading_room(department, tmp_path, monkeypatch) as room:
        yield room


def _rising(room: ReadingRoom) -> None:
    """Send a dynamic study whose every pixel counts 1 in the first frame, 2 in the second, and so on."""
    exam = room.exam("A1", "RENO-MAG3", images=False)
    made = renogram(np.random.default_rng(1)).acquisitions[0]
    counts = np.arange(1, FRAMES + 1, dtype=np.uint16)[:, None, None] * np.ones((1, SIDE, SIDE), np.uint16)
    room.send(exam, Phantom((replace(made, frames=counts, phases=(Phase(FRAMES, 10_000),)),), {}))


def _viewer(sitting: Sitting) -> Viewer:
    viewer = sitting.app.screen
    assert isinstance(viewer, Viewer)
    return viewer


def _page(desk: Any) -> Viewer:  # noqa: ANN401 - the console's desk
    return Viewer(desk, "A1")


async def test_a_rectangle_drawn_by_keys_counts_what_it_holds(room: ReadingRoom) -> None:
    _rising(room)
    async with room.sitting(DOCTOR, _page, WIDE) as sitting:
        viewer = _viewer(sitting)
        await sitting.until(lambda: viewer.settled)
        await sitting.press("f2", "left", "up", "l", "j", "enter")
        (region,) = viewer.regions
        (top, left), (bottom, right) = region.box
        pixels = sum(
            top <= row + 0.5 <= bottom and left <= column + 0.5 <= right
            for row in range(SIDE) for column in range(SIDE)
        )  # fmt: skip
        await sitting.sees(f"total {pixels} counts", f"{pixels} pixels", "mean 1  max 1")
        await sitting.press("right", "right")
        await sitting.sees(f"total {3 * pixels} counts", "mean 3  max 3")
        await sitting.press("escape")
        await sitting.until(lambda: sitting.app.screen is not viewer)
        await sitting.app.push_screen(_page(sitting.app._desk))
        await sitting.sees(f"total {pixels} counts")  # what was drawn is there again


async def test_a_region_dragged_by_mouse_spans_from_corner_to_corner(room: ReadingRoom) -> None:
    _rising(room)
    async with room.sitting(DOCTOR, _page, WIDE) as sitting:
        viewer = _viewer(sitting)
        await sitting.until(lambda: viewer.settled)
        window = viewer.side.look.window
        await sitting.press("f3")
        pane, shown = viewer.pane, viewer.tiles(viewer.pane)[0]
        y, x = shown.picture_point((10, 12)), shown.picture_point((20, 30))
        for phase, at in (("down", y), ("drag", x), ("up", x)):
            viewer.post_message(Picture.Pointed(pane, phase, *at))
        await sitting.until(lambda: viewer.regions)
        (region,) = viewer.regions
        assert region.shape == ELLIPSE
        assert np.allclose(region.box, ((10, 12), (20, 30)), atol=0.01)
        assert viewer.side.look.window == window  # the mouse drew; it did not move the window
        await sitting.sees("1  ellipse")
        await sitting.press("f2")
        for phase in ("down", "up"):
            viewer.post_message(Picture.Pointed(pane, phase, *shown.picture_point((25, 25))))
        await sitting.until(lambda: viewer._pencil and viewer._pencil.region.points)
        await sitting.press("enter")
        (top, left), (bottom, right) = viewer.regions[1].box  # a click sets one of the usual size there
        assert np.allclose(((top + bottom) / 2, (left + right) / 2), (25, 25), atol=0.01)


async def test_a_freehand_region_is_put_point_by_point_and_named(room: ReadingRoom) -> None:
    _rising(room)
    async with room.sitting(DOCTOR, _page, WIDE) as sitting:
        viewer = _viewer(sitting)
        await sitting.until(lambda: viewer.settled)
        await sitting.press("f4", "space", "l", "space", "j", "space", "k", "space", "backspace")
        await sitting.press("enter", "n")
        await sitting.sees("Wider")  # it is under the hand again
        await sitting.press("n")
        await sitting.sees("Name of the region")
        await sitting.press("ctrl+u", *"kidney", "enter", "escape")
        (region,) = viewer.regions
        assert (region.name, region.shape, len(region.points)) == ("kidney", POLYGON, 3)
        await sitting.sees("kidney  freehand")
        await sitting.press("n", "x")
        await sitting.until(lambda: not viewer.regions)


async def test_a_new_region_that_is_left_is_thrown_away_and_the_page_stays(room: ReadingRoom) -> None:
    _rising(room)
    async with room.sitting(DOCTOR, _page, WIDE) as sitting:
        viewer = _viewer(sitting)
        await sitting.until(lambda: viewer.settled)
        await sitting.press("f2", "left", "escape")
        assert not viewer.regions
        assert sitting.app.screen is viewer
        await sitting.press("right")
        await sitting.until(lambda: viewer.side.reel.place == 1)  # the arrows are the page's again


async def test_a_distance_is_told_in_millimetres(room: ReadingRoom) -> None:
    _rising(room)
    async with room.sitting(DOCTOR, _page, WIDE) as sitting:
        viewer = _viewer(sitting)
        await sitting.until(lambda: viewer.settled)
        await sitting.press("f6", "space", "l", "l", "enter")
        await sitting.until(lambda: viewer._measured)
        (region,) = viewer.regions
        assert region.shape == LINE
        across = region.points[1][1] - region.points[0][1]
        spacing = renogram(np.random.default_rng(1)).acquisitions[0].pixel_mm
        await sitting.sees(f"{across * spacing:.1f} mm")


async def test_a_curve_follows_its_region_through_the_frames(room: ReadingRoom) -> None:
    _rising(room)
    async with room.sitting(DOCTOR, _page, WIDE) as sitting:
        viewer = _viewer(sitting)
        await sitting.until(lambda: viewer.settled)
        await sitting.press("f7")
        await sitting.hears("Draw a region first")
        await sitting.press("f3", "enter", "f7")
        await sitting.until(lambda: isinstance(sitting.app.screen, CurvesPage))
        await sitting.sees("Frame 1 of 6", "highest")
        page = sitting.app.screen
        assert isinstance(page, CurvesPage)
        values = page._curves["curves"][0]["values"]
        assert np.allclose(values, values[0] * np.arange(1, FRAMES + 1))
        await sitting.press("end")
        await sitting.sees("Frame 6 of 6")
        await sitting.press("c")
        await sitting.sees("counts/s")


async def test_an_element_of_the_header_is_found_by_its_name(room: ReadingRoom) -> None:
    _rising(room)
    async with room.sitting(DOCTOR, _page) as sitting:
        await sitting.until(lambda: _viewer(sitting).settled)
        await sitting.press("d")
        await sitting.until(lambda: isinstance(sitting.app.screen, HeaderPage))
        await sitting.sees("SpecificCharacterSet")
        await sitting.type("accessionnumber")
        await sitting.until(lambda: "SpecificCharacterSet" not in sitting.seen())
        await sitting.sees("(0008,0050)", "A1")
        await sitting.press("enter")
        await sitting.sees("Esc closes")


async def test_the_cine_is_kept_as_an_animated_file(room: ReadingRoom, tmp_path: Path) -> None:
    _rising(room)
    kept = tmp_path / "cine.png"
    async with room.sitting(DOCTOR, _page) as sitting:
        await sitting.until(lambda: _viewer(sitting).settled)
        await sitting.press("f8")
        await sitting.sees("Keep as a file")
        await sitting.press("down", "enter")
        await sitting.sees("Write to")
        await sitting.press("ctrl+u", *str(kept), "enter")
        await sitting.hears("Kept in")
        assert kept.read_bytes().startswith(b"\x89PNG")
        assert b"acTL" in kept.read_bytes()
        await sitting.press("f8", "enter")
        await sitting.sees("Write to")
        await sitting.press("ctrl+u", *str(kept), "enter")
        await sitting.hears("is there already")


# -- in frame and picture coordinates --------------------------------------------------------------------------------

SHOWN = Shown(top=4, left=10, height=40, width=60, part=(16.0, 8.0, 20.0, 30.0))


def test_a_point_of_the_frame_and_of_the_picture_are_one_into_the_other() -> None:
    for point in ((16.0, 8.0), (26.5, 20.25), (36.0, 38.0)):
        assert SHOWN.frame_point(*SHOWN.picture_point(point)) == pytest.approx(point)
    assert SHOWN.frame_point(-50, 500) == (16.0, 38.0)  # kept inside what is shown


def test_an_outline_is_drawn_only_on_its_tile() -> None:
    region = Region("1", RECTANGLE, ((0.0, 0.0), (26.0, 200.0)))
    marks = list(SHOWN.trace(region.corners(), "region"))
    assert marks
    assert all(SHOWN.holds(mark.y, mark.x) for mark in marks)
    assert {mark.y for mark in marks} == {24}  # its lower edge alone is seen


def test_a_box_is_never_made_smaller_than_a_pixel() -> None:
    region = begun("1", RECTANGLE, SHOWN).region
    for _turn in range(50):
        region = region.sized(-1, -1)
    (top, left), (bottom, right) = region.box
    assert (bottom - top, right - left) == pytest.approx((1.0, 1.0))


def test_both_halves_of_a_cell_can_be_marked() -> None:
    assert in_cells([Mark(2, 5, "region"), Mark(3, 5, "cursor"), Mark(3, 6, "region")]) == {
        1: {5: ("region", "cursor"), 6: ("", "region")}
    }
