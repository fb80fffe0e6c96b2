"""What a series is in space: the volumes it makes, and what is worked out of them.

Volumes stay in a small box once they were read, with what was worked out of them; the least used leave first. Reading
happens outside any unit of work.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

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
from core.imaging.display import COUNTED
from core.imaging.planes import PLANES, Cut, Projector, cut, moment_of
from core.imaging.volume import Affine, Unplaced, Volume
from core.imaging.window import ENOUGH, Automatic, Window, automatic
from core.model import Batch, Conversion, Image, Series
from core.records import Work
from core.vocabulary import Operation
from core.workflow.units import SUV, Unit, suv_of
from core.workflow.viewing import is_own

Key: TypeAlias = tuple[object, ...]

_HELD_BYTES = 768 << 20
_LARGEST_BYTES = 1 << 30


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
        arrays = [self.volume.array, *(one.array for number, one in list(self._moments.items()) if number < 0)]
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
            self._projectors[key] = self.projector(moments[0]).laid(other.moment(moments[1]), transform)
        return self._projectors[key]

    def whole_window(self, moment: int, how: Automatic) -> Window:
        """Return the window that suits the whole, in its own unit: of all moments, or (-1) of them together."""
        key = (min(moment, 0), how)
        if key not in self._windows:
            self._windows[key] = automatic(self._telling(moment), how)
        return self._windows[key]

    def nothing(self, moment: int) -> float:
        """Return what is drawn where there is no voxel: 0, or the least value where it lies below (air of a CT)."""
        return min(0.0, self.whole_window(moment, "range").lower)

    def extent(self) -> tuple[float, float]:
        """Return the smallest and the largest value of any moment."""
        smallest, largest = (float(value) for value in self._telling(0)[-2:])
        return (smallest, largest) if np.isfinite([smallest, largest]).all() else (0.0, 0.0)

    def _telling(self, moment: int) -> NDArray[np.float32]:
        """Return enough values to choose a window by, the smallest and largest among them."""
        values = (self.volume if moment >= 0 else self.moment(moment)).array.reshape(-1)
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
        every = list(by_uid.values())  # a file may name itself by another UID than its row: it was given one of its own
        return [_standing(one, [by_uid[uid] for uid in one.sources if uid in by_uid] or every) for one in found.volumes]


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
