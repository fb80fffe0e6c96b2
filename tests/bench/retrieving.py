"""C-MOVE and C-GET of one series out of photopeak, Orthanc with its default configuration, and dcmqrscp, in turn.

Run: .venv/bin/python -m tests.bench.retrieving [SLICES=200] [SIZE=512]. All three send to the same receiver, which
throws away what it gets, and answer the same asker. Asked for is at least as fast as Orthanc.
"""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import httpx
import pydicom
from pydicom import Dataset

from core.dicom import conformance
from core.dicom.encoding import encoded
from core.dimse.association import Association, connect
from core.dimse.messages import IS_RESPONSE, Field, Tag
from core.dimse.negotiation import Proposed
from core.errors import Refused
from core.scp import Answer, Caller, Services
from core.scp.listener import Listener, Manners
from tests.peers.dcmqrscp import dcmqrscp
from tests.peers.orthanc import orthanc
from tests.peers.process import Photopeakd, photopeakd, slices

MOVE, GET, CT = conformance.MOVE.uids[1], conformance.GET.uids[1], "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = conformance.MESSAGE_SYNTAXES[0]
TIMES = 5
_PORTS = (28043, 24243, 24244)


class Nothing:
    """A sink that keeps nothing."""

    def write(self, piece: memoryview) -> None:
        """Throw a piece away."""

    def finish(self) -> Answer:
        """Say it is kept."""
        return Answer(0)

    def abandon(self) -> None:
        """Nothing to forget."""


def receive(told: Connection) -> None:
    """Be the receiver, until ended."""

    def unknown(*_: object) -> Iterator[bytes]:
        raise Refused("this receiver only receives")

    services = Services(
        who=lambda aet, host: Caller(aet, host, "MAIN"), echo=lambda _: None, store=lambda *_: Nothing(),
        find=unknown, find_worklist=unknown, mpps_create=unknown, mpps_set=unknown,  # type: ignore[arg-type]
    )  # fmt: skip
    listener = Listener(("127.0.0.1", 0), services, Manners(aet="SINK"))
    listener.start()
    told.send(listener.port)
    while True:
        time.sleep(1)


@contextmanager
def receiver() -> Iterator[int]:
    """Run the receiver as a process of its own; yields its port."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=receive, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join(10)


def called(aet: str, port: int) -> Association:
    contexts = [Proposed(MOVE, (EXPLICIT,)), Proposed(GET, (EXPLICIT,)), Proposed(CT, (EXPLICIT,), scu=False, scp=True)]
    return connect("127.0.0.1", port, calling="BENCH", called=aet, contexts=contexts)


def move(association: Association, keys: bytes) -> int:
    context = next(each for each in association.contexts if each.abstract_syntax == MOVE)
    completed = 0
    for _, command in association.move(context, MOVE, keys, "SINK"):
        completed = command.number(Tag.COMPLETED)
    return completed


def get(association: Association, keys: bytes) -> int:
    """Ask for a C-GET, throw away what comes, and return how many came."""
    context = next(each for each in association.contexts if each.abstract_syntax == GET)
    association._ask(context, Field.C_GET, GET, [keys], [(Tag.PRIORITY, 0)])
    came = 0
    while True:
        command = association.next_command()
        if command.field & IS_RESPONSE:
            if command.status.code & 0xFF00 != 0xFF00:
                return came
            continue
        for _ in association.pieces(command):
            pass
        association.respond(command, 0)
        came += 1


def main(count: int = 200, size: int = 512) -> None:
    """Print objects a second for each."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        paths = slices(folder / "sent", count, size=size)
        http, dicom, third = _PORTS
        sink = stack.enter_context(receiver())
        photopeakd("device", "add", "SINK", "127.0.0.1", sink, folder=folder / "ours")
        service = stack.enter_context(Photopeakd(folder / "ours"))
        client = stack.enter_context(orthanc(folder / "orthanc", http, dicom, service.port))
        _know(client, sink)
        stack.enter_context(dcmqrscp(folder / "qrscp", third, sink))
        asked = {"photopeak": ("PHOTOPEAK", service.port), "Orthanc": ("ORTHANC", dicom), "dcmqrscp": ("QRSCP", third)}
        for aet, port in asked.values():
            command = ["storescu", "-aec", aet, "127.0.0.1", str(port), *map(str, paths)]
            subprocess.run(command, check=True, timeout=600, env={"TCP_NODELAY": "1", "PATH": "/usr/bin"})
        keys = Dataset()
        keys.QueryRetrieveLevel = "SERIES"
        first = pydicom.dcmread(paths[0])
        keys.PatientID = None
        keys.StudyInstanceUID, keys.SeriesInstanceUID = first.StudyInstanceUID, first.SeriesInstanceUID
        print(f"{count} slices of {paths[0].stat().st_size} bytes; median of {TIMES}, in turn, objects a second")
        for what, how in (("C-MOVE", move), ("C-GET", get)):
            _compare(what, how, encoded(keys, EXPLICIT), asked, count)


def _know(client: httpx.Client, sink: int) -> None:
    client.put("/modalities/sink", json={"AET": "SINK", "Host": "127.0.0.1", "Port": sink}).raise_for_status()
    bench = {"AET": "BENCH", "Host": "127.0.0.1", "Port": 104, "AllowGet": True, "AllowMove": True}
    client.put("/modalities/bench", json=bench).raise_for_status()


def _compare(
    what: str, how: Callable[[Association, bytes], int], keys: bytes, asked: dict[str, tuple[str, int]], count: int
) -> None:
    took: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(TIMES):
        for name, (aet, port) in asked.items():
            with called(aet, port) as association:
                began = time.perf_counter()
                came = how(association, keys)
                took[name].append(time.perf_counter() - began)
            assert came == count, f"{name} sent {came} of {count} by {what}"
    rates = {name: count / median(times) for name, times in took.items()}
    told = ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items())
    print(f"{what}: {told}: {rates['photopeak'] / rates['Orthanc']:.2f} times Orthanc")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
