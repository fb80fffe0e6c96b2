"""The doctor's worklist: whose patients, what is decided about them, and that a form loses nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from console.screens.dialogs import Choose, Read
from console.screens.exam import ExamPage
from console.screens.fill import Fill
from console.screens.worklist import Worklist
from console.widgets.paged_list import PagedList
from core import access, wire
from core.workflow import devices
from tests.console.conftest import PASSWORD, Department, opened, picture, until
from tests.console.test_snapshots import FOLDER, SIZES, _compare


@pytest.fixture
def cameras(department: Department) -> Department:
    """Give the department two gamma cameras in a pool."""
    with department.service.records.writing() as work:
        for aet in ("NMCAM1", "NMCAM2"):
            one = wire.Device(aet=aet, host="127.0.0.1", port=104, modalities=["NM"], pool="GAMMA")
            devices.add(work, access.operator("test", "MAIN"), one)
    return department


def assigned(there: Department, name: str, procedure: str = "BONE-WB", **said: Any) -> dict[str, Any]:  # noqa: ANN401 - either half
    exam = there.registered(name, procedure, **said)
    made: dict[str, Any] = there.client.post(f"exams/{exam['accession']}/assign", {"to": "zhao.yi"})
    return made


def field(pilot: Pilot[Any], key: str) -> Input:
    return pilot.app.screen.query_one(f"#field-{key}", Input)


async def filling(pilot: Pilot[Any]) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, Fill) and list(pilot.app.screen.query(Input)))
    await pilot.pause(0.2)


async def test_a_doctor_begins_with_their_own_patients_and_sees_the_department_by_one_key(
    cameras: Department, tmp_path: Path
) -> None:
    assigned(cameras, "Ann^A")
    cameras.registered("Bea^B")
    async with opened(cameras, "zhao.yi", tmp_path) as pilot:
        assert isinstance(pilot.app.screen, Worklist)
        await until(pilot, lambda: "Ann" in picture(pilot.app))
        assert "Bea" not in picture(pilot.app)
        await pilot.press("2")
        await until(pilot, lambda: "Bea" in picture(pilot.app))


async def test_the_late_have_a_view_of_their_own(cameras: Department, tmp_path: Path) -> None:
    late = assigned(cameras, "Ann^A")
    cameras.clock.pass_minutes(3 * 24 * 60)
    cameras.client.sign_in("chen.bo", PASSWORD)
    assigned(cameras, "Bea^B")
    async with opened(cameras, "zhao.yi", tmp_path) as pilot:
        await pilot.press("3")
        rows = pilot.app.screen.query_one(PagedList)
        await until(pilot, lambda: rows.total == 1 and rows.chosen)
        assert rows.chosen
        assert rows.chosen["accession"] == late["accession"]


async def test_device_time_and_plan_are_decided_in_one_form(cameras: Department, tmp_path: Path) -> None:
    exam = assigned(cameras, "Ann^A", "BONE-3P")
    async with opened(cameras, "zhao.yi", tmp_path) as pilot:
        await until(pilot, lambda: "Ann" in picture(pilot.app))
        await pilot.press("p")
        await filling(pilot)
        await pilot.press(*"NMCAM2", "down", *"+1 10:30", "down", *"both hips", "ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, Worklist))
    decided = cameras.client.get(f"exams/{exam['accession']}")
    assert (decided["state"], decided["device"], decided["plan"]) == ("protocolled", "NMCAM2", "both hips")
    assert (
        decided["steps"][0]["planned_at"].startswith("2026-10-06T10:30") or "02:30" in decided["steps"][0]["planned_at"]
    )
    assert [step["name"] for step in decided["steps"]] == ["flow", "blood pool", "delayed"]


async def test_steps_of_the_catalogue_are_left_out_or_added_by_the_doctor(cameras: Department, tmp_path: Path) -> None:
    exam = assigned(cameras, "Ann^A", "BONE-3P")
    async with opened(cameras, "zhao.yi", tmp_path) as pilot:
        await until(pilot, lambda: "Ann" in picture(pilot.app))
        await pilot.press("p")
        await filling(pilot)
        field(pilot, "device").value = "GAMMA"
        field(pilot, "steps").value = "flow, delayed, 24 hours"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, Worklist))
    steps = cameras.client.get(f"exams/{exam['accession']}")["steps"]
    assert [step["name"] for step in steps] == ["flow", "delayed", "24 hours"]


async def test_a_refused_form_says_why_and_keeps_what_was_typed(cameras: Department, tmp_path: Path) -> None:
    assigned(cameras, "Ann^A")
    async with opened(cameras, "zhao.yi", tmp_path) as pilot:
        await until(pilot, lambda: "Ann" in picture(pilot.app))
        await pilot.press("p")
        await filling(pilot)
        await pilot.press(*"NOWHERE", "ctrl+s")
        await until(pilot, lambda: "NOWHERE: use one of" in picture(pilot.app))
        assert field(pilot, "device").value == "NOWHERE"
        await pilot.press("down", *"25:99", "ctrl+s")
        await until(pilot, lambda: "is no time" in picture(pilot.app))
        assert pilot.app.focused is field(pilot, "at")


async def test_what_was_typed_is_there_again_when_the_form_was_left(cameras: Department, tmp_path: Path) -> None:
    assigned(cameras, "Ann^A")
    async with opened(cameras, "zhao.yi", tmp_path) as pilot:
        await until(pilot, lambda: "Ann" in picture(pilot.app))
        await pilot.press("p")
        await filling(pilot)
        field(pilot, "plan").value = "spot views of the left hip"
        await pilot.pause()
        await pilot.press("escape")
        await until(pilot, lambda: any("hip" in str(one) for one in _drafts(cameras)))
        await pilot.press("p")
        await filling(pilot)
        await until(pilot, lambda: field(pilot, "plan").value == "spot views of the left hip")


def _drafts(there: Department) -> list[dict[str, object]]:
    from sqlmodel import select  # noqa: PLC0415 - one look behind the service

    from core.model import FormDraft  # noqa: PLC0415 - as above

    with there.service.records.reading() as work:
        return [row.fields for row in work.session.exec(select(FormDraft))]


async def test_a_locked_report_says_why_and_the_technologist_can_be_told(cameras: Department, tmp_path: Path) -> None:
    exam = assigned(cameras, "Ann^A")
    cameras.client.post(f"exams/{exam['accession']}/protocol", {"device": "NMCAM1"})
    async with opened(cameras, "zhao.yi", tmp_path) as pilot:
        await until(pilot, lambda: "Ann" in picture(pilot.app))
        await pilot.press("r")
        await until(pilot, lambda: isinstance(pilot.app.screen, Read))
        assert "no images yet" in picture(pilot.app)
        assert "NMCAM1 has not been heard yet" in picture(pilot.app)
        await pilot.press("t")
        await filling(pilot)
        await pilot.press(*"where are they?", "enter")
        await until(pilot, lambda: cameras.client.get("calls"))
    assert cameras.client.get("calls")[0]["text"] == "where are they?"


async def test_a_case_is_marked_for_consultation_with_a_question(cameras: Department, tmp_path: Path) -> None:
    exam = assigned(cameras, "Ann^A")
    async with opened(cameras, "zhao.yi", tmp_path) as pilot:
        await until(pilot, lambda: "Ann" in picture(pilot.app))
        await pilot.press("c")
        await filling(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "is needed" in picture(pilot.app))
        await pilot.press(*"metastasis?", "enter")
        await until(pilot, lambda: cameras.client.get("consultations"))
    asked = cameras.client.get("consultations")[0]
    assert (asked["accession"], asked["question"]) == (exam["accession"], "metastasis?")


async def test_a_check_is_passed_over_only_for_a_reason(cameras: Department, tmp_path: Path) -> None:
    exam = assigned(cameras, "Ann^A", "MPI-REST")
    async with opened(cameras, "zhao.yi", tmp_path) as pilot:
        await until(pilot, lambda: "Ann" in picture(pilot.app))
        await pilot.press("k")
        await until(pilot, lambda: isinstance(pilot.app.screen, Choose))
        await pilot.press("enter")
        await filling(pilot)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "a reason to go on without" in picture(pilot.app))
        await pilot.press("down", *"emergency", "ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, Worklist))
    check = cameras.client.get(f"exams/{exam['accession']}")["checks"][0]
    assert (check["overridden"], check["note"], check["by"]) == (True, "emergency", "zhao.yi")


async def test_news_moves_no_patient_from_under_the_hand(cameras: Department, tmp_path: Path) -> None:
    for name in ("Ann^A", "Bea^B", "Cam^C"):
        assigned(cameras, name)
        cameras.clock.pass_minutes(1)
    async with opened(cameras, "zhao.yi", tmp_path) as pilot:
        rows = pilot.app.screen.query_one(PagedList)
        await until(pilot, lambda: rows.total == 3)
        await pilot.press("down")
        assigned(cameras, "Dot^D", urgency="stat")
        await until(pilot, lambda: rows.total == 4)
        assert rows.chosen
        assert rows.chosen["patient_name"] == "Bea^B"


async def test_enter_opens_the_exam_with_what_the_patient_had_before(cameras: Department, tmp_path: Path) -> None:
    assigned(cameras, "Ann^A", "THYROID", number="P1")
    said = {"procedure": "BONE-WB", "patient": "P1", "complaint": "pain in the left hip"}
    exam = cameras.client.post("exams", said)
    cameras.client.post(f"exams/{exam['accession']}/assign", {"to": "zhao.yi"})
    async with opened(cameras, "zhao.yi", tmp_path) as pilot:
        rows = pilot.app.screen.query_one(PagedList)
        await until(pilot, lambda: rows.total == 2)
        rows.choose(exam["accession"])
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ExamPage))
        await until(pilot, lambda: "Earlier" in picture(pilot.app))
        assert "pain in the left hip" in picture(pilot.app)
        assert "THYROID" in picture(pilot.app)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_worklist_looks_as_it_did(cameras: Department, tmp_path: Path, size: tuple[int, int]) -> None:
    assigned(cameras, "Zhang^Wei=张^伟", "MPI-GATED", urgency="stat", complaint="chest pain")
    assigned(cameras, "Zhang^Wei=张^伟", "BONE-WB", birth_date="1988-11-30")
    ready = assigned(cameras, "García Márquez^Ana María", "THYROID", sex="F")
    cameras.client.post(f"exams/{ready['accession']}/protocol", {"device": "NMCAM1"})
    cameras.clock.pass_minutes(31)
    async with opened(cameras, "zhao.yi", tmp_path, size) as pilot:
        await until(pilot, lambda: "THYROID" in picture(pilot.app))
        await pilot.pause(0.5)
        seen = picture(pilot.app)
    _compare(seen, FOLDER / f"worklist-{size[0]}x{size[1]}.txt")


async def test_the_protocol_form_looks_as_it_did(cameras: Department, tmp_path: Path) -> None:
    assigned(cameras, "Zhang^Wei=张^伟", "MPI-GATED", urgency="stat", complaint="chest pain")
    async with opened(cameras, "zhao.yi", tmp_path) as pilot:
        await until(pilot, lambda: "MPI" in picture(pilot.app))
        await pilot.press("p")
        await filling(pilot)
        seen = picture(pilot.app)
    _compare(seen, FOLDER / "protocol-80x24.txt")
