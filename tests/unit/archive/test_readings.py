"""What is read quickly of an object is what pydicom reads of it, whatever the object."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from core.archive.keeper import Keeper
from core.archive.keeper import staged as staging
from core.archive.keeper.readings import Readings
from core.archive.keeper.staged import Staged, written
from core.archive.stores import LocalStore
from core.dicom import frames, header, objects
from core.errors import CoreError
from tests.peers.process import SHARED, slices

pytestmark = pytest.mark.filterwarnings("ignore")  # what pydicom thinks of its own broken files

OWN = Path(str(get_testdata_file("CT_small.dcm"))).parent
FILES = sorted({*OWN.rglob("*.dcm"), *SHARED.rglob("*.dcm")})
SMALL = [OWN / name for name in ("CT_small.dcm", "MR_small_implicit.dcm", "test-SR.dcm")]
_LONGEST = 2_000_000
_HEADER = 7_000


def _slowly(path: Path) -> Staged | type[CoreError]:
    try:
        return staging.read(written(path, "", "", _sender(path)))
    except CoreError as error:
        return type(error)


def _quickly(path: Path, readings: Readings) -> Staged | type[CoreError]:
    offset, syntax = objects.dataset_offset(path), _syntax(path)
    try:
        with path.open("rb") as file:
            return readings.read(written(path, "", "", _sender(path)), file.fileno(), offset, syntax)
    except CoreError as error:
        return type(error)


def _sender(path: Path) -> str:
    return str(pydicom.filereader.read_file_meta_info(path).get("SourceApplicationEntityTitle", ""))


def _syntax(path: Path) -> str:
    return str(pydicom.filereader.read_file_meta_info(path).TransferSyntaxUID)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_real_objects_say_the_same_read_quickly(path: Path) -> None:
    try:
        _syntax(path)
    except Exception:  # noqa: BLE001 - a file without meta does not come over the network
        pytest.skip("it names no transfer syntax")
    if path.stat().st_size > _LONGEST:
        pytest.skip("large, and of a kind that is here already")
    readings = Readings()
    slow = _slowly(path)
    assert _quickly(path, readings) == slow
    assert _quickly(path, readings) == slow, "remembered, it says something else"


def test_most_real_objects_are_read_without_pydicom() -> None:
    plain = [path for path in FILES if path.name.startswith(("CT_small", "MR_small_RLE", "dro_", "heart_", "JPEG2000"))]
    assert plain
    for path in plain:
        data = path.read_bytes()
        assert header.scan(data, objects.dataset_offset(path), len(data), _syntax(path)) is not None, path.name


def test_objects_of_a_study_keep_their_own_words(tmp_path: Path) -> None:
    readings, paths = Readings(), slices(tmp_path, 4)
    for number, path in enumerate(paths):
        one = pydicom.dcmread(path)
        one.SeriesDescription, one.SeriesNumber = f"Série {number}", number
        one.AcquisitionDate, one.AcquisitionTime, one.SeriesTime = f"2024010{number + 1}", "101112.5", "10"
        if number == 2:
            one.SeriesInstanceUID = generate_uid()
        one.save_as(path)
    said = [_quickly(path, readings) for path in paths]
    assert said == [_slowly(path) for path in paths]
    assert len({one.identity.sop_instance_uid for one in said if isinstance(one, Staged)}) == 4


def _mutations(seed: int) -> Iterator[bytes]:
    """Yield the same three small objects with a few bytes other, missing or too many."""
    chance = random.Random(seed)
    for path in SMALL:
        data, start = bytearray(path.read_bytes()), objects.dataset_offset(path)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(start, max(start + 1, min(len(data), start + _HEADER)))
            how = chance.randrange(4)
            if how == 0:
                data[at : at + 1] = bytes((chance.choice((0, 0xFF, 0x5C, 0x1B, chance.randrange(256))),))
            elif how == 1:
                del data[at:]
            elif how == 2:
                del data[at : at + chance.randint(1, 8)]
            else:
                data[at:at] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 8)))
        yield bytes(data)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1 << 32))
def test_broken_objects_are_judged_the_same_read_quickly(seed: int, tmp_path: Path) -> None:
    for data in _mutations(seed):
        path = tmp_path / "one.dcm"
        path.write_bytes(data)
        slow, quick = _slowly(path), _quickly(path, Readings())
        assert quick == slow


def test_nothing_is_asked_of_an_object_that_is_not_looked_for() -> None:
    """A reading that asks for one more element must have it in the list, or quick and slow part."""
    asked = set[int]()

    class Recording(pydicom.Dataset):
        def get_item(self, key: Any, **kept: Any) -> Any:  # noqa: ANN401 - as pydicom has it
            asked.add(int(pydicom.tag.Tag(key)))
            return super().get_item(key, **kept)

        def get(self, key: Any, default: Any = None) -> Any:  # noqa: ANN401 - as pydicom has it
            asked.add(int(pydicom.tag.Tag(key)))
            return super().get(key, default)

    for path in FILES:
        if not path.name.startswith(("heart", "jaszczak", "uniformity", "CT_small", "dro_0")):
            continue
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        recording = Recording(dataset)
        recording.file_meta = dataset.file_meta
        objects.identity_of(recording)
        frames.frames_received(recording, 1)
        frames.is_original(recording)
    assert asked <= header.WANTED, [f"{tag:08X}" for tag in asked - header.WANTED]


def test_an_object_that_came_in_pieces_is_read_as_one_that_lies_there(tmp_path: Path) -> None:
    keeper, [path] = Keeper(LocalStore(tmp_path / "archive")), slices(tmp_path / "in", 1, size=256)
    one = pydicom.dcmread(path)
    data = path.read_bytes()[objects.dataset_offset(path) :]
    arriving = keeper.arriving((one.SOPClassUID, one.SOPInstanceUID, ExplicitVRLittleEndian), "CAM1")
    for at in range(0, len(data), 16_384):
        arriving.write(memoryview(data)[at : at + 16_384])
    staged = arriving.finish()
    slow = staging.read(written(staged.temporary, staged.sha256, staged.content_sha256, "CAM1"))
    assert replace(staged, received_at=slow.received_at) == slow
    assert hashlib.sha256(staged.temporary.read_bytes()).hexdigest() == staged.sha256
    assert hashlib.sha256(data).hexdigest() == staged.content_sha256
