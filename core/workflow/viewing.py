"""What the viewer shows: series as they came, pictures drawn to a terminal's size, headers, files.

Decoded frames stay in a small box, the least used leave first, so that turning a knob answers at once. Decoding and
drawing happen outside any unit of work.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_description, dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag
from sqlalchemy import func
from sqlmodel import col, select

from core import access, course, wire
from core.access import Actor
from core.archive import conversions
from core.dicom.charset import Charset, decode_name, decode_text
from core.dicom.objects import identity_of, read_header
from core.dicom.pixels import frames_of
from core.errors import Invalid, NotFound, Refused
from core.imaging.display import PictureRequest, chosen_window, render, travelling
from core.imaging.frames import Frames, picked
from core.imaging.window import Window
from core.model import Batch, Conversion, Exam, Image, Series, Step, Study
from core.records import Work
from core.vocabulary import BatchState, Operation
from core.workflow import integrity
from core.workflow.units import Unit, Uptake, suv_of

_HELD_BYTES = 256 << 20
_WHOLE_BYTES = 64 << 20  # a larger file is decoded frame by frame
_TELLING_FRAMES = 64  # of a large object decide on the window of its series
_TELLING_VALUES = 50_000  # of each object in it
_MOST_KNOWN = 2000
_LONGEST_VALUE = 256
_MOST_ROWS = 5000
_NUMBERS = frozenset({"US", "SS", "UL", "SL", "FL", "FD", "AT", "UV", "SV"})


# -- series ----------------------------------------------------------------------------------------------------------


def exam_series(work: Work, actor: Actor, reference: str) -> list[wire.Series]:
    """Return the series filed to an exam."""
    exam = course.find_exam(work, reference, actor.site)
    access.require(actor, Operation.VIEW_IMAGES, own=exam.assigned_to == actor.name)
    found = select(Batch).where(Batch.exam_id == exam.id, Batch.state == BatchState.FILED)
    return _series(work, work.session.exec(found).all())


def study_series(work: Work, actor: Actor, study_uid: str) -> list[wire.Series]:
    """Return the series of a study, filed or not, under every identity it came with."""
    batches = work.session.exec(
        select(Batch).where(Batch.site == actor.site, Batch.study_uid == study_uid, Batch.received > 0)
    ).all()
    own = all(is_own(work, actor, batch) for batch in batches)
    access.require(actor, Operation.VIEW_IMAGES, own=bool(batches) and own)
    if not batches:
        raise NotFound(f"no study {study_uid} has arrived")
    return _series(work, batches)


def image(work: Work, actor: Actor, sop_uid: str, *, as_it_came: bool = False) -> Image:
    """Return a stored object's row for somebody who may look at it; of a mended object, that of its standard copy."""
    row = work.session.exec(select(Image).where(Image.site == actor.site, Image.sop_uid == sop_uid)).first()
    batch = work.session.get(Batch, row.batch_id) if row else None
    access.require(actor, Operation.VIEW_IMAGES, own=batch is not None and is_own(work, actor, batch))
    if row is None:
        raise NotFound(f"no object {sop_uid} is in the archive")
    return row if as_it_came else conversions.outgoing(work, [row])[0]


def is_own(work: Work, actor: Actor, batch: Batch) -> bool:
    """Whether a batch is filed to an exam of the actor's own."""
    exam = work.session.get(Exam, batch.exam_id or 0)
    return exam is not None and exam.assigned_to == actor.name


@dataclass(frozen=True, slots=True)
class Siblings:
    """The single-frame objects of a series, by which one of them is scaled; named only where that is not known yet.

    `key` changes with what comes to the series or leaves it.
    """

    key: tuple[object, ...]
    objects: Sequence[Image] = ()


