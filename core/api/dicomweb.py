"""DICOMweb (PS3.18 10): search with QIDO-RS, retrieve with WADO-RS, store with STOW-RS, under /dicomweb.

The rights are those of everywhere else, the token the one of `POST /api/v1/session`. What is large is streamed, and
never held whole.
"""

import json
import re
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from fastapi.routing import APIRoute
from pydicom.datadict import keyword_for_tag

from core.api import dicomweb_multipart as multipart
from core.api import dicomweb_rendered as rendered
from core.api import dicomweb_store as store
from core.api.caller import Caller
from core.api.dicomweb_media import BYTES, DICOM, JSON, Taken, demand_json, taken, unacceptable
from core.api.dicomweb_multipart import Part
from core.api.dicomweb_place import INSTANCE, PLACES, SERIES, STUDY, Named, frame_numbers, root_of, url_of
from core.api.dicomweb_query import Search, search_of
from core.dicom import part10
from core.dicom.bulkdata import PLAIN, StoredObject, media_of, pieces
from core.dicom.json_model import as_json, texts_as_json
from core.dicom.pixels import Undecodable
from core.errors import Invalid, Refused
from core.model import Image
from core.records import Records
from core.workflow import dicomweb
from core.workflow.dicomweb import (
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    STUDY_INSTANCE_UID,
    Answer,
    Found,
    Place,
)
from core.workflow.reception import Reception

Locate = Callable[[Image], Path]
_CHARSET, _RETRIEVE_URL = 0x00080005, 0x00081190
_NO_ATTRIBUTES = frozenset({_CHARSET, 0x00080052})  # of an answer, but of its query
_SEARCHES = (
    ("/studies", "STUDY"),
    ("/series", "SERIES"),
    (f"{STUDY}/series", "SERIES"),
    ("/instances", "IMAGE"),
    (f"{STUDY}/instances", "IMAGE"),
    (f"{SERIES}/instances", "IMAGE"),
)


def router(records: Records, reception: Reception, locate: Locate, largest: int) -> APIRouter:
    """Return the routes of DICOMweb; `locate` tells where an object's file is, `largest` the bytes of one taken in."""
    routes = APIRouter(tags=["dicomweb"], prefix="/dicomweb", route_class=_Route)
    for path, level in _SEARCHES:
        _search(routes, records, locate, path, level)
    _retrieve(routes, records, locate)
    _frames(routes, records, locate)
    rendered.add_to(routes, records, locate)
    store.add_to(routes, reception, largest)
    return routes


class _Route(APIRoute):
    """Answers what makes no sense with 400 and what cannot be given in the form asked for with 406 (PS3.18 8.5)."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler with these two errors translated."""
        handle = super().get_route_handler()

        async def told(request: Request) -> Response:
            try:
                return await handle(request)
            except Invalid as error:
                raise HTTPException(HTTPStatus.BAD_REQUEST, error.detail) from error
            except Undecodable as error:
                raise HTTPException(HTTPStatus.NOT_ACCEPTABLE, error.detail) from error

        return told


# -- QIDO-RS ---------------------------------------------------------------------------------------------------------


def _search(routes: APIRouter, records: Records, locate: Locate, path: str, level: str) -> None:
    @routes.get(path, name=f"search {path}", response_class=Response)
    def search(request: Request, actor: Caller, place: Named) -> Response:
        demand_json(request)
        wanted = search_of(request.query_params.multi_items(), level, place)
        with records.reading() as work:
            found = dicomweb.search(work, actor, wanted.keys, wanted.offset, wanted.limit + 1)
            if level == "IMAGE":
                dicomweb.with_matrix(work, actor, found[: wanted.limit], locate)
        return _answers(request, wanted, found)


