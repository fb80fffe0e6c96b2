"""Print the images of an exam on film: what to print is chosen when it is asked for, each film drawn when it is sent.

Who a film shows is read when it is drawn, and only images that are filed to the exam by then are printed under its
patient's name. A film that was printed is noted at once, so that a job that breaks off goes on with the next one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlmodel import col, select

from core import access, audit, course, wire
from core.access import Actor
from core.archive import conversions
from core.dicom.pixels import frames_of
from core.errors import Invalid, NotFound, Refused
from core.imaging.frames import Frames
from core.imaging.raster import drawn, fitted, window_of
from core.imaging.window import Window
from core.model import Batch, Exam, Image, Job, Series
from core.records import Records, Work
from core.rendering.film import Caption, tile
from core.scu.peer import Peer
from core.scu.printing import Job as FilmJob
from core.scu.printing import Printer
from core.vocabulary import BatchState, Operation
from core.workflow import devices, queue
from core.workflow.queue import Ticket

KIND = "print"
ATTEMPTS = 8
MOST_FILMS = 20
DOTS_PER_INCH = 254  # ten to the millimetre
_MILLIMETRES = 25.4
_SIZES_INCHES = {
    "8INX10IN": (8, 10), "8_5INX11IN": (8.5, 11), "10INX12IN": (10, 12), "10INX14IN": (10, 14), "11INX14IN": (11, 14),
    "11INX17IN": (11, 17), "14INX14IN": (14, 14), "14INX17IN": (14, 17),
    "24CMX24CM": (240 / _MILLIMETRES, 240 / _MILLIMETRES), "24CMX30CM": (240 / _MILLIMETRES, 300 / _MILLIMETRES),
    "A4": (210 / _MILLIMETRES, 297 / _MILLIMETRES), "A3": (297 / _MILLIMETRES, 420 / _MILLIMETRES),
}  # fmt: skip
_EDGE = 0.94  # of a film is printed on; the rest is its border
_LAYOUTS = ((1, 1), (1, 2), (2, 2), (2, 3), (3, 4), (4, 5))  # columns, rows
_PICTURELESS = frozenset({"SR", "PR", "KO", "DOC", "RTSTRUCT", "RTPLAN", "REG", "RWV"})
_WHOLE_BYTES = 64 << 20  # a larger file is decoded frame by frame
_GREY = (0.299, 0.587, 0.114)  # how bright red, green and blue look (ITU-R BT.601)

Shot = tuple[str, int]
"""One frame to print: SOP Instance UID and frame, from 0."""


# -- what to print ---------------------------------------------------------------------------------------------------


def enqueue(work: Work, actor: Actor, reference: str, form: wire.PrintFilms) -> wire.Job:
    """Queue films of an exam for a printer.

    Raises
    ------
    NotFound
        There is no such exam or printer, or nothing of the exam can be printed.
    Refused
        It would be more films than anybody wants.
    """
    exam = course.find_exam(work, reference, actor.site)
    access.require(actor, Operation.VIEW_IMAGES, own=exam.assigned_to == actor.name)
    printer = devices.named(work, form.aet)
    shots = _chosen(work, exam, form)
    columns, rows = _layout(form.layout, len(shots))
    films = -(-len(shots) // (columns * rows))
    if films > MOST_FILMS:
        raise Refused(
            f"{len(shots)} images in {columns}x{rows} make {films} films, more than {MOST_FILMS}: "
            "choose series, frames or a denser layout"
        )
    payload: dict[str, object] = {
        **form.model_dump(exclude={"aet", "layout", "series", "frames"}), "aet": printer.aet, "exam": exam.accession,
        "shots": [list(shot) for shot in shots], "columns": columns, "rows": rows,
    }  # fmt: skip
    job = work.enqueue(actor.site, KIND, payload, lane=f"print:{printer.aet}", asked_by=str(actor), attempts=ATTEMPTS)
    job.total = films
    audit.record(
        work, actor, "images.print", exam.accession, aet=printer.aet, films=films, images=len(shots), copies=form.copies
    )
    return queue.shape(job)


def _filed(work: Work, exam: Exam) -> list[tuple[Image, Series]]:
    found = select(Image, Series).join(Series, col(Series.id) == Image.series_id)
    found = found.join(Batch, col(Batch.id) == Image.batch_id)
    found = found.where(Batch.exam_id == exam.id, Batch.state == BatchState.FILED)
    ordered = found.order_by(col(Series.number), col(Series.uid), col(Image.number), col(Image.sop_uid))
    return list(work.session.exec(ordered).all())


def _chosen(work: Work, exam: Exam, form: wire.PrintFilms) -> list[Shot]:
    wanted = set(_numbers(form.frames)) if form.frames else None
    shots = [
        (image.sop_uid, frame)
        for image, series in _filed(work, exam)
        if series.modality not in _PICTURELESS and (not form.series or series.uid in form.series)
        for frame in range(max(1, image.frames))
        if wanted is None or frame in wanted
    ]
    if not shots:
        raise NotFound(f"nothing of exam {exam.accession} can be printed: no such images are filed to it")
    return shots


def _numbers(text: str) -> Iterator[int]:
    for part in text.split(","):
        first, _, last = part.partition("-")
        start, end = int(first), int(last or first)
        if not 1 <= start <= end:
            raise Invalid("frames are counted from 1, and a range runs upwards: 1-8,12")
        yield from range(start - 1, min(end, start + 100_000))


def _layout(asked: str | None, images: int) -> tuple[int, int]:
    """Return columns and rows: those asked for, else the fewest boxes that hold every image."""
    if asked:
        columns, rows = re.split("[x,]", asked)
        return int(columns), int(rows)
    return next((each for each in _LAYOUTS if each[0] * each[1] >= images), _LAYOUTS[-1])


# -- the printer -----------------------------------------------------------------------------------------------------


def state(actor: Actor, device: wire.Device, peer: Peer) -> wire.PrinterState:
    """Ask a printer how it is."""
    access.require(actor, Operation.VIEW_IMAGES)
    return wire.PrinterState(aet=device.aet, **asdict(Printer.of(peer).state()))


@dataclass(frozen=True)
class Darkroom:
    """Runs the jobs that print. `call` gives the peer of a device, `local` where an object's file is."""

    records: Records
    call: Callable[[wire.Device], Peer]
    local: Callable[[Image], Path]
    new_uid: Callable[[], str]
    caption: Caption = field(default_factory=Caption)

    def run(self, ticket: Ticket) -> None:
        """Print the films that are not printed yet."""
        said = ticket.payload
        form = wire.PrintFilms.model_validate(
            {name: said[name] for name in wire.PrintFilms.model_fields if name in said}
        )
        film_job = _film_job(form, said["columns"], said["rows"])
        shots: list[Shot] = [(uid, frame) for uid, frame in said["shots"]]
        boxes = film_job.columns * film_job.rows
        films = [shots[start : start + boxes] for start in range(0, len(shots), boxes)]
        size = _box_size(form, film_job)
        for number in range(int(ticket.result.get("films", 0)), len(films)):
            if ticket.cancelled():
                return
            sheet = self._sheet(ticket, films[number])
            images = [self._drawn(sheet, shot, size, form) for shot in films[number]]
            printed = self._printer(form.aet).print_film(film_job, images, self.new_uid)
            self._note(ticket, number + 1, printed.warnings)
            ticket.progress(number + 1, len(films))

    def _printer(self, aet: str) -> Printer:
        with self.records.reading() as work:
            return Printer.of(self.call(devices.shape(devices.named(work, aet))))

    def _note(self, ticket: Ticket, films: int, warnings: Sequence[str]) -> None:
        """Write down at once that a film is printed: a crash must not print it twice."""
        known = list(ticket.result.get("warnings", []))
        ticket.result.update(films=films, warnings=[*known, *(one for one in warnings if one not in known)])
        with self.records.writing() as work:
            job = work.session.get(Job, ticket.job_id)
            if job is not None:
                job.result = dict(ticket.result)
                work.session.add(job)

    def _sheet(self, ticket: Ticket, shots: Sequence[Shot]) -> _Sheet:
        """Look up who a film shows, and refuse images that are not filed to the exam any more."""
        with self.records.reading() as work:
            exam = course.find_exam(work, ticket.payload["exam"], ticket.site)
            filed = {image.sop_uid: (image, series) for image, series in _filed(work, exam)}
            if not filed.keys() >= {uid for uid, _ in shots}:
                raise Refused(f"images to be printed are not filed to exam {exam.accession} any more: print it anew")
            wanted = [filed[uid] for uid in dict.fromkeys(uid for uid, _ in shots)]
            going = conversions.outgoing(work, [image for image, _ in wanted])
            rows = {image.sop_uid: (image, series) for image, (_, series) in zip(going, wanted, strict=True)}
            return _Sheet(course.shape(work, exam), rows)

    def _drawn(self, sheet: _Sheet, shot: Shot, size: tuple[int, int], form: wire.PrintFilms) -> NDArray[np.uint16]:
        frames, index, window = sheet.frames(shot, self.local)
        lines = sheet.caption(shot, frames.labels[index]) if form.caption else []
        room = size[0] - self.caption.height(size, len(lines))
        picture = drawn(frames, index, fitted(frames, room, size[1]), window, form.bits)
        strip = self.caption.drawn(size, lines, form.bits)
        return tile(_grey(picture, form.bits), strip, size, bits=form.bits, inverse=form.inverse)


