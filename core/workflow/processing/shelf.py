"""Where what was made lies until it is decided on: a folder for each processing, put there in one go.

A maker writes into a folder of its own, which takes the place of the one before when it is whole; a maker that dies
leaves a folder that the next one's putting away removes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import Broken, NotFound

_ARRAYS, _OBJECTS = "stages", "objects"


class Shelf:
    """Folders by the number of the processing, below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, number: int, attempt: int) -> Path:
        """Make the empty folder an attempt writes into."""
        place = self._folder / f"{number}.{attempt}.new"
        try:
            shutil.rmtree(place, ignore_errors=True)
            for name in (_ARRAYS, _OBJECTS):
                (place / name).mkdir(parents=True)
        except OSError as error:
            raise Broken(f"no place for what is made ({error.strerror}): look after the disk of the service") from error
        return place

    def put(self, number: int, made: Path) -> None:
        """Let a folder that is whole be the processing's; every file of it is on the disk afterwards."""
        for path in made.rglob("*"):
            _sync(path)
        _sync(made)
        place = self._folder / str(number)
        shutil.rmtree(place, ignore_errors=True)
        made.rename(place)
        _sync(self._folder)
        for left in self._folder.glob(f"{number}.*.new"):
            shutil.rmtree(left, ignore_errors=True)

    def held(self) -> dict[str, int]:
        """Return what lies here: folders by name, and the number of the processing each belongs to."""
        if not self._folder.is_dir():
            return {}
        parts = {one.name: one.name.partition(".")[0] for one in self._folder.iterdir()}
        return {name: int(number) for name, number in parts.items() if number.isdigit()}

    def remove(self, name: str) -> None:
        """Remove a folder."""
        shutil.rmtree(self._folder / name, ignore_errors=True)

    def clear(self, number: int) -> None:
        """Remove what is no longer needed."""
        shutil.rmtree(self._folder / str(number), ignore_errors=True)

    def result(self, number: int, uid: str) -> Path:
        """Return where a result object lies."""
        return self._folder / str(number) / _OBJECTS / f"{uid}.dcm"

    def stage(self, number: int, name: str) -> NDArray[Any]:
        """Return a stage's frames, (frame, row, column), read as they are asked for.

        Raises
        ------
        NotFound
            It is not on the disk any more.
        """
        path = self._folder / str(number) / _ARRAYS / f"{name}.npy"
        try:
            array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise NotFound(
                f"stage {name} of processing {number} is not kept any more: repeat the processing"
            ) from error
        return array


def write_stages(folder: Path, stages: Mapping[str, NDArray[Any]]) -> None:
    """Write stages into a folder that was begun."""
    for name, array in stages.items():
        np.save(folder / _ARRAYS / f"{name}.npy", np.ascontiguousarray(array), allow_pickle=False)


def object_path(folder: Path, uid: str) -> Path:
    """Return where an object is written in a folder that was begun."""
    return folder / _OBJECTS / f"{uid}.dcm"


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