def _answers(request: Request, wanted: Search, found: Sequence[Answer]) -> Response:
    aside = (keyword_for_tag(tag) for tag in dicomweb.left_aside(wanted.keys, wanted.asked))
    said = [*wanted.warnings, *(f"{keyword} is not searched by at this level: it was left aside" for keyword in aside)]
    if len(found) > wanted.limit:
        said.append(f"there are more: ask again with offset={wanted.offset + wanted.limit}")
    headers = {"Warning": ", ".join(f'299 photopeak "{text}"' for text in said)} if said else {}
    if not found[: wanted.limit]:
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=headers)
    root, unknown = root_of(request), {int(tag): "" for tag in wanted.keys.keys() - _NO_ATTRIBUTES}
    told = [_answer({**unknown, **one}, root) for one in found[: wanted.limit]]
    return Response(_json(told), media_type=JSON, headers=headers)


def _answer(found: Answer, root: str) -> dict[str, Any]:
    place = Place(*(found.get(tag, "") for tag in (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID)))
    return texts_as_json({**found, _CHARSET: "ISO_IR 192", _RETRIEVE_URL: url_of(root, place)})


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


# -- WADO-RS: objects and their metadata -----------------------------------------------------------------------------


def _retrieve(routes: APIRouter, records: Records, locate: Locate) -> None:
    def retrieve(request: Request, actor: Caller, place: Named) -> Response:
        wanted = [one for one in taken(request) if one.takes(DICOM)]
        if not wanted:
            raise unacceptable(f'multipart/related; type="{DICOM}"', DICOM)
        with records.writing() as work:
            found = dicomweb.retrieved(work, actor, place)
        files = [(one.place, locate(one.row)) for one in found]
        if not wanted[0].multipart and wanted[0].media == DICOM:
            return _one_file(files, wanted)
        root = root_of(request)
        return multipart.answer((_part(root, *one, wanted) for one in files), DICOM)

    def metadata(request: Request, actor: Caller, place: Named) -> Response:
        demand_json(request)
        with records.reading() as work:
            found = dicomweb.objects(work, actor, place)
        files = [(one, locate(one.row)) for one in found]
        return StreamingResponse(_told(files, root_of(request)), media_type=JSON)

    for path in PLACES:
        routes.get(path, name=f"retrieve {path}", response_class=Response)(retrieve)
        routes.get(f"{path}/metadata", name=f"metadata {path}", response_class=Response)(metadata)


def _one_file(files: Sequence[tuple[Place, Path]], wanted: Sequence[Taken]) -> Response:
    if len(files) > 1:
        raise unacceptable(f'multipart/related; type="{DICOM}"')
    syntax, made = _in_syntax(files[0][1], wanted)
    media = f"{DICOM}; transfer-syntax={syntax}"
    return Response(made, media_type=media) if made is not None else FileResponse(files[0][1], media_type=media)


def _part(root: str, place: Place, path: Path, wanted: Sequence[Taken]) -> Part:
    syntax, made = _in_syntax(path, wanted)
    content = [made] if made is not None else part10.as_stored(path)
    return Part(f"{DICOM}; transfer-syntax={syntax}", url_of(root, place), content)


def _in_syntax(path: Path, wanted: Sequence[Taken]) -> tuple[str, bytes | None]:
    """Return the transfer syntax an object goes out in, and the file made for it; None where it goes as it is kept.

    Where none is asked for it is Explicit VR Little Endian, and for what cannot be written so, such as a video, the
    one it is kept in (PS3.18 8.7.3.5.2).
    """
    asked, stored = [one.syntax for one in wanted], part10.stored_syntax(path)
    if "*" in asked or stored in asked or (stored == PLAIN and "" in asked):
        return stored, None
    try:
        return part10.in_syntax(path, [syntax or PLAIN for syntax in asked])
    except Refused as error:
        if "" in asked:
            return stored, None
        raise HTTPException(HTTPStatus.NOT_ACCEPTABLE, f"{error.detail}: ask for transfer-syntax=*") from error


