"""A gated heart study, 8 slots x 60 views x 64 x 64, from the camera's C-STORE to READY on the doctor's list.

`python -m tests.bench.gated [STUDIES]`. Each study is sent by DCMTK's storescu to a photopeak of its own on this
machine, reconstructed by itself, accepted by a physicist over the API's own function, and looked for on the list. The
first study finds no worker and pays for its start; what the others take is stated apart. Where the time goes is read
from the rows and from what the pipeline notes of itself.
"""

from __future__ import annotations

import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.uid import generate_uid
from sqlmodel import select

from core import access, wire
from core.dicom.compose import Camera, Ordered, compose
from core.dicom.tracers import TRACERS
from core.imaging import phantom
from core.model import Processing
from core.vocabulary import ProcessingState, Role
from core.workflow import triage
from core.workflow.processing import deciding
from tests.peers.serving import HEAD, Department, serving

PHYSICIST = access.person("bench", "MAIN", Role.PHYSICIST)
SHORT_AXES: dict[str, Any] = {"cut_off": 0.45, "cut_off_unit": "cycles/cm", "filter": "butterworth", "heart_axes": True}
METHODS: dict[str, dict[str, Any]] = {
    "FBP": SHORT_AXES,
    "OSEM 4 x 8": {"method": "osem", "post_filter": "gaussian", "heart_axes": True},
    "OSEM 4 x 8, attenuation, resolution": {
        "method": "osem", "post_filter": "gaussian", "heart_axes": True, "attenuation": "uniform", "resolution": True,
    },
}  # fmt: skip
_PATIENCE = 600.0


class Laps:
    """What each part took, in seconds."""

    def __init__(self) -> None:
        self.took: dict[str, float] = {}

    @contextmanager
    def lap(self, name: str) -> Iterator[None]:
        """Take the time of a part."""
        began = time.perf_counter()
        yield
        self.took[name] = time.perf_counter() - began


def main(studies: int = 3) -> None:
    """Print what each method takes."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        with serving(path / "data") as department:
            print(f"8 x 60 x 64 x 64, {os.cpu_count()} cores, storescu {_version()}; seconds")
            for name, parameters in METHODS.items():
                told = [_study(department, path / f"{name}{n}", parameters) for n in range(studies)]
                _print(name, told)


def _study(department: Department, folder: Path, parameters: dict[str, Any]) -> dict[str, float]:
    accession = f"G{generate_uid()[-12:]}"
    path = _acquired(department, accession, folder, parameters)
    laps = Laps()
    with laps.lap("C-STORE"):
        _send(department, path)
    with laps.lap("until claimed"):
        _until(department, accession, {ProcessingState.RUNNING, ProcessingState.MADE})
    with laps.lap("making"):
        row = _until(department, accession, {ProcessingState.MADE})
    with laps.lap("accept and file"):
        deciding.accept(department.service.reception, department.service.shelf, PHYSICIST, row.id or 0)
    with laps.lap("READY on the list"):
        assert department.exam(accession).state == "ready"
    inside: dict[str, dict[str, float]] = row.numbers  # type: ignore[assignment]  # as the pipeline writes them
    laps.took |= {f"  of it {name}": seconds for name, seconds in inside["took_s"].items()}
    laps.took |= {f"  processors, {name}": seconds for name, seconds in inside["processor_s"].items()}
    return laps.took


def _acquired(department: Department, accession: str, folder: Path, parameters: dict[str, Any]) -> Path:
    """Register an exam and end it, so that its images alone are waited for; write what the camera will send."""
    exam = department.registered("Bench^Gated", accession, procedure="MPI-STRESS")
    asked = {"device": "CAM1", "processing": [{"recipe": "spect", "parameters": parameters}]}
    with department.records.writing() as work:
        triage.protocol(work, HEAD, accession, wire.ProtocolExam.model_validate(asked))
    for act in ("arrive", "start", "finish"):
        department.act(act, accession)
    ordered = Ordered(
        exam.patient_number, "Bench^Gated", accession=accession, study_instance_uid=exam.study_instance_uid
    )
    made, now = phantom.gated_heart_spect(np.random.default_rng(1)), datetime.now(UTC).astimezone()
    [scan] = compose(made.acquisitions, ordered, Camera("CAM1"), TRACERS["MIBI"], uid=generate_uid, clock=lambda: now)
    folder.mkdir()
    scan.save_as(folder / "scan.dcm", enforce_file_format=True)
    return folder / "scan.dcm"


def _send(department: Department, path: Path) -> None:
    command = ["storescu", "-aet", "CAM1", "-aec", "PHOTOPEAK", "127.0.0.1", str(department.port), str(path)]
    subprocess.run(command, check=True, timeout=60)


def _until(department: Department, accession: str, states: set[ProcessingState]) -> Processing:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        with department.records.reading() as work:
            rows = work.session.exec(select(Processing).order_by("id")).all()
        if rows and rows[-1].state in states:
            return rows[-1]
        if rows and rows[-1].state == ProcessingState.FAILED:
            raise RuntimeError(rows[-1].error)
        time.sleep(0.01)
    raise TimeoutError(accession)


def _print(name: str, told: list[dict[str, float]]) -> None:
    whole = [sum(seconds for part, seconds in one.items() if not part.startswith(" ")) for one in told]
    others = statistics.median(whole[1:] or whole)
    print(f"\n{name} (load {os.getloadavg()[0]:.1f}): the first {whole[0]:.2f}, median of the others {others:.2f}")
    for part in told[0]:
        later = statistics.median([one[part] for one in told[1:]] or [told[0][part]])
        print(f"    {part:28} {told[0][part]:7.3f} {later:7.3f}")
    print(json.dumps({"method": name, "seconds": [round(one, 3) for one in whole]}))


def _version() -> str:
    said = subprocess.run(["storescu", "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    return said.split()[2] if len(said.split()) > 2 else "?"


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