def siblings(work: Work, row: Image, look: wire.Look, box: LightBox) -> Siblings | None:
    """Return by what a look scales an object, where it asks for its series and the object is one frame of it."""
    if look.scale != "series" or row.frames != 1:
        return None
    alike = (Image.series_id == row.series_id, Image.batch_id == row.batch_id, Image.sop_class == row.sop_class)
    single = (*alike, Image.frames == 1)
    counted = work.session.exec(select(func.count(col(Image.id)), func.max(Image.id)).where(*single)).one()
    key = (row.series_id, row.batch_id, row.sop_class, *counted)
    if box.knows(key, look):
        return Siblings(key)
    found = work.session.exec(select(Image).where(*single)).all()
    return Siblings(key, conversions.outgoing(work, sorted(found, key=lambda one: one.sop_uid)))


def _series(work: Work, batches: Sequence[Batch]) -> list[wire.Series]:
    by_id = {batch.id: batch for batch in batches}
    damaged = integrity.damaged_in(work, by_id)
    found = select(Image, Series, Study.uid).join(Series, col(Series.id) == Image.series_id)
    found = found.join(Study, col(Study.id) == Series.study_id).where(col(Image.batch_id).in_(by_id))
    images: dict[tuple[int | None, int], list[Image]] = defaultdict(list)
    rows: dict[tuple[int | None, int], tuple[Series, str]] = {}
    for one, series, study_uid in work.session.exec(found):
        images[series.id, one.batch_id].append(one)
        rows[series.id, one.batch_id] = (series, study_uid)
    uids = [one.sop_uid for several in images.values() for one in several]
    marks = _Marks(damaged, conversions.of_objects(work, batches[0].site, uids) if batches else {})
    shapes = [_shape(work, *rows[key], by_id[key[1]], images[key], marks) for key in rows]
    return sorted(shapes, key=lambda one: (one.study_instance_uid, one.number or 0, one.date, one.uid))


@dataclass(frozen=True, slots=True)
class _Marks:
    """What is to be said of objects beside what they say of themselves, by SOP Instance UID."""

    damaged: Mapping[str, str]
    mended: Mapping[str, Conversion]


def _shape(
    work: Work, series: Series, study_uid: str, batch: Batch, images: Sequence[Image], marks: _Marks
) -> wire.Series:
    step = work.session.get(Step, batch.step_id or 0)
    ordered = sorted(images, key=lambda one: (one.number or 0, one.acquired_at, one.sop_uid))
    return wire.Series(
        uid=series.uid, study_instance_uid=study_uid, modality=series.modality, number=series.number,
        description=series.description, date=f"{series.date} {series.time}".strip(), step=step.name if step else "",
        counted=any(one.counted for one in images), instances=[_instance(one, marks) for one in ordered],
        sent_patient_number=batch.patient_number, sent_patient_name=batch.patient_name,
        sent_birth_date=batch.birth_date, sent_sex=batch.sex,
    )  # fmt: skip


def _instance(row: Image, marks: _Marks) -> dict[str, Any]:
    mended = marks.mended.get(row.sop_uid)
    found = {"said": mended.charset_said, "found": mended.charset, "confidence": mended.confidence} if mended else None
    return {
        "uid": row.sop_uid, "number": row.number, "frames": row.frames, "due_frames": row.due_frames,
        "image_type": row.image_type, "counted": row.counted, "acquired_at": row.acquired_at,
        "sop_class": row.sop_class, "transfer_syntax": row.transfer_syntax, "size": row.size,
        "problems": row.problems, "repairs": mended.repairs if mended else [], "charset": found,
        "damaged": marks.damaged.get(row.sop_uid, ""),
    }  # fmt: skip


# -- pictures --------------------------------------------------------------------------------------------------------


