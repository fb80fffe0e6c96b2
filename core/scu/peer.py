"""Ask another DICOM node to do something, one association for each call.

A refused association, a lost connection or a failure status is `PeerFailed`, which names the node and what to look at;
it never names a patient.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from pydicom import Dataset, dcmread
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityWorklistInformationFind,
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelMove,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from core.dicom import codecs
from core.dicom.information_models import PATIENT_ROOT, STUDY_ROOT, WORKLIST, Model
from core.dicom.objects import dataset_offset, dataset_start
from core.dimse import association as engine
from core.dimse.association import connect
from core.dimse.line import Ended
from core.dimse.link import Patience
from core.dimse.negotiation import Context, Proposed
from core.dimse.tls import secure
from core.errors import Invalid, PeerFailed, Refused

PENDING = frozenset({0xFF00, 0xFF01})
WARNINGS = frozenset({0xB000, 0xB006, 0xB007})
MAXIMUM_PDU = 131072
MAXIMUM_CONTEXTS = 128  # odd identifiers 1 to 255 (PS3.8 9.3.2.2)
REQUEST_COMMITMENT = 1  # Action Type ID of PS3.4 Table J.3-1
ALL_COMMITTED, SOME_NOT_COMMITTED = 1, 2  # Event Type ID of PS3.4 Table J.3-2
_PIECE = 1 << 20
OUT_OF_RESOURCES = range(0xA700, 0xA800)
FIND_CLASSES = {
    WORKLIST.name: ModalityWorklistInformationFind,
    STUDY_ROOT.name: StudyRootQueryRetrieveInformationModelFind,
    PATIENT_ROOT.name: PatientRootQueryRetrieveInformationModelFind,
}
MOVE_CLASSES = {
    STUDY_ROOT.name: StudyRootQueryRetrieveInformationModelMove,
    PATIENT_ROOT.name: PatientRootQueryRetrieveInformationModelMove,
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


@dataclass(frozen=True, slots=True)
class Object:
    """An object to send, as its file has it; `size` is that of the whole file as it was stored, where that is known."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    path: Path
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """What the node said to one object; `status` is None where it could not be sent, and `comment` says why."""

    sop_instance: str
    status: int | None
    comment: str = ""

    @property
    def kept(self) -> bool:
        """Whether the node keeps the object, with or without a warning."""
        return self.status == 0 or self.status in WARNINGS


Contexts = Mapping[tuple[str, str], Context]


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
    tls: ssl.SSLContext | None = None

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

    def send(self, objects: Sequence[Object]) -> Iterator[Sent]:
        """Send objects in the transfer syntax they are kept in where the node takes it, rewritten where it does not.

        The bytes go from the file to the network as they are, by the engine of our own.

        Raises
        ------
        PeerFailed
            The node cannot be reached, breaks off, or has no room; what was yielded before is sent.
        """
        for part in by_contexts(objects):
            try:
                with self.association_for(part) as association:
                    taken = {(each.abstract_syntax, each.transfer_syntax): each for each in association.contexts}
                    for one in part:
                        yield self._send_one(association, taken, one)
            except Ended as error:
                raise self._failed("broke off while objects were sent; look at its log") from error

    def association_for(self, objects: Sequence[Object]) -> engine.Association:
        """Open an association on which objects can be sent, as kept or plain; raises PeerFailed."""
        waits = self.timeouts
        return connect(
            self.host, self.port, calling=self.calling_aet, called=self.aet, contexts=_contexts_of(objects),
            tls=self.tls, patience=Patience(waits.connect, waits.association, waits.silence, waits.answer),
        )  # fmt: skip

    def _send_one(self, association: engine.Association, taken: Contexts, one: Object) -> Sent:
        syntaxes = [syntax for sop_class, syntax in taken if sop_class == one.sop_class]
        if not syntaxes:
            return Sent(one.sop_instance, None, "the node does not take this kind of object")
        try:
            with ExitStack() as open_files:
                if one.transfer_syntax in syntaxes:
                    file = open_files.enter_context(one.path.open("rb", buffering=0))
                    syntax, pieces = one.transfer_syntax, _pieces(file)
                else:
                    offset = dataset_offset(one.path)
                    syntax, dataset = codecs.transcode(one.path, offset, one.transfer_syntax, syntaxes)
                    pieces = iter([_even(dataset)])
                status = association.store(taken[one.sop_class, syntax], one.sop_class, one.sop_instance, pieces)
        except Refused as error:
            return Sent(one.sop_instance, None, error.detail)
        except OSError as error:
            return Sent(one.sop_instance, None, f"its file cannot be read ({type(error).__name__})")
        if status.code in OUT_OF_RESOURCES:
            raise self._failed(f"has no room (status {status.code:04X}); look at its disk")
        return Sent(one.sop_instance, status.code, status.comment)

    def move(self, keys: Dataset, destination: str, model: Model = STUDY_ROOT) -> Moved:
        """Ask the node to send what the keys name to an AE title it knows (C-MOVE)."""
        sop_class = MOVE_CLASSES[model.name]
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

    def request_commitment(
        self, transaction_uid: str, references: Sequence[tuple[str, str]],
        reported: Callable[[int, Dataset], None] | None = None, *, wait: float = 0,
    ) -> None:  # fmt: skip
        """Ask the node to answer for objects (SOP class, SOP instance), which it does later (PS3.4 J.3.2).

        It reports to our listener; a report that comes on this association within `wait` seconds goes to `reported`,
        which gets the event type and the event information.
        """
        request = Dataset()
        request.TransactionUID = transaction_uid
        request.ReferencedSOPSequence = [_reference(*reference) for reference in references]
        came = threading.Event()

        def take(event: evt.Event) -> tuple[int, None]:
            if reported is not None:
                reported(int(event.event_type or 0), event.event_information)
            came.set()
            return 0x0000, None

        handlers = [(evt.EVT_N_EVENT_REPORT, take)]
        with self._association([(StorageCommitmentPushModel, PLAIN)], handlers=handlers) as association:
            status, _ = association.send_n_action(
                request, REQUEST_COMMITMENT, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
            )
            self._expect(status, "N-ACTION")
            came.wait(wait if reported else 0)

    def report_commitment(
        self, transaction_uid: str, kept: Sequence[tuple[str, str]], failed: Sequence[tuple[str, str, int]]
    ) -> None:
        """Tell the node which objects it asked about are kept, and which not for what reason (PS3.4 J.3.3)."""
        event_type, report = commitment_report(transaction_uid, kept, failed)
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        with self._association([(StorageCommitmentPushModel, PLAIN)], roles=[role]) as association:
            status, _ = association.send_n_event_report(
                report, event_type, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
            )
            self._expect(status, "N-EVENT-REPORT")

    @contextmanager
    def _association(
        self, contexts: Iterable[tuple[UID, list[UID]]], roles: Sequence[Any] = (), handlers: Sequence[Any] = ()
    ) -> Iterator[Association]:
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
            ext_neg=list(roles),
            evt_handlers=[(evt.EVT_CONN_OPEN, _without_delay), *handlers],
            tls_args=(self.tls, self.host) if self.tls else None,
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


