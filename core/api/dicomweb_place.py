"""What the URLs of DICOMweb name: studies, series, objects, frames (PS3.18 10.1.1)."""

import re
from typing import Annotated

from fastapi import Depends, Request

from core.errors import Invalid
from core.workflow.dicomweb import Place

STUDY = "/studies/{study}"
SERIES = f"{STUDY}/series/{{series}}"
INSTANCE = f"{SERIES}/instances/{{instance}}"
PLACES = (STUDY, SERIES, INSTANCE)
_MOST_FRAMES = 10_000


def _named(request: Request) -> Place:
    return Place(*(request.path_params.get(level, "") for level in ("study", "series", "instance")))


Named = Annotated[Place, Depends(_named)]


def root_of(request: Request) -> str:
    """Return the URL DICOMweb is reached under, as the caller wrote it.

    Some callers leave the port out of their Host header; where they name our own address, it is our own port.
    """
    url, (host, port) = request.base_url, request.scope.get("server") or ("", None)
    if url.port is None and url.hostname == host and port:
        url = url.replace(port=port)
    return f"{str(url).rstrip('/')}/dicomweb"


def url_of(root: str, place: Place) -> str:
    """Return the URL of a place."""
    named = zip(("studies", "series", "instances"), (place.study, place.series, place.instance), strict=True)
    return "/".join([root, *(f"{kind}/{uid}" for kind, uid in named if uid)])


def frame_numbers(text: str) -> list[int]:
    """Read a list of frames, counted from 1, into numbers counted from 0.

    Raises
    ------
    Invalid
        It is no such list.
    """
    if not re.fullmatch(r"[0-9]{1,9}(,[0-9]{1,9})*", text) or text.count(",") >= _MOST_FRAMES:
        raise Invalid("frames are numbers from 1 on, with commas between: 1,2,5")
    numbers = [int(one) for one in text.split(",")]
    if 0 in numbers:
        raise Invalid("frames are counted from 1")
    return [number - 1 for number in numbers]
