"""Recorded associations, changed at random and said again to the listener."""

from __future__ import annotations

import contextlib
import random
import resource
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.data import get_testdata_file

from core.scp.listener import Listener, Manners
from tests.peers.answering import Shelf, answering
from tests.peers.malformed import Line, associate

HANGS_AFTER = 20.0
CT_FILE = Path(str(get_testdata_file("CT_small.dcm")))
NM_FILE = Path(str(get_testdata_file("JPEG2000.dcm")))
_KEYS = ("-k", "QueryRetrieveLevel=STUDY", "-k", "PatientID", "-k", "PatientName=A*")
SPEAKERS: tuple[tuple[str, ...], ...] = (
    ("echoscu", "--repeat", "3"),
    ("storescu", "--max-send-pdu", "4096", str(CT_FILE)),
    ("storescu", "-xs", "--max-send-pdu", "8192", str(CT_FILE), str(CT_FILE)),
    ("findscu", "-S", *_KEYS),
    ("findscu", "-W", "-k", "PatientName"),
    ("findscu", "-S", "--cancel", "2", *_KEYS),
    ("getscu", "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2"),
)


@dataclass
class Endured:
    """What came of it."""

    count: int = 0
    hung: list[int] = field(default_factory=list)
    broke_off: list[str] = field(default_factory=list)
    grown_mb: float = 0.0
    left_open: int = 0
    threads: int = 0


def recorded(listener: Listener, program: str, *arguments: str) -> bytes:
    """Return what a program of DCMTK said to the listener on one association."""
    heard = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as between:
        port = between.getsockname()[1]
        line = [program, "-aec", "PHOTOPEAK", "127.0.0.1", str(port), *arguments]
        caller = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with between.accept()[0] as here, socket.create_connection(("127.0.0.1", listener.port)) as there:
            back = threading.Thread(target=_pass_on, args=(there, here, bytearray()))
            back.start()
            _pass_on(here, there, heard)
            back.join()
        caller.wait(30)
    return bytes(heard)


def _pass_on(from_one: socket.socket, to_other: socket.socket, heard: bytearray) -> None:
    with contextlib.suppress(OSError):
        while piece := from_one.recv(65536):
            heard += piece
            to_other.sendall(piece)
        to_other.shutdown(socket.SHUT_WR)


def pdus(said: bytes) -> list[bytes]:
    """Cut what was said into its PDUs."""
    cut = []
    while len(said) >= 6:
        length = 6 + struct.unpack(">L", said[2:6])[0]
        cut.append(said[:length])
        said = said[length:]
    return cut


def mutated(chance: random.Random, records: list[bytes]) -> bytes:
    """Return one of the records with one to five things wrong."""
    said = chance.choice(records)
    for _ in range(chance.randint(1, 5)):
        said = chance.choice(_MUTATIONS)(chance, said, records)
    return said


def _a_byte(chance: random.Random, said: bytes, _: list[bytes]) -> bytes:
    at = chance.randrange(len(said) + 1)
    return said[:at] + bytes((chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256))),)) + said[at + 1 :]


def _a_head(chance: random.Random, said: bytes, _: list[bytes]) -> bytes:
    """Change a byte near the beginning of a PDU, where its lengths and flags are."""
    cut = pdus(said)
    if not cut:
        return said
    at = chance.randrange(len(cut))
    near = chance.randrange(min(len(cut[at]), 16))
    cut[at] = cut[at][:near] + bytes((chance.randrange(256),)) + cut[at][near + 1 :]
    return b"".join(cut)


def _cut_out(chance: random.Random, said: bytes, _: list[bytes]) -> bytes:
    at = chance.randrange(len(said) + 1)
    return said[:at] + said[at + chance.randrange(1, 64) :]


def _put_in(chance: random.Random, said: bytes, _: list[bytes]) -> bytes:
    at = chance.randrange(len(said) + 1)
    return said[:at] + chance.randbytes(chance.randrange(1, 64)) + said[at:]


def _cut_off(chance: random.Random, said: bytes, _: list[bytes]) -> bytes:
    return said[: chance.randrange(len(said) + 1)]


def _rearranged(chance: random.Random, said: bytes, records: list[bytes]) -> bytes:
    """Drop, repeat, exchange or borrow whole PDUs."""
    cut = pdus(said)
    if not cut:
        return said
    one, other = chance.randrange(len(cut)), chance.randrange(len(cut))
    match chance.randrange(4):
        case 0:
            del cut[one]
        case 1:
            cut.insert(other, cut[one])
        case 2:
            cut[one], cut[other] = cut[other], cut[one]
        case _:
            cut.insert(one, chance.choice(pdus(chance.choice(records)) or [b""]))
    return b"".join(cut)


_MUTATIONS: tuple[Callable[[random.Random, bytes, list[bytes]], bytes], ...] = (
    _a_byte, _a_byte, _a_head, _a_head, _cut_out, _put_in, _cut_off, _rearranged,
)  # fmt: skip


def endure(count: int, seed: int) -> Endured:
    """Say so many mutations to a listener of its own, one after another."""
    done, chance, shelf = Endured(), random.Random(seed), Shelf()
    manners = Manners(artim_seconds=2, idle_seconds=2)
    with _noticing(done.broke_off), answering(shelf, manners) as listener:
        records = [recorded(listener, *speaker) for speaker in SPEAKERS]
        assert all(records), "a program said nothing"
        for _ in _counted(count // 10):
            _say(listener.port, mutated(chance, records))
        shelf.objects.clear()
        time.sleep(2)  # threads that wait for a next connection go home
        before, threads = _memory_mb(), threading.active_count()
        for number in _counted(count):
            if not _say(listener.port, mutated(chance, records)):
                done.hung.append(number)
            shelf.objects.clear()
            shelf.announced.clear()
            shelf.abandoned.clear()
            shelf.asked.clear()
        until = time.monotonic() + 10
        while (listener.connections or threading.active_count() > threads) and time.monotonic() < until:
            time.sleep(0.05)
        done.count, done.grown_mb, done.left_open = count, _memory_mb() - before, listener.connections
        done.threads = threading.active_count() - threads
        with Line(listener.port) as line:
            line.say(associate())
            assert line.hear()[:1] == b"\2", "the listener answers no more"
    return done


def _counted(count: int) -> Iterator[int]:
    yield from range(count)


def _say(port: int, said: bytes) -> bool:
    """Say it all, hear what there is to hear; False when the listener neither answers nor hangs up."""
    with socket.create_connection(("127.0.0.1", port), 10) as line:
        line.settimeout(HANGS_AFTER)
        with contextlib.suppress(OSError):  # it hung up already
            line.sendall(said)
            line.shutdown(socket.SHUT_WR)
        try:
            while line.recv(65536):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            return True
    return True


@contextlib.contextmanager
def _noticing(broke_off: list[str]) -> Iterator[None]:
    """Take down every thread that ends with an exception."""
    before = threading.excepthook
    threading.excepthook = lambda ended: broke_off.append(f"{ended.exc_type.__name__}: {ended.exc_value}")
    try:
        yield
    finally:
        threading.excepthook = before


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
