"""Takes an object in: bytes first, then the row; and gives it out again.

`stage` works outside any transaction: the file is written, synced, hashed and read. `keep` works inside the unit of
work: the file gets its final name and its rows. Nothing of a received dataset is changed; only the file meta is ours. A
temporary name lives until the rows are committed, so that `sweep` finds what a crash left by looking there alone.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom import Dataset
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian
from sqlmodel import col, select

from core.archive import proof
from core.archive.stores import QUARANTINE, Store
from core.dicom import frames, objects
from core.dicom.charset import decode_name
from core.dicom.objects import SentIdentity
from core.errors import Broken, Refused
from core.model import (
    Batch,
    BatchSeries,
    Exam,
    Image,
    Quarantined,
    Receipt,
    SentPatient,
    Series,
    Study,
)
from core.records import Work

STORED, KEPT_APART = 0x0000, 0xB000
_IMPLEMENTATION = "1.2.826.0.1.3680043.8.498.7077001"
_VERSION = "PHOTOPEAK"
_PREAMBLE = b"\0" * 128 + b"DICM"
_PIECE = 1 << 20
_LARGEST_INFLATED = 1 << 31
_GRACE = timedelta(hours=1)
_ENDS = (b"\xfe\xff\xdd\xe0", b"\xff\xfe\xe0\xdd")  # sequence delimiters (PS3.5 7.5), little and big endian
_UNDEFINED = 0xFFFFFFFF  # PS3.5 7.1.3
_NO_LENGTH = b"\0\0\0\0"
_TAIL = 64
_LONGEST_UID = 64
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData", "PixelDataProviderURL")


class Unreadable(Refused):
    """An object that cannot be understood, and so not be kept."""


class Mismatch(Refused):
    """An object that is not the one its command announced."""


class NoRoom(Broken):
    """The store does not take the object."""


@dataclass(frozen=True)
class Staged:
    """An object written and read, but known to nobody yet."""

    temporary: Path
    size: int
    sha256: str
    content_sha256: str
    identity: SentIdentity
    identity_key: str
    study_date: str
    study_time: str
    series_date: str
    series_time: str
    referrer: str
    frames: int
    due_frames: int | None
    counted: bool
    received_at: datetime
    aet: str = ""

    @property
    def path(self) -> str:
        """Where it belongs: day received, patient number, study, series, object."""
        said = self.identity
        number = objects.safe_component(said.patient_id) if said.patient_id else "unknown"
        uids = (said.study_instance_uid or "unknown", said.series_instance_uid or "unknown", said.sop_instance_uid)
        return "/".join((f"{self.received_at:%Y/%m/%d}", number, *uids)) + ".dcm"

    @property
    def paths(self) -> tuple[str, str]:
        """Its path, and the one it takes where something that never got a row lies there."""
        return self.path, f"{self.path[:-4]}.{self.content_sha256[:12]}.dcm"

    @property
    def quarantine_path(self) -> str:
        """Where it lies apart when its UID is another object's."""
        return f"{QUARANTINE}/{self.paths[1]}"


class Outcome(Enum):
    """What became of an object."""

    STORED = auto()
    ALREADY = auto()
    QUARANTINED = auto()


@dataclass(frozen=True)
class Kept:
    """An object that has its rows: the image, and the batch it came into; both absent when it is kept apart."""

    outcome: Outcome
    image: Image | None = None
    batch: Batch | None = None

    @property
    def status(self) -> int:
        """The C-STORE status that says so."""
        return KEPT_APART if self.outcome is Outcome.QUARANTINED else STORED


