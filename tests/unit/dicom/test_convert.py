"""Non-standard in, standard out: what is broken on purpose comes out sound, with its pixels, and says so."""

from __future__ import annotations

import itertools
import random
import subprocess
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.archive.keeper.file_meta import file_meta
from core.demo import camera as _camera  # noqa: F401 - brings the phantoms' tracers with it
from core.dicom.compose import Camera, Ordered, compose
from core.dicom.convert import Converted, Origin, convert, renamed, standardised
from core.dicom.convert.mending import written
from core.dicom.convert.reading import Element, read
from core.dicom.tracers import TRACERS
from core.errors import Refused
from core.imaging import phantom

FILES = Path(pydicom.__file__).parent / "data"
SHARED = Path(__file__).parents[4] / "shared" / "data"
AT = datetime(2026, 3, 4, 10, 11, 12, tzinfo=UTC)
ORIGIN = Origin(AT, lambda name: b"")
NM, UID = "1.2.840.10008.5.1.4.1.1.20", "1.2.826.0.1.3680043.10.1511.2"
EXPLICIT = "1.2.840.10008.1.2.1"


@cache
def _sound() -> bytes:
    """The dataset of an object without a fault, in Explicit VR Little Endian."""
    numbers = (f"1.2.826.0.1.3680043.10.1511.{number}" for number in itertools.count(1))
    ordered = Ordered("P1", "Zhang^Wei", birth_date="19610304", sex="M", accession="A1")
    acquisition = phantom.thyroid(np.random.default_rng(1)).acquisitions
    (dataset,) = compose(
        acquisition, ordered, Camera("CAM1"), TRACERS["TCO4"], uid=lambda: next(numbers), clock=lambda: AT
    )
    out = BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    found = read(out.getvalue())
    return written(found.elements)


def _elements() -> dict[int, Element]:
    return {element.tag: element for element in read(_file(_sound())).elements}


def _file(dataset: bytes, syntax: str = EXPLICIT) -> bytes:
    return file_meta(NM, UID, syntax, "") + dataset


def _rows() -> int:
    return int.from_bytes(_elements()[ROWS].value, "little")


def _changed(tag: int, value: bytes, vr: str = "") -> bytes:
    elements = _elements()
    elements[tag] = Element(tag, vr or elements[tag].vr, memoryview(value))
    return _file(written([elements[each] for each in sorted(elements)]))


def _replaced(old: bytes, new: bytes) -> bytes:
    whole = _file(_sound())
    assert whole.count(old) == 1
    return whole.replace(old, new)


def _without(*tags: int) -> bytes:
    elements = _elements()
    return _file(written([elements[each] for each in sorted(elements) if each not in tags]))


def _in(syntax: str) -> bytes:
    dataset = pydicom.dcmread(BytesIO(_file(_sound())))
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    out = BytesIO()
    implicit, little = syntax == "1.2.840.10008.1.2", syntax != "1.2.840.10008.1.2.2"
    if not little:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(out, dataset, implicit_vr=implicit, little_endian=little, enforce_file_format=True)
    return out.getvalue()


PATIENT_ID, NAME, BORN, SEX = 0x00100020, 0x00100010, 0x00100030, 0x00100040
STUDY_DATE, STUDY_TIME, MODALITY = 0x00080020, 0x00080030, 0x00080060
STUDY_UID, ROWS, SPACING, PIXELS = 0x0020000D, 0x00280010, 0x00280030, 0x7FE00010


def _lying() -> bytes:
    implicit = pydicom.dcmread(BytesIO(_in("1.2.840.10008.1.2")))
    out = BytesIO()
    pydicom.filewriter.write_dataset(_implicit(out), implicit)
    return file_meta(NM, UID, EXPLICIT, "") + out.getvalue()


def _implicit(out: BytesIO) -> pydicom.filebase.DicomFileLike:
    file = pydicom.filebase.DicomFileLike(out)
    file.is_little_endian, file.is_implicit_VR = True, True
    return file


