"""What is kept goes out again: by C-MOVE to storescp and Orthanc, by C-GET to getscu and pynetdicom."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    NuclearMedicineImageStorage,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)
from sqlmodel import select

from core.model import AuditEntry, Image
from tests.peers.orthanc import orthanc
from tests.peers.process import slices
from tests.peers.receiving import storescp
from tests.peers.serving import AET, Department, serving

pytestmark = [
    pytest.mark.peer("storescu", "storescp", "movescu", "getscu", "dcmcjpeg"),
    # pynetdicom leaves sockets of ended associations to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
]
SUCCESS, WARNED, UNABLE, CANCELLED = 0x0000, 0xB000, 0xA702, 0xFE00


class Kept:
    """A department that keeps a series of 6 CT slices of P1, and a slice of P2 in JPEG Lossless."""

    def __init__(self, department: Department, sent: list[Path], jpeg: Path) -> None:
        self.department, self.sent, self.jpeg = department, sent, jpeg
        self.first: Any = pydicom.dcmread(sent[0])

    @property
    def keys(self) -> Dataset:
        return keys("STUDY", StudyInstanceUID=str(self.first.StudyInstanceUID))

    def contents(self) -> set[bytes]:
        """Return what was sent, without file meta."""
        return {pixels(path) for path in self.sent}


def keys(level: str, **said: object) -> Dataset:
    query = Dataset()
    query.QueryRetrieveLevel = level
    for keyword, value in said.items():
        setattr(query, keyword, value)
    return query


def pixels(path: Path) -> bytes:
    one = pydicom.dcmread(path)
    return str(one.SOPInstanceUID).encode() + bytes(one.PixelData)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    folder = tmp_path_factory.mktemp("sent")
    sent = slices(folder, 6)
    (other,) = slices(folder / "other", 1, number="P2")
    jpeg = folder / "jpeg.dcm"
    subprocess.run(["dcmcjpeg", "+e1", str(other), str(jpeg)], check=True, timeout=60)  # lossless, SV1
    with serving(tmp_path_factory.mktemp("archive")) as department:
        where = ("127.0.0.1", str(department.port))
        subprocess.run(["storescu", "-aec", AET, *where, *map(str, sent)], check=True, timeout=60)
        subprocess.run(["storescu", "-aec", AET, "-xs", *where, str(jpeg)], check=True, timeout=60)
        yield Kept(department, sent, jpeg)


def moved(
    department: Department, query: Dataset, to: str, root: str = StudyRootQueryRetrieveInformationModelMove
) -> list[Any]:
    """Ask for a C-MOVE and return every answer's status."""
    ae = AE("CAM1")
    ae.add_requested_context(root)
    association = ae.associate("127.0.0.1", department.port, ae_title=AET)
    assert association.is_established
    try:
        return list(association.send_c_move(query, to, root))
    finally:
        association.release()


@pytest.mark.parametrize("level", ["PATIENT", "STUDY", "SERIES", "IMAGE"])
def test_storescp_gets_what_a_move_names(kept: Kept, level: str, tmp_path: Path, free_port: Callable[[], int]) -> None:
    port, first = free_port(), kept.first
    kept.department.device("READER", port=port)
    query = keys(level, PatientID="P1")
    if level != "PATIENT":
        query.StudyInstanceUID = first.StudyInstanceUID
    if level in {"SERIES", "IMAGE"}:
        query.SeriesInstanceUID = first.SeriesInstanceUID
    if level == "IMAGE":
        query.SOPInstanceUID = first.SOPInstanceUID
    with storescp(tmp_path / "got", port) as got:
        status, _ = moved(kept.department, query, "READER", PatientRootQueryRetrieveInformationModelMove)[-1]
        files = list(got.iterdir())
    count = 1 if level == "IMAGE" else 6
    assert (status.Status, status.NumberOfCompletedSuboperations, status.NumberOfFailedSuboperations) == (0, count, 0)
    assert {pixels(file) for file in files} == ({pixels(kept.sent[0])} if level == "IMAGE" else kept.contents())