class Keeper:
    """Keeps objects in a store, and their rows in the unit of work it is given."""

    def __init__(self, store: Store) -> None:
        self.store = store

    # -- taking in: the bytes ----------------------------------------------------------------------------------------

    def stage(self, dataset: bytes | memoryview, announced: tuple[str, str, str], aet: str) -> Staged:
        """Write and read a dataset as it came over the network.

        Parameters
        ----------
        dataset
            Its bytes, without file meta.
        announced
            SOP Class, SOP Instance and transfer syntax UID of the command and its presentation context.
        aet
            The AE title of the sender.

        Raises
        ------
        Unreadable
            It is broken off, or lacks what tells it from others.
        Mismatch
            Its UIDs are not the announced ones.
        NoRoom
            The store does not take it.
        """
        meta = _file_meta(*announced, aet)
        digest = hashlib.sha256(meta)
        digest.update(dataset)
        temporary = self._write(iter((meta, dataset)))
        return self._read(temporary, digest.hexdigest(), hashlib.sha256(dataset).hexdigest(), aet, announced[:2])

    def stage_file(self, source: Path, aet: str = "") -> Staged:
        """Copy and read a file; one that is no standard DICOM file gets the file meta it lacks.

        Raises
        ------
        Unreadable
            It is no DICOM object.
        NoRoom
            The store does not take it.
        """
        header = objects.read_header(source)
        with source.open("rb") as file:
            meta = _missing_meta(file, header, source)
            digest = hashlib.sha256(meta)
            temporary = self._write(_pieces(meta, file, digest))
        return self._read(temporary, digest.hexdigest(), objects.content_digest(temporary), aet, None)

    def _write(self, pieces: Iterator[bytes | memoryview]) -> Path:
        """Write a temporary file and sync it."""
        try:
            file, temporary = self.store.incoming()
        except OSError as error:
            raise _no_room(error) from error
        try:
            with file:
                for piece in pieces:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise _no_room(error) from error
        return temporary

    def _read(
        self, temporary: Path, sha256: str, content_sha256: str, aet: str, announced: tuple[str, str] | None
    ) -> Staged:
        try:
            return _staged(temporary, sha256, content_sha256, aet, announced)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    # -- taking in: the rows -----------------------------------------------------------------------------------------

    def keep(self, work: Work, staged: Staged, site: str) -> Kept:
        """Give a staged object its final name and its rows.

        The same object again changes nothing but is acknowledged anew; another one under its UID is kept apart.
        """
        there = work.session.exec(select(Image).where(Image.sop_uid == staged.identity.sop_instance_uid)).first()
        if there is None:
            return self._keep_new(work, staged, site)
        if self._same(there, staged):
            self._make_whole(there, staged)
            _acknowledge(work, there, staged, site, STORED)
            return Kept(Outcome.ALREADY, there, work.session.get(Batch, there.batch_id))
        return self._keep_apart(work, staged, site)

    def _same(self, there: Image, staged: Staged) -> bool:
        if there.content_sha256 == staged.content_sha256 and there.transfer_syntax == _syntax(staged):
            return True
        if there.transfer_syntax == _syntax(staged):
            return False
        return objects.same_elements(self.store.local(there.path), staged.temporary)

    def _make_whole(self, there: Image, staged: Staged) -> None:
        """Put an object's file back where it is gone or cut short: nothing is acknowledged that is not there."""
        if self.store.size(there.path) == there.size:
            return
        if staged.sha256 != there.sha256:
            raise Broken(f"the file of object {there.sop_uid} is damaged here: keep it, and run 'photopeakd verify'")
        self.store.remove(there.path)
        self._place(staged, there.path)

    def _keep_new(self, work: Work, staged: Staged, site: str) -> Kept:
        path = self._place(staged, *staged.paths)
        series = index_rows(work, staged, site)
        batch = batch_of(work, staged, site)
        image = image_row(staged, site, self.store.name, path)
        image.series_id, image.batch_id = series.id or 0, batch.id or 0
        work.add(image)
        batch.received += 1
        batch.last_at = work.now
        work.session.add(batch)
        _acknowledge(work, image, staged, site, STORED)
        return Kept(Outcome.STORED, image, batch)

    def _keep_apart(self, work: Work, staged: Staged, site: str) -> Kept:
        found = select(Quarantined).where(Quarantined.content_sha256 == staged.content_sha256)
        apart = work.session.exec(found).first()
        if apart is None:
            path = self._place(staged, staged.quarantine_path)
            apart = quarantined_row(staged, site, self.store.name, path, work.now)
            work.add(apart)
        _acknowledge(work, apart, staged, site, KEPT_APART)
        return Kept(Outcome.QUARANTINED)

    def _place(self, staged: Staged, *paths: str) -> str:
        """Give the file the first of `paths` that is free; at the last, what lies there never got a row."""
        try:
            for path in paths[:-1]:
                try:
                    self.store.place(staged.temporary, path)
                except FileExistsError:
                    continue
                return path
            self.store.remove(paths[-1])
            self.store.place(staged.temporary, paths[-1])
        except OSError as error:
            raise _no_room(error) from error
        return paths[-1]

    def forget(self, staged: Staged) -> None:
        """Let go of the temporary name, once the rows are committed or nothing was kept."""
        staged.temporary.unlink(missing_ok=True)

    def sweep(self, work: Work, grace: timedelta = _GRACE) -> int:
        """Remove what a crash left behind and nobody was told is kept; return how many files that were."""
        removed = 0
        for temporary in self.store.leftovers():
            if datetime.fromtimestamp(temporary.stat().st_mtime, UTC) > work.now - grace:
                continue
            removed += self._sweep(work, temporary)
        return removed

    def _sweep(self, work: Work, temporary: Path) -> bool:
        """Remove a leftover, and its final name where no row has it."""
        try:
            staged = _staged(temporary, "", objects.content_digest(temporary), "", None)
        except Refused:
            temporary.unlink(missing_ok=True)
            return True
        uid, known = staged.identity.sop_instance_uid, set[str]()
        for table in (Image, Quarantined):
            known |= set(work.session.exec(select(table.path).where(table.sop_uid == uid)))
        for path in {*staged.paths, staged.quarantine_path} - known:
            place = self.store.local(path)
            if place.exists() and place.samefile(temporary):
                self.store.remove(path)
        temporary.unlink(missing_ok=True)
        return True

    def read_back(self, path: str) -> Staged:
        """Read a file that lies in the store, as if it had just come; for rebuilding the rows."""
        place = self.store.local(path)
        return _staged(place, proof.sha256_of(place), objects.content_digest(place), _source(place), None)

    # -- giving out --------------------------------------------------------------------------------------------------

    def local(self, kept: Image | Quarantined) -> Path:
        """Return where an object can be read on this machine; raises Broken when its file is gone."""
        place = self.store.local(kept.path)
        if not place.is_file():
            raise Broken(
                f"the file of object {kept.sop_uid} is missing from store {kept.store}: run 'photopeakd verify'"
            )
        return place