def _ge() -> bytes:
    """Implicit little endian with its pixels in big endian, as GE's private transfer syntax has it."""
    dataset = pydicom.dcmread(BytesIO(_file(_sound())))
    dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").byteswap().tobytes()
    out = BytesIO()
    pydicom.filewriter.write_dataset(_implicit(out), dataset)
    return file_meta(NM, UID, "1.2.840.113619.5.2", "") + out.getvalue()


def _longer(dataset: bytes) -> bytes:
    elements = {element.tag: element for element in read(_file(dataset)).elements}
    elements[PIXELS].value = memoryview(bytes(elements[PIXELS].value) + b"\7" * 100)
    return written([elements[tag] for tag in sorted(elements)])


def _shuffled() -> bytes:
    elements = list(_elements().values())
    elements[10], elements[3] = elements[3], elements[10]
    return written(elements)


def _twice() -> bytes:
    elements = _elements()
    again = [elements[tag] for tag in sorted(elements)]
    at = next(at for at, element in enumerate(again) if element.tag == PATIENT_ID)
    return written([*again[:at], Element(PATIENT_ID, "LO", memoryview(b"OLD ")), *again[at:]])


def _wrong_sequence() -> bytes:
    whole = _file(_sound())
    at = whole.index(b"\x54\x00\x12\x00SQ\0\0") + 8
    return whole[:at] + (int.from_bytes(whole[at : at + 4], "little") - 6).to_bytes(4, "little") + whole[at + 4 :]


BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "no preamble": (lambda: _file(_sound())[128:], "preamble"),
    "no file meta": (_sound, "file meta"),
    "a syntax that lies": (_lying, "transfer syntax"),
    "an unknown VR": (lambda: _replaced(b"\x10\x00\x20\x00LO", b"\x10\x00\x20\x00ZZ"), "PatientID"),
    "a VR of zeros": (lambda: _replaced(b"\x10\x00\x20\x00LO", b"\x10\x00\x20\x00\0\0"), "PatientID"),
    "text called a number": (lambda: _replaced(b"\x10\x00\x20\x00LO", b"\x10\x00\x20\x00US"), "PatientID"),
    "a number called text": (lambda: _changed(ROWS, b"%d " % _rows(), "LO"), "Rows"),
    "a length too long": (lambda: _replaced(b"\x10\x00\x20\x00LO\x02\0", b"\x10\x00\x20\x00LO\xf2\0"), "PatientID"),
    "a length too short": (lambda: _replaced(b"\x10\x00\x10\x00PN\x0a\0", b"\x10\x00\x10\x00PN\x04\0"), "PatientName"),
    "a length beyond the file": (
        lambda: _replaced(b"\x10\x00\x20\x00LO\x02\0", b"\x10\x00\x20\x00LO\xfe\xff"), "PatientID",
    ),
    "an odd length": (lambda: _replaced(b"\x10\x00\x20\x00LO\x02\0P1", b"\x10\x00\x20\x00LO\x03\0P12"), "PatientID"),
    "a date of ACR-NEMA": (lambda: _changed(STUDY_DATE, b"2026.03.04"), "StudyDate"),
    "a time with colons": (lambda: _changed(STUDY_TIME, b"10:11:12"), "StudyTime"),
    "a date that is none": (lambda: _changed(BORN, b"00000000"), "PatientBirthDate"),
    "small letters": (lambda: _changed(MODALITY, b"nm"), "Modality"),
    "a sex in words": (lambda: _changed(SEX, b"Male"), "PatientSex"),
    "a long decimal": (lambda: _changed(SPACING, b"2.3999999999999999999\\2.4 "), "PixelSpacing"),
    "a decimal comma": (lambda: _changed(SPACING, b"2,4\\2,4 "), "PixelSpacing"),
    "a UID that is none": (lambda: _changed(STUDY_UID, b"STUDY-1/2026"), "StudyInstanceUID"),
    "a UID padded as text": (lambda: _changed(STUDY_UID, b"1.2.3 "), "StudyInstanceUID"),
    "no study": (lambda: _without(STUDY_UID), "StudyInstanceUID"),
    "no photometric interpretation": (lambda: _without(0x00280004, 0x00280002), "PhotometricInterpretation"),
    "no patient at all": (lambda: _without(PATIENT_ID, NAME, BORN, SEX, STUDY_UID), "PatientName"),
    "too many pixels": (lambda: _file(_longer(_sound())), "PixelData"),
    "Chinese called Latin": (lambda: _changed(NAME, "张^伟".encode("gbk")), "GB18030"),
    "Chinese of odd bytes": (lambda: _replaced(b"PN\x0a\0Zhang^Wei ", b"PN\x05\0" + "张^伟".encode("gbk")), "GB18030"),
    "elements out of order": (lambda: _file(_shuffled()), "order"),
    "an element twice": (lambda: _file(_twice()), "repeated"),
    "a sequence with a wrong length": (_wrong_sequence, "EnergyWindowInformationSequence"),
    "a swapped syntax of GE": (_ge, "transfer syntax"),
}  # fmt: skip


