"""A member of staff at work over HTTP, as a person at the console is."""

from __future__ import annotations

from typing import Any

import httpx

from core.errors import PeerFailed, Refused
from core.vocabulary import Role


class Colleague:
    """Somebody signed in to the service."""

    def __init__(self, server: str, username: str, role: Role, password: str) -> None:
        self.username, self.role, self.password = username, role, password
        self._http = httpx.Client(base_url=f"{server}/api/v1", timeout=60.0, trust_env=False)

    def sign_in(self) -> None:
        """Sign in; what is asked later carries the token."""
        token = self._call("POST", "session", json={"username": self.username, "password": self.password})["token"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def ask(self, path: str, **query: Any) -> Any:  # noqa: ANN401 - JSON
        """Read."""
        return self._call("GET", path, params=query)

    def do(self, path: str, **body: Any) -> Any:  # noqa: ANN401 - JSON
        """Do.

        Raises
        ------
        Refused
            With what the service said.
        """
        return self._call("POST", path, json=body)

    def put(self, path: str, **body: Any) -> Any:  # noqa: ANN401 - JSON
        """Set."""
        return self._call("PUT", path, json=body)

    def _call(self, method: str, path: str, **how: Any) -> Any:  # noqa: ANN401 - JSON
        try:
            answer = self._http.request(method, path, **how)
        except httpx.HTTPError as error:
            raise PeerFailed(f"the service did not answer {method} {path} ({type(error).__name__})") from error
        if answer.is_error:
            raise Refused(f"{self.username}, {method} {path}: {_said(answer)}")
        return answer.json()

    def close(self) -> None:
        """Go home."""
        self._http.close()


def _said(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return str(answer.status_code)
