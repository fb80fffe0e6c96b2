"""The service page: what works, who was heard, who did what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from console.screens.service import Service, bytes_told
from console.widgets.paged_list import PagedList
from core import access, wire
from core.model import Damage, Job
from core.vocabulary import Role
from core.workflow import devices, integrity
from tests.console.conftest import Department, opened, picture, until
from tests.console.test_snapshots import FOLDER, SIZES, _compare

ADMIN = "root.li"


@pytest.fixture
def looked_after(department: Department) -> Department:
    """Give the department an administrator and a camera that is switched off."""
    department.employ(ADMIN, "Li Gen", Role.ADMIN)
    with department.service.records.writing() as work:
        camera = wire.Device(aet="NMCAM1", host="127.0.0.1", port=9, modalities=["NM"], pool="GAMMA")
        devices.add(work, access.operator("test", "MAIN"), camera)
    return department


async def test_each_part_says_whether_it_works(looked_after: Department, tmp_path: Path) -> None:
    async with opened(looked_after, ADMIN, tmp_path) as pilot:
        assert isinstance(pilot.app.screen, Service)
        await until(pilot, lambda: picture(pilot.app).count("● works") == 4)
        assert "space free" in picture(pilot.app)


# pynetdicom leaves the socket of a refused connection to the garbage collector, which says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_camera_that_is_off_does_not_answer(looked_after: Department, tmp_path: Path) -> None:
    async with opened(looked_after, ADMIN, tmp_path) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: "NMCAM1" in picture(pilot.app))
        await pilot.press("e")
        await until(pilot, lambda: "no answer" in picture(pilot.app))


async def test_the_trail_is_paged_and_shows_one_subject(looked_after: Department, tmp_path: Path) -> None:
    for number in range(130):
        looked_after.registered(f"Ann^A{number}", accession=f"A{number}")
    async with opened(looked_after, ADMIN, tmp_path) as pilot:
        await pilot.press("5")
        rows = pilot.app.screen.query_one(PagedList)
        await until(pilot, lambda: rows.total > 100)
        await pilot.press("end")
        await until(pilot, lambda: rows.total > 130)
        await pilot.press("f3")
        await pilot.pause(0.3)
        await pilot.press(*"A7", "enter")
        await until(pilot, lambda: 0 < rows.total < 5)
        assert rows.chosen
        assert rows.chosen["entry"]["subject"] == "A7"


async def test_who_called_stands_there_known_or_not(looked_after: Department, tmp_path: Path) -> None:
    with looked_after.service.records.writing() as work:
        devices.heard(work, "STRANGER", "MAIN", "10.0.0.9", "C-STORE", objects=3)
    async with opened(looked_after, ADMIN, tmp_path) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: "STRANGER" in picture(pilot.app))
        assert "unknown" in picture(pilot.app)
        assert "C-STORE from 10.0.0.9" in picture(pilot.app)


def test_space_is_told_in_units_people_read() -> None:
    assert [bytes_told(one) for one in (0, 999, 83_386_851_328)] == ["0 B", "999 B", "83.4 GB"]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_service_looks_as_it_did(looked_after: Department, tmp_path: Path, size: tuple[int, int]) -> None:
    async with opened(looked_after, ADMIN, tmp_path, size) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: "Chen Bo" in picture(pilot.app))
        await pilot.pause(0.3)
        seen = picture(pilot.app)
    _compare(seen, FOLDER / f"service-{size[0]}x{size[1]}.txt")


async def test_damage_stands_with_what_depends_on_it_and_a_verification_begins_by_a_key(
    looked_after: Department, tmp_path: Path
) -> None:
    with looked_after.service.records.writing() as work:
        proof = integrity.begin(work, access.operator("test", "MAIN"), deep=True)
        proof.ended_at, proof.faults, proof.objects = work.now, 1, 12
        work.add(proof)
        fault = Damage(site="MAIN", proof_id=proof.id or 0, sop_uid="1.2.3", path="1.dcm", found_at=work.now)
        fault.fault = "its file is missing"
        work.add(fault)
    async with opened(looked_after, ADMIN, tmp_path) as pilot:
        await until(pilot, lambda: "6 shows what depends on them" in picture(pilot.app))
        await pilot.press("6")
        await until(pilot, lambda: "its file is missing" in picture(pilot.app))
        assert "damage found" in picture(pilot.app)
        assert "12 objects, 1 faults" in picture(pilot.app)
        await pilot.press("v")
        await until(pilot, lambda: "presence and size" in picture(pilot.app))


async def test_work_that_waits_is_seen_and_given_up(looked_after: Department, tmp_path: Path) -> None:
    later = datetime.now(UTC) + timedelta(days=1)
    with looked_after.service.records.writing() as work:
        waiting = work.enqueue("MAIN", "send", {}, lane="send:PACS", due_at=later)
        waiting.error, waiting.total, waiting.done = "PACS cannot be reached", 12, 5
        number = waiting.id
    async with opened(looked_after, ADMIN, tmp_path) as pilot:
        await pilot.press("7")
        await until(pilot, lambda: "send:PACS" in picture(pilot.app))
        assert "5 of 12" in picture(pilot.app)
        await pilot.press("x")
        await until(pilot, lambda: "given up" in picture(pilot.app))
    with looked_after.service.records.reading() as work:
        assert work.session.get_one(Job, number).state == "cancelled"
