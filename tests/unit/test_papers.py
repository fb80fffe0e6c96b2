"""Pages on paper: what they say, and that they cannot pass for what they are not."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from core import wire
from core.access import Actor
from core.errors import Forbidden, Refused
from core.rendering.pages import Press
from core.workflow import consultation, papers, reading
from core.workflow.reading import Desk
from tests.unit.workflow.department import CLERK, HEAD, SUN, ZHAO, Department

pytestmark = pytest.mark.peer("pdftotext")

DESK = Desk(timedelta(minutes=10))
PRESS = Press()


@pytest.fixture
def department(tmp_path: Path) -> Iterator[Department]:
    department = Department(tmp_path)
    department.file_images()
    yield department
    department.records.close()


def _written(department: Department, actor: Actor = ZHAO, findings: str = "双肺未见异常。 Even uptake.") -> int:
    form = wire.OpenReport()
    with department.records.writing() as work:
        fence = reading.open_report(work, actor, "A1", form, DESK).fence or 0
    text = {"findings": findings, "impression": "Normal."}
    reading.save_or_keep(department.records, actor, "A1", wire.SaveReport(fence=fence, text=text), DESK)
    return fence


def _signed(department: Department) -> None:
    fence = _written(department)
    with department.records.writing() as work:
        reading.sign(work, ZHAO, "A1", wire.Sign(fence=fence, password=""))


def _page(department: Department, actor: Actor = ZHAO) -> str:
    with department.records.reading() as work:
        facts = papers.report(work, actor, "A1")
    return _text(PRESS.report_pdf(facts), department)


def _text(pdf: bytes, department: Department) -> str:
    done = subprocess.run(["pdftotext", "-layout", "-", "-"], input=pdf, capture_output=True, check=True, timeout=60)
    return done.stdout.decode()


def test_a_signed_page_names_patient_signer_and_text_in_both_scripts(department: Department) -> None:
    _signed(department)
    page = _page(department, CLERK)
    for said in (
        "张伟",
        "Zhang Wei",
        "P1",
        "A1",
        "1961-03-04",
        "双肺未见异常。",
        "Even uptake.",
        "Normal.",
        "zhao.min",
        "SHA-256",
    ):
        assert said in page
    assert "NOT" not in page


def test_a_draft_is_marked_and_shown_to_its_readers_alone(department: Department) -> None:
    _written(department)
    assert "DRAFT, NOT SIGNED" in _page(department)
    with pytest.raises(Forbidden):
        _page(department, CLERK)


def test_a_preliminary_page_is_marked(department: Department) -> None:
    fence = _written(department)
    with department.records.writing() as work:
        reading.preliminary(work, ZHAO, "A1", wire.Fenced(fence=fence))
    assert "PRELIMINARY, NOT YET REVIEWED" in _page(department)


def test_a_withdrawn_page_is_marked_with_its_reason(department: Department) -> None:
    _signed(department)
    with department.records.writing() as work:
        reading.withdraw(work, HEAD, "A1", wire.Withdraw(password="", reason="another patient's images"))
    page = _page(department)
    assert "WITHDRAWN" in page
    assert "another patient's images" in page


def test_a_page_shows_what_was_signed_even_to_who_is_amending_it(department: Department) -> None:
    _signed(department)
    with department.records.writing() as work:
        fence = reading.amend(work, ZHAO, "A1", wire.OpenReport(reason="a slip"), DESK).fence or 0
    half = wire.SaveReport(fence=fence, text={"impression": "Metastases not signed by anybody."})
    reading.save_or_keep(department.records, ZHAO, "A1", half, DESK)
    page = _page(department)
    assert "Metastases" not in page
    assert "Normal." in page


def test_an_overridden_lock_is_printed(department: Department) -> None:
    department.unfile_all()
    with department.records.writing() as work:
        form = wire.OpenReport(override=True, reason="films seen by eye")
        fence = reading.open_report(work, HEAD, "A1", form, DESK).fence or 0
    text = wire.SaveReport(fence=fence, text={"findings": "as on film"})
    reading.save_or_keep(department.records, HEAD, "A1", text, DESK)
    assert "lock overridden: films seen by eye" in _page(department)
    with department.records.writing() as work:
        reading.sign(work, HEAD, "A1", wire.Sign(fence=fence, password=""))
    assert "lock overridden: films seen by eye" in _page(department)


def test_what_a_person_typed_is_never_markup(department: Department) -> None:
    typed = '#panic("no") $x$ *bold* _it_ `raw` @ref <label> \\ // [a] = heading #set page(width: 1pt)'
    _written(department, findings=typed)
    assert typed.replace(" ", "") in "".join(_page(department).split())


def test_opinions_and_conclusion_stand_on_the_page(department: Department) -> None:
    with department.records.writing() as work:
        number = consultation.request(work, ZHAO, wire.AskConsultation(accession="A1", question="agree?")).id
        consultation.opinion(work, SUN, number, wire.Say(text="I do agree"))
    _signed(department)
    page = _page(department)
    assert "I do agree" in page
    assert "sun.wei" in page


def test_an_empty_report_has_no_page(department: Department) -> None:
    with pytest.raises(Refused, match="nothing is written"):
        _page(department)


def test_a_long_report_goes_over_pages_with_its_number_on_each(department: Department) -> None:
    _written(department, findings="\n".join(f"Line {n} of a long description." for n in range(90)))
    pages = _page(department).split("\f")[:-1]
    assert len(pages) > 1
    assert all("A1" in page for page in pages)


def test_the_receipt_says_who_what_and_when(department: Department) -> None:
    with department.records.reading() as work:
        page = _text(PRESS.receipt_pdf(papers.receipt(work, CLERK, "A1")), department)
    for said in ("A1", "张伟", "Bone scan"):
        assert said in page
