"""The steps of a processing as one goes through them: which step, which frame, and what is asked for its picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from console.widgets.reel import Look, Question, Size

Item = Mapping[str, Any]


class Steps:
    """Where the eye is among steps and their frames; it begins at the last step, which is the result."""

    def __init__(self, stages: Sequence[Item]) -> None:
        self._stages: list[Item] = []
        self.number = 0
        self.frame = 0
        self.refill(stages)

    @property
    def stage(self) -> Item | None:
        """The step under the eye; None while there is none."""
        return self._stages[self.number] if self._stages else None

    @property
    def former(self) -> Item | None:
        """The step before it."""
        return self._stages[self.number - 1] if self.number and self._stages else None

    @property
    def frames(self) -> int:
        """How many frames the step has."""
        return int(self.stage["frames"]) if self.stage else 0

    @property
    def moments(self) -> int:
        """How many moments of the heart's beat the step has; its frames are moments times slices."""
        return max(1, int(self.stage["moments"])) if self.stage else 1

    def refill(self, stages: Sequence[Item]) -> None:
        """Take in the steps there are now; the eye stays on the step of the same name, and on its frame."""
        name, known = (self.stage["name"], True) if self.stage else ("", False)
        self._stages = list(stages)
        names = [one["name"] for one in self._stages]
        if known and name in names:
            self.number = names.index(name)
            self.frame = min(self.frame, max(0, self.frames - 1))
        elif names:
            self._see(len(names) - 1)

    def change(self, by: int) -> bool:
        """Go to another step; False at the end."""
        return self.go_to(min(max(0, self.number + by), len(self._stages) - 1))

    def go_to(self, number: int) -> bool:
        """Go to a step; False where it is, or where there is none."""
        if number == self.number or not 0 <= number < len(self._stages):
            return False
        self._see(number)
        return True

    def _see(self, number: int) -> None:
        """Go to a step: to the same frame where it has as many, else to where there is most to see."""
        before, self.number = self.frames, number
        begin = self._stages[number]["begin"]
        if self.frames != before or not self.frame:
            self.frame = self.frames // self.moments // 2 if begin is None else begin

    def step(self, by: int, *, round_about: bool = False) -> bool:
        """Go on by so many frames, back to the first after the last when `round_about`; False at the end."""
        last = max(0, self.frames - 1)
        frame = (self.frame + by) % (last + 1) if round_about else min(max(0, self.frame + by), last)
        moved, self.frame = frame != self.frame, frame
        return moved

    def next_moment(self) -> bool:
        """Go to the same slice a moment later, round about; False where nothing beats."""
        if self.moments > 1:
            self.frame = (self.frame + self.frames // self.moments) % self.frames
        return self.moments > 1

    def play(self, by: int) -> None:
        """Go on as cine does: through the beat where there is one, else through the frames."""
        if by > 1 or not self.next_moment():
            self.step(by, round_about=True)

    def coming(self, count: int, by: int) -> list[int]:
        """Return the frames that cine shows next."""
        stride = self.frames // self.moments if self.moments > 1 and by == 1 else by
        return [(self.frame + place * stride) % max(1, self.frames) for place in range(1, count + 1)]


def place(stage: Item, frame: int) -> str:
    """Return where a frame stands: slice of slices, and moment of moments where there are several."""
    moments = max(1, stage["moments"])
    each = max(1, stage["frames"] // moments)
    moment = f" ({frame // each + 1}/{moments})" if moments > 1 else ""
    return f"{frame % each + 1}/{each}{moment}"


def asked(processing: int, stage: Item, frame: int, look: Look, room: Size) -> Question:
    """Return the question for a frame of a step, or for those of the page of the grid it is on."""
    first = frame - frame % look.grid
    shown = {"frame": first, "grid": min(look.grid, stage["frames"] - first)}
    path = f"processing/{processing}/stages/{stage['name']}/picture"
    return Question.of(path, labelled=look.grid > 1, **look.query(room), **shown)
