"""What an association costs: time to open, a round trip, memory; beside Orthanc and pynetdicom in the same run.

.venv/bin/python -m tests.bench.association
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage, Verification

from core.dimse.association import Association, connect
from core.dimse.negotiation import Proposed
from core.errors import PeerFailed
from core.scp import Answer
from core.scp.listener import Listener, Manners
from tests.conftest import find_peer
from tests.peers.answering import Shelf

ECHO, CT = str(Verification), str(CTImageStorage)
CONTEXTS = (Proposed(ECHO, ("1.2.840.10008.1.2",)), Proposed(CT, ("1.2.840.10008.1.2.1",)))
ROUNDS, OPEN, OBJECT = 400, 50, bytes(524_288)


def _connected(port: int, contexts: tuple[Proposed, ...] = CONTEXTS) -> Association:
    return connect("127.0.0.1", port, calling="BENCH", called="PHOTOPEAK", contexts=contexts)


def _opening(port: int) -> float:
    began = time.perf_counter()
    association = _connected(port, CONTEXTS[:1])
    took = time.perf_counter() - began
    association.release()
    return took


def _echoing(port: int) -> float:
    with _connected(port) as association:
        association.echo()
        began = time.perf_counter()
        for _ in range(200):
            association.echo()
        return (time.perf_counter() - began) / 200


def _memory_each(port: int, pid: int) -> float:
    """Return the kilobytes of one association that has stored one object and stays."""
    before = _resident(pid)
    with contextlib.ExitStack() as opened:
        for number in range(OPEN):
            association = opened.enter_context(_connected(port))
            association.store(association.contexts[1], CT, f"1.2.{number}", [OBJECT])
        return (_resident(pid) - before) / OPEN / 1024


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# -- who answers -----------------------------------------------------------------------------------------------------


class _Forgetting:
    """Takes an object and keeps nothing of it."""

    def write(self, piece: memoryview) -> None:
        """Let it go."""

    def finish(self) -> Answer:
        return Answer(0)

    def abandon(self) -> None:
        """There is nothing to forget."""


def _serve_ours() -> None:
    services = replace(Shelf().services(), store=lambda _caller, _announced: _Forgetting())
    listener = Listener(("127.0.0.1", 0), services, Manners())
    listener.start()
    print(listener.port, flush=True)
    sys.stdin.read()
    listener.stop()


def _serve_pynetdicom() -> None:
    ae = AE("PHOTOPEAK")
    ae.add_supported_context(Verification)
    ae.add_supported_context(CTImageStorage, ["1.2.840.10008.1.2.1"])
    ae.maximum_associations = 100
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, lambda _event: 0)])
    if server and server.socket:
        print(server.socket.getsockname()[1], flush=True)
        sys.stdin.read()
        server.shutdown()


@contextlib.contextmanager
def _child(kind: str) -> Iterator[tuple[int, int]]:
    line = [sys.executable, "-W", "ignore", "-m", "tests.bench.association", kind]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdin
        yield int(child.stdout.readline()), child.pid
        child.stdin.close()


@contextlib.contextmanager
def _orthanc() -> Iterator[tuple[int, int]]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        dicom, http = one.getsockname()[1], other.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "StorageDirectory": folder, "IndexDirectory": folder, "DicomPort": dicom, "HttpPort": http,
            "DicomAet": "PHOTOPEAK", "DicomCheckCalledAet": False, "DicomAlwaysAllowEcho": True, "Plugins": [],
        }  # fmt: skip
        config = Path(folder) / "orthanc.json"
        config.write_text(json.dumps(settings))
        line = [str(find_peer("Orthanc")), str(config)]
        child = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_for(dicom)
            yield dicom, child.pid
        finally:
            child.terminate()
            child.wait(30)


def _wait_for(port: int) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            _opening(port)
        except PeerFailed:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            return


def main() -> None:
    with _child("ours") as ours, _orthanc() as orthanc, _child("pynetdicom") as stock:
        peers = {"photopeak": ours, "Orthanc": orthanc, "pynetdicom": stock}
        opening = {name: [_opening(port) for _ in range(5)] for name, (port, _) in peers.items()}
        for _ in range(ROUNDS):
            for name, (port, _) in peers.items():
                if name != "pynetdicom" or len(opening[name]) < ROUNDS // 10:
                    opening[name].append(_opening(port))
        print(f"{'':12}{'A-ASSOCIATE ms':>16}{'C-ECHO ms':>12}{'KB each':>10}")
        for name, (port, pid) in peers.items():
            echo = statistics.median(_echoing(port) for _ in range(5)) * 1000
            memory = (
                f"{_memory_each(port, pid):10.0f}" if name != "Orthanc" else "         -"
            )  # it holds four at a time
            print(f"{name:12}{statistics.median(opening[name]) * 1000:16.2f}{echo:12.3f}{memory}")


if __name__ == "__main__":
    {"ours": _serve_ours, "pynetdicom": _serve_pynetdicom}.get("".join(sys.argv[1:]), main)()
