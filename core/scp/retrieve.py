"""Retrieve as a provider (PS3.4 C.4.2, C.4.3): C-MOVE to a known device, C-GET on the asker's own association.

Objects leave as they are kept where the receiver takes that, rewritten without loss where it does not; one that cannot
be sent is counted as failed and holds nothing else up. The next files are read ahead while one is sent, a receiver
that is slow slows nobody but itself.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Protocol

from pydicom import Dataset

from core import wire
from core.dicom import codecs, conformance
from core.dicom.information_models import Model
from core.dicom.objects import dataset_start
from core.dimse.association import Association
from core.dimse.messages import Status
from core.errors import CoreError, PeerFailed, Refused
from core.records import Records
from core.scp import Caller, Outgoing, Retrieved, Retrieving
from core.scp.query_retrieve import asker
from core.scu.peer import Object, Peer, by_contexts
from core.workflow import retrieval

SUCCESS, WITH_FAILURES, UNABLE, CANCELLED = 0x0000, 0xB000, 0xA702, 0xFE00
_WARNING = 0xB000
_AHEAD = 8  # files opened and read ahead
_READ_AHEAD = 16 << 20  # bytes of each
_HEAD = 1 << 16
_PIECE = 1 << 18
_TOLD_EVERY = 0.1  # seconds between two pending answers
_BEST_FIRST = conformance.MESSAGE_SYNTAXES[:2]


class Receiver(Protocol):
    """Who takes objects: the asker itself, or a device on an association of ours."""

    def accepted(self, sop_class: str) -> tuple[str, ...]:
        """Return the transfer syntaxes it takes a class in."""

    def send(self, outgoing: Outgoing, dataset: Iterable[bytes | memoryview] | None = None) -> Status:
        """Send an object; raises PeerFailed when it is gone."""


def get(
    records: Records, place: Callable[[str], Path], caller: Caller, keys: Dataset, model: Model, retrieving: Retrieving
) -> Retrieved:
    """Send what the keys name to the asker on its own association; raises Invalid, and PeerFailed when it is gone."""
    chosen = retrieval.retrieve(records, place, asker(caller), keys, model, None)
    count = _Count(retrieving, len(chosen.objects))
    _send_all(chosen.objects, retrieving, count)
    return count.ended()


def move(
    records: Records, place: Callable[[str], Path], call: Callable[[wire.Device], Peer], caller: Caller, keys: Dataset,
    model: Model, destination: str, retrieving: Retrieving,
) -> Retrieved:  # fmt: skip
    """Send what the keys name to a known device; raises Invalid, and NotFound where it is not known."""
    chosen = retrieval.retrieve(records, place, asker(caller), keys, model, destination)
    count = _Count(retrieving, len(chosen.objects))
    if chosen.device is not None:
        peer = replace(call(chosen.device), aet=destination)
        for part in by_contexts(chosen.objects):
            if not count.cancelled:
                _send_part(part, peer, (caller.aet, retrieving.message_id), count)
    return count.ended()


def _send_part(part: Sequence[Object], peer: Peer, originator: tuple[str, int], count: _Count) -> None:
    """Send objects on one association; those it breaks off before are failed."""
    done = count.done
    try:
        with peer.association_for(part) as association:
            _send_all(part, _Device(association, originator), count)
    except PeerFailed as error:
        count.lost(part[count.done - done :], error.detail)


def _send_all(objects: Sequence[Object], receiver: Receiver, count: _Count) -> None:
    for ready in _read_ahead(objects):
        with ready:
            if count.is_over():
                return
            count.note(ready.one, _sent(ready, receiver))


def _sent(ready: _Ready, receiver: Receiver) -> Status | str:
    """Send one object; return what the receiver said, or why it could not be sent."""
    one, syntaxes = ready.one, receiver.accepted(ready.one.sop_class)
    if not syntaxes:
        return "the receiver does not take this kind of object"
    if ready.file is None:
        return "its file is gone or not as it was stored: run verify"
    outgoing = Outgoing(one.sop_class, one.sop_instance, one.transfer_syntax, one.path, ready.offset, ready.size)
    try:
        if one.transfer_syntax in syntaxes:
            return receiver.send(outgoing, ready.pieces())
        wanted = sorted(syntaxes, key=lambda syntax: (syntax not in _BEST_FIRST, syntax))
        syntax, dataset = codecs.transcode(one.path, ready.offset, one.transfer_syntax, wanted)
        return receiver.send(replace(outgoing, transfer_syntax=syntax), [_even(dataset)])
    except PeerFailed:
        raise
    except CoreError as error:
        return error.detail
    except OSError as error:
        return f"its file cannot be read ({type(error).__name__})"


@dataclass(frozen=True)
class _Device:
    """A device as receiver: an association of ours, on behalf of the C-MOVE of an asker."""

    association: Association
    originator: tuple[str, int]

    def accepted(self, sop_class: str) -> tuple[str, ...]:
        return tuple(each.transfer_syntax for each in self.association.contexts if each.abstract_syntax == sop_class)

    def send(self, outgoing: Outgoing, dataset: Iterable[bytes | memoryview] | None = None) -> Status:
        for context in self.association.contexts:
            if (context.abstract_syntax, context.transfer_syntax) == (outgoing.sop_class, outgoing.transfer_syntax):
                return self.association.store(
                    context, outgoing.sop_class, outgoing.sop_uid, dataset or (), originator=self.originator
                )
        raise Refused("the receiver does not take this class in this transfer syntax")


@dataclass
class _Count:
    """The sub-operations of one request: what became of each, told to the asker now and then."""

    asker: Retrieving
    remaining: int
    completed: int = 0
    warning: int = 0
    failed_uids: list[str] = field(default_factory=list)
    comment: str = ""
    cancelled: bool = False
    told_at: float = 0.0

    @property
    def done(self) -> int:
        return self.completed + self.warning + len(self.failed_uids)

    def is_over(self) -> bool:
        """Whether the asker has cancelled."""
        self.cancelled = self.cancelled or self.asker.cancelled
        return self.cancelled

    def note(self, one: Object, said: Status | str) -> None:
        self.remaining -= 1
        if isinstance(said, Status) and said.code == SUCCESS:
            self.completed += 1
        elif isinstance(said, Status) and said.code & 0xF000 == _WARNING:
            self.warning += 1
        else:
            self.failed_uids.append(one.sop_instance)
            self.comment = self.comment or (said if isinstance(said, str) else said.comment)
        now = time.monotonic()
        if self.remaining and now - self.told_at > _TOLD_EVERY:
            self.told_at = now
            self.asker.pending(self.remaining, self.completed, len(self.failed_uids), self.warning)

    def lost(self, objects: Iterable[Object], why: str) -> None:
        """Count what can no longer be sent."""
        uids = [one.sop_instance for one in objects]
        self.failed_uids += uids
        self.remaining -= len(uids)
        self.comment = self.comment or why

    def ended(self) -> Retrieved:
        """Say how it ended (PS3.4 C.4.2.1.5, C.4.3.1.4)."""
        failed = len(self.failed_uids)
        status = SUCCESS
        if self.cancelled:
            status = CANCELLED
        elif failed and not self.completed + self.warning:
            status = UNABLE
        elif failed or self.warning:
            status = WITH_FAILURES
        comment = "" if status == SUCCESS else self.comment
        return Retrieved(status, self.completed, failed, self.warning, self.remaining, tuple(self.failed_uids), comment)


# -- files -----------------------------------------------------------------------------------------------------------


@dataclass
class _Ready:
    """An object whose file is open and on its way into memory; no file where it cannot be read."""

    one: Object
    file: BinaryIO | None = None
    offset: int = 0
    size: int = 0

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        if self.file is not None:
            self.file.close()

    def pieces(self) -> Iterator[bytes]:
        """Yield the dataset's bytes, behind the file meta; each piece has an even length."""
        if self.file is None:
            return
        self.file.seek(self.offset)
        while piece := self.file.read(_PIECE):
            yield _even(piece)


def _read_ahead(objects: Iterable[Object]) -> Iterator[_Ready]:
    """Yield objects with their files open, the next few always under way from the disk."""
    waiting: deque[_Ready] = deque()
    with ExitStack() as left:
        left.callback(_close, waiting)
        for one in objects:
            waiting.append(_opened(one))
            if len(waiting) > _AHEAD:
                yield waiting.popleft()
        while waiting:
            yield waiting.popleft()


def _close(waiting: Iterable[_Ready]) -> None:
    for each in waiting:
        with each:
            pass


def _opened(one: Object) -> _Ready:
    try:
        file = one.path.open("rb", buffering=0)
    except OSError:
        return _Ready(one)
    ready = _Ready(one, file)
    try:
        ready.size = os.fstat(file.fileno()).st_size
        ready.offset = dataset_start(file.read(_HEAD) or b"")
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, min(ready.size, _READ_AHEAD), os.POSIX_FADV_WILLNEED)
    except OSError:
        file.close()
        return _Ready(one)
    if one.size not in (None, ready.size):
        file.close()
        return _Ready(one)
    ready.size -= ready.offset
    return ready


def _even(piece: bytes) -> bytes:
    return piece + b"\0" if len(piece) % 2 else piece
