"""Going through what is on the light table: frames, series, slices, the turn of a projection; and cine."""

from __future__ import annotations

from time import monotonic

from rich.text import Text
from textual.timer import Timer

from console.client import ServiceRefused
from console.desk import Desk
from console.screens.dialogs import Choose
from console.screens.viewer.light_table import ALL_PLANES, LightTable
from console.screens.viewer.told import line, moment
from console.widgets.paged_list import Item
from console.widgets.picture import Picture
from console.widgets.reel import Reel
from console.widgets.sides import FRAMES, MIP, Side, named
from console.words import _

RATES = (1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 16.0)
_AHEAD = 3


class Moving(LightTable):
    """Linked sides go together; cine waits for pictures, it never skips them."""

    def __init__(self, desk: Desk, accession: str = "", *, study: str = "") -> None:
        super().__init__(desk, accession, study=study)
        self._cine: Timer | None = None
        self._rate = 3
        self._ticks: list[float] = []

    # -- pictures ----------------------------------------------------------------------------------------------------

    def action_next_frame(self) -> None:
        """Go to the next frame, page of the grid, slice, or angle."""
        self._step(1)

    def action_previous_frame(self) -> None:
        """Go back."""
        self._step(-1)

    def _step(self, by: int) -> None:
        for side in self.moved_sides:
            side.step(self.pane.kind, by)
        self._ahead = 1  # the next is likely to be wanted too
        self.go()
        self._ahead = 0

    def action_first_frame(self) -> None:
        """Go to the first."""
        self._edge(0)

    def action_last_frame(self) -> None:
        """Go to the last."""
        self._edge(1)

    def _edge(self, end: int) -> None:
        for side in self.moved_sides:
            side.edge(self.pane.kind, end)
        self.go()

    def on_picture_wheeled(self, message: Picture.Wheeled) -> None:
        """The wheel goes through pictures."""
        message.stop()
        self.activate(message.picture)
        self._step(message.steps)

    # -- moments -----------------------------------------------------------------------------------------------------

    def action_next_moment(self) -> None:
        """Show the next gate or time of a volume, then all of them together."""
        for side in self.moved_sides:
            side.moment = side.moment + 1 if side.moment + 1 < side.moments else -1
        self.go()

    # -- series ------------------------------------------------------------------------------------------------------

    def action_next_series(self) -> None:
        """Go to the next series."""
        self._change_series(1)

    def action_previous_series(self) -> None:
        """Go to the series before."""
        self._change_series(-1)

    def _change_series(self, by: int) -> None:
        if self.side.reel.change(by):
            self.halt()
            self.another_series(self.side)

    def another_series(self, side: Side) -> None:
        """Another series stands on this side: its window and its place are its own."""
        side.look = side.look.with_window(None)
        side.forget_place()
        self.usual_grid(side)
        if self.layout_kind == FRAMES:
            self.go()
        else:
            self.lay_in_space()

    # -- layouts -----------------------------------------------------------------------------------------------------

    def action_view_frames(self) -> None:
        """Show frames as they were sent."""
        self._lay(FRAMES)

    def action_view_planes(self) -> None:
        """Show three planes through one place, and the turning projection."""
        self._lay(ALL_PLANES)

    def action_view_mip(self) -> None:
        """Show the projection of the brightest."""
        self._lay(MIP)

    def _lay(self, layout: str) -> None:
        self.halt()
        if layout == FRAMES:
            self.put(FRAMES)
        else:
            self.lay_in_space(layout)

    def put(self, layout: str) -> None:
        """Change the layout."""
        self.layout_kind, self._active = layout, 0
        self.lay_out()
        self.go()

    def lay_in_space(self, layout: str = "") -> None:
        """Ask how the series lie in the patient, then show them so; what is no volume says why."""
        layout, missing = layout or self.layout_kind, [side for side in self.sides if side.shape is None]
        uids = [side.series_uid for side in missing]

        def laid(shapes: list[Item]) -> None:
            for side, uid, shape in zip(missing, uids, shapes, strict=True):
                if side.series_uid == uid:
                    others = [other.at for other in self.sides if _same_space(other, shape)]
                    side.lie(shape, others[0] if others else None)
            if all(side.shape for side in self.sides):
                for side in self.sides:  # planes of one volume are compared with each other
                    side.look = side.look.with_scale("series")
                self.put(layout)

        self.ask(
            lambda: [self.desk.client.get(f"volumes/{uid}") for uid in uids], laid,
            otherwise=self._no_volume, only_last="space",
        )  # fmt: skip

    def _no_volume(self, refused: Exception) -> None:
        self.notify(str(refused), severity="warning", timeout=10, markup=False)
        if self.layout_kind != FRAMES:
            self.put(FRAMES)

    def action_other_picture(self) -> None:
        """Work on the next picture."""
        panes = self.panes
        self.activate(panes[(panes.index(self.pane) + 1) % len(panes)])

    # -- side by side ------------------------------------------------------------------------------------------------

    def action_view_beside(self) -> None:
        """Put another series beside this one; or take it away again."""
        self.halt()
        if len(self.sides) > 1:
            self.sides = [self.side]
            self._panes[0].side = 0
            self.put(self.layout_kind)
        else:
            self.ask(self._comparable, self._choose_beside, only_last="beside")

    def _comparable(self) -> list[tuple[Item, list[Item]]]:
        """Read the exams of the patient and their series, this exam first."""
        client, exam = self.desk.client, self.sides[0].exam
        here = [(dict(exam), [dict(one) for one in self.sides[0].reel.series])]
        if not exam:
            return here
        try:
            others = client.get(f"patients/{exam['patient_number']}")["exams"]
        except ServiceRefused:  # one's own cases alone may be seen
            return here
        for accession in (one for one in others if one != exam["accession"]):
            other = client.get(f"exams/{accession}")
            if other["images"]["received"] or other["images"]["uncounted"]:
                here.append((other, client.get(f"exams/{accession}/series")))
        return here

    def _choose_beside(self, found: list[tuple[Item, list[Item]]]) -> None:
        options, here = [], self.side.series_uid
        for number, (exam, series) in enumerate(found):
            for one in series:
                if one["uid"] != here:
                    said = f"{one['modality']} {named(one)}"
                    when = f"{moment(one['date'])[:10]} {exam.get('accession', '')}"
                    options.append((f"{number} {one['uid']}", said, when))
        if not options:
            self.notify(_("This patient has no other series to compare with."), severity="warning")
            return

        def put(chosen: str | None) -> None:
            if chosen:
                number, _space, uid = chosen.partition(" ")
                self._put_beside(*found[int(number)], uid)

        self.app.push_screen(Choose(_("Compare with"), options), put)

    def _put_beside(self, exam: Item, series: list[Item], uid: str) -> None:
        this = self.side
        other = Side(Reel(series), exam, this.look.with_window(None))
        other.reel.choose(uid)
        other.reel.step(this.reel.place)
        self.sides = [this, other]
        if self.layout_kind == FRAMES:
            self.put(FRAMES)
        else:
            self.lay_in_space()

    def action_link(self) -> None:
        """Let both sides go together, or each by itself: what is set apart meanwhile stays apart."""
        self.linked = not self.linked
        self.told()

    # -- cine --------------------------------------------------------------------------------------------------------

    def action_cine(self) -> None:
        """Start or stop."""
        if self._cine is not None:
            self.halt()
            self.go()
        elif self._plays():
            for side in self.moved_sides:  # frames that follow each other want one window
                if side.look.window is None:
                    side.look = side.look.with_scale("series")
            self._start_cine()

    def _plays(self) -> bool:
        kind, reel = self.pane.kind, self.side.reel
        return kind != FRAMES or len(reel.spots) > self.side.look.grid

    def _start_cine(self) -> None:
        self.halt()
        self._ticks, self._ahead = [], _AHEAD
        self._cine = self.set_interval(1 / RATES[self._rate], self._tick)
        self.go()

    def halt(self) -> None:
        """Stop the cine."""
        self._ahead = 0
        if self._cine is not None:
            self._cine.stop()
            self._cine = None
            self.told()

    def _tick(self) -> None:
        """Go on once everything wanted is on the screen."""
        if self.is_current and self.settled:
            self._ticks = [*self._ticks[-9:], monotonic()]
            for side in self.moved_sides:
                side.play(self.pane.kind)
            self.go()

    def action_faster(self) -> None:
        """More pictures a second."""
        self._set_rate(1)

    def action_slower(self) -> None:
        """Fewer pictures a second."""
        self._set_rate(-1)

    def _set_rate(self, by: int) -> None:
        self._rate = min(max(0, self._rate + by), len(RATES) - 1)
        if self._cine is not None:
            self._start_cine()
        self.told()

    def about(self) -> Text:
        """Say how fast it runs too, and whether both sides go together."""
        text = super().about()
        line(text, _("Cine"), self._cine_words())
        if len(self.sides) > 1:
            line(text, _("Sides"), _("go together") if self.linked else _("each by itself"))
        return text

    def _cine_words(self) -> str:
        rate = _("{rate}/s").format(rate=f"{RATES[self._rate]:g}")
        if self._cine is None:
            return _("off ({rate})").format(rate=rate)
        if len(self._ticks) < 3:  # noqa: PLR2004 - two give no rate
            return rate
        real = (len(self._ticks) - 1) / max(1e-6, self._ticks[-1] - self._ticks[0])
        return _("{rate} (reached {real})").format(rate=rate, real=f"{real:.1f}")

    def on_screen_suspend(self) -> None:
        """Nothing runs on a page nobody sees."""
        self.halt()

    def on_unmount(self) -> None:
        """As above."""
        if self._cine is not None:
            self._cine.stop()


def _same_space(side: Side, shape: Item) -> bool:
    """Whether a side lies in the same frame of reference, so that a place in one is the same in the other."""
    known = side.shape["frame_of_reference"] if side.shape else ""
    return bool(known) and known == shape["frame_of_reference"]
