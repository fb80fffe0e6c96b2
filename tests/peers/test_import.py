"""What is not standard comes in, by file and by network, and goes out standard; its original stays."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image as Picture
from pydicom.data import get_testdata_file

from core import access
from core.dicom.convert import Subject
from core.dicom.convert.mending import written
from core.dicom.convert.reading import Element, read
from core.errors import Forbidden
from core.vocabulary import Role
from core.workflow import intake, viewing
from tests.peers.malformed import CT, EXPLICIT, store
from tests.peers.process import photopeakd
from tests.peers.serving import AET, Department, serving

pytestmark = pytest.mark.peer("getscu", "dciodvfy", "dcmdump")
PHYSICIST = access.person("he.jun", "MAIN", Role.PHYSICIST, Role.DOCTOR)
OPERATOR = access.operator("test", "MAIN")
PATIENT_NAME, STUDY_DATE, STUDY_UID, SOP_UID = 0x00100010, 0x00080020, 0x0020000D, 0x00080018


@pytest.fixture
def department(tmp_path: Path) -> Iterator[Department]:
    with serving(tmp_path / "data") as running:
        yield running


def _ct(**changed: bytes) -> bytes:
    """A small CT's dataset with some elements as these bytes."""
    elements = {one.tag: one for one in read(Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()).elements}
    tags = {"name": PATIENT_NAME, "date": STUDY_DATE, "study": STUDY_UID, "uid": SOP_UID}
    elements.pop(0xFFFCFFFC, None)
    for name, value in changed.items():
        elements[tags[name]] = Element(tags[name], elements[tags[name]].vr, memoryview(value))
    return written([elements[tag] for tag in sorted(elements)])


def _sends(department: Department, dataset: bytes, uid: str) -> int | None:
    return store(department.port, dataset, CT, uid, calling=b"CAM1", syntax=EXPLICIT)


def _instance(department: Department, study: str) -> dict[str, Any]:
    """What `images show --json` says of the one object of a study, once it was examined."""
    for _ in range(100):
        with department.records.reading() as work:
            ((series,),) = [viewing.study_series(work, PHYSICIST, study)]
        if series.instances[0]["repairs"]:
            break
        time.sleep(0.1)
    return series.instances[0]


def _fetched(department: Department, study: str, folder: Path) -> Path:
    folder.mkdir()
    command = ["getscu", "-S", "-aec", AET, "-aet", "CAM1", "-od", str(folder), "-k", "QueryRetrieveLevel=STUDY"]
    command += ["-k", f"StudyInstanceUID={study}", "127.0.0.1", str(department.port)]
    subprocess.run(command, check=True, timeout=60)
    (got,) = folder.iterdir()
    return got


def _complaints(path: Path) -> list[str]:
    judged = subprocess.run(["dciodvfy", path], capture_output=True, timeout=60, check=False)
    said = (judged.stdout + judged.stderr).decode("utf-8", "replace").splitlines()
    return [line for line in said if line.startswith("Error")]


def _matching(department: Department, study: str) -> str:
    command = ["findscu", "-S", "-aec", AET, "-aet", "CAM1", "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientName"]
    command += ["-k", "SpecificCharacterSet=ISO_IR 192", "-k", f"StudyInstanceUID={study}"]
    said = subprocess.run([*command, "127.0.0.1", str(department.port)], capture_output=True, check=True, timeout=60)
    return (said.stdout + said.stderr).decode("utf-8", "replace")


def test_a_broken_object_is_kept_as_it_came_and_goes_out_standard(department: Department, tmp_path: Path) -> None:
    sent = _ct(name="张伟".encode("gbk"), date=b"2004.01.19", study=b"1.2.77.1\0\0"[:8], uid=b"1.2.77.1.1")
    assert _sends(department, sent, "1.2.77.1.1") == 0
    said = _instance(department, "1.2.77.1")
    assert any("GB18030" in problem for problem in said["problems"])
    assert {repair.split(":")[0] for repair in said["repairs"]} >= {"StudyDate", "SpecificCharacterSet"}
    assert (said["charset"]["said"], said["charset"]["found"]) == ("ISO_IR 100", "GB18030")
    assert said["charset"]["confidence"] > 0.9
    assert "张伟" in _matching(department, "1.2.77.1")
    standard = pydicom.dcmread(_fetched(department, "1.2.77.1", tmp_path / "got"))
    assert (standard.PatientName, standard.StudyDate, standard.SpecificCharacterSet) == ("张伟", "20040119", "GB18030")
    with department.records.reading() as work:
        kept = viewing.image(work, PHYSICIST, "1.2.77.1.1", as_it_came=True)
        going = viewing.image(work, PHYSICIST, "1.2.77.1.1")
    assert kept.content_sha256 == hashlib.sha256(sent).hexdigest()
    assert department.service.keeper.local(kept).read_bytes().endswith(sent)
    assert going.path == f"standard/{kept.path}"
    assert _complaints(department.service.keeper.local(going)) == []


