"""Callers that do everything wrong: PDUs and datasets made by hand, since no library would write them."""

from __future__ import annotations

import random
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from typing import Any, Self

import pydicom
from pydicom.data import get_testdata_file
from pydicom.filebase import DicomFileLike
from pydicom.filewriter import write_dataset
from pydicom.uid import generate_uid

CT, ECHO = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.1"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
Case = Callable[[int], "Line | None"]
_ANSWER_WITHIN = 8.0


# -- PS3.8 by hand ---------------------------------------------------------------------------------------------------


def _item(kind: int, data: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(data)) + data


def associate(called: bytes = b"PHOTOPEAK", calling: bytes = b"MALFORMED", syntax: str = EXPLICIT) -> bytes:
    """Return an A-ASSOCIATE-RQ that offers CT storage and echo."""
    contexts = b"".join(
        _item(0x20, bytes((number, 0, 0, 0)) + _item(0x30, each.encode()) + _item(0x40, syntax.encode()))
        for number, each in ((1, CT), (3, ECHO))
    )
    user = _item(0x50, _item(0x51, struct.pack(">L", 16384)) + _item(0x52, b"1.2.3.4"))
    body = struct.pack(">HH", 1, 0) + called.ljust(16)[:16] + calling.ljust(16)[:16] + bytes(32)
    return pdu(1, body + _item(0x10, b"1.2.840.10008.3.1.1.1") + contexts + user)


def pdu(kind: int, body: bytes, length: int | None = None) -> bytes:
    return struct.pack(">BBL", kind, 0, len(body) if length is None else length) + body


def data(body: bytes, *, control: int, context: int = 1) -> bytes:
    return pdu(4, struct.pack(">LBB", len(body) + 2, context, control) + body)


def command(sop_class: str, sop_instance: str, *, field: int = 1, has_dataset: int = 1) -> bytes:
    """Return a command set, a C-STORE-RQ unless `field` says otherwise."""
    elements = b"".join(
        struct.pack("<HHL", 0, tag, len(value)) + value
        for tag, value in (
            (0x0002, _even(sop_class)), (0x0100, struct.pack("<H", field)), (0x0110, b"\1\0"), (0x0700, b"\0\0"),
            (0x0800, struct.pack("<H", has_dataset)), (0x1000, _even(sop_instance)),
        )
    )  # fmt: skip
    return struct.pack("<HHLL", 0, 0, 4, len(elements)) + elements


def _even(text: str) -> bytes:
    return text.encode("latin-1") + b"\0" * (len(text) % 2)


