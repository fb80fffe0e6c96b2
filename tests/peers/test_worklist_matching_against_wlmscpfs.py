"""The same worklist and the same questions, before DCMTK's wlmscpfs and before us.

What is kept apart, and why, stands in `worklist_questions`; the full count is run by `tests.bench.worklist_oracle`.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset
from pynetdicom.association import Association

from tests.peers.wlmscpfs import ask, wlmscpfs
from tests.peers.worklist_questions import differences, our_answers, question, worklist

pytestmark = pytest.mark.peer("wlmscpfs")
QUERIES = 150


@pytest.fixture(scope="module")
def items() -> list[Dataset]:
    return worklist(random.Random(2026), 40)


@pytest.fixture(scope="module")
def oracle(items: list[Dataset], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Association]:
    folder: Path = tmp_path_factory.mktemp("wlmscpfs")
    with wlmscpfs(folder, items) as running, running.association() as association:
        yield association


def test_a_camera_gets_the_same_items_and_values_as_from_wlmscpfs(items: list[Dataset], oracle: Association) -> None:
    chance = random.Random(7)
    answered = 0
    for number in range(QUERIES):
        keys = question(chance, items)
        theirs = ask(oracle, keys)
        answered += len(theirs or ())
        assert differences(keys, items, theirs) == [], f"query {number}: {keys}"
    assert answered > QUERIES, "the questions must find something, or agreement means nothing"


@pytest.mark.parametrize(("keyword", "value"), [("StudyInstanceUID", "1.2.826.0.1.3680043.10.1.3"), ("step", "S3")])
def test_study_uid_and_step_id_select_here_though_wlmscpfs_ignores_them(
    items: list[Dataset], oracle: Association, keyword: str, value: str
) -> None:
    keys, step = Dataset(), Dataset()
    keys.StudyInstanceUID = value if keyword == "StudyInstanceUID" else None
    step.ScheduledProcedureStepID = value if keyword == "step" else None
    keys.ScheduledProcedureStepSequence = [step]
    ours = our_answers(keys, items)
    assert [one.StudyInstanceUID for one in ours] == ["1.2.826.0.1.3680043.10.1.3"]
    assert len(ask(oracle, keys) or ()) == len(items)
