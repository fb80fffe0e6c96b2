"""What a series is in space: planes of it, the view through it, and another series laid over it.

Volumes stay in a small box once they were read, with what was worked out of them; the least used leave first. Reading
and drawing happen outside any unit of work.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from sqlalchemy import ColumnElement, func
from sqlmodel import col, select

from core import access, wire
from core.access import Actor
from core.archive import conversions
from core.dicom.pixels import read_header
from core.dicom.timing import Timing, acquired, shown_window, timing_of_moments
from core.dicom.volumes.reading import gathered
from core.dicom.volumes.registration import Registered, registered_in
from core.errors import Invalid, NotFound, Refused
from core.imaging import overlay
from core.imaging.display import COUNTED, Picture, PictureRequest, render, travelling
from core.imaging.frames import Frames
from core.imaging.planes import PLANES, Cut, Projector, cut, moment_of, plane, sampled
from core.imaging.volume import Affine, Points, Unplaced, Volume
from core.imaging.window import ENOUGH, Automatic, Window, automatic
from core.model import Batch, Conversion, Image, Series
from core.records import Work
from core.vocabulary import Operation
from core.workflow.units import SUV, Unit, suv_of
from core.workflow.viewing import is_own

Key: TypeAlias = tuple[object, ...]

_HELD_BYTES = 768 << 20
_LARGEST_BYTES = 2 << 30
_FINEST = 4


@dataclass(frozen=True, eq=False)
class Asked:
    """A series, or one object, somebody may look at; its objects are named only where its volumes are not held.

    `key` changes with whatever comes to the series, leaves it, or is mended in it.
    """

    key: Key
    site: str
    batches: tuple[int, ...]
    objects: Sequence[Image] = ()
    held: list[Standing] | None = None


def asked(work: Work, actor: Actor, uid: str, box: VolumeBox) -> Asked:
    """Find a series, or the one object of that UID, for somebody who may look at it.

    Raises
    ------
    NotFound
        Nothing of that UID is in the archive.
    Refused
        The series came under several identities: whose volume would it be?
    """
    belongs = col(Series.uid) == uid
    counted = _counted(work, actor.site, belongs)
    if not counted:
        belongs = col(Image.sop_uid) == uid
        counted = _counted(work, actor.site, belongs)
    batches = work.session.exec(select(Batch).where(col(Batch.id).in_([batch for batch, _, _ in counted]))).all()
    access.require(actor, Operation.VIEW_IMAGES, own=bool(batches) and all(is_own(work, actor, one) for one in batches))
    if not counted:
        raise NotFound(f"no series or object {uid} is in the archive")
    if len({batch.identity_key for batch in batches}) > 1:
        raise Refused(f"series {uid} came under several identities and makes no volume: look at its objects one by one")
    mended = work.session.exec(select(func.max(Conversion.id)).where(Conversion.site == actor.site)).one()
    key = (actor.site, uid, *counted, mended)
    held, ids = box.held(key), tuple(batch for batch, _, _ in counted)
    return Asked(key, actor.site, ids, () if held else _objects(work, actor.site, belongs), held)


def _counted(work: Work, site: str, belongs: ColumnElement[bool]) -> list[tuple[int, int, int]]:
    """Return the batches of objects, how many there are in each and the latest of them."""
    found = select(Image.batch_id, func.count(col(Image.id)), func.max(Image.id))
    found = found.join(Series, col(Series.id) == Image.series_id).where(Image.site == site, belongs)
    return [(batch, count, last or 0) for batch, count, last in work.session.exec(found.group_by(col(Image.batch_id)))]


def _objects(work: Work, site: str, belongs: ColumnElement[bool]) -> list[Image]:
    found = select(Image).join(Series, col(Series.id) == Image.series_id).where(Image.site == site, belongs)
    rows = work.session.exec(found).all()
    return conversions.outgoing(work, sorted(rows, key=lambda row: (row.number or 0, row.sop_uid)))


# -- what is held ----------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Standing:
    """One volume and what was worked out of it so far.

    `factors` turn its own values into others by unit (`wire.Unit`), `lacking` says why there are not more.
    """

    volume: Volume
    window: Window | None = None
    timing: Timing | None = None
    factors: Mapping[str, float] = field(default_factory=dict)
    lacking: tuple[str, ...] = ()
    _moments: dict[int, Volume] = field(default_factory=dict)
    _cuts: dict[str, Cut] = field(default_factory=dict)
    _projectors: dict[tuple[object, ...], Projector] = field(default_factory=dict)
    _windows: dict[tuple[int, str], Window] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Return what it takes in memory."""
        arrays = [self.volume.array, *(one.array for number, one in self._moments.items() if number < 0)]
        for projector in list(self._projectors.values()):
            arrays += [projector.array, *list(projector.kept.values())]
        return sum(array.nbytes for array in arrays)

    @property
    def frame_ms(self) -> float | None:
        """Return how long a moment lasts in a cine, where somebody says."""
        lasts = self.timing.durations_s[0] if self.timing and self.timing.timed else 0.0
        return lasts * 1000 or None

    def unit(self, wanted: Unit) -> tuple[str, float]:
        """Return the name of a unit and the factor to it.

        Raises
        ------
        Refused
            The objects do not say enough for it.
        """
        if wanted == "best":
            wanted = "suvbw" if "suvbw" in self.factors else "own"
        if wanted == "own":
            return self.volume.unit, 1.0
        if wanted not in self.factors:
            raise Refused("; ".join(self.lacking) or f"there is no {SUV[wanted][1]}: this is no PET")
        return SUV[wanted][1], self.factors[wanted]

    def moment(self, number: int) -> Volume:
        """Return one moment, or all together."""
        number = -1 if number == 0 and self.volume.array.ndim == 3 else number  # noqa: PLR2004 - slice, row, column
        if number not in self._moments:
            self._moments[number] = moment_of(self.volume, number)
        return self._moments[number]

    def cut(self, name: str) -> Cut:
        """Return the planes of a name."""
        if name not in self._cuts:
            self._cuts[name] = cut(self.volume, name)  # type: ignore[arg-type]  # checked by the shape
        return self._cuts[name]

    def projector(self, moment: int) -> Projector:
        """Return a moment ready to be seen through."""
        if (moment,) not in self._projectors:
            self._projectors[moment,] = Projector.of(self.moment(moment))
        return self._projectors[moment,]

    def projector_of(self, other: Standing, moments: tuple[int, int], transform: Affine) -> Projector:
        """Return another volume ready to be seen through as this one is, pixel upon pixel."""
        key = (other.volume.sources, other.volume.grid, other.volume.affine.tobytes(), *moments, transform.tobytes())
        if key not in self._projectors:
            own = self.projector(moments[0])
            laid = other.moment(moments[1]).resampled(self.moment(moments[0]), transform)
            self._projectors[key] = Projector.of(laid, own.width_mm)
        return self._projectors[key]

    def whole_window(self, moment: int, how: Automatic) -> Window:
        """Return the window that suits the whole moment, in the volume's own unit."""
        if (moment, how) not in self._windows:
            self._windows[moment, how] = automatic(self._telling(moment), how)
        return self._windows[moment, how]

    def extent(self) -> tuple[float, float]:
        """Return the smallest and the largest value of the first moment."""
        smallest, largest = (float(value) for value in self._telling(0)[-2:])
        return (smallest, largest) if np.isfinite([smallest, largest]).all() else (0.0, 0.0)

    def _telling(self, moment: int) -> NDArray[np.float32]:
        """Return enough values of a moment to choose a window by, its smallest and largest among them."""
        values = self.moment(moment).array.reshape(-1)
        ends = [np.fmin.reduce(values), np.fmax.reduce(values)]
        return np.append(np.asarray(values[:: 1 + values.size // ENOUGH], np.float32), np.asarray(ends, np.float32))


class VolumeBox:
    """Reads volumes, and holds those read last; `locate` tells where an object's file is."""

    def __init__(self, locate: Callable[[Image], Path], held_bytes: int = _HELD_BYTES) -> None:
        self._locate = locate
        self._limit = held_bytes
        self._held: OrderedDict[Key, list[Standing]] = OrderedDict()
        self._reading: dict[Key, threading.Lock] = {}
        self._registrations: dict[str, Sequence[Registered]] = {}
        self._lock = threading.Lock()

    def registration(self, row: Image) -> Sequence[Registered]:
        """Return the images a stored registration speaks of; none where it cannot be read."""
        if row.sha256 not in self._registrations:
            try:
                self._registrations[row.sha256] = registered_in(read_header(self._locate(row)))
            except Refused:
                self._registrations[row.sha256] = ()
        return self._registrations[row.sha256]

    def held(self, key: Key) -> list[Standing] | None:
        """Return volumes read before, if they are still held."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                self._trim()
            return self._held.get(key)

    def volumes(self, wanted: Asked) -> list[Standing]:
        """Return the volumes that objects make, read once.

        Raises
        ------
        Refused
            They make none, or one too large; the text says why.
        """
        if wanted.held:
            return wanted.held
        with self._lock:
            reading = self._reading.setdefault(wanted.key, threading.Lock())
        with reading:
            found = self.held(wanted.key) or self._read(wanted.objects)
            with self._lock:
                self._held[wanted.key] = found
                self._reading.pop(wanted.key, None)
                self._trim()
        return found

    def _trim(self) -> None:
        while len(self._held) > 1 and sum(one.nbytes for each in self._held.values() for one in each) > self._limit:
            self._held.popitem(last=False)

    def _read(self, rows: Sequence[Image]) -> list[Standing]:
        if sum(row.size for row in rows) > _LARGEST_BYTES:
            raise Refused("the series is too large for a volume: look at its objects one by one")
        by_uid = {row.sop_uid: self._locate(row) for row in rows}
        try:
            found = gathered(list(by_uid.values()))
        except Unplaced as error:
            raise Refused(str(error)) from error
        if not found.volumes:
            raise Refused(f"no volume: {'; '.join(found.complaints) or 'there is no image'}")
        return [_standing(volume, [by_uid[uid] for uid in volume.sources]) for volume in found.volumes]


def _standing(volume: Volume, paths: Sequence[Path]) -> Standing:
    """Read what a volume does not tell of its objects, which stand in the order of its moments."""
    count = max(1, len(volume.moments))
    headers = [read_header(path) for path in paths[:: max(1, len(paths) // count)][:count]]
    factors: dict[str, float] = {}
    lacking: list[str] = []
    for wanted in SUV if volume.modality == "PT" else ():
        _, factor, reason = suv_of(_earlier(headers[0], read_header(paths[-1])), wanted)
        factors |= {wanted: factor} if factor else {}
        lacking += [reason] if reason else []
    window = None if volume.modality in COUNTED else shown_window(headers[0])
    timing = timing_of_moments(headers, count)
    return Standing(volume, window, timing, factors, tuple(dict.fromkeys(lacking)))


def _earlier(one: Dataset, other: Dataset) -> Dataset:
    """Return the header whose image was begun first: to that moment a series of several beds is corrected (QIBA)."""
    begun = acquired(one), acquired(other)
    return other if begun[0] and begun[1] and begun[1] < begun[0] else one


# -- what it is ------------------------------------------------------------------------------------------------------


def described(uid: str, held: Sequence[Standing], number: int) -> wire.Volume:
    """Return what one of a series' volumes is.

    Raises
    ------
    Invalid
        There is no such volume.
    """
    standing = chosen(held, number)
    volume = standing.volume
    lowest, highest = standing.extent()
    unit, factor = standing.unit("best")
    return wire.Volume(
        series_uid=uid, number=number, volumes=len(held), titles=[_title(one) for one in held], grid=list(volume.grid),
        voxel_mm=list(volume.voxel_mm), affine=volume.affine.tolist(), unit=unit,
        units=["best", "own", *(one for one in SUV if one in standing.factors)], modality=volume.modality,
        moments=list(volume.moments),
        frame_of_reference=volume.frame_of_reference, sources=list(volume.sources),
        range=[lowest * factor, highest * factor],
        planes={name: _plane_of(standing.cut(name)) for name in PLANES}, frame_ms=standing.frame_ms,
        notes=[*volume.notes, *standing.lacking],
    )  # fmt: skip


def chosen(held: Sequence[Standing], number: int) -> Standing:
    """Return one of a series' volumes."""
    if number >= len(held):
        raise Invalid(f"there is no volume {number}; the series makes {len(held)}, counted from 0")
    return held[number]


def _title(standing: Standing) -> str:
    volume = standing.volume
    size = " x ".join(map(str, volume.grid))
    return f"{len(volume.moments)} x {size}" if len(volume.moments) > 1 else size


def _plane_of(through: Cut) -> wire.PlaneOf:
    slices, rows, columns = through.grid
    down, across = through.spacing_mm
    return wire.PlaneOf(
        slices=slices, rows=rows, columns=columns, down_mm=down, across_mm=across, step_mm=through.step_mm
    )


# -- pictures --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Above:
    """A volume to lay over another: `transform` takes the lower one's millimetres to its own."""

    standing: Standing
    transform: Affine
    registration: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Sheet:
    """Planes of one volume as they are drawn: `numbers` are slices, or angles of a view through it."""

    frames: Frames
    through: Cut
    numbers: tuple[float, ...]
    moment: int


def picture(standing: Standing, look: wire.VolumeLook, above: Above | None = None) -> dict[str, object]:
    """Draw planes of a volume, in the shape that travels (`wire.Picture`).

    Raises
    ------
    Invalid
        There is no such slice, moment, colour map, size or zoom.
    Refused
        The unit asked for cannot be told.
    """
    try:
        return _picture(standing, look, above)
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
        travels["notes"] = list(above.notes)
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
    sheet = sheet_of(standing, look)
    lower = render(sheet.frames, request_of(standing, look))
    if above is None:
        return Drawn(sheet, lower)
    laid = sheet_above(standing, sheet, look, above)
    return Drawn(sheet, lower, laid, render(laid, request_above(above.standing, look, standing)))


def sheet_of(standing: Standing, look: wire.VolumeLook | wire.MeasurePlane | wire.AskCurves) -> Sheet:
    """Return the values of the planes a look asks for, in the unit it asks for."""
    moment, count = getattr(look, "moment", -1), getattr(look, "grid", 1)
    volume = standing.moment(moment)
    unit, factor = standing.unit(look.unit)
    if look.plane == "mip":
        projector = standing.projector(moment)
        numbers = tuple(float(round(getattr(look, "angle", 0.0) + 360 * k / count) % 360) for k in range(count))
        through, values = projector.cut(numbers[0]), [projector.seen(number) for number in numbers]
        labels = tuple(f"{number:.0f}°" for number in numbers)
    else:
        through = standing.cut(look.plane)
        numbers = _slices(through, look, count, getattr(look, "step", 1))
        values = [plane(volume, through, number) for number in numbers]
        labels = tuple(_label(through, number) for number in numbers)
    array = np.stack(values)
    frames = Frames(
        array=array if factor == 1 else array * np.float32(factor), spacing_mm=through.spacing_mm, labels=labels,
        window=standing.window, modality=volume.modality, unit=unit,
        indices=tuple(round(number) for number in numbers), total=through.grid[0] if look.plane != "mip" else 360,
        frame_ms=standing.frame_ms,
    )  # fmt: skip
    return Sheet(frames, through, numbers, moment)


def _slices(
    through: Cut, look: wire.VolumeLook | wire.MeasurePlane | wire.AskCurves, count: int, step: int
) -> tuple[float, ...]:
    last = through.grid[0] - 1
    if look.at:
        first = through.slice_at(point_of(look.at))
        first = float(round(first)) if through.axes else first
    elif look.slice is not None:
        first = look.slice
    else:
        first = float(last // 2) if count == 1 else 0.0
    if not 0 <= first <= last:
        raise Invalid(f"there is no slice {first:g}; the {through.name} planes are 0 to {last}")
    return tuple(first + k * step for k in range(count) if first + k * step <= last)


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
        values = [projector.seen(number) for number in sheet.numbers]
    else:
        onto = sheet.through.finer(_times(sheet.through, upper, look))
        nothing = min(0.0, above.standing.whole_window(look.over_moment, "range").lower)
        values = [sampled(upper, onto, number, above.transform, nothing) for number in sheet.numbers]
    array = np.stack(values) * np.float32(factor)
    return replace(
        sheet.frames, array=array, spacing_mm=None, window=above.standing.window, modality=upper.modality, unit=unit,
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
