"""Draw planes of volumes, and one volume over another, in the shape that travels.

Both are drawn at one size from the same planes, so that their pixels lie upon each other; only the picture travels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core import wire
from core.errors import Invalid
from core.imaging import overlay
from core.imaging.display import Picture, PictureRequest, render, travelling
from core.imaging.frames import Frames
from core.imaging.planes import Cut, plane, sampled
from core.imaging.volume import Affine, Points, Volume
from core.imaging.window import Automatic, Window
from core.workflow.units import Unit
from core.workflow.volumes import Standing

_FINEST = 4  # times the pixels of the planes below, for what lies over them


@dataclass(frozen=True, eq=False)
class Above:
    """A volume to lay over another: `transform` takes the lower one's millimetres to its own."""

    standing: Standing
    transform: Affine
    registration: str


@dataclass(frozen=True, eq=False)
class Sheet:
    """Planes of one volume as they are drawn: `numbers` are slices, or angles of a view through it."""

    frames: Frames
    through: Cut
    numbers: tuple[float, ...]


def picture(
    standing: Standing, look: wire.VolumeLook, above: Above | None = None, notes: Sequence[str] = ()
) -> dict[str, object]:
    """Draw planes of a volume, in the shape that travels (`wire.Picture`), with what is to be said of it.

    Raises
    ------
    Invalid
        There is no such slice, moment, colour map, size or zoom.
    Refused
        The unit asked for cannot be told.
    """
    try:
        return {**_picture(standing, look, above), "notes": list(notes)}
    except ValueError as error:
        raise Invalid(str(error)) from error


def _picture(standing: Standing, look: wire.VolumeLook, above: Above | None) -> dict[str, object]:
    drawn = drawn_by(standing, look, above)
    place = _place(standing, drawn, look)
    travels = {**travelling(drawn.together(look)), "place": place}
    point = np.asarray(place["at"])
    if look.plane != "mip":
        travels["value"] = value_at(standing, look.moment, point, look.unit)
    if above and drawn.upper:
        travels["over"] = _over(above, drawn.upper, point, look)
    return travels


@dataclass(frozen=True, eq=False)
class Drawn:
    """Planes as they were drawn, and those laid over them in a picture of their own."""

    sheet: Sheet
    lower: Picture
    laid: Frames | None = None
    upper: Picture | None = None

    def together(self, look: wire.VolumeLook) -> Picture:
        """Return both in one picture of 256 colours."""
        if self.upper is None or self.laid is None:
            return self.lower
        if look.mode == "checkerboard":
            return overlay.checkered(self.lower, self.upper, look.squares)
        if look.mode == "blend":
            return overlay.mixed(self.lower, self.upper, look.blend)
        below, above = (np.asarray(frames.array, np.float32) for frames in (self.sheet.frames, self.laid))
        levels = overlay.fused_levels(below, above, (self.lower.window, self.upper.window), look.blend)
        window = Window(0.0, 1.0)
        both = render(replace(self.sheet.frames, array=levels), replace(_drawing(look), window=window))
        return replace(self.lower, indices=both.indices)


def drawn_by(standing: Standing, look: wire.VolumeLook, above: Above | None) -> Drawn:
    """Draw planes of a volume, and what lies over them, at one size."""
    sheet = sheet_of(standing, look, standing.nothing(look.moment))
    lower = render(sheet.frames, request_of(standing, look))
    if above is None:
        return Drawn(sheet, lower)
    laid = sheet_above(standing, sheet, look, above)
    return Drawn(sheet, lower, laid, render(laid, request_above(above.standing, look, standing)))


