"""A connected socket as a line of PDUs: one buffer that is used again, deadlines, and a longest PDU.

What `pdu` returns lies in the buffer and is valid until the next read. On Linux what came is acknowledged at once:
peers that leave Nagle's algorithm on lose 40 ms a message otherwise.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import sys
import time
from collections.abc import Sequence

from core.dimse.pdu import HEAD, Malformed, Why
from core.errors import PeerFailed

LONGEST_PDU = 1 << 20
"""Peers may ignore the length we announce, within reason."""
_FIRST_BUFFER = 1 << 14
_SPARE = 1 << 12
_TIMEVAL = struct.Struct("@ll")
_HAS_QUICKACK = hasattr(socket, "TCP_QUICKACK")
_KERNEL_WAITS = sys.platform == "linux"

Part = bytes | bytearray | memoryview


class Ended(PeerFailed):
    """The association is over; nothing more can be said on it."""


class Lost(Ended):
    """The peer hung up."""


class Silent(Ended):
    """The peer took longer than it may."""


class Line:
    """A socket that is read and written by one thread."""

    def __init__(self, connection: socket.socket, longest: int = LONGEST_PDU) -> None:
        self._socket = connection
        self._longest = longest
        self._is_tls = isinstance(connection, ssl.SSLSocket)
        self._buffer = bytearray(_FIRST_BUFFER)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._patience = 0.0
        if not self._is_tls and _KERNEL_WAITS:
            connection.settimeout(None)  # the kernel keeps the time: one system call a read instead of two
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def expect(self, seconds: float) -> None:
        """Let every wait end after so long."""
        if seconds == self._patience:
            return
        self._patience = seconds
        if self._is_tls or not _KERNEL_WAITS:
            self._socket.settimeout(max(seconds, 0.001))
            return
        limit = _TIMEVAL.pack(int(seconds), int(seconds % 1 * 1_000_000) or 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    # -- reading -----------------------------------------------------------------------------------------------------

    def pdu(self) -> tuple[int, memoryview]:
        """Wait for a whole PDU and return its type and body.

        Raises
        ------
        Malformed
            It claims to be longer than a PDU may be.
        Silent
            It did not come, or not all of it, in the time allowed.
        Lost
            The peer hung up.
        """
        need = self._needed()
        until = time.monotonic() + self._patience if need else 0.0
        while need:
            self._make_room(need)
            self._read()
            need = self._needed()
            if need and time.monotonic() > until:
                raise Silent("the peer took too long over a PDU")
        return self._take()

    def has_pdu(self) -> bool:
        """Whether a whole PDU, or news of the end, can be read without waiting."""
        if not self._needed():
            return True
        self._make_room(self._needed())
        try:
            return self._read_what_is_there()
        except OSError:
            return True  # a blocking read will say what is wrong

    def _needed(self) -> int:
        """Return the length of the PDU that is not whole yet; 0 when it is."""
        have = self._end - self._start
        if have < HEAD.size:
            return HEAD.size
        length = HEAD.unpack_from(self._buffer, self._start)[1]
        if length > self._longest:
            raise Malformed("a PDU claims to be longer than any may be", Why.INVALID_PARAMETER)
        return 0 if have >= HEAD.size + length else HEAD.size + int(length)

    def _take(self) -> tuple[int, memoryview]:
        kind, length = HEAD.unpack_from(self._buffer, self._start)
        body = self._start + HEAD.size
        self._start = body + length
        return kind, self._view[body : self._start]

    def _make_room(self, need: int) -> None:
        """See that the PDU begun fits, with a little of the next."""
        have = self._end - self._start
        if need > len(self._buffer):
            larger = bytearray(need + _SPARE)
            larger[:have] = self._view[self._start : self._end]
            self._buffer, self._view = larger, memoryview(larger)
        elif self._start + need > len(self._buffer) or not have:
            self._view[:have] = self._view[self._start : self._end]
        else:
            return
        self._start, self._end = 0, have

    def _read(self) -> None:
        try:
            got = self._socket.recv_into(self._view[self._end :])
        except (BlockingIOError, TimeoutError) as error:
            raise Silent("the peer was silent for too long") from error
        except OSError as error:
            raise Lost("the connection was lost") from error
        self._count(got)

    def _count(self, got: int) -> None:
        if not got:
            raise Lost("the peer hung up")
        self._end += got
        if _HAS_QUICKACK:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _read_what_is_there(self) -> bool:
        """Read without waiting; say whether a PDU is whole or the peer hung up."""
        try:
            if self._is_tls:
                self._socket.settimeout(0)
                got = self._socket.recv_into(self._view[self._end :])
            else:
                got = self._socket.recv_into(self._view[self._end :], 0, socket.MSG_DONTWAIT)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        finally:
            if self._is_tls:
                self._socket.settimeout(self._patience)
        if not got:
            return True
        self._count(got)
        return not self._needed()

    # -- writing -----------------------------------------------------------------------------------------------------

    def send(self, parts: Sequence[Part]) -> None:
        """Send all parts, in one system call where the socket takes them.

        Raises
        ------
        Silent
            The peer does not read.
        Lost
            The peer hung up.
        """
        try:
            if self._is_tls:
                self._socket.sendall(b"".join(parts))
            else:
                self._send_all(parts)
        except (BlockingIOError, TimeoutError) as error:
            raise Silent("the peer does not take what it is sent") from error
        except OSError as error:
            raise Lost("the connection was lost") from error

    def _send_all(self, parts: Sequence[Part]) -> None:
        left = sum(map(len, parts))
        while left:
            sent = self._socket.sendmsg(parts)
            left -= sent
            if left:
                parts = _behind(parts, sent)

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        with contextlib.suppress(OSError):
            if not self._is_tls:
                self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Hang up; safe to call twice."""
        self._socket.close()


def _behind(parts: Sequence[Part], sent: int) -> list[Part]:
    """Return what is left of the parts once so many bytes have gone."""
    rest: list[Part] = []
    for part in parts:
        if sent >= len(part):
            sent -= len(part)
        else:
            rest.append(memoryview(part)[sent:] if sent else part)
            sent = 0
    return rest