class LightBox:
    """Draws stored objects, and holds what it decoded last; `locate` tells where an object's file is."""

    def __init__(self, locate: Callable[[Image], Path], held_bytes: int = _HELD_BYTES) -> None:
        self._locate = locate
        self._limit = held_bytes
        self._held: OrderedDict[tuple[str, tuple[int, ...]], Frames] = OrderedDict()
        self._factors: dict[tuple[str, str], tuple[str, float | None, str]] = {}
        self._windows: dict[tuple[object, ...], Window] = {}
        self._lock = threading.Lock()

    def file(self, row: Image) -> Path:
        """Return where the object can be read."""
        return self._locate(row)

    def picture(self, row: Image, look: wire.Look, series: Siblings | None = None) -> dict[str, object]:
        """Draw an object, in the shape that travels (`wire.Picture`); `series` scales it where the look says so.

        Raises
        ------
        Refused
            The object has no picture, or none that can be decoded; the text says why.
        Invalid
            There is no such frame, colour map, size or zoom.
        """
        frames, request = self.drawable(row, look, series)
        try:
            return travelling(render(frames, request))
        except ValueError as error:
            raise Invalid(str(error)) from error

    def drawable(self, row: Image, look: wire.Look, series: Siblings | None = None) -> tuple[Frames, PictureRequest]:
        """Return the frames a look asks for, in its unit, and how they are to be drawn."""
        frames = self.frames(row, range(look.frame, look.frame + look.grid * look.step, look.step), look.unit)
        window = (
            self._series_window(series or Siblings((row.sha256,), (row,)), frames, look)
            if look.scale == "series"
            else None
        )
        return _turned(frames, look), _request(frames, look, window)

    def frames(self, row: Image, wanted: range | None = None, unit: Unit = "own") -> Frames:
        """Return decoded frames, in a unit: those of the `wanted` that there are, or all.

        Of a large object only these are decoded.
        """
        if wanted is None:
            return self._in_unit(row, self._decoded(row, ()), unit)
        if row.size > _WHOLE_BYTES:
            there = tuple(number for number in wanted if number < max(row.frames, wanted.start + 1))
            return self._in_unit(row, self._decoded(row, there), unit)
        held = self._decoded(row, ())
        chosen = range(len(held.array))[wanted.start : wanted.stop : wanted.step]
        if not chosen:
            raise Invalid(f"there is no frame {wanted.start}; the image has {held.total}, counted from 0")
        return self._in_unit(row, picked(held, chosen), unit)

    def _in_unit(self, row: Image, frames: Frames, unit: Unit) -> Frames:
        if frames.colour or unit == "own" or (unit == "best" and frames.modality != "PT"):
            return frames
        name, factor, reason = self._suv(row, "suvbw" if unit == "best" else unit)
        if reason and unit != "best":
            raise Refused(reason)
        if factor is None:
            return frames
        return replace(frames, array=np.asarray(frames.array, np.float32) * np.float32(factor), unit=name, window=None)

    def _suv(self, row: Image, unit: Uptake) -> tuple[str, float | None, str]:
        key = (row.sha256, unit)
        if key not in self._factors:
            _make_room(self._factors)
            self._factors[key] = suv_of(read_header(self._locate(row)), unit)
        return self._factors[key]

    def knows(self, key: tuple[object, ...], look: wire.Look) -> bool:
        """Whether the window of a series was worked out before."""
        return (*key, look.auto, look.unit) in self._windows

    def _series_window(self, series: Siblings, frames: Frames, look: wire.Look) -> Window:
        """Return the window that suits all frames of these objects together, by a part of their values."""
        key = (*series.key, look.auto, look.unit)
        known = self._windows.get(key)
        if known is None:
            _make_room(self._windows)
            parts = [self._some_values(row, look.unit) for row in series.objects]
            values = np.concatenate(parts) if parts else frames.array  # forgotten since it was known
            known = self._windows[key] = chosen_window(frames, values, "robust" if look.auto == "own" else look.auto)
        return known

    def _some_values(self, row: Image, unit: Unit) -> NDArray[np.float32]:
        apart = max(1, row.frames // _TELLING_FRAMES)
        if row.frames == 1:
            array = self._in_unit(row, frames_of(self._locate(row)), unit).array
        else:
            array = self.frames(row, range(0, row.frames, apart), unit).array
        values = np.asarray(array, np.float32).reshape(-1)
        ends = [np.nanmin(values), np.nanmax(values)]
        return np.append(values[:: 1 + values.size // _TELLING_VALUES], ends)

    def _decoded(self, row: Image, wanted: tuple[int, ...]) -> Frames:
        key = (row.sha256, wanted)
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        frames = frames_of(self._locate(row), wanted or None)
        with self._lock:
            self._held[key] = frames
            while len(self._held) > 1 and sum(one.array.nbytes for one in self._held.values()) > self._limit:
                self._held.popitem(last=False)
        return frames


def _make_room(known: dict[Any, Any]) -> None:
    """Forget what was worked out once it is much: it is soon worked out again."""
    if len(known) >= _MOST_KNOWN:
        known.clear()


def _turned(frames: Frames, look: wire.Look) -> Frames:
    return replace(frames, inverted=not frames.inverted) if look.invert else frames


def _request(frames: Frames, look: wire.Look, window: Window | None) -> PictureRequest:
    if window is None and look.auto == "own" and frames.modality != "NM":
        window = frames.window
    return PictureRequest(
        rows=look.rows, columns=look.columns, shown=look.grid, palette=look.map, window=window, lower=look.lower,
        upper=look.upper, automatic="robust" if look.auto == "own" else look.auto,
        scaling="smooth" if look.smooth else "nearest", zoom=look.zoom, centre=(look.centre_row, look.centre_column),
    )  # fmt: skip


# -- headers ---------------------------------------------------------------------------------------------------------


def header(path: Path, search: str = "") -> list[wire.HeaderRow]:
    """Return an object's elements as people read them, items of sequences marked by `>`; pixels are left out.

    `search` keeps those whose tag, name or value holds all of its words, and the sequences they stand in.
    """
    dataset = read_header(path)
    words = search.casefold().split()
    rows: list[dict[str, str]] = []
    above: list[dict[str, str]] = []
    for row in _elements(dataset, identity_of(dataset).charset, ""):
        depth = row["tag"].count(">")
        above = above[:depth]
        if not words or _holds(row, words):
            rows += [one for one in above if words and not any(one is kept for kept in rows)]
            rows.append(row)
        if row["vr"] == "SQ":
            above.append(row)
        if len(rows) >= _MOST_ROWS:
            break
    return [wire.HeaderRow(**row) for row in rows]


def _holds(row: Mapping[str, str], words: Sequence[str]) -> bool:
    said = " ".join((row["tag"].strip(">"), row["keyword"], row["name"], row["value"])).casefold()
    return all(word in said or word in said.replace(",", "") for word in words)


def _elements(dataset: Dataset, charset: Charset, depth: str) -> Iterator[dict[str, str]]:
    for tag in sorted(dataset.keys()):
        element = dataset.get_item(tag)
        if element is None:
            continue
        vr = str(element.VR or _usual_vr(tag))
        keyword = keyword_for_tag(tag)
        name = dictionary_description(tag) if keyword else ""
        said = {"tag": f"{depth}({tag.group:04X},{tag.element:04X})", "vr": vr, "keyword": keyword, "name": name}
        if vr == "SQ":
            items = _items(dataset, tag)
            yield {**said, "value": f"{len(items)} item" + "s" * (len(items) != 1)}
            for item in items:
                yield from _elements(item, charset, f"{depth}>")
        else:
            yield {**said, "value": _value(dataset, element, vr, charset)}


def _usual_vr(tag: BaseTag) -> str:
    return dictionary_VR(tag) if dictionary_has_tag(tag) else "UN"


def _items(dataset: Dataset, tag: BaseTag) -> list[Dataset]:
    try:
        return list(dataset[tag].value or [])
    except Exception:  # noqa: BLE001 - pydicom raises anything on broken elements; the rest is still to be read
        return []


def _value(dataset: Dataset, element: RawDataElement | DataElement, vr: str, charset: Charset) -> str:
    raw = element.value
    if isinstance(raw, bytes) and vr == "PN":
        text = decode_name(raw, charset).text
    elif isinstance(raw, bytes) and vr not in _NUMBERS and not vr.startswith("O") and vr != "UN":
        text = decode_text(raw, charset).text
    elif isinstance(raw, bytes) and vr not in _NUMBERS:
        text = f"{len(raw)} bytes"
    else:
        try:
            text = str(dataset[element.tag].value)
        except Exception:  # noqa: BLE001 - as above
            text = "cannot be read"
    text = text.strip(" \0")
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