def test_an_object_without_a_fault_goes_out_as_it_came(department: Department) -> None:
    assert _sends(department, _ct(uid=b"1.2.77.2.1"), "1.2.77.2.1") == 0
    for _ in range(50):
        department.service.intake.examine(10)
    with department.records.reading() as work:
        assert intake.listing(work, PHYSICIST) == []
        kept = viewing.image(work, PHYSICIST, "1.2.77.2.1", as_it_came=True)
        assert viewing.image(work, PHYSICIST, "1.2.77.2.1").path == kept.path


def test_a_uid_used_twice_is_kept_apart_until_somebody_gives_it_its_own(department: Department) -> None:
    assert _sends(department, _ct(uid=b"1.2.77.3.1", study=b"1.2.77.3"), "1.2.77.3.1") == 0
    assert _sends(department, _ct(uid=b"1.2.77.3.1", study=b"1.2.77.3", name=b"Other^One "), "1.2.77.3.1") == 0xB000
    admitted = department.service.intake.admit(PHYSICIST, 1)
    assert "SOPInstanceUID" in admitted.repairs[0]
    with department.records.reading() as work:
        kept = viewing.image(work, PHYSICIST, admitted.sop_uid)
    assert pydicom.dcmread(department.service.keeper.local(kept)).PatientName == "Other^One"
    with pytest.raises(Forbidden):
        department.service.intake.admit(access.person("wang.li", "MAIN", Role.CLERK), 1)


def _acr_nema() -> bytes:
    """An image as it was exchanged before DICOM: implicit little endian, no UIDs, no preamble."""

    def element(group: int, number: int, value: bytes) -> bytes:
        return group.to_bytes(2, "little") + number.to_bytes(2, "little") + len(value).to_bytes(4, "little") + value

    def short(number: int) -> bytes:
        return number.to_bytes(2, "little")

    image = (
        (0x28, 0x05, short(2)), (0x28, 0x10, short(8)), (0x28, 0x11, short(10)), (0x28, 0x100, short(16)),
        (0x28, 0x101, short(12)), (0x28, 0x102, short(11)), (0x28, 0x103, short(0)), (0x28, 0x200, short(0x7FE0)),
        (0x7FE0, 0x10, np.arange(80, dtype="<u2").tobytes()),
    )  # fmt: skip
    words = (
        (0x08, 0x10, b"ACR-NEMA 2.0"), (0x08, 0x20, b"1991.03.04"), (0x08, 0x30, b"10:11:12"), (0x08, 0x40, short(0)),
        (0x08, 0x60, b"NM"), (0x10, 0x10, b"WANG^FANG "), (0x10, 0x20, b"P77 "), (0x20, 0x11, b"2 "),
    )  # fmt: skip
    return element(8, 1, (0).to_bytes(4, "little")) + b"".join(element(*one) for one in (*words, *image))


def _interfile(folder: Path, kind: str, more: str = "", frames: int = 2) -> Path:
    counts = np.random.default_rng(1).integers(0, 500, (frames, 16, 12)).astype(">u2")
    (folder / f"{kind}.img").write_bytes(counts.tobytes())
    header = folder / f"{kind}.hdr"
    header.write_text(
        "!INTERFILE :=\n!imaging modality := nucmed\n!originating system := ADAC\n!version of keys := 3.3\n"
        f"!name of data file := {kind}.img\npatient name := Wang^Fang\n!patient ID := P78\npatient sex := F\n"
        f"patient dob := 1961:03:04\n!study ID := S1\n!type of data := {kind}\n!total number of images := {frames}\n"
        "study date := 1996:05:06\nstudy time := 10:20:30\nimagedata byte order := BIGENDIAN\n"
        "!number format := unsigned integer\n!number of bytes per pixel := 2\n!matrix size [1] := 12\n"
        "!matrix size [2] := 16\nscaling factor (mm/pixel) [1] := 2.5\nscaling factor (mm/pixel) [2] := 2.5\n"
        f"image duration (sec) := 60\n{more}!END OF INTERFILE :=\n"
    )
    return header


INTERFILES = {
    "Static": ("number of detector heads := 2\n", 2),
    "WholeBody": ("number of detector heads := 2\n", 2),
    "Dynamic": ("", 5),
    "Tomographic": ("!process status := Acquired\n!number of projections := 8\n!extent of rotation := 360\n", 8),
    "Gated": ("number of time windows := 8\n", 8),
}


