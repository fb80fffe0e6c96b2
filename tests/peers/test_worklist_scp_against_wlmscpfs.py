"""The same exams on our worklist and on DCMTK's wlmscpfs, and the same questions to both, over the wire.

The exams are registered and protocolled by the workflows; what our worklist says of them in full is served by wlmscpfs.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pydicom import Dataset
from pynetdicom.association import Association

from core.dicom.matching import Criteria
from core.workflow.worklist import worklist
from tests.peers.serving import Department, serving
from tests.peers.wlmscpfs import ask, wlmscpfs
from tests.peers.worklist_questions import DAYS, NAMES, differences, question

pytestmark = [
    pytest.mark.peer("wlmscpfs"),
    # pynetdicom leaves sockets of ended associations to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
]

QUERIES = 100
STATIONS = ("CAM1", "CAM2", "CAM*", "CAM?", "cam1", "CAM 1", "SPECT")
PATIENT_IDS = ("P1", "P10", "P*", "P?", "q1", "0001", "P-1 A", "P1*", "NM/77")
ACCESSIONS = ("A1", "A12", "A12B", "a1", "A1*")
PEOPLE = ("", "Wang^Fang", "wang^fang", "王芳")
SECONDS = (0, 1, 3600 * 8, 3600 * 10, 3600 * 10 + 900, 3600 * 18, 86399)


def _fill(department: Department, chance: random.Random, count: int) -> None:
    for station in STATIONS[1:-1]:
        department.device(station, modalities=["NM", "PT"])
    for station in ("SPECT1", "SPECT2"):
        department.device(station, pool="SPECT")
    for number in range(count):
        alphabetic, ideographic = chance.choice(NAMES)
        accession = ACCESSIONS[number] if number < len(ACCESSIONS) else f"B{number}"
        department.registered(
            f"{alphabetic}={ideographic}".rstrip("="), accession,
            number=PATIENT_IDS[number] if number < len(PATIENT_IDS) else f"P2{number}",
            procedure=chance.choice(("BONE-WB", "RENO-MAG3", "PET-FDG")), sex=chance.choice(("", "M", "F", "O")),
            weight_kg=chance.choice((None, 71.5)), urgency=chance.choice(("stat", "urgent", "routine")),
            alerts=chance.choice(("", "Pacemaker")), visit_number=chance.choice(("", "ADM1", "ADM2")),
            referrer=chance.choice(PEOPLE), ward=chance.choice(("", "3 West")),
        )  # fmt: skip
        midnight = datetime.combine(chance.choice(DAYS), datetime.min.time()).astimezone()
        department.protocol(accession, chance.choice(STATIONS), at=midnight + timedelta(seconds=chance.choice(SECONDS)))


@pytest.fixture(scope="module")
def department(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Department]:
    with serving(tmp_path_factory.mktemp("photopeak")) as running:
        _fill(running, random.Random(2026), 40)
        yield running


@pytest.fixture(scope="module")
def items(department: Department) -> list[Dataset]:
    with department.records.reading() as work:
        items = list(worklist(work, "MAIN", Criteria()))
    for item in items:
        item.SpecificCharacterSet = "ISO_IR 192"
    return items


@pytest.fixture(scope="module")
def oracle(items: list[Dataset], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Association]:
    folder: Path = tmp_path_factory.mktemp("wlmscpfs")
    with wlmscpfs(folder, items) as running, running.association() as association:
        yield association


def test_a_camera_gets_from_us_what_it_gets_from_wlmscpfs(
    department: Department, items: list[Dataset], oracle: Association
) -> None:
    chance, answered = random.Random(11), 0
    with department.association("CAMERA") as ours:
        for number in range(QUERIES):
            keys = question(chance, items)
            theirs, our = ask(oracle, keys), ask(ours, keys)
            answered += len(theirs or ())
            assert differences(keys, items, theirs, our or []) == [], f"query {number}: {keys}"
    assert answered > QUERIES, "the questions must find something, or agreement means nothing"
