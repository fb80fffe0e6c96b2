"""The viewer: the images of an exam, drawn by the service at this terminal's size.

One question is under way at a time, the newest wish first; a late answer is kept but never shown over a newer one.
Cine asks only while it runs and the page is seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.strip import Strip
from textual.timer import Timer
from textual.widgets import Static

from console.client import ServiceAway, ServiceRefused
from console.desk import Desk
from console.screens.dialogs import AskText, Read
from console.screens.page import Page
from console.widgets.paged_list import Item
from console.widgets.picture import Drawn, Picture
from console.widgets.reel import GRIDS, Album, Key, Look, Reel, Shot, Spot, identity_lines
from console.widgets.repairs import mended_lines
from console.words import _
from core.vocabulary import Operation

_RATES = (1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 16.0)
_AHEAD = 3
_STEP = 0.1  # of the window's width
_CELLS_A_WIDTH = 60  # of mouse travel move the window by its width
_SURVEY = (20, 80)  # rows and columns in which all frames are looked at for one window


class Viewer(Page):
    """The series of an exam, or of a study that is not filed yet, frame by frame."""

    NAME = "viewer"
    TITLE = "Viewer"
    HELP = (
        "The images of an exam. Left and right change the frame, up and down the series. The window is chosen for each "
        "picture until you change it: + and - make it brighter or darker, [ and ] move its lower end, w types it, a "
        "gives it back. The numbers beside the picture always say what is shown. The identity in the images stands "
        "under the registered one; what differs is marked."
    )
    HEARS = frozenset({"exam"})
    DEFAULT_CSS = """
    Viewer #identity { height: 2; padding: 0 1; background: $surface; }
    Viewer #beside { width: 28; padding: 0 1; border-left: solid $panel; }
    Viewer.-wide #beside { width: 40; }
    Viewer #numbers { height: auto; }
    """

    class _Arrived(Message):
        def __init__(self, key: Key, shot: Shot | ServiceRefused | ServiceAway) -> None:
            super().__init__()
            self.key, self.shot = key, shot

    def __init__(self, desk: Desk, accession: str = "", *, study: str = "") -> None:
        super().__init__(desk)
        self._accession, self._study = accession, study
        self._exam: Item = {}
        self._reel = Reel([])
        self._album = Album()
        self._look = Look()
        self._said: dict[str, Text] = {}
        self._stepping = False  # whether frames are gone through, rather than the look changed
        self._shown: Key | None = None
        self._asked: Key | None = None  # under way
        self._refused: dict[Key, str] = {}
        self._cine: Timer | None = None
        self._rate = 3
        self._ticks: list[float] = []
        self._all_frames: dict[str, tuple[float, float]] = {}  # windows over all frames of an object, for cine

    def body(self) -> ComposeResult:
        """Who it is, the picture, and the numbers beside it."""
        yield Static(id="identity")
        with Horizontal():
            yield Picture(characters=self.desk.ascii)
            with VerticalScroll(id="beside", can_focus=False):
                yield Static(id="numbers")

    def on_mount(self) -> None:
        """Read what there is to see."""
        self.query_one(Picture).say(_("Reading the list of series ..."))
        self.refresh_rows()

    def refresh_rows(self) -> None:
        """Read the series again; more may have come."""
        path = f"studies/{self._study}/series" if self._study else f"exams/{self._accession}/series"
        self.ask(partial(self._read, path), self._take, only_last="series")

    def _read(self, path: str) -> tuple[Item, list[Item]]:
        exam = self.desk.client.get(f"exams/{self._accession}") if self._accession else {}
        return exam, self.desk.client.get(path)

    def _take(self, read: tuple[Item, list[Item]]) -> None:
        first, (self._exam, series) = not self._reel.series, read
        self._reel.refill(series)
        if first:
            self._usual_grid()
        if not self._reel.spots:
            self.query_one(Picture).say(_("No images have arrived yet."))
        self._go()

    def selected_text(self) -> str:
        """The UID of the object under the eye."""
        return self._reel.spot.uid if self._reel.spot else self._accession

    # -- asking and showing ------------------------------------------------------------------------------------------

    def _wanted(self) -> Key | None:
        spot = self._reel.spot
        return (self._on_grid(spot), self._look) if spot and self._look.rows else None

    def _on_grid(self, spot: Spot) -> Spot:
        """Return the first frame of the page of the grid this frame is on."""
        return replace(spot, frame=spot.frame - spot.frame % self._look.grid) if self._look.grid > 1 else spot

    def _go(self) -> None:
        """Show what is wanted if it is here, say where one is, and ask for what is missing."""
        key = self._wanted()
        if key and (shot := self._album.get(key)):
            if key != self._shown:
                self._stepping = self._shown is not None and self._shown[1] == key[1]
                self._shown = key
                picture = self.query_one(Picture)
                picture.show(shot.strips or picture.painter()(shot.drawn))
        elif key in self._refused:
            self.query_one(Picture).say(self._refused[key])
        self._tell()
        self._pump()

    def _pump(self) -> None:
        if self._asked is not None or not self.is_current:
            return
        wanted = self._wanted()
        if wanted is None:
            return
        grid = self._look.grid
        ahead = _AHEAD if self._cine else int(self._stepping)  # nothing on spec while knobs are turned
        coming = [(self._on_grid(spot), self._look) for spot in self._reel.ahead(ahead, grid)]
        for key in (wanted, *coming):
            if key not in self._album and key not in self._refused:
                self._asked = key
                paint = self.query_one(Picture).painter()
                self.run_worker(partial(self._bring, key, paint), thread=True, group="picture")
                return

    def _bring(self, key: Key, paint: Callable[[Drawn], list[Strip]]) -> None:
        spot, look = key
        try:
            answer = self.desk.client.get(f"images/{spot.uid}/picture", **look.query(spot))
            drawn = Drawn.from_wire(answer, labelled=look.grid > 1)
            numbers = {name: value for name, value in answer.items() if name not in {"pixels", "colours"}}
            shot: Shot | ServiceRefused | ServiceAway = Shot(drawn, numbers, paint(drawn))
        except (ServiceRefused, ServiceAway) as error:
            shot = error
        self.post_message(self._Arrived(key, shot))

    def on_viewer__arrived(self, message: _Arrived) -> None:
        """Keep the answer; show it only if it is what is wanted now."""
        message.stop()
        self._asked = None
        if isinstance(message.shot, Shot):
            self._album.put(message.key, message.shot)
        elif isinstance(message.shot, ServiceRefused) and message.shot.status != 401:  # noqa: PLR2004 - signed out
            self._refused[message.key] = message.shot.detail
        else:
            self._stop_cine()
            self._fail(message.shot, None)
            return
        if message.key == self._wanted():
            self._go()
        else:
            self._pump()

    def on_picture_resized(self, message: Picture.Resized) -> None:
        """Ask for pictures of the new size."""
        message.stop()
        self._look = replace(self._look, rows=message.rows, columns=message.columns)
        self._go()

    def _change(self, look: Look) -> None:
        if look != self._look:
            self._look = look
            self._go()

    # -- frames and series -------------------------------------------------------------------------------------------

    def action_next_frame(self) -> None:
        """Go to the next frame, or page of the grid."""
        self._reel.step(self._look.grid)
        self._go()

    def action_previous_frame(self) -> None:
        """Go back."""
        self._reel.step(-self._look.grid)
        self._go()

    def action_first_frame(self) -> None:
        """Go to the first frame."""
        self._reel.step(-len(self._reel.spots))
        self._go()

    def action_last_frame(self) -> None:
        """Go to the last frame."""
        self._reel.step(len(self._reel.spots))
        self._go()

    def action_next_series(self) -> None:
        """Go to the next series."""
        self._change_series(1)

    def action_previous_series(self) -> None:
        """Go to the series before."""
        self._change_series(-1)

    def _change_series(self, by: int) -> None:
        if self._reel.change(by):
            self._stop_cine()
            self._look = replace(self._look, window=None)
            self._usual_grid()
            self._go()

    def _usual_grid(self) -> None:
        """Views of one object that belong together (anterior and posterior) are first shown side by side."""
        spot = self._reel.spot
        few = spot is not None and 1 < spot.frames <= GRIDS[1]
        self._look = replace(self._look, grid=GRIDS[1] if few else 1)

    def on_picture_wheeled(self, message: Picture.Wheeled) -> None:
        """The wheel goes through frames."""
        self._reel.step(message.steps * self._look.grid)
        self._go()

    # -- cine --------------------------------------------------------------------------------------------------------

    def action_cine(self) -> None:
        """Start or stop."""
        if self._cine is not None:
            self._stop_cine()
            self._go()
        elif (spot := self._reel.spot) and len(self._reel.spots) > self._look.grid:
            if self._look.window is None and spot.frames > 1:
                self._one_window(spot)
            self._start_cine()

    def _one_window(self, spot: Spot) -> None:
        """Frames that follow each other want one window: that of all of them together."""
        if spot.uid in self._all_frames:
            self._change(replace(self._look, window=self._all_frames[spot.uid]))
            return
        rows, columns = _SURVEY
        query = {"rows": rows, "columns": columns, "grid": min(spot.frames, 400)}
        path = f"images/{spot.uid}/picture"
        self.ask(partial(self.desk.client.get, path, **query), partial(self._window_found, spot), only_last="window")

    def _window_found(self, spot: Spot, answer: dict[str, Any]) -> None:
        found = (answer["window"]["lower"], answer["window"]["upper"])
        self._all_frames[spot.uid] = found
        if self._look.window is None and self._reel.spot and self._reel.spot.uid == spot.uid and self._cine:
            self._change(replace(self._look, window=found))

    def _start_cine(self) -> None:
        self._stop_cine()
        self._ticks = []
        self._cine = self.set_interval(1 / _RATES[self._rate], self._tick)
        self._go()

    def _stop_cine(self) -> None:
        if self._cine is not None:
            self._cine.stop()
            self._cine = None
            self._tell()

    def _tick(self) -> None:
        """Go on once what is wanted is on the screen: cine waits for pictures, it never skips them."""
        if self.is_current and self._wanted() == self._shown:
            now = monotonic()
            self._ticks = [*self._ticks[-9:], now]
            self._reel.step(self._look.grid, round_about=True)
            self._go()

    def action_faster(self) -> None:
        """More frames a second."""
        self._set_rate(1)

    def action_slower(self) -> None:
        """Fewer frames a second."""
        self._set_rate(-1)

    def _set_rate(self, by: int) -> None:
        self._rate = min(max(0, self._rate + by), len(_RATES) - 1)
        if self._cine is not None:
            self._start_cine()
        self._tell()

    def on_screen_suspend(self) -> None:
        """Nothing runs on a page nobody sees."""
        self._stop_cine()

    def on_unmount(self) -> None:
        """As above."""
        self._stop_cine()

    # -- how it looks ------------------------------------------------------------------------------------------------

    def action_map(self) -> None:
        """Use the next colour map."""
        self._change(self._look.with_map_after())

    def action_invert(self) -> None:
        """Turn dark and bright round."""
        self._change(replace(self._look, invert=not self._look.invert))

    def action_grid(self) -> None:
        """Show more frames at once, then one again."""
        self._change(self._look.with_grid_after())

    def action_zoom_in(self) -> None:
        """Look nearer."""
        self._change(self._look.zoomed(math.sqrt(2)))

    def action_zoom_out(self) -> None:
        """Look from farther away."""
        self._change(self._look.zoomed(1 / math.sqrt(2)))

    def action_pan_left(self) -> None:
        """Look more to the left."""
        self._change(self._look.panned(0, -1))

    def action_pan_right(self) -> None:
        """Look more to the right."""
        self._change(self._look.panned(0, 1))

    def action_pan_up(self) -> None:
        """Look higher."""
        self._change(self._look.panned(-1, 0))

    def action_pan_down(self) -> None:
        """Look lower."""
        self._change(self._look.panned(1, 0))

    # -- the window --------------------------------------------------------------------------------------------------

    def action_brighter(self) -> None:
        """Lower the upper end."""
        self._move_window(0, -_STEP)

    def action_darker(self) -> None:
        """Raise the upper end."""
        self._move_window(0, _STEP)

    def action_raise_floor(self) -> None:
        """Raise the lower end."""
        self._move_window(_STEP, 0)

    def action_lower_floor(self) -> None:
        """Lower the lower end."""
        self._move_window(-_STEP, 0)

    def on_picture_dragged(self, message: Picture.Dragged) -> None:
        """Dragging sideways widens the window, dragging up or down moves it."""
        wider, higher = message.right / _CELLS_A_WIDTH, message.down / _CELLS_A_WIDTH * 2
        self._move_window(higher - wider / 2, higher + wider / 2)

    def _move_window(self, lower: float, upper: float) -> None:
        if now := self._window():
            self._change(self._look.windowed(now, lower, upper))

    def _window(self) -> tuple[float, float] | None:
        numbers = self._numbers()
        return self._look.window or ((numbers["window"]["lower"], numbers["window"]["upper"]) if numbers else None)

    def action_auto_window(self) -> None:
        """Let each picture choose its window again."""
        self._change(replace(self._look, window=None))

    def action_window(self) -> None:
        """Type the window."""
        if now := self._window():
            text = _("Lower and upper end, or centre and width as C/W")
            self.app.push_screen(AskText(_("Window"), text, value=f"{now[0]:g} {now[1]:g}"), self._typed)

    def _typed(self, text: str | None) -> None:
        if text is None:
            return
        try:
            self._change(replace(self._look, window=read_window(text)))
        except ValueError as error:
            self.notify(str(error), severity="warning", markup=False)

    # -- beside the picture ------------------------------------------------------------------------------------------

    def _numbers(self) -> dict[str, Any]:
        shot = self._album.get(self._shown) if self._shown else None
        return dict(shot.numbers) if shot else {}

    def _tell(self) -> None:
        if self.is_mounted and self._reel.series:
            for place, text in (("#identity", self._identity()), ("#numbers", self._told())):
                if self._said.get(place) != text:  # what is the same is not sent again
                    self._said[place] = text
                    self.query_one(place, Static).update(text)

    def _identity(self) -> Text:
        now = self._reel.now
        exam = self._exam or {
            "patient_number": "", "patient_name": "", "patient_name_ideographic": "", "patient_birth_date": "",
            "patient_sex": "",
        }  # fmt: skip
        pairs = identity_lines(exam, now)
        labels = (_("Registered"), _("In the images"))
        lines = [Text(f"{label:<14}", "dim", end="") for label in labels]
        for registered, sent, differs in pairs:
            wide = max(Text(registered).cell_len, Text(sent).cell_len)
            lines[0].append(_padded(registered, wide) + "    ")
            mark = ("!= " if self.desk.ascii else "≠ ") if differs and self._exam else ""
            lines[1].append(mark + _padded(sent, wide) + "    "[len(mark) :], "bold reverse" if mark else "")
        if not self._exam:
            lines[0] = Text(f"{labels[0]:<14}", "dim").append(_("not filed to an exam"))
        return Text("\n").join(lines)

    def _told(self) -> Text:
        text, numbers, now = Text(), self._numbers(), self._reel.now
        heading = f"{now['modality']} {now['description']}".strip() or now["uid"][-12:]
        text.append(f"{heading}\n", "bold")
        if harm := self._harm():
            text.append(f"{harm}\n", "bold reverse")
        text.append_text(mended_lines(self._instance()))
        _line(text, _("Series"), f"{self._reel.number + 1}/{len(self._reel.series)}  {now['step']}".rstrip())
        _line(text, _("Date"), _moment(now["date"]))
        _line(text, _("Frame"), self._frame_words(numbers))
        if numbers:
            window, unit = numbers["window"], numbers["unit"]
            kind = "" if self._look.window else "  " + _("(automatic)")
            _line(text, _("Window"), f"{figure(window['lower'])} - {figure(window['upper'])}{kind}")
            _line(text, _("Range"), f"{figure(numbers['minimum'])} - {figure(numbers['maximum'])} {unit}")
            _line(text, _("Total"), f"{figure(numbers['total'])} {unit}")
            _line(text, _("Colours"), numbers["palette"].replace("_", " ") + ("  " + _("inverted") * self._look.invert))
        _line(text, _("Zoom"), f"{self._look.zoom:.2g}x")
        _line(text, _("Cine"), self._cine_words())
        text.append("\n")
        for number, one in enumerate(self._reel.series):
            mark = ">" if number == self._reel.number else " "
            frames = sum(instance["frames"] for instance in one["instances"])
            aside = "" if one["counted"] else _(" (not counted)")
            words = f"{mark} {one['description'] or one['modality']}  {frames}{aside}\n"
            text.append(words, "bold" if mark == ">" else "dim")
        return text

    def _instance(self) -> dict[str, Any]:
        """What is known of the object under the eye."""
        spot = self._reel.spot
        return next((one for one in self._reel.now["instances"] if spot and one["uid"] == spot.uid), {})

    def _harm(self) -> str:
        """Say how the object under the eye is damaged, else how many of its series are."""
        spot, damaged = self._reel.spot, {one["uid"]: one["damaged"] for one in self._reel.now["instances"]}
        if spot and damaged.get(spot.uid):
            return _("damaged: {fault}").format(fault=damaged[spot.uid])
        count = sum(bool(fault) for fault in damaged.values())
        return _("{count} objects of this series are damaged").format(count=count) if count else ""

    def _frame_words(self, numbers: dict[str, Any]) -> str:
        total, tiles = len(self._reel.spots), numbers.get("tiles") or []
        if self._look.grid > 1 and tiles:
            return f"{tiles[0]['frame'] + 1}-{tiles[-1]['frame'] + 1}/{total}"
        label = tiles[0]["label"] if tiles else ""
        return f"{self._reel.place + 1}/{total}  {label}".rstrip()

    def _cine_words(self) -> str:
        rate = _("{rate}/s").format(rate=f"{_RATES[self._rate]:g}")
        if self._cine is None:
            return _("off ({rate})").format(rate=rate)
        if len(self._ticks) < 3:  # noqa: PLR2004 - two give no rate
            return rate
        real = (len(self._ticks) - 1) / max(1e-6, self._ticks[-1] - self._ticks[0])
        return _("{rate} (reached {real})").format(rate=rate, real=f"{real:.1f}")

    # -- elsewhere ---------------------------------------------------------------------------------------------------

    def action_header(self) -> None:
        """Read the object's elements."""
        if spot := self._reel.spot:
            self.ask(partial(self.desk.client.get, f"images/{spot.uid}/header"), self._show_header)

    def _show_header(self, rows: list[dict[str, str]]) -> None:
        lines = [f"{row['tag']} {row['vr']:2} {row['keyword']:<30} {row['value']}" for row in rows]
        self.app.push_screen(Read(_("The object as it came"), "\n".join(lines)))

    def action_report(self) -> None:
        """Write or read the report."""
        from console.screens.report import ReportPage  # noqa: PLC0415 - the report shows images too

        if self._accession and self.desk.may(Operation.WRITE_REPORT):
            self.app.push_screen(ReportPage(self.desk, self._accession))

    def on_resize(self) -> None:
        """Say the numbers anew where there is another width."""
        super().on_resize()
        self._tell()


def read_window(text: str) -> tuple[float, float]:
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


def figure(value: float) -> str:
    """Write a number of counts as people read it: 1,234,567 or 0.0123."""
    if value == int(value) and abs(value) < 1e15:  # noqa: PLR2004 - beyond it a float is no integer
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.4g}"  # noqa: PLR2004 - decimals no longer matter


def _moment(written: str) -> str:
    """Write a DICOM date and time as people do."""
    day, _space, time = written.partition(" ")
    day = f"{day[:4]}-{day[4:6]}-{day[6:]}" if len(day) == len("YYYYMMDD") else day
    return f"{day} {time[:2]}:{time[2:4]}" if len(time) >= len("HHMM") else day


def _padded(text: str, width: int) -> str:
    return text + " " * (width - Text(text).cell_len)


def _line(text: Text, label: str, value: str) -> None:
    text.append(f"{label}", "dim")
    text.append(" " * max(1, 9 - Text(label).cell_len) + f"{value}\n")
