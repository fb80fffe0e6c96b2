"""What a caller of DICOMweb takes: its Accept header and `accept` parameter read, and an answer chosen (PS3.18 8.7)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import HTTPException, Request

DICOM, JSON, BYTES = "application/dicom", "application/dicom+json", "application/octet-stream"
ANY = "*"
_PARAMETER = re.compile(r';\s*([^\s=;]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')
_ENTRY = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^,"])+')
_WILD = ("*", "*")


@dataclass(frozen=True)
class Taken:
    """One thing a caller takes: a media type, whether as parts of a multipart answer, and in which transfer syntax."""

    media: str
    multipart: bool
    syntax: str = ""
    quality: float = 1.0

    def takes(self, media: str) -> bool:
        """Whether a media type is one of these."""
        mine, theirs = self.media.split("/", 1), media.split("/", 1)
        return all(one in {"*", other} for one, other in zip(mine, theirs, strict=True))


def taken(request: Request) -> list[Taken]:
    """Return what the caller takes, the best first; everything where nothing is said."""
    said = ",".join(request.query_params.getlist("accept")) or ",".join(request.headers.getlist("accept")) or "*/*"
    entries = [_entry(found[0].strip()) for found in _ENTRY.finditer(said)]
    wanted = [one for one in entries if one is not None and one.quality > 0]
    return sorted(wanted, key=lambda one: -one.quality)


def parameters(value: str) -> tuple[str, dict[str, str]]:
    """Split a media type from its parameters, whose names come in lower case and whose quotes are taken off."""
    media = value.split(";", 1)[0].strip().lower()
    return media, {name.lower(): _unquoted(text.strip()) for name, text in _PARAMETER.findall(value)}


def demand_json(request: Request) -> None:
    """Refuse a caller that does not take JSON."""
    if not any(one.takes(JSON) or one.takes("application/json") for one in taken(request) if not one.multipart):
        raise unacceptable(JSON)


def unacceptable(*offered: str) -> HTTPException:
    """Return the refusal that names what can be had."""
    return HTTPException(HTTPStatus.NOT_ACCEPTABLE, f"this resource comes as {' or '.join(offered)}: ask for that")


def single(wanted: Sequence[Taken], offered: Sequence[str]) -> str | None:
    """Return the offered media type the caller likes best as the whole answer; None when it takes none so."""
    return next((media for one in wanted if not one.multipart for media in offered if one.takes(media)), None)


def _entry(text: str) -> Taken | None:
    media, said = parameters(text)
    multipart = media == "multipart/related"
    if multipart:
        media = said.get("type", "*/*").lower()
    if media.count("/") != 1:
        return None
    try:
        quality = float(said.get("q", "1"))
    except ValueError:
        quality = 0.0
    return Taken(media, multipart, said.get("transfer-syntax", ""), quality)


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text[:1] == '"' == text[-1:] else text
