"""What the pages of reading need in a test: exams with real images, other doctors, and a person at the console."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid
from textual.pilot import Pilot
from textual.screen import Screen

from console.app import Console
from console.client import Client
from console.desk import Desk
from core import access, wire
from core.dicom.compose import Camera, Ordered, compose
from core.dicom.tracers import Tracer
from core.imaging.acquisition import Phantom
from core.imaging.phantom import OF_PROCEDURE
from core.scu.peer import Peer
from core.vocabulary import Role
from core.workflow import devices
from tests.console.conftest import PASSWORD, Department, opened, picture, until

ACQUIRED = datetime(2026, 10, 5, 1, 10, tzinfo=UTC)
NARROW, WIDE = (80, 24), (160, 50)
DOCTOR, COLLEAGUE, HEAD, TECHNOLOGIST = "zhao.yi", "sun.wei", "chen.bo", "liu.yang"


class ReadingRoom:
    """A department with a camera whose images arrive when a test says so."""

    def __init__(self, department: Department, folder: Path) -> None:
        self.department, self._folder = department, folder
        self._clients: dict[str, Client] = {}
        department.employ(COLLEAGUE, "Sun Wei", Role.DOCTOR)
        department.employ(TECHNOLOGIST, "Liu Yang", Role.TECHNOLOGIST)
        with department.service.records.writing() as work:
            camera = wire.Device(aet="CAM1", host="127.0.0.1", port=104, modalities=["NM"])
            devices.add(work, access.operator("test", "MAIN"), camera)

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def exam(
        self, accession: str, procedure: str = "BONE-WB", *, images: bool = True, sent: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Schedule an exam of Zhang Wei and let its images arrive, under another identity where one is given."""
        exam = self.department.registered("Zhang^Wei=张^伟", procedure, accession=accession)
        self.department.client.post(f"exams/{accession}/protocol", {"device": "CAM1"})
        if images:
            self.send(exam, sent=sent)
        return exam

    def send(self, exam: dict[str, Any], phantom: Phantom | None = None, *, sent: dict[str, str] | None = None) -> None:
        """Let the camera send an exam's images."""
        said = {
            "patient_id": exam["patient_number"], "patient_name": "Zhang^Wei=张^伟",
            "birth_date": exam["patient_birth_date"].replace("-", ""), "sex": exam["patient_sex"],
            "accession": exam["accession"], "study_instance_uid": exam["study_instance_uid"], **(sent or {}),
        }  # fmt: skip
        made = phantom or OF_PROCEDURE[exam["procedure"]](np.random.default_rng(1))
        objects = compose(
            made.acquisitions, Ordered(**said), Camera("CAM1"), Tracer(), uid=generate_uid, clock=lambda: ACQUIRED
        )
        paths = []
        for number, dataset in enumerate(objects):
            paths.append(self._folder / f"{exam['accession']}-{number}.dcm")
            dataset.save_as(paths[-1], enforce_file_format=True)
        peer = Peer("PHOTOPEAK", "127.0.0.1", self.department.service.dicom_port, calling_aet="CAM1")
        assert all(stored.kept for stored in peer.store(paths))

    def send_again_altered(self, accession: str) -> None:
        """Let the camera send another object under the UID of an exam's first image."""
        path = self._folder / f"{accession}-0.dcm"
        one: Any = pydicom.dcmread(path)
        one.PixelData = bytes(len(one.PixelData))
        one.save_as(path)
        peer = Peer("PHOTOPEAK", "127.0.0.1", self.department.service.dicom_port, calling_aet="CAM1")
        assert all(stored.kept for stored in peer.store([path]))

    def client(self, user: str) -> Client:
        """Return somebody's own line to the service."""
        if user not in self._clients:
            self._clients[user] = Client(self.department.url)
            self._clients[user].sign_in(user, PASSWORD)
        return self._clients[user]

    def report(self, accession: str, user: str = COLLEAGUE) -> dict[str, Any]:
        """Return a report as somebody sees it."""
        shown: dict[str, Any] = self.client(user).get(f"exams/{accession}/report")
        return shown

    @asynccontextmanager
    async def sitting(
        self, user: str, page: Callable[[Desk], Screen[Any]], size: tuple[int, int] = NARROW, **chosen: str
    ) -> AsyncIterator[Sitting]:
        """Open somebody's console on a page."""
        async with opened(self.department, user, self._folder, size, **chosen) as pilot:
            app = pilot.app
            assert isinstance(app, Console)
            assert app._desk is not None
            await app.push_screen(page(app._desk))
            yield Sitting(app, pilot)


class Sitting:
    """Somebody at the console."""

    def __init__(self, app: Console, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    async def until(self, held: Callable[[], Any]) -> None:
        """Wait until something holds."""
        await until(self.pilot, held)
        await self.pilot.pause()

    async def sees(self, *words: str) -> None:
        """Wait until words stand on the screen."""
        await self.until(lambda: all(one in self.seen() for one in words))

    async def hears(self, words: str) -> None:
        """Wait until a toast says so; tests show none on the screen."""
        await self.until(lambda: any(words in one.message for one in self.app._notifications))

    async def press(self, *keys: str) -> None:
        """Press keys."""
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        """Type a text, ideographs as an input method gives them."""
        await self.pilot.press(*text)

    def seen(self) -> str:
        """Return the screen as text."""
        return picture(self.app)


@contextmanager
def reading_room(department: Department, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReadingRoom]:
    """Open a reading room whose terminals have all colours."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    room = ReadingRoom(department, folder)
    try:
        yield room
    finally:
        room.close()
