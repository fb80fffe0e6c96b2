"""News as server-sent events, resumable by `Last-Event-ID`.

One thread reads the outbox and feeds every stream: forty-five synchronous streams would starve the thread pool.
It wakes when this process commits, and looks twice a second for what other processes wrote.
"""

import asyncio
import json
import logging
import re
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from sqlalchemy.exc import SQLAlchemyError

from core import wire
from core.access import Actor, ActorKind, reach
from core.api.caller import Bearer, Caller
from core.errors import Unauthenticated
from core.model import Event
from core.records import Records
from core.vocabulary import Extent, Operation

log = logging.getLogger(__name__)

_LOOK_EVERY = 0.2
_BACKLOG = 500
_EVENT_ID = re.compile(r"[0-9]{1,18}")


class Newsroom:
    """The one reader of the outbox; streams subscribe to it."""

    def __init__(self, records: Records, keep_alive: float = 15.0) -> None:
        self._records = records
        self.keep_alive = keep_alive
        self._seq = 0
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read, name="newsroom", daemon=True)

    def start(self) -> None:
        """Begin reading at the newest event."""
        self._seq = self._records.last_event()
        self._thread.start()

    def stop(self) -> None:
        """End every stream and the reader."""
        self._stopped.set()
        self._wake()

    @property
    def stopped(self) -> bool:
        """Whether the service is going down."""
        return self._stopped.is_set()

    def _read(self) -> None:
        while not self._stopped.is_set():
            self._records.wait_for_news(_LOOK_EVERY)
            try:
                newest = self._records.last_event()
            except SQLAlchemyError as error:  # the database may come back, and then somebody has to be reading
                log.warning("news could not be read (%s)", type(error).__name__)
                self._stopped.wait(1)
                continue
            if newest != self._seq:
                self._seq = newest
                self._wake()

    def _wake(self) -> None:
        with self._lock:
            for loop, bell in self._waiting:
                loop.call_soon_threadsafe(bell.set)

    async def after(self, seq: int, actor: Actor) -> AsyncIterator[Event | None]:
        """Yield the events after `seq` that `actor` may hear of; None now and then, to keep the line alive."""
        bell, loop = asyncio.Event(), asyncio.get_running_loop()
        with self._lock:
            self._waiting.add((loop, bell))
        try:
            while not self.stopped:
                bell.clear()
                for event in await asyncio.to_thread(self._records.events_after, seq, _BACKLOG):
                    seq = event.seq or seq
                    if event.site == actor.site or actor.kind is not ActorKind.PERSON:
                        yield event
                if self._seq <= seq:
                    try:
                        await asyncio.wait_for(bell.wait(), self.keep_alive)
                    except TimeoutError:
                        yield None
        finally:
            with self._lock:
                self._waiting.discard((loop, bell))


def shape(event: Event, actor: Actor) -> wire.Event:
    """Return an event as it travels; who knows only their own cases hears that something changed, not of whom."""
    told = reach(actor, Operation.FIND) is Extent.ALL
    return wire.Event(
        seq=event.seq or 0,
        at=wire.local(event.at),
        kind=event.kind,
        subject=event.subject if told else "",
        data=event.data if told else {},
        site=event.site,
    )


def router(records: Records, newsroom: Newsroom) -> APIRouter:
    """Return the route of the stream."""
    routes = APIRouter(tags=["events"])

    @routes.get("/events")
    async def stream(
        request: Request,
        actor: Caller,
        token: Bearer,
        last_event_id: Annotated[str | None, Header()] = None,
        after: Annotated[int | None, Query(ge=0, lt=2**63)] = None,
    ) -> StreamingResponse:
        known = last_event_id if last_event_id and _EVENT_ID.fullmatch(last_event_id) else None
        start = int(known) if known else after
        seq = start if start is not None else await asyncio.to_thread(records.last_event)
        who: Callable[..., Actor] = request.app.state.who
        told = lines(request, newsroom, seq, actor, lambda: who(token, used=False))
        return StreamingResponse(told, media_type="text/event-stream")

    return routes


async def lines(
    request: Request, newsroom: Newsroom, seq: int, actor: Actor, who: Callable[[], Actor]
) -> AsyncIterator[str]:
    """Write the stream until the peer, the service or the sign-in ends; `who` is asked again now and then."""
    yield f"id: {seq}\nevent: ready\ndata: {{}}\n\n"
    ask_again = time.monotonic() + newsroom.keep_alive
    async for event in newsroom.after(seq, actor):
        if await request.is_disconnected():
            return
        if time.monotonic() >= ask_again:
            if await asyncio.to_thread(_has_left, who):
                return
            ask_again = time.monotonic() + newsroom.keep_alive
        if event is None:
            yield ": still here\n\n"
        else:
            body = shape(event, actor).model_dump(mode="json")
            yield f"id: {event.seq}\nevent: {event.kind}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n"


def _has_left(who: Callable[[], Actor]) -> bool:
    try:
        who()
    except Unauthenticated:
        return True
    return False
