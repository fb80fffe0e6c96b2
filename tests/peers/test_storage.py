"""Objects sent by the programs of others, and what became of them."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file

from tests.peers.process import SHARED, Photopeakd, acknowledged, altered, photopeakd, slices

pytestmark = pytest.mark.peer("echoscu", "storescu", "findscu", "dcmsend")

CT = Path(str(get_testdata_file("CT_small.dcm")))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Photopeakd]:
    with Photopeakd(tmp_path / "data") as running:
        yield running


def _contents(path: Path) -> bytes:
    """Return what comes behind the file meta."""
    with path.open("rb") as file:
        meta = pydicom.filereader.read_file_meta_info(path)
        file.seek(128 + 4 + 12 + meta.FileMetaInformationGroupLength)
        return file.read()


def test_a_stranger_may_echo_and_is_remembered(service: Photopeakd) -> None:
    assert service.call("echoscu", "-aet", "NOBODY").returncode == 0
    assert service.rows("select service from heard where aet = 'NOBODY'") == [("C-ECHO",)]


def test_who_calls_us_by_another_name_is_rejected(service: Photopeakd) -> None:
    assert service.call("echoscu", aet="SOMEONE").returncode != 0


def test_an_object_is_kept_byte_for_byte_in_its_transfer_syntax(service: Photopeakd, tmp_path: Path) -> None:
    [sent] = slices(tmp_path / "in", 1)
    said = service.call("storescu", "-v", "-aet", "CAM1", sent)
    assert acknowledged(said.stdout) == [str(sent)]
    [(path, size, digest, syntax, aet)] = service.rows("select path, size, sha256, transfer_syntax, aet from image")
    kept = service.folder / "archive" / path
    assert _contents(kept) == _contents(sent)
    assert (kept.stat().st_size, hashlib.sha256(kept.read_bytes()).hexdigest()) == (size, digest)
    assert kept.stat().st_mode & 0o077 == 0
    assert (syntax, aet) == (pydicom.dcmread(sent).file_meta.TransferSyntaxUID, "CAM1")
    assert not list((service.folder / "archive" / ".incoming").iterdir())


def test_the_same_object_again_is_acknowledged_and_not_doubled(service: Photopeakd) -> None:
    for _ in range(3):
        assert acknowledged(service.call("storescu", "-v", CT).stdout)
    assert service.rows("select count(*) from image") == [(1,)]
    assert service.rows("select count(*) from receipt where status = 0") == [(3,)]


def test_the_same_elements_in_another_transfer_syntax_are_the_same_object(service: Photopeakd) -> None:
    service.call("storescu", CT)
    again = service.call("storescu", "-v", "-xi", CT)
    assert acknowledged(again.stdout)
    assert service.rows("select count(*) from image") == [(1,)]
    assert service.rows("select count(*) from quarantined") == [(0,)]


def test_another_object_of_the_same_uid_is_kept_apart_with_a_warning(service: Photopeakd, tmp_path: Path) -> None:
    service.call("storescu", CT)
    other = pydicom.dcmread(CT)
    other.PatientName = "Somebody^Else"
    del other.DataSetTrailingPadding
    other.save_as(tmp_path / "other.dcm")
    said = service.call("storescu", "-v", tmp_path / "other.dcm").stdout
    assert "B000" in said.upper() or "Warning" in said
    [(path,)] = service.rows("select path from quarantined")
    assert path.startswith("quarantine/")
    assert _contents(service.folder / "archive" / path) == _contents(tmp_path / "other.dcm")
    assert service.rows("select count(*) from image") == [(1,)]
    assert service.rows("select count(*) from event where kind = 'quarantined'") == [(1,)]
    assert service.verified()["objects"] == 2


@pytest.mark.slow
def test_four_senders_at_once_lose_nothing(service: Photopeakd, tmp_path: Path) -> None:
    folders = [slices(tmp_path / f"s{sender}", 25, number=f"P{sender}")[0].parent for sender in range(4)]

    def send(folder: Path) -> list[str]:
        return acknowledged(service.call("storescu", "-v", "-R", "+sd", folder).stdout)

    with ThreadPoolExecutor(4) as pool:
        answered = [file for files in pool.map(send, folders) for file in files]
    assert len(answered) == 100
    assert service.rows("select count(*) from image") == [(100,)]
    assert service.rows("select count(*), sum(received) from batch") == [(4, 100)]
    assert service.verified()["objects"] == 100


def test_dcmsend_brings_a_whole_folder_of_all_kinds(service: Photopeakd, tmp_path: Path) -> None:
    """Every transfer syntax of pydicom's own files, as far as DCMTK can read them."""
    names = (
        *("JPEG2000.dcm", "examples_jpeg2k.dcm", "MR_small_RLE.dcm", "JPGExtended.dcm", "JPEGLSNearLossless_16.dcm"),
        *("image_dfl.dcm", "rtdose.dcm", "test-SR.dcm", "waveform_ecg.dcm", "examples_palette.dcm"),
    )
    folder = tmp_path / "all"
    folder.mkdir()
    for name in names:
        found = get_testdata_file(name, download=False)
        if found:
            shutil.copy(str(found), folder)
    said = service.call("dcmsend", "-v", "--no-halt", "--scan-directories", folder).stdout
    kept = {Path(path).name for (path,) in service.rows("select path from image")}
    assert len(kept) >= 7, said
    assert service.verified()["faults"] == []


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared real files are not here")
def test_real_nuclear_files_arrive_with_their_frames_counted(service: Photopeakd) -> None:
    files = sorted((SHARED / "nm").glob("*.dcm"))
    assert len(acknowledged(service.call("storescu", "-v", *files).stdout)) == len(files)
    frames = dict(service.rows("select sop_uid, frames from image"))
    for file in files:
        one = pydicom.dcmread(file, stop_before_pixels=True)
        assert frames[one.SOPInstanceUID] == int(one.get("NumberOfFrames", 1))


