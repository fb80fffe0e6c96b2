"""The ear: a thread that hears the service's news and posts it to the app.

It resumes after the last event it heard, whatever happened between, and waits longer after each failed try.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from textual.message import Message

from console.client import Client, News, ServiceAway, ServiceRefused

_FIRST_WAIT, _LONGEST_WAIT = 0.25, 5.0
UNAUTHORIZED = 401


class Heard(Message):
    """Something happened in the department."""

    def __init__(self, news: News) -> None:
        super().__init__()
        self.news = news


class LineUp(Message):
    """The service is there, and what was missed follows."""


class LineDown(Message):
    """The service is not there; it is tried again."""


class SignedOut(Message):
    """The service does not know the token any more."""


class Ear:
    """Listens until `stop`; `post` is the app's own, which any thread may call."""

    def __init__(self, client: Client, post: Callable[[Message], object]) -> None:
        self._client, self._post = client, post
        self._after: int | None = None
        self._stopped = threading.Event()
        # A daemon of its own, not a worker: leaving must not wait for a stream that says nothing.
        self._thread = threading.Thread(target=self._listen, name="ear", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Hear nothing any more."""
        self._stopped.set()
        self._client.hush()

    def _listen(self) -> None:
        wait = _FIRST_WAIT
        while not self._stopped.is_set():
            before = self._after
            try:
                self._hear()
            except ServiceRefused as refused:
                if refused.status == UNAUTHORIZED:
                    self._post(SignedOut())
                    return
            except ServiceAway:
                pass  # told below, as any other end of the stream
            if self._stopped.is_set():
                return
            self._post(LineDown())
            wait = _FIRST_WAIT if self._after != before else min(_LONGEST_WAIT, wait * 2)
            self._stopped.wait(wait)

    def _hear(self) -> None:
        for news in self._client.news(self._after):
            if self._stopped.is_set():
                return
            self._after = news.seq
            self._post(LineUp() if news.kind == "ready" else Heard(news))
