"""How a command is declared and how it answers: common options, JSON or prose."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from datetime import date, datetime
from typing import Any, NoReturn

from console.client import Client

Arguments = argparse.Namespace
Run = Callable[[Client, Arguments], Any]
Prose = Callable[[Any], str]


class OneLine(argparse.ArgumentParser):
    """A parser that says what was called wrongly in one line."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        self.exit(2, f"{self.prog}: {message}; see '{self.prog} --help'\n")


def command(commands: Any, name: str, run: Run, text: str, prose: Prose | None = None) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse's own
    """Declare a command: `run` asks the service and returns what `--json` prints; `prose` says it to a person."""
    other_spelling = [name.replace("-", "_")] if "-" in name else []
    parser: argparse.ArgumentParser = commands.add_parser(name, aliases=other_spelling, help=text, description=text)
    common_options(parser)
    parser.set_defaults(run=run, prose=prose or plainly)
    return parser


def common_options(parser: argparse.ArgumentParser) -> None:
    """Declare what every command takes, before its name or after it."""
    later = argparse.SUPPRESS  # or the command's default would undo what stands before its name
    parser.add_argument("--server", metavar="URL", default=later, help="the service (default PHOTOPEAK_SERVER)")
    parser.add_argument("--site", metavar="CODE", default=later, help="the institution meant; refused when not yours")
    parser.add_argument("--json", action="store_true", default=later, help="print one JSON object or list")


def spelled(text: str) -> str:
    """Read a word of the vocabulary, written with hyphens or underscores."""
    return text.replace("-", "_")


def noun(commands: Any, name: str, text: str) -> Any:  # noqa: ANN401 - argparse's own
    """Declare a noun and return where its verbs go."""
    return commands.add_parser(name, help=text, description=text).add_subparsers(metavar="ACTION", required=True)


def plainly(answer: object) -> str:
    """Say any answer as indented lines."""
    if isinstance(answer, list):
        return "\n".join(plainly(one) for one in answer) if answer else "none"
    if isinstance(answer, dict):
        return "\n".join(f"{name:22} {_cell(value)}" for name, value in answer.items()) + "\n"
    return str(answer)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def given(arguments: Arguments, *names: str) -> dict[str, Any]:
    """Return the named options that were given, as the body of a request."""
    return {name: value for name in names if (value := getattr(arguments, name)) is not None}


def moment(text: str) -> str:
    """Read a time: RFC 3339, 'YYYY-MM-DD HH:MM' or HH:MM of today, in this machine's zone unless it says another.

    Raises
    ------
    argparse.ArgumentTypeError
        When it is none of these.
    """
    try:
        if len(text) in {4, 5} and ":" in text:
            text = f"{date.today()}T{text:0>5}"  # noqa: DTZ011 - the person's own day
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        msg = f"'{text}' is no time: write 2026-10-02T09:30:00+08:00, '2026-10-02 09:30' or 09:30"
        raise argparse.ArgumentTypeError(msg) from None
    return (at if at.tzinfo else at.astimezone()).isoformat()