def sheet_of(standing: Standing, look: wire.VolumeLook, outside: float = np.nan) -> Sheet:
    """Return the values of the planes a look asks for, in its unit; `outside` stands where an oblique volume ends."""
    volume = standing.moment(look.moment)
    unit, factor = standing.unit(look.unit)
    if look.plane == "mip":
        projector = standing.projector(look.moment)
        numbers = tuple(float(round(look.angle + 360 * k / look.grid) % 360) for k in range(look.grid))
        through, values = projector.cut(numbers[0]), [projector.seen(number) for number in numbers]
        labels = tuple(f"{number:.0f}°" for number in numbers)
    else:
        through = standing.cut(look.plane)
        numbers = _slices(through, look)
        values = [plane(volume, through, number, outside) for number in numbers]
        labels = tuple(_label(through, number) for number in numbers)
    array = np.stack(values)
    frames = Frames(
        array=array if factor == 1 else array * np.float32(factor), spacing_mm=through.spacing_mm, labels=labels,
        window=standing.window, modality=volume.modality, unit=unit,
        indices=tuple(round(number) for number in numbers), total=through.grid[0] if look.plane != "mip" else 360,
        frame_ms=standing.frame_ms,
    )  # fmt: skip
    return Sheet(frames, through, numbers)


def _slices(through: Cut, look: wire.VolumeLook) -> tuple[float, ...]:
    last = through.grid[0] - 1
    if look.at:
        first = through.slice_at(point_of(look.at))
        first = float(round(first)) if through.axes else first
    elif look.slice is not None:
        first = look.slice
    else:
        first = float(last // 2) if look.grid == 1 else 0.0
    if not 0 <= first <= last:
        raise Invalid(f"there is no slice {first:g}; the {through.name} planes are 0 to {last}")
    return tuple(first + k * look.step for k in range(look.grid) if first + k * look.step <= last)


def point_of(text: str) -> Points:
    """Read patient millimetres written as x,y,z."""
    try:
        return np.array([float(part) for part in text.split(",")])
    except ValueError:
        raise Invalid(f"'{text}' is no place: write x,y,z in millimetres") from None


def _label(through: Cut, number: float) -> str:
    words = {"axial": ("z", 2), "coronal": ("y", 1), "sagittal": ("x", 0)}
    _, rows, columns = through.grid
    if through.name not in words:
        return f"{number + 1:g}"
    letter, axis = words[through.name]
    return f"{letter} {through.point_of(rows / 2, columns / 2, number)[axis]:.1f}"


def request_of(standing: Standing, look: wire.VolumeLook) -> PictureRequest:
    """Turn a look into what is drawn; the frames are those of `sheet_of`."""
    how: Automatic = "robust" if look.auto == "own" else look.auto
    window = series_window(standing, look.moment, how, look.unit) if look.scale == "series" else None
    return replace(_drawing(look), window=window, lower=look.lower, upper=look.upper, automatic=how)


def _drawing(look: wire.VolumeLook) -> PictureRequest:
    """Return what a look says of size, colours and zoom."""
    return PictureRequest(
        rows=look.rows, columns=look.columns, shown=look.grid, palette=look.map,
        scaling="smooth" if look.smooth else "nearest", zoom=look.zoom, centre=(look.centre_row, look.centre_column),
    )  # fmt: skip


def series_window(standing: Standing, moment: int, how: Automatic, unit: Unit) -> Window:
    """Return the window that suits a whole moment, in a unit."""
    if how == "robust" and standing.window:
        return standing.window
    whole, factor = standing.whole_window(moment, how), standing.unit(unit)[1]
    return Window(whole.lower * factor, whole.upper * factor)


def sheet_above(standing: Standing, sheet: Sheet, look: wire.VolumeLook, above: Above) -> Frames:
    """Return the values of the volume above on the planes of a sheet, finer where it is the finer one."""
    upper = above.standing.moment(look.over_moment)
    unit, factor = above.standing.unit(look.over_unit)
    if look.plane == "mip":
        projector = standing.projector_of(above.standing, (look.moment, look.over_moment), above.transform)
        values, spacing = [projector.seen(number) for number in sheet.numbers], sheet.through.spacing_mm
    else:
        onto = sheet.through.finer(_times(sheet.through, upper, look))
        outside = above.standing.nothing(look.over_moment)
        values = [sampled(upper, onto, number, above.transform, outside) for number in sheet.numbers]
        spacing = onto.spacing_mm
    array = np.stack(values) * np.float32(factor)
    return replace(
        sheet.frames, array=array, spacing_mm=spacing, window=above.standing.window, modality=upper.modality, unit=unit,
        inverted=False,
    )  # fmt: skip


def _times(through: Cut, upper: Volume, look: wire.VolumeLook) -> int:
    if look.mode == "fused":
        return 1
    return max(1, min(_FINEST, round(min(through.spacing_mm) / min(upper.voxel_mm))))


def request_above(upper: Standing, look: wire.VolumeLook, lower: Standing) -> PictureRequest:
    """Turn a look into how the volume above is drawn: at the same place and size, in its own colours."""
    how: Automatic = "robust" if look.over_auto == "own" else look.over_auto
    window = series_window(upper, look.over_moment, how, look.over_unit) if look.scale == "series" else None
    finer = 1 if look.plane == "mip" else _times(lower.cut(look.plane), upper.moment(look.over_moment), look)
    return replace(
        request_of(lower, look), palette=look.over_map, window=window, lower=look.over_lower, upper=look.over_upper,
        automatic=how, finer=finer,
    )  # fmt: skip


def _over(above: Above, drawn: Picture, point: Points, look: wire.VolumeLook) -> dict[str, object]:
    travels = travelling(drawn)
    kept = {name: travels[name] for name in ("colours", "window", "minimum", "maximum", "unit")}
    there = (above.transform @ np.append(point, 1.0))[:3]
    value = value_at(above.standing, look.over_moment, there, look.over_unit) if look.plane != "mip" else None
    return {"map": look.over_map, **kept, "registration": above.registration, "value": value}


def _place(standing: Standing, drawn: Drawn, look: wire.VolumeLook) -> dict[str, Any]:
    through, number = drawn.sheet.through, drawn.sheet.numbers[0]
    depth = number if look.plane != "mip" else 0.0
    tile = drawn.lower.tiles[0]
    top, left, height, width = tile.part

    def point(row: float, column: float) -> Points:
        """Return the patient point of a picture point."""
        return through.point_of(
            top + (row - tile.top) / tile.height * height, left + (column - tile.left) / tile.width * width, depth
        )

    corner = point(0.0, 0.0)
    at = _at(through, depth, look)
    row, column = through.pixel_at(at)
    seen = top <= row <= top + height and left <= column <= left + width
    cross = [tile.top + (row - top) / height * tile.height, tile.left + (column - left) / width * tile.width]
    return {
        "plane": look.plane, "at": at.tolist(), "slices": through.grid[0], "slice": depth,
        "angle": number if look.plane == "mip" else 0.0, "corner": corner.tolist(),
        "down": (point(1.0, 0.0) - corner).tolist(), "across": (point(0.0, 1.0) - corner).tolist(),
        "cross": cross if seen else None, "letters": list(through.letters), "down_mm": through.spacing_mm[0],
        "across_mm": through.spacing_mm[1], "moment": look.moment, "moments": max(1, len(standing.volume.moments)),
    }  # fmt: skip


def _at(through: Cut, number: float, look: wire.VolumeLook) -> Points:
    """Return the place asked for, else the middle of the plane."""
    if look.at:
        return point_of(look.at)
    _, rows, columns = through.grid
    return through.point_of(rows / 2, columns / 2, number)


def value_at(standing: Standing, moment: int, point: Points, unit: Unit) -> float | None:
    """Return the value of the voxel a patient point lies in, none outside of the volume."""
    volume = standing.moment(moment)
    place = np.floor(volume.indices(point) + 0.5).astype(int)
    if (place < 0).any() or (place >= volume.grid).any():
        return None
    value = float(volume.array[tuple(place)]) * standing.unit(unit)[1]
    return value if np.isfinite(value) else None