# -- reading what was written ----------------------------------------------------------------------------------------


def _file_meta(sop_class: str, sop_instance: str, syntax: str, aet: str) -> bytes:
    """Preamble and file meta information (PS3.10 7.1) around a dataset that came without."""
    if not (_is_uid(sop_class) and _is_uid(sop_instance)):
        raise Unreadable("the request names no usable SOP Class and Instance UID")
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(sop_instance)
    meta.TransferSyntaxUID = UID(syntax)
    meta.ImplementationClassUID = UID(_IMPLEMENTATION)
    meta.ImplementationVersionName = _VERSION
    if aet:
        meta.SourceApplicationEntityTitle = aet
    out = DicomBytesIO()
    out.write(_PREAMBLE)
    write_file_meta_info(out, meta)
    return out.getvalue()


def _is_uid(text: str) -> bool:
    """Whether a text is digits and dots, not too long: nothing that leads a path astray (PS3.5 9.1)."""
    return len(text) <= _LONGEST_UID and re.fullmatch(r"[0-9]+(?:\.[0-9]+)+", text) is not None


def _missing_meta(file: BinaryIO, header: Dataset, source: Path) -> bytes:
    """Return the file meta a file lacks, and leave `file` where the rest of it begins."""
    said = objects.identity_of(header)
    head = file.read(len(_PREAMBLE))
    if head.endswith(b"DICM") and getattr(header, "file_meta", None) and "TransferSyntaxUID" in header.file_meta:
        file.seek(0)
        return b""
    file.seek(objects.dataset_offset(source))
    return _file_meta(said.sop_class_uid, said.sop_instance_uid, said.transfer_syntax_uid, "")


