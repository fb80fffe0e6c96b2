"""Draw frames at the size a terminal asks for, so that only the picture travels.

A terminal cell shows two pixels, one above the other (half blocks): a picture of `rows` x `columns` cells is
2 * rows pixels high. What travels is one palette index a pixel, the palette's 256 colours, and the numbers beside it.
The server draws, the terminal paints: nothing here knows either.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from core.imaging.frames import Frames
from core.imaging.palettes import FIXED_COLOURS, PALETTES, indices_of
from core.imaging.window import Automatic, Window, automatic

Scaling = Literal["smooth", "nearest"]

LARGEST_SIDE = 2048
DEEPEST_ZOOM = 64.0
COUNTED = {"NM", "PT"}
"""Modalities shown by what was counted; the others (CT, MR) by the window their file carries, if any."""


@dataclass(frozen=True, slots=True)
class PictureRequest:
    """What a terminal wants to see, in cells.

    `frame` is the first frame shown, `shown` how many from there in a grid. Without `window` the frames shown choose it
    by `automatic`; a cine keeps the window of its first picture, or it would flicker. `lower`
    and `upper` move one end of whatever window that gives. `zoom` of 2 shows half the frame in each direction, around
    `centre` (fractions of height and width).
    """

    rows: int
    columns: int
    frame: int = 0
    shown: int = 1
    palette: str = "gray"
    window: Window | None = None
    lower: float | None = None
    upper: float | None = None
    automatic: Automatic = "robust"
    scaling: Scaling = "smooth"
    zoom: float = 1.0
    centre: tuple[float, float] = (0.5, 0.5)
    finer: int = 1
    """The frames have so many times the rows and columns of those they are to be laid upon."""


@dataclass(frozen=True, slots=True)
class Tile:
    """Where one frame stands in the picture, in pixels (half cells), and what it is.

    `part` is the top, left, height and width of what a zoom shows of it, in pixels of the frame.
    """

    frame: int
    label: str
    top: int
    left: int
    height: int
    width: int
    total: float
    part: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawn picture: `indices` is (2 * rows, columns) uint8 into `palette`; the numbers speak of the frames shown.

    `own_colours` (256, 3) stand in place of the palette's where indices mean more than one image's levels.
    """

    rows: int
    columns: int
    indices: NDArray[np.uint8]
    palette: str
    window: Window
    minimum: float
    maximum: float
    total: float
    frames: tuple[int, ...]
    frames_total: int
    tiles: tuple[Tile, ...]
    unit: str = ""
    frame_ms: float | None = None
    own_colours: NDArray[np.uint8] | None = None

    @property
    def colours(self) -> NDArray[np.uint8]:
        """The (256, 3) colours that indices stand for."""
        return PALETTES[self.palette] if self.own_colours is None else self.own_colours

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """The picture as (2 * rows, columns, 3) red, green, blue."""
        painted: NDArray[np.uint8] = self.colours[self.indices]
        return painted