def commitment_report(
    transaction_uid: str, kept: Sequence[tuple[str, str]], failed: Sequence[tuple[str, str, int]]
) -> tuple[int, Dataset]:
    """Return event type and event information of a storage commitment report (PS3.4 J.3.3)."""
    report = Dataset()
    report.TransactionUID = transaction_uid
    if kept:
        report.ReferencedSOPSequence = [_reference(*reference) for reference in kept]
    if failed:
        report.FailedSOPSequence = [_failure(*failure) for failure in failed]
    return SOME_NOT_COMMITTED if failed else ALL_COMMITTED, report


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


def _failure(sop_class: str, sop_instance: str, reason: int) -> Dataset:
    out = _reference(sop_class, sop_instance)
    out.FailureReason = reason
    return out


def by_contexts(objects: Sequence[Object]) -> Iterator[list[Object]]:
    """Divide objects so that each part needs no more presentation contexts than an association has."""
    part: list[Object] = []
    kinds: set[tuple[str, str]] = set()
    for one in objects:
        kinds.add((one.sop_class, one.transfer_syntax))
        if len(kinds) > MAXIMUM_CONTEXTS // 2:
            yield part
            part, kinds = [], {(one.sop_class, one.transfer_syntax)}
        part.append(one)
    if part:
        yield part


def _contexts_of(objects: Sequence[Object]) -> list[Proposed]:
    """Propose each kind in the syntax it is kept in, and each class once more plain, to be rewritten to."""
    kept = dict.fromkeys((one.sop_class, one.transfer_syntax) for one in objects)
    plain = tuple(map(str, PLAIN))
    own = [Proposed(sop_class, (syntax,)) for sop_class, syntax in kept]
    return own + [Proposed(sop_class, plain) for sop_class in dict.fromkeys(sop_class for sop_class, _ in kept)]


def _pieces(file: BinaryIO) -> Iterator[bytes | memoryview]:
    """Yield the dataset of a file, behind its file meta information; its length is made even at the end."""
    head = file.read(_PIECE)
    piece = memoryview(head)[dataset_start(head) :]
    size = 0
    while piece:
        yield piece
        size += len(piece)
        piece = memoryview(file.read(_PIECE))
    if size % 2:
        yield b"\0"


def _even(piece: bytes) -> bytes:
    return piece + b"\0" if len(piece) % 2 else piece


def tls_context(authority: str = "", certificate: str = "", key: str = "") -> ssl.SSLContext:
    """Return how to call nodes by TLS: files of the authority trusted and of our own certificate (PS3.15 B.12).

    Without an authority the machine's own list is trusted and the node's certificate must bear its host's name; one
    that is named is the department's, which vouches for whom it certifies by whatever name.
    """
    try:
        context = ssl.create_default_context(cafile=authority or None)
        context.check_hostname = not authority
        if certificate:
            context.load_cert_chain(certificate, key or None)
        secure(context)
    except (OSError, ssl.SSLError) as error:
        raise Invalid(
            f"the TLS files cannot be read ({error.strerror}): look at tls_ca, tls_certificate, tls_key"
        ) from error
    return context
