"""The viewer, before the real service with real objects: what is shown is what was asked for last."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from console.screens.viewer import Viewer
from console.screens.viewer.told import figure
from console.screens.viewer.windowing import read_window
from console.widgets.pane import Pane
from console.widgets.picture import RAMP, Drawn, Picture
from console.widgets.reel import Album, Look, Reel, Shot, Spot, identity_lines
from core.imaging.acquisition import Acquisition, Phantom, Phase
from core.imaging.phantom import renogram
from tests.console.conftest import Department
from tests.console.reading_room import DOCTOR, NARROW, WIDE, ReadingRoom, Sitting, reading_room


@pytest.fixture
def room(department: Department, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReadingRoom]:
    with reading_room(department, tmp_path, monkeypatch) as room:
        yield room


def _page(accession: str) -> Any:  # noqa: ANN401 - a page's maker
    return partial(_made, accession)


def _made(accession: str, desk: Any) -> Viewer:  # noqa: ANN401 - the console's desk
    return Viewer(desk, accession)


def _viewer(sitting: Sitting) -> Viewer:
    viewer = sitting.app.screen
    assert isinstance(viewer, Viewer)
    return viewer


async def _shown(sitting: Sitting) -> dict[str, Any]:
    """Wait until what is wanted is on the screen; return its numbers."""
    viewer = _viewer(sitting)
    await sitting.until(lambda: viewer.settled)
    return dict(viewer.pane.numbers)


# -- on the screen ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [NARROW, WIDE], ids=["80x24", "160x50"])
async def test_the_picture_has_the_size_of_its_place_and_its_numbers_beside_it(
    room: ReadingRoom, size: tuple[int, int]
) -> None:
    room.exam("A1")
    async with room.sitting(DOCTOR, _page("A1"), size) as sitting:
        numbers = await _shown(sitting)
        place = sitting.app.screen.query_one(Picture).size
        assert (numbers["columns"], numbers["rows"]) == (place.width, place.height)
        await sitting.sees("Bone whole body", "Window", "(automatic)", "Range", "counts", "In the images")
        assert "▀" in sitting.seen()


async def test_numbers_are_those_of_the_frame(room: ReadingRoom) -> None:
    counts = np.zeros((5, 16, 16), np.uint16)
    for frame in range(5):
        counts[frame, 4:8, 4:8] = 10 * (frame + 1)
    exam = room.exam("A1", "RENO-MAG3", images=False)
    made = renogram(np.random.default_rng(1)).acquisitions[0]
    room.send(exam, Phantom((_with_counts(made, counts),), {}))
    async with room.sitting(DOCTOR, _page("A1")) as sitting:
        assert (await _shown(sitting))["total"] == 160
        await sitting.press("right")
        assert (await _shown(sitting))["total"] == 320
        await sitting.press("end")
        numbers = await _shown(sitting)
        assert (numbers["total"], numbers["maximum"]) == (800, 50)
        await sitting.sees("5/5", "800 counts", "0 - 50 counts")


async def test_a_window_typed_is_the_window_used(room: ReadingRoom) -> None:
    room.exam("A1")
    async with room.sitting(DOCTOR, _page("A1")) as sitting:
        await _shown(sitting)
        await sitting.press("w")
        await sitting.sees("Lower and upper end")
        await sitting.press("ctrl+u", *"5 50", "enter")
        await sitting.until(lambda: _viewer(sitting).side.look.window == (5, 50))
        assert (await _shown(sitting))["window"] == {"lower": 5, "upper": 50}
        await sitting.press("minus")
        assert (await _shown(sitting))["window"] == {"lower": 5, "upper": 54.5}
        await sitting.press("a")
        await sitting.sees("(automatic)")


async def test_colours_grid_and_zoom_follow_their_keys(room: ReadingRoom) -> None:
    room.exam("A1", "RENO-MAG3")
    async with room.sitting(DOCTOR, _page("A1")) as sitting:
        await _shown(sitting)
        for palette in ("inverted_gray", "hot_iron", "hot_metal_blue", "rainbow", "pet", "gray"):
            await sitting.press("m")
            assert (await _shown(sitting))["palette"] == palette
        await sitting.press("g", "g")
        numbers = await _shown(sitting)
        assert len(numbers["tiles"]) == 9
        await sitting.sees("1-9/60")
        await sitting.press("right")
        assert (await _shown(sitting))["tiles"][0]["frame"] == 9
        await sitting.press("z")
        await _shown(sitting)
        await sitting.sees("1.4x")


async def test_another_identity_in_the_images_is_marked(room: ReadingRoom) -> None:
    room.exam("A1", sent={"patient_name": "Zhang^Wie"})
    async with room.sitting(DOCTOR, _page("A1")) as sitting:
        await _shown(sitting)
        await sitting.sees("≠ Zhang Wie")


async def test_resizing_asks_for_another_size(room: ReadingRoom) -> None:
    room.exam("A1")
    async with room.sitting(DOCTOR, _page("A1"), NARROW) as sitting:
        before = await _shown(sitting)
        await sitting.pilot.resize_terminal(*WIDE)
        await sitting.until(lambda: _viewer(sitting).pane.size.width > before["columns"])
        assert (await _shown(sitting))["columns"] > before["columns"]


async def test_cine_runs_round_and_stops_when_the_page_is_left(room: ReadingRoom) -> None:
    room.exam("A1", "RENO-MAG3")
    async with room.sitting(DOCTOR, _page("A1")) as sitting:
        await _shown(sitting)
        viewer = _viewer(sitting)
        await sitting.press("full_stop", "full_stop", "full_stop", "space")
        await sitting.until(lambda: viewer.side.reel.place > 3)
        assert viewer.side.look.scale == "series"  # one window for all frames
        await sitting.press("f1")
        await sitting.until(lambda: sitting.app.screen is not viewer)
        assert viewer._cine is None
        await sitting.press("escape")
        await sitting.until(lambda: sitting.app.screen is viewer)
        place = viewer.side.reel.place
        await sitting.pilot.pause(0.5)
        assert viewer.side.reel.place == place


async def test_a_late_answer_never_stands_over_a_newer_one(room: ReadingRoom) -> None:
    room.exam("A1", "RENO-MAG3")
    async with room.sitting(DOCTOR, _page("A1")) as sitting:
        await _shown(sitting)
        viewer = _viewer(sitting)
        late, shot = viewer.pane.shown, viewer.pane.shot
        assert late is not None
        assert shot is not None
        await sitting.press("end")
        await _shown(sitting)
        viewer.pane.post_message(Pane._Arrived(late, shot))
        await sitting.pilot.pause()
        assert viewer.pane.shown == viewer.pane.wanted != late


async def test_terminals_without_colours_get_characters(room: ReadingRoom) -> None:
    room.exam("A1")
    async with room.sitting(DOCTOR, _page("A1"), glyphs="ascii") as sitting:
        await _shown(sitting)
        picture = sitting.app.screen.query_one(Picture)
        text = "".join(picture.render_line(y).text for y in range(picture.size.height))
        assert set(text) <= set(RAMP) | set("0123456789")
        assert len(set(text) & set(RAMP)) > 3  # it shows shades, not outlines


async def test_an_exam_without_images_says_so(room: ReadingRoom) -> None:
    room.exam("A1", images=False)
    async with room.sitting(DOCTOR, _page("A1")) as sitting:
        await sitting.sees("No images have arrived yet.")
        room.send(room.client(DOCTOR).get("exams/A1"))
        await sitting.sees("Bone whole body")


def _with_counts(made: Acquisition, counts: np.ndarray[Any, np.dtype[np.uint16]]) -> Acquisition:
    """Give an acquisition other counts, in one phase."""
    from dataclasses import replace  # noqa: PLC0415 - here alone

    return replace(made, frames=counts, phases=(Phase(len(counts), 1000),))


# -- what it goes through --------------------------------------------------------------------------------------------


def _series(uid: str, *frames: int) -> dict[str, Any]:
    return {"uid": uid, "instances": [{"uid": f"{uid}.{n}", "frames": count} for n, count in enumerate(frames)]}


def test_frames_of_single_slices_and_of_one_object_are_gone_through_alike() -> None:
    reel = Reel([_series("1", 1, 1, 1), _series("2", 3)])
    assert [spot.uid for spot in reel.spots] == ["1.0", "1.1", "1.2"]
    assert reel.change(1)
    assert [spot.frame for spot in reel.spots] == [0, 1, 2]
    assert not reel.change(1)
    assert not reel.step(-1)
    assert reel.step(-1, round_about=True)
    assert reel.spot == Spot("2.0", 2, 3)


def test_images_that_come_meanwhile_leave_the_eye_where_it_is() -> None:
    reel = Reel([_series("2", 1, 1)])
    reel.step(1)
    reel.refill([_series("1", 1), _series("2", 1, 1, 1)])
    assert reel.spot == Spot("2.1", 0, 1)


def test_objects_without_frames_are_left_out() -> None:
    assert Reel([_series("1", 0), _series("2")]).spot is None


def test_the_album_lets_the_least_used_go() -> None:
    album, shot = Album(kept=2), Shot(Drawn(0, 0, "gray", b"", b""), {}, [])
    asked = [Look().frame(Spot("1", frame, 3), (1, 1)) for frame in range(3)]
    album.put(asked[0], shot)
    album.put(asked[1], shot)
    album.get(asked[0])
    album.put(asked[2], shot)
    assert [one in album for one in asked] == [True, False, True]


def test_the_ends_of_a_window_never_meet() -> None:
    look = Look()
    for _turn in range(50):
        look = look.windowed(look.window or (0.0, 100.0), 0.3, -0.3)
    assert look.window is not None
    assert look.window[0] < look.window[1]


@pytest.mark.parametrize(
    ("text", "window"),
    [("0 100", (0, 100)), ("-50, 20.5", (-50, 20.5)), ("40/400", (-160, 240)), ("1e3 2e3", (1e3, 2e3))],
)
def test_a_window_is_read_as_ends_or_as_centre_and_width(text: str, window: tuple[float, float]) -> None:
    assert read_window(text) == window


@pytest.mark.parametrize("text", ["", "5", "9 3", "a b", "nan 5", "1 2 3", "40/-3"])
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no window"):
        read_window(text)


def test_figures_are_written_as_people_read_them() -> None:
    assert [figure(value) for value in (0, 1234567, 1234.56, 3.14159, 0.012345)] == [
        "0", "1,234,567", "1,234.6", "3.142", "0.01235",
    ]  # fmt: skip


def _exam(**said: str) -> dict[str, Any]:
    return {
        "patient_number": "P1", "patient_name": "Zhang^Wei", "patient_name_ideographic": "张^伟",
        "patient_birth_date": "1961-03-04", "patient_sex": "M", **said,
    }  # fmt: skip


def _sent(**said: str) -> dict[str, Any]:
    return {
        "sent_patient_number": "P1", "sent_patient_name": "ZHANG^WEI=张^伟", "sent_birth_date": "19610304",
        "sent_sex": "M", **said,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("said", "differs"),
    [
        ({}, [False, False, False, False]),
        ({"sent_patient_number": "P2"}, [True, False, False, False]),
        ({"sent_patient_name": "Zhang^Wie"}, [False, True, False, False]),
        ({"sent_patient_name": "zhang wei"}, [False, False, False, False]),
        ({"sent_patient_name": "张^伟"}, [False, False, False, False]),
        ({"sent_birth_date": "19610305"}, [False, False, True, False]),
        ({"sent_sex": "F"}, [False, False, False, True]),
        ({"sent_sex": "", "sent_birth_date": ""}, [False, False, False, False]),
    ],
)
def test_differing_identities_are_told_field_by_field(said: dict[str, str], differs: list[bool]) -> None:
    assert [other for _ours, _theirs, other in identity_lines(_exam(), _sent(**said))] == differs