def _pieces(meta: bytes, file: BinaryIO, digest: hashlib._Hash) -> Iterator[bytes]:
    yield meta
    while piece := file.read(_PIECE):
        digest.update(piece)
        yield piece


def _staged(temporary: Path, sha256: str, content_sha256: str, aet: str, announced: tuple[str, str] | None) -> Staged:
    """Read a written file and refuse what cannot be kept."""
    dataset = _whole(temporary)
    said = objects.identity_of(dataset)
    if not said.sop_class_uid or not said.sop_instance_uid:
        raise Unreadable("the object has no usable SOP Class or Instance UID")
    if "Rows" in dataset and not any(keyword in dataset for keyword in _PIXELS):
        raise Unreadable("the image breaks off before its pixel data: send it again")
    if announced is not None and announced != (said.sop_class_uid, said.sop_instance_uid):
        raise Mismatch("the UIDs of dataset and command differ")
    count = frames.frames_received(dataset)
    written = temporary.stat()
    return Staged(
        temporary=temporary, size=written.st_size, sha256=sha256, content_sha256=content_sha256, identity=said,
        identity_key=objects.identity_key(said), study_date=_date(dataset, "StudyDate"),
        study_time=_time(dataset, "StudyTime"), series_date=_date(dataset, "SeriesDate"),
        series_time=_time(dataset, "SeriesTime"), referrer=_name(dataset, "ReferringPhysicianName", said),
        frames=count.frames, due_frames=count.expected_by_vectors, counted=frames.is_original(dataset),
        received_at=datetime.fromtimestamp(written.st_mtime, UTC), aet=aet,
    )  # fmt: skip


def _whole(path: Path) -> Dataset:
    """Read every element of a file, and refuse one that breaks off."""
    try:
        dataset = pydicom.dcmread(path, force=True)
        deflated = dataset.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian
        whole = _inflates(path) if deflated else _ends_well(dataset, path)
    except Exception as error:  # pydicom raises anything on broken bytes, and any of it means this
        raise Unreadable(f"the object cannot be read ({type(error).__name__})") from error
    if not whole:
        raise Unreadable("the object breaks off: send it again")
    return dataset


def _ends_well(dataset: Dataset, path: Path) -> bool:
    """Whether the last element ends where the file does; zeros may follow it."""
    tags = list(dataset.keys())
    if not tags:
        return False
    last, size = dataset.get_item(tags[-1]), path.stat().st_size
    with path.open("rb") as file:
        end = _end(last)
        if end is not None:
            file.seek(min(end, size))
            return end <= size and not file.read(_PIECE).strip(b"\0")
        file.seek(-min(size, _TAIL), os.SEEK_END)
        tail = file.read()
    stripped = tail.rstrip(b"\0")
    return stripped.endswith(_ENDS) and len(tail) - len(stripped) >= len(_NO_LENGTH)


def _end(last: RawDataElement | DataElement) -> int | None:
    """Where an element ends; None where a delimiter says so."""
    if isinstance(last, RawDataElement):
        return None if last.length == _UNDEFINED else last.value_tell + last.length
    return (last.file_tell or 0) if last.is_empty and not last.is_undefined_length else None


