"""Messages of several parts (RFC 2387), written and read piece by piece: neither side ever holds a whole study."""

import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain

from fastapi import HTTPException
from fastapi.responses import StreamingResponse

Take = Callable[[bytes | bytearray], None]
Fill = Callable[[bytes | memoryview | None], None]

_PIECE = 1 << 18
_LONGEST_HEAD = 16 << 10
_LONGEST_BOUNDARY = 256  # RFC 2046 5.1.1 has 70, which Orthanc does not mind


@dataclass(frozen=True)
class Part:
    """One part of an answer: what it is, where it can be fetched alone, and its bytes in pieces."""

    media: str
    location: str
    pieces: Iterable[bytes]


def answer(parts: Iterable[Part], media: str) -> StreamingResponse:
    """Answer with parts as they come; what the first one raises is raised here, before anything is answered."""
    boundary = secrets.token_hex(16)
    flow = _gathered(_written(parts, boundary))
    flow = chain([next(flow)], flow)
    return StreamingResponse(flow, media_type=f'multipart/related; type="{media}"; boundary={boundary}')


def _written(parts: Iterable[Part], boundary: str) -> Iterator[bytes]:
    for part in parts:
        head = f"--{boundary}\r\nContent-Type: {part.media}\r\n"
        yield f"{head}Content-Location: {part.location}\r\n\r\n".encode()
        yield from part.pieces
        yield b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Put small pieces together, for each one sent costs a change of threads; large ones pass as they are."""
    held = bytearray()
    for piece in pieces:
        if held and len(held) + len(piece) > _PIECE:
            yield bytes(held)
            held.clear()
        if len(piece) < _PIECE:
            held += piece
        else:
            yield piece
    if held:
        yield bytes(held)


def malformed(what: str) -> HTTPException:
    """Return the refusal of a message that is not built as it says."""
    return HTTPException(HTTPStatus.BAD_REQUEST, f"the message {what}: see RFC 2387, and its Content-Type")


class Reader:
    """Reads a multipart message pushed in pieces of any size, and hands its parts on.

    `begin` is called with the headers of each part and returns the function that takes the part's bytes, each piece
    valid until it returns, and is called with None at the end.
    """

    def __init__(self, boundary: str, begin: Callable[[dict[str, str]], Fill]) -> None:
        if not 0 < len(boundary) <= _LONGEST_BOUNDARY:
            raise malformed("names no usable boundary")
        self._begin = begin
        self._mark = b"\r\n--" + boundary.encode("latin-1", "replace")
        self._held = bytearray(b"\r\n")  # the first boundary may stand at the very beginning
        self._part: Fill | None = None
        self._step: Callable[[], bool] = self._before
        self.ended = False

    def feed(self, piece: bytes | bytearray) -> None:
        """Take the next piece of the message."""
        self._held += piece
        while not self.ended and self._step():
            pass
        if self.ended:
            self._held.clear()  # what follows the last boundary means nothing

    def finish(self) -> None:
        """Refuse a message that broke off before its last boundary."""
        if not self.ended:
            raise malformed("breaks off before its last boundary")

    def _before(self) -> bool:
        """Skip to the boundary; keep what may be the beginning of one."""
        at = self._held.find(self._mark)
        if at < 0:
            del self._held[: max(0, len(self._held) - len(self._mark))]
            return False
        del self._held[: at + len(self._mark)]
        self._step = self._at_boundary
        return True

    def _at_boundary(self) -> bool:
        end = self._held.find(b"\r\n")
        if self._held.startswith(b"--"):
            self.ended = True
            return False
        if end < 0:
            return self._wait_for_head()
        if self._held[:end].strip(b" \t"):
            raise malformed("has bytes behind a boundary")
        del self._held[:end]
        self._step = self._head
        return True

    def _head(self) -> bool:
        end = self._held.find(b"\r\n\r\n")
        if end < 0:
            return self._wait_for_head()
        lines = self._held[:end].decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines if ":" in line)
        self._part = self._begin({name.strip().lower(): value.strip() for name, _, value in pairs})
        del self._held[: end + 4]
        self._step = self._body
        return True

    def _wait_for_head(self) -> bool:
        if len(self._held) > _LONGEST_HEAD:
            raise malformed("has a part whose headers never end")
        return False

    def _body(self) -> bool:
        assert self._part is not None  # noqa: S101 - set with this step
        at = self._held.find(self._mark)
        certain = at if at >= 0 else len(self._held) - len(self._mark)
        if certain > 0:
            with memoryview(self._held) as held, held[:certain] as piece:
                self._part(piece)
            del self._held[:certain]
        if at < 0:
            return False
        self._part(None)
        del self._held[: len(self._mark)]
        self._step = self._at_boundary
        return True
