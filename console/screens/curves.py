"""The curves of regions through a dynamic or gated study: a plot over the figures at one moment."""

from __future__ import annotations

from functools import partial
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static
from textual_plot import HiResMode, PlotWidget

from console.desk import Desk
from console.screens.page import Page
from console.screens.viewer.told import figure
from console.words import _

_COLOURS = ("yellow", "cyan", "magenta", "green", "red", "blue", "white")


class CurvesPage(Page):
    """Each region is a curve; left and right go through the frames, `c` shows counts or counts per second."""

    NAME = "curves"
    TITLE = "Curves"
    HELP = (
        "The regions followed through the frames. Left and right go from frame to frame, the figures below are those "
        "of that frame; Home and End go to the first and the last. c changes between counts and counts per second. The "
        "wheel and the mouse zoom and move the plot."
    )
    DEFAULT_CSS = """
    CurvesPage #title { height: 1; padding: 0 1; background: $surface; }
    CurvesPage PlotWidget { height: 2fr; }
    CurvesPage #under { height: 1fr; min-height: 5; padding: 0 1; border-top: solid $panel; }
    CurvesPage #figures { height: auto; }
    """

    def __init__(self, desk: Desk, path: str, body: dict[str, Any], title: str) -> None:
        super().__init__(desk)
        self._path, self._body, self._title = path, body, title
        self._curves: dict[str, Any] = {}
        self._rate = False
        self._at = 0

    def body(self) -> ComposeResult:
        """A plot over the figures."""
        yield Static(self._title, id="title", markup=False)
        if not self.desk.ascii:  # its axes need more than ASCII
            yield PlotWidget(allow_pan_and_zoom=True)
        with VerticalScroll(id="under", can_focus=False):
            yield Static(id="figures")

    def on_mount(self) -> None:
        """Ask for the curves."""
        self.refresh_rows()

    def refresh_rows(self) -> None:
        """Ask for the curves."""
        body = {**self._body, "rate": self._rate}
        self.ask(partial(self.desk.client.post, self._path, body), self._take, only_last="curves")

    def _take(self, curves: dict[str, Any]) -> None:
        self._curves = curves
        self._at = min(self._at, len(curves["times_s"]) - 1)
        self._draw()

    # -- what can be done --------------------------------------------------------------------------------------------

    def action_next_time(self) -> None:
        """Go to the next frame."""
        self._go(self._at + 1)

    def action_previous_time(self) -> None:
        """Go back."""
        self._go(self._at - 1)

    def action_first_time(self) -> None:
        """Go to the first frame."""
        self._go(0)

    def action_last_time(self) -> None:
        """Go to the last frame."""
        self._go(len(self._curves.get("times_s", ())) - 1)

    def _go(self, at: int) -> None:
        if self._curves:
            self._at = min(max(0, at), len(self._curves["times_s"]) - 1)
            self._draw()

    def action_rate(self) -> None:
        """Show counts, or counts per second."""
        self._rate = not self._rate
        self.refresh_rows()

    def selected_text(self) -> str:
        """All values, a line for each frame, as a table program takes them."""
        if not self._curves:
            return ""
        heads = "\t".join(["s", *(curve["name"] for curve in self._curves["curves"])])
        columns = [self._curves["times_s"], *(curve["values"] for curve in self._curves["curves"])]
        return "\n".join([heads, *("\t".join(f"{value:g}" for value in row) for row in zip(*columns, strict=True))])

    # -- drawing -----------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        for plot in self.query(PlotWidget):
            self._plot(plot)
        values = f"\n{self.selected_text()}".expandtabs(14) if self.desk.ascii else ""
        self.query_one("#figures", Static).update(self._figures().append(values))

    def _plot(self, plot: PlotWidget) -> None:
        curves, times = self._curves, self._curves["times_s"]
        plot.clear()
        for number, curve in enumerate(curves["curves"]):
            style = _COLOURS[number % len(_COLOURS)]
            plot.plot(times, curve["values"], line_style=style, hires_mode=HiResMode.BRAILLE, label=curve["name"])
        plot.add_v_line(times[self._at], "white")
        plot.set_ylimits(min(0.0, *(min(curve["values"]) for curve in curves["curves"])), None)
        plot.set_xlabel(_("time (s)") if curves["timed"] else _("frame"))
        plot.set_ylabel(curves["curves"][0]["unit"])
        plot.show_legend()

    def _figures(self) -> Text:
        """Say the value of each curve here, its highest and when that was, and what it adds up to."""
        curves, at = self._curves, self._at
        text = Text()
        text.append(_("Frame {number} of {count}").format(number=at + 1, count=len(curves["times_s"])), "bold")
        text.append(f"  {_when(curves, at) if curves['timed'] else ''}  {_phase(curves, at)}".rstrip() + "\n")
        for number, curve in enumerate(curves["curves"]):
            values = curve["values"]
            top = max(range(len(values)), key=values.__getitem__)
            text.append(f"{curve['name']:<12} ", f"bold {_COLOURS[number % len(_COLOURS)]}")
            said = _("{value} {unit}  highest {top} at {time}  {pixels} pixels")
            text.append(said.format(
                value=figure(values[at]), unit=curve["unit"], top=figure(values[top]),
                time=_when(curves, top), pixels=curve["pixels"],
            ) + "\n")  # fmt: skip
        for note in curves["notes"]:
            text.append(f"{note}\n", "italic")
        return text


def _when(curves: dict[str, Any], at: int) -> str:
    return f"{curves['times_s'][at]:.4g} s" if curves["timed"] else _("frame {number}").format(number=at + 1)


def _phase(curves: dict[str, Any], at: int) -> str:
    frame = curves["frames"][at] if curves["frames"] else at
    for phase in curves["phases"]:
        if phase["first"] <= frame < phase["first"] + phase["frames"]:
            return str(phase["name"])
    return ""
