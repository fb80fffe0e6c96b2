"""Pictures to keep: PNG, and animated PNG in the colours and the window of the screen.

An animated PNG is read by every browser and loses nothing. A frame lasts as long as the object says, but where that is
longer than a person waits, in a dynamic study say, the loop runs at its own speed.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from core import wire
from core.errors import Invalid
from core.imaging.display import Picture, render, window_shown
from core.imaging.fusion import blended
from core.imaging.window import Automatic
from core.model import Image
from core.workflow.planes import Above, Drawn, drawn_by, series_window
from core.workflow.viewing import LightBox, Siblings
from core.workflow.volumes import Standing

AnyExport = TypeVar("AnyExport", wire.Export, wire.VolumeExport)

MOST_FRAMES = 1000
MOST_PIXELS = 100_000_000
_USUAL_MS = 100.0
_LONGEST_MS = 1000.0


def of_image(box: LightBox, row: Image, asked: wire.Export, series: Siblings | None = None) -> bytes:
    """Return frames of a stored object as PNG, or as animated PNG in one window.

    Raises
    ------
    Invalid
        There is no such frame, or too many are asked for.
    """
    first = asked.frame
    last = first if asked.format == "png" else _last(asked, row.frames - 1)
    _affordable(asked, last - first + 1)
    look = _in_cells(asked)
    scaled = look.model_copy(update={"grid": (last - first) // look.step + 1}) if last > first else look
    frames, request = box.drawable(row, scaled, series)
    try:
        shown = render(frames, request) if last == first else None
        if shown:
            return _png(_painted(shown))
        window = window_shown(frames, frames.array, request)
        each = replace(request, shown=1, lower=window.lower, upper=window.upper)
        lasting = asked.frame_ms or _watchable(frames.frame_ms)
        return _apng((_painted(render(frames, replace(each, frame=k))) for k in range(len(frames.array))), lasting)
    except ValueError as error:
        raise Invalid(str(error)) from error


def of_volume(standing: Standing, asked: wire.VolumeExport, above: Above | None = None) -> bytes:
    """Return planes of a volume as PNG, or its slices, moments or the view through it turning as animated PNG."""
    look = _in_cells(asked)
    try:
        if asked.format == "png":
            return _png(_both(drawn_by(standing, look, above), look))
        looks = _CINES[asked.cine](standing, _steady(standing, look, above))
        _affordable(asked, len(looks))
        lasting = asked.frame_ms or _watchable(standing.frame_ms if asked.cine == "moments" else None)
        return _apng((_both(drawn_by(standing, one, above), one) for one in looks), lasting)
    except ValueError as error:
        raise Invalid(str(error)) from error


# -- which frames ----------------------------------------------------------------------------------------------------


def _slices(standing: Standing, look: wire.VolumeExport) -> list[wire.VolumeExport]:
    if look.plane == "mip":
        raise Invalid("a view through the volume has no slices: let it turn")
    last = min(_last(look, standing.cut(look.plane).grid[0] - 1), standing.cut(look.plane).grid[0] - 1)
    numbers = range(look.first, last + 1)
    return [look.model_copy(update={"slice": float(number), "at": None}) for number in numbers] or [look]


def _turning(standing: Standing, look: wire.VolumeExport) -> list[wire.VolumeExport]:  # noqa: ARG001 - one of a table
    turns = (look.angle + 360 * number / look.angles for number in range(look.angles))
    return [look.model_copy(update={"plane": "mip", "angle": turn % 360}) for turn in turns]


def _moments(standing: Standing, look: wire.VolumeExport) -> list[wire.VolumeExport]:
    return [look.model_copy(update={"moment": number}) for number in range(max(1, len(standing.volume.moments)))]


_CINES: dict[str, Callable[[Standing, wire.VolumeExport], list[wire.VolumeExport]]] = {
    "slices": _slices,
    "turn": _turning,
    "moments": _moments,
}


def _last(asked: wire.Export | wire.VolumeExport, there: int) -> int:
    first = asked.frame if isinstance(asked, wire.Export) else asked.first
    last = there if asked.last is None else min(asked.last, there)
    return max(first, last)


def _affordable(asked: wire.Export | wire.VolumeExport, frames: int) -> None:
    if frames > MOST_FRAMES or frames * asked.rows * asked.columns > MOST_PIXELS:
        raise Invalid(
            f"{frames} frames of {asked.rows} x {asked.columns} are too much for a loop: fewer, or smaller ones"
        )


def _steady(standing: Standing, look: wire.VolumeExport, above: Above | None) -> wire.VolumeExport:
    """Fix the windows of a cine, or it would flicker: those that suit the whole volumes, where none is given."""
    how: Automatic = "robust" if look.auto == "own" else look.auto
    whole = series_window(standing, _moment(standing, look), how, look.unit)
    fixed = {"lower": _or(look.lower, whole.lower), "upper": _or(look.upper, whole.upper)}
    if above:
        how = "robust" if look.over_auto == "own" else look.over_auto
        over = series_window(above.standing, look.over_moment, how, look.over_unit)
        fixed |= {"over_lower": _or(look.over_lower, over.lower), "over_upper": _or(look.over_upper, over.upper)}
    return look.model_copy(update=fixed)


def _moment(standing: Standing, look: wire.VolumeExport) -> int:
    """Moments in turn are as bright as the first of them would be, not as all added up."""
    return 0 if look.cine == "moments" and len(standing.volume.moments) > 1 else look.moment


def _or(given: float | None, otherwise: float) -> float:
    return otherwise if given is None else given


def _watchable(frame_ms: float | None) -> float:
    return frame_ms if frame_ms and frame_ms <= _LONGEST_MS else _USUAL_MS


# -- files -----------------------------------------------------------------------------------------------------------


def _in_cells(asked: AnyExport) -> AnyExport:
    """Return a look whose rows are cells of two pixels, as pictures are drawn."""
    return asked.model_copy(update={"rows": -(-asked.rows // 2)})


def _both(drawn: Drawn, look: wire.VolumeExport) -> NDArray[np.uint8]:
    """Paint a picture, and what lies over it; mixed in full colour here, where nothing has to travel in 256."""
    if drawn.upper is None or look.mode != "blend":
        return _painted(drawn.together(look))
    return _framed(drawn.lower, blended(drawn.lower.rgb, drawn.upper.rgb, look.blend))


def _painted(picture: Picture) -> NDArray[np.uint8]:
    return _framed(picture, picture.rgb)


def _framed(picture: Picture, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut off the margins a screen needs."""
    tiles = picture.tiles
    top, left = min(tile.top for tile in tiles), min(tile.left for tile in tiles)
    bottom, right = max(tile.top + tile.height for tile in tiles), max(tile.left + tile.width for tile in tiles)
    return np.ascontiguousarray(rgb[top:bottom, left:right])


def _png(rgb: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Pictures.fromarray(rgb).save(out, "PNG")
    return out.getvalue()


def _apng(frames: Iterator[NDArray[np.uint8]], lasting_ms: float) -> bytes:
    drawings = [Pictures.fromarray(rgb) for rgb in frames]
    out = io.BytesIO()
    drawings[0].save(
        out, "PNG", save_all=True, append_images=drawings[1:], duration=min(max(20.0, lasting_ms), 60_000.0), loop=0
    )
    return out.getvalue()
