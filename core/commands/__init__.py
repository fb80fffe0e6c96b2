"""How photopeakd's commands are declared and speak: one command is one call, and its answer is printed."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel

from core import access
from core.access import Actor
from core.settings import Settings

Arguments = argparse.Namespace
Item = TypeVar("Item")
_BAR = 30
Run = Callable[[Settings, Arguments], int | None]


class OneLine(argparse.ArgumentParser):
    """A parser that says what was called wrongly in one line."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.exit(2, f"{self.prog}: {message}; see '{self.prog} --help'\n")


def command(commands: Any, name: str, run: Run, text: str) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse's own
    """Declare a command and the options every command has."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("--data", metavar="DIR", help="the data folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object or list")
    parser.set_defaults(command=run)
    return parser


def operator(given: Settings) -> Actor:
    """Return the person at the command line."""
    return access.operator(getpass.getuser(), given.site)


def say(arguments: Arguments, facts: object, prose: str) -> None:
    """Print facts as JSON where it was asked for, else as prose."""
    write(json.dumps(_plain(facts), ensure_ascii=False, indent=2) if arguments.json else prose)


def write(text: str) -> None:
    """Print; a reader that has heard enough (head, less) is no fault."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def spelled(text: str) -> str:
    """Read a word of the vocabulary, written with hyphens or underscores."""
    return text.replace("-", "_")


def _plain(facts: object) -> object:
    if isinstance(facts, BaseModel):
        return facts.model_dump(mode="json", by_alias=True)
    return [_plain(fact) for fact in facts] if isinstance(facts, list) else facts


def progress(items: Sequence[Item], what: str) -> Iterator[Item]:
    """Yield items, and on a terminal draw how far that has come."""
    with bar(what) as draw:
        for done, item in enumerate(items, 1):
            yield item
            draw(done, len(items))


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Give `draw(done, of)`, which draws on a terminal how far something has come, and nothing elsewhere."""
    shown = sys.stderr.isatty()
    drawn = False

    def draw(done: int, of: int) -> None:
        nonlocal drawn
        drawn = shown
        if shown:
            filled = _BAR * min(done, of) // max(of, 1)
            print(f"\r{what} [{'#' * filled}{'.' * (_BAR - filled)}] {done}/{max(of, done)}", end="", file=sys.stderr)

    try:
        yield draw
    finally:
        if drawn:
            print(file=sys.stderr)
