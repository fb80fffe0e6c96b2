"""An object written and read, but known to nobody yet: what it says of itself, and whether it is whole.

Nothing of a received dataset is changed or believed unread; what breaks off or cannot be told from others is refused.
"""

from __future__ import annotations

import errno
import os
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pydicom
from pydicom import Dataset
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.uid import ComputedRadiographyImageStorage, DeflatedExplicitVRLittleEndian, MRImageStorage

from core.archive.stores import QUARANTINE
from core.dicom import frames, objects
from core.dicom.charset import decode_name
from core.dicom.frames import FrameCount
from core.dicom.objects import SentIdentity
from core.errors import Broken, Refused

_PIECE = 1 << 20
_LARGEST_INFLATED = 1 << 31
_ENDS = (b"\xfe\xff\xdd\xe0", b"\xff\xfe\xe0\xdd")  # sequence delimiters (PS3.5 7.5), little and big endian
_UNDEFINED = 0xFFFFFFFF  # PS3.5 7.1.3
_NO_LENGTH = b"\0\0\0\0"
_TAIL = 64
_IMAGES = frozenset({*frames.NM_STORAGE, *frames.SINGLE_SLICE, MRImageStorage, ComputedRadiographyImageStorage})
"""Classes that are nothing without pixels: one that was cut between two elements ends well and is no image."""
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
    number: str
    """The patient number as a part of a path."""
    aet: str = ""

    @property
    def syntax(self) -> str:
        """The transfer syntax it is in."""
        return self.identity.transfer_syntax_uid

    @property
    def path(self) -> str:
        """Where it belongs: day received, patient number, study, series, object."""
        said = self.identity
        uids = (said.study_instance_uid or "unknown", said.series_instance_uid or "unknown", said.sop_instance_uid)
        return "/".join((self.received_at.date().isoformat().replace("-", "/"), self.number, *uids)) + ".dcm"

    def paths(self, site: str) -> tuple[str, str]:
        """Return its path, and the one it takes where another site's object lies, or what never got a row."""
        path = self.path
        return path, f"{path[:-4]}.{objects.safe_component(site)}-{self.content_sha256[:12]}.dcm"

    def quarantine_path(self, site: str) -> str:
        """Return where it lies apart when its UID is another object's."""
        return f"{QUARANTINE}/{self.paths(site)[1]}"


@dataclass(frozen=True, slots=True)
class Written:
    """A file as it was written, not read yet; `announced` are SOP Class and Instance UID of the command that came."""

    temporary: Path
    size: int
    sha256: str
    content_sha256: str
    received_at: datetime
    aet: str = ""
    announced: tuple[str, str] | None = None


def written(path: Path, sha256: str, content_sha256: str, aet: str = "") -> Written:
    """Look at a file that lies there already."""
    found = path.stat()
    return Written(path, found.st_size, sha256, content_sha256, datetime.fromtimestamp(found.st_mtime, UTC), aet)


def read(one: Written) -> Staged:
    """Read a written file and refuse what cannot be kept."""
    dataset = _whole(one.temporary)
    pixels = any(keyword in dataset for keyword in _PIXELS)
    return staged_of(one, dataset, frames.frames_received(dataset), pixels=pixels)


def staged_of(one: Written, dataset: Dataset, count: FrameCount, *, pixels: bool) -> Staged:
    """Say what a dataset that is whole says of itself, and refuse it where it cannot be kept.

    Raises
    ------
    Unreadable
        It lacks what tells it from others, or its pixel data.
    Mismatch
        Its UIDs are not the announced ones.
    """
    said = objects.identity_of(dataset)
    if not said.sop_class_uid or not said.sop_instance_uid:
        raise Unreadable("the object has no usable SOP Class or Instance UID")
    sent_image = one.announced is not None and said.sop_class_uid in _IMAGES
    if not pixels and ("Rows" in dataset or sent_image):
        raise Unreadable("the image breaks off before its pixel data: send it again")
    demand_announced(one, said)
    return Staged(
        temporary=one.temporary, size=one.size, sha256=one.sha256, content_sha256=one.content_sha256, identity=said,
        identity_key=objects.identity_key(said), study_date=date_of(_raw(dataset, "StudyDate")),
        study_time=time_of(_raw(dataset, "StudyTime")), series_date=date_of(_raw(dataset, "SeriesDate")),
        series_time=time_of(_raw(dataset, "SeriesTime")), referrer=_name(dataset, "ReferringPhysicianName", said),
        frames=count.frames, due_frames=count.expected_by_vectors, counted=frames.is_original(dataset),
        received_at=one.received_at, aet=one.aet, number=_number(said),
    )  # fmt: skip


def demand_announced(one: Written, said: SentIdentity) -> None:
    """Refuse an object that is not the one its command announced."""
    if one.announced is not None and one.announced != (said.sop_class_uid, said.sop_instance_uid):
        raise Mismatch("the UIDs of dataset and command differ")


def _number(said: SentIdentity) -> str:
    return objects.safe_component(said.patient_id) if said.patient_id else "unknown"


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


def _raw(dataset: Dataset, keyword: str) -> bytes:
    try:
        value = dataset.get_item(keyword).value if keyword in dataset else b""
    except Exception:  # noqa: BLE001 - as objects does: what cannot be read is empty
        return b""
    value = getattr(value, "original_string", value)
    return value if isinstance(value, bytes) else str(value or "").encode()


def date_of(raw: bytes) -> str:
    """Return a date as the rows hold it; empty where it is none."""
    digits = raw.decode("latin-1").strip(" \0").replace(".", "").replace("-", "")
    return digits if len(digits) == len("YYYYMMDD") and digits.isascii() and digits.isdigit() else ""


def time_of(raw: bytes) -> str:
    """Return a time as the rows hold it; empty where it is none."""
    text = raw.decode("latin-1").strip(" \0").replace(":", "")[:16]
    return text if text.isascii() and text.replace(".", "", 1).isdigit() else ""


def _name(dataset: Dataset, keyword: str, said: SentIdentity) -> str:
    return decode_name(_raw(dataset, keyword)[: objects.LONGEST_TEXT], said.charset).text


def no_room(error: OSError) -> NoRoom:
    """Say why the store did not take an object."""
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    return NoRoom(
        "the archive's disk is full: make room" if full else f"the archive cannot be written ({error.strerror})"
    )
