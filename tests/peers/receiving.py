"""DCMTK's receiver as the archive of others, and what came to it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom

from core.dicom.objects import dataset_offset


@contextmanager
def storescp(folder: Path, port: int, *options: str, aet: str = "PACS") -> Iterator[Path]:
    """Run storescp; give the folder its objects come to."""
    folder.mkdir(exist_ok=True)
    command = ["storescp", "-aet", aet, "-od", str(folder), *options, str(port)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        _until_there(port)
        yield folder
    finally:
        process.terminate()
        process.wait(20)


def _until_there(port: int) -> None:
    """Wait until the port is bound; a connection would keep storescp busy."""
    until(lambda: any(line.split()[1].endswith(f":{port:04X}") for line in _listening()), 20)


def _listening() -> list[str]:
    return [line for line in Path("/proc/net/tcp").read_text().splitlines()[1:] if line.split()[3] == "0A"]


def datasets(folder: Path) -> dict[str, bytes]:
    """Return the dataset bytes of each object in a folder, by its UID."""
    found = {}
    for path in (path for path in folder.rglob("*") if path.is_file()):
        uid = str(pydicom.dcmread(path, stop_before_pixels=True, force=True).SOPInstanceUID)
        found[uid] = path.read_bytes()[dataset_offset(path) :]
    return found


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
