"""One picture of the viewer: it asks for what it is to show, the newest wish first, and then for what comes next.

One question is under way at a time; a late answer is kept but never shown over a newer one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from textual.message import Message
from textual.strip import Strip

from console.client import ServiceAway, ServiceRefused
from console.widgets.picture import Drawn, Picture
from console.widgets.reel import Album, Question, Shot, Size

Fetch = Callable[[Question], Mapping[str, Any]]
_SIGNED_OUT = 401


class Pane(Picture):
    """A place for pictures; `kind` says what of a series it shows (frames, or a plane), `side` which series."""

    class Shown(Picture._Of):  # noqa: SLF001 - a message of a picture too
        """What is wanted is on the screen."""

    class Failed(Message):
        """The service is away, or does not know us any more."""

        def __init__(self, error: ServiceRefused | ServiceAway) -> None:
            super().__init__()
            self.error = error

    class _Arrived(Message):
        def __init__(self, question: Question, shot: Shot | ServiceRefused | ServiceAway) -> None:
            super().__init__()
            self.question, self.shot = question, shot

    def __init__(self, fetch: Fetch, album: Album, kind: str, side: int, *, characters: bool = False) -> None:
        super().__init__(characters=characters)
        self.kind, self.side = kind, side
        self.wanted: Question | None = None
        self.shown: Question | None = None
        self._fetch, self._album = fetch, album
        self._coming: tuple[Question, ...] = ()
        self._asked: Question | None = None  # under way
        self._refused: dict[Question, str] = {}

    @property
    def room(self) -> Size:
        """Rows and columns of cells there are; zero before it is laid out."""
        return self.size.height, self.size.width

    @property
    def settled(self) -> bool:
        """Whether what is wanted is on the screen, or cannot be."""
        return self.wanted is not None and (self.wanted == self.shown or self.wanted in self._refused)

    @property
    def shot(self) -> Shot | None:
        """The picture on the screen."""
        return self._album.get(self.shown) if self.shown else None

    @property
    def numbers(self) -> Mapping[str, Any]:
        """The numbers of the picture on the screen."""
        return shot.numbers if (shot := self.shot) else {}

    def want(self, question: Question | None, coming: Sequence[Question] = ()) -> None:
        """Show this; and when there is time, ask for what may be wanted next."""
        self.wanted, self._coming = question, tuple(coming)
        self._go()

    def empty(self, words: str = "") -> None:
        """Show words in place of a picture, and ask for none."""
        self.wanted, self._coming, self.shown = None, (), None
        self.say(words)

    def _go(self) -> None:
        wanted = self.wanted
        if wanted and wanted != self.shown and (shot := self._album.get(wanted)):
            self.shown = wanted
            self.show(shot.strips or self.painter()(shot.drawn))
            self.post_message(self.Shown(self))
        elif wanted in self._refused:
            self.say(self._refused[wanted])
            self.shown = None
        self.pump()

    def pump(self) -> None:
        """Ask for what is missing, unless something is under way or nobody sees it."""
        if self._asked is not None or self.wanted is None or not self.screen.is_current:
            return
        for question in (self.wanted, *self._coming):
            if question not in self._album and question not in self._refused:
                self._asked = question
                self.run_worker(partial(self._bring, question, self.painter()), thread=True, group="picture")
                return

    def _bring(self, question: Question, paint: Callable[[Drawn], list[Strip]]) -> None:
        try:
            answer = self._fetch(question)
            drawn = Drawn.from_wire(answer, labelled=question.labelled)
            numbers = {name: value for name, value in answer.items() if name not in {"pixels", "colours"}}
            shot: Shot | ServiceRefused | ServiceAway = Shot(drawn, numbers, paint(drawn))
        except (ServiceRefused, ServiceAway) as error:
            shot = error
        self.post_message(self._Arrived(question, shot))

    def on_pane__arrived(self, message: _Arrived) -> None:
        """Keep the answer; show it only if it is what is wanted now."""
        message.stop()
        self._asked = None
        if isinstance(message.shot, Shot):
            self._album.put(message.question, message.shot)
        elif isinstance(message.shot, ServiceRefused) and message.shot.status != _SIGNED_OUT:
            self._refused[message.question] = message.shot.detail
        else:
            self.post_message(self.Failed(message.shot))
            return
        if message.question == self.wanted:
            self._go()
        else:
            self.pump()
