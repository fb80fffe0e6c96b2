"""Hundreds of random queries at every level find here what they find in DCMTK's archive."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import DataElement, Dataset
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR
from pydicom.uid import generate_uid

from core.dicom import conformance
from core.dicom.encoding import decoded, encoded
from core.dicom.information_models import UNIQUE_KEYS
from core.dimse.association import Association, connect
from core.dimse.negotiation import Proposed
from tests.peers.dcmqrscp import AET, dcmqrscp
from tests.peers.process import altered, slices
from tests.peers.serving import AET as OURS
from tests.peers.serving import serving

pytestmark = pytest.mark.peer("dcmqrscp", "storescu", "echoscu")
PATIENT_ROOT, STUDY_ROOT = conformance.FIND.uids
EXPLICIT = conformance.MESSAGE_SYNTAXES[0]
PEOPLE = [  # in capitals: names match here whatever their case, in dcmqrscp as written
    ("P1", "ZHANG^WEI", "19610304", "M"), ("P2", "ZHANG^XIUYING", "19700101", "F"), ("P3", "LI^NA", "", "F"),
    ("P-10", "MUELLER^JOERG^^DR", "19550505", "M"), ("100", "O'NEIL^A", "20010911", "O"),
]  # fmt: skip
VALUES: dict[str, list[str]] = {
    "StudyDate": ["20260101", "20260102", "20251231", "20260301"],
    "StudyTime": ["081500", "101500", "235959"],
    "AccessionNumber": ["A100", "A101", "B7"],
    "StudyID": ["1", "2", "S-3"],
    "StudyDescription": ["Bone scan", "Bone scan, delayed", "PET/CT"],
    "Modality": ["NM", "CT", "PT"],
    "SeriesDescription": ["whole body", "SPECT"],
}
LEVEL_KEYS = {
    "PATIENT": ("PatientName", "PatientID"),
    "STUDY": ("PatientName", "PatientID", "StudyDate", "StudyTime", "AccessionNumber", "StudyID"),
    "SERIES": ("Modality", "SeriesNumber"),
    "IMAGE": ("InstanceNumber",),
}
RANGES = {"StudyDate", "StudyTime"}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[tuple[Any, list[Any]]]:
    """Give the same objects to both; returns associations with each, and the objects."""
    folder, chance = tmp_path_factory.mktemp("oracle"), random.Random(1)
    objects = made(folder / "sent", chance)
    paths = [str(path) for path in sorted((folder / "sent").iterdir())]
    port = free_port()
    with serving(folder / "ours") as department, dcmqrscp(folder / "theirs", port):
        for aet, to in ((OURS, department.port), (AET, port)):
            subprocess.run(["storescu", "-aec", aet, "127.0.0.1", str(to), *paths], check=True, timeout=120)
        with called(OURS, department.port) as us, called(AET, port) as them:
            yield (us, them), objects


def made(folder: Path, chance: random.Random) -> list[Any]:
    (path,) = slices(folder, 1, size=2)
    model, objects = pydicom.dcmread(path), list[Any]()
    path.unlink()
    for number in range(12):
        who = PEOPLE[number % len(PEOPLE)]
        study = {"StudyInstanceUID": generate_uid(), **{key: chance.choice(VALUES[key]) for key in list(VALUES)[:5]}}
        study |= dict(zip(("PatientID", "PatientName", "PatientBirthDate", "PatientSex"), who, strict=True))
        for which in range(chance.randint(1, 3)):
            series = {"SeriesInstanceUID": generate_uid(), "SeriesNumber": which + 1}
            series |= {key: chance.choice(VALUES[key]) for key in ("Modality", "SeriesDescription")}
            for image in range(chance.randint(1, 2)):
                one = altered(model, InstanceNumber=image + 1, **study, **series)
                one.save_as(folder / f"{len(objects):03}.dcm")
                objects.append(one)
    return objects


def called(aet: str, port: int) -> Association:
    contexts = [Proposed(root, (EXPLICIT,)) for root in (PATIENT_ROOT, STUDY_ROOT)]
    return connect("127.0.0.1", port, calling="CAM1", called=aet, contexts=contexts)


def found(association: Association, root: str, keys: Dataset) -> list[str]:
    """Return what a query finds: the unique key of its level and what was asked, of each answer."""
    context = next(each for each in association.contexts if each.abstract_syntax == root)
    answers = list(association.find(context, root, encoded(keys, EXPLICIT)))
    assert answers[-1][0].code == 0, hex(answers[-1][0].code)
    said = [decoded(content, EXPLICIT) for _, content in answers[:-1]]
    return sorted(str([str(one.get(keyword, "") or "") for keyword in asked_of(keys)]) for one in said)


def asked_of(keys: Dataset) -> list[str]:
    return [element.keyword for element in keys if element.keyword != "QueryRetrieveLevel"]


def question(chance: random.Random, objects: list[Any]) -> tuple[str, Dataset]:
    """Make up a query as peers do: the unique keys of the levels above, and some keys of its own."""
    one = chance.choice(objects)
    level = chance.choice(list(LEVEL_KEYS))
    root = PATIENT_ROOT if level == "PATIENT" else chance.choice([PATIENT_ROOT, STUDY_ROOT])
    said: dict[str, str | None] = {"QueryRetrieveLevel": level, UNIQUE_KEYS[level]: None}
    above = ("PATIENT", "STUDY", "SERIES", "IMAGE")
    for upper in above[root == STUDY_ROOT : above.index(level)]:
        said[UNIQUE_KEYS[upper]] = str(one[UNIQUE_KEYS[upper]].value)
    for keyword in chance.sample(LEVEL_KEYS[level], chance.randint(0, len(LEVEL_KEYS[level]))):
        if keyword == "PatientID" and said.get("PatientID"):
            continue
        said[keyword] = asked(chance, keyword, str(one[keyword].value), str(chance.choice(objects)[keyword].value))
    keys = Dataset()
    for keyword, value in said.items():
        keys[keyword] = DataElement(keyword, dictionary_VR(keyword), value, validation_mode=IGNORE)
    return root, keys


def asked(chance: random.Random, keyword: str, value: str, other: str) -> str:
    """Return a key: a value, a part of it among wild cards, a range, or nothing."""
    if dictionary_VR(keyword) == "IS":
        return chance.choice([value, ""])
    if keyword in RANGES:
        first, last = sorted((value, other))
        return chance.choice([value, f"{first}-{last}", f"{first}-", f"-{last}", ""])
    begin, end = sorted((chance.randint(0, len(value)), chance.randint(0, len(value))))
    part = value[begin:end]
    return chance.choice([value, f"{value[:end]}*", f"*{part}*", f"*{value[end:]}", value[:-1] + "?", "*", ""])


def test_random_queries_find_the_same_in_both(both: tuple[Any, list[Any]]) -> None:
    (us, them), objects = both
    chance = random.Random(7)
    matched = 0
    for _ in range(250):
        root, keys = question(chance, objects)
        ours = found(us, root, keys)
        assert ours == found(them, root, keys), keys
        matched += len(ours)
    assert matched > 250
