"""Ask another DICOM node to do something, one association for each call.

A refused association, a lost connection or a failure status is `PeerFailed`, which names the node and what to look at;
it never names a patient.
"""

import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityWorklistInformationFind,
    PatientRootQueryRetrieveInformationModelFind,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from core.dicom.information_models import PATIENT_ROOT, STUDY_ROOT, WORKLIST, Model
from core.errors import PeerFailed

PENDING = frozenset({0xFF00, 0xFF01})
WARNINGS = frozenset({0xB000, 0xB006, 0xB007})
MAXIMUM_PDU = 131072
MAXIMUM_CONTEXTS = 128  # odd identifiers 1 to 255 (PS3.8 9.3.2.2)
REQUEST_COMMITMENT = 1  # Action Type ID of PS3.4 Table J.3-1
FIND_CLASSES = {
    WORKLIST.name: ModalityWorklistInformationFind,
    STUDY_ROOT.name: StudyRootQueryRetrieveInformationModelFind,
    PATIENT_ROOT.name: PatientRootQueryRetrieveInformationModelFind,
}
PLAIN = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]


@dataclass(frozen=True)
class Timeouts:
    """How long to wait for what, in seconds."""

    connect: float = 10
    association: float = 30
    answer: float = 120
    silence: float = 120


@dataclass(frozen=True)
class Stored:
    """What the peer said to one object; `status` is None where it never got there."""

    path: Path
    sop_instance_uid: str
    status: int | None

    @property
    def kept(self) -> bool:
        """Whether the peer keeps the object, with or without a warning."""
        return self.status == 0 or self.status in WARNINGS


@dataclass(frozen=True)
class Moved:
    """The last count of a C-MOVE."""

    completed: int
    failed: int
    warned: int


