"""STOW-RS (PS3.18 10.5): objects brought over HTTP, each durable and filed before it is answered for."""

import json
from collections.abc import Sequence
from http import HTTPStatus

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from core.api import dicomweb_multipart as multipart
from core.api.caller import Caller
from core.api.dicomweb_media import DICOM, JSON, demand_json, parameters
from core.api.dicomweb_place import STUDY, Named, root_of, url_of
from core.dicom.json_model import Written
from core.workflow.deposit import Brought, Deposit, NotStored, Stored
from core.workflow.dicomweb import Place
from core.workflow.reception import Reception

_GATHERED = 1 << 20
_KEPT_APART = 0xB000


def add_to(routes: APIRouter, reception: Reception, largest: int) -> None:
    """Add the routes that take objects in, each of `largest` bytes at most."""

    async def take(request: Request, actor: Caller, place: Named) -> Response:
        demand_json(request)
        media, said = parameters(request.headers.get("content-type", ""))
        parted = media == "multipart/related"
        if (said.get("type", "").lower() if parted else media) != DICOM:
            raise HTTPException(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f'send {DICOM}, alone or as multipart/related; type="{DICOM}"'
            )
        deposit = await run_in_threadpool(Deposit, reception, actor, place.study, largest)
        inbox = _Inbox(deposit)
        try:
            await _filled(request, inbox, said.get("boundary", "") if parted else None)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody reads it; what was whole by then is kept
        finally:
            inbox.close()
            outcomes = await run_in_threadpool(deposit.done)
        return _answer(outcomes, root_of(request))

    for path in ("/studies", STUDY):
        routes.post(path, name=f"store {path}", response_class=Response)(take)


class _Inbox:
    """Gives the deposit one object after the other as they come."""

    def __init__(self, deposit: Deposit) -> None:
        self._deposit = deposit
        self._object: Brought | None = None

    def begin(self, headers: dict[str, str]) -> "_Inbox":
        """Begin a part; one that is no DICOM object is read and refused."""
        media, _ = parameters(headers.get("content-type", DICOM))
        self._object = self._deposit.begin() if media == DICOM else None
        if self._object is None:
            self._deposit.refuse(f"a part is {media}, not {DICOM}")
        return self

    def __call__(self, piece: bytes | bytearray | memoryview | None) -> None:
        """Take the next bytes of the object, or its end."""
        if self._object is None:
            return
        if piece is not None:
            self._object.write(piece)
            return
        self._deposit.keep(self._object)
        self._object = None

    def close(self) -> None:
        """Forget an object that broke off."""
        if self._object is not None:
            self._object.abandon()
            self._object = None


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
    try:
        async for piece in request.stream():
            held += piece
            if len(held) >= _GATHERED:
                gathered, held = held, bytearray()
                await run_in_threadpool(take, gathered)
    finally:  # a sender that breaks off has sent this much, and what is whole of it is kept
        await run_in_threadpool(take, held)


# -- what is answered (PS3.18 10.5.3) --------------------------------------------------------------------------------


def _answer(outcomes: Sequence[Stored | NotStored], root: str) -> Response:
    if not outcomes:
        raise multipart.malformed("holds no part")
    stored = [one for one in outcomes if isinstance(one, Stored)]
    failed = [one for one in outcomes if isinstance(one, NotStored)]
    status = HTTPStatus.OK
    if failed or any(one.apart for one in stored):
        status = HTTPStatus.ACCEPTED if stored else HTTPStatus.CONFLICT
    return Response(json.dumps(_told(stored, failed, root), ensure_ascii=False), status, media_type=JSON)


def _told(stored: Sequence[Stored], failed: Sequence[NotStored], root: str) -> Written:
    told: Written = {}
    studies = {one.place.study for one in stored if not one.apart}
    if len(studies) == 1:
        told["00081190"] = _value("UR", url_of(root, Place(*studies)))
    if failed:
        told["00081198"] = {"vr": "SQ", "Value": [_not_stored(one) for one in failed]}
    if stored:
        told["00081199"] = {"vr": "SQ", "Value": [_stored(one, root) for one in stored]}
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