def _standard(made: Converted) -> bytes:
    return file_meta(made.sop_class, made.sop_uid, made.syntax, "") + made.dataset


def _pixels(whole: bytes) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bytes(pydicom.dcmread(BytesIO(whole)).pixel_array.tobytes())


def _errors(whole: bytes, folder: Path) -> list[str]:
    path = folder / "object.dcm"
    path.write_bytes(whole)
    judged = subprocess.run(["dciodvfy", path], capture_output=True, timeout=60, check=False)
    said = (judged.stdout + judged.stderr).decode("utf-8", "replace").splitlines()
    return [line for line in said if line.startswith("Error")]


def _complaints_of_dcmtk(*paths: Path) -> bytes:
    return subprocess.run(["dcmdump", "-q", *paths], capture_output=True, check=True, timeout=60).stderr


@pytest.mark.peer("dciodvfy", "dcmdump")
@pytest.mark.parametrize("way", BROKEN)
def test_an_object_broken_on_purpose_comes_out_standard(way: str, tmp_path: Path) -> None:
    make, told = BROKEN[way]
    broken = make()
    made = convert(broken, ORIGIN)
    assert any(told in repair for repair in made.repairs), made.repairs
    whole = _standard(made)
    assert _errors(whole, tmp_path) == []
    read_by_dcmtk = subprocess.run(
        ["dcmdump", "-q", tmp_path / "object.dcm"], capture_output=True, check=True, timeout=60
    )
    assert read_by_dcmtk.stderr == b""
    assert _pixels(whole) == _pixels(_file(_sound()))
    assert standardised(whole, made.sop_class, made.sop_uid) is None


def test_what_is_sound_stays_as_it_is() -> None:
    assert standardised(_file(_sound()), NM, UID) is None
    assert convert(_file(_sound()), ORIGIN).repairs == ()
    for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.2"):
        made = convert(_in(syntax), ORIGIN)
        assert (made.repairs, _pixels(_standard(made))) == ((), _pixels(_file(_sound())))


def test_the_same_file_becomes_the_same_object_each_time() -> None:
    broken = _without(STUDY_UID, 0x00080018)
    assert convert(broken, ORIGIN) == convert(broken, ORIGIN)
    assert convert(broken, ORIGIN).sop_uid == UID  # its file meta knew
    bare = broken[len(file_meta(NM, UID, EXPLICIT, "")) :]
    assert convert(bare, ORIGIN).sop_uid == convert(bare, ORIGIN).sop_uid != UID


