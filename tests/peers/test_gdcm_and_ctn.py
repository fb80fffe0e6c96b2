"""GDCM's gdcmscu and the programs of the Central Test Node call the archive, and take what it sends.

gdcmscu since 3.0.10 does what it is asked and then ends with an abort, whichever node it talks to: it reads from the
connection it has just closed. So it is judged by what the archive says and holds, not by how it exits. As a receiver it
agrees to Explicit VR and reads Implicit, so what it is to take is kept in that.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import ImplicitVRLittleEndian, generate_uid
from sqlmodel import col, select

from core.model import Heard, Image
from core.scu.peer import Peer
from tests.peers.process import slices
from tests.peers.receiving import until
from tests.peers.serving import AET, Department, serving

PENDING, SUCCESS = 0xFF00, 0x0000
_STATUS = re.compile(r"\(0000,0900\) \?\? \(US\) (\d+)")


@pytest.fixture(scope="module")
def department(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Department]:
    with serving(tmp_path_factory.mktemp("archive")) as department:
        yield department


def program(*command: object, within: float = 60) -> str:
    """Run a program and return all it said, however it ended."""
    words = list(map(str, command))
    said = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=within, check=False)
    return said.stdout.decode("latin-1")


def gdcmscu(department: Department, *arguments: object) -> str:
    where = ("127.0.0.1", department.port, "--call", AET, "--aetitle", "GDCM")
    return program("gdcmscu", "--debug", *where, *arguments)


def statuses(said: str) -> list[int]:
    """Return the statuses gdcmscu heard; it prints those of answers that may be many twice each."""
    return [int(status) for status in _STATUS.findall(said)][::2]


def kept(department: Department) -> set[str]:
    with department.records.reading() as work:
        return set(work.session.exec(select(Image.sop_uid)))


def heard(department: Department, aet: str) -> set[str]:
    with department.records.reading() as work:
        return set(work.session.exec(select(Heard.service).where(col(Heard.aet) == aet)))


def uids(paths: list[Path]) -> set[str]:
    return {str(pydicom.dcmread(path).SOPInstanceUID) for path in paths}


def implicit(path: Path, number: str) -> Path:
    """Rewrite an object in Implicit VR, as another one, of another patient."""
    one: Any = pydicom.dcmread(path)
    one.PatientID, one.StudyInstanceUID, one.SeriesInstanceUID = number, generate_uid(), generate_uid()
    one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    one.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    made = path.with_name(f"{number}.dcm")
    one.save_as(made, implicit_vr=True, little_endian=True)
    return made


@pytest.mark.peer("gdcmscu")
def test_gdcm_echoes_and_stores(department: Department, tmp_path: Path) -> None:
    assert set(statuses(gdcmscu(department, "--echo"))) == {SUCCESS}
    assert heard(department, "GDCM") == {"C-ECHO"}
    sent = slices(tmp_path / "in", 3)
    assert set(statuses(gdcmscu(department, "--store", "-i", tmp_path / "in"))) == {SUCCESS}
    assert kept(department) >= uids(sent)


@pytest.mark.peer("gdcmscu")
def test_gdcm_finds_each_match_and_none_too_many(department: Department, tmp_path: Path) -> None:
    sent = [*slices(tmp_path / "in", 2, number="Q1"), *slices(tmp_path / "other", 1, number="Q2")]
    assert all(stored.kept for stored in Peer(AET, "127.0.0.1", department.port, "CAM1").store(sent))
    patients = ("--find", "--patientroot", "--patient", "--key", "10,10=")
    assert statuses(gdcmscu(department, *patients, "--key", "10,20=Q1")) == [PENDING, SUCCESS]
    assert statuses(gdcmscu(department, *patients, "--key", "10,20=Q*")) == [PENDING, PENDING, SUCCESS]
    assert statuses(gdcmscu(department, *patients, "--key", "10,20=Q9")) == [SUCCESS]
    one: Any = pydicom.dcmread(sent[0])
    within = ("--key", f"20,d={one.StudyInstanceUID}", "--key", f"20,e={one.SeriesInstanceUID}", "--key", "8,18=")
    assert statuses(gdcmscu(department, "--find", "--studyroot", "--image", *within)) == [PENDING, PENDING, SUCCESS]


@pytest.mark.peer("gdcmscu")
def test_gdcm_moves_to_itself(department: Department, tmp_path: Path, free_port: Callable[[], int]) -> None:
    [one] = slices(tmp_path / "in", 1)
    sent, port = implicit(one, "P3"), free_port()
    assert all(stored.kept for stored in Peer(AET, "127.0.0.1", department.port, "CAM1").store([sent]))
    department.device("GDCM", port=port)
    (tmp_path / "out").mkdir()
    move = ("--move", "--port-scp", port, "-o", tmp_path / "out", "--patientroot", "--patient", "--key", "10,20=P3")
    gdcmscu(department, *move)
    [got] = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert pydicom.dcmread(got).pixel_array.tobytes() == pydicom.dcmread(sent).pixel_array.tobytes()


@pytest.mark.peer("dicom_echo", "send_image")
def test_the_central_test_node_echoes_and_stores(department: Department, tmp_path: Path) -> None:
    said = program("dicom_echo", "-a", "CTN", "-c", AET, "-r", "3", "127.0.0.1", department.port)
    assert said.count("Verification Status:     0000") == 3
    assert heard(department, "CTN") == {"C-ECHO"}
    explicit, made = slices(tmp_path / "in", 2)
    sent = [explicit, implicit(made, "P4")]
    said = program("send_image", "-a", "CTN", "-c", AET, "-r", "-w", "PART10FILE", "127.0.0.1", department.port, *sent)
    assert said.count("Status:         0000") == 2 * len(sent), said
    assert kept(department) >= uids(sent)


@pytest.mark.peer("dicom_echo")
def test_the_central_test_node_is_told_who_is_not_there(department: Department) -> None:
    said = program("dicom_echo", "-a", "CTN", "-c", "SOMEONE", "127.0.0.1", department.port)
    assert "Result:  1 Source  1 Reason  7" in said  # PS3.8 9.3.4: called AE title not recognized
    assert "Verification Status" not in said


@pytest.mark.peer("mwlQuery")
def test_the_central_test_node_gets_the_worklist(department: Department) -> None:
    for accession in ("A1", "A2"):
        department.scheduled("Zhang^Wei", accession)
    said = program("mwlQuery", "-a", "CAM1", "-c", AET, "127.0.0.1", department.port)
    assert (said.count("Status:                  ff00"), said.count("Status:                  0000")) == (2, 1)


@pytest.mark.peer("simple_storage")
def test_the_central_test_node_takes_what_is_sent_to_it(tmp_path: Path, free_port: Callable[[], int]) -> None:
    sent = slices(tmp_path / "in", 3)
    with ctn_storage(tmp_path / "got", free_port()) as (peer, folder):
        assert all(stored.kept for stored in peer.store(sent))
        until(lambda: len(list(folder.rglob("*.*"))) == 3)


@contextmanager
def ctn_storage(folder: Path, port: int) -> Iterator[tuple[Peer, Path]]:
    folder.mkdir()
    command = ["simple_storage", "-s", "-i", "-c", "CTN", "-x", f"{folder}{os.sep}", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        listening = f":{port:04X} "
        until(lambda: listening in Path("/proc/net/tcp").read_text(), 20)
        yield Peer("CTN", "127.0.0.1", port, AET), folder
    finally:
        process.terminate()
        process.wait(20)