def _strange(folder: Path) -> dict[str, Path]:
    """A folder of what is no DICOM."""
    folder.mkdir()
    chance = np.random.default_rng(2)
    shades, colours = (chance.integers(0, 255, size, dtype=np.uint8) for size in ((31, 47), (31, 47, 3)))
    Picture.fromarray(shades).save(folder / "shades.png")
    Picture.fromarray(colours).save(folder / "colours.png")
    Picture.fromarray(colours).save(folder / "baseline.jpg")
    Picture.fromarray(colours).save(folder / "progressive.jpg", progressive=True)
    pages = [Picture.fromarray(chance.integers(0, 60_000, (31, 47), dtype=np.uint16)) for _ in range(3)]
    pages[0].save(folder / "pages.tif", save_all=True, append_images=pages[1:])
    (folder / "request.pdf").write_bytes(b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n")
    (folder / "old.acr").write_bytes(_acr_nema())
    for kind, (more, frames) in INTERFILES.items():
        _interfile(folder, kind, more, frames)
    return {path.name: path for path in folder.iterdir() if path.suffix != ".img"}


def test_whatever_is_brought_becomes_an_object_and_its_file_is_kept(tmp_path: Path) -> None:
    source, folder = _strange(tmp_path / "in"), tmp_path / "data"
    nobody = photopeakd("import", source["shades.png"], "--json", folder=folder)
    assert nobody.returncode == 1
    assert "--patient-id" in json.loads(nobody.stdout)["refused"][0]["reason"]
    whose = ("--patient-id", "P79", "--patient-name", "Wang^Fang=王^芳", "--birth-date", "1961-03-04", "--sex", "F")
    brought = photopeakd("import", tmp_path / "in", *whose, "--json", folder=folder)
    assert brought.returncode == 0, brought.stderr
    facts = json.loads(brought.stdout)
    assert (facts["imported"], facts["mended"]) == (len(source), len(source))
    for one in facts["repairs"]:
        (kept,) = (
            path
            for path in (folder / "archive").rglob(f"{one['sop_instance_uid']}.dcm")
            if "originals" not in str(path)
        )
        assert _complaints(kept) == [], (one["path"], _complaints(kept))
        subprocess.run(["dcmdump", "-q", kept], check=True, timeout=60, capture_output=True)
        (original,) = (
            path
            for path in (folder / "archive/originals").rglob(f"{one['sop_instance_uid']}.*")
            if path.suffix == Path(one["path"]).suffix
        )
        assert original.read_bytes() == Path(one["path"]).read_bytes()
    again = json.loads(photopeakd("import", tmp_path / "in", *whose, "--json", folder=folder).stdout)
    assert (again["imported"], again["already"]) == (0, len(source))
    rebuilt = photopeakd("reindex", "--json", folder=folder)
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert json.loads(rebuilt.stdout)["objects"] == len(source)


def test_the_values_of_a_picture_are_the_values_of_its_object(department: Department, tmp_path: Path) -> None:
    source = _strange(tmp_path / "in")
    subject = Subject("P79", "Wang^Fang=王^芳")
    for name in ("shades.png", "colours.png", "pages.tif", "progressive.jpg"):
        brought = department.service.intake.bring(OPERATOR, source[name], subject)
        with department.records.reading() as work:
            row = viewing.image(work, PHYSICIST, brought.sop_uid)
        with Picture.open(source[name]) as pages:
            first = np.asarray(pages)
        values = pydicom.dcmread(department.service.keeper.local(row)).pixel_array
        assert np.array_equal(values[0] if name == "pages.tif" else values, first)


def test_a_paper_brought_for_an_exam_is_filed_to_it(department: Department, tmp_path: Path) -> None:
    exam = department.scheduled("Wang^Fang", "A77")
    with department.records.reading() as work:
        subject = intake.subject_of(work, OPERATOR, "A77", "request")
    assert (subject.patient_id, subject.study_uid) == (exam.patient_number, exam.study_instance_uid)
    brought = department.service.intake.bring(OPERATOR, _strange(tmp_path / "in")["request.pdf"], subject)
    assert brought.repairs == ("a PDF file: became an Encapsulated PDF",)
    with department.records.reading() as work:
        (series,) = viewing.exam_series(work, PHYSICIST, "A77")
    assert (series.modality, series.counted, series.instances[0]["uid"]) == ("DOC", False, brought.sop_uid)


def test_real_odd_files_come_in_by_one_command_and_what_is_cut_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    names = ("badVR.dcm", "SC_rgb_jpeg.dcm", "ExplVR_BigEndNoMeta.dcm", "MR_truncated.dcm", "no_meta.dcm")
    brought = photopeakd("import", *(str(get_testdata_file(name)) for name in names), "--json", folder=folder)
    facts = json.loads(brought.stdout)
    assert facts["imported"] == 3
    assert {Path(one["path"]).name for one in facts["refused"]} == {"MR_truncated.dcm", "no_meta.dcm"}
