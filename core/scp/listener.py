"""The DICOM listener: associations in, calls of `Services` out.

The only room that knows the engine on this side. It is careful with strangers: every PDU has a longest size and a
deadline, silence ends by the ARTIM and idle times, and nothing a peer sends is written to a log.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydicom import Dataset
from pydicom.uid import PYDICOM_ROOT_UID, generate_uid
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.sop_class import register_uid, uid_to_service_class
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from core.dicom import conformance
from core.dicom.encoding import decoded
from core.dicom.information_models import PATIENT_ROOT, STUDY_ROOT
from core.errors import Broken, CoreError, Forbidden, Invalid, NotFound, PeerFailed, Refused, place_of
from core.scp import OFFERED, Announced, Caller, Duplicate, Services

log = logging.getLogger(__name__)

_LONGEST_COMMENT = 64
_LONGEST_PDU = 16 << 20  # peers may ignore the length we announce, within reason
_PIECE = 1 << 18
_STOP_WITHIN = 3.0
_NOT_RECOGNISED = (0x01, 0x01, 0x03)  # rejected permanently, by the service user, calling AE title (PS3.8 Table 9-21)
_SUCCESS, _PENDING, _CANCELLED = 0x0000, 0xFF00, 0xFE00
_MODELS = dict(zip(conformance.FIND.uids, (PATIENT_ROOT, STUDY_ROOT), strict=True))

# The first class that fits names the status: PS3.4 B.2.3 and C.4.1.1.4, PS3.7 C.4 and C.5.
_FIND_STATUS: tuple[tuple[type[CoreError], int], ...] = ((Invalid, 0xA900), (Refused, 0xC000), (CoreError, 0xA700))
_STORE_STATUS: tuple[tuple[type[CoreError], int], ...] = ((Refused, 0xA900), (CoreError, 0xA700))
_N_STATUS: tuple[tuple[type[CoreError], int], ...] = (
    (Duplicate, 0x0111),
    (Forbidden, 0x0124),
    (NotFound, 0x0112),
    (Invalid, 0x0106),
    (CoreError, 0x0110),
)


@dataclass(frozen=True)
class Manners:
    """How the listener treats its callers. Times are seconds, lengths bytes."""

    aet: str = "PHOTOPEAK"
    known_only: bool = False
    any_called_aet: bool = False
    maximum_pdu: int = conformance.MAXIMUM_PDU
    maximum_associations: int = 64
    artim_seconds: float = 30.0
    idle_seconds: float = 60.0


class Listener:
    """Answers DICOM associations on one address until stopped."""

    def __init__(self, address: tuple[str, int], services: Services, manners: Manners) -> None:
        """Bind the address; nothing is answered before `start`.

        Raises
        ------
        Refused
            The address cannot be listened on.
        """
        _make_engine_quiet()
        _teach_storage_classes()
        handling = _Handling(services, manners)
        try:
            self._server = _Server(_engine(manners), address, manners.aet, handling.handlers())
        except OSError as error:
            where, why = f"{address[0]}:{address[1]}", error.strerror
            raise Refused(f"{where} cannot be listened on ({why}): stop what uses it, or choose another") from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="dicom", daemon=True)

    @property
    def port(self) -> int:
        """The port that was bound."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        self._server.ae._servers.append(self._server)  # noqa: SLF001 - its own start_server would bind a second socket
        self._thread.start()

    def check(self) -> None:
        """Raise Broken unless the listener is up."""
        if not self._thread.is_alive():
            msg = "the DICOM listener is not running: restart photopeakd"
            raise Broken(msg)

    def stop(self) -> None:
        """Take no more associations, let those running end within a few seconds, then abort the rest."""
        if not self._thread.is_alive():
            self._server.server_close()
            return
        self._server.shutdown()
        patience = time.monotonic() + _STOP_WITHIN
        while self._server.active_associations and time.monotonic() < patience:
            time.sleep(0.05)
        for association in self._server.active_associations:
            association.abort()
        self._thread.join(_STOP_WITHIN)


# -- what the engine calls -------------------------------------------------------------------------------------------


