"""What stands on one side of the viewer: a series, where the eye is in it, and how it is looked at.

Frames are gone through as they were sent; planes and the turning projection go through the patient, in millimetres of
the patient (DICOM LPS), so that several pictures show the same place. Nothing here knows a screen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from console.widgets.reel import MAPS, Look, Question, Reel, Size, Window

Point = tuple[float, float, float]
FRAMES, MIP = "frames", "mip"
PLANES = ("axial", "coronal", "sagittal")
_NORMALS: Mapping[str, Point] = {"axial": (0, 0, 1), "coronal": (0, 1, 0), "sagittal": (1, 0, 0)}
MODES = ("blend", "checkerboard", "fused")
_TURN = 10.0  # degrees a step
_FULL_TURN = 360.0


@dataclass(frozen=True)
class Over:
    """A series laid over another: its colours, its window, and how much of it is seen."""

    series_uid: str
    title: str
    map: str = "hot_iron"
    window: Window | None = None
    mode: str = MODES[0]
    blend: float = 0.5

    def query(self) -> dict[str, Any]:
        """Return what the service is asked about it."""
        lower, upper = self.window or (None, None)
        return {
            "over": self.series_uid, "over_map": self.map, "over_lower": lower, "over_upper": upper, "mode": self.mode,
            "blend": round(self.blend, 3),
        }  # fmt: skip

    def with_map_after(self) -> Over:
        """Return it with the next colour map."""
        return replace(self, map=MAPS[(MAPS.index(self.map) + 1) % len(MAPS)])

    def with_mode_after(self) -> Over:
        """Return it blended, as a checkerboard, fused."""
        return replace(self, mode=MODES[(MODES.index(self.mode) + 1) % len(MODES)])

    def blended(self, by: float) -> Over:
        """Return it with more or less of it seen."""
        return replace(self, blend=min(1.0, max(0.0, self.blend + by)))


@dataclass
class Side:
    """One series of one exam, and where the eye is in it; `shape` is the series in space, once it was asked for."""

    reel: Reel
    exam: Mapping[str, Any] = field(default_factory=dict)
    look: Look = field(default_factory=Look)
    shape: Mapping[str, Any] | None = None
    at: Point | None = None
    angle: float = 0.0
    moment: int = -1
    over: Over | None = None

    @property
    def series_uid(self) -> str:
        """The series under the eye."""
        return str(self.reel.now["uid"]) if self.reel.series else ""

    @property
    def title(self) -> str:
        """What the series is called, in few words."""
        if not self.reel.series:
            return ""
        now = self.reel.now
        return named(now)

    @property
    def moments(self) -> int:
        """How many moments the volume has, gates or time frames."""
        return max(1, len(self.shape["moments"])) if self.shape else 1

    def forget_place(self) -> None:
        """Another series is looked at: its place in the patient is not known yet."""
        self.shape, self.at, self.moment, self.over = None, None, -1, None

    def lie(self, shape: Mapping[str, Any], at: Point | None = None) -> None:
        """Take in how the series lies in the patient; the eye goes to `at` where that is inside, else to its middle."""
        self.shape = shape
        low, high = box(shape)
        inside = at is not None and all(a <= x <= b for a, x, b in zip(low, at, high, strict=True))
        self.at = at if inside else _point([(a + b) / 2 for a, b in zip(low, high, strict=True)])

    # -- what is asked -----------------------------------------------------------------------------------------------

    def question(self, kind: str, size: Size) -> Question | None:
        """Return what the service is asked for this kind of picture; None while there is nothing to ask."""
        if not all(size):
            return None
        if kind == FRAMES:
            return self._frames(size)
        if self.shape is None or self.at is None:
            return None
        where = {"angle": self.angle} if kind == MIP else {"at": ",".join(f"{value:.3f}" for value in self.at)}
        over = self.over.query() if self.over else {}
        query = {**self.look.query(size), "plane": kind, **where, "moment": self.moment, **over}
        return Question.of(f"volumes/{self.series_uid}/picture", **query)

    def _frames(self, size: Size) -> Question | None:
        """Return the question for the frame, or for a page of the grid: slices of single files are a volume's."""
        spot, grid = self.reel.spot, self.look.grid
        if spot is None or grid == 1 or spot.frames > 1 or len(self.reel.spots) == 1:
            return self.look.frame(spot, size) if spot else None
        first = self.reel.place - self.reel.place % grid
        shown = {"plane": "native", "slice": first, "grid": min(grid, len(self.reel.spots) - first)}
        return Question.of(f"volumes/{self.series_uid}/picture", labelled=True, **self.look.query(size), **shown)

    def coming(self, kind: str, size: Size, count: int, plane: str) -> list[Question]:
        """Return the questions the next steps of a cine will ask."""
        here, found = (self.at, self.angle, self.moment, self.reel.place), []
        for _ahead in range(count):
            self.play(plane)
            if question := self.question(kind, size):
                found.append(question)
        self.at, self.angle, self.moment, self.reel.place = here
        return found

    # -- going through -----------------------------------------------------------------------------------------------

    def step(self, kind: str, by: int, *, round_about: bool = False) -> None:
        """Go on by so many pictures: frames, slices of the plane, or steps of the turn."""
        if kind == FRAMES:
            self.reel.step(by * self.look.grid, round_about=round_about)
        elif kind == MIP:
            self.angle = (self.angle + by * _TURN) % _FULL_TURN
        elif self.shape is not None and self.at is not None:
            thick = float(self.shape["planes"][kind]["step_mm"])
            self.move([by * thick * along for along in _NORMALS[kind]], round_about=round_about)

    def play(self, kind: str) -> None:
        """Go on by one picture of a cine: the next moment where there are several, else the next picture."""
        if kind in PLANES and self.moments > 1:
            self.moment = (self.moment + 1) % self.moments
        else:
            self.step(kind, 1, round_about=True)

    def move(self, by_mm: Sequence[float], *, round_about: bool = False) -> None:
        """Go to another place in the patient, inside the volume."""
        if self.shape is None or self.at is None:
            return
        place = []
        for low, high, value, by in zip(*box(self.shape), self.at, by_mm, strict=True):
            gone = value + by
            beyond = gone > high + _HAIR or gone < low - _HAIR
            if by and round_about and beyond:
                gone = low if by > 0 else high
            place.append(min(high, max(low, gone)))
        self.at = _point(place)

    def edge(self, kind: str, end: int) -> None:
        """Go to the first (0) or the last (1) picture."""
        if kind == FRAMES:
            self.reel.step((1 if end else -1) * len(self.reel.spots))
        elif kind == MIP:
            self.angle = 0.0
        elif self.shape is not None and self.at is not None:
            far = box(self.shape)[end]
            self.at = _point([b if n else a for a, b, n in zip(self.at, far, _NORMALS[kind], strict=True)])


_HAIR = 1e-3  # mm


def named(series: Mapping[str, Any]) -> str:
    """Return what a series is called: its step and its description, or what made it."""
    step, description = str(series["step"]), str(series["description"] or series["modality"])
    return description if step.casefold() in description.casefold() else f"{step} {description}"


def box(shape: Mapping[str, Any]) -> tuple[Point, Point]:
    """Return the lowest and the highest patient coordinates of the middles of a volume's voxels."""
    slices, rows, columns = shape["grid"][-3:]
    ends = [0.0, columns - 1.0], [0.0, rows - 1.0], [0.0, slices - 1.0]
    corners = [_times(shape["affine"], (i, j, k)) for i in ends[0] for j in ends[1] for k in ends[2]]
    return _point([min(axis) for axis in zip(*corners, strict=True)]), _point(
        [max(axis) for axis in zip(*corners, strict=True)]
    )


def _times(affine: Sequence[Sequence[float]], index: Sequence[float]) -> list[float]:
    return [sum(a * b for a, b in zip(row[:3], index, strict=True)) + row[3] for row in affine[:3]]


def _point(values: Sequence[float]) -> Point:
    x, y, z = values
    return float(x), float(y), float(z)
