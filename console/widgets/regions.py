"""Regions of interest as they are drawn: in pixels of the frame, moved, sized, and traced into a picture.

A point is (row, column), counted from the upper left corner of the upper left pixel. Nothing is counted here: the
service measures, from the same points.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from console.widgets.marks import Mark

Point = tuple[float, float]
RECTANGLE, ELLIPSE, POLYGON, LINE = "rectangle", "ellipse", "polygon", "line"
BOXES = (RECTANGLE, ELLIPSE)
_AROUND = 48  # corners an ellipse is traced with
_LEAST = 1.0  # pixel


@dataclass(frozen=True)
class Region:
    """One region; a rectangle and an ellipse have two opposite corners, a polygon its corners, a line its points."""

    name: str
    shape: str
    points: tuple[Point, ...]

    @classmethod
    def of(cls, wire: Mapping[str, Any]) -> Region:
        """Take in a region as `as_wire` says it."""
        return cls(wire["name"], wire["shape"], tuple((float(row), float(column)) for row, column in wire["points"]))

    def as_wire(self) -> dict[str, Any]:
        """Return it as the service takes it."""
        return {
            "name": self.name,
            "shape": self.shape,
            "points": [[round(row, 3), round(column, 3)] for row, column in self.points],
        }

    @property
    def complete(self) -> bool:
        """Whether there is something to measure."""
        return len(self.points) >= (3 if self.shape == POLYGON else 2)

    def moved(self, down: float, right: float) -> Region:
        """Return it elsewhere."""
        return replace(self, points=tuple((row + down, column + right) for row, column in self.points))

    def sized(self, taller: float, wider: float) -> Region:
        """Return it larger or smaller about its middle, never smaller than a pixel."""
        (top, left), (bottom, right) = self.box
        grown = []
        for low, high, more in ((top, bottom, taller), (left, right, wider)):
            old = max(high - low, 1e-9)
            grown.append((max(old + more, min(_LEAST, old)) / old, (low + high) / 2))
        points = [
            tuple(middle + (value - middle) * by for value, (by, middle) in zip(point, grown, strict=True))
            for point in self.points
        ]
        return replace(self, points=tuple((row, column) for row, column in points))

    @property
    def box(self) -> tuple[Point, Point]:
        """The upper left and the lower right corner around it."""
        rows, columns = zip(*self.points, strict=True)
        return (min(rows), min(columns)), (max(rows), max(columns))

    def holds(self, point: Point) -> bool:
        """Whether a point lies in the box around it."""
        low, high = self.box
        return all(a <= value <= b for a, value, b in zip(low, point, high, strict=True))

    def corners(self) -> list[Point]:
        """Return the points its outline goes through; the first again at the end where it is closed."""
        if self.shape == LINE:
            return list(self.points)
        if self.shape == POLYGON:
            return [*self.points, self.points[0]]
        (top, left), (bottom, right) = self.box
        if self.shape == RECTANGLE:
            return [(top, left), (top, right), (bottom, right), (bottom, left), (top, left)]
        middle, half = ((top + bottom) / 2, (left + right) / 2), ((bottom - top) / 2, (right - left) / 2)
        turns = (2 * math.pi * number / _AROUND for number in range(_AROUND + 1))
        return [(middle[0] + half[0] * math.sin(turn), middle[1] + half[1] * math.cos(turn)) for turn in turns]


@dataclass(frozen=True)
class Shown:
    """The part of a frame a tile shows: picture and frame coordinates, one into the other."""

    top: float
    left: float
    height: float
    width: float
    part: tuple[float, float, float, float]  # top, left, height, width in pixels of the frame
    frame: int = 0

    @classmethod
    def of(cls, tile: Mapping[str, Any]) -> Shown:
        """Take in a tile as the service tells it."""
        top, left, height, width = (float(value) for value in tile["part"])
        return cls(tile["top"], tile["left"], tile["height"], tile["width"], (top, left, height, width), tile["frame"])

    def frame_point(self, y: float, x: float) -> Point:
        """Return the point of the frame a picture point shows, kept inside the part that is shown."""
        top, left, height, width = self.part
        down, right = (y - self.top) / self.height, (x - self.left) / self.width
        return top + min(1.0, max(0.0, down)) * height, left + min(1.0, max(0.0, right)) * width

    def picture_point(self, point: Point) -> tuple[float, float]:
        """Return where in the picture a point of the frame stands."""
        top, left, height, width = self.part
        return (
            self.top + (point[0] - top) / height * self.height,
            self.left + (point[1] - left) / width * self.width,
        )

    def holds(self, y: float, x: float) -> bool:
        """Whether a picture point is on this tile."""
        return self.top <= y < self.top + self.height and self.left <= x < self.left + self.width

    @property
    def step(self) -> float:
        """How far a key moves: a column of the picture, at least a pixel of the frame where these are smaller."""
        return max(0.5, self.part[3] / self.width)

    def trace(self, points: Sequence[Point], tone: str) -> Iterator[Mark]:
        """Return the half cells a line through these points touches, inside the tile."""
        seen = [self.picture_point(point) for point in points]
        for start, end in zip(seen, seen[1:] or seen, strict=False):
            for y, x in _walk(start, end):
                if self.holds(y, x):
                    yield Mark(y, x, tone)


def _walk(start: tuple[float, float], end: tuple[float, float]) -> Iterator[tuple[int, int]]:
    steps = max(1, math.ceil(max(abs(end[0] - start[0]), abs(end[1] - start[1])) * 2))
    if steps > 20_000:  # noqa: PLR2004 - it leaves the picture by far
        return
    for step in range(steps + 1):
        y, x = (a + (b - a) * step / steps for a, b in zip(start, end, strict=True))
        yield math.floor(y), math.floor(x)


@dataclass
class Pencil:
    """A region under the hand: a box is moved and sized, of a polygon and a line a cursor puts the points."""

    region: Region
    cursor: Point
    new: bool  # leaving it throws it away

    def move(self, down: float, right: float) -> None:
        """Move the box, or the cursor."""
        if self.region.shape in BOXES:
            self.region = self.region.moved(down, right)
        self.cursor = (self.cursor[0] + down, self.cursor[1] + right)

    def size(self, taller: float, wider: float) -> None:
        """Make the box larger or smaller."""
        if self.region.shape in BOXES or self.region.complete:
            self.region = self.region.sized(taller, wider)

    def put(self) -> None:
        """Put a point where the cursor is."""
        if self.region.shape not in BOXES and self.region.points[-1:] != (self.cursor,):
            self.region = replace(self.region, points=(*self.region.points, self.cursor))

    def take_back(self) -> None:
        """Take the last point away."""
        if self.region.shape not in BOXES and self.region.points:
            self.region = replace(self.region, points=self.region.points[:-1])

    def drag(self, phase: str, point: Point) -> None:
        """Follow the mouse: a box from corner to corner, a line from end to end, a polygon all along."""
        self.cursor = point
        if phase == "down":
            self.region = replace(self.region, points=(point,) if self.region.shape == POLYGON else (point, point))
        elif self.region.shape == POLYGON:
            self.put()
        elif self.region.points:
            self.region = replace(self.region, points=(self.region.points[0], point))

    def traced(self, shown: Shown) -> Iterator[Mark]:
        """Return the half cells it covers, with its cursor."""
        if self.region.points:
            open_ended = self.region.shape not in BOXES and self.new
            points = [*self.region.points, self.cursor] if open_ended else self.region.corners()
            yield from shown.trace(points, "chosen")
        if self.region.shape not in BOXES:
            yield from shown.trace([self.cursor], "cursor")


def begun(name: str, shape: str, shown: Shown) -> Pencil:
    """Begin a region in the middle of what is shown; a box has a quarter of its height and width."""
    top, left, height, width = shown.part
    middle = (top + height / 2, left + width / 2)
    points: tuple[Point, ...] = ()
    if shape in BOXES:
        half = (height / 8, width / 8)
        points = ((middle[0] - half[0], middle[1] - half[1]), (middle[0] + half[0], middle[1] + half[1]))
    return Pencil(Region(name, shape, points), middle, new=True)


def placed(pencil: Pencil, shown: Shown) -> Pencil:
    """Begin the region where its cursor is: a box of the usual size about it, or a first point there."""
    if pencil.region.shape not in BOXES:
        return replace(pencil, region=replace(pencil.region, points=(pencil.cursor,)))
    fresh = begun(pencil.region.name, pencil.region.shape, shown)
    down, right = (to - at for to, at in zip(pencil.cursor, fresh.cursor, strict=True))
    fresh.move(down, right)
    return fresh