@dataclass(frozen=True)
class Peer:
    """A DICOM node as we call it."""

    aet: str
    host: str
    port: int
    calling_aet: str = "PHOTOPEAK"
    timeouts: Timeouts = field(default_factory=Timeouts)

    def echo(self) -> None:
        """Ask whether the node is there (C-ECHO)."""
        with self._association([(Verification, PLAIN)]) as association:
            self._expect(association.send_c_echo(), "C-ECHO")

    def find(self, model: Model, keys: Dataset) -> Iterator[Dataset]:
        """Yield what the node answers to a query (C-FIND); the association lasts as long as the iteration."""
        sop_class = FIND_CLASSES[model.name]
        with self._association([(sop_class, PLAIN)]) as association:
            for status, identifier in association.send_c_find(keys, sop_class):
                if self._code(status, "C-FIND") not in PENDING:
                    self._expect(status, "C-FIND")
                elif identifier is not None:
                    yield identifier

    def find_worklist(self, keys: Dataset) -> Iterator[Dataset]:
        """Yield the scheduled steps that answer the keys (C-FIND of the modality worklist)."""
        return self.find(WORKLIST, keys)

    def store(self, paths: Iterable[Path]) -> Iterator[Stored]:
        """Send objects as they are (C-STORE), yielding what the node said to each; nothing is transcoded."""
        headers = [(path, dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])) for path in paths]
        kinds = {
            (header.file_meta.MediaStorageSOPClassUID, header.file_meta.TransferSyntaxUID): None
            for _, header in headers
        }
        with self._association(
            [(sop_class, [syntax]) for sop_class, syntax in kinds][:MAXIMUM_CONTEXTS]
        ) as association:
            for path, header in headers:
                yield Stored(path, str(header.SOPInstanceUID), self._store_one(association, path))

    def _store_one(self, association: Association, path: Path) -> int | None:
        try:
            status = association.send_c_store(path)
        except ValueError:  # the node took no presentation context for this object
            return None
        except RuntimeError as error:
            raise self._failed("dropped the association while objects were sent; look at its log") from error
        return int(status.Status) if "Status" in status else None

    def move(self, keys: Dataset, destination: str) -> Moved:
        """Ask the node to send what the keys name to an AE title it knows (C-MOVE, Study Root)."""
        sop_class = StudyRootQueryRetrieveInformationModelMove
        last = Dataset()
        with self._association([(sop_class, PLAIN)]) as association:
            for status, _ in association.send_c_move(keys, destination, sop_class):
                if self._code(status, "C-MOVE") not in PENDING | WARNINGS:
                    self._expect(status, "C-MOVE")
                last = status
        counts = ("NumberOfCompletedSuboperations", "NumberOfFailedSuboperations", "NumberOfWarningSuboperations")
        completed, failed, warned = (int(last.get(keyword) or 0) for keyword in counts)
        return Moved(completed, failed, warned)

    def create_step(self, uid: str, attributes: Dataset) -> None:
        """Report that a step is being performed (MPPS N-CREATE)."""
        with self._association([(ModalityPerformedProcedureStep, PLAIN)]) as association:
            status, _ = association.send_n_create(attributes, ModalityPerformedProcedureStep, uid)
            self._expect(status, "N-CREATE")

    def set_step(self, uid: str, attributes: Dataset) -> None:
        """Report how a performed step went on or ended (MPPS N-SET)."""
        with self._association([(ModalityPerformedProcedureStep, PLAIN)]) as association:
            status, _ = association.send_n_set(attributes, ModalityPerformedProcedureStep, uid)
            self._expect(status, "N-SET")

    def request_commitment(self, transaction_uid: str, references: Sequence[tuple[str, str]]) -> None:
        """Ask the node to answer for objects (SOP class, SOP instance); it reports later, to our own listener."""
        request = Dataset()
        request.TransactionUID = transaction_uid
        request.ReferencedSOPSequence = [_reference(*reference) for reference in references]
        with self._association([(StorageCommitmentPushModel, PLAIN)]) as association:
            status, _ = association.send_n_action(
                request, REQUEST_COMMITMENT, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
            )
            self._expect(status, "N-ACTION")

    @contextmanager
    def _association(self, contexts: Iterable[tuple[UID, list[UID]]]) -> Iterator[Association]:
        ae = AE(self.calling_aet)
        ae.connection_timeout, ae.acse_timeout = self.timeouts.connect, self.timeouts.association
        ae.dimse_timeout, ae.network_timeout = self.timeouts.answer, self.timeouts.silence
        for sop_class, syntaxes in contexts:
            ae.add_requested_context(sop_class, syntaxes)
        association = ae.associate(
            self.host,
            self.port,
            ae_title=self.aet,
            max_pdu=MAXIMUM_PDU,
            evt_handlers=[(evt.EVT_CONN_OPEN, _without_delay)],
        )
        if not association.is_established:
            raise self._failed(_why_not(association))
        try:
            yield association
        finally:
            if association.is_established:
                association.release()

    def _code(self, status: Dataset, service: str) -> int:
        if "Status" not in status:
            raise self._failed(f"did not answer {service} in time or dropped the connection; look at its log")
        return int(status.Status)

    def _expect(self, status: Dataset, service: str) -> None:
        code = self._code(status, service)
        if code and code not in WARNINGS:
            raise self._failed(f"answered {service} with status {code:04X}; look at its log")

    def _failed(self, what: str) -> PeerFailed:
        return PeerFailed(f"{self.aet} at {self.host}:{self.port} {what}")


def _why_not(association: Association) -> str:
    if association.is_rejected:
        return "rejected the association; check both AE titles and that it knows us"
    if association.is_aborted and association.acceptor.primitive is not None:
        return "accepted none of the services asked for; check its configuration"
    return "cannot be reached; check that it runs, its address and the network"


def _without_delay(event: evt.Event) -> None:
    """Send small messages at once: with Nagle's algorithm each costs 40 ms against peers that delay their ACK."""
    connection = event.assoc.dul.socket
    if connection is not None and connection.socket is not None:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _reference(sop_class: str, sop_instance: str) -> Dataset:
    out = Dataset()
    out.ReferencedSOPClassUID = sop_class
    out.ReferencedSOPInstanceUID = sop_instance
    return out
