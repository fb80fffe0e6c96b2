"""News as server-sent events, resumable by `Last-Event-ID`.

One thread reads the outbox and feeds every stream: forty-five synchronous streams would starve the thread pool.
It wakes when this process commits, and looks twice a second for what other processes wrote.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from core import wire
from core.access import Actor, ActorKind
from core.api.caller import Caller
from core.model import Event
from core.records import Records

_LOOK_EVERY = 0.2
_KEEP_ALIVE = 15.0
_BACKLOG = 500


class Newsroom:
    """The one reader of the outbox; streams subscribe to it."""

    def __init__(self, records: Records) -> None:
        self._records = records
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
            newest = self._records.last_event()
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
                        await asyncio.wait_for(bell.wait(), _KEEP_ALIVE)
                    except TimeoutError:
                        yield None
        finally:
            with self._lock:
                self._waiting.discard((loop, bell))


def shape(event: Event) -> wire.Event:
    """Return an event as it travels."""
    return wire.Event(
        seq=event.seq or 0,
        at=wire.local(event.at),
        kind=event.kind,
        subject=event.subject,
        data=event.data,
        site=event.site,
    )


def router(records: Records, newsroom: Newsroom) -> APIRouter:
    """Return the route of the stream."""
    routes = APIRouter(tags=["events"])

    @routes.get("/events")
    async def stream(
        request: Request,
        actor: Caller,
        last_event_id: Annotated[str | None, Header()] = None,
        after: Annotated[int | None, Query()] = None,
    ) -> StreamingResponse:
        known = last_event_id if last_event_id and last_event_id.isdigit() else None
        start = int(known) if known else after
        seq = start if start is not None else await asyncio.to_thread(records.last_event)
        return StreamingResponse(_lines(request, newsroom, seq, actor), media_type="text/event-stream")

    return routes


async def _lines(request: Request, newsroom: Newsroom, seq: int, actor: Actor) -> AsyncIterator[str]:
    yield f"id: {seq}\nevent: ready\ndata: {{}}\n\n"
    async for event in newsroom.after(seq, actor):
        if await request.is_disconnected():
            return
        if event is None:
            yield ": still here\n\n"
        else:
            body = shape(event).model_dump(mode="json")
            yield f"id: {event.seq}\nevent: {event.kind}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n"
