"""What the viewer goes through: series, their objects, their frames; and the pictures it keeps of them."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from textual.strip import Strip

from console.widgets.picture import Drawn

MAPS = ("gray", "inverted_gray", "hot_iron", "hot_metal_blue", "rainbow", "pet")
GRIDS = (1, 4, 9, 16, 25, 36)
_DEEPEST_ZOOM = 16.0
_KEPT = 160
_PAINTED = 12  # a painted picture is thousands of objects: many of them make each collection of garbage a pause

Window = tuple[float, float]
Size = tuple[int, int]  # rows and columns of cells


@dataclass(frozen=True)
class Spot:
    """One frame of one object."""

    uid: str
    frame: int
    frames: int  # of the object


@dataclass(frozen=True)
class Question:
    """What the service is asked for one picture; `labelled` when each tile is to be named in its corner."""

    path: str
    query: tuple[tuple[str, Any], ...]
    labelled: bool = False

    @classmethod
    def of(cls, path: str, *, labelled: bool = False, **query: Any) -> Question:  # noqa: ANN401 - what a query holds
        """Return the question; what is None is not asked."""
        return cls(path, tuple((key, value) for key, value in query.items() if value is not None), labelled)


@dataclass(frozen=True)
class Look:
    """How a series is looked at; `window` is None while the service chooses it, by `scale` for one or all pictures."""

    map: str = MAPS[0]
    invert: bool = False
    window: Window | None = None
    scale: str = "own"
    grid: int = 1
    zoom: float = 1.0
    centre: tuple[float, float] = (0.5, 0.5)  # row, column

    def query(self, size: Size) -> dict[str, Any]:
        """Return what the service is asked whatever is looked at."""
        lower, upper = self.window or (None, None)
        return {
            "rows": size[0], "columns": size[1], "map": self.map, "invert": self.invert, "lower": lower, "upper": upper,
            "scale": self.scale, "zoom": self.zoom, "centre_row": self.centre[0], "centre_column": self.centre[1],
        }  # fmt: skip

    def frame(self, spot: Spot, size: Size) -> Question:
        """Return the question for a frame, or for those of the page of the grid it is on."""
        first = spot.frame - spot.frame % self.grid
        shown = {"frame": first, "grid": min(self.grid, spot.frames - first)}
        return Question.of(f"images/{spot.uid}/picture", labelled=self.grid > 1, **self.query(size), **shown)

    def with_window(self, window: Window | None) -> Look:
        """Return the look with this window, or with the one the service chooses."""
        return replace(self, window=window)

    def with_scale(self, scale: str) -> Look:
        """Return the look with a window of its own for each picture, or one for the series."""
        return replace(self, scale=scale)

    def with_map_after(self) -> Look:
        """Return the look with the next colour map."""
        return replace(self, map=MAPS[(MAPS.index(self.map) + 1) % len(MAPS)])

    def with_grid_after(self) -> Look:
        """Return the look with the next size of grid."""
        return replace(self, grid=GRIDS[(GRIDS.index(self.grid) + 1) % len(GRIDS)])

    def zoomed(self, factor: float) -> Look:
        """Return the look nearer or farther."""
        zoom = min(_DEEPEST_ZOOM, max(1.0, self.zoom * factor))
        return replace(self, zoom=zoom, centre=self.centre if zoom > 1 else (0.5, 0.5))

    def panned(self, down: int, right: int) -> Look:
        """Return the look moved by a quarter of what is seen."""
        row, column = (middle + step / (4 * self.zoom) for middle, step in zip(self.centre, (down, right), strict=True))
        return replace(self, centre=(min(1.0, max(0.0, row)), min(1.0, max(0.0, column))))

    def windowed(self, now: Window, lower: float, upper: float) -> Look:
        """Return the look with both ends of `now` moved by fractions of its width; they never meet."""
        width = now[1] - now[0]
        low, high = now[0] + lower * width, now[1] + upper * width
        return replace(self, window=(low, max(high, low + max(width * 0.02, 1e-6))))


class Reel:
    """Where the viewer stands among series and frames."""

    def __init__(self, series: Sequence[Mapping[str, Any]]) -> None:
        self._begin(series)

    def _begin(self, series: Sequence[Mapping[str, Any]]) -> None:
        self.series = [one for one in series if _spots(one)]
        self.number = 0
        self.place = 0
        self.spots = _spots(self.series[0]) if self.series else []

    @property
    def spot(self) -> Spot | None:
        """The frame under the eye; None where there is nothing to see."""
        return self.spots[self.place] if self.spots else None

    @property
    def now(self) -> Mapping[str, Any]:
        """The series under the eye."""
        return self.series[self.number]

    def step(self, by: int, *, round_about: bool = False) -> bool:
        """Go on by so many frames, back to the first after the last when `round_about`; False at the end."""
        place = self.place + by
        place = place % max(1, len(self.spots)) if round_about else min(max(0, place), len(self.spots) - 1)
        moved, self.place = place != self.place, place
        return moved

    def change(self, by: int) -> bool:
        """Go to another series; False at the end."""
        number = min(max(0, self.number + by), len(self.series) - 1)
        if number == self.number or not self.series:
            return False
        self.number, self.place, self.spots = number, 0, _spots(self.series[number])
        return True

    def choose(self, uid: str) -> None:
        """Go to the series of this UID."""
        for number, one in enumerate(self.series):
            if one["uid"] == uid:
                self.number, self.place, self.spots = number, 0, _spots(one)

    def refill(self, series: Sequence[Mapping[str, Any]]) -> None:
        """Take in series that came meanwhile; the eye stays where it is."""
        at = (self.series[self.number]["uid"], self.spot) if self.series else None
        self._begin(series)
        for number, one in enumerate(self.series):
            if at and one["uid"] == at[0]:
                self.number, self.spots = number, _spots(one)
                self.place = self.spots.index(at[1]) if at[1] in self.spots else 0


def _spots(series: Mapping[str, Any]) -> list[Spot]:
    return [
        Spot(one["uid"], frame, one["frames"]) for one in series["instances"] for frame in range(one["frames"] or 0)
    ]


@dataclass
class Shot:
    """A picture as it came, the numbers beside it, and its strips while they are fresh."""

    drawn: Drawn
    numbers: Mapping[str, Any]
    strips: list[Strip] | None


class Album:
    """The pictures asked for last, the least used leave first; only the newest stay painted."""

    def __init__(self, kept: int = _KEPT, painted: int = _PAINTED) -> None:
        self._shots: OrderedDict[Question, Shot] = OrderedDict()
        self._painted: deque[Shot] = deque()
        self._kept, self._most_painted = kept, painted

    def __contains__(self, question: Question) -> bool:
        return question in self._shots

    def get(self, question: Question) -> Shot | None:
        """Return the answer to this question, if it is here."""
        if question in self._shots:
            self._shots.move_to_end(question)
        return self._shots.get(question)

    def put(self, question: Question, shot: Shot) -> None:
        """Keep a picture."""
        self._shots[question] = shot
        self._painted.append(shot)
        if len(self._painted) > self._most_painted:
            self._painted.popleft().strips = None
        while len(self._shots) > self._kept:
            self._shots.popitem(last=False)


def identity_lines(exam: Mapping[str, Any], series: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """Return what the exam says and what the images say, and whether they differ: number, name, birth date, sex."""
    names = [exam["patient_name"], exam["patient_name_ideographic"]]
    sent = str(series["sent_patient_name"])
    born, sent_born = str(exam["patient_birth_date"] or ""), _day(str(series["sent_birth_date"]))
    pairs = [
        (str(exam["patient_number"]), str(series["sent_patient_number"])),
        ("  ".join(filter(None, (_plain(names[1], ""), _plain(names[0])))), _both_scripts(sent)),
        (born, sent_born),
        (str(exam["patient_sex"]), str(series["sent_sex"])),
    ]
    differ = [_bare(a) != _bare(b) for a, b in pairs]
    known, groups = {_bare(one) for one in names if one}, {_bare(one) for one in sent.split("=") if one}
    differ[1] = bool(known and groups) and not known & groups
    return [(a or "-", b or "-", other and bool(b)) for (a, b), other in zip(pairs, differ, strict=True)]


def _both_scripts(sent: str) -> str:
    """Write a DICOM person name as the registered one is written: the ideographs first."""
    groups = [group for group in sent.split("=") if group.strip("^ ")]
    ideographs = [_plain(group, "") for group in groups[1:2]]
    return "  ".join([*ideographs, *(_plain(group) for group in groups[:1])])


def _plain(name: str, between: str = " ") -> str:
    return between.join(name.replace("^", " ").split())


def _bare(text: str) -> str:
    return "".join(mark for mark in text.casefold() if mark.isalnum())


def _day(written: str) -> str:
    return f"{written[:4]}-{written[4:6]}-{written[6:8]}" if len(written) == len("YYYYMMDD") else written
