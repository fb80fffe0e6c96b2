"""What objects say of themselves, broken ones too."""

from __future__ import annotations

import hashlib
from datetime import date, datetime
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from core.dicom.objects import (
    content_digest,
    identity_key,
    identity_of,
    is_qc,
    read_header,
    safe_component,
    same_elements,
)
from core.errors import Refused

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
SHARED = Path(__file__).parents[3].parent / "shared" / "data" / "nm"
NM = "1.2.840.10008.5.1.4.1.1.20"


def bare(*elements: tuple[int, int, bytes, bytes]) -> bytes:
    """Elements (group, element, VR, value) as Explicit VR Little Endian with the four UIDs, without Part 10 header."""
    uids = [
        (0x0008, 0x0016, b"UI", NM.encode()),
        (0x0008, 0x0018, b"UI", b"1.2.3.1.1"),
        (0x0020, 0x000D, b"UI", b"1.2.3\0"),
        (0x0020, 0x000E, b"UI", b"1.2.3.1\0"),
    ]
    rows = {(group, element): (vr, value) for group, element, vr, value in [*uids, *elements]}
    return b"".join(_element(tag, *rows[tag]) for tag in sorted(rows))


def _element(tag: tuple[int, int], vr: bytes, value: bytes) -> bytes:
    even = value + b" " * (len(value) % 2)
    length = len(even).to_bytes(2, "little")
    return tag[0].to_bytes(2, "little") + tag[1].to_bytes(2, "little") + vr + length + even


def test_an_object_says_whose_it_is_and_for_what() -> None:
    dataset = read_header(
        bare(
            (0x0008, 0x0020, b"DA", b"20260102"),
            (0x0008, 0x0030, b"TM", b"0915"),
            (0x0008, 0x0050, b"SH", b"A000001D"),
            (0x0010, 0x0010, b"PN", "Zhang^Wei=张^伟".encode("gb18030")),
            (0x0010, 0x0020, b"LO", b"P1 \0"),
            (0x0010, 0x0030, b"DA", b"1961.03.04"),
            (0x0010, 0x0040, b"CS", b"male"),
            (0x0020, 0x0011, b"IS", b" 3"),
        )
    )
    said = identity_of(dataset)
    assert (said.study_instance_uid, said.series_instance_uid) == ("1.2.3", "1.2.3.1")
    assert (said.patient_id, said.sex, said.birth_date, said.accession) == ("P1", "M", date(1961, 3, 4), "A000001D")
    assert (str(said.name), said.repaired) == ("Zhang^Wei=张^伟", True)
    assert (said.study_at, said.series_number) == (datetime(2026, 1, 2, 9, 15), 3)  # noqa: DTZ001
    assert [problem.split()[0] for problem in said.problems] == ["SpecificCharacterSet"]


def test_the_accession_may_stand_in_the_request() -> None:
    request = Dataset()
    request.AccessionNumber, request.RequestedProcedureID, request.ScheduledProcedureStepID = "A1", "R1", "S1"
    dataset = Dataset()
    dataset.RequestAttributesSequence = [request]
    said = identity_of(dataset)
    assert (said.accession, said.requested_procedure_id, said.scheduled_step_id) == ("A1", "R1", "S1")


@pytest.mark.parametrize(
    ("element", "problem"),
    [
        ((0x0010, 0x0030, b"DA", b"19611399"), "PatientBirthDate"),
        ((0x0010, 0x0040, b"CS", b"?"), "PatientSex"),
        ((0x0010, 0x0020, b"LO", b"A\\B"), "PatientID"),
        ((0x0010, 0x0020, b"US", b"\x01\x00"), "PatientID"),
        ((0x0010, 0x0020, b"LO", b"9" * 5000), "PatientID"),
        ((0x0020, 0x0011, b"IS", b"three"), "SeriesNumber"),
        ((0x0020, 0x000D, b"UI", b"../../etc"), "StudyInstanceUID"),
        ((0x0040, 0x0275, b"LO", b"no sequence"), "RequestAttributesSequence"),
    ],
)
def test_a_broken_value_is_named_and_the_rest_is_read(element: tuple[int, int, bytes, bytes], problem: str) -> None:
    said = identity_of(read_header(bare(element)))
    assert any(problem in each for each in said.problems)
    assert said.sop_instance_uid == "1.2.3.1.1"


@pytest.mark.filterwarnings("ignore")
@given(st.data())
def test_no_bytes_stop_the_reading(data: st.DataObject) -> None:
    sound = bytearray(bare((0x0010, 0x0010, b"PN", b"Zhang^Wei"), (0x0010, 0x0030, b"DA", b"19610304")))
    for _ in range(data.draw(st.integers(0, 6))):
        sound[data.draw(st.integers(0, len(sound) - 1))] = data.draw(st.integers(0, 255))
    try:
        dataset = read_header(bytes(sound[: data.draw(st.integers(0, len(sound)))]))
    except Refused:
        return
    identity_key(identity_of(dataset))


