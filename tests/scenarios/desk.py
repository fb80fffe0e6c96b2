"""One person with a console of their own, line by line, and the cameras of DCMTK."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from console.client import Client, News, ServiceAway
from core.dicom.compose import Camera, Ordered, compose
from core.dicom.tracers import TRACERS
from core.imaging.phantom import OF_PROCEDURE
from tests.peers.process import ROOT, Photopeakd, photopeakd

PASSWORD = "kori-labu-74"


class Said(Exception):
    """A command ended with status 1 and one line."""


class Person:
    """Somebody at a terminal: runs `photopeak`, keeps their own token."""

    def __init__(self, service: Photopeakd, home: Path, name: str) -> None:
        self._service, self._home, self.name = service, home / name, name

    def __call__(self, *words: object, password: bool = False) -> Any:  # noqa: ANN401 - JSON
        """Run a command with --json and return what it printed.

        Raises
        ------
        Said
            With the line on standard error, when it was refused.
        """
        given = [*words, "--password-stdin"] if password else list(words)
        command = [sys.executable, "-m", "console", *map(str, given), "--json"]
        kept = {"XDG_STATE_HOME": str(self._home), "PHOTOPEAK_SERVER": self.server, "PYTHONWARNINGS": "ignore"}
        answer = subprocess.run(
            command, input=f"{PASSWORD}\n", capture_output=True, text=True, timeout=120, cwd=ROOT,
            env={**os.environ, **kept}, check=False,
        )  # fmt: skip
        if answer.returncode == 1:
            assert len(answer.stderr.splitlines()) == 1, answer.stderr
            raise Said(answer.stderr.strip())
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)

    @property
    def server(self) -> str:
        return f"http://{self._service.facts['http']}"

    def client(self) -> Client:
        """Return a line to the service of their own, as the screens have it."""
        client = Client(self.server)
        client.sign_in(self.name, PASSWORD)
        return client


def employ(folder: Path, name: str, *roles: str) -> dict[str, Any]:
    """Add a member of staff by `photopeakd staff add`, the password on standard input."""
    wanted = [word for role in roles for word in ("--role", role)]
    command = [sys.executable, "-m", "core", "staff", "add", name, *wanted, "--password-stdin", "--json"]
    added = subprocess.run(
        [*command, "--data", str(folder)], input=f"{PASSWORD}\n", capture_output=True, text=True, timeout=120,
        cwd=ROOT, check=True,
    )  # fmt: skip
    shape: dict[str, Any] = json.loads(added.stdout)
    return shape


def operate(folder: Path, *words: object) -> Any:  # noqa: ANN401 - JSON
    """Run a photopeakd command that must succeed, and return what it printed."""
    done = photopeakd(*words, "--json", folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


class Listener:
    """Hears the news of the service as the screens do."""

    def __init__(self, client: Client, after: int | None = None) -> None:
        self._client, self._bell = client, threading.Condition()
        self._heard: list[News] = []
        self._thread = threading.Thread(target=self._listen, args=(after,), daemon=True)
        self._thread.start()
        self.wait_for("ready")

    def _listen(self, after: int | None) -> None:
        try:
            for news in self._client.news(after):
                with self._bell:
                    self._heard.append(news)
                    self._bell.notify_all()
        except ServiceAway:
            return

    def wait_for(self, kind: str, **data: object) -> Any:  # noqa: ANN401 - the client's news
        """Return the first news of a kind whose event holds `data`; fail when it does not come."""

        def fitting() -> list[Any]:
            return [one for one in self._heard if one.kind == kind and data.items() <= _flat(one.data).items()]

        with self._bell:
            assert self._bell.wait_for(fitting, timeout=30), f"{kind} {data} was never told: {self._heard}"
            return fitting()[0]

    @property
    def last(self) -> int:
        """The sequence number of what was heard last."""
        with self._bell:
            return int(self._heard[-1].seq)


def _flat(event: dict[str, Any]) -> dict[str, Any]:
    plain = {name: value for name, value in event.items() if name != "data"}
    return {**plain, **event.get("data", {})}


# -- the camera --------------------------------------------------------------------------------------------------------


def worklist(service: Photopeakd, folder: Path, aet: str, **keys: str) -> list[Dataset]:
    """Ask the worklist with findscu -W and return the items it extracted."""
    folder.mkdir(parents=True, exist_ok=True)
    step = "ScheduledProcedureStepSequence[0]."
    asked = [f"{step}ScheduledStationAETitle={aet}", f"{step}ScheduledProcedureStepID", f"{step}Modality"]
    asked += [f"{step}ScheduledProcedureStepDescription", "PatientName", "PatientID", "PatientBirthDate", "PatientSex"]
    asked += ["StudyInstanceUID", "RequestedProcedureID", "RequestedProcedureDescription", "PatientWeight"]
    asked += [f"{name}={value}" for name, value in {"AccessionNumber": "", **keys}.items()]
    words = [word for one in asked for word in ("-k", one)]
    said = service.call("findscu", "-W", "-aet", aet, "-X", "-od", folder, *words)
    assert said.returncode == 0, said.stdout
    found = sorted(folder.glob("rsp*.dcm"))
    items: list[Dataset] = [dcmread(path, force=True) for path in found]
    for path in found:
        path.unlink()
    return items


def acquired(procedure: str, ordered: Ordered, aet: str = "CAM1", seed: int = 1) -> list[Dataset]:
    """Return what a camera makes of a procedure."""
    phantom = OF_PROCEDURE[procedure](np.random.default_rng(seed))
    return compose(
        phantom.acquisitions,
        ordered,
        Camera(aet),
        TRACERS["MDP"],
        uid=generate_uid,
        clock=lambda: datetime.now().astimezone(),
    )


def written(objects: Sequence[Dataset], folder: Path) -> list[Path]:
    """Write objects as files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{one.SOPInstanceUID}.dcm" for one in objects]
    for path, one in zip(paths, objects, strict=True):
        one.save_as(path, enforce_file_format=True)
    return paths


def send(service: Photopeakd, paths: Sequence[Path], aet: str = "CAM1") -> str:
    """Send files with storescu; returns what it said."""
    said = service.call("storescu", "-v", "-aet", aet, *paths)
    assert said.returncode == 0, said.stdout
    return said.stdout
