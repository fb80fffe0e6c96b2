"""Health: whether the process is up, whether each part works, and counters for Prometheus."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from http import HTTPStatus
from importlib.metadata import version

from fastapi import APIRouter, Response

from core import wire
from core.workflow.health import Measure

_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def router(parts: Callable[[], list[wire.Part]], measures: Callable[[], Sequence[Measure]]) -> APIRouter:
    """Return the routes anybody may ask."""
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
        return Response(exposed(measures()), media_type="text/plain; version=0.0.4")

    return routes


def exposed(measures: Iterable[Measure]) -> str:
    """Write measures as Prometheus reads them (text exposition format 0.0.4)."""
    return "".join(line + "\n" for one in measures for line in _lines(one))


def _lines(one: Measure) -> Iterator[str]:
    name = f"photopeak_{one.name}" + ("_total" if one.total else "")
    yield f"# HELP {name} {one.about}"
    yield f"# TYPE {name} {'counter' if one.total else 'gauge'}"
    for labels, number in one.samples:
        said = ",".join(f'{key}="{value.translate(_ESCAPED)}"' for key, value in labels.items())
        yield f"{name}{{{said}}} {number:.16g}" if said else f"{name} {number:.16g}"
