"""Objects brought over HTTP: each goes to the store as it comes, and is durable and filed before it is listed.

While an object is synced and filed the next one is read; those of several requests are filed together. What is no
standard DICOM file is written down first and read with every care.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.dataset import FileMetaDataset

from core import access, audit
from core.access import Actor
from core.archive.keeper import KEPT_APART, Arriving, Mismatch, NoRoom, Staged, Unreadable
from core.errors import Broken, CoreError, Refused
from core.vocabulary import Operation
from core.workflow.dicomweb import Place
from core.workflow.reception import Reception

OUT_OF_RESOURCES, DOES_NOT_MATCH, CANNOT_UNDERSTAND, FAILED = 0xA700, 0xA900, 0xC000, 0x0110
"""Reasons an object was not stored (PS3.18 Table I.2-2, PS3.7 C.5)."""
_REASONS: tuple[tuple[type[CoreError], int], ...] = (
    (Mismatch, DOES_NOT_MATCH),
    (NoRoom, OUT_OF_RESOURCES),
    (Refused, CANNOT_UNDERSTAND),
    (Broken, FAILED),
)
_AT_ONCE = 4
_PREFIX = 128 + 4  # preamble and DICM (PS3.10 7.1)
_GROUP_LENGTH = b"\x02\x00\x00\x00UL\x04\x00"
_FIRST = _PREFIX + len(_GROUP_LENGTH) + 4
_LONGEST_META = 1 << 16


@dataclass(frozen=True)
class Stored:
    """An object taken in; `apart` when it is kept apart, since another object has its UID."""

    place: Place
    sop_class: str
    apart: bool = False


@dataclass(frozen=True)
class NotStored:
    """An object not taken in, and why; its UIDs are empty where they could not be read."""

    reason: int
    detail: str
    sop_class: str = ""
    sop_uid: str = ""


class Deposit:
    """What one request brings; `study` refuses objects of another one, `largest` those of more bytes."""

    def __init__(self, reception: Reception, actor: Actor, study: str, largest: int) -> None:
        """Ask whether the actor may bring objects at all."""
        access.require(actor, Operation.FILE)
        self.reception, self._actor, self._study, self.largest = reception, actor, study, largest
        self._outcomes: list[Future[Stored | NotStored] | NotStored] = []
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="deposit")

    def begin(self) -> Brought:
        """Begin with an object; while too many are not durable yet, wait for the oldest."""
        running = [one for one in self._outcomes if isinstance(one, Future) and not one.done()]
        if len(running) >= _AT_ONCE:
            running[0].exception()
        return Brought(self)

    def refuse(self, detail: str) -> None:
        """Note something that was brought and is no object."""
        self._outcomes.append(NotStored(CANNOT_UNDERSTAND, detail))

    def keep(self, brought: Brought) -> None:
        """Have an object made durable and filed, now that it is whole."""
        self._outcomes.append(self._pool.submit(self._kept, brought))

    def _kept(self, brought: Brought) -> Stored | NotStored:
        try:
            staged = brought.staged()
            return self._filed(staged)
        except CoreError as error:
            reason = next((code for kind, code in _REASONS if isinstance(error, kind)), FAILED)
            return NotStored(reason, error.detail, *brought.uids())
        finally:
            brought.close()

    def _filed(self, staged: Staged) -> Stored:
        said = staged.identity
        if self._study and said.study_instance_uid != self._study:
            self.reception.keeper.forget(staged)
            raise Mismatch(f"the object belongs to study {said.study_instance_uid or 'of no UID'}, not to this one")
        kept = self.reception.take(self._actor, staged)
        place = Place(said.study_instance_uid, said.series_instance_uid, said.sop_instance_uid)
        return Stored(place, said.sop_class_uid, apart=kept.status == KEPT_APART)

    def done(self) -> list[Stored | NotStored]:
        """Wait until all is durable, note in the audit trail what was brought, and return what became of it."""
        self._pool.shutdown()
        ended = [one.result() if isinstance(one, Future) else one for one in self._outcomes]
        if ended:
            stored = sum(isinstance(one, Stored) for one in ended)
            with self.reception.records.writing() as work:
                audit.record(
                    work, self._actor, "object.bring", self._study, stored=stored, failed=len(ended) - stored,
                    by="dicomweb",
                )  # fmt: skip
        return ended


class Brought:
    """One object on its way: to the store as soon as its file meta is read, else to a file of its own."""

    def __init__(self, deposit: Deposit) -> None:
        self._deposit = deposit
        self._head: bytearray | None = bytearray()
        self._arriving: Arriving | None = None
        self._spool: BinaryIO | None = None
        self._meta = FileMetaDataset()
        self._failure: CoreError | None = None
        self._size = 0

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        """Take the next bytes, valid until this returns; what goes wrong is said by `staged`."""
        if self._failure is not None:
            return
        self._size += len(piece)
        try:
            if self._size > self._deposit.largest:
                raise NoRoom(f"the object is larger than {self._deposit.largest} bytes, the most taken here")
            rest = memoryview(piece)
            if self._head is not None:
                self._head += rest[:_LONGEST_META]
                rest = rest[_LONGEST_META:]
                self._look(ended=False)
            if rest:
                self._pass(rest)
        except CoreError as error:
            self._failure = error

    def staged(self) -> Staged:
        """Return the object, synced and read, now that it is whole; raises CoreError."""
        if self._failure is None:
            self._look(ended=True)
        if self._failure is not None:
            raise self._failure
        if self._arriving is not None:
            return self._arriving.finish()
        if self._spool is None:
            raise Unreadable("the part is empty")
        self._spool.flush()
        return self._deposit.reception.keeper.stage_file(Path(self._spool.name))

    def uids(self) -> Iterator[str]:
        """Yield SOP Class and Instance UID as far as the file meta tells, for saying what failed."""
        yield str(self._meta.get("MediaStorageSOPClassUID") or "")
        yield str(self._meta.get("MediaStorageSOPInstanceUID") or "")

    def close(self) -> None:
        """Forget what was not kept; again does nothing."""
        if self._arriving is not None and self._failure is not None:
            self._arriving.abandon()
        if self._spool is not None:
            self._spool.close()

    def abandon(self) -> None:
        """Forget an object that breaks off."""
        if self._arriving is not None:
            self._arriving.abandon()
        self.close()

    def _look(self, *, ended: bool) -> None:
        """Decide where the object goes, once enough of it is there."""
        head = self._head
        if head is None:
            return
        length = _meta_length(head)
        if length is None and not ended and len(head) < _FIRST:
            return
        if length and len(head) < length and not ended:
            return
        self._head = None
        if length and len(head) >= length and self._opened(bytes(head[:length])):
            del head[:length]
        elif head:
            self._spool = _spool()
        self._pass(bytes(head))

    def _opened(self, meta: bytes) -> bool:
        """Whether the file meta names the object; then it has begun to go to the store."""
        try:
            self._meta = pydicom.dcmread(io.BytesIO(meta), force=True).file_meta
            uids = (self._meta.MediaStorageSOPClassUID, self._meta.MediaStorageSOPInstanceUID)
            announced = str(uids[0]), str(uids[1]), str(self._meta.TransferSyntaxUID)
        except Exception:  # noqa: BLE001 - pydicom raises anything on broken bytes; then it is read with care
            return False
        self._arriving = self._deposit.reception.incoming(announced, "")
        return True

    def _pass(self, piece: bytes | memoryview) -> None:
        if self._arriving is not None:
            self._arriving.write(piece)
        elif self._spool is not None:
            try:
                self._spool.write(piece)
            except OSError as error:
                raise NoRoom(f"the object cannot be written down ({error.strerror}): make room") from error


def _meta_length(head: bytearray) -> int | None:
    """How long preamble and file meta are; None where the head is too short to tell, 0 where it has none."""
    if len(head) < _FIRST:
        return None
    if head[_PREFIX - 4 : _PREFIX] != b"DICM" or not head.startswith(_GROUP_LENGTH, _PREFIX):
        return 0
    length = _FIRST + int.from_bytes(head[_FIRST - 4 : _FIRST], "little")
    return length if length <= _LONGEST_META else 0


def _spool() -> BinaryIO:
    try:
        return tempfile.NamedTemporaryFile(prefix="photopeak-")  # type: ignore[return-value]
    except OSError as error:
        raise NoRoom(f"the object cannot be written down ({error.strerror}): make room") from error
