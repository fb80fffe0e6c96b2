"""Regions on the pictures: drawn by keys and by mouse, measured by the service, followed through time.

While a region is under the hand the page's keys are those of the commands `region.*`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from rich.text import Text
from textual import events
from textual.timer import Timer

from console import commands
from console.desk import Desk
from console.screens.dialogs import AskText
from console.screens.viewer import told
from console.screens.viewer.windowing import Windowing
from console.widgets.lines import KeyLine
from console.widgets.marks import Mark
from console.widgets.pane import Pane
from console.widgets.picture import Picture
from console.widgets.regions import ELLIPSE, LINE, POLYGON, RECTANGLE, Pencil, Region, Shown, begun, placed
from console.widgets.sides import FRAMES, MIP, Side
from console.words import _

_REST = 0.2  # seconds without a change, then it is measured
_JUMP = 5
_HAND = "region"  # the page whose commands they are

Measure = tuple[str, dict[str, Any]]  # path and body


class Measuring(Windowing):
    """Regions belong to a series and a kind of picture; they are drawn and measured on each of its frames."""

    def __init__(self, desk: Desk, accession: str = "", *, study: str = "") -> None:
        super().__init__(desk, accession, study=study)
        self._regions: dict[tuple[str, str], list[Region]] = {}
        self._chosen = -1
        self._pencil: Pencil | None = None
        self._measured: list[dict[str, Any]] = []
        self._measured_of: list[Measure] = []
        self._pause: Timer | None = None
        self._kept: dict[str, Any] = {}
        hand = [one for one in commands.COMMANDS if one.page == _HAND]
        self._hand_keys = {key: one.action for one in hand for key in desk.keymap.key(one).split(",") if key}
        self._hand_line = KeyLine([one for one in hand if one.shown], desk.keymap)

    @property
    def regions(self) -> list[Region]:
        """The regions of the picture one works on."""
        return self._regions.setdefault(self._sheet(self.pane), [])

    def _sheet(self, pane: Pane) -> tuple[str, str]:
        return self.sides[pane.side].series_uid, pane.kind

    def tiles(self, pane: Pane) -> list[Shown]:
        """Return the parts of frames a picture shows."""
        return [Shown.of(tile) for tile in pane.numbers.get("tiles") or []]

    # -- kept from one sitting to the next ---------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Take up the regions this person drew here before; the table's own handler reads the series."""
        self.ask(partial(self.desk.client.get, self._draft), self._restore, otherwise=lambda _none: None)

    @property
    def _draft(self) -> str:
        return f"drafts/regions {self._accession or self._study}"[:71]

    def _restore(self, kept: dict[str, Any]) -> None:
        for sheet, regions in kept.items():
            uid, _space, kind = sheet.partition(" ")
            if not self._regions.get((uid, kind)):
                self._regions[uid, kind] = [Region.of(one) for one in regions]
        self._kept = self._sheets()
        self.draw()

    def _sheets(self) -> dict[str, Any]:
        kept = {f"{uid} {kind}": [one.as_wire() for one in sheet] for (uid, kind), sheet in self._regions.items()}
        return {sheet: regions for sheet, regions in kept.items() if regions}

    def _keep_sheets(self) -> None:
        if (sheets := self._sheets()) != self._kept:
            self._kept = sheets
            self.ask(partial(self.desk.client.put, self._draft, sheets), lambda _done: None, only_last="draft")

    def keep_drafts(self) -> None:
        """Keep the regions now: the terminal goes away."""
        if self._sheets() != self._kept:
            self.desk.client.put(self._draft, self._sheets())

    # -- beginning and ending ----------------------------------------------------------------------------------------

    def action_rectangle(self) -> None:
        """Draw a rectangle."""
        self._begin(RECTANGLE)

    def action_ellipse(self) -> None:
        """Draw an ellipse."""
        self._begin(ELLIPSE)

    def action_freehand(self) -> None:
        """Draw freely, from point to point."""
        self._begin(POLYGON)

    def action_distance(self) -> None:
        """Measure a distance."""
        self._begin(LINE)

    def _begin(self, shape: str) -> None:
        tiles = self.tiles(self.pane)
        if not tiles:
            return
        self.halt()
        self.leave_region()
        names = {region.name for region in self.regions}
        name = next(str(number) for number in range(1, len(names) + 2) if str(number) not in names)
        self._take_up(begun(name, shape, tiles[0]))

    def action_next_region(self) -> None:
        """Take up the next region."""
        self.leave_region()
        if regions := self.regions:
            self._pick((self._chosen + 1) % len(regions))

    def _pick(self, number: int) -> None:
        region = self.regions[number]
        self._chosen = number
        (top, left), (bottom, right) = region.box
        self._take_up(Pencil(region, ((top + bottom) / 2, (left + right) / 2), new=False))

    def _take_up(self, pencil: Pencil) -> None:
        self._pencil = pencil
        if pencil.new:
            self._chosen = len(self.regions)
        self._swap_keys(in_hand=True)
        self.draw()

    def leave_region(self) -> bool:
        """Let go of the region under the hand; a new one that is not finished is thrown away."""
        if self._pencil is None:
            return False
        self._pencil = None
        self._chosen = min(self._chosen, len(self.regions) - 1)
        self._swap_keys(in_hand=False)
        self._keep_sheets()
        self.draw()
        return True

    def action_finish(self) -> None:
        """The region is as it should be."""
        pencil = self._pencil
        if pencil is None:
            return
        if pencil.new and pencil.region.shape in {LINE, POLYGON} and not pencil.region.complete:
            pencil.put()
        if not pencil.region.complete:
            self.notify(_("Space puts a point: a line has two at least, a region three."), severity="warning")
            self.draw()
            return
        self._keep(pencil.region)
        self.leave_region()

    def _keep(self, region: Region) -> None:
        regions = self.regions
        regions[self._chosen : self._chosen + 1] = [region]

    def action_drop(self) -> None:
        """Take the region away."""
        if self._pencil is not None and not self._pencil.new:
            del self.regions[self._chosen]
        self.leave_region()

    def action_name(self) -> None:
        """Name the region: its curve and its numbers bear the name."""
        if self._pencil is not None:
            self.app.push_screen(AskText(_("Name of the region"), value=self._pencil.region.name), self._named)

    def _named(self, name: str | None) -> None:
        if name and self._pencil is not None:
            self._pencil.region = replace(self._pencil.region, name=name[:20])
            self._follow()

    # -- under the hand ----------------------------------------------------------------------------------------------

    def on_key(self, event: events.Key) -> None:
        """Give the keys of a region to the region under the hand."""
        if self._pencil is not None and (action := self._hand_keys.get(event.key)):
            event.stop()
            event.prevent_default()
            getattr(self, f"action_{action}")()

    def step_back(self) -> bool:
        """Let go of a region before the page is left."""
        return self.leave_region() or super().step_back()

    def action_move_left(self) -> None:
        """Move it left."""
        self._nudge(0, -1)

    def action_move_right(self) -> None:
        """Move it right."""
        self._nudge(0, 1)

    def action_move_up(self) -> None:
        """Move it up."""
        self._nudge(-1, 0)

    def action_move_down(self) -> None:
        """Move it down."""
        self._nudge(1, 0)

    def action_wider(self) -> None:
        """Make it wider; a cursor jumps."""
        self._resize(0, 1)

    def action_narrower(self) -> None:
        """Make it narrower; a cursor jumps."""
        self._resize(0, -1)

    def action_taller(self) -> None:
        """Make it taller; a cursor jumps."""
        self._resize(1, 0)

    def action_flatter(self) -> None:
        """Make it flatter; a cursor jumps."""
        self._resize(-1, 0)

    def action_put_point(self) -> None:
        """Put a point where the cursor is."""
        if self._pencil is not None:
            self._pencil.put()
            self._follow()

    def action_take_back(self) -> None:
        """Take the last point away."""
        if self._pencil is not None:
            self._pencil.take_back()
            self._follow()

    def _nudge(self, down: int, right: int, times: int = 1) -> None:
        if self._pencil is not None and (tiles := self.tiles(self.pane)):
            step = tiles[0].step * times
            self._pencil.move(down * step, right * step)
            self._follow()

    def _resize(self, taller: int, wider: int) -> None:
        pencil = self._pencil
        if pencil is None or not (tiles := self.tiles(self.pane)):
            return
        if pencil.region.shape in {LINE, POLYGON} and pencil.new:
            self._nudge(taller, wider, _JUMP)
            return
        step = 2 * tiles[0].step
        pencil.size(taller * step, wider * step)
        self._follow()

    def _follow(self) -> None:
        """Draw what is under the hand, and keep a region that was there before."""
        if self._pencil is not None and not self._pencil.new:
            self._keep(self._pencil.region)
        self.draw()

    # -- by mouse ----------------------------------------------------------------------------------------------------

    @property
    def points_mean_more(self) -> bool:
        """A region under the hand follows the mouse; in planes the place does."""
        return self._pencil is not None or super().points_mean_more

    def on_picture_pointed(self, message: Picture.Pointed) -> None:
        """Draw, take up a region that is clicked, or go to the place that is."""
        message.stop()
        if self._pencil is None or message.picture is self.pane:
            if message.phase == "down":
                self.activate(message.picture)
            if self._pencil is not None:
                self._drawn(message.phase, message.y, message.x)
            elif message.phase == "up" and (number := self._region_at(message.y, message.x)) is not None:
                self._pick(number)
            elif message.phase in {"down", "drag"}:
                self._go_to(message.y, message.x)

    def _drawn(self, phase: str, y: float, x: float) -> None:
        pencil, tiles = self._pencil, self.tiles(self.pane)
        shown = next((tile for tile in tiles if tile.holds(y, x)), tiles[0] if tiles else None)
        if pencil is None or shown is None:
            return
        point = shown.frame_point(y, x)
        if not pencil.new:
            self._carry(pencil, phase, point)
        elif phase == "up":
            if pencil.region.points and pencil.region.box[0] == pencil.region.box[1]:  # clicked, not dragged
                self._pencil = placed(pencil, shown)
                self.draw()
            elif pencil.region.complete:
                self.action_finish()
        else:
            pencil.drag(phase, point)
            self.draw()

    def _carry(self, pencil: Pencil, phase: str, point: tuple[float, float]) -> None:
        """Carry a region that is there already."""
        if phase == "down" and not pencil.region.holds(point):
            self.leave_region()
        elif phase == "drag":
            pencil.region = pencil.region.moved(point[0] - pencil.cursor[0], point[1] - pencil.cursor[1])
        pencil.cursor = point
        self._follow()

    def _region_at(self, y: float, x: float) -> int | None:
        for shown in self.tiles(self.pane):
            if shown.holds(y, x):
                point = shown.frame_point(y, x)
                return next((n for n, region in enumerate(self.regions) if region.holds(point)), None)
        return None

    def _go_to(self, y: float, x: float) -> None:
        place = self.pane.numbers.get("place")
        if self.layout_kind == FRAMES or self.pane.kind == MIP or not place or self.side.at is None:
            return
        there = [c + y * d + x * a for c, d, a in zip(place["corner"], place["down"], place["across"], strict=True)]
        by = [to - at for to, at in zip(there, self.side.at, strict=True)]
        for side in self.moved_sides:
            side.move(by)
        self.go()

    # -- drawn over the pictures -------------------------------------------------------------------------------------

    def draw(self) -> None:
        """Draw regions and places over the pictures; measure and keep them when the hand rests."""
        for pane in self.panes:
            pane.mark(self._marks(pane))
        if self._pause is not None:
            self._pause.stop()
        self._pause = self.set_timer(_REST, self._measure)

    def _marks(self, pane: Pane) -> Iterator[Mark]:
        mine = pane is self.pane
        for shown in self.tiles(pane):
            for number, region in enumerate(self._regions.get(self._sheet(pane), ())):
                if not (mine and self._pencil is not None and number == self._chosen):
                    yield from shown.trace(region.corners(), "chosen" if mine and number == self._chosen else "region")
            if mine and self._pencil is not None:
                yield from self._pencil.traced(shown)
        yield from self._cross(pane)

    def _cross(self, pane: Pane) -> Iterator[Mark]:
        """Mark the place the other planes go through, leaving free what lies there."""
        cross = (pane.numbers.get("place") or {}).get("cross")
        if cross is None or len(self.panes) == 1 or pane.kind == MIP:
            return
        y, x = int(cross[0]), int(cross[1])
        for away in range(2, 5):
            yield from (Mark(y + dy, x + dx, "place") for dy, dx in ((-away, 0), (away, 0), (0, -away), (0, away)))

    # -- what they hold ----------------------------------------------------------------------------------------------

    def _measure(self) -> None:
        self._pause = None
        if not self.is_attached:
            return
        self._keep_sheets()
        regions = list(self.regions)
        if self._pencil is not None and self._pencil.new and self._pencil.region.complete:
            regions.append(self._pencil.region)
        wanted = [self._question(region) for region in regions]
        if not wanted:
            self._measured, self._measured_of = [], []
            self._tell("#regions", Text())
        elif wanted != self._measured_of and self._cine is None:
            self.ask(partial(self._ask_all, wanted), partial(self._take_measures, wanted), only_last="measure")
        else:
            self._tell("#regions", told.measured(self._measured, self._chosen, self._on()))

    def _question(self, region: Region) -> Measure:
        side, kind = self.side, self.pane.kind
        shown = self.pane.shown
        if kind == FRAMES and shown and shown.path.startswith("volumes/"):  # a page of slices, each a file of its own
            where = {"plane": "native", "slice": self.tiles(self.pane)[0].frame}
            return f"volumes/{side.series_uid}/regions", {**region.as_wire(), **where}
        if kind == FRAMES and side.reel.spot:
            return f"images/{side.reel.spot.uid}/regions", {**region.as_wire(), "frame": side.reel.spot.frame}
        return f"volumes/{side.series_uid}/regions", {**region.as_wire(), **self._where(side, kind)}

    def _where(self, side: Side, kind: str) -> dict[str, Any]:
        at = {"angle": side.angle} if kind == MIP else {"at": ",".join(f"{v:.3f}" for v in side.at or (0, 0, 0))}
        return {"plane": kind, "moment": side.moment, **at}

    def _on(self) -> str:
        """Say which of several frames that are seen the numbers are of."""
        tiles, spot, shown = self.tiles(self.pane), self.side.reel.spot, self.pane.shown
        if len(tiles) < 2 or spot is None or shown is None:  # noqa: PLR2004 - one needs no number
            return ""
        number = tiles[0].frame if shown.path.startswith("volumes/") else spot.frame
        return _("On frame {number}").format(number=number + 1)

    def _ask_all(self, wanted: list[Measure]) -> list[dict[str, Any]]:
        return [self.desk.client.post(path, body) for path, body in wanted]

    def _take_measures(self, wanted: list[Measure], rows: list[dict[str, Any]]) -> None:
        self._measured, self._measured_of = rows, wanted
        self._tell("#regions", told.measured(rows, self._chosen, self._on()))

    # -- through time ------------------------------------------------------------------------------------------------

    def action_curves(self) -> None:
        """Draw the regions' curves through the frames of a dynamic or gated study."""
        regions = [region.as_wire() for region in self.regions if region.shape != LINE]
        side, kind = self.side, self.pane.kind
        if not regions:
            self.notify(_("Draw a region first: F2, F3 or F4."), severity="warning")
        elif kind == FRAMES and side.reel.spot:
            self._ask_curves(f"images/{side.reel.spot.uid}/curves", {"regions": regions})
        elif kind != MIP:
            where = self._where(side, kind)
            where.pop("moment")
            self._ask_curves(f"volumes/{side.series_uid}/curves", {"regions": regions, **where})

    def _ask_curves(self, path: str, body: dict[str, Any]) -> None:
        from console.screens.curves import CurvesPage  # noqa: PLC0415 - it brings numpy along

        title = f"{self.side.title}  {told.moment(self.side.reel.now['date'])}"
        self.app.push_screen(CurvesPage(self.desk, path, body, title))

    # -- the line of keys --------------------------------------------------------------------------------------------

    def _swap_keys(self, *, in_hand: bool) -> None:
        own = [line for line in self.query(KeyLine) if line is not self._hand_line]
        if in_hand and not self._hand_line.is_attached:
            self.mount(self._hand_line)
        self.NAME = _HAND if in_hand else type(self).NAME  # type: ignore[misc]  # help and palette ask for it
        self._hand_line.display = in_hand
        for line in own:
            line.display = not in_hand
