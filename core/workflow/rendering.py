"""Draw stored objects as pictures a browser shows: size, window and cut as asked, values as the object means them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image as Pictures

from core.dicom.pixels import Undecodable, frames_of
from core.errors import Invalid
from core.imaging.frames import Frames
from core.imaging.raster import Voi, drawn, fitted, window_of
from core.imaging.window import Window
from core.model import Image
from core.workflow.dicomweb import Found

JPEG, PNG, GIF, PDF = "image/jpeg", "image/png", "image/gif", "application/pdf"
LARGEST_SIDE = 4096
USUAL_QUALITY = 90
_MOST_IN_CINE = 1000
_USUAL_FRAME_MS = 100.0
_ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
_PICTURELESS = frozenset(
    {"SR", "PR", "KO", "DOC", "RTSTRUCT", "RTPLAN", "REG", "RWV", "FID", "AU", "ECG", "HD", "PLAN"}
)


@dataclass(frozen=True)
class Cut:
    """The part of a frame to show, in its pixels."""

    left: int
    top: int
    width: int
    height: int
    mirrored: bool = False
    flipped: bool = False


@dataclass(frozen=True)
class Rendering:
    """How to draw: height and width to fit into (None: as large as the frame), cut, window, quality of a JPEG."""

    size: tuple[int, int] | None = None
    cut: Cut | None = None
    voi: Voi | None = None
    quality: int = USUAL_QUALITY


def is_document(row: Image) -> bool:
    """Whether an object is a PDF."""
    return row.sop_class == _ENCAPSULATED_PDF


def is_picture(found: Found) -> bool:
    """Whether an object may have a picture, as far as its modality tells."""
    return found.modality not in _PICTURELESS and not is_document(found.row)


def representative(found: Sequence[Found]) -> Found:
    """Return the object that stands for others: the middle one of the first series with pictures.

    Raises
    ------
    Undecodable
        None of them has a picture.
    """
    shown = [one for one in found if is_picture(one)]
    if not shown:
        raise Undecodable("there is no picture among these objects")
    first = [one for one in shown if one.series == shown[0].series]
    return first[len(first) // 2]


def pictures(
    path: Path, media: str, how: Rendering, numbers: Sequence[int] | None = None
) -> Iterator[tuple[int, bytes]]:
    """Yield frames as pictures, each with its number from 0; all frames unless some are named."""
    frames = frames_of(path, numbers)
    shown = how.voi or window_of(frames)
    for index, number in enumerate(frames.indices):
        yield number, _encoded(_drawn(frames, index, how, shown), media, how.quality)


def pictures_of(
    objects: Iterable[tuple[Found, Path]], media: str, how: Rendering, numbers: Sequence[int] | None = None
) -> Iterator[tuple[Found, int, bytes]]:
    """Yield the pictures of several objects; one that has none is passed over, unless none of them has.

    Raises
    ------
    Undecodable
        None of them has a picture.
    """
    failure, drawn_one = None, False
    for found, path in objects:
        try:
            for number, content in pictures(path, media, how, numbers):
                drawn_one = True
                yield found, number, content
        except Undecodable as error:
            failure = error
    if failure is not None and not drawn_one:
        raise failure


def cine(path: Path, how: Rendering, numbers: Sequence[int] | None = None) -> bytes:
    """Return frames as an animated GIF, in one window, at the speed the object tells."""
    frames = frames_of(path, numbers)
    if len(frames.array) > _MOST_IN_CINE:
        raise Invalid(f"a cine has at most {_MOST_IN_CINE} frames: name fewer")
    shown = how.voi or window_of(frames)
    drawings = [Pictures.fromarray(_drawn(frames, index, how, shown)) for index in range(len(frames.array))]
    out, lasting = io.BytesIO(), max(20, round(frames.frame_ms or _USUAL_FRAME_MS))
    drawings[0].save(out, "GIF", save_all=True, append_images=drawings[1:], duration=min(lasting, 60_000), loop=0)
    return out.getvalue()


def document(path: Path) -> bytes:
    """Return the PDF an object holds."""
    content = pydicom.dcmread(path).get("EncapsulatedDocument")
    if not isinstance(content, bytes):
        raise Undecodable("the object holds no document")
    return content


def _drawn(frames: Frames, index: int, how: Rendering, shown: Window | Voi) -> NDArray[np.uint8]:
    cut = _cut(frames, how.cut) if how.cut else frames
    height, width = fitted(cut, *how.size) if how.size else (cut.array.shape[1], cut.array.shape[2])
    picture = drawn(cut, index, (height, width), shown)
    if how.cut and how.cut.mirrored:
        picture = picture[:, ::-1]
    if how.cut and how.cut.flipped:
        picture = picture[::-1]
    return np.ascontiguousarray(picture).astype(np.uint8)


def _cut(frames: Frames, cut: Cut) -> Frames:
    rows, columns = frames.array.shape[1:3]
    top, left = min(max(cut.top, 0), rows - 1), min(max(cut.left, 0), columns - 1)
    down, across = (cut.height or rows - top), (cut.width or columns - left)
    return replace(frames, array=frames.array[:, top : top + max(1, down), left : left + max(1, across)])


def _encoded(picture: NDArray[Any], media: str, quality: int) -> bytes:
    out = io.BytesIO()
    options = {"quality": quality} if media == JPEG else {}
    Pictures.fromarray(picture).save(out, media.removeprefix("image/").upper(), **options)
    return out.getvalue()
