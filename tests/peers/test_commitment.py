"""Storage commitment and fetching with Orthanc on the other side, and a camera built on dcmjs-dimse."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance
from sqlmodel import select

from core import wire
from core.errors import Refused
from core.model import Delivery
from core.scu.peer import Peer
from core.vocabulary import JobState
from core.workflow import devices, fetching, integrity, queue, sending
from tests.conftest import find_peer
from tests.peers.orthanc import orthanc
from tests.peers.process import slices
from tests.peers.receiving import until
from tests.peers.serving import OPERATOR, Department, serving
from tests.peers.test_sending import give, job

# pynetdicom leaves sockets of ended associations to the garbage collector.
pytestmark = [
    pytest.mark.peer("Orthanc", "storescu"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
]
CT = "1.2.840.10008.5.1.4.1.1.2"
HERE = Path(__file__).parent


class Both:
    """We and Orthanc, each known to the other."""

    def __init__(self, us: Department, them: httpx.Client, folder: Path) -> None:
        self.us, self.them, self.folder = us, them, folder

    def queued(self, made: wire.Job, ends: JobState = JobState.DONE) -> wire.Job:
        until(lambda: job(self.us, made.id).state is ends)
        return job(self.us, made.id)

    def sent(self, query: str, *, commit: bool) -> wire.Job:
        with self.us.records.writing() as work:
            made = sending.enqueue(work, OPERATOR, "ORTHANC", [query], commit=commit)
        return self.queued(made)

    def deliveries(self, number: int) -> list[str]:
        with self.us.records.reading() as work:
            return list(work.session.exec(select(Delivery.state).where(Delivery.job_id == number)))

    def given(self, number: str, count: int = 3) -> list[str]:
        """Give Orthanc some slices of a patient."""
        files = slices(self.folder / number, count, number=number)
        for file in files:
            assert self.them.post("/instances", content=file.read_bytes()).status_code == 200
        return [str(pydicom.dcmread(file).SOPInstanceUID) for file in files]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Both]:
    folder, http, dicom = tmp_path_factory.mktemp("both"), free_port(), free_port()
    with serving(folder / "ours") as us, orthanc(folder / "theirs", http, dicom, us.port) as them:
        us.device("ORTHANC", port=dicom)
        yield Both(us, them, folder)


def test_orthanc_answers_for_what_it_was_sent(both: Both) -> None:
    slices(both.folder / "in", 4, number="C1")
    give(both.us.port, both.folder / "in")
    done = both.sent("C1", commit=True)
    until(lambda: both.deliveries(done.id) == ["committed"] * 4)
    assert job(both.us, done.id).result["committed"] == 4


def test_what_orthanc_has_lost_is_told(both: Both) -> None:
    slices(both.folder / "lost", 3, number="C2")
    give(both.us.port, both.folder / "lost")
    done = both.sent("C2", commit=False)
    lost = str(pydicom.dcmread(both.folder / "lost" / "0001.dcm").SOPInstanceUID)
    (there,) = both.them.post("/tools/lookup", content=lost).json()
    both.them.delete(f"/instances/{there['ID']}")
    with both.us.records.writing() as work:
        made = work.enqueue("MAIN", "commit.ask", {"aet": "ORTHANC", "transaction_uid": "1.2.3.4", "sent_by": done.id})
        for row in work.session.exec(select(Delivery).where(Delivery.job_id == done.id)):
            row.transaction_uid = "1.2.3.4"
    both.queued(queue.shape(made))
    until(lambda: sorted(both.deliveries(done.id)) == ["committed", "committed", "not_committed"])


def test_we_answer_orthanc_for_what_it_sent_us_from_the_bytes_on_disk(both: Both) -> None:
    uids = both.given("C3")
    assert both.them.post("/modalities/us/store", json=_all_of(both, "C3")).status_code == 200
    assert both.them.post("/modalities/us/storage-commitment", json=_asked(uids)).status_code == 200
    answered = _answered(both, _asked(uids))
    assert answered["Status"] == "Success"
    (damaged,) = (both.folder / "ours" / "archive").rglob(f"*{uids[1]}*")
    damaged.chmod(0o600)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    answered = _answered(both, _asked([*uids, generate_uid()]))
    assert answered["Status"] == "Failure"
    assert len(answered["Success"]) == 2
    assert sorted(one["FailureReason"] for one in answered["Failures"]) == [0x0110, 0x0112], answered


def _all_of(both: Both, number: str) -> list[str]:
    found = both.them.post("/tools/find", json={"Level": "Study", "Query": {"PatientID": number}}).json()
    return [str(one) for one in found]


def _asked(uids: list[str]) -> dict[str, Any]:
    return {"DicomInstances": [{"SOPClassUID": CT, "SOPInstanceUID": uid} for uid in uids]}


def _answered(both: Both, asked: dict[str, Any]) -> dict[str, Any]:
    """Let Orthanc ask us, and return what it has heard from us."""
    where = both.them.post("/modalities/us/storage-commitment", json=asked).json()["Path"]
    until(lambda: both.them.get(where).json()["Status"] != "Pending")
    answer: dict[str, Any] = both.them.get(where).json()
    return answer


def test_what_orthanc_has_is_found_and_fetched(both: Both) -> None:
    uids = both.given("F1", 5)
    peer = both.us.service
    with both.us.records.writing() as work:
        made = fetching.enqueue(work, OPERATOR, "ORTHANC", ["F1"])
    assert both.queued(made).result["objects"] == 5
    with both.us.records.reading() as work:
        assert sorted(sending.choose(work, OPERATOR, ["F1"])) == sorted(uids)
    device = wire.Device(aet="ORTHANC", host="127.0.0.1", port=_port(both))
    asked = Peer(device.aet, device.host, device.port, peer.settings.aet)
    (study,) = fetching.query(OPERATOR, asked, ["PatientID=F1"])
    assert (study["PatientID"], study["NumberOfStudyRelatedInstances"]) == ("F1", "5")
    (series,) = fetching.query(OPERATOR, asked, ["PatientID=F1", "Modality=CT"])
    assert series["NumberOfSeriesRelatedInstances"] == "5"
    assert fetching.query(OPERATOR, asked, ["NOBODY"]) == []


def test_what_orthanc_has_comes_on_our_own_call_too(both: Both) -> None:
    uids = both.given("F2", 5)
    with both.us.records.writing() as work:
        made = fetching.enqueue(work, OPERATOR, "ORTHANC", ["F2"], get=True)
    assert both.queued(made).result["objects"] == 5
    with both.us.records.reading() as work:
        assert sorted(sending.choose(work, OPERATOR, ["F2"])) == sorted(uids)


def _port(both: Both) -> int:
    with both.us.records.reading() as work:
        return devices.named(work, "ORTHANC").port


def test_what_is_nowhere_is_not_asked_for_again(both: Both) -> None:
    with both.us.records.writing() as work:
        made = fetching.enqueue(work, OPERATOR, "ORTHANC", ["NOBODY"])
    assert "has nothing that answers" in both.queued(made, JobState.FAILED).error
    with pytest.raises(Refused, match="is no DICOM keyword"):
        fetching.questions(["Colour=red"])


@pytest.mark.peer("dcmjs-dimse")
def test_a_camera_that_is_away_hears_our_answer_when_it_is_back(both: Both, free_port: Callable[[], int]) -> None:
    port, transaction = free_port(), generate_uid()
    both.us.device("CAM1", port=port)
    slices(both.folder / "cam", 2, number="C4")
    give(both.us.port, both.folder / "cam")
    uids = [str(pydicom.dcmread(path).SOPInstanceUID) for path in sorted((both.folder / "cam").iterdir())]
    command = [str(find_peer("node")), str(HERE / "commitment.js"), str(both.us.port), transaction]
    asked = json.dumps([[CT, uid] for uid in [*uids, "1.2.3"]])
    said = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=60, check=False)
    assert "status 0000" in said.stdout, said.stdout + said.stderr

    def answering() -> wire.Job:
        with both.us.records.reading() as work:
            return next(one for one in queue.listing(work, OPERATOR) if one.kind == "commit.answer")

    until(lambda: "cannot be reached" in answering().error)
    with _listening(port) as heard:
        with both.us.records.writing() as work:
            queue.retry(work, OPERATOR, answering().id)
        until(lambda: bool(heard))
        until(lambda: answering().state is JobState.DONE)
    event_type, report = heard[0]
    assert event_type == 2
    assert report.TransactionUID == transaction
    assert sorted(item.ReferencedSOPInstanceUID for item in report.ReferencedSOPSequence) == sorted(uids)
    assert [item.FailureReason for item in report.FailedSOPSequence] == [0x0112]


@pytest.mark.parametrize("takes_it", [True, False])
def test_who_stays_on_the_line_hears_the_report_there(both: Both, takes_it: bool) -> None:  # noqa: FBT001 - a case
    name = f"C5{takes_it}"
    both.us.device(name)  # nobody listens there
    slices(both.folder / name, 2, number=name)
    give(both.us.port, both.folder / name)
    files = sorted((both.folder / name).iterdir())
    uids = [str(pydicom.dcmread(path).SOPInstanceUID) for path in files]
    (damaged,) = (both.folder / "ours" / "archive").rglob(f"*{uids[1]}*")
    damaged.chmod(0o600)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    asked, heard = Dataset(), list[Dataset]()
    asked.TransactionUID = generate_uid()
    asked.ReferencedSOPSequence = [Dataset(), Dataset()]
    for item, uid in zip(asked.ReferencedSOPSequence, uids, strict=True):
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = CT, uid

    def take(event: evt.Event) -> tuple[int, None]:
        heard.append(event.event_information)
        return (0x0000 if takes_it else 0x0110), None

    camera = AE(name)
    camera.add_requested_context(StorageCommitmentPushModel)
    association = camera.associate(
        "127.0.0.1", both.us.port, ae_title="PHOTOPEAK", evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)]
    )
    status, _ = association.send_n_action(asked, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)
    assert status.Status == 0x0000
    until(lambda: bool(heard))
    association.release()
    (report,) = heard
    assert report.TransactionUID == asked.TransactionUID
    assert [item.ReferencedSOPInstanceUID for item in report.ReferencedSOPSequence] == uids[:1]
    assert [item.FailureReason for item in report.FailedSOPSequence] == [0x0110]

    def answering() -> wire.Job:
        with both.us.records.reading() as work:
            return next(one for one in queue.listing(work, OPERATOR) if one.lane == f"commit:{name}")

    if takes_it:
        until(lambda: answering().state is JobState.DONE)
    else:
        until(lambda: "cannot be reached" in answering().error)
    with both.us.records.reading() as work:
        shown = {one.sop_instance_uid: one.fault for one in integrity.damages(work, OPERATOR)}
    assert shown[uids[1]] == "its file has other bytes than those received"
    assert uids[0] not in shown


@contextmanager
def _listening(port: int) -> Iterator[list[tuple[int, Dataset]]]:
    """Be a camera that listens for reports; give what it heard."""
    heard: list[tuple[int, Dataset]] = []

    def take(event: evt.Event) -> tuple[int, None]:
        request: Any = event.request
        heard.append((request.EventTypeID, event.event_information))
        return 0x0000, None

    camera = AE("CAM1")
    camera.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    server: Any = camera.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)])
    try:
        yield heard
    finally:
        server.shutdown()