@pytest.mark.parametrize("junk", [b"", b"hello", b"\0" * 200, b"<html></html>" * 50, b"\xff" * 1000])
@pytest.mark.filterwarnings("ignore")
def test_what_is_no_dicom_is_refused(junk: bytes) -> None:
    with pytest.raises(Refused):
        read_header(junk)


@pytest.mark.filterwarnings("ignore")
def test_every_file_of_pydicom_is_read_or_refused() -> None:
    read = 0
    for path in sorted(FILES.rglob("*.dcm")):
        try:
            dataset = read_header(path)
        except Refused:
            continue
        read += identity_of(dataset).sop_instance_uid != ""
    assert read > 60


def test_padding_and_charset_do_not_make_another_identity() -> None:
    name = "Zhang^Wei=张^伟"
    one = identity_of(read_header(bare((0x0010, 0x0010, b"PN", name.encode()), (0x0010, 0x0020, b"LO", b"P1 "))))
    two = identity_of(
        read_header(bare((0x0010, 0x0010, b"PN", name.encode("gbk")), (0x0010, 0x0020, b"LO", b"P1\0\0")))
    )
    other = identity_of(read_header(bare((0x0010, 0x0010, b"PN", name.encode()), (0x0010, 0x0020, b"LO", b"P2"))))
    assert identity_key(one) == identity_key(two) != identity_key(other)


@pytest.mark.parametrize(
    ("number", "name", "described", "qc"),
    [
        (b"QC", b"QC^DAILY", b"", True),
        (b"NM-PHANTOM-1", b"", b"", True),
        (b"123456", "质控".encode("gb18030"), b"", True),
        (b"", b"", b"INTRINSIC FLOOD", True),
        (b"P1", b"Flood^Mary", b"BONE", False),
        (b"P1", b"Zhang^Wei", b"FLOOD CORRECTED", False),
        (b"", b"", b"BONE", False),
    ],
)
def test_a_phantom_is_told_from_a_patient(number: bytes, name: bytes, described: bytes, *, qc: bool) -> None:
    elements = [
        (0x0008, 0x103E, b"LO", described),
        (0x0010, 0x0010, b"PN", name),
        (0x0010, 0x0020, b"LO", number),
        (0x0010, 0x0030, b"DA", b"19610304"),
    ]
    assert is_qc(identity_of(read_header(bare(*elements)))) is qc


@pytest.mark.skipif(not SHARED.is_dir(), reason="the sample files of real cameras are not here")
@pytest.mark.parametrize(
    ("file", "qc"), [("heart_recon_tomo", False), ("jaszczak_recon_tomo", True), ("uniformity_static", True)]
)
def test_real_cameras_say_what_they_sent(file: str, *, qc: bool) -> None:
    said = identity_of(read_header(SHARED / f"{file}.dcm"))
    assert (said.modality, is_qc(said)) == ("NM", qc)


@given(st.text(max_size=300))
def test_a_component_of_a_path_is_harmless(text: str) -> None:
    name = safe_component(text)
    assert 0 < len(name) <= 64
    assert set(name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
    assert name[0] not in ".-"
    assert safe_component(name) == name


def test_a_component_of_a_path_is_readable_and_keeps_two_texts_apart() -> None:
    assert safe_component("1.2.840.1") == "1.2.840.1"
    assert safe_component("张伟").startswith("Zhangwei-")
    assert safe_component("A/1") != safe_component("A_1") == "A_1"
    assert safe_component("../../etc/passwd").startswith("etc_passwd-")


def test_the_digest_is_of_the_dataset_alone(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(FILES / "CT_small.dcm")
    renamed = tmp_path / "renamed.dcm"
    dataset.file_meta.SourceApplicationEntityTitle = "ELSEWHERE"
    dataset.save_as(renamed)
    bare_file = tmp_path / "bare.dcm"
    bare_file.write_bytes(bare())
    assert content_digest(renamed) == content_digest(FILES / "CT_small.dcm")
    assert content_digest(bare_file) == hashlib.sha256(bare()).hexdigest()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("MR_small.dcm", "MR_small_bigendian.dcm", True),
        ("MR_small.dcm", "MR_small_implicit.dcm", True),
        ("MR_small.dcm", "MR_small_RLE.dcm", True),
        ("rtdose.dcm", "rtdose_rle.dcm", True),
        ("MR_small.dcm", "CT_small.dcm", False),
        ("MR_small.dcm", "README.txt", False),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_content_is_the_same_under_another_transfer_syntax(one: str, other: str, *, same: bool) -> None:
    assert same_elements(FILES / one, FILES / other) is same


def test_one_changed_pixel_is_other_content(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(FILES / "MR_small.dcm")
    dataset.PixelData = bytes([dataset.PixelData[0] ^ 1]) + dataset.PixelData[1:]
    dataset.save_as(tmp_path / "changed.dcm")
    assert not same_elements(FILES / "MR_small.dcm", tmp_path / "changed.dcm")
