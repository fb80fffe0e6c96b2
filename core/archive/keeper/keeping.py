"""Keeps objects: stages what comes, gives it its final name and its rows, sweeps what a crash left."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from pathlib import Path
from typing import BinaryIO

from sqlmodel import select

from core.archive import proof
from core.archive.keeper import staged as staging
from core.archive.keeper.arriving import Arriving, shut
from core.archive.keeper.file_meta import missing_meta
from core.archive.keeper.readings import Readings
from core.archive.keeper.rows import acknowledge, batch_of, image_row, index_rows, quarantined_row
from core.archive.keeper.staged import Staged, no_room
from core.archive.stores import Store
from core.dicom import objects
from core.errors import Broken, Refused
from core.model import Batch, Image, Quarantined, Site
from core.records import Work

STORED, KEPT_APART = 0x0000, 0xB000
_PIECE = 1 << 20
_GRACE = timedelta(hours=1)


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
        self._readings = Readings()

    # -- taking in: the bytes ----------------------------------------------------------------------------------------

    def arriving(self, announced: tuple[str, str, str], aet: str) -> Arriving:
        """Begin to take an object in as it comes over the network.

        Parameters
        ----------
        announced
            SOP Class, SOP Instance and transfer syntax UID of the command and its presentation context.
        aet
            The AE title of the sender.

        Raises
        ------
        Unreadable
            The UIDs announced are none.
        NoRoom
            The store does not take it.
        """
        return Arriving(self.store, self._readings, announced, aet)

    def stage(self, dataset: bytes | memoryview, announced: tuple[str, str, str], aet: str) -> Staged:
        """Write and read a dataset that is here whole; as `arriving`, and raises what that does."""
        arriving = self.arriving(announced, aet)
        arriving.write(dataset)
        return arriving.finish()

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
            meta = missing_meta(file, header, source)
            digest = hashlib.sha256(meta)
            temporary = self._copied(_pieces(meta, file, digest))
        try:
            content = objects.content_digest(temporary)
            return staging.read(staging.written(temporary, digest.hexdigest(), content, aet))
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _copied(self, pieces: Iterator[bytes]) -> Path:
        """Write a temporary file and sync it."""
        try:
            file, temporary = self.store.incoming()
        except OSError as error:
            raise no_room(error) from error
        try:
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
            file.close()
        except OSError as error:
            shut(file, temporary)
            raise no_room(error) from error
        return temporary

    # -- taking in: the rows -----------------------------------------------------------------------------------------

    def keep(self, work: Work, staged: Staged, site: str) -> Kept:
        """Give a staged object its final name and its rows.

        The same object again changes nothing but is acknowledged anew; another one under its UID is kept apart.
        """
        there = work.session.exec(
            select(Image).where(Image.site == site, Image.sop_uid == staged.identity.sop_instance_uid)
        ).first()
        if there is None:
            return self._keep_new(work, staged, site)
        if self._is_ours(staged, staged.path):
            self.store.remove(staged.path)
        if self._same(there, staged):
            self._make_whole(work, there, staged)
            acknowledge(work, there, staged, site, STORED)
            return Kept(Outcome.ALREADY, there, work.session.get(Batch, there.batch_id))
        return self._keep_apart(work, staged, site)

    def _same(self, there: Image, staged: Staged) -> bool:
        if there.content_sha256 == staged.content_sha256 and there.transfer_syntax == staged.syntax:
            return True
        if there.transfer_syntax == staged.syntax:
            return False
        return objects.same_elements(self.store.local(there.path), staged.temporary)

    def _make_whole(self, work: Work, there: Image, staged: Staged) -> None:
        """Put an object's file back where it is gone, cut short or known to be changed, before it is acknowledged."""
        damages = proof.open_damage(work, there)
        if self.store.size(there.path) == there.size and not damages:
            return
        if staged.sha256 != there.sha256:
            raise Broken(f"the file of object {there.sop_uid} is damaged here: keep it, and run 'photopeakd verify'")
        self.store.remove(there.path)
        self._place(staged, there.path)
        for damage in damages:
            damage.mended_at = work.now
            work.session.add(damage)

    def _keep_new(self, work: Work, staged: Staged, site: str) -> Kept:
        path = self._place(staged, *staged.paths(site))
        series = index_rows(work, staged, site)
        batch = batch_of(work, staged, site)
        image = image_row(staged, site, self.store.name, path)
        image.series_id, image.batch_id = series.id or 0, batch.id or 0
        work.add(image)
        batch.received += 1
        batch.last_at = work.now
        work.session.add(batch)
        acknowledge(work, image, staged, site, STORED)
        return Kept(Outcome.STORED, image, batch)

    def _keep_apart(self, work: Work, staged: Staged, site: str) -> Kept:
        found = select(Quarantined).where(Quarantined.site == site, Quarantined.content_sha256 == staged.content_sha256)
        apart = work.session.exec(found).first()
        if apart is None:
            path = self._place(staged, staged.quarantine_path(site))
            apart = quarantined_row(staged, site, self.store.name, path, work.now)
            work.add(apart)
        acknowledge(work, apart, staged, site, KEPT_APART)
        return Kept(Outcome.QUARANTINED)

    def _place(self, staged: Staged, *paths: str) -> str:
        """Give the file the first of `paths` that is free; at the last, what lies there never got a row."""
        try:
            for path in paths[:-1]:
                try:
                    self.store.place(staged.temporary, path)
                except FileExistsError:
                    if not self._is_ours(staged, path):
                        continue
                return path
            self.store.remove(paths[-1])
            self.store.place(staged.temporary, paths[-1])
        except OSError as error:
            raise no_room(error) from error
        return paths[-1]

    def _is_ours(self, staged: Staged, path: str) -> bool:
        """Whether a name is the one this very file was given before it had rows."""
        try:
            return self.store.local(path).samefile(staged.temporary)
        except OSError:
            return False

    def place(self, staged: Staged) -> str | None:
        """Give a staged object its final name before it has rows, durably; None where the name is taken.

        Raises
        ------
        NoRoom
            The store does not take it.
        """
        try:
            self.store.place(staged.temporary, staged.path)
        except FileExistsError:
            return None
        except OSError as error:
            raise no_room(error) from error
        return staged.path

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
            staged = staging.read(staging.written(temporary, "", objects.content_digest(temporary)))
        except Refused:
            temporary.unlink(missing_ok=True)
            return True
        uid, known = staged.identity.sop_instance_uid, set[str]()
        for table in (Image, Quarantined):
            known |= set(work.session.exec(select(table.path).where(table.sop_uid == uid)))
        for path in _names(work, staged) - known:
            place = self.store.local(path)
            if place.exists() and place.samefile(temporary):
                self.store.remove(path)
        temporary.unlink(missing_ok=True)
        return True

    # -- giving out --------------------------------------------------------------------------------------------------

    def local(self, kept: Image | Quarantined) -> Path:
        """Return where an object can be read on this machine; raises Broken when its file is gone."""
        place = self.store.local(kept.path)
        if not place.is_file():
            raise Broken(
                f"the file of object {kept.sop_uid} is missing from store {kept.store}: run 'photopeakd verify'"
            )
        return place


def _names(work: Work, staged: Staged) -> set[str]:
    """Return every final name an object may have been given, for whichever site it came."""
    sites = work.session.exec(select(Site.code)).all()
    return {path for site in sites for path in (*staged.paths(site), staged.quarantine_path(site))}


def _pieces(meta: bytes, file: BinaryIO, digest: hashlib._Hash) -> Iterator[bytes]:
    yield meta
    while piece := file.read(_PIECE):
        digest.update(piece)
        yield piece
