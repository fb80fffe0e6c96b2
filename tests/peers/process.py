"""photopeakd as a process of its own, and the programs that send to it."""

from __future__ import annotations

import copy
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any, Self

import pydicom
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

SHARED = Path(__file__).parents[3] / "shared" / "data"
ROOT = Path(__file__).parents[2]
_START_WITHIN = 60
_QUIET = {**os.environ, "PYTHONWARNINGS": "ignore"}


def photopeakd(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the service on a folder and return what it said."""
    command = [sys.executable, "-m", "core", *map(str, arguments), "--data", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT, env=_QUIET, check=False)


class Photopeakd:
    """The service on one folder; it may be started, stopped and killed again and again.

    `within` is a command to run it under: one that takes something away from it.
    """

    within: tuple[str, ...] = ()

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        self._settings = {f"PHOTOPEAK_{name.upper()}": str(value) for name, value in settings.items()}
        self.log = folder.parent / f"{folder.name}.log"
        self._dicom = self._http = "127.0.0.1:0"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()

    def start(self) -> None:
        """Start, and return once every part is ready; a second start takes the ports of the first."""
        command = [*self.within, sys.executable, "-m", "core", "serve", "--json", "--data", str(self.folder)]
        command += ["--http", self._http, "--dicom", self._dicom]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, cwd=ROOT, env={**_QUIET, **self._settings}
            )
        assert self.process.stdout
        said = b""
        while not said.rstrip().endswith(b"}"):
            line = self.process.stdout.readline()
            assert line, f"photopeakd did not start: {self.log.read_text()[-2000:]}"
            said += line
        self.facts: dict[str, Any] = json.loads(said)
        self._dicom, self._http = self.facts["dicom"], self.facts["http"]
        self.port = int(self._dicom.rpartition(":")[2])
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + _START_WITHIN
        while time.monotonic() < until:
            try:
                if self.ready():
                    return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("photopeakd is not ready")

    def ready(self) -> bool:
        with urllib.request.urlopen(f"http://{self.facts['http']}/readyz", timeout=5) as answer:
            return all(part["ready"] for part in json.load(answer))

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self._ended()

    def kill(self) -> None:
        self.process.kill()
        self._ended()

    def _ended(self) -> int:
        status = self.process.wait(30)
        assert self.process.stdout
        self.process.stdout.close()
        return status

    # -- looking -----------------------------------------------------------------------------------------------------

    def rows(self, query: str, *values: object) -> list[Any]:
        """Look into the database without disturbing it."""
        connection = sqlite3.connect(f"file:{self.folder / 'photopeak.sqlite'}?mode=ro", uri=True)
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()

    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def verified(self) -> dict[str, Any]:
        """Prove every object byte by byte."""
        proof = photopeakd("verify", "--deep", "--json", folder=self.folder)
        assert proof.returncode == 0, proof.stdout + proof.stderr
        facts: dict[str, Any] = json.loads(proof.stdout)
        return facts

    # -- asking ------------------------------------------------------------------------------------------------------

    def call(self, program: Path | str, *arguments: object, aet: str = "PHOTOPEAK") -> subprocess.CompletedProcess[str]:
        """Run a DCMTK program against the listener; what it says is in stdout."""
        command = [str(program), "-aec", aet, "127.0.0.1", str(self.port), *map(str, arguments)]
        said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
        return subprocess.CompletedProcess(command, said.returncode, said.stdout.decode("utf-8", "replace"))

    def found(self, level: str, *keys: str) -> str:
        """Ask by findscu -S, and return all it prints."""
        asked = [part for key in (f"QueryRetrieveLevel={level}", *keys) for part in ("-k", key)]
        return self.call("findscu", "-S", *asked).stdout


_SENT = re.compile(r"Sending file: (.+)")
_SUCCESS = "Received Store Response (Success)"


def acknowledged(said: str) -> list[str]:
    """Return the files of a `storescu -v` that were answered with success."""
    files, current = [], ""
    for line in said.splitlines():
        sending = _SENT.search(line)
        if sending:
            current = sending[1]
        elif _SUCCESS in line:
            files.append(current)
    return files


def slices(folder: Path, count: int, *, number: str = "P1", size: int = 32) -> list[Path]:
    """Write CT slices of one series, each of its own pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    model: Any = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    del model.DataSetTrailingPadding  # DCMTK leaves it out when it sends
    study, series, made = generate_uid(), generate_uid(), []
    for index in range(count):
        one = altered(model, PatientID=number, StudyInstanceUID=study, SeriesInstanceUID=series, InstanceNumber=index)
        one.Rows = one.Columns = size
        one.PixelData = index.to_bytes(4, "little") * (size * size * 2 // 4)
        path = folder / f"{index:04}.dcm"
        one.save_as(path)
        made.append(path)
    return made


def altered(model: Dataset, **said: object) -> Any:  # noqa: ANN401 - pydicom's attributes are made while it runs
    """Return a copy with a UID of its own."""
    one: Any = copy.deepcopy(model)
    one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    for keyword, value in said.items():
        setattr(one, keyword, value)
    return one
