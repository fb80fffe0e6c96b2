"""STOW-RS (PS3.18 10.5): objects brought over HTTP, each durable and filed before it is answered for."""

import json
import tempfile
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool

from core.api import dicomweb_multipart as multipart
from core.api.caller import Caller
from core.api.dicomweb_media import DICOM, JSON, demand_json, parameters
from core.api.dicomweb_place import STUDY, Named, root_of, url_of
from core.dicom.json_model import Written
from core.workflow.dicomweb import Deposit, NotStored, Place, Stored
from core.workflow.reception import Reception

_GATHERED = 1 << 20
_KEPT_APART = 0xB000


def add_to(routes: APIRouter, reception: Reception) -> None:
    """Add the routes that take objects in."""

    async def take(request: Request, actor: Caller, place: Named) -> Response:
        demand_json(request)
        media, said = parameters(request.headers.get("content-type", ""))
        parted = media == "multipart/related"
        if (said.get("type", "").lower() if parted else media) != DICOM:
            raise HTTPException(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f'send {DICOM}, alone or as multipart/related; type="{DICOM}"'
            )
        deposit = await run_in_threadpool(Deposit, reception, actor, place.study)
        with tempfile.TemporaryDirectory(prefix="photopeak-") as folder:
            inbox = _Inbox(deposit, Path(folder) / "object.dcm")
            try:
                await _filled(request, inbox, said.get("boundary", "") if parted else None)
            finally:
                inbox.close()
                await run_in_threadpool(deposit.done)
        return _answer(deposit, root_of(request))

    for path in ("/studies", STUDY):
        routes.post(path, name=f"store {path}", response_class=Response)(take)


class _Inbox:
    """The file the object being received is written to, given to the deposit when it is whole."""

    def __init__(self, deposit: Deposit, path: Path) -> None:
        self._deposit, self._path = deposit, path
        self._file: BinaryIO | None = None

    def begin(self, headers: dict[str, str]) -> "_Inbox":
        """Begin a part; one that is no DICOM object is read and refused."""
        media, _ = parameters(headers.get("content-type", DICOM))
        self._file = self._path.open("wb") if media == DICOM else None
        if self._file is None:
            self._deposit.refuse(f"a part is {media}, not {DICOM}")
        return self

    def __call__(self, piece: bytes | None) -> None:
        """Take the next bytes of the object, or its end."""
        if self._file is None:
            return
        if piece is not None:
            self._file.write(piece)
            return
        self.close()
        self._deposit.take(self._path)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


async def _filled(request: Request, inbox: _Inbox, boundary: str | None) -> None:
    """Read the body as it comes and hand it on in large pieces; the work is done off the event loop."""
    if boundary is None:
        inbox.begin({})
        await _flowing(request, inbox)
        await run_in_threadpool(inbox, None)
        return
    reader = multipart.Reader(boundary, inbox.begin)
    await _flowing(request, reader.feed)
    reader.finish()


async def _flowing(request: Request, take: multipart.Take) -> None:
    held = bytearray()
    async for piece in request.stream():
        held += piece
        if len(held) >= _GATHERED:
            await run_in_threadpool(take, bytes(held))
            held.clear()
    await run_in_threadpool(take, bytes(held))


# -- what is answered (PS3.18 10.5.3) --------------------------------------------------------------------------------


def _answer(deposit: Deposit, root: str) -> Response:
    if not (deposit.stored or deposit.failed):
        raise multipart.malformed("holds no part")
    status = HTTPStatus.OK
    if deposit.failed or any(one.apart for one in deposit.stored):
        status = HTTPStatus.ACCEPTED if deposit.stored else HTTPStatus.CONFLICT
    return Response(json.dumps(_told(deposit, root), ensure_ascii=False), status, media_type=JSON)


def _told(deposit: Deposit, root: str) -> Written:
    told: Written = {}
    studies = {one.place.study for one in deposit.stored if not one.apart}
    if len(studies) == 1:
        told["00081190"] = _value("UR", url_of(root, Place(*studies)))
    if deposit.failed:
        told["00081198"] = {"vr": "SQ", "Value": [_not_stored(one) for one in deposit.failed]}
    if deposit.stored:
        told["00081199"] = {"vr": "SQ", "Value": [_stored(one, root) for one in deposit.stored]}
    return told


def _stored(one: Stored, root: str) -> Written:
    told = {"00081150": _value("UI", one.sop_class), "00081155": _value("UI", one.place.instance)}
    if one.apart:
        return {**told, "00081196": _value("US", _KEPT_APART)}  # another object answers to its URL
    return {**told, "00081190": _value("UR", url_of(root, one.place))}


def _not_stored(one: NotStored) -> Written:
    told = {"00081150": _value("UI", one.sop_class), "00081155": _value("UI", one.sop_uid)}
    return {**told, "00081197": _value("US", one.reason), "00000902": _value("LO", one.detail[:64])}


def _value(vr: str, value: object) -> dict[str, object]:
    return {"vr": vr, "Value": [value]} if value not in {"", None} else {"vr": vr}
