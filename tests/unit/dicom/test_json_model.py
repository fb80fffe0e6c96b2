"""The DICOM JSON Model says what a Dataset holds, beside pydicom's own writing of it."""

from __future__ import annotations

import base64
import json
import warnings
from typing import Any

import pydicom
import pytest
from pydicom import Dataset
from pydicom.data import get_testdata_file

from core.dicom.json_model import as_json, texts_as_json

SAMPLES = [
    "CT_small.dcm", "MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "rtplan.dcm", "rtdose.dcm",
    "reportsi.dcm", "ExplVR_BigEnd.dcm", "JPEG2000.dcm", "examples_overlay.dcm", "liver_1frame.dcm",
    "nested_priv_SQ.dcm", "SC_rgb_small_odd.dcm", "chrH31.dcm", "chrX1.dcm", "chrRuss.dcm", "chrGreek.dcm",
]  # fmt: skip


def sample(name: str) -> Dataset:
    place = get_testdata_file(name, download=False)
    if place is None:
        pytest.skip(f"pydicom brings no {name}")
    return pydicom.dcmread(str(place))


def same(ours: Any, theirs: Any) -> bool:  # noqa: ANN401 - JSON
    """Compare, minding that an empty value among others is null, and a number string a number."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        theirs = {key: value for key, value in theirs.items() if value != []}  # an empty sequence has no values
        return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, float) or isinstance(theirs, float):
        return float(ours) == pytest.approx(float(theirs))
    return bool((ours or None) == (theirs or None))


@pytest.mark.parametrize("name", SAMPLES)
def test_what_an_object_says_is_what_pydicom_says_it_says(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = sample(name).to_json_dict(suppress_invalid_tags=True)
    ours = as_json(sample(name))
    ours.pop("00080005", None)
    theirs.pop("00080005", None)
    theirs = {tag: element for tag, element in theirs.items() if not tag.endswith("0000")}
    wrong = {tag: (ours.get(tag), theirs[tag]) for tag in theirs if not same(ours.get(tag), theirs[tag])}
    assert not wrong
    assert ours.keys() >= theirs.keys()
    json.dumps(ours, allow_nan=False)


def test_names_have_their_groups_and_numbers_are_numbers() -> None:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = "Zhang^Wei=张^伟="
    dataset.PixelSpacing = ["1.5", "2"]
    dataset.FrameIncrementPointer = [0x00540010, 0x00540020]
    dataset.add_new(0x00181310, "US", [1, 0, 0, 2])
    told = as_json(dataset)
    assert told["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Zhang^Wei", "Ideographic": "张^伟"}]}
    assert told["00280030"] == {"vr": "DS", "Value": [1.5, 2]}
    assert told["00280009"] == {"vr": "AT", "Value": ["00540010", "00540020"]}
    assert told["00181310"] == {"vr": "US", "Value": [1, 0, 0, 2]}


def test_what_no_number_can_say_in_json_is_text() -> None:
    dataset = Dataset()
    dataset.add_new(0x00189073, "FD", [float("nan"), float("inf"), 1.0])
    assert as_json(dataset)["00189073"]["Value"] == ["nan", "inf", 1.0]


def test_what_is_large_is_named_by_its_path() -> None:
    inner, outer = Dataset(), Dataset()
    inner.add_new(0x00283006, "OW", b"\1\0" * 1000)
    outer.ModalityLUTSequence = [inner]
    outer.add_new(0x00420011, "OB", b"\7" * 10)
    told = as_json(outer, lambda path: f"at/{path}")
    assert told["00283000"]["Value"][0]["00283006"] == {"vr": "OW", "BulkDataURI": "at/00283000/1/00283006"}
    assert base64.b64decode(told["00420011"]["InlineBinary"]) == b"\7" * 10


def test_an_element_that_cannot_be_read_stops_no_other() -> None:
    broken = b"\x08\x00\x60\x00CS\x02\x00NM" + b"\x28\x00\x10\x00US\x03\x00abc" + b"\x28\x00\x11\x00US\x02\x00\x05\x00"
    dataset = pydicom.dcmread(pydicom.filebase.DicomBytesIO(broken), force=True)
    told = as_json(dataset)
    assert told["00080060"]["Value"] == ["NM"]
    assert told["00280010"] == {"vr": "UN", "InlineBinary": base64.b64encode(b"abc").decode()}
    assert told["00280011"]["Value"] == [5]


def test_texts_of_a_table_become_values() -> None:
    told = texts_as_json({0x00200013: "7", 0x00080061: "NM\\CT", 0x00100010: "A^B", 0x00080050: "", 0x00280010: "64"})
    assert told == {
        "00080050": {"vr": "SH"}, "00080061": {"vr": "CS", "Value": ["NM", "CT"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^B"}]}, "00200013": {"vr": "IS", "Value": [7]},
        "00280010": {"vr": "US", "Value": [64]},
    }  # fmt: skip
