"""The answering side: connections become associations, each in a thread of its own, none of them for ever.

The loop that accepts does nothing else: TLS, negotiation and waiting happen in the thread. A connection that has not
become an association may be hung up to make room for a new one, so silent strangers keep nobody out.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from core.dicom.conformance import MAXIMUM_PDU
from core.dimse import negotiation
from core.dimse.association import Association
from core.dimse.line import LONGEST_PDU, Ended, Line
from core.dimse.link import Link, Patience, Released
from core.dimse.negotiation import Offer
from core.dimse.pdu import APPLICATION_CONTEXT, AssociateRq, Reject
from core.errors import Refused

log = logging.getLogger(__name__)

_BACKLOG = 128
_THREAD_STAYS = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the server takes on. `spare` connections beyond the associations may knock, be rejected, or leave."""

    associations: int = 64
    spare: int = 32
    maximum_pdu: int = MAXIMUM_PDU


@dataclass(frozen=True)
class Door:
    """One address to be called on; `tls` is asked for a context at each connection."""

    address: tuple[str, int]
    tls: Callable[[], ssl.SSLContext] | None = None


@dataclass(frozen=True)
class Duties:
    """What the server asks its owner: who is let in, what is offered, and to converse.

    `admit` gets the request and the host it came from, and returns None or the reason of its rejection. `converse` gets
    an association and returns when it has nothing more to say; it may let `Ended` pass.
    """

    admit: Callable[[AssociateRq, str], Reject | None]
    offers: Mapping[str, Offer]
    converse: Callable[[Association], None]


