"""Reads what lies in a store as if it had just come, several files at a time; for rebuilding the index.

Each file is read once: hashed, and its header scanned as that of an arriving object is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from io import BytesIO
from itertools import islice
from typing import BinaryIO

import pydicom
from pydicom.dataset import FileMetaDataset

from core.archive.keeper import staged as staging
from core.archive.keeper.file_meta import sender_of
from core.archive.keeper.readings import Readings
from core.archive.keeper.staged import Staged, Unreadable, Written
from core.archive.stores import Store
from core.dicom import objects
from core.errors import Refused

_PIECE = 1 << 20
_READERS = 4
_AT_ONCE = 500

Read = tuple[str, Staged | str]
"""A path, and what lies there or why it cannot be told."""


def read_all(store: Store, paths: Iterable[str]) -> Iterator[list[Read]]:
    """Yield what lies at the paths, some hundreds at a time, in their order."""
    readings, coming = Readings(), iter(paths)
    with ThreadPoolExecutor(_READERS, "read-back") as readers:
        while some := list(islice(coming, _AT_ONCE)):
            yield list(readers.map(lambda path: (path, _told(store, readings, path)), some))


def _told(store: Store, readings: Readings, path: str) -> Staged | str:
    try:
        return read_back(store, readings, path)
    except Refused as error:
        return error.detail
    except OSError as error:
        return f"it cannot be read ({error.strerror})"


def read_back(store: Store, readings: Readings, path: str) -> Staged:
    """Read one file that lies in the store; raises Unreadable."""
    place = store.local(path)
    with place.open("rb") as file:
        head = file.read(_PIECE)
        offset = objects.dataset_start(head)
        whole, content, size = hashlib.sha256(head), hashlib.sha256(head[offset:]), len(head)
        for piece in _pieces(file):
            whole.update(piece)
            content.update(piece)
            size += len(piece)
        meta = _meta(head[:offset])
        at = datetime.fromtimestamp(place.stat().st_mtime, UTC)
        one = Written(place, size, whole.hexdigest(), content.hexdigest(), at, sender_of(meta))
        syntax = str(meta.get("TransferSyntaxUID", ""))
        return readings.read(one, file.fileno(), offset, syntax) if syntax else staging.read(one)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def _meta(head: bytes) -> FileMetaDataset:
    try:
        return pydicom.dcmread(BytesIO(head), force=True).file_meta
    except Exception as error:  # pydicom raises anything on broken bytes, and any of it means this
        raise Unreadable(f"the file meta cannot be read ({type(error).__name__})") from error
