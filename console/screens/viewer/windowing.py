"""How pictures look: window, scale, colours, zoom, and what lies over them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from console.screens.dialogs import AskText, Choose
from console.screens.viewer.moving import Moving
from console.screens.window_keys import WindowKeys
from console.widgets.picture import Picture
from console.widgets.reel import Look, Window
from console.widgets.sides import FRAMES, Over, Side, named
from console.words import _

_CELLS_A_WIDTH = 60  # of mouse travel move the window by its width
_BLEND = 0.1


class Windowing(WindowKeys, Moving):
    """Colours and zoom are those of all sides that go together; a window is that of one series, unless shared."""

    def _change(self, change: Callable[[Look], Look], *, every: bool = False) -> None:
        for side in self.moved_sides if every else [self.side]:
            side.look = change(side.look)
        self.go()

    def action_map(self) -> None:
        """Use the next colour map."""
        self._change(Look.with_map_after, every=True)

    def action_invert(self) -> None:
        """Turn dark and bright round."""
        self._change(lambda look: replace(look, invert=not look.invert), every=True)

    def action_grid(self) -> None:
        """Show more frames at once, then one again."""
        if self.layout_kind == FRAMES:
            self._change(Look.with_grid_after, every=True)

    def action_zoom_in(self) -> None:
        """Look nearer."""
        self._change(lambda look: look.zoomed(math.sqrt(2)), every=True)

    def action_zoom_out(self) -> None:
        """Look from farther away."""
        self._change(lambda look: look.zoomed(1 / math.sqrt(2)), every=True)

    def action_pan_left(self) -> None:
        """Look more to the left."""
        self._pan(0, -1)

    def action_pan_right(self) -> None:
        """Look more to the right."""
        self._pan(0, 1)

    def action_pan_up(self) -> None:
        """Look higher."""
        self._pan(-1, 0)

    def action_pan_down(self) -> None:
        """Look lower."""
        self._pan(1, 0)

    def _pan(self, down: int, right: int) -> None:
        """In a plane the place goes there; elsewhere what is seen of a picture does."""
        place = self.pane.numbers.get("place")
        if not place or place.get("cross") is None:
            self._change(lambda look: look.panned(down, right), every=True)
            return
        pixel = {"down": place["down_mm"], "across": place["across_mm"]}
        axis, by = ("down", down) if down else ("across", right)
        length = math.hypot(*place[axis]) or 1.0
        move = [by * pixel[axis] * part / length for part in place[axis]]
        for side in self.moved_sides:
            side.move(move)
        self.go()

    # -- the window --------------------------------------------------------------------------------------------------

    def on_picture_dragged(self, message: Picture.Dragged) -> None:
        """Dragging sideways widens the window, dragging up or down moves it."""
        message.stop()
        if not self.points_mean_more:
            wider, higher = message.right / _CELLS_A_WIDTH, message.down / _CELLS_A_WIDTH * 2
            self._move_window(higher - wider / 2, higher + wider / 2)

    @property
    def points_mean_more(self) -> bool:
        """Whether the mouse does something else than moving the window."""
        return self.layout_kind != FRAMES

    def _move_window(self, lower: float, upper: float) -> None:
        if now := self._window():
            self._change(lambda look: look.windowed(now, lower, upper))

    def _window(self) -> Window | None:
        numbers = self.pane.numbers
        if self.side.look.window or not numbers:
            return self.side.look.window
        return numbers["window"]["lower"], numbers["window"]["upper"]

    def action_auto_window(self) -> None:
        """Let each picture choose its window again."""
        self._change(lambda look: replace(look, window=None, scale="own"))

    def action_scale(self) -> None:
        """One window for the series, the same for both sides, or each picture its own."""
        look, window = self.side.look, self._window()
        shared = len(self.sides) > 1 and all(side.look.window == look.window for side in self.sides)
        if look.window is None and look.scale == "own":
            self._change(lambda one: replace(one, scale="series"), every=True)
        elif len(self.sides) > 1 and window and not (look.window and shared):
            for side in self.sides:
                side.look = side.look.with_window(window)
            self.go()
            self.notify(_("Both sides have the window of this one now."))
        else:
            self._change(lambda one: replace(one, window=None, scale="own"), every=True)

    def action_window(self) -> None:
        """Type the window."""
        if now := self._window():
            text = _("Lower and upper end, or centre and width as C/W")
            self.app.push_screen(AskText(_("Window"), text, value=f"{now[0]:g} {now[1]:g}"), self._typed)

    def _typed(self, text: str | None) -> None:
        if text is None:
            return
        try:
            window = read_window(text)
        except ValueError as error:
            self.notify(str(error), severity="warning", markup=False)
        else:
            self._change(lambda look: look.with_window(window))

    # -- one series over another -------------------------------------------------------------------------------------

    def action_over(self) -> None:
        """Lay another series over this one, or take it away."""
        if self.layout_kind == FRAMES:
            self.notify(_("A series is laid over another in planes: 3 shows them."), severity="warning")
        elif self.side.over is not None:
            self.side.over = None
            self.go()
        elif len(self.sides) > 1:
            self._lay_over(self.sides[1 - self.pane.side])
        else:
            self.ask(self._comparable, self._choose_over, only_last="over")

    def _choose_over(self, found: list[tuple[dict[str, object], list[dict[str, object]]]]) -> None:
        titles: dict[str, str] = {}
        options = []
        for exam, series in found:
            for one in series:
                uid = str(one["uid"])
                titles[uid] = named(one)
                if uid != self.side.series_uid:
                    options.append((uid, f"{one['modality']} {titles[uid]}", str(exam.get("accession", ""))))
        if not options:
            self.notify(_("This patient has no other series to lay over this one."), severity="warning")
            return

        def lay(uid: str | None) -> None:
            if uid:
                self.side.over = Over(uid, titles[uid])
                self.go()

        self.app.push_screen(Choose(_("Lay over it"), options), lay)

    def _lay_over(self, other: Side) -> None:
        self.side.over = Over(other.series_uid, other.title, window=other.look.window)
        self.go()

    def action_over_mode(self) -> None:
        """Blend them, show them in turns as on a checkerboard, or fused."""
        self._change_over(Over.with_mode_after)

    def action_over_map(self) -> None:
        """Give what lies over it the next colour map."""
        self._change_over(Over.with_map_after)

    def action_over_more(self) -> None:
        """Show more of what lies over it."""
        self._change_over(lambda over: over.blended(_BLEND))

    def action_over_less(self) -> None:
        """Show less of what lies over it."""
        self._change_over(lambda over: over.blended(-_BLEND))

    def _change_over(self, change: Callable[[Over], Over]) -> None:
        if self.side.over is not None:
            self.side.over = change(self.side.over)
            self.go()


def read_window(text: str) -> Window:
    """Read `lower upper`, or `centre/width`.

    Raises
    ------
    ValueError
        When it is neither, or empty; the text is fit for a person.
    """
    said = _("'{text}' is no window: write two numbers, the upper one greater").format(text=text)
    try:
        first, second = (float(part) for part in text.replace(",", " ").split("/" if "/" in text else None))
    except ValueError as error:
        raise ValueError(said) from error
    lower, upper = (first - second / 2, first + second / 2) if "/" in text else (first, second)
    if not (math.isfinite(lower) and math.isfinite(upper) and lower < upper):
        raise ValueError(said)
    return lower, upper
