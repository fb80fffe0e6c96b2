"""A department to sign in to: the real service on a free port, its clock standing still, and the console over it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from console import preferences, words
from console.app import Console
from console.client import Client, TokenFile
from console.screens.page import Page
from core import access
from core.service import Service
from core.settings import Settings
from core.vocabulary import Role
from core.workflow import staffing
from tests.tables import HASHER, laid_in

PASSWORD = "open-sesame"
MORNING = datetime(2026, 10, 5, 1, 30, tzinfo=UTC)
PATIENCE = 20.0  # seconds a condition may take to come true

Until = Callable[[Callable[[], Any]], Any]


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = MORNING

    def __call__(self) -> datetime:
        return self.now

    def pass_minutes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)


class Department:
    """The service, its address, and a signed-in line to it."""

    def __init__(self, service: Service, clock: Clock) -> None:
        self.service, self.clock = service, clock
        self.url = f"http://127.0.0.1:{service.http_port}"
        self.client = Client(self.url)

    def employ(self, username: str, full_name: str, *roles: Role) -> None:
        hashed = staffing.hashed(HASHER, PASSWORD)
        with self.service.records.writing() as work:
            operator = access.operator("test", "MAIN")
            staffing.add(work, operator, username, list(roles), full_name=full_name, password_hash=hashed)

    def registered(self, name: str, procedure: str = "BONE-WB", **said: Any) -> dict[str, Any]:  # noqa: ANN401 - either half
        patient: dict[str, Any] = {"name": name, "birth_date": "1961-03-04", "sex": "M", "accept_similar": True}
        exam: dict[str, Any] = {"patient": "-", "procedure": procedure}
        for key, value in said.items():
            (patient if key in {"birth_date", "sex", "phone", "number"} else exam)[key] = value
        made: dict[str, Any] = self.client.post("registrations", {"patient": patient, "exam": exam})
        return made


@pytest.fixture(autouse=True)
def _a_place_of_ones_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Tokens and settings of a test touch nobody's; time of day is that of Shanghai, everywhere."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    monkeypatch.delenv("NO_COLOR", raising=False)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def department(tmp_path: Path) -> Iterator[Department]:
    """Give a department of one morning with a clerk, a nurse, a doctor and a head."""
    clock = Clock()
    settings = Settings(laid_in(tmp_path / "data"), http="127.0.0.1:0", dicom="127.0.0.1:0")
    service = Service(settings, clock)
    service.start()
    there = Department(service, clock)
    try:
        there.employ("wang.li", "Wang Li", Role.CLERK)
        there.employ("liu.min", "Liu Min", Role.NURSE)
        there.employ("zhao.yi", "Zhao Yi", Role.DOCTOR)
        there.employ("chen.bo", "Chen Bo", Role.HEAD)
        there.client.sign_in("chen.bo", PASSWORD)
        yield there
    finally:
        there.client.close()
        service.stop()


async def until(pilot: Pilot[Any], true: Callable[[], Any]) -> None:
    """Wait until something is true of the console; the test fails when it never is."""
    waited = 0.0
    while not true():
        assert waited < PATIENCE, f"it never came true; the screen was\n{picture(pilot.app)}"
        await pilot.pause(0.05)
        waited += 0.05


def picture(app: Any) -> str:  # noqa: ANN401 - any app
    """Return what stands on the screen, line by line."""
    lines = ["".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips()]
    return "\n".join(line.rstrip() for line in lines) + "\n"


@asynccontextmanager
async def opened(
    there: Department, user: str, folder: Path, size: tuple[int, int] = (80, 24), language: str = "en", **chosen: str
) -> AsyncIterator[Pilot[None]]:
    """Open the console and sign in, as a person does."""
    words.speak(language)
    TokenFile(there.url).write(None)
    environment = {"LANG": "C.UTF-8", "TERM": "xterm-256color"}
    own = preferences.read(environment, folder / "config", there.url)
    if chosen:
        own = own.keep(**chosen)
    app = Console(preferences.read(environment, own.folder, there.url), there.clock)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app._client is not None)
        await pilot.press(*user, "enter", *PASSWORD, "enter")
        await until(pilot, lambda: isinstance(app.screen, Page))
        await until(pilot, lambda: app._desk is not None and app._desk.today)
        await pilot.pause()
        yield pilot
    words.speak("en")
