"""How fast objects go out: `photopeakd send`, its job and its rows, beside Orthanc and DCMTK's storescu.

    .venv/bin/python -m tests.bench.sending [--objects 500] [--size 512]

All send the same slices to the same storescp, which throws them away (`--ignore`), over one association. DCMTK runs
with TCP_NODELAY=1 on both ends, else its receiver alone sets the pace; `--as-shipped` leaves it so.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from core import wire
from core.opening import open_records
from core.settings import Settings
from core.vocabulary import JobState
from core.workflow import devices, queue, sending
from tests.conftest import find_peer
from tests.peers.orthanc import orthanc
from tests.peers.process import Photopeakd, slices
from tests.peers.receiving import storescp, until
from tests.peers.serving import OPERATOR

_ROUNDS = 3


def main() -> None:
    """Print images a second of each, and our ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--objects", type=int, default=500)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--as-shipped", action="store_true")
    given = parser.parse_args()
    if not given.as_shipped:
        os.environ["TCP_NODELAY"] = "1"  # what DCMTK reads
    with tempfile.TemporaryDirectory(prefix="photopeak-sending-") as name:
        folder = Path(name)
        slices(folder / "in", given.objects, size=given.size)
        port, http, dicom = (_free() for _ in range(3))
        with storescp(folder / "out", port, "--ignore"), Photopeakd(folder / "data") as ours:
            _give(ours.port, folder / "in")
            with orthanc(folder / "orthanc", http, dicom, ours.port) as theirs:
                _give(dicom, folder / "in", "ORTHANC")
                theirs.put("/modalities/pacs", json=["PACS", "127.0.0.1", port])
                ways: dict[str, Callable[[], None]] = {
                    "photopeak": _ours(ours, port),
                    "Orthanc": lambda: _theirs(theirs),
                    "storescu": lambda: _give(port, folder / "in", "PACS"),
                }
                best = {name: min(_timed(way) for _ in range(_ROUNDS)) for name, way in ways.items()}
    for name, seconds in best.items():
        ratio = seconds / best["photopeak"]
        print(f"{name:10} {given.objects / seconds:8.0f} images/s   ours is {ratio:.2f} times that")


def _timed(way: Callable[[], None]) -> float:
    begun = time.perf_counter()
    way()
    return time.perf_counter() - begun


def _free() -> int:
    import socket  # noqa: PLC0415 - for this line alone

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _give(port: int, folder: Path, aet: str = "PHOTOPEAK") -> None:
    command = [str(find_peer("storescu")), "-aec", aet, "127.0.0.1", str(port), "+sd", str(folder)]
    subprocess.run(command, check=True)


def _ours(service: Photopeakd, port: int) -> Callable[[], None]:
    records = open_records(Settings(service.folder))
    with records.writing() as work:
        devices.add(work, OPERATOR, wire.Device(aet="PACS", host="127.0.0.1", port=port))

    def send() -> None:
        with records.writing() as work:
            number = sending.enqueue(work, OPERATOR, "PACS", ["P1"]).id
        until(lambda: _state(number) is JobState.DONE, 600)

    def _state(number: int) -> JobState:
        with records.reading() as work:
            return queue.one(work, OPERATOR, number).state

    return send


def _theirs(client: httpx.Client) -> None:
    (study,) = client.get("/studies").json()
    client.post("/modalities/pacs/store", json=study, timeout=600).raise_for_status()


if __name__ == "__main__":
    main()