def _film_job(form: wire.PrintFilms, columns: int, rows: int) -> FilmJob:
    return FilmJob(
        columns=columns, rows=rows, bits=form.bits, copies=form.copies, priority=form.priority, medium=form.medium,
        film_size=form.film_size, orientation=form.orientation.upper(), presentation_lut=form.lut,
    )  # fmt: skip


def _box_size(form: wire.PrintFilms, film_job: FilmJob) -> tuple[int, int]:
    """Return height and width of one box of a film, in dots."""
    short, long = _SIZES_INCHES[form.film_size]
    width, height = (short, long) if form.orientation == "portrait" else (long, short)
    dots = DOTS_PER_INCH * _EDGE
    return int(height * dots) // film_job.rows, int(width * dots) // film_job.columns


def _grey(picture: NDArray[np.uint16 | np.uint8], bits: int) -> NDArray[np.uint16]:
    """Colour becomes as grey as it looks bright; a film has no other."""
    if picture.ndim == 2:  # noqa: PLR2004 - row, column
        return picture.astype(np.uint16)
    bright = picture.astype(np.float32) @ np.asarray(_GREY, np.float32)
    return (bright * (((1 << bits) - 1) / 255)).astype(np.uint16)


@dataclass
class _Sheet:
    """What one film shows: an exam, and the objects whose frames are on it; the last one stays decoded."""

    exam: wire.Exam
    rows: dict[str, tuple[Image, Series]]
    _held: tuple[str, Frames, Window] | None = None

    def frames(self, shot: Shot, local: Callable[[Image], Path]) -> tuple[Frames, int, Window]:
        """Return decoded frames, where the one to print stands in them, and the window all of its object share."""
        uid, frame = shot
        image, _ = self.rows[uid]
        if image.size > _WHOLE_BYTES:
            alone = frames_of(local(image), [frame])
            return alone, 0, window_of(alone)
        if self._held is None or self._held[0] != uid:
            decoded = frames_of(local(image))
            self._held = uid, decoded, window_of(decoded)
        _, decoded, window = self._held
        return decoded, min(frame, len(decoded.array) - 1), window

    def caption(self, shot: Shot, label: str) -> list[str]:
        """Say in two lines who an image shows, and what."""
        image, series = self.rows[shot[0]]
        exam = self.exam
        born = exam.patient_birth_date.isoformat() if exam.patient_birth_date else ""
        names = (exam.patient_name_ideographic.replace("^", ""), exam.patient_name.replace("^", " "))
        at = f"{series.date[:4]}-{series.date[4:6]}-{series.date[6:]}" if series.date else ""
        number = f"{shot[1] + 1}/{image.frames}" if image.frames > 1 else ""
        return [
            "  ".join(filter(None, (*names, exam.patient_number, exam.patient_sex, born))),
            "  ".join(filter(None, (exam.accession, at, series.description, label, number))),
        ]
