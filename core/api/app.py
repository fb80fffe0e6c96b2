"""The HTTP application: routers put together, errors turned into problem bodies (RFC 9457), health told truly."""

import re
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from importlib.metadata import version
from urllib.parse import unquote

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core import wire
from core.access import Actor
from core.api import health
from core.errors import Broken, CoreError, Forbidden, Invalid, NotFound, PeerFailed, Refused, TooSoon, Unauthenticated
from core.workflow.health import Measure

_API = "/api/v1"
_LONGEST_BODY = 4 << 20
_TOO_LONG = f"a request has at most {_LONGEST_BODY} bytes: objects are sent to /dicomweb or by C-STORE"
_SENT_SLASH = re.compile(rb"%2f", re.IGNORECASE)

# The first class that fits names the status.
_STATUS: Sequence[tuple[type[CoreError], HTTPStatus]] = (
    (Unauthenticated, HTTPStatus.UNAUTHORIZED),
    (Forbidden, HTTPStatus.FORBIDDEN),
    (NotFound, HTTPStatus.NOT_FOUND),
    (Invalid, HTTPStatus.UNPROCESSABLE_ENTITY),
    (TooSoon, HTTPStatus.TOO_MANY_REQUESTS),
    (Refused, HTTPStatus.CONFLICT),
    (PeerFailed, HTTPStatus.BAD_GATEWAY),
    (Broken, HTTPStatus.INTERNAL_SERVER_ERROR),
)


def build(
    routers: Iterable[APIRouter],
    who: Callable[[str], Actor],
    parts: Callable[[], list[wire.Part]],
    measures: Callable[[], Sequence[Measure]],
    dicomweb: APIRouter | None = None,
) -> FastAPI:
    """Put the application together; `who` knows tokens, `parts` looks at each part of the service."""
    app = FastAPI(
        title="photopeak", version=version("photopeak"), docs_url=None, redoc_url=None,
        dependencies=[Depends(_numbers_whole)],
    )  # fmt: skip
    app.add_middleware(_SlashesInNumbers)
    app.add_middleware(_BoundedBodies)
    app.state.who = who
    app.add_exception_handler(CoreError, _refuse)
    app.add_exception_handler(RequestValidationError, _misspelt)
    app.add_exception_handler(DataError, _too_much)
    app.add_exception_handler(OverflowError, _too_much)  # SQLite's way of saying it of a number
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _broken)
    for router in routers:
        app.include_router(router, prefix=_API)
    if dicomweb:
        app.include_router(dicomweb)
    app.include_router(health.router(parts, measures))
    return app


class _SlashesInNumbers:
    """Keep the slash of a number such as 2026/117, sent as %2F, apart from those between the pieces of a path.

    A server decodes the path before it looks for the route; a control sign, which no number may hold, stands for the
    slash until then.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent = scope.get("raw_path") or b""
        if _SENT_SLASH.search(sent):
            scope = {**scope, "path": unquote(_SENT_SLASH.sub(b"%1F", sent).decode("ascii"))}
        await self._app(scope, receive, send)


class _BoundedBodies:
    """Refuse bodies longer than anything a form holds; objects come to DICOMweb, which takes them piece by piece."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(_API):
            await self._app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > _LONGEST_BODY:
            await _too_long()(scope, receive, send)
            return
        taken = 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > _LONGEST_BODY:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LONG)
            return message

        await self._app(scope, bounded, send)


def _too_long() -> JSONResponse:
    return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LONG)


def _numbers_whole(request: Request) -> None:
    for name, value in request.path_params.items():
        request.path_params[name] = value.replace("\x1f", "/")


def problem(status: HTTPStatus, detail: str) -> JSONResponse:
    """Answer with a problem body."""
    body = wire.Problem(title=status.phrase, status=status, detail=detail)
    return JSONResponse(body.model_dump(), status_code=status, media_type="application/problem+json")


def _refuse(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, CoreError)  # noqa: S101 - registered for nothing else
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    answer = problem(status, error.detail)
    if isinstance(error, TooSoon):
        answer.headers["Retry-After"] = str(error.seconds)
    return answer


def _broken(_request: Request, _error: Exception) -> JSONResponse:
    """Answer what nobody foresaw; the log has the cause, the caller gets no text that may name patients."""
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the service failed; nothing was changed: look into its log")


def _misspelt(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for nothing else
    said = "; ".join(f"{'.'.join(str(part) for part in e['loc'][1:]) or 'body'}: {e['msg']}" for e in error.errors())
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, said)


def _too_much(_request: Request, _error: Exception) -> JSONResponse:
    """Answer what the database finds too long or too large; its own words would hold what was typed."""
    said = "a text is longer, or a number larger, than the register holds; nothing was changed: shorten it"
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, said)


def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    return problem(HTTPStatus(error.status_code), str(error.detail))
