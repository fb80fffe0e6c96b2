"""The light table: one or two series side by side, their pictures, and the numbers beside them.

Six places for pictures are made once; how many are seen, and what each shows, follows from the layout and the sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container, Horizontal, VerticalScroll
from textual.widgets import Static

from console.desk import Desk
from console.screens.page import Page
from console.screens.viewer import told
from console.widgets.paged_list import Item
from console.widgets.pane import Pane
from console.widgets.picture import Picture
from console.widgets.reel import GRIDS, Album, Question, Reel
from console.widgets.sides import FRAMES, MIP, PLANES, Side
from console.words import _

_PLACES = 6
ALL_PLANES = "planes"
_KINDS = {FRAMES: (FRAMES,), ALL_PLANES: (*PLANES, MIP), MIP: (MIP,)}


class LightTable(Page):
    """The sides, the layout, and the pane one works on."""

    DEFAULT_CSS = """
    LightTable #identity { height: 2; padding: 0 1; background: $surface; }
    LightTable #beside { width: 28; padding: 0 1; border-left: solid $panel; }
    LightTable.-wide #beside { width: 40; }
    LightTable #line { height: 1; padding: 0 1; display: none; background: $surface; }
    LightTable.-full #beside { display: none; }
    LightTable.-full #line { display: block; }
    LightTable #numbers, LightTable #regions, LightTable #list { height: auto; }
    LightTable #table { layout: grid; grid-size: 1 1; height: 1fr; width: 1fr; background: #000000; }
    LightTable #table.-several { grid-gutter: 0 1; background: $panel; }
    LightTable .-empty { display: none; }
    LightTable Pane { height: 1fr; width: 1fr; }
    LightTable Pane.-unseen { display: none; }
    """

    def __init__(self, desk: Desk, accession: str = "", *, study: str = "") -> None:
        super().__init__(desk)
        self._accession, self._study = accession, study
        self.sides = [Side(Reel([]))]
        self.layout_kind = FRAMES
        self.linked = True
        self._active = 0
        self._album = Album()
        self._panes = [Pane(self._fetch, self._album, FRAMES, 0, characters=desk.ascii) for _place in range(_PLACES)]
        self._said: dict[str, Text] = {}
        self._ahead = 0  # how many pictures are asked for before they are wanted

    def body(self) -> ComposeResult:
        """Who it is, the pictures, and the numbers beside them."""
        yield Static(id="identity")
        with Horizontal():
            with Container(id="table"):
                yield from self._panes
            with VerticalScroll(id="beside", can_focus=False):
                yield Static(id="regions", classes="-empty")
                yield Static(id="numbers")
                yield Static(id="list")
        yield Static(id="line")

    def on_mount(self) -> None:
        """Read what there is to see."""
        self.lay_out()
        self.pane.say(_("Reading the list of series ..."))
        self.refresh_rows()

    # -- what there is to see ----------------------------------------------------------------------------------------

    def refresh_rows(self) -> None:
        """Read the series again; more may have come."""
        self.ask(partial(self._read, self._accession), self._take, only_last="series")

    def _read(self, accession: str) -> tuple[Item, list[Item]]:
        path = f"studies/{self._study}/series" if self._study else f"exams/{accession}/series"
        exam = self.desk.client.get(f"exams/{accession}") if accession else {}
        return exam, self.desk.client.get(path)

    def _take(self, read: tuple[Item, list[Item]]) -> None:
        side = self.sides[0]
        first, (side.exam, series) = not side.reel.series, read
        side.reel.refill(series)
        if first:
            self.usual_grid(side)
        if not side.reel.spots:
            self.pane.say(_("No images have arrived yet."))
        self.go()

    def usual_grid(self, side: Side) -> None:
        """Views of one object that belong together (anterior and posterior) are first shown side by side."""
        spot = side.reel.spot
        few = spot is not None and 1 < spot.frames <= GRIDS[1]
        side.look = replace(side.look, grid=GRIDS[1] if few else 1)

    def selected_text(self) -> str:
        """The UID of the object under the eye."""
        return self.side.reel.spot.uid if self.side.reel.spot else self._accession

    # -- where one works ---------------------------------------------------------------------------------------------

    @property
    def panes(self) -> list[Pane]:
        """The pictures that are seen."""
        return [pane for pane in self._panes if not pane.has_class("-unseen")]

    @property
    def pane(self) -> Pane:
        """The picture one works on."""
        return self._panes[self._active]

    @property
    def side(self) -> Side:
        """The series one works on."""
        return self.sides[self.pane.side]

    @property
    def moved_sides(self) -> list[Side]:
        """The series that move together with the one worked on."""
        return self.sides if self.linked else [self.side]

    def activate(self, picture: Picture) -> None:
        """Work on this picture."""
        if picture is not self.pane and picture in self.panes:
            self._active = [*map(id, self._panes)].index(id(picture))
            self.told()

    def lay_out(self) -> None:
        """Show what the layout and the sides ask for."""
        kinds = _KINDS[self.layout_kind]
        if self.layout_kind == ALL_PLANES and len(self.sides) > 1:
            kinds = PLANES
        places = [(side, kind) for side in range(len(self.sides)) for kind in kinds]
        for pane, place in zip(self._panes, [*places, *[None] * _PLACES], strict=False):
            pane.set_class(place is None, "-unseen")
            if place is not None:
                pane.side, pane.kind = place
        self._active = min(self._active, len(places) - 1)
        across = {1: 1, 2: 2, 4: 2}.get(len(places), 3)
        table = self.query_one("#table")
        table.styles.grid_size_columns, table.styles.grid_size_rows = across, len(places) // across
        table.set_class(len(places) > 1, "-several")

    # -- showing -----------------------------------------------------------------------------------------------------

    def _fetch(self, question: Question) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self.desk.client.get(question.path, **dict(question.query))
        return answer

    def go(self) -> None:
        """Show what is wanted where it is here, ask for what is missing, and say where one is."""
        for pane in self.panes:
            side = self.sides[pane.side]
            ahead = side.coming(pane.kind, pane.room, self._ahead, self.played) if self._ahead else []
            pane.want(side.question(pane.kind, pane.room), ahead)
        if self.pane.settled or not self.pane.shown:
            self.told()  # else when the picture is here: numbers and picture are of the same frame

    @property
    def played(self) -> str:
        """What a cine goes through in this layout."""
        return self.pane.kind

    @property
    def settled(self) -> bool:
        """Whether every picture shows what is wanted."""
        return all(pane.settled for pane in self.panes)

    def on_picture_resized(self, message: Pane.Resized) -> None:
        """Ask for pictures of the new size."""
        message.stop()
        self.go()

    def on_pane_shown(self, message: Pane.Shown) -> None:
        """Say the numbers of what is shown now, and draw over it."""
        message.stop()
        self.told()
        self.draw()

    def draw(self) -> None:
        """Draw what stands over the pictures."""

    def on_pane_failed(self, message: Pane.Failed) -> None:
        """Say that the service is away."""
        message.stop()
        self.halt()
        self._fail(message.error, None)

    def halt(self) -> None:
        """Stop what runs by itself."""

    # -- beside the pictures -----------------------------------------------------------------------------------------

    def told(self) -> None:
        """Say who it is and what is shown, where it changed."""
        if not (self.is_mounted and self.sides[0].reel.series):
            return
        pane, side = self.pane, self.side
        texts = {
            "#identity": told.identity(side, plain=self.desk.ascii),
            "#numbers": self.about(),
            "#list": told.listed(self.sides, pane.side),
            "#line": told.in_a_line(side, pane.kind, pane.numbers),
        }
        for place, text in texts.items():
            self._tell(place, text)
        several = len(self.panes) > 1
        for one in self.panes:
            words = told.caption(self.sides[one.side], one.kind, one.numbers, several=len(self.sides) > 1)
            one.caption(words if several else "", strong=one is pane)

    def action_full(self) -> None:
        """Give the pictures the whole width, and say the numbers in one line under them; or go back."""
        self.toggle_class("-full")

    def about(self) -> Text:
        """Say what the picture one works on shows."""
        return told.about(self.side, self.pane.kind, self.pane.numbers)

    def _tell(self, place: str, text: Text) -> None:
        before = self._said.get(place)
        if before != text:  # what is the same is not sent again
            self._said[place] = text
            beside = self.query_one(place, Static)
            beside.set_class(not text, "-empty")
            beside.update(text, layout=_height(before, beside.size.width) != _height(text, beside.size.width))

    def on_resize(self) -> None:
        """Say the numbers anew where there is another width."""
        self.told()

    def on_screen_resume(self) -> None:
        """Go on asking, and catch up with what was heard meanwhile."""
        for pane in self.panes:
            pane.pump()


def _height(text: Text | None, width: int) -> int:
    """Return how many lines a text takes, so that nothing is laid out anew for a change of figures."""
    if text is None or not width:
        return -1
    return sum(-(-max(1, line.cell_len) // width) for line in text.split("\n", allow_blank=True))
