"""Places files live.

Bytes are written under a temporary name, synced, linked to their final name, and the folder synced: after that a power
cut cannot take them away. A final name is never written to twice and never overwritten.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from core.errors import Broken

QUARANTINE = "quarantine"
ARCHIVE = "tier"
"""What is old lies below this name, which may be another disk."""
COPIES = "copies"
"""Second copies lie below this one; they are no part of the archive itself."""
ORIGINALS, STANDARD = "originals", "standard"
"""Files that became objects as they came, and standard copies of objects that are kept as they came."""
_APART = frozenset({QUARANTINE, COPIES, ORIGINALS, STANDARD})
_INCOMING = ".incoming"
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL
_PRIVATE_FILE, _PRIVATE_FOLDER = 0o600, 0o700
_REMEMBERED = 20_000


class Store(Protocol):
    """A place files live; paths are relative, with slashes, and readable by people."""

    name: str

    def incoming(self, near: str = "") -> tuple[BinaryIO, Path]:
        """Open a new temporary file on the disk where the path `near` will be."""

    def place(self, temporary: Path, path: str) -> None:
        """Give a synced temporary file its final name, durably; raises FileExistsError when the name is taken."""

    def local(self, path: str) -> Path:
        """Return where a file can be read on this machine."""

    def size(self, path: str) -> int | None:
        """Return a file's size; None when it is not there."""

    def remove(self, path: str) -> None:
        """Remove a file if it is there."""

    def files(self, under: str = "") -> Iterator[str]:
        """Yield the paths of all files, those kept apart (quarantine, copies) only when asked for by `under`."""

    def leftovers(self) -> list[Path]:
        """Return the temporary files there are."""

    def check(self) -> int:
        """Prove that a file can be written, and return the free bytes; raises Broken when not."""


class LocalStore:
    """A folder on this machine's disk; `elsewhere` are names below it that are folders on other disks."""

    def __init__(self, root: Path, name: str = "local", elsewhere: Mapping[str, Path] | None = None) -> None:
        self.name = name
        self.root = root
        self._elsewhere = dict(elsewhere or {})
        self._synced: set[str] = set()
        (root / _INCOMING).mkdir(parents=True, exist_ok=True, mode=_PRIVATE_FOLDER)

    def _home(self, path: str) -> tuple[Path, str]:
        """Return the folder a path lies in, and the rest of it."""
        first, _, rest = path.partition("/")
        return (self._elsewhere[first], rest) if first in self._elsewhere else (self.root, path)

    def incoming(self, near: str = "") -> tuple[BinaryIO, Path]:
        """Open a new temporary file on the disk of the final names; what was written can be mapped and read."""
        path = Path(f"{self._home(near)[0]}/{_INCOMING}/{secrets.token_hex(12)}")
        try:
            descriptor = os.open(path, _NEW, _PRIVATE_FILE)
        except FileNotFoundError:
            path.parent.mkdir(exist_ok=True, mode=_PRIVATE_FOLDER)  # another disk that is not there is not made
            descriptor = os.open(path, _NEW, _PRIVATE_FILE)
        return os.fdopen(descriptor, "wb"), path

    def place(self, temporary: Path, path: str) -> None:
        """Link a synced temporary file to its final name and sync every folder that changed."""
        final = self.local(path)
        folder = str(final.parent)
        if folder in self._synced and _linked(temporary, final):
            _sync_folder(folder)
            return
        above = [each for each in (final.parent, *final.parent.parents) if each.is_relative_to(self._home(path)[0])]
        changed = self._make_folders(above)
        os.link(temporary, final)
        for each in dict.fromkeys((*changed, folder)):
            _sync_folder(each)
        self._synced.update(map(str, above))

    def _make_folders(self, above: Sequence[Path]) -> list[str]:
        """Make a folder and those above it; return the ones that have, or may have, an entry not yet synced.

        A folder made by a call that was cut short looks like any other: each is synced once by every process.
        """
        if len(self._synced) > _REMEMBERED:
            self._synced.clear()
        changed: list[str] = []
        for each in reversed(above):
            if str(each) not in self._synced or not each.is_dir():
                each.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
                changed.append(str(each.parent))
        return changed

    def local(self, path: str) -> Path:
        """Return the file's place; a path that leads out of the store is ours to be ashamed of."""
        home, rest = self._home(path)
        place = Path(f"{home}/{rest}")
        if not rest or rest.startswith("/") or ".." in rest.split("/"):
            raise Broken(f"the path of a stored object leads out of the store {self.name}: run 'photopeakd verify'")
        return place

    def size(self, path: str) -> int | None:
        """Return a file's size; None when it is not there."""
        try:
            return self.local(path).stat().st_size
        except OSError:
            return None

    def remove(self, path: str) -> None:
        """Remove a file if it is there."""
        self.local(path).unlink(missing_ok=True)

    def files(self, under: str = "") -> Iterator[str]:
        """Yield the paths of all files in order, without those still arriving."""
        first = under.partition("/")[0]
        if first not in self._elsewhere:
            yield from _walk(self.root, under, leaving=() if under else _APART | self._elsewhere.keys())
        for name, home in self._elsewhere.items():
            if first == name or (not under and name not in _APART):
                yield from (f"{name}/{path}" for path in _walk(home, under[len(name) + 1 :], leaving=()))

    def leftovers(self) -> list[Path]:
        """Return the temporary files there are."""
        homes = (self.root, *self._elsewhere.values())
        return [path for home in homes for path in sorted(home.glob(f"{_INCOMING}/*"))]

    def check(self) -> int:
        """Prove that a file can be written, and return the free bytes."""
        try:
            with self._written(b"photopeak"):
                return shutil.disk_usage(self.root).free
        except OSError as error:
            raise Broken(f"the store {self.root} does not take a file ({error.strerror}): check its disk") from error

    @contextmanager
    def _written(self, data: bytes) -> Iterator[Path]:
        file, path = self.incoming()
        try:
            with file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield path
        finally:
            path.unlink(missing_ok=True)


def _walk(home: Path, under: str, leaving: Collection[str]) -> Iterator[str]:
    start = home / under
    for folder, folders, names in os.walk(start):
        left = {_INCOMING, *leaving} if Path(folder) == start else {_INCOMING}
        folders[:] = sorted(set(folders) - left)
        for name in sorted(names):
            yield (Path(folder) / name).relative_to(home).as_posix()


def _linked(temporary: Path, final: Path) -> bool:
    """Link a file into a folder that should be there; False when somebody took the folder away."""
    try:
        os.link(temporary, final)
    except FileNotFoundError:
        return False
    return True


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