def render(frames: Frames, request: PictureRequest) -> Picture:
    """Draw the frames asked for, side by side, keeping their aspect; values outside the window are clipped.

    Frame numbers count within `frames`, from 0. Raises ValueError for a size, palette or frame that is not there.
    """
    _checked(frames, request)
    chosen = range(request.frame, min(request.frame + request.shown, len(frames.array)))
    shown = frames.array[chosen.start : chosen.stop]
    window = window_shown(frames, shown, request)
    minimum, maximum = _range(shown)
    height, width = 2 * request.rows, request.columns
    across, down = _arrangement(len(chosen), _aspect(frames), height, width)
    indices = np.full((height, width), _level_of_nothing(frames), np.uint8)
    tiles = []
    for place, index in enumerate(chosen):
        cell = (height // down, width // across)
        tile = _tile(frames, index, (place // across, place % across), cell, request)
        indices[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] = _drawn(
            frames, index, tile, window, request
        )
        tiles.append(tile)
    return Picture(
        rows=request.rows,
        columns=request.columns,
        indices=indices,
        palette=FIXED_COLOURS if frames.colour else request.palette,
        window=window,
        minimum=minimum,
        maximum=maximum,
        total=sum(tile.total for tile in tiles),
        frames=tuple(frames.indices[index] for index in chosen),
        frames_total=frames.total,
        tiles=tuple(tiles),
        unit=frames.unit,
        frame_ms=frames.frame_ms,
    )


def half_blocks(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn (2 * rows, columns, 3) colours into (rows, columns, 2, 3): per cell the upper and the lower colour."""
    height, width, _ = rgb.shape
    return rgb.reshape(height // 2, 2, width, 3).swapaxes(1, 2)


def travelling(picture: Picture) -> dict[str, object]:
    """Put a picture into the shape that travels as JSON.

    `pixels` is base64 of zlib of the indices row by row, upper half row first; `colours` is base64 of 768 bytes. A
    client needs no more than `zlib.decompress(b64decode(pixels))` and a look-up of three bytes a pixel.
    """
    return {
        "rows": picture.rows,
        "columns": picture.columns,
        "palette": picture.palette,
        "colours": base64.b64encode(picture.colours.tobytes()).decode("ascii"),
        "pixels": base64.b64encode(zlib.compress(picture.indices.tobytes(), 1)).decode("ascii"),
        "window": {"lower": picture.window.lower, "upper": picture.window.upper},
        "minimum": picture.minimum,
        "maximum": picture.maximum,
        "total": picture.total,
        "unit": picture.unit,
        "frames": list(picture.frames),
        "frames_total": picture.frames_total,
        "frame_ms": picture.frame_ms,
        "tiles": [asdict(tile) for tile in picture.tiles],
    }


def resampled(values: NDArray[np.generic], height: int, width: int, scaling: Scaling = "smooth") -> NDArray[np.float32]:
    """Bring (row, column) values to another size; `smooth` averages areas when shrinking, interpolates when growing."""
    if scaling == "nearest":
        rows = (np.arange(height) + 0.5) * (values.shape[0] / height)
        columns = (np.arange(width) + 0.5) * (values.shape[1] / width)
        return values[np.ix_(rows.astype(np.intp), columns.astype(np.intp))].astype(np.float32)
    down, across = _weights(values.shape[0], height), _weights(values.shape[1], width)
    clean = np.nan_to_num(values.astype(np.float32), posinf=0.0, neginf=0.0)
    return np.asarray((across @ (down @ clean).T).T, np.float32)


def _checked(frames: Frames, request: PictureRequest) -> None:
    if not (1 <= request.rows <= LARGEST_SIDE and 1 <= request.columns <= LARGEST_SIDE):
        detail = f"a picture has 1 to {LARGEST_SIDE} rows and columns, not {request.rows} x {request.columns}"
        raise ValueError(detail)
    if request.palette not in PALETTES:
        detail = f"there is no palette {request.palette}; choose one of {', '.join(PALETTES)}"
        raise ValueError(detail)
    if not 0 <= request.frame < len(frames.array):
        detail = f"there is no frame {request.frame}; the image has {len(frames.array)}, counted from 0"
        raise ValueError(detail)
    if not 1 <= request.shown <= request.rows * request.columns:
        detail = f"{request.shown} frames do not fit into {request.rows} x {request.columns} cells"
        raise ValueError(detail)
    if not 1.0 <= request.zoom <= DEEPEST_ZOOM:
        detail = f"zoom runs from 1 to {DEEPEST_ZOOM:g}"
        raise ValueError(detail)


def window_shown(frames: Frames, shown: NDArray[np.generic], request: PictureRequest) -> Window:
    """Return the window a request means for the frames shown."""
    if frames.colour:
        return Window(0.0, 255.0)
    if request.lower is not None and request.upper is not None:
        return Window(request.lower, request.upper)
    whole = request.window or chosen_window(frames, shown, request.automatic)
    lower = whole.lower if request.lower is None else request.lower
    return Window(lower, whole.upper if request.upper is None else request.upper)


def chosen_window(frames: Frames, shown: NDArray[np.generic], how: Automatic) -> Window:
    """Choose a window by the values shown; `robust` prefers the object's own for what was not counted."""
    if how == "robust" and frames.modality not in COUNTED and frames.window:
        return frames.window
    return automatic(shown, how)


def _aspect(frames: Frames) -> float:
    """Width over height of one frame as the patient is shaped."""
    row_mm, column_mm = frames.spacing_mm or (1.0, 1.0)
    return (frames.array.shape[2] * column_mm) / (frames.array.shape[1] * row_mm)


def _arrangement(count: int, aspect: float, height: int, width: int) -> tuple[int, int]:
    """Choose how many frames stand across and down so that each is as large as possible."""

    def size(across: int) -> float:
        down = -(-count // across)
        return min((width // across) / aspect, height // down)

    across = max(range(1, min(count, width) + 1), key=size)
    return across, min(-(-count // across), height)


def _tile(frames: Frames, index: int, place: tuple[int, int], cell: tuple[int, int], request: PictureRequest) -> Tile:
    """Place a frame in the middle of its cell of the grid."""
    aspect = _aspect(frames)
    height = max(1, min(cell[0], round(cell[1] / aspect)))
    width = max(1, min(cell[1], round(height * aspect)))
    total = 0.0 if frames.colour else float(np.nansum(frames.array[index], dtype=np.float64))
    down, across = _part(frames.array.shape[1:3], request)
    return Tile(
        frame=frames.indices[index],
        label=frames.labels[index],
        top=place[0] * cell[0] + (cell[0] - height) // 2,
        left=place[1] * cell[1] + (cell[1] - width) // 2,
        height=height,
        width=width,
        total=total,
        part=(down.start, across.start, down.stop - down.start, across.stop - across.start),
    )


def _drawn(frames: Frames, index: int, tile: Tile, window: Window, request: PictureRequest) -> NDArray[np.uint8]:
    frame = frames.array[index][_part(frames.array.shape[1:3], request)]
    if frames.colour:
        channels = [resampled(frame[..., channel], tile.height, tile.width, request.scaling) for channel in range(3)]
        return indices_of(np.rint(np.stack(channels, axis=-1)).astype(np.uint8))
    levels = window.levels(resampled(frame, tile.height, tile.width, request.scaling))
    return 255 - levels if frames.inverted else levels


def _part(size: tuple[int, ...], request: PictureRequest) -> tuple[slice, slice]:
    """Tell which rows and columns a zoom shows, kept inside the frame."""
    cut = []
    for fine, middle in zip(size, request.centre, strict=True):
        length = fine // request.finer
        extent = max(1, round(length / request.zoom))
        start = min(max(round(middle * length - extent / 2), 0), length - extent)
        cut.append(slice(start * request.finer, (start + extent) * request.finer))
    return cut[0], cut[1]


def _weights(source: int, target: int) -> sparse.csr_array:
    """Give the (target, source) matrix of a one-dimensional resampling; each of its rows adds up to 1.

    It is sparse not only to save work: a dense product wakes the threads of BLAS, which wait for each other for tens of
    milliseconds where the machine is busy.
    """
    ratio = source / target
    if ratio > 1:
        edges = np.arange(target)[:, None] * ratio
        pixels = np.arange(source)[None, :]
        overlap = np.minimum(edges + ratio, pixels + 1) - np.maximum(edges, pixels)
        return sparse.csr_array((np.clip(overlap, 0, None) / ratio).astype(np.float32))
    middles = np.clip((np.arange(target) + 0.5) * ratio - 0.5, 0, source - 1)[:, None]
    return sparse.csr_array(np.clip(1 - np.abs(middles - np.arange(source)[None, :]), 0, None).astype(np.float32))


def _level_of_nothing(frames: Frames) -> int:
    """The index around the frames: what the value at the lower end of the window looks like."""
    return 255 if frames.inverted else 0


def _range(values: NDArray[np.generic]) -> tuple[float, float]:
    finite = values if values.dtype.kind in "iub" else values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
