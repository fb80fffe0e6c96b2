"""Proving and rebuilding an archive of many small objects: `verify`, `verify --deep`, `reindex`, in objects a second.

Run: .venv/bin/python -m tests.bench.recovering [OBJECTS]. The yardstick beside it is sha256sum over the same files.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
from pydicom.data import get_testdata_file

_A_SERIES, _A_STUDY = 20, 100
_ROOT = "1.2.826.0.1.3680043.8.498.7"


def main() -> None:
    """Fill a store, and go through it in every way."""
    objects = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        fill(data / "archive" / "2026" / "11" / "22", objects)
        sums = _timed(["sh", "-c", 'find "$0" -name "*.dcm" -print0 | xargs -0 sha256sum >/dev/null', str(data)])
        print(f"sha256sum          {objects / sums:8.0f} objects/s")
        for command in (["reindex"], ["verify"], ["verify", "--deep"]):
            took = _timed([sys.executable, "-m", "core", *command, "--json", "--data", str(data)])
            print(f"{' '.join(command):18} {objects / took:8.0f} objects/s   {took / sums:6.1f} times sha256sum")


def fill(day: Path, objects: int) -> None:
    """Write objects as the archive keeps them, alike but for their UIDs."""
    for first in range(0, objects, _A_SERIES):
        study, uid = 10**8 + first // _A_STUDY, f"{_ROOT}.3.{10**8 + first}"
        folder = day / f"P{study}" / f"{_ROOT}.1.{study}" / f"{_ROOT}.2.{10**8 + first}"
        folder.mkdir(parents=True)
        one = _object(study, f"{_ROOT}.2.{10**8 + first}", uid)
        for number in range(first, min(first + _A_SERIES, objects)):
            own = f"{_ROOT}.3.{10**8 + number}"
            (folder / f"{own}.dcm").write_bytes(one.replace(uid.encode(), own.encode()))


def _object(study: int, series: str, uid: str) -> bytes:
    one: Any = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    one.Rows = one.Columns = 16
    one.PixelData = bytes(512)
    one.PatientID, one.PatientName, one.AccessionNumber = f"P{study}", f"Zhang^{study}", f"A{study}"
    one.StudyInstanceUID, one.SeriesInstanceUID = f"{_ROOT}.1.{study}", series
    one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = uid
    out = BytesIO()
    one.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _timed(command: list[str]) -> float:
    began = time.monotonic()
    said = subprocess.run(command, check=True, capture_output=True, text=True)
    took = time.monotonic() - began
    if "--json" in command:
        facts = json.loads(said.stdout)
        assert not facts.get("faults"), "the bench's own objects are damaged"
    return took


if __name__ == "__main__":
    main()
