"""Named moments of each page as text, at 80x24 and 160x50.

`PHOTOPEAK_SNAPSHOTS=write pytest tests/console/test_snapshots.py` writes them anew; look at the difference before it is
committed.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from console.screens.patient import PatientPage
from console.screens.registration import RegistrationPage
from tests.console.conftest import Department, opened, picture, until

FOLDER = Path(__file__).parent / "snapshots"
SIZES = [(80, 24), (160, 50)]
Moment = Callable[[Pilot[Any]], Awaitable[None]]


def _morning(department: Department) -> None:
    """Make a morning with the names and states that are hard to draw."""
    department.registered("Zhang^Wei=张^伟", "MPI-STRESS", urgency="urgent", phone="13800004471", weight_kg=72)
    department.clock.pass_minutes(7)
    department.registered("Zhang^Wei=张^伟", "BONE-WB", birth_date="1988-11-30", visit="inpatient")
    department.registered("Ouyang^Nana=欧阳^娜娜", "PET-FDG", sex="F", urgency="stat", visit="emergency")
    department.clock.pass_minutes(12)
    department.registered("García Márquez^Ana María", "RENO-MAG3", sex="F", complaint="flank pain")
    department.registered("Li^Na=李^娜", "THYROID", sex="F", booked_at="2026-10-05T15:00:00+08:00")
    department.clock.pass_minutes(31)


async def _front_desk(pilot: Pilot[Any]) -> None:
    await until(pilot, lambda: "GARC" in picture(pilot.app).upper())


async def _found(pilot: Pilot[Any]) -> None:
    await pilot.press(*"zhangwei")
    await until(pilot, lambda: picture(pilot.app).count("张伟") >= 2)
    await until(pilot, lambda: "1988-11-30" in picture(pilot.app))


async def _patient(pilot: Pilot[Any]) -> None:
    await pilot.press(*"ouyang", "enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, PatientPage))
    await until(pilot, lambda: "PET-FDG" in picture(pilot.app) and "欧阳娜娜" in picture(pilot.app))


async def _registration(pilot: Pilot[Any]) -> None:
    await pilot.press("f2")
    await until(pilot, lambda: isinstance(pilot.app.screen, RegistrationPage))
    await pilot.press(*"Li Na", "enter")


async def _help(pilot: Pilot[Any]) -> None:
    await pilot.press("f1")
    await until(pilot, lambda: "Help: Front desk" in picture(pilot.app))


async def _triage(pilot: Pilot[Any]) -> None:
    await until(pilot, lambda: "欧阳娜娜" in picture(pilot.app))


async def _palette(pilot: Pilot[Any]) -> None:
    await pilot.press("ctrl+p")
    await until(pilot, lambda: "Change theme" in picture(pilot.app))


MOMENTS: dict[str, tuple[str, Moment]] = {
    "front_desk": ("wang.li", _front_desk),
    "front_desk_found": ("wang.li", _found),
    "front_desk_help": ("wang.li", _help),
    "patient": ("wang.li", _patient),
    "registration": ("wang.li", _registration),
    "triage": ("liu.min", _triage),
    "triage_palette": ("liu.min", _palette),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", MOMENTS)
async def test_a_page_looks_as_it_did(name: str, size: tuple[int, int], department: Department, tmp_path: Path) -> None:
    _morning(department)
    user, moment = MOMENTS[name]
    async with opened(department, user, tmp_path, size) as pilot:
        await moment(pilot)
        await pilot.pause(0.3)
        seen = picture(pilot.app)
    _compare(seen, FOLDER / f"{name}-{size[0]}x{size[1]}.txt")


async def test_chinese_pages_align(department: Department, tmp_path: Path) -> None:
    _morning(department)
    async with opened(department, "liu.min", tmp_path, (120, 30), language="zh") as pilot:
        await _triage(pilot)
        await pilot.pause(0.3)
        _compare(picture(pilot.app), FOLDER / "triage-zh-120x30.txt")


def _compare(seen: str, kept: Path) -> None:
    if os.environ.get("PHOTOPEAK_SNAPSHOTS") == "write":
        kept.write_text(seen, encoding="utf-8")
    assert seen == kept.read_text(encoding="utf-8")
