"""From the camera to the screen: how long after an image is acknowledged its row says so, while CT slices stream in.

Run: .venv/bin/python -m tests.bench.arrival [EXAMS] [SLICES]. A doctor's worklist is open on a terminal; one sender
streams slices, another sends the images of exam after exam. Asked for is p95 under one second.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from statistics import median

import numpy as np
from pydicom.uid import generate_uid

from console.client import Client, TokenFile
from core.dicom.compose import Camera, Ordered, compose
from core.dicom.tracers import TRACERS
from core.imaging.phantom import OF_PROCEDURE
from core.scu.peer import Peer
from tests.bench.terminal import Terminal, p95
from tests.peers.process import Photopeakd, slices

PASSWORD = "bench-of-the-arrival"
_ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
_GIVE_UP = 20.0


def main() -> None:
    """Print the median and p95."""
    exams, count = (int(word) for word in (*sys.argv[1:], *("20", "500")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for role in ("doctor", "clerk"):
            _employ(home / "data", role)
        with Photopeakd(home / "data") as service:
            server = f"http://{service.facts['http']}"
            paths = _registered(server, home, exams)
            with _opened(server, home) as screen, _streaming(service, home / "ct", count) as stream:
                waits = [_arrival(service, screen, number, path) for number, path in enumerate(paths)]
                print(f"slices still streaming at the end: {stream.poll() is None}")
    told = f"median {median(waits) * 1e3:.0f} ms, p95 {p95(waits) * 1e3:.0f} ms, worst {max(waits) * 1e3:.0f} ms"
    print(f"arrival to screen over {exams} exams while {count} CT slices stream in: {told}")


def _employ(data: Path, role: str) -> None:
    command = [
        sys.executable,
        "-m",
        "core",
        "staff",
        "add",
        role,
        "--role",
        role,
        "--password-stdin",
        "--data",
        str(data),
    ]
    subprocess.run(command, input=f"{PASSWORD}\n", text=True, check=True, timeout=60, stdout=subprocess.DEVNULL)


def _registered(server: str, home: Path, exams: int) -> list[Path]:
    """Register exams, and make the images of each; returns the files."""
    clerk, doctor, paths = Client(server), Client(server), []
    clerk.sign_in("clerk", PASSWORD)
    doctor.sign_in("doctor", PASSWORD)
    bone = OF_PROCEDURE["BONE-WB"](np.random.default_rng(1))
    for number in range(exams):
        patient = {"name": f"Zz{number:02}^Arrival", "sex": "M", "number": f"PP{number:03}X", "accept_similar": True}
        exam = clerk.post("registrations", {"patient": patient, "exam": {"procedure": "BONE-WB"}})
        doctor.post(f"exams/{exam['accession']}/assign", {"to": "doctor"})
        ordered = Ordered(
            patient_name=exam["patient_name"], patient_id=exam["patient_number"], sex="M",
            accession=exam["accession"], study_instance_uid=exam["study_instance_uid"],
        )  # fmt: skip
        for made in compose(
            bone.acquisitions, ordered, Camera("GAMMA1"), TRACERS["MDP"], uid=generate_uid,
            clock=lambda: datetime.now().astimezone(),
        ):  # fmt: skip
            paths.append(home / f"{number}.dcm")
            made.save_as(paths[-1], enforce_file_format=True)
    return paths


@contextmanager
def _opened(server: str, home: Path) -> Iterator[Terminal]:
    client = Client(server)
    client.sign_in("doctor", PASSWORD)
    TokenFile(server, home / "state" / "photopeak").write(client.token)
    client.close()
    places = {"XDG_STATE_HOME": str(home / "state"), "XDG_CONFIG_HOME": str(home / "config"), "LANG": "C.UTF-8"}
    console = Terminal([sys.executable, "-m", "console"], {**places, "PHOTOPEAK_SERVER": server}, 160, 50)
    try:
        console.settle(2.5)
        yield console
    finally:
        console.close()


@contextmanager
def _streaming(service: Photopeakd, folder: Path, count: int) -> Iterator[subprocess.Popen[bytes]]:
    """Send so many CT slices of 512 x 512 in one association, beside everything else."""
    slices(folder, count, size=512)
    command = ["storescu", "-aec", "PHOTOPEAK", "+sd", "127.0.0.1", str(service.port), str(folder)]
    sender = subprocess.Popen(command, env={**os.environ, "TCP_NODELAY": "1"}, stdout=subprocess.DEVNULL)
    try:
        yield sender
    finally:
        sender.terminate()
        sender.wait(10)


def _arrival(service: Photopeakd, screen: Terminal, number: int, path: Path) -> float:
    """Send one exam's images; return the seconds from their acknowledgement to the row that counts them."""
    screen.settle(0.05, 0.2)
    screen.seen.clear()
    (stored,) = Peer("PHOTOPEAK", "127.0.0.1", service.port, "GAMMA1").store([path])
    assert stored.kept, "the archive did not take the image"
    acknowledged, row = time.perf_counter(), re.compile(rf"Zz{number:02}.{{0,80}}?2/2".encode())
    while time.perf_counter() - acknowledged < _GIVE_UP:
        if row.search(_ESCAPES.sub(b"", screen.seen)):
            return time.perf_counter() - acknowledged
        screen.settle(0.02, 0.05)
    raise AssertionError(f"exam {number} did not show its images within {_GIVE_UP} s")


if __name__ == "__main__":
    main()