class _Handling:
    """Turns the engine's events into calls of the services, and their answers and errors into statuses."""

    def __init__(self, services: Services, manners: Manners) -> None:
        self._services = services
        self._manners = manners

    def handlers(self) -> list[Any]:
        return [
            (evt.EVT_CONN_CLOSE, self._closed),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_REJECTED, self._rejected),
            (evt.EVT_C_ECHO, self._echo),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_N_CREATE, self._create),
            (evt.EVT_N_SET, self._set),
        ]

    def _closed(self, event: evt.Event) -> None:
        """Wake an association whose peer left before it asked for anything; it would wait out the ARTIM time."""
        if event.assoc.requestor.primitive is None:
            event.assoc.dul.to_user_queue.put(None)  # type: ignore[arg-type]  # what its own time-out yields

    def _requested(self, event: evt.Event) -> None:
        if not self._manners.known_only:
            return
        primitive = event.assoc.requestor.primitive
        caller = self._services.who(_plain(primitive.calling_ae_title if primitive else ""), _host(event.assoc))
        if caller.device is None:
            event.assoc.acse.send_reject(*_NOT_RECOGNISED)
            event.assoc.kill()
            log.info("association from %s at %s rejected: not a registered device", caller.aet, caller.host)

    def _rejected(self, event: evt.Event) -> None:
        primitive = event.assoc.requestor.primitive
        called = _plain(primitive.called_ae_title if primitive else "")
        calling = _plain(primitive.calling_ae_title if primitive else "")
        log.info("association from %s at %s to %s rejected", calling, _host(event.assoc), called)

    def _caller(self, event: evt.Event) -> Caller:
        return self._services.who(_plain(event.assoc.requestor.ae_title), _host(event.assoc))

    def _trusted(self, event: evt.Event) -> Caller:
        caller = self._caller(event)
        if not caller.trusted:
            msg = f"{caller.aet} is not a registered device here"
            raise Forbidden(msg)
        return caller

    def _echo(self, event: evt.Event) -> int:
        try:
            self._services.echo(self._caller(event))
        except Exception as error:  # noqa: BLE001 - whatever it is, we are still there to be heard
            log.warning("C-ECHO could not be noted (%s)", type(error).__name__)
        return _SUCCESS

    def _store(self, event: evt.Event) -> Dataset:
        request: Any = event.request
        try:
            announced = Announced(
                str(request.AffectedSOPClassUID or ""), str(request.AffectedSOPInstanceUID or ""),
                str(event.context.transfer_syntax),
            )  # fmt: skip
            sink = self._services.store(self._caller(event), announced)
            sink.write(memoryview(request.DataSet.getvalue() if request.DataSet else b""))
            answer = sink.finish()
        except Exception as error:  # noqa: BLE001 - an object must never end the association of the others
            return _said(*_status(error, _STORE_STATUS, "C-STORE"))
        return _said(answer.status, answer.comment)

    def _find(self, event: evt.Event) -> Iterator[tuple[Dataset | int, Dataset | None]]:
        try:
            for item in self._found(event, self._trusted(event)):
                if event.is_cancelled:
                    yield _CANCELLED, None
                    return
                yield _PENDING, item
        except Exception as error:  # noqa: BLE001 - as for C-STORE
            yield _said(*_status(error, _FIND_STATUS, "C-FIND")), None

    def _found(self, event: evt.Event, caller: Caller) -> Iterator[Dataset]:
        keys = _decoded(lambda: event.identifier)
        request: Any = event.request
        model = _MODELS.get(str(request.AffectedSOPClassUID))
        if model is None:
            return self._services.find_worklist(caller, keys)
        syntax = str(event.context.transfer_syntax)
        return (decoded(each, syntax) for each in self._services.find(caller, keys, model, syntax))

    def _create(self, event: evt.Event) -> tuple[Dataset | int, Dataset | None]:
        request: Any = event.request
        try:
            uid = str(request.AffectedSOPInstanceUID or generate_uid(PYDICOM_ROOT_UID))
            self._services.mpps_create(self._trusted(event), uid, _decoded(lambda: event.attribute_list))
        except Exception as error:  # noqa: BLE001 - as for C-STORE
            return _said(*_status(error, _N_STATUS, "N-CREATE")), None
        made = Dataset()
        made.AffectedSOPInstanceUID = uid
        return _SUCCESS, made if request.AffectedSOPInstanceUID is None else None

    def _set(self, event: evt.Event) -> tuple[Dataset | int, Dataset | None]:
        request: Any = event.request
        try:
            uid = str(request.RequestedSOPInstanceUID or "")
            self._services.mpps_set(self._trusted(event), uid, _decoded(lambda: event.modification_list))
        except Exception as error:  # noqa: BLE001 - as for C-STORE
            return _said(*_status(error, _N_STATUS, "N-SET")), None
        return _SUCCESS, None


def _decoded(read: Any) -> Dataset:  # noqa: ANN401 - a reader of the engine's event
    try:
        dataset: Dataset = read()
    except Exception as error:
        msg = "the dataset of the request cannot be read"
        raise Invalid(msg) from error
    return dataset


