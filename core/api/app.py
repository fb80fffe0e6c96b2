"""The HTTP application: routers put together, errors turned into problem bodies (RFC 9457), health told truly."""

from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from importlib.metadata import version

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from core import wire
from core.access import Actor
from core.errors import Broken, CoreError, Forbidden, Invalid, NotFound, PeerFailed, Refused, Unauthenticated

# The first class that fits names the status.
_STATUS: Sequence[tuple[type[CoreError], HTTPStatus]] = (
    (Unauthenticated, HTTPStatus.UNAUTHORIZED),
    (Forbidden, HTTPStatus.FORBIDDEN),
    (NotFound, HTTPStatus.NOT_FOUND),
    (Invalid, HTTPStatus.UNPROCESSABLE_ENTITY),
    (Refused, HTTPStatus.CONFLICT),
    (PeerFailed, HTTPStatus.BAD_GATEWAY),
    (Broken, HTTPStatus.INTERNAL_SERVER_ERROR),
)


def build(
    routers: Iterable[APIRouter],
    who: Callable[[str], Actor],
    parts: Callable[[], list[wire.Part]],
    metrics: Callable[[], str],
) -> FastAPI:
    """Put the application together; `who` knows tokens, `parts` looks at each part of the service."""
    app = FastAPI(title="photopeak", version=version("photopeak"), docs_url=None, redoc_url=None)
    app.state.who = who
    app.add_exception_handler(CoreError, _refuse)
    app.add_exception_handler(RequestValidationError, _misspelt)
    app.add_exception_handler(HTTPException, _http)
    for router in routers:
        app.include_router(router, prefix="/api/v1")
    app.include_router(_health(parts, metrics))
    return app


def _health(parts: Callable[[], list[wire.Part]], metrics: Callable[[], str]) -> APIRouter:
    routes = APIRouter(tags=["health"])

    @routes.get("/healthz")
    def process_is_up() -> dict[str, str]:
        return {"status": "up", "version": version("photopeak")}

    @routes.get("/readyz")
    def every_part_works(response: Response) -> list[wire.Part]:
        looked_at = parts()
        if not all(part.ready for part in looked_at):
            response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return looked_at

    @routes.get("/metrics", response_class=Response)
    def counters() -> Response:
        return Response(metrics(), media_type="text/plain; version=0.0.4")

    return routes


def problem(status: HTTPStatus, detail: str) -> JSONResponse:
    """Answer with a problem body."""
    body = wire.Problem(title=status.phrase, status=status, detail=detail)
    return JSONResponse(body.model_dump(), status_code=status, media_type="application/problem+json")


def _refuse(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, CoreError)  # noqa: S101 - registered for nothing else
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    return problem(status, error.detail)


def _misspelt(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for nothing else
    said = "; ".join(f"{'.'.join(str(part) for part in e['loc'][1:]) or 'body'}: {e['msg']}" for e in error.errors())
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, said)


def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for nothing else
    return problem(HTTPStatus(error.status_code), str(error.detail))