def test_movescu_and_its_own_receiver_agree(kept: Kept, tmp_path: Path, free_port: Callable[[], int]) -> None:
    port = free_port()
    kept.department.device("MOVESCU", port=port)
    command = [
        "movescu",
        "-S",
        "-aec",
        AET,
        "-aem",
        "MOVESCU",
        "+P",
        str(port),
        "-od",
        str(tmp_path),
        "-k",
        "QueryRetrieveLevel=STUDY",
    ]
    command += ["-k", f"StudyInstanceUID={kept.first.StudyInstanceUID}", "127.0.0.1", str(kept.department.port)]
    subprocess.run(command, check=True, timeout=60)
    assert {pixels(file) for file in tmp_path.iterdir()} == kept.contents()


def test_getscu_gets_a_series_on_its_own_association(kept: Kept, tmp_path: Path) -> None:
    command = ["getscu", "-S", "-aec", AET, "-od", str(tmp_path), "-k", "QueryRetrieveLevel=SERIES"]
    command += [
        "-k",
        f"StudyInstanceUID={kept.first.StudyInstanceUID}",
        "-k",
        f"SeriesInstanceUID={kept.first.SeriesInstanceUID}",
    ]
    subprocess.run([*command, "127.0.0.1", str(kept.department.port)], check=True, timeout=60)
    assert {pixels(file) for file in tmp_path.iterdir()} == kept.contents()


def got(
    department: Department,
    query: Dataset,
    *classes: str,
    on_store: Callable[[Any], int] | None = None,
    cancel: bool = False,
) -> tuple[list[Any], list[Dataset]]:
    """Ask for a C-GET as pynetdicom does, taking these classes as Implicit VR; return the answers and the objects."""
    objects: list[Dataset] = []

    def store(event: evt.Event) -> int:
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        objects.append(dataset)
        if cancel:
            event.assoc.send_c_cancel(1, query_model=StudyRootQueryRetrieveInformationModelGet)
            time.sleep(0.2)
        return on_store(event) if on_store else SUCCESS

    ae = AE("CAM1")
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelGet)
    ae.add_requested_context(PatientRootQueryRetrieveInformationModelGet)
    for each in classes:
        ae.add_requested_context(each, ImplicitVRLittleEndian)
    roles: list[Any] = [build_role(each, scp_role=True) for each in classes]
    association = ae.associate(
        "127.0.0.1", department.port, ae_title=AET, ext_neg=roles, evt_handlers=[(evt.EVT_C_STORE, store)]
    )
    assert association.is_established
    try:
        root = (
            PatientRootQueryRetrieveInformationModelGet
            if query.QueryRetrieveLevel == "PATIENT"
            else StudyRootQueryRetrieveInformationModelGet
        )
        return list(association.send_c_get(query, root)), objects
    finally:
        association.release()


def test_what_the_receiver_does_not_take_is_rewritten_without_loss(kept: Kept) -> None:
    answers, objects = got(kept.department, keys("PATIENT", PatientID="P2"), CTImageStorage)
    status, _ = answers[-1]
    assert (status.Status, status.NumberOfCompletedSuboperations) == (SUCCESS, 1)
    original = pydicom.dcmread(kept.jpeg)
    assert objects[0].file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert (objects[0].pixel_array == original.pixel_array).all()
    assert objects[0].SOPInstanceUID == original.SOPInstanceUID


def test_a_class_the_asker_does_not_take_fails_and_is_listed(kept: Kept) -> None:
    answers, objects = got(kept.department, keys("PATIENT", PatientID="P2"), NuclearMedicineImageStorage)
    status, identifier = answers[-1]
    assert (status.Status, status.NumberOfFailedSuboperations, objects) == (UNABLE, 1, [])
    assert identifier.FailedSOPInstanceUIDList == pydicom.dcmread(kept.jpeg).SOPInstanceUID


def test_refusals_and_warnings_of_the_receiver_are_counted_apart(kept: Kept) -> None:
    said = iter([SUCCESS, 0xA700, 0xB007, 0xC000, SUCCESS, SUCCESS])
    answers, objects = got(kept.department, kept.keys, CTImageStorage, on_store=lambda _: next(said))
    status, identifier = answers[-1]
    counts = (
        status.NumberOfCompletedSuboperations,
        status.NumberOfFailedSuboperations,
        status.NumberOfWarningSuboperations,
    )
    assert (status.Status, counts) == (WARNED, (3, 2, 1))
    assert list(identifier.FailedSOPInstanceUIDList) == [objects[1].SOPInstanceUID, objects[3].SOPInstanceUID]