def _status(error: Exception, table: tuple[tuple[type[CoreError], int], ...], what: str) -> tuple[int, str]:
    """Name the status of an error and its comment; ours and unforeseen ones are logged, without what they hold."""
    if isinstance(error, Refused):
        return next(status for kind, status in table if isinstance(error, kind)), error.detail
    known = isinstance(error, CoreError)
    if isinstance(error, Broken | PeerFailed):
        log.error("%s failed: %s", what, error.detail)
    else:
        log.error("%s failed: %s in %s", what, type(error).__name__, place_of(error))
    return table[-1][1], error.detail if isinstance(error, CoreError) and known else "internal error, see the log"


def _said(status: int, comment: str) -> Dataset:
    answer = Dataset()
    answer.Status = status
    if comment and status != _SUCCESS:
        answer.ErrorComment = comment.encode("ascii", "replace").decode().replace("\\", "/")[:_LONGEST_COMMENT]
    return answer


def _plain(aet: object) -> str:
    """Make an AE title fit for logs and rows: printable ASCII, no backslash, at most 16 (PS3.5 6.2)."""
    text = aet.decode("ascii", "replace") if isinstance(aet, bytes) else str(aet)
    return "".join(sign if " " <= sign <= "~" and sign != "\\" else "_" for sign in text).strip()[:16]


def _host(association: Association) -> str:
    return str(association.requestor.address_info.address if association.requestor.address_info else "")


# -- the engine ------------------------------------------------------------------------------------------------------


def _make_engine_quiet() -> None:
    """Keep datasets and exception texts, which may name patients, out of every log."""
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)


def _teach_storage_classes() -> None:
    """Make known the storage classes the engine misses, retired NM among them."""
    for sop_class in conformance.STORAGE_CLASSES:
        if uid_to_service_class(sop_class.uid) is not StorageServiceClass:
            register_uid(sop_class.uid, f"Storage{sop_class.uid.replace('.', '_')}", StorageServiceClass)


def _engine(manners: Manners) -> AE:
    engine = AE(ae_title=manners.aet)
    engine.maximum_pdu_size = manners.maximum_pdu
    engine.maximum_associations = manners.maximum_associations
    engine.acse_timeout = manners.artim_seconds
    engine.dimse_timeout = engine.network_timeout = manners.idle_seconds
    engine.require_called_aet = not manners.any_called_aet
    for uid, syntaxes in conformance.accepted_contexts(OFFERED):
        engine.add_supported_context(uid, list(syntaxes))
    return engine


class _Contexts(list[PresentationContext]):
    """The offered contexts; associations share them, since each would copy thousands of UIDs otherwise."""

    def __deepcopy__(self, memo: object) -> list[PresentationContext]:
        return list(self)


class _Server(ThreadedAssociationServer):
    """The engine's server with our manners on its sockets."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, engine: AE, address: tuple[str, int], aet: str, handlers: list[Any]) -> None:
        contexts = _Contexts(engine.supported_contexts)
        super().__init__(engine, address, aet, contexts, evt_handlers=handlers, request_handler=_Arriving)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        request, address = super().get_request()
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return request, address

    def handle_error(self, request: object, client_address: object) -> None:
        """Say that an arriving connection failed; the engine would print a traceback."""
        del request, client_address
        log.warning("a connection failed before it became an association")


class _Arriving(RequestHandler):
    """An arriving connection, read by a socket that is careful."""

    def _create_association(self) -> Association:
        association = super()._create_association()
        association.dul.socket.__class__ = _CarefulSocket  # the engine names its class in the middle of its method
        return association


class _CarefulSocket(AssociationSocket):
    """Reads with a longest size and a deadline, so that a slow or lying peer holds a thread only so long."""

    def recv(self, nr_bytes: int) -> bytearray:
        """Read `nr_bytes`, fewer when the peer closes.

        Raises
        ------
        OSError
            The peer claims too much, or takes too long.
        """
        if nr_bytes > _LONGEST_PDU:
            msg = "longer than any PDU may be"
            raise OSError(msg)
        if self.socket is None:
            return bytearray()
        buffer, have = bytearray(min(nr_bytes, _PIECE)), 0
        until = time.monotonic() + self._patience()
        while have < nr_bytes:
            self.socket.settimeout(max(until - time.monotonic(), 0.001))
            if have == len(buffer):
                buffer.extend(bytes(min(nr_bytes - have, _PIECE)))
            with memoryview(buffer) as view:
                got = self.socket.recv_into(view[have:])
            if not got:
                break
            have += got
            _acknowledge_soon(self.socket)
        self.socket.settimeout(self._patience())
        del buffer[have:]
        return buffer

    def _patience(self) -> float:
        limit = self.assoc.network_timeout if self.assoc.is_established else self.assoc.acse_timeout
        return limit or 30.0


def _acknowledge_soon(connection: socket.socket) -> None:
    """Acknowledge at once where Linux can: peers that leave Nagle on wait 40 ms a message otherwise."""
    if hasattr(socket, "TCP_QUICKACK"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