class Line:
    """A connection to the service."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.settimeout(_ANSWER_WITHIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def say(self, *parts: bytes) -> None:
        with suppress(OSError):  # it may hang up while we talk, and should
            for part in parts:
                self.socket.sendall(part)

    def hear(self) -> bytes:
        """Return a whole PDU; empty when the service hung up."""
        with suppress(OSError):
            head = self._exactly(6)
            if len(head) == 6:
                return head + self._exactly(struct.unpack(">L", head[2:])[0])
        return b""

    def _exactly(self, count: int) -> bytes:
        got = b""
        while len(got) < count and (piece := self.socket.recv(count - len(got))):
            got += piece
        return got


def status_of(answer: bytes) -> int | None:
    """Return the status in a P-DATA answer; None when it is none."""
    at = answer.find(b"\0\0\0\x09\2\0\0\0")
    return struct.unpack("<H", answer[at + 8 : at + 10])[0] if answer[:1] == b"\4" and at > 0 else None


def store(
    port: int,
    dataset: bytes,
    sop_class: str,
    sop_instance: str,
    *,
    calling: bytes = b"MALFORMED",
    syntax: str = EXPLICIT,
) -> int | None:
    """Send one object by C-STORE, whatever its bytes; return its status, None when the service hung up."""
    with Line(port) as line:
        line.say(associate(calling=calling, syntax=syntax))
        if line.hear()[:1] != b"\2":
            return None
        line.say(data(command(sop_class, sop_instance), control=3))
        pieces = [dataset[at : at + 16000] for at in range(0, len(dataset), 16000)] or [b""]
        line.say(*(data(piece, control=0) for piece in pieces[:-1]), data(pieces[-1], control=2))
        status = status_of(line.hear())
        line.say(pdu(5, bytes(4)))
        line.hear()
        return status


# -- what is sent ----------------------------------------------------------------------------------------------------


def _object(**said: object) -> tuple[Any, bytes]:
    """Return a small CT and its bytes, in Explicit VR Little Endian."""
    one: Any = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    one.SOPInstanceUID = generate_uid()
    one.Rows = one.Columns = 16
    one.PixelData = bytes(512)
    del one.DataSetTrailingPadding
    for keyword, value in said.items():
        one[keyword] = pydicom.DataElement(keyword, one[keyword].VR, value, validation_mode=0)
    out = BytesIO()
    file = DicomFileLike(out)
    file.is_little_endian, file.is_implicit_VR = True, False
    write_dataset(file, one)
    return one, out.getvalue()


def cases(chance: random.Random, share: float = 1.0) -> Iterator[tuple[str, Case]]:
    """Yield about 200 ways of being wrong, or a share of each kind."""
    kinds: tuple[tuple[str, int, Callable[[random.Random, int], Case]], ...] = (
        ("truncated dataset", 40, _truncated), ("wrong length", 30, _wrong_length), ("absurd VR", 20, _absurd_vr),
        ("mismatched UIDs", 10, _mismatched), ("empty or huge value", 20, _sized), ("path trick", 20, _path_trick),
        ("broken PDU", 40, _broken_pdu), ("slow or silent peer", 20, _silent),
    )  # fmt: skip
    for name, count, make in kinds:
        for number in range(max(round(count * share), 1)):
            yield f"{name} {number}", make(chance, number)


def _sends(
    dataset: bytes, sop_class: str, sop_instance: str, *, refused: bool = True, calling: bytes = b"MALFORMED"
) -> Case:
    def case(port: int) -> None:
        status = store(port, dataset, sop_class, sop_instance, calling=calling)
        assert not refused or status != 0, "a broken object was acknowledged"

    return case


def _truncated(chance: random.Random, number: int) -> Case:
    one, encoded = _object()
    return _sends(encoded[: chance.randrange(1 + number % 3, len(encoded) - 9)], CT, one.SOPInstanceUID)


def _wrong_length(chance: random.Random, number: int) -> Case:
    one, encoded = _object()
    at = encoded.index(b"\x28\x00\x10\x00US") + 6 if number % 2 else encoded.index(b"\x10\x00\x20\x00LO") + 6
    length = chance.choice((0xFFFF, 0xFFFE, 0x7FFF, 0x8001))
    return _sends(encoded[:at] + struct.pack("<H", length) + encoded[at + 2 :], CT, one.SOPInstanceUID)


def _absurd_vr(chance: random.Random, number: int) -> Case:
    one, encoded = _object()
    at = encoded.index(b"\x10\x00\x20\x00LO") + 4
    vr = (b"ZZ", b"\0\0", b"\xff\xff", b"SQ", b"OB", b"UN", b"  ", b"AT")[number % 8]
    return _sends(encoded[:at] + vr + encoded[at + 2 :], CT, one.SOPInstanceUID, refused=False)


def _mismatched(chance: random.Random, number: int) -> Case:
    one, encoded = _object()
    other = "1.2.840.10008.5.1.4.1.1.4" if number % 2 else CT
    return _sends(encoded, other, one.SOPInstanceUID if number % 2 else generate_uid())


def _sized(chance: random.Random, number: int) -> Case:
    keyword = ("PatientID", "PatientName", "StudyInstanceUID", "SOPInstanceUID", "SeriesInstanceUID")[number % 5]
    value = ("", "9" * 60_000)[number // 5 % 2]
    one, encoded = _object(**{keyword: value})
    uid = generate_uid() if keyword == "SOPInstanceUID" else one.SOPInstanceUID
    return _sends(encoded, CT, uid, refused=keyword == "SOPInstanceUID")


_TRICKS = (
    "../../../../tmp/escaped",
    "/tmp/escaped",
    "..",
    "a/../../b",
    "\0/tmp/escaped",
    "con\\..\\x",
    "~/.ssh/x",
    "%2e%2e/",
)


def _path_trick(chance: random.Random, number: int) -> Case:
    trick = _TRICKS[number % len(_TRICKS)]
    if number % 3 == 0:
        one, encoded = _object(PatientID=trick, StudyInstanceUID=trick)
        return _sends(encoded, CT, one.SOPInstanceUID, refused=False)
    if number % 3 == 1:
        _, encoded = _object(SOPInstanceUID=trick)
        return _sends(encoded, CT, trick)
    one, encoded = _object()
    return _sends(encoded, CT, one.SOPInstanceUID, refused=False, calling=trick.encode("latin-1")[:16])


def _broken_pdu(chance: random.Random, number: int) -> Case:
    one, encoded = _object()
    stored = data(command(CT, one.SOPInstanceUID), control=3)
    noise = chance.randbytes(200)
    speeches: tuple[tuple[bytes, ...], ...] = (
        (noise,),
        (pdu(1, b""),),
        (pdu(1, noise),),
        (associate()[:60],),
        (pdu(1, associate()[6:], length=0xFFFFFFFF),),
        (pdu(4, noise),),
        (pdu(9, noise),),
        (pdu(7, bytes(4)),),
        (associate(), pdu(4, b"")),
        (associate(), pdu(4, noise)),
        (associate(), pdu(4, struct.pack(">LBB", 0xFFFFFF, 1, 3) + b"x")),
        (associate(), data(noise, control=3)),
        (associate(), data(b"", control=3)),
        (associate(), data(command(CT, "1.2", field=0x7777), control=3)),
        (associate(), data(command(CT, "1.2"), control=3, context=77)),
        (associate(), data(encoded, control=2)),
        (associate(), stored, stored),
        (associate(), stored, pdu(4, encoded[:500], length=0x7FFFFFFF)),
        (associate(), associate()),
        (associate(), pdu(2, noise)),
    )
    speech = speeches[number % len(speeches)]

    def case(port: int) -> None:
        with Line(port) as line:
            for part in speech:
                line.say(part)
            line.socket.settimeout(0.3)
            line.hear()

    return case


def _silent(chance: random.Random, number: int) -> Case:
    one, encoded = _object()
    begun = (
        b"", associate()[:3], associate()[:40], associate(),
        associate() + data(command(CT, one.SOPInstanceUID), control=3),
        associate() + data(command(CT, one.SOPInstanceUID), control=3) + data(encoded, control=2)[:400],
    )[number % 6]  # fmt: skip
    leaves, drips = number % 3 == 0, number % 4 == 3

    def case(port: int) -> Line | None:
        line = Line(port)
        line.say(begun)
        for _ in range(5 if drips else 0):
            time.sleep(0.1)
            line.say(b"\0")
        if leaves:
            line.socket.close()
        return None if leaves else line

    return case


def endure(port: int, share: float, still_up: Callable[[], bool]) -> int:
    """Do it all to the service; return how many cases that were. Silent peers stay on the line to the end."""
    lines: list[Line] = []
    count = 0
    for name, case in cases(random.Random(11), share):
        try:
            line = case(port)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error
        if line is not None:
            lines.append(line)
        count += 1
        assert still_up(), f"photopeakd went down: {name}"
    return_after = time.monotonic() + _ANSWER_WITHIN
    while lines and time.monotonic() < return_after:
        time.sleep(0.2)
        lines = [line for line in lines if not _hung_up(line)]
    for line in lines:
        line.socket.close()
    return count


def _hung_up(line: Line) -> bool:
    """Whether the service let a silent peer go."""
    line.socket.settimeout(0.01)
    try:
        gone = not line.socket.recv(4096)
    except TimeoutError:
        return False
    except OSError:
        gone = True
    if gone:
        line.socket.close()
    return gone
