"""News over HTTP: told only for as long as whoever listens may hear it."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import Request
from sqlalchemy.exc import OperationalError
from starlette.types import Message

from core import access
from core.access import Actor
from core.api import events
from core.api.events import Newsroom
from core.commands.serving import without_values
from core.errors import Unauthenticated
from core.model import Site
from core.records import Records
from core.vocabulary import Role
from tests.tables import laid

CLERK = access.person("wang.li", "MAIN", Role.CLERK)


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    records = Records(laid(tmp_path / "news.sqlite"), new_uid=lambda: "1.2.3")
    with records.writing() as work:
        work.add(Site(code="MAIN"))
    yield records
    records.close()


async def _still_there() -> Message:
    await asyncio.sleep(60)
    return {"type": "http.disconnect"}


def test_a_stream_ends_when_its_listener_is_no_longer_signed_in(records: Records) -> None:
    asked: list[bool] = []

    def who() -> Actor:
        asked.append(True)
        if len(asked) > 1:
            msg = "you are not signed in"
            raise Unauthenticated(msg)
        return CLERK

    async def heard() -> list[str]:
        request = Request({"type": "http"}, _still_there)
        told = events.lines(request, Newsroom(records, keep_alive=0.05), 0, CLERK, who)
        return [line async for line in told]

    lines = asyncio.run(asyncio.wait_for(heard(), 30))
    assert (len(asked), lines[0].splitlines()[1]) == (2, "event: ready")


def test_a_database_that_is_away_for_a_moment_does_not_end_the_news(records: Records) -> None:
    failed: list[bool] = []
    last = records.last_event

    def once() -> int:
        if not failed:
            failed.append(True)
            raise OperationalError("SELECT 1", {}, Exception("the server closed the connection"))
        return last()

    newsroom = Newsroom(records)
    newsroom.start()
    records.last_event = once  # type: ignore[method-assign]
    with records.writing() as work:
        work.tell("MAIN", "exam", "A1")
    newsroom._thread.join(1.5)
    assert failed
    assert newsroom._thread.is_alive()
    newsroom.stop()
    newsroom._thread.join(5)


def test_a_log_names_the_place_of_a_fault_and_not_its_text() -> None:
    try:
        int("Zhang^Wei")
    except ValueError:
        record = logging.LogRecord("uvicorn.error", logging.ERROR, "", 1, "Exception in %s\n", ("app",), sys.exc_info())
    assert without_values(record)
    said = logging.Formatter("%(message)s").format(record)
    assert "Zhang" not in said
    assert said.startswith("Exception in app: ValueError in ")