@pytest.mark.parametrize(
    ("name", "raw", "label"),
    [
        ("张^伟", "张^伟".encode("gbk"), "GB18030"), ("陳^大文", "陳^大文".encode("big5"), "ISO_IR 192"),
        ("山田^太郎", "山田^太郎".encode("shift_jis"), "ISO_IR 192"),
        ("김^민수", "김^민수".encode("euc_kr"), "ISO_IR 192"),
        ("李^娜", "李^娜".encode(), "ISO_IR 192"), ("Müller^Jürgen", "Müller^Jürgen".encode("latin-1"), "ISO_IR 100"),
    ],
)  # fmt: skip
def test_wrongly_labelled_names_go_out_under_a_right_label(name: str, raw: bytes, label: str) -> None:
    elements = _elements()
    elements.pop(0x00080005, None)
    elements[NAME] = Element(NAME, "PN", memoryview(raw + b" " * (len(raw) % 2)))
    made = convert(_file(written([elements[tag] for tag in sorted(elements)])), ORIGIN)
    sound = pydicom.dcmread(BytesIO(_standard(made)))
    assert (str(sound.PatientName), sound.SpecificCharacterSet) == (name, label)
    assert (made.charset_said, made.charset) == ("", label)
    assert made.confidence > 0.7


@pytest.mark.parametrize("missing", [2, 100, 5000])
def test_an_image_that_lacks_pixels_is_not_mended_but_refused(missing: int) -> None:
    whole = _file(_sound())
    with pytest.raises(Refused, match=r"fewer pixels|breaks off"):
        convert(whole[:-missing], ORIGIN)


def _files() -> Iterator[Path]:
    yield from (path for path in sorted(FILES.rglob("*.dcm")) if "dicomdir" not in str(path).lower())
    yield from sorted(SHARED.rglob("*.dcm"))


@pytest.mark.peer("dcmdump")
def test_every_odd_file_of_pydicom_and_real_cameras_is_read_or_refused(tmp_path: Path) -> None:
    made: list[Path] = []
    refused = 0
    for number, path in enumerate(_files()):
        try:
            one = convert(path.read_bytes(), ORIGIN)
        except Refused:
            refused += 1
            continue
        if one.repairs:
            made.append(tmp_path / f"{number}.dcm")
            made[-1].write_bytes(_standard(one))
            again = standardised(_standard(one), one.sop_class, one.sop_uid)
            assert again is None, (path.name, again.repairs)
    assert len(made) > 20
    assert refused < 12
    assert _complaints_of_dcmtk(*made) == b""


@given(st.integers(0, 2**32))
@settings(max_examples=150)
def test_no_bytes_stop_the_mending(seed: int) -> None:
    chance = random.Random(seed)
    whole = bytearray(_file(_sound())[:6000])
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(whole))
        whole[at : at + chance.randint(0, 6)] = chance.randbytes(chance.randint(0, 6))
    try:
        convert(bytes(whole[chance.choice((0, 0, 128, 132)) :]), ORIGIN)
    except Refused:
        return


def test_an_object_gets_a_uid_of_its_own_where_its_is_another_ones() -> None:
    made = renamed(_file(_sound()), "2.25.77")
    assert made.sop_uid == "2.25.77"
    assert pydicom.dcmread(BytesIO(_standard(made))).SOPInstanceUID == "2.25.77"
    assert "SOPInstanceUID" in made.repairs[0]


@pytest.mark.parametrize(("written_so", "sex"), [(b"MALE", "M"), ("男".encode("gbk"), "M"), (b"U ", ""), (b"f ", "F")])
def test_a_sex_in_any_words_is_one_of_the_standards(written_so: bytes, sex: str) -> None:
    made = convert(_changed(SEX, written_so), ORIGIN)
    assert pydicom.dcmread(BytesIO(_standard(made))).PatientSex == sex


def test_an_identifier_that_is_too_long_is_not_cut_to_another_ones() -> None:
    number = b"20260304-000000000123"
    made = convert(_changed(0x00080050, number + b" "), ORIGIN)
    kept = {element.tag: bytes(element.value) for element in read(_standard(made)).elements}
    assert kept[0x00080050].strip() == number
