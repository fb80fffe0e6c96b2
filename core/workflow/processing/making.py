"""Make what was ordered, in a process of its own: files in, stages and objects out.

Nothing here knows a row. What is wrong with the images is refused with their object's UID; a worker never falls over
bad input.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import generate_uid

from core.dicom.objects import read_header
from core.dicom.volumes import Made
from core.errors import CoreError, Refused
from core.vocabulary import Recipe
from core.workflow.processing.order import Order
from core.workflow.processing.shelf import object_path, write_stages

Told: TypeAlias = Callable[[int, int], None]

_PIPELINES = {
    Recipe.SPECT: "core.workflow.processing.spect",
    Recipe.COREGISTER: "core.workflow.processing.coregister",
    Recipe.FUSE: "core.workflow.processing.fuse",
    Recipe.LESION: "core.workflow.processing.lesion",
}


def made_of(order: Order, method: str, inputs: Sequence[Dataset], description: str, place: int = 0) -> Made:
    """Return what a result object says of how it was made; each description is a series of its own."""
    sources = tuple((str(one.SOPClassUID), str(one.SOPInstanceUID)) for one in inputs)
    return Made(
        method=method, parameters=order.used(), inputs=sources, version=order.version, at=order.at,
        series_uid=generate_uid(), series_number=order.series_number + place, series_description=description[:64],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """A step to look at: (frame, row, column), or with colours (frame, row, column, 3) of 8 bits.

    `begin` is the frame in which there is most to see; the middle one unless it is said.
    """

    name: str
    title: str
    array: NDArray[Any]
    kind: str = "slices"
    unit: str = ""
    moments: int = 1
    voxel_mm: tuple[float, float, float] | None = None
    begin: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it in the shape of `wire.Stage`."""
        frames, rows, columns = self.array.shape[:3]
        return {
            "name": self.name, "title": self.title, "kind": self.kind, "frames": frames, "rows": rows,
            "columns": columns, "unit": self.unit, "moments": self.moments, "voxel_mm": list(self.voxel_mm or ()),
            "begin": self.begin,
        }  # fmt: skip


class Stopwatch:
    """How long each part of the making took, in seconds by the clock, and of processors."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self.work: dict[str, float] = {}
        self._at, self._worked = time.perf_counter(), time.process_time()

    def lap(self, name: str) -> None:
        """Note what was done since the last lap."""
        now, worked = time.perf_counter(), time.process_time()
        self.laps[name], self.work[name] = round(now - self._at, 3), round(worked - self._worked, 3)
        self._at, self._worked = now, worked


@dataclass(slots=True)
class Product:
    """What a pipeline makes."""

    steps: list[Step] = field(default_factory=list)
    objects: list[Dataset] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


def make(argument: Mapping[str, Any], told: Told) -> dict[str, Any]:
    """Make what an order asks for and write it into the order's folder; return what the row is to say.

    Raises
    ------
    Refused
        The images do not allow it; the text names the object and what is missing.
    """
    order = Order.from_json(argument)
    pipeline: Callable[[Order, Told], Product] = import_module(_PIPELINES[order.recipe]).make
    try:
        product = pipeline(order, told)
    except CoreError:
        raise
    except ValueError as error:  # what imaging says of images it cannot use is fit for a person
        raise Refused(f"{named(order)}: {error}") from error
    _write(order.folder, product)
    return {
        "stages": [step.as_json() for step in product.steps],
        "results": [str(one.SOPInstanceUID) for one in product.objects],
        "numbers": _finite(product.numbers), "warnings": product.warnings, "said": product.said,
    }  # fmt: skip


def _write(folder: Path, product: Product) -> None:
    write_stages(folder, {step.name: _kept(step.array) for step in product.steps})
    for one in product.objects:
        one.save_as(object_path(folder, str(one.SOPInstanceUID)), enforce_file_format=True)


def _finite(value: Any) -> Any:  # noqa: ANN401 - what JSON holds
    """Return what fits into JSON: numbers that are none become nothing."""
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _kept(array: NDArray[Any]) -> NDArray[Any]:
    return array if array.dtype == np.uint8 else array.astype(np.float32, copy=False)


def named(order: Order) -> str:
    """Name the objects an order is about, for a message; no more than their UIDs."""
    uids = [uid_of(path) for path in (*order.inputs, *order.over)]
    more = f" and {len(uids) - 2} more" if len(uids) > 2 else ""  # noqa: PLR2004 - one line
    return ("object " if len(uids) == 1 else "objects ") + ", ".join(uids[:2]) + more


def uid_of(path: Path) -> str:
    """Return the SOP Instance UID of a file."""
    return str(read_header(path).get("SOPInstanceUID", "without a UID"))
