"""The bytes of an object as they come in: written under a temporary name, hashed piece by piece, never held whole."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from core.archive.keeper.file_meta import file_meta
from core.archive.keeper.readings import Readings
from core.archive.keeper.staged import Staged, Written, no_room
from core.archive.stores import Store


class Arriving:
    """One object being received; it ends by `finish` or by `abandon`."""

    def __init__(self, store: Store, readings: Readings, announced: tuple[str, str, str], aet: str) -> None:
        """Open its file and write the file meta; raises Unreadable and NoRoom."""
        self._readings, self._announced, self._aet = readings, announced, aet
        meta = file_meta(*announced, aet)
        self._offset = self._size = len(meta)
        self._whole, self._content = hashlib.sha256(meta), hashlib.sha256()
        try:
            self._file, self._temporary = store.incoming()
        except OSError as error:
            raise no_room(error) from error
        self._write(meta)

    def write(self, piece: bytes | memoryview) -> None:
        """Take the next bytes of the dataset; raises NoRoom."""
        self._write(piece)
        self._whole.update(piece)
        self._content.update(piece)
        self._size += len(piece)

    def _write(self, piece: bytes | memoryview) -> None:
        try:
            self._file.write(piece)
        except OSError as error:
            self.abandon()
            raise no_room(error) from error

    def finish(self) -> Staged:
        """Read what came, and sync it.

        Raises
        ------
        Unreadable
            It is broken off, or lacks what tells it from others.
        Mismatch
            Its UIDs are not the announced ones.
        NoRoom
            The store does not take it.
        """
        try:
            self._file.flush()
            staged = self._readings.read(self._written(), self._file.fileno(), self._offset, self._announced[2])
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            self.abandon()
            raise no_room(error) from error
        except BaseException:
            self.abandon()
            raise
        return staged

    def _written(self) -> Written:
        return Written(
            self._temporary, self._size, self._whole.hexdigest(), self._content.hexdigest(), datetime.now(UTC),
            self._aet, self._announced[:2],
        )  # fmt: skip

    def abandon(self) -> None:
        """Forget what came; again does nothing."""
        shut(self._file, self._temporary)


def shut(file: BinaryIO, temporary: Path) -> None:
    """Close a temporary file that is not wanted any more, whatever its disk says, and remove it."""
    try:
        file.close()
    except OSError:  # what could not be written before cannot be flushed now
        return
    finally:
        temporary.unlink(missing_ok=True)