def test_pending_counts_add_up(kept: Kept) -> None:
    def slowly(_: object) -> int:
        time.sleep(0.15)
        return SUCCESS

    answers, _ = got(kept.department, kept.keys, CTImageStorage, on_store=slowly)
    pending = [status for status, _ in answers if status.Status == 0xFF00]
    counts = [(one.NumberOfRemainingSuboperations, one.NumberOfCompletedSuboperations) for one in pending]
    assert counts == [(5, 1), (4, 2), (3, 3), (2, 4), (1, 5)]
    assert "NumberOfRemainingSuboperations" not in answers[-1][0]


def test_a_cancel_stops_the_sending(kept: Kept) -> None:
    answers, objects = got(kept.department, kept.keys, CTImageStorage, cancel=True)
    status, _ = answers[-1]
    assert status.Status == CANCELLED
    assert status.NumberOfRemainingSuboperations + status.NumberOfCompletedSuboperations == 6
    assert len(objects) == status.NumberOfCompletedSuboperations < 6


@pytest.mark.parametrize(
    ("query", "why"),
    [
        (keys("STUDY", PatientID="P1"), "no study is named"),
        (keys("PATIENT", PatientID="P*"), "a pattern is not a patient"),
        (keys("IMAGE", StudyInstanceUID="1.2"), "no object is named"),
        (keys("BODY", StudyInstanceUID="1.2"), "no such level"),
    ],
)
def test_keys_that_name_nothing_definite_are_refused(kept: Kept, query: Dataset, why: str) -> None:
    ((status, _),) = got(kept.department, query, CTImageStorage)[0]
    assert status.Status == 0xA900, why


def test_what_is_not_there_is_a_success_of_nothing(kept: Kept) -> None:
    ((status, _),) = moved(kept.department, keys("STUDY", StudyInstanceUID="1.2.3.4"), "CAM1")
    assert (status.Status, status.NumberOfCompletedSuboperations) == (SUCCESS, 0)


def test_an_unknown_destination_is_said_so(kept: Kept) -> None:
    ((status, _),) = moved(kept.department, kept.keys, "NOWHERE")
    assert status.Status == 0xA801


def test_a_destination_that_is_down_fails_all_of_it(kept: Kept, free_port: Callable[[], int]) -> None:
    kept.department.device("DOWN", port=free_port())
    status, identifier = moved(kept.department, kept.keys, "DOWN")[-1]
    assert (status.Status, status.NumberOfFailedSuboperations) == (UNABLE, 6)
    assert len(identifier.FailedSOPInstanceUIDList) == 6


def test_who_asked_for_what_is_in_the_audit_trail(kept: Kept) -> None:
    got(kept.department, kept.keys, CTImageStorage)
    with kept.department.records.reading() as work:
        entry = work.session.exec(select(AuditEntry).order_by(AuditEntry.id.desc())).first()  # type: ignore[union-attr]
    assert entry is not None
    assert (entry.action, entry.actor, entry.detail["objects"]) == ("images.retrieve", "device:CAM1", 6)


def test_a_file_cut_short_is_failed_and_the_others_arrive(kept: Kept) -> None:
    with kept.department.records.reading() as work:
        uid = str(kept.first.SOPInstanceUID)
        row = work.session.exec(select(Image).where(Image.sop_uid == uid)).one()
    place = kept.department.service.keeper.store.local(row.path)
    whole = place.read_bytes()
    place.write_bytes(whole[:-100])
    try:
        answers, objects = got(kept.department, kept.keys, CTImageStorage)
    finally:
        place.write_bytes(whole)
    status, identifier = answers[-1]
    assert (status.Status, status.NumberOfCompletedSuboperations, len(objects)) == (WARNED, 5, 5)
    assert identifier.FailedSOPInstanceUIDList == uid


@pytest.mark.slow
@pytest.mark.peer("Orthanc")
def test_orthanc_has_a_study_moved_to_itself(kept: Kept, tmp_path: Path, free_port: Callable[[], int]) -> None:
    dicom = free_port()
    kept.department.device("ORTHANC", port=dicom)
    with orthanc(tmp_path / "orthanc", free_port(), dicom, kept.department.port) as client:
        query = {"Level": "Study", "Query": {"StudyInstanceUID": str(kept.first.StudyInstanceUID)}}
        found = client.post("/modalities/us/query", json=query).json()["ID"]
        client.post(f"/queries/{found}/retrieve", json={"TargetAet": "ORTHANC", "Synchronous": True}).raise_for_status()
        assert client.get("/statistics").json()["CountInstances"] == 6