class _Caller:
    """One connection: its socket may be cut from another thread."""

    def __init__(self, connection: socket.socket, host: str) -> None:
        self.host = host
        self.connection = connection
        self.is_association = False
        self.link: Link | None = None
        self._lock = threading.Lock()
        self._is_closed = False

    def wrap(self, by: ssl.SSLContext) -> ssl.SSLSocket:
        """Speak TLS from here on; the handshake is still to be done."""
        with self._lock:
            wrapped = by.wrap_socket(self.connection, server_side=True, do_handshake_on_connect=False)
            self.connection = wrapped
        return wrapped

    def cut(self) -> None:
        """Wake whoever waits for this connection; an association is aborted by its own thread."""
        if self.link:
            self.link.is_called_off = True
        with self._lock, contextlib.suppress(OSError):
            if not self._is_closed:
                socket.socket.shutdown(self.connection, socket.SHUT_RD if self.link else socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            self.connection.close()


class Server:
    """Answers associations at its doors until stopped."""

    def __init__(self, doors: Sequence[Door], duties: Duties, patience: Patience, limits: Limits) -> None:
        """Bind the addresses; nothing is answered before `start`.

        Raises
        ------
        Refused
            An address cannot be listened on.
        """
        self._duties, self._patience, self._limits = duties, patience, limits
        self._doors = _opened(doors)
        self._wake, self._woken = socket.socketpair()
        self._lock = threading.Lock()
        self._callers: dict[_Caller, None] = {}
        self._nobody = threading.Condition(self._lock)
        self._is_stopping = False
        self._next: SimpleQueue[tuple[_Caller, Door]] = SimpleQueue()
        self._idle_threads = 0
        self.associations_served = 0
        self._thread = threading.Thread(target=self._accept_all, name="dicom", daemon=True)

    @property
    def ports(self) -> list[int]:
        """The ports that were bound, in the order of the doors."""
        return [int(listening.getsockname()[1]) for listening in self._doors]

    @property
    def is_running(self) -> bool:
        """Whether connections are being accepted."""
        return self._thread.is_alive()

    @property
    def connections(self) -> int:
        """Connections that are open now, associations or not."""
        return len(self._callers)

    @property
    def associations(self) -> int:
        """Associations that are established now."""
        with self._lock:
            return self._established()

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self, patience: float) -> None:
        """Take no more connections, let those running end for so many seconds, then abort the rest."""
        self._is_stopping = True
        self._wake.send(b"\0")
        if self._thread.ident:
            self._thread.join(patience)
        for listening in self._doors:
            listening.close()
        with self._nobody:
            for caller in [each for each in self._callers if not each.is_association]:
                caller.cut()
            if not self._nobody.wait_for(lambda: not self._callers, patience):
                for caller in self._callers:
                    caller.cut()
                self._nobody.wait_for(lambda: not self._callers, patience)
        self._wake.close()
        self._woken.close()

    # -- accepting ---------------------------------------------------------------------------------------------------

    def _accept_all(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._woken, selectors.EVENT_READ)
            for listening, door in self._doors.items():
                selector.register(listening, selectors.EVENT_READ, door)
            while not self._is_stopping:
                for key, _ in selector.select():
                    if isinstance(key.data, Door) and isinstance(key.fileobj, socket.socket):
                        self._accept(key.fileobj, key.data)

    def _accept(self, listening: socket.socket, door: Door) -> None:
        try:
            connection, address = listening.accept()
        except BlockingIOError:
            return
        except OSError as error:  # out of files, or the peer left already
            log.warning("a connection could not be accepted (%s)", type(error).__name__)
            time.sleep(0.05)
            return
        connection.setblocking(True)
        caller = _Caller(connection, str(address[0]))
        if not self._has_room(caller):
            caller.close()
            return
        with self._lock:
            somebody_is_idle = self._idle_threads > 0
            self._idle_threads -= somebody_is_idle
        if somebody_is_idle:
            self._next.put((caller, door))
            return
        try:
            threading.Thread(target=self._work, args=(caller, door), name="association", daemon=True).start()
        except RuntimeError:
            log.error("no thread could be started for a connection from %s", caller.host)  # noqa: TRY400 - one line
            self._forget(caller)

    def _work(self, caller: _Caller, door: Door) -> None:
        """Serve a connection, then others as they come, until none came for a while."""
        while True:
            self._serve(caller, door)
            with self._lock:
                self._idle_threads += 1
            try:
                caller, door = self._next.get(timeout=_THREAD_STAYS)
            except Empty:
                with self._lock:
                    if self._idle_threads > 0:
                        self._idle_threads -= 1
                        return
                caller, door = self._next.get()  # it was given to us in the last moment

    def _has_room(self, caller: _Caller) -> bool:
        """Take the connection in; where too many are open, the one silent longest goes."""
        with self._lock:
            if len(self._callers) >= self._limits.associations + self._limits.spare:
                silent = next((each for each in self._callers if not each.is_association), None)
                if silent is None:
                    return False
                silent.cut()
                del self._callers[silent]
            self._callers[caller] = None
        return True

    def _forget(self, caller: _Caller) -> None:
        caller.close()
        with self._nobody:
            self._callers.pop(caller, None)
            self._nobody.notify_all()

    # -- one connection ----------------------------------------------------------------------------------------------

    def _serve(self, caller: _Caller, door: Door) -> None:
        try:
            if door.tls:
                self._shake_hands(caller, door.tls())
            self._answer(caller)
        except Ended as error:
            log.debug("an association with %s ended: %s", caller.host, error.detail)
        except OSError as error:
            log.info(
                "a connection from %s failed before it became an association (%s)", caller.host, type(error).__name__
            )
        finally:
            self._forget(caller)

    def _shake_hands(self, caller: _Caller, context: ssl.SSLContext) -> None:
        connection = caller.wrap(context)
        connection.settimeout(self._patience.artim)
        connection.do_handshake()

    def _answer(self, caller: _Caller) -> None:
        link = caller.link = Link(Line(caller.connection, LONGEST_PDU), self._patience, requestor=False)
        try:
            association = self._associate(link, caller)
            if association:
                self._converse(association, link)
        finally:
            caller.is_association = False
            link.linger()

    def _associate(self, link: Link, caller: _Caller) -> Association | None:
        request = link.await_request()
        reject = self._duties.admit(request, caller.host) or self._not_now(request, caller)
        if reject:
            log.info("an association from %s was rejected: %s", caller.host, reject.words)
            link.reject(reject)
            return None
        accept, contexts = negotiation.answer(request, self._duties.offers, self._limits.maximum_pdu)
        link.accept(accept)
        return Association(
            link, contexts, request.user.maximum_length,
            calling=request.calling, called=request.called, host=caller.host,
        )  # fmt: skip

    def _not_now(self, request: AssociateRq, caller: _Caller) -> Reject | None:
        """Count the association, unless there are too many or it asks for another application."""
        if request.application_context != APPLICATION_CONTEXT:
            return negotiation.OTHER_APPLICATION
        with self._lock:
            if self._is_stopping or self._established() >= self._limits.associations:
                return negotiation.NO_ROOM
            caller.is_association = True
            self.associations_served += 1
        return None

    def _established(self) -> int:
        return sum(caller.is_association for caller in self._callers)

    def _converse(self, association: Association, link: Link) -> None:
        try:
            self._duties.converse(association)
        except Released:
            link.answer_release()
        except Ended as error:
            log.debug("an association ended: %s", error.detail)
        finally:
            link.abort()


def _opened(doors: Sequence[Door]) -> dict[socket.socket, Door]:
    opened: dict[socket.socket, Door] = {}
    try:
        for door in doors:
            opened[_bound(door.address)] = door
    except Refused:
        for listening in opened:
            listening.close()
        raise
    return opened


def _bound(address: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        where, why = f"{address[0]}:{address[1]}", error.strerror
        raise Refused(f"{where} cannot be listened on ({why}): stop what uses it, or choose another") from error
    listening.setblocking(False)
    return listening
