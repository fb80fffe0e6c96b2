"""Pictures of stored objects for a browser (PS3.18 10.4.1.1.3): rendered at any size and window, and thumbnails."""

import re
from collections.abc import Callable, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import cast, get_args

from fastapi import APIRouter, HTTPException, Request, Response

from core.api import dicomweb_multipart as multipart
from core.api.caller import Caller
from core.api.dicomweb_media import Taken, single, taken, unacceptable
from core.api.dicomweb_multipart import Part
from core.api.dicomweb_place import INSTANCE, PLACES, Named, frame_numbers, root_of, url_of
from core.errors import Invalid
from core.imaging.raster import Curve, Voi
from core.model import Image
from core.records import Records
from core.workflow import dicomweb, rendering
from core.workflow.dicomweb import Found
from core.workflow.rendering import GIF, JPEG, PDF, PNG, Rendering

Locate = Callable[[Image], Path]
_PICTURES = (JPEG, PNG, GIF)
_THUMBNAIL = 128
_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"


def add_to(routes: APIRouter, records: Records, locate: Locate) -> None:
    """Add the routes that draw."""

    def draw(request: Request, actor: Caller, place: Named) -> Response:
        wanted, how, numbers = taken(request), _rendering(request), _frames_named(request)
        with records.reading() as work:
            found = dicomweb.objects(work, actor, place)
        if len(found) == 1 and rendering.is_document(found[0].row):
            return _document(wanted, locate(found[0].row))
        shown = [one for one in found if rendering.is_picture(one)]
        if not shown:
            raise HTTPException(HTTPStatus.NOT_ACCEPTABLE, f"{place} has no picture: fetch it as application/dicom")
        media = single([one for one in wanted if place.instance or one.media != "*/*"], _PICTURES)
        alone = len(shown) == 1 and (numbers is None or len(numbers) == 1)
        if media and alone:
            return _picture(locate(shown[0].row), media, how, numbers)
        return _pictures(request, wanted, [(one, locate(one.row)) for one in shown], how, numbers)

    def thumbnail(request: Request, actor: Caller, place: Named) -> Response:
        media = single(taken(request), (JPEG, PNG))
        if media is None:
            raise unacceptable(JPEG, PNG)
        how = _rendering(request, usual=(_THUMBNAIL, _THUMBNAIL))
        numbers = _frames_named(request)
        with records.reading() as work:
            chosen = rendering.representative(dicomweb.objects(work, actor, place))
        if numbers is None:
            numbers = [max(0, chosen.row.frames // 2)]
        return _picture(locate(chosen.row), media, how, numbers)

    for path in (*PLACES, f"{INSTANCE}/frames/{{frames}}"):
        routes.get(f"{path}/rendered", name=f"rendered {path}", response_class=Response)(draw)
        routes.get(f"{path}/thumbnail", name=f"thumbnail {path}", response_class=Response)(thumbnail)


def _pictures(
    request: Request,
    wanted: Sequence[Taken],
    shown: Sequence[tuple[Found, Path]],
    how: Rendering,
    numbers: list[int] | None,
) -> Response:
    several = [
        media for one in wanted for media in _PICTURES if one.takes(media) and (one.multipart or one.media == "*/*")
    ]
    if not several:
        raise unacceptable(*(f'multipart/related; type="{media}"' for media in _PICTURES))
    media, root = several[0], root_of(request)
    parts = (
        Part(media, f"{url_of(root, one.place)}/frames/{number + 1}/rendered", [content])
        for one, number, content in rendering.pictures_of(shown, media, how, numbers)
    )
    return multipart.answer(parts, media)


def _frames_named(request: Request) -> list[int] | None:
    return frame_numbers(request.path_params["frames"]) if "frames" in request.path_params else None


def _document(wanted: Sequence[Taken], path: Path) -> Response:
    if not any(one.takes(PDF) for one in wanted):
        raise unacceptable(PDF)
    return Response(rendering.document(path), media_type=PDF)


def _picture(path: Path, media: str, how: Rendering, numbers: list[int] | None) -> Response:
    if media == GIF:
        return Response(rendering.cine(path, how, numbers), media_type=GIF)
    _, content = next(iter(rendering.pictures(path, media, how, numbers or [0])))
    return Response(content, media_type=media)


def _rendering(request: Request, usual: tuple[int, int] | None = None) -> Rendering:
    """Read `window`, `viewport` and `quality` (PS3.18 8.3.5)."""
    said = request.query_params
    return Rendering(
        size=_size(said.get("viewport"), usual), cut=_cut(said.get("viewport")), voi=_voi(said.get("window")),
        quality=_quality(said.get("quality")),
    )  # fmt: skip


def _size(viewport: str | None, usual: tuple[int, int] | None) -> tuple[int, int] | None:
    if viewport is None:
        return usual
    width, height = _numbers(viewport, "viewport", (2, 6))[:2]
    if not all(1 <= side <= rendering.LARGEST_SIDE for side in (width, height)):
        raise Invalid(f"a viewport has 1 to {rendering.LARGEST_SIDE} pixels each way")
    return int(height), int(width)


def _cut(viewport: str | None) -> rendering.Cut | None:
    numbers = _numbers(viewport, "viewport", (2, 6)) if viewport is not None else []
    if len(numbers) < 6:  # noqa: PLR2004 - width, height, and four numbers of what to cut out
        return None
    left, top, width, height = (int(number) for number in numbers[2:])
    return rendering.Cut(left, top, abs(width), abs(height), mirrored=width < 0, flipped=height < 0)


def _voi(window: str | None) -> Voi | None:
    if window is None:
        return None
    *numbers, curve = window.split(",") if window.count(",") > 1 else [*window.split(","), "linear"]
    centre, width = _numbers(",".join(numbers), "window", (2,))
    if curve not in get_args(Curve) or width <= 0:
        raise Invalid("window is centre,width,function: a width above 0, and linear, linear-exact or sigmoid")
    return Voi(centre, width, cast("Curve", curve))


def _quality(text: str | None) -> int:
    if text is None:
        return rendering.USUAL_QUALITY
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= 100:  # noqa: PLR2004 - as the standard has it
        raise Invalid("quality runs from 1 to 100")
    return int(text)


def _numbers(text: str, name: str, lengths: tuple[int, ...]) -> list[float]:
    parts = text.split(",")
    if len(parts) not in lengths or not all(re.fullmatch(_NUMBER, part) for part in parts):
        raise Invalid(f"{name} is {' or '.join(map(str, lengths))} numbers with commas between")
    return [float(part) for part in parts]