def _inflates(path: Path) -> bool:
    """Whether a deflated dataset is complete and of a size one can bear."""
    inflater, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    with path.open("rb") as file:
        file.seek(objects.dataset_offset(path))
        while piece := file.read(_PIECE):
            while piece and not inflater.eof and size < _LARGEST_INFLATED:
                size += len(inflater.decompress(piece, _PIECE))
                piece = inflater.unconsumed_tail
    return inflater.eof and size < _LARGEST_INFLATED


def _source(path: Path) -> str:
    """Return who sent an object, as the file meta we wrote tells."""
    meta = pydicom.dcmread(path, force=True, stop_before_pixels=True, specific_tags=[]).file_meta
    ours = meta.get("ImplementationClassUID") == _IMPLEMENTATION
    return str(meta.get("SourceApplicationEntityTitle", "")).strip() if ours else ""


def _raw(dataset: Dataset, keyword: str) -> bytes:
    try:
        value = dataset.get_item(keyword).value if keyword in dataset else b""
    except Exception:  # noqa: BLE001 - as objects does: what cannot be read is empty
        return b""
    value = getattr(value, "original_string", value)
    return value if isinstance(value, bytes) else str(value or "").encode()


def _date(dataset: Dataset, keyword: str) -> str:
    digits = _raw(dataset, keyword).decode("latin-1").strip(" \0").replace(".", "").replace("-", "")
    return digits if len(digits) == len("YYYYMMDD") and digits.isascii() and digits.isdigit() else ""


def _time(dataset: Dataset, keyword: str) -> str:
    text = _raw(dataset, keyword).decode("latin-1").strip(" \0").replace(":", "")[:16]
    return text if text.isascii() and text.replace(".", "", 1).isdigit() else ""


def _name(dataset: Dataset, keyword: str, said: SentIdentity) -> str:
    return decode_name(_raw(dataset, keyword)[: objects.LONGEST_TEXT], said.charset).text


def _no_room(error: OSError) -> NoRoom:
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    return NoRoom(
        "the archive's disk is full: make room" if full else f"the archive cannot be written ({error.strerror})"
    )


def _syntax(staged: Staged) -> str:
    return staged.identity.transfer_syntax_uid


# -- rows ------------------------------------------------------------------------------------------------------------


def index_rows(work: Work, staged: Staged, site: str) -> Series:
    """Find or make the rows of patient, study and series as sent."""
    said, session = staged.identity, work.session
    found = select(SentPatient).where(SentPatient.site == site, SentPatient.identity_key == staged.identity_key)
    patient = session.exec(found).first()
    if patient is None:
        patient = SentPatient(
            site=site, identity_key=staged.identity_key, patient_number=_text(said.patient_id, 64),
            issuer=_text(said.issuer), name=_text(str(said.name)), sex=_text(said.sex, 16),
            birth_date=f"{said.birth_date:%Y%m%d}" if said.birth_date else "",
        )  # fmt: skip
        work.add(patient)
    study = session.exec(
        select(Study).where(Study.sent_patient_id == patient.id, Study.uid == said.study_instance_uid)
    ).first()
    if study is None:
        study = Study(
            site=site, sent_patient_id=patient.id or 0, uid=said.study_instance_uid, date=staged.study_date,
            time=staged.study_time, accession=_text(said.accession, 64), study_id=_text(said.study_id, 64),
            description=_text(said.study_description), referrer=_text(staged.referrer),
        )  # fmt: skip
        work.add(study)
    return _series(work, staged, study)


def _series(work: Work, staged: Staged, study: Study) -> Series:
    said = staged.identity
    found = select(Series).where(Series.study_id == study.id, Series.uid == said.series_instance_uid)
    series = work.session.exec(found).first()
    if series is None:
        series = Series(
            study_id=study.id or 0, uid=said.series_instance_uid, modality=_text(said.modality, 16),
            number=said.series_number, description=_text(said.series_description), body_part=_text(said.body_part),
            station=_text(said.station_name), date=staged.series_date, time=staged.series_time,
        )  # fmt: skip
        work.add(series)
    return series


