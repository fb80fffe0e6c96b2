"""A plain object's frames are found without its header, and are the very ones the header leads to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydicom
import pydicom.data
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import ImplicitVRLittleEndian

from core.dicom.bulkdata import StoredObject
from core.dicom.pixels import Undecodable
from core.errors import NotFound

NAMES = sorted(path.name for path in Path(pydicom.data.__file__).with_name("test_files").glob("*.dcm"))


def _said(stored: StoredObject) -> list[object]:
    said: list[object] = [stored.syntax, stored.frames, stored.compressed, stored.pixel_element]
    for index in (0, stored.frames - 1, stored.frames):
        try:
            said.append((stored.plain(index), stored.stored(index)))
        except (NotFound, Undecodable) as error:
            said.append(error.detail)
    return said


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, of files that are odd by intent
@pytest.mark.parametrize("name", NAMES)
def test_both_ways_say_the_same(name: str) -> None:
    path = Path(pydicom.data.__file__).with_name("test_files") / name
    quick, whole = StoredObject(path), StoredObject(path, with_header=True)
    assert _said(quick) == _said(whole)


def _series(path: Path, *, implicit: bool = False) -> Any:  # noqa: ANN401 - pydicom's attributes are made while it runs
    """Write an object of five frames."""
    one: Any = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    if implicit:
        one.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    one.NumberOfFrames = 5
    one.PixelData = b"".join(bytes([number]) * len(one.PixelData) for number in range(5))
    one.save_as(path, implicit_vr=implicit, little_endian=True)
    return one


@pytest.mark.parametrize("implicit", [False, True])
def test_a_plain_object_needs_no_header(tmp_path: Path, implicit: bool) -> None:  # noqa: FBT001 - a case
    one = _series(tmp_path / "one.dcm", implicit=implicit)
    stored = StoredObject(tmp_path / "one.dcm")
    frames = [stored.plain(index) for index in range(stored.frames)]
    assert b"".join(frames) == one.PixelData
    assert "header" not in vars(stored)


def test_a_frame_that_is_cut_short_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "cut.dcm"
    one = _series(path)
    one.NumberOfFrames = 6
    one.save_as(path)
    stored = StoredObject(path)
    assert stored.plain(4) == b"\4" * (len(one.PixelData) // 5)
    with pytest.raises(Undecodable, match="cut short"):
        stored.plain(5)
