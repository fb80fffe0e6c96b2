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

from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag
from sqlmodel import col, select

from core import access, course, wire
from core.access import Actor
from core.archive import conversions
from core.dicom.charset import Charset, decode_name, decode_text
from core.dicom.objects import identity_of, read_header
from core.dicom.pixels import frames_of
from core.errors import Invalid, NotFound
from core.imaging.display import PictureRequest, render, travelling
from core.imaging.frames import Frames
from core.imaging.window import Window
from core.model import Batch, Conversion, Exam, Image, Series, Step, Study
from core.records import Work
from core.vocabulary import BatchState, Operation
from core.workflow import integrity

_HELD_BYTES = 256 << 20
_WHOLE_BYTES = 64 << 20  # a larger file is decoded frame by frame
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
    own = all(_is_own(work, actor, batch) for batch in batches)
    access.require(actor, Operation.VIEW_IMAGES, own=bool(batches) and own)
    if not batches:
        raise NotFound(f"no study {study_uid} has arrived")
    return _series(work, batches)


def image(work: Work, actor: Actor, sop_uid: str, *, as_it_came: bool = False) -> Image:
    """Return a stored object's row for somebody who may look at it; of a mended object, that of its standard copy."""
    row = work.session.exec(select(Image).where(Image.site == actor.site, Image.sop_uid == sop_uid)).first()
    batch = work.session.get(Batch, row.batch_id) if row else None
    access.require(actor, Operation.VIEW_IMAGES, own=batch is not None and _is_own(work, actor, batch))
    if row is None:
        raise NotFound(f"no object {sop_uid} is in the archive")
    return row if as_it_came else conversions.outgoing(work, [row])[0]


def _is_own(work: Work, actor: Actor, batch: Batch) -> bool:
    exam = work.session.get(Exam, batch.exam_id or 0)
    return exam is not None and exam.assigned_to == actor.name


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
        self._lock = threading.Lock()

    def file(self, row: Image) -> Path:
        """Return where the object can be read."""
        return self._locate(row)

    def picture(self, row: Image, look: wire.Look) -> dict[str, object]:
        """Draw an object, in the shape that travels (`core.imaging.display.travelling`).

        Raises
        ------
        Refused
            The object has no picture, or none that can be decoded; the text says why.
        Invalid
            There is no such frame, colour map, size or zoom.
        """
        frames, first = self._frames(row, look)
        try:
            return travelling(render(_turned(frames, look), _request(frames, look, first)))
        except ValueError as error:
            raise Invalid(str(error)) from error

    def _frames(self, row: Image, look: wire.Look) -> tuple[Frames, int]:
        """Return decoded frames with those wanted in them, and where the first of these stands."""
        if row.size <= _WHOLE_BYTES:
            return self._decoded(row, ()), look.frame
        last = min(look.frame + look.grid, max(row.frames, look.frame + 1))
        return self._decoded(row, tuple(range(look.frame, last))), 0

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


def _turned(frames: Frames, look: wire.Look) -> Frames:
    return replace(frames, inverted=not frames.inverted) if look.invert else frames


def _request(frames: Frames, look: wire.Look, first: int) -> PictureRequest:
    window = frames.window if look.auto == "own" and frames.modality != "NM" else None
    if look.lower is not None and look.upper is not None:
        window = Window(look.lower, look.upper)
    return PictureRequest(
        rows=look.rows, columns=look.columns, frame=first, shown=look.grid, palette=look.map, window=window,
        automatic="robust" if look.auto == "own" else look.auto, scaling="smooth" if look.smooth else "nearest",
        zoom=look.zoom, centre=(look.centre_row, look.centre_column),
    )  # fmt: skip


# -- headers ---------------------------------------------------------------------------------------------------------


def header(path: Path) -> list[dict[str, str]]:
    """Return an object's elements as people read them, items of sequences marked by `>`; pixels are left out."""
    dataset = read_header(path)
    rows: list[dict[str, str]] = []
    for row in _elements(dataset, identity_of(dataset).charset, ""):
        rows.append(row)
        if len(rows) == _MOST_ROWS:
            break
    return rows


def _elements(dataset: Dataset, charset: Charset, depth: str) -> Iterator[dict[str, str]]:
    for tag in sorted(dataset.keys()):
        element = dataset.get_item(tag)
        if element is None:
            continue
        vr = str(element.VR or _usual_vr(tag))
        said = {"tag": f"{depth}({tag.group:04X},{tag.element:04X})", "vr": vr, "keyword": keyword_for_tag(tag)}
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