def test_unregistered_callers_may_not_query_unless_they_are_this_machine(service: Photopeakd) -> None:
    service.call("storescu", CT)
    assert pydicom.dcmread(CT).StudyInstanceUID in service.found("STUDY", "StudyInstanceUID")


def test_known_only_closes_the_door_to_strangers(tmp_path: Path) -> None:
    with Photopeakd(tmp_path / "data", known_only=True) as service:
        assert service.call("echoscu", "-aet", "STRANGER").returncode != 0
        camera = ("CAM1", "127.0.0.1", 104, "--alias", "OLDCAM")
        assert photopeakd("device", "add", *camera, folder=service.folder).returncode == 0
        assert service.call("echoscu", "-aet", "CAM1").returncode == 0
        assert service.call("echoscu", "-aet", "OLDCAM").returncode == 0


def test_a_second_service_on_the_folder_is_refused_and_sigterm_ends_the_first_cleanly(service: Photopeakd) -> None:
    second = photopeakd("serve", "--http", "127.0.0.1:0", "--dicom", "127.0.0.1:0", folder=service.folder)
    assert second.returncode == 1
    assert len(second.stderr.strip().splitlines()) == 1
    assert service.stop() == 0


@pytest.mark.slow
@pytest.mark.peer("Orthanc")
def test_orthanc_sends_to_us(
    service: Photopeakd, tmp_path: Path, peer: Callable[[str], Path], free_port: Callable[[], int]
) -> None:
    http = free_port()
    settings = {
        "StorageDirectory": str(tmp_path / "orthanc"), "IndexDirectory": str(tmp_path / "orthanc"), "HttpPort": http,
        "DicomPort": free_port(), "RemoteAccessAllowed": False, "AuthenticationEnabled": False, "Plugins": [],
        "DicomModalities": {"us": ["PHOTOPEAK", "127.0.0.1", service.port]},
    }  # fmt: skip
    (tmp_path / "orthanc.json").write_text(json.dumps(settings))
    orthanc = subprocess.Popen(
        [peer("Orthanc"), tmp_path / "orthanc.json"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(f"http://127.0.0.1:{http}/system")
        for path in slices(tmp_path / "in", 5):
            _post(f"http://127.0.0.1:{http}/instances", path.read_bytes())
        with urllib.request.urlopen(f"http://127.0.0.1:{http}/instances", timeout=10) as answer:
            every = json.load(answer)
        _post(f"http://127.0.0.1:{http}/modalities/us/store", json.dumps(every).encode())
    finally:
        orthanc.terminate()
        orthanc.wait(20)
    assert service.rows("select count(*), min(aet) from image") == [(5, "ORTHANC")]


def _wait_for(url: str) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - an address of this test
                return
        except OSError:
            assert time.monotonic() < until, "Orthanc does not come up"
            time.sleep(0.2)


def _post(url: str, body: bytes) -> None:
    with urllib.request.urlopen(urllib.request.Request(url, data=body, method="POST"), timeout=60):  # noqa: S310
        pass


# -- proven, and found again from the files --------------------------------------------------------------------------

QUERIES = (
    ("STUDY", "StudyInstanceUID", "PatientID", "PatientName", "StudyDate", "ModalitiesInStudy",
     "NumberOfStudyRelatedInstances", "NumberOfStudyRelatedSeries", "AccessionNumber"),
    ("STUDY", "PatientName=C*", "StudyInstanceUID"),
    ("STUDY", "PatientID=P2", "StudyInstanceUID", "NumberOfStudyRelatedInstances"),
    ("STUDY", "StudyDate=20000101-20101231", "StudyInstanceUID"),
    ("SERIES", "StudyInstanceUID", "SeriesInstanceUID", "Modality", "SeriesNumber", "NumberOfSeriesRelatedInstances"),
    ("IMAGE", "StudyInstanceUID", "SOPInstanceUID", "InstanceNumber", "NumberOfFrames"),
)  # fmt: skip


def test_an_index_rebuilt_from_the_files_answers_the_same_queries(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    slices(tmp_path / "in/a", 3, number="P1")
    slices(tmp_path / "in/b", 2, number="P2")
    for name in ("MR_small.dcm", "chrX1.dcm", "chrX2.dcm", "chrH31.dcm", "rtdose.dcm", "test-SR.dcm"):
        found = get_testdata_file(name, download=False)
        if found:
            shutil.copy(str(found), tmp_path / "in")
    other = altered(pydicom.dcmread(tmp_path / "in/a/0000.dcm"))
    other.SOPInstanceUID = other.file_meta.MediaStorageSOPInstanceUID = pydicom.dcmread(CT).SOPInstanceUID
    shutil.copy(CT, tmp_path / "in")
    brought = photopeakd("import", tmp_path / "in", "--json", folder=folder)
    assert brought.returncode == 0, brought.stderr
    other.save_as(tmp_path / "clash.dcm")
    with Photopeakd(folder) as service:
        service.call("storescu", tmp_path / "clash.dcm")
        service.call("storescu", "-aet", "CAM1", *slices(tmp_path / "sent", 2, number="P3"))
        refused = photopeakd("reindex", folder=folder)
        assert refused.returncode == 1
        assert "already serves" in refused.stderr
        before = [service.found(*query) for query in QUERIES]
        images = service.rows("select sop_uid, aet, path from image order by sop_uid")
        filings = service.rows("select id, study_uid, identity_key, state, received from batch order by id")
    assert "Find Response" in before[0]
    rebuilt = photopeakd("reindex", "--json", folder=folder)
    assert rebuilt.returncode == 0, rebuilt.stderr
    with Photopeakd(folder) as service:
        assert [service.found(*query) for query in QUERIES] == before
        assert service.rows("select id, study_uid, identity_key, state, received from batch order by id") == filings
        service.verified()
    for file in folder.glob("photopeak.sqlite*"):
        file.unlink()
    assert photopeakd("reindex", folder=folder).returncode == 0
    with Photopeakd(folder) as service:
        assert [service.found(*query) for query in QUERIES] == before
        assert service.rows("select sop_uid, aet, path from image order by sop_uid") == images
        assert service.rows("select count(*) from quarantined") == [(1,)]
        service.verified()


def test_verify_names_what_is_missing_or_changed(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    slices(tmp_path / "in", 3)
    assert photopeakd("import", tmp_path / "in", folder=folder).returncode == 0
    kept = sorted((folder / "archive").rglob("*.dcm"))
    kept[0].unlink()
    data = bytearray(kept[1].read_bytes())
    data[-1] ^= 1
    kept[1].write_bytes(data)
    quick = json.loads(photopeakd("verify", "--json", folder=folder).stdout)
    assert [fault["sop_instance_uid"] for fault in quick["faults"]] == [kept[0].stem]
    deep = photopeakd("verify", "--deep", "--json", folder=folder)
    assert deep.returncode == 1
    assert {fault["sop_instance_uid"] for fault in json.loads(deep.stdout)["faults"]} == {kept[0].stem, kept[1].stem}


def test_import_takes_what_it_can_and_names_the_rest(tmp_path: Path) -> None:
    folder, source = tmp_path / "data", tmp_path / "in"
    slices(source, 2)
    (source / "notes.txt").write_text("no DICOM at all")
    (source / "cut.dcm").write_bytes(CT.read_bytes()[:-500])
    (source / "bare.dcm").write_bytes(_contents(CT))  # no preamble, no file meta
    brought = photopeakd("import", source, "--json", folder=folder)
    assert brought.returncode == 1
    facts = json.loads(brought.stdout)
    assert facts["imported"] == 3
    assert {Path(one["path"]).name for one in facts["refused"]} == {"notes.txt", "cut.dcm"}
    bare = next((folder / "archive").rglob(f"{pydicom.dcmread(CT).SOPInstanceUID}.dcm"))
    assert pydicom.dcmread(bare).PatientName == pydicom.dcmread(CT).PatientName
    again = json.loads(photopeakd("import", source, "--json", folder=folder).stdout)
    assert (again["imported"], again["already"]) == (0, 3)
