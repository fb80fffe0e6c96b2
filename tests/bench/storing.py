"""C-STORE beside Orthanc: how many objects a second are taken, durably, from DCMTK's senders.

Run: .venv/bin/python -m tests.bench.storing [ROUNDS] [CT] [NM]. Both receivers run on fresh folders of the same disk,
in turn, Orthanc as its package configures it (which syncs its files). Senders run with TCP_NODELAY=1, then as shipped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from statistics import median
from typing import Any

import numpy as np
import pydicom
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian, NuclearMedicineImageStorage, generate_uid

from tests.peers.process import Photopeakd, altered

SENDERS = 4
FEW = 240
"""Objects sent by senders as shipped: a peer that waits takes 40 ms and more for each."""


@dataclass(frozen=True)
class Receiver:
    """A running receiver."""

    aet: str
    port: int
    process: int

    def cpu_seconds(self) -> float:
        """CPU time it has used, in user and kernel mode."""
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print objects a second, receiver CPU of an object, and the ratios."""
    rounds, cts, nms = (int(word) for word in (*sys.argv[1:], *("3", "300", "1000")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        objects = {"CT 525 KB": _cts(home / "ct", cts), "NM 27 KB": _nms(home / "nm", nms)}
        few = {"CT 525 KB": _cts(home / "few_ct", FEW), "NM 27 KB": _nms(home / "few_nm", FEW)}
        for kind, sent in objects.items():
            for associations in (1, SENDERS):
                _compare(home, f"{kind}, {associations} associations, TCP_NODELAY=1", sent, associations, rounds)
        for kind, sent in few.items():
            _compare(home, f"{kind}, 1 association, as shipped", sent, 1, rounds, nodelay=False)


def _compare(home: Path, name: str, sent: Path, associations: int, rounds: int, *, nodelay: bool = True) -> None:
    rates: dict[str, list[float]] = {}
    cpu: dict[str, list[float]] = {}
    for number in range(rounds):
        for who, running in (("photopeak", _photopeak), ("Orthanc", _orthanc)):
            with tempfile.TemporaryDirectory(dir=home) as place, running(Path(place)) as receiver:
                rate, each = _measured(receiver, sent, associations, nodelay=nodelay)
            rates.setdefault(who, []).append(rate)
            cpu.setdefault(who, []).append(each)
        del number
    ours, theirs = median(rates["photopeak"]), median(rates["Orthanc"])
    ratio = median(one / other for one, other in zip(rates["photopeak"], rates["Orthanc"], strict=True))
    told = f"{ours:.0f}/s ({median(cpu['photopeak']) * 1e3:.2f} ms CPU) against {theirs:.0f}/s"
    print(f"{name}: {told} ({median(cpu['Orthanc']) * 1e3:.2f} ms): {ratio:.2f} times Orthanc", flush=True)


def _measured(receiver: Receiver, sent: Path, associations: int, *, nodelay: bool) -> tuple[float, float]:
    """Send every object once; return objects a second and receiver CPU seconds of each."""
    folders = sorted(sent.iterdir())
    shares = [folders[share::associations] for share in range(associations)]
    count = sum(1 for _ in sent.rglob("*.dcm"))
    before, start = receiver.cpu_seconds(), time.perf_counter()
    with ThreadPoolExecutor(associations) as pool:
        list(pool.map(lambda share: _send(receiver, share, nodelay=nodelay), shares))
    took = time.perf_counter() - start
    return count / took, (receiver.cpu_seconds() - before) / count


def _send(receiver: Receiver, folders: list[Path], *, nodelay: bool) -> None:
    command = ["storescu", "-R", "-aec", receiver.aet, "+sd", "+r", "127.0.0.1", str(receiver.port), *map(str, folders)]
    environment = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    said = subprocess.run(
        command, env={**environment, **({"TCP_NODELAY": "1"} if nodelay else {})}, capture_output=True, check=False
    )
    assert said.returncode == 0, said.stderr[-500:]


@contextmanager
def _photopeak(place: Path) -> Iterator[Receiver]:
    with Photopeakd(place / "data") as service:
        yield Receiver("PHOTOPEAK", service.port, service.process.pid)


@contextmanager
def _orthanc(place: Path) -> Iterator[Receiver]:
    dicom, http = _free_port(), _free_port()
    given = {
        "StorageDirectory": str(place), "IndexDirectory": str(place), "DicomPort": dicom, "HttpPort": http,
        "Plugins": [], "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
    }  # fmt: skip
    (place / "orthanc.json").write_text(json.dumps(given))
    process = subprocess.Popen(
        ["Orthanc", str(place / "orthanc.json")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(lambda: urllib.request.urlopen(f"http://127.0.0.1:{http}/system", timeout=5))
        yield Receiver("ORTHANC", dicom, process.pid)
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(ask: Callable[[], Any]) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            with ask():
                return
        except OSError:
            assert time.monotonic() < until, "Orthanc does not come up"
            time.sleep(0.1)


def _free_port() -> int:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _cts(folder: Path, count: int) -> Path:
    """Write slices of 512 x 512 in four studies of one series each."""
    model: Any = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    del model.DataSetTrailingPadding  # DCMTK leaves it out when it sends
    model.Rows = model.Columns = 512
    return _written(folder, model, count, studies=SENDERS, per_series=count, pixels=512 * 512)


def _nms(folder: Path, count: int) -> Path:
    """Write static images of 115 x 115 in studies of 50 objects, five to a series."""
    model: Any = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    for keyword in ("DataSetTrailingPadding", *(element.keyword for element in model if element.tag.group == 0x0018)):
        if keyword and keyword in model:
            del model[keyword]
    model.remove_private_tags()
    model.SOPClassUID = model.file_meta.MediaStorageSOPClassUID = NuclearMedicineImageStorage
    model.Modality, model.ImageType = "NM", ["ORIGINAL", "PRIMARY", "STATIC", "EMISSION"]
    model.NumberOfFrames, model.EnergyWindowVector, model.DetectorVector = 1, 1, 1
    model.NumberOfEnergyWindows = model.NumberOfDetectors = 1
    model.Rows = model.Columns = 115
    return _written(folder, model, count, studies=max(SENDERS, count // 50), per_series=5, pixels=115 * 115)


def _written(folder: Path, model: Any, count: int, *, studies: int, per_series: int, pixels: int) -> Path:  # noqa: ANN401 - pydicom's attributes are made while it runs
    chance = np.random.default_rng(1)
    model.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for study in range(studies):
        place = folder / f"{study:04}"
        place.mkdir(parents=True)
        uid, series = generate_uid(), generate_uid()
        for number in range(study, count, studies):
            if number // studies % per_series == 0:
                series = generate_uid()
            one = altered(
                model, PatientID=f"B{study}", StudyInstanceUID=uid, SeriesInstanceUID=series, InstanceNumber=number
            )
            one.PixelData = chance.integers(0, 1000, pixels, np.uint16).tobytes()
            one.save_as(place / f"{number:05}.dcm")
    return folder


if __name__ == "__main__":
    main()