def _told(files: Iterable[tuple[Found, Path]], root: str) -> Iterator[bytes]:
    """Yield the metadata of objects, one at a time, as one JSON list."""
    before = b"["
    for found, path in files:
        yield before + _json(_metadata(StoredObject(path, with_header=True), url_of(root, found.place)))
        before = b","
    yield b"]"


def _metadata(stored: StoredObject, url: str) -> dict[str, Any]:
    told = as_json(stored.header, lambda path: f"{url}/bulkdata/{path}")
    pixels = stored.pixel_element
    if pixels:
        told[pixels[0]] = {"vr": pixels[1], "BulkDataURI": f"{url}/bulkdata/{pixels[0]}"}
    told["00083002"] = {"vr": "UI", "Value": [stored.syntax]}  # Available Transfer Syntax UID
    return dict(sorted(told.items()))


# -- WADO-RS: frames and bulk data -----------------------------------------------------------------------------------


def _frames(routes: APIRouter, records: Records, locate: Locate) -> None:
    @routes.get(f"{INSTANCE}/frames/{{frames}}", name="frames", response_class=Response)
    def frames(request: Request, actor: Caller, place: Named, frames: str) -> Response:
        numbers = frame_numbers(frames)
        stored, url = _opened(request, actor, place)
        plain, media, one_only = _form(taken(request), stored)
        give = stored.plain if plain else stored.stored
        if one_only and len(numbers) == 1:
            return Response(give(numbers[0]), media_type=media)
        parts = (Part(media, f"{url}/frames/{number + 1}", [give(number)]) for number in numbers)
        return multipart.answer(parts, media.split(";", 1)[0])

    @routes.get(f"{INSTANCE}/bulkdata/{{path:path}}", name="bulk data", response_class=Response)
    def bulkdata(request: Request, actor: Caller, place: Named, path: str) -> Response:
        if not re.fullmatch(r"[0-9A-Fa-f]{8}(/[0-9]{1,9}/[0-9A-Fa-f]{8}){0,16}", path):
            raise Invalid("bulk data is named by a tag, with items between slashes, such as 00283010/1/00283006")
        stored, url = _opened(request, actor, place)
        pixels = stored.pixel_element
        if pixels and path.upper() == pixels[0]:
            plain, media, one_only = _form(taken(request), stored)
            if not plain:
                every = (Part(media, f"{url}/frames/{n + 1}", [stored.stored(n)]) for n in range(stored.frames))
                return multipart.answer(every, media.split(";", 1)[0])
            content: Iterable[bytes] = pieces(stored)
        else:
            _, _, one_only = _form(taken(request), None)
            content = [stored.value(path)]
        if one_only:
            return StreamingResponse(content, media_type=BYTES)
        return multipart.answer([Part(BYTES, f"{url}/bulkdata/{path}", content)], BYTES)

    def _opened(request: Request, actor: Caller, place: Place) -> tuple[StoredObject, str]:
        with records.reading() as work:
            row = dicomweb.objects(work, actor, place)[0].row
        return StoredObject(locate(row)), url_of(root_of(request), place)


def _form(wanted: Sequence[Taken], stored: StoredObject | None) -> tuple[bool, str, bool]:
    """Choose how bytes go out: uncompressed or as they are kept, their media type, and whether without parts.

    Without `stored` there is nothing compressed about them.
    """
    compressed = stored is not None and stored.compressed
    syntax = stored.syntax if stored is not None else PLAIN
    kept = f"{media_of(syntax)}; transfer-syntax={syntax}"
    for one in wanted:
        alone = not one.multipart and one.media != "*/*"
        if compressed and one.syntax in {"*", syntax} and (one.takes(BYTES) or one.takes(media_of(syntax))):
            return False, kept, alone
        if one.takes(BYTES) and one.syntax in {"", "*", PLAIN}:
            return True, BYTES, alone
        if compressed and one.takes(media_of(syntax)) and not one.syntax:
            return False, kept, alone
    raise unacceptable(*(f'multipart/related; type="{media}"' for media in {BYTES: 0, media_of(syntax): 0}))
