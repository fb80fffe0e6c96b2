"""One processing, step by step: each stage looked at frame by frame, before beside after, moved by keys, accepted.

The service draws every stage at this terminal's size. Moving a coregistration or the axis of the heart changes its
parameters and processes again; the page then shows the new one, with the one it replaces beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.timer import Timer
from textual.widgets import Static

from console.desk import Desk
from console.screens.dialogs import AskText, Read
from console.screens.processing_deeds import Processed, put
from console.screens.viewer.told import figure, line
from console.screens.window_keys import WindowKeys
from console.widgets.cells import TONES
from console.widgets.lines import tone_colour
from console.widgets.paged_list import Item
from console.widgets.pane import Pane
from console.widgets.processing import (
    UNDER_WAY,
    about,
    bar,
    complaints,
    numbers_told,
    parameters_told,
    stages_told,
    state_cell,
    who,
)
from console.widgets.processing_handles import Handle, handle_words, handles_of, step_after
from console.widgets.processing_steps import Steps, asked, place
from console.widgets.reel import Album, Look, Question
from console.words import _
from core.vocabulary import ProcessingState

_LOOK_AGAIN = 1.0  # seconds, while it runs
_RATES = (1.0, 2.0, 4.0, 8.0, 12.0)
_STEP = 0.1  # of the window's width
_LEAP = 10  # frames
_AHEAD = 3
_FIRST_STEP = 2.0  # mm or degrees a key moves at first
_FEW = 18  # cells: a bar that is read at a glance


class ProcessingPage(WindowKeys, Processed):
    """The steps of one processing, and what is done with it."""

    NAME = "processing"
    TITLE = "Processing"
    HELP = (
        "One processing, step by step. Up and down change the step, left and right the frame, space runs through "
        "them; + and - make it brighter or darker, [ and ] move the lower end of the window. b shows before beside "
        "after: the same step of the result it replaces, else the step before. n moves by keys what can be moved, a "
        "coregistration or the axis of the heart: the arrows and page up and down move it, comma and full stop change "
        "how far, n again goes from shifting to turning, Enter processes again, Esc leaves it. F3 changes parameters, "
        "F4 accepts the result and files it, F8 discards it, F9 stops what runs."
    )
    HEARS = frozenset({"processing", "job"})
    DEFAULT_CSS = """
    ProcessingPage #whose { height: 1; padding: 0 1; background: $surface; }
    ProcessingPage #moving { height: 1; padding: 0 1; display: none; color: $accent; text-style: bold; }
    ProcessingPage #moving.-on { display: block; }
    ProcessingPage #moving:ansi { color: ansi_default; }
    ProcessingPage .pane { width: 1fr; }
    ProcessingPage .caption { height: 1; padding: 0 1; color: $foreground 70%; }
    ProcessingPage .caption:ansi { color: ansi_default; text-style: dim; }
    ProcessingPage #earlier { display: none; border-right: solid $panel; }
    ProcessingPage.-compared #earlier { display: block; }
    ProcessingPage #beside { width: 28; padding: 0 1; border-left: solid $panel; scrollbar-size-vertical: 1;
        scrollbar-gutter: stable; }
    ProcessingPage.-wide #beside { width: 46; }
    ProcessingPage #told { height: auto; }
    """

    def __init__(self, desk: Desk, one: Item) -> None:
        super().__init__(desk)
        self._one: Item = one
        self._before: Item | None = None  # the processing it replaces
        self._seen: Item = one  # whose steps are shown: those of the one before while this one has none
        self._steps = Steps(one["stages"])
        self._look = Look()
        self._album = Album()
        self._said: dict[str, Any] = {}
        self._handle: int | None = None  # which of the handles the arrows move
        self._moved: dict[str, float] = {}
        self._stride = _FIRST_STEP
        self._again: Timer | None = None
        self._cine: Timer | None = None
        self._rate = 3

    def body(self) -> ComposeResult:
        """Whose it is, what is moved, before and after, and the steps with their numbers."""
        yield Static(id="whose")
        yield Static(id="moving", markup=False)
        with Horizontal():
            for number, name in enumerate(("earlier", "now")):
                with Vertical(id=name, classes="pane"):
                    yield Static(classes="caption", id=f"{name}-caption", markup=False)
                    yield Pane(self._fetch, self._album, name, number, characters=self.desk.ascii)
            with VerticalScroll(id="beside", can_focus=False):
                yield Static(id="told")

    def _fetch(self, question: Question) -> Any:  # noqa: ANN401 - JSON
        return self.desk.client.get(question.path, **dict(question.query))

    def on_mount(self) -> None:
        """Show what is known already; read it anew."""
        self._take(self._one)
        self.refresh_rows()

    # -- what is shown -----------------------------------------------------------------------------------------------

    def chosen_processing(self) -> Item | None:
        """The processing of this page."""
        return self._one

    def processed(self, one: Item) -> None:
        """Show what was changed; a new one takes the place of the one before."""
        if one["id"] != self._one["id"]:
            self._before = self._one if one["replaces"] == self._one["id"] else None
            self._moved = {}
        self._take(one)

    def settled(self) -> None:
        """Go back to what waits."""
        if self.is_current:
            self.dismiss(None)

    def refresh_rows(self) -> None:
        """Read how far it is, and the one it replaces."""
        self.read_recipes()
        self.ask(partial(self._read, self._one, self._before), self._arrived, only_last="processing")

    def _read(self, one: Item, before: Item | None) -> tuple[Item, Item | None]:
        client = self.desk.client
        now = client.get(f"processing/{one['id']}")
        if now["replaces"] and before is None:
            before = client.get(f"processing/{now['replaces']}")
        return now, before

    def _arrived(self, read: tuple[Item, Item | None]) -> None:
        one, before = read
        if one["id"] == self._one["id"]:
            self._before = before
            self._take(one)

    def _take(self, one: Item) -> None:
        ready = self._one["state"] == ProcessingState.RUNNING and one["state"] == ProcessingState.MADE
        self._one = one
        if self._handle is not None and self._handle >= len(self._handles()):
            self._handle, self._moved = None, {}
        self._seen = one if one["stages"] or self._before is None else self._before
        self._steps.refill(self._seen["stages"])
        if ready and self.is_current:
            self.done(_("{title} is ready to be looked at.").format(title=_(one["title"])))
        if self._again:
            self._again.stop()
        if one["state"] in UNDER_WAY:
            self._again = self.set_timer(_LOOK_AGAIN, self._look_again)
        self._go()

    def _look_again(self) -> None:
        if self.is_current:
            self.refresh_rows()

    def on_screen_resume(self) -> None:
        """Go on watching what runs."""
        super().on_screen_resume()
        if self._one["state"] in UNDER_WAY:
            self.refresh_rows()

    def recipes_read(self) -> None:
        """Tell the parameters by their names."""
        self._tell()

    # -- asking and showing ------------------------------------------------------------------------------------------

    def _pane(self, name: str) -> Pane:
        return self.query_one(f"#{name} Pane", Pane)

    def _go(self) -> None:
        """Show the step and frame that are wanted, here and in what stands beside it."""
        if not self.is_mounted:
            return
        now, steps = self._pane("now"), self._steps
        stage = steps.stage
        if stage is None:
            now.empty(self._waiting_words())
        elif all(now.room):
            grid = self._look.grid
            next_one = min(steps.frame + grid, steps.frames - 1)
            ahead = steps.coming(_AHEAD, grid) if self._cine else [next_one]
            questions = [asked(self._seen["id"], stage, frame, self._look, now.room) for frame in (steps.frame, *ahead)]
            now.want(questions[0], questions[1:])
        self._go_beside()
        self._tell()

    def _go_beside(self) -> None:
        compared = self._compared() if self.has_class("-compared") else None
        pane = self._pane("earlier")
        if compared and all(pane.room):
            number, stage = compared
            frame = min(self._steps.frame, stage["frames"] - 1)
            pane.want(asked(number, stage, frame, self._look, pane.room))

    def _compared(self) -> tuple[int, Mapping[str, Any]] | None:
        """Return what stands before: the step of this name in the processing it replaces, else the step before."""
        stage = self._steps.stage
        if stage is None:
            return None
        if self._before:
            for one in self._before["stages"]:
                if one["name"] == stage["name"]:
                    return self._before["id"], one
        former = self._steps.former
        return (self._seen["id"], former) if former else None

    def _waiting_words(self) -> str:
        one = self._one
        if one["state"] in UNDER_WAY and one["total"]:
            return f"{bar(one, _FEW, ascii_only=self.desk.ascii)} {one['done']}/{one['total']}"
        words = state_cell(one, ascii_only=self.desk.ascii).text
        return f"{words}: {_('what is missing stands beside')}" if one["error"] else words

    def on_picture_resized(self, message: Pane.Resized) -> None:
        """Ask for pictures of the new size."""
        message.stop()
        self._go()

    def on_pane_shown(self, message: Pane.Shown) -> None:
        """Say the numbers of what is on the screen."""
        message.stop()
        self._tell()

    def on_pane_failed(self, message: Pane.Failed) -> None:
        """Say why there is no picture."""
        message.stop()
        self._stop_cine()
        self._fail(message.error, None)

    def _change(self, look: Look) -> None:
        if look != self._look:
            self._look = look
            self._go()

    # -- steps and frames, or what is moved --------------------------------------------------------------------------

    def action_next_frame(self) -> None:
        """Go to the next frame; or move to the left of the patient."""
        self._move_or_step(0, 1, self._look.grid)

    def action_previous_frame(self) -> None:
        """Go back; or move to the right of the patient."""
        self._move_or_step(0, -1, self._look.grid)

    def action_next_stage(self) -> None:
        """Go to the next step; or move to the back of the patient."""
        if not self._move(1, 1) and self._steps.change(1):
            self._other_stage()

    def action_previous_stage(self) -> None:
        """Go to the step before; or move to the front of the patient."""
        if not self._move(1, -1) and self._steps.change(-1):
            self._other_stage()

    def action_leap_back(self) -> None:
        """Go back many frames; or move to the head of the patient."""
        self._move_or_step(2, 1, -_LEAP)

    def action_leap_on(self) -> None:
        """Go on many frames; or move to the feet of the patient."""
        self._move_or_step(2, -1, _LEAP)

    def action_next_moment(self) -> None:
        """Go to the next moment of the beat, at the same slice."""
        if self._steps.next_moment():
            self._go()

    def action_first_frame(self) -> None:
        """Go to the first frame."""
        self._step(-self._steps.frame)

    def action_last_frame(self) -> None:
        """Go to the last frame."""
        self._step(self._steps.frames)

    def _move_or_step(self, place: int, by: int, frames: int) -> None:
        if not self._move(place, by):
            self._step(frames if place else by * frames)

    def _step(self, by: int) -> None:
        if self._steps.step(by):
            self._go()

    def _other_stage(self) -> None:
        self._stop_cine()
        self._look = replace(self._look, window=None)
        self._go()

    def on_picture_wheeled(self, message: Pane.Wheeled) -> None:
        """The wheel goes through frames."""
        message.stop()
        self._step(message.steps * self._look.grid)

    def on_key(self, event: events.Key) -> None:
        """Digits go to a step at once; Enter processes what was moved."""
        if event.character and event.character in "123456789" and self._steps.go_to(int(event.character) - 1):
            event.stop()
            self._other_stage()

    # -- cine --------------------------------------------------------------------------------------------------------

    def action_cine(self) -> None:
        """Start or stop."""
        if self._cine is not None:
            self._stop_cine()
        elif self._steps.frames > self._look.grid:
            self._hold_window()
            self._cine = self.set_interval(1 / _RATES[self._rate], self._tick)
        self._go()

    def _hold_window(self) -> None:
        """Frames that follow each other want one window."""
        self._look = replace(self._look, window=self._window())

    def _stop_cine(self) -> None:
        if self._cine is not None:
            self._cine.stop()
            self._cine = None

    def _tick(self) -> None:
        """Go on once what is wanted is on the screen."""
        if self.is_current and self._pane("now").settled:
            self._steps.play(self._look.grid)
            self._go()

    def action_faster(self) -> None:
        """More frames a second; or greater steps."""
        self._set_rate(1)

    def action_slower(self) -> None:
        """Fewer frames a second; or smaller steps."""
        self._set_rate(-1)

    def _set_rate(self, by: int) -> None:
        if self._handle is not None:
            self._stride = step_after(self._stride, by)
            self._tell()
            return
        self._rate = min(max(0, self._rate + by), len(_RATES) - 1)
        if self._cine is not None:
            self._stop_cine()
            self.action_cine()

    def on_screen_suspend(self) -> None:
        """Nothing runs on a page nobody sees."""
        self._stop_cine()

    def on_unmount(self) -> None:
        """As above."""
        self._stop_cine()

    # -- how it looks ------------------------------------------------------------------------------------------------

    def action_compare(self) -> None:
        """Show before beside after, or after alone."""
        if not self.has_class("-compared") and self._compared() is None:
            self.notify(_("There is no step before this one, and no result that it replaces."), markup=False)
            return
        self.toggle_class("-compared")
        self.call_after_refresh(self._go)

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

    def _move_window(self, lower: float, upper: float) -> None:
        if now := self._window():
            self._change(self._look.windowed(now, lower, upper))

    def _window(self) -> tuple[float, float] | None:
        window = self._pane("now").numbers.get("window")
        return self._look.window or ((window["lower"], window["upper"]) if window else None)

    def action_auto_window(self) -> None:
        """Let each picture choose its window again."""
        self._change(replace(self._look, window=None))

    def action_window(self) -> None:
        """Type the window."""
        if now := self._window():
            text = _("Lower and upper end, or centre and width as C/W")
            self.app.push_screen(AskText(_("Window"), text, value=f"{now[0]:g} {now[1]:g}"), self._typed)

    def _typed(self, text: str | None) -> None:
        from console.screens.viewer.windowing import read_window  # noqa: PLC0415 - the viewer is loaded when it is needed

        if text is None:
            return
        try:
            self._change(replace(self._look, window=read_window(text)))
        except ValueError as error:
            self.notify(str(error), severity="warning", markup=False)

    # -- moving by keys ----------------------------------------------------------------------------------------------

    def _handles(self) -> list[Handle]:
        recipe = self.recipes.get(self._one["recipe"])
        return handles_of(recipe, {**self._one["parameters"], **self._moved}) if recipe else []

    def action_nudge(self) -> None:
        """Move by keys; again: turn instead of shifting; after the last, leave it."""
        count = len(self._handles())
        if not count:
            self.notify(_("Nothing of this processing is moved by keys."), markup=False)
            return
        handle = 0 if self._handle is None else self._handle + 1
        self._handle = handle if handle < count else None
        self._stop_cine()
        self._tell()

    def _move(self, place: int, by: int) -> bool:
        """Move what is moved by keys; False when nothing is."""
        if self._handle is None:
            return False
        handle = self._handles()[self._handle]
        self._moved |= handle.moved({**self._one["parameters"], **self._moved}, place, by * self._stride)
        self._tell()
        return True

    def action_apply(self) -> None:
        """Process again with what was moved."""
        if self._moved:
            self.repeat(self._one, {**self._one["parameters"], **self._moved})

    def step_back(self) -> bool:
        """Esc leaves the moving first, then the comparison."""
        if self._handle is not None:
            self._handle, self._moved = None, {}
            self._tell()
            return True
        if self.has_class("-compared"):
            self.remove_class("-compared")
            self.call_after_refresh(self._go)
            return True
        return False

    # -- beside the picture ------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        if not self.is_mounted:
            return
        tones = {tone: tone_colour(self, tone) for tone in TONES}
        self._put("whose", self._whose(tones))
        self._put("moving", self._moving())
        self.query_one("#moving").set_class(self._handle is not None, "-on")
        self._put("now-caption", self._caption(self._steps.stage, self._seen["id"]))
        if compared := self._compared():
            self._put("earlier-caption", self._caption(compared[1], compared[0]))
        self._put("told", self._told(tones))

    def _put(self, name: str, content: str | Text) -> None:
        put(self.query_one(f"#{name}", Static), self._said, content)

    def _whose(self, tones: Mapping[str, str]) -> Text:
        one, cell = self._one, state_cell(self._one, ascii_only=self.desk.ascii)
        text = Text(f"{who(one)}  {one['patient_number']}  {one['accession']}  {one['procedure']}  ", end="")
        text.append(f"{_(one['title'])}  ", "bold")
        return text.append(cell.text + cell.tail, tones.get(cell.tone, ""))

    def _moving(self) -> str:
        if self._handle is None:
            return ""
        handle = self._handles()[self._handle]
        now = {**self._one["parameters"], **self._moved}
        hint = _("Enter processes again") if self._moved else _("arrows, page up and down move it")
        return f"{handle_words(handle, now, self._stride)}  {hint}"

    def _caption(self, stage: Mapping[str, Any] | None, number: int) -> str:
        if stage is None:
            return ""
        frame, grid, frames = min(self._steps.frame, stage["frames"] - 1), self._look.grid, stage["frames"]
        first = frame - frame % grid
        several = f"{first + 1}-{min(first + grid, frames)}/{frames}"
        shown = several if grid > 1 else place(stage, frame)
        before = _("before: ") if number != self._one["id"] else ""
        return f"{before}{shown}  {_(stage['title'])}"

    def _told(self, tones: Mapping[str, str]) -> Text:
        one, pane = self._one, self._pane("now")
        text = complaints(one, tones)
        text.append("\n" if text else "")
        if one["state"] in UNDER_WAY and self._steps.stage is not None:
            text.append(f"{self._waiting_words()}\n\n", tones["warn"])
        text.append_text(stages_told(self._seen["stages"], self._steps.number, self.query_one("#told").size.width))
        if self._steps.stage is not None and pane.numbers and self._steps.stage["kind"] != "picture":
            text.append_text(self._picture_told(pane.numbers))
        text.append_text(parameters_told(one, self.recipes.get(one["recipe"])))
        return text.append_text(numbers_told(one["numbers"], plain=self.desk.ascii))

    def action_tell(self) -> None:
        """Read all that is known of it, where the terminal has no room beside the picture."""
        recipe, now = self.recipes.get(self._one["recipe"]), self.desk.now()
        text = about(self._one, recipe, now, {}, plain=self.desk.ascii).plain
        self.app.push_screen(Read(_(self._one["title"]), text))

    def _picture_told(self, numbers: Mapping[str, Any]) -> Text:
        """Say the numbers of the picture on the screen: they always state count range and window."""
        text, window, unit = Text(), numbers["window"], numbers["unit"]
        aside = "" if self._look.window else "  " + _("(automatic)")
        line(text, _("Window"), f"{figure(window['lower'])} - {figure(window['upper'])}{aside}")
        line(text, _("Range"), f"{figure(numbers['minimum'])} - {figure(numbers['maximum'])} {unit}")
        line(text, _("Total"), f"{figure(numbers['total'])} {unit}")
        line(text, _("Colours"), numbers["palette"].replace("_", " "))
        return text.append("\n")

    def on_resize(self) -> None:
        """Lay both pictures out anew."""
        super().on_resize()
        self.call_after_refresh(self._go)
