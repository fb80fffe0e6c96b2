"""The two files of an object that came non-standard: the one it came in is kept, the standard one goes out.

Originals that are no DICOM lie in a tree of their own, and so do standard copies of objects that are kept as they came;
neither is an object of the archive, and rebuilding the index passes them by.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from sqlmodel import col, select

from core.archive.keeper.staged import no_room
from core.archive.stores import ORIGINALS, STANDARD, Store
from core.model import Conversion, Image
from core.records import Work

_AT_ONCE = 400


@dataclass(frozen=True, slots=True)
class Placed:
    """A file that was written beside the archive's own."""

    path: str
    size: int
    sha256: str


def place(store: Store, path: str, *pieces: bytes) -> Placed:
    """Write a file durably under a name of its own; what lay there without a row gives way.

    Raises
    ------
    NoRoom
        The store does not take it.
    """
    digest, size = hashlib.sha256(), 0
    try:
        file, temporary = store.incoming()
        try:
            with file:
                for piece in pieces:
                    digest.update(piece)
                    size += file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            store.remove(path)
            with suppress(FileExistsError):  # somebody mended it at the same moment, and the same way
                store.place(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise no_room(error) from error
    return Placed(path, size, digest.hexdigest())


def of_object(work: Work, site: str, sop_uid: str) -> Conversion | None:
    """Return what was mended in an object; None where nothing was."""
    found = select(Conversion).where(Conversion.site == site, Conversion.sop_uid == sop_uid)
    return work.session.exec(found).first()


def of_objects(work: Work, site: str, sop_uids: Iterable[str]) -> dict[str, Conversion]:
    """Return what was mended in each of these objects, by SOP Instance UID; those without are left out."""
    uids = sorted(set(sop_uids))
    rows: dict[str, Conversion] = {}
    for start in range(0, len(uids), _AT_ONCE):
        found = select(Conversion).where(
            Conversion.site == site, col(Conversion.sop_uid).in_(uids[start : start + _AT_ONCE])
        )
        rows |= {row.sop_uid: row for row in work.session.exec(found)}
    return rows


def outgoing(work: Work, images: Iterable[Image]) -> list[Image]:
    """Return the images as they go out: each that has a standard copy points at that, in rows that belong to no table.

    The rows given stay as they are.
    """
    rows = list(images)
    mended = of_objects(work, rows[0].site, (row.sop_uid for row in rows)) if rows else {}
    return [_standard(row, mended.get(row.sop_uid)) for row in rows]


def original_path(sop_uid: str, suffix: str) -> str:
    """Where the file an object was made of lies."""
    return f"{ORIGINALS}/{sop_uid[-2:]}/{sop_uid}{suffix}"


def standard_path(path: str) -> str:
    """Where the standard copy of an object lies, by the object's own path."""
    return f"{STANDARD}/{path}"


def _standard(row: Image, mended: Conversion | None) -> Image:
    if mended is None or not mended.standard_path:
        return row
    return Image(
        **row.model_dump(exclude={"path", "size", "sha256", "transfer_syntax", "store", "tier"}),
        path=mended.standard_path, size=mended.standard_size, sha256=mended.standard_sha256,
        transfer_syntax=mended.standard_syntax, store=mended.store,
    )  # fmt: skip
