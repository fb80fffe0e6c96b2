"""The console's line to the service: HTTP with a token, and the stream of news.

Screens and line mode use the same client; it knows paths and shapes' names only as text, and raises what the service
said.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from platformdirs import user_state_path

DEFAULT_SERVER = "http://127.0.0.1:11180"
_STREAM_QUIET = 40.0  # seconds; the service says something at least every 15


class ServiceRefused(Exception):
    """The service said no; `detail` is fit for a person."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail = status, title, detail


class ServiceAway(Exception):
    """The service does not answer."""

    def __init__(self, server: str, why: str) -> None:
        super().__init__(
            f"{server} does not answer ({why}): is photopeakd running? Set PHOTOPEAK_SERVER or give --server"
        )
        self.detail = str(self)


@dataclass(frozen=True)
class News:
    """One event: `seq` resumes the stream after it."""

    seq: int
    kind: str
    data: dict[str, Any]


class Client:
    """A signed-in, or not yet signed-in, line to one service. Safe to use from several threads."""

    def __init__(self, server: str = DEFAULT_SERVER, token: str | None = None) -> None:
        self.server = server.rstrip("/")
        self.token = token
        self._http = httpx.Client(base_url=f"{self.server}/api/v1", timeout=30.0)
        self._lock = threading.Lock()
        self._calls, self._closed = 0, False  # calls under way; the last to end after `close` hangs up
        self._stream: socket.socket | None = None

    def get(self, path: str, **query: Any) -> Any:  # noqa: ANN401 - JSON
        """Ask; queries that are None are left out."""
        return self._call("GET", path, params={k: v for k, v in query.items() if v is not None})

    def post(self, path: str, body: Any = None, **query: Any) -> Any:  # noqa: ANN401 - JSON
        """Do."""
        return self._call("POST", path, json=body if body is not None else {}, params=query)

    def put(self, path: str, body: Any) -> Any:  # noqa: ANN401 - JSON
        """Set."""
        return self._call("PUT", path, json=body)

    def patch(self, path: str, body: Any) -> Any:  # noqa: ANN401 - JSON
        """Change."""
        return self._call("PATCH", path, json=body)

    def delete(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Take away."""
        return self._call("DELETE", path)

    def sign_in(self, username: str, password: str) -> dict[str, Any]:
        """Sign in and keep the token; returns who one is."""
        me: dict[str, Any] = self.post("session", {"username": username, "password": password})
        self.token = me.pop("token")
        return me

    def _call(self, method: str, path: str, **how: Any) -> Any:  # noqa: ANN401 - JSON or bytes
        try:
            with self._under_way():
                answer = self._http.request(method, path, headers=self._headers(), **how)
        except httpx.HTTPError as error:
            raise ServiceAway(self.server, type(error).__name__) from error
        if answer.is_error:
            raise _refusal(answer)
        if answer.content and answer.headers.get("content-type", "").startswith("application/json"):
            return answer.json()
        return answer.content or None

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def news(self, after: int | None = None) -> Iterator[News]:
        """Yield news as it comes, beginning after event `after`; ends by raising ServiceAway."""
        query = {"after": after} if after is not None else {}
        quiet = httpx.Timeout(10.0, read=_STREAM_QUIET)
        try:
            with (
                self._under_way(),
                self._http.stream("GET", "events", headers=self._headers(), params=query, timeout=quiet) as answer,
            ):
                if answer.is_error:
                    answer.read()
                    raise _refusal(answer)
                self._stream = answer.extensions["network_stream"].get_extra_info("socket")
                if not self._closed:
                    yield from _parse(answer.iter_lines())
        except httpx.HTTPError as error:
            raise ServiceAway(self.server, type(error).__name__) from error
        raise ServiceAway(self.server, "the stream ended")

    def hush(self) -> None:
        """End the stream of news, now, whichever thread reads it."""
        if self._stream is not None:
            with suppress(OSError):  # it has ended already
                self._stream.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Hang up: the stream of news ends now, calls under way when they are answered."""
        with self._lock:
            idle, self._closed = self._calls == 0, True
        self.hush()
        if idle:
            self._http.close()

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise ServiceAway(self.server, "the console has hung up")
            self._calls += 1
        try:
            yield
        finally:
            with self._lock:
                self._calls -= 1
                last = self._closed and self._calls == 0
            if last:
                self._http.close()


def _refusal(answer: httpx.Response) -> ServiceRefused:
    try:
        body = answer.json()
        return ServiceRefused(answer.status_code, body["title"], body["detail"])
    except (ValueError, KeyError, TypeError):
        return ServiceRefused(answer.status_code, answer.reason_phrase, f"the service answered {answer.status_code}")


def _parse(lines: Iterator[str]) -> Iterator[News]:
    fields: dict[str, str] = {}
    for line in lines:
        if line and not line.startswith(":"):
            name, _, value = line.partition(":")
            fields[name] = value.lstrip()
        elif not line and "data" in fields:
            yield News(int(fields.get("id", "0")), fields.get("event", ""), json.loads(fields["data"]))
            fields = {}


class TokenFile:
    """Where the token of a server is kept between commands, readable by its owner alone."""

    def __init__(self, server: str, folder: Path | None = None) -> None:
        self._path = (folder or user_state_path("photopeak")) / "tokens.json"
        self._server = server.rstrip("/")

    def read(self) -> str | None:
        """Return the token kept for this server."""
        return self._all().get(self._server)

    def write(self, token: str | None) -> None:
        """Keep a token, or forget it."""
        tokens = self._all()
        tokens.pop(self._server, None)
        if token:
            tokens[self._server] = token
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = self._path.with_suffix(".new")
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(tokens, file)
        beside.replace(self._path)

    def _all(self) -> dict[str, str]:
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}
