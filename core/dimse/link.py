"""The upper layer over a line: carries out what the state table says, and keeps its ARTIM timer.

Every received PDU and every wish of the user goes through the table; nothing else decides what is sent, or whether the
connection stays open.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from core.dimse import pdu
from core.dimse.line import Ended, Line, Lost, Part, Silent
from core.dimse.pdu import Abort, AssociateRq, Malformed, Reject, Why
from core.dimse.upper_layer import EVENT_OF, Effect, Event, State, UpperLayer


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for what, in seconds."""

    connect: float = 10.0
    artim: float = 30.0
    """For the answer to an association request, and for the peer to hang up (PS3.8 9.1.5)."""
    idle: float = 60.0
    """Between two PDUs, and for one PDU to be whole."""
    answer: float = 120.0
    """For the response to a request of ours."""
    release: float = 3.0
    """For the answer to our release: nothing hangs on it any more, and some receivers never give one."""


class Released(Ended):
    """The peer asked for release."""


class Aborted(Ended):
    """The peer aborted the association."""


class Rejected(Ended):
    """The peer rejected the association."""

    def __init__(self, reject: Reject) -> None:
        super().__init__(f"the peer rejected the association: {reject.words}")
        self.reject = reject


class Link:
    """One association's upper layer, run by one thread; another may set `is_called_off` and wake it to abort."""

    def __init__(self, line: Line, patience: Patience, *, requestor: bool) -> None:
        self.line = line
        self.patience = patience
        self.layer = UpperLayer(requestor=requestor)
        self.is_called_off = False
        self._artim: float | None = None
        if requestor:
            self._do(Event.ASSOCIATE)
        else:
            self._do(Event.CONNECTION_CAME)

    @property
    def state(self) -> State:
        """Where the association is."""
        return self.layer.state

    # -- establishing ------------------------------------------------------------------------------------------------

    def await_request(self) -> AssociateRq:
        """Wait for an A-ASSOCIATE-RQ and return it; raises Ended when something else comes, or nothing.

        A request that no service-provider can accept (its protocol version) is rejected here.
        """
        self.line.expect(self.patience.artim)
        body = self._next(Event.RQ_CAME)
        try:
            request = pdu.decode_request(body)
        except Malformed as error:
            self.refuse_bytes(error)
        if request.version & 1:
            self._do(Event.RQ_CAME)
            return request
        reject = pdu.encode(Reject(pdu.PERMANENT, 2, 2))
        self._do(Event.RQ_CAME, reject, acceptable=False)
        raise Ended("the peer asked for another protocol version")

    def accept(self, answer: pdu.AssociateAc) -> None:
        """Accept the request."""
        self._do(Event.ACCEPT, pdu.encode(answer))
        self.line.expect(self.patience.idle)

    def reject(self, reject: Reject) -> None:
        """Reject the request."""
        self._do(Event.REJECT, pdu.encode(reject))

    def request(self, request: AssociateRq) -> pdu.AssociateAc:
        """Ask for an association and return what was accepted.

        Raises
        ------
        Ended
            It was rejected, aborted, or not answered in time.
        """
        self.line.expect(self.patience.artim)
        self._do(Event.CONNECTED, pdu.encode(request))
        body = self._next(Event.AC_CAME)
        try:
            answer = pdu.decode_accept(body)
        except Malformed as error:
            self.refuse_bytes(error)
        self._do(Event.AC_CAME)
        self.line.expect(self.patience.answer)
        return answer

    # -- speaking ----------------------------------------------------------------------------------------------------

    def receive(self) -> memoryview:
        """Wait for a P-DATA-TF and return its body, valid until the next is received.

        Raises
        ------
        Released
            The peer wants to end; `answer_release` does.
        Ended
            The association is over.
        """
        body = self._next(Event.DATA_CAME)
        self._do(Event.DATA_CAME)
        return body

    def waiting(self) -> bool:
        """Whether `receive` would return, or raise, at once."""
        if self.state is not State.ESTABLISHED:
            return False
        try:
            return self.line.has_pdu()
        except Malformed as error:
            self.refuse_bytes(error)

    def send(self, parts: Sequence[Part]) -> None:
        """Send P-DATA-TF PDUs."""
        if self.state is not State.ESTABLISHED and not self.layer.allows(Event.SEND_DATA):
            raise Ended("the association is over")
        try:
            self.line.send(parts)
        except Lost:
            self._do(Event.CLOSED)
            raise
        except Silent:
            self.abort()
            raise

    def refuse_bytes(self, error: Malformed) -> NoReturn:
        """Abort because of bytes that are no PDU or no message, and raise Ended."""
        self._do(Event.INVALID_PDU, why=error.why)
        raise Ended(error.detail) from error

    # -- ending ------------------------------------------------------------------------------------------------------

    def release(self) -> None:
        """End in good order, whichever side asks first (PS3.8 7.2); data that still comes is let go."""
        self.line.expect(self.patience.release)
        self._do(Event.RELEASE, pdu.RELEASE_RQ)
        while self.state is not State.IDLE:
            self._next_while_releasing()
            if self.state in {State.COLLIDED_AS_REQUESTOR, State.CONFIRMED_AS_ACCEPTOR}:
                self._do(Event.ANSWER_RELEASE, pdu.RELEASE_RP)
            if self.state is State.AWAITING_CLOSE:
                self.linger()

    def _next_while_releasing(self) -> None:
        event, _ = self._read()
        self._do(event, why=_why(event))
        if event is Event.ABORT_CAME:
            raise Aborted("the peer aborted the association")

    def answer_release(self) -> None:
        """Agree to the release the peer asked for."""
        with contextlib.suppress(Ended):
            self._do(Event.ANSWER_RELEASE, pdu.RELEASE_RP)

    def abort(self) -> None:
        """Break off."""
        if self.layer.allows(Event.ABORT):
            self._do(Event.ABORT)

    def linger(self) -> None:
        """Wait for the peer to hang up until ARTIM expires, then hang up; whatever still comes is let go."""
        with contextlib.suppress(Ended, Malformed):
            self.line.half_close()
            while self.state is State.AWAITING_CLOSE:
                self._wait_for_close()
        self.line.close()

    def _wait_for_close(self) -> None:
        left = (self._artim or 0.0) - time.monotonic()
        if left <= 0:
            self._do(Event.ARTIM_EXPIRED)
            return
        self.line.expect(left)
        try:
            kind, _ = self.line.pdu()
        except Silent:
            self._do(Event.ARTIM_EXPIRED)
        except Lost:
            self._do(Event.CLOSED)
        else:
            self._do(EVENT_OF.get(kind, Event.INVALID_PDU))

    # -- the table ---------------------------------------------------------------------------------------------------

    def _next(self, wanted: Event) -> memoryview:
        """Return the body of the PDU that makes the event `wanted`, which is not yet given to the table."""
        event, body = self._read()
        if event is wanted and self.layer.allows(event):
            return body
        self._do(event, why=_why(event))
        raise self._end(event, body)

    def _read(self) -> tuple[Event, memoryview]:
        try:
            kind, body = self.line.pdu()
        except Malformed as error:
            self.refuse_bytes(error)
        except Lost:
            if self.is_called_off:
                self.abort()
            else:
                self._do(Event.CLOSED)
            raise
        except Silent:
            self._expire()
            raise
        return EVENT_OF.get(kind, Event.INVALID_PDU), body

    def _expire(self) -> None:
        if self.layer.allows(Event.ARTIM_EXPIRED):
            self._do(Event.ARTIM_EXPIRED)
        else:
            self.abort()

    def _end(self, event: Event, body: memoryview) -> Ended:
        """Name how the association ended, or is about to, by an event that was not the one waited for."""
        if event is Event.RELEASE_RQ_CAME and self.state is State.RELEASE_ASKED:
            return Released("the peer asked for release")
        if event is Event.ABORT_CAME:
            return Aborted("the peer aborted the association")
        if event is Event.RJ_CAME and self.state is State.IDLE:
            try:
                return Rejected(pdu.decode_reject(body))
            except Malformed as error:
                return Ended(error.detail)
        return Ended("the peer sent what does not belong there")

    def _do(self, event: Event, answer: bytes = b"", *, why: Why = Why.UNEXPECTED_PDU, acceptable: bool = True) -> None:
        """Give an event to the table and carry out its effects."""
        for effect in self.layer.on(event, acceptable=acceptable):
            match effect:
                case Effect.SEND | Effect.SEND_PROVIDER_REJECT:
                    self.line.send([answer])
                case Effect.SEND_USER_ABORT:
                    self._say_abort(Abort())
                case Effect.SEND_PROVIDER_ABORT:
                    self._say_abort(Abort(2, why))
                case Effect.START_ARTIM:
                    self._artim = time.monotonic() + self.patience.artim
                case Effect.STOP_ARTIM:
                    self._artim = None
                case Effect.CLOSE:
                    self.line.close()
                case _:  # CONNECT is done before the link is made; who called is told by what is returned or raised
                    pass

    def _say_abort(self, abort: Abort) -> None:
        with contextlib.suppress(Ended):
            self.line.expect(min(self.patience.artim, 1.0))  # a peer that does not read need not be told
            self.line.send([pdu.encode(abort)])


def _why(event: Event) -> Why:
    return Why.UNRECOGNISED_PDU if event is Event.INVALID_PDU else Why.UNEXPECTED_PDU