def batch_of(work: Work, staged: Staged, site: str) -> Batch:
    """Find or make the batch an object belongs to; a series split off takes its objects along."""
    said, session = staged.identity, work.session
    key = (site, said.study_instance_uid, staged.identity_key)
    split = select(BatchSeries.batch_id).where(
        BatchSeries.site == key[0], BatchSeries.study_uid == key[1], BatchSeries.identity_key == key[2],
        BatchSeries.series_uid == said.series_instance_uid,
    )  # fmt: skip
    batch = session.get(Batch, session.exec(split).first() or 0)
    if batch is None:
        found = select(Batch).where(Batch.site == key[0], Batch.study_uid == key[1], Batch.identity_key == key[2])
        batch = session.exec(found.order_by(col(Batch.id)).limit(1)).first()
    return batch or _new_batch(work, staged, site)


def _new_batch(work: Work, staged: Staged, site: str) -> Batch:
    said = staged.identity
    ours = work.session.exec(select(Exam.id).where(Exam.study_instance_uid == said.study_instance_uid)).first()
    batch = Batch(
        site=site, study_uid=said.study_instance_uid, identity_key=staged.identity_key,
        patient_number=_text(said.patient_id, 64), patient_name=_text(str(said.name)),
        accession=_text(said.accession, 64), birth_date=f"{said.birth_date:%Y%m%d}" if said.birth_date else "",
        sex=_text(said.sex, 16), modality=_text(said.modality, 16), body_part=_text(said.body_part),
        description=_text(said.study_description or said.series_description), aet=_text(staged.aet, 16),
        from_worklist=ours is not None, study_at=said.study_at.isoformat() if said.study_at else "",
        first_at=work.now, last_at=work.now,
    )  # fmt: skip
    work.add(batch)
    return batch


def image_row(staged: Staged, site: str, store: str, path: str) -> Image:
    """Return an object's row, not yet tied to series and batch."""
    said = staged.identity
    return Image(
        site=site, series_id=0, batch_id=0, sop_uid=said.sop_instance_uid, sop_class=said.sop_class_uid,
        number=said.instance_number, frames=staged.frames, due_frames=staged.due_frames, counted=staged.counted,
        image_type=_text("\\".join(said.image_type)), transfer_syntax=_syntax(staged), store=store, path=path,
        size=staged.size, sha256=staged.sha256, content_sha256=staged.content_sha256, aet=_text(staged.aet, 16),
        problems=list(said.problems), received_at=staged.received_at,
        acquired_at=said.acquired_at.isoformat() if said.acquired_at else "",
    )  # fmt: skip


def quarantined_row(staged: Staged, site: str, store: str, path: str, at: datetime) -> Quarantined:
    """Return the row of an object kept apart."""
    said = staged.identity
    return Quarantined(
        site=site, sop_uid=said.sop_instance_uid, study_uid=said.study_instance_uid, store=store, path=path,
        content_sha256=staged.content_sha256, sha256=staged.sha256, transfer_syntax=_syntax(staged), size=staged.size,
        aet=_text(staged.aet, 16), reason="another object has its UID", received_at=at,
    )  # fmt: skip


def _acknowledge(work: Work, kept: Image | Quarantined, staged: Staged, site: str, status: int) -> None:
    """Write down that the sender may forget the object: what is kept, which may be equal in another transfer syntax."""
    receipt = Receipt(
        site=site, sop_uid=kept.sop_uid, content_sha256=kept.content_sha256, sha256=kept.sha256, size=kept.size,
        store=kept.store, path=kept.path, aet=_text(staged.aet, 16), status=status, at=work.now,
    )  # fmt: skip
    work.session.add(receipt)


def _text(text: str, longest: int = objects.LONGEST_TEXT) -> str:
    """Return what a text column takes: no NUL, no lone surrogate, not too long."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:longest]
