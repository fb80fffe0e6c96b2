"""How a command is declared and how it answers: common options, JSON or prose."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from console.client import Client

Arguments = argparse.Namespace
Run = Callable[[Client, Arguments], Any]
Prose = Callable[[Any], str]


def command(commands: Any, name: str, run: Run, text: str, prose: Prose | None = None) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse's own
    """Declare a command: `run` asks the service and returns what `--json` prints; `prose` says it to a person."""
    other_spelling = [name.replace("-", "_")] if "-" in name else []
    parser: argparse.ArgumentParser = commands.add_parser(name, aliases=other_spelling, help=text, description=text)
    parser.add_argument("--server", metavar="URL", help="the service (default PHOTOPEAK_SERVER)")
    parser.add_argument("--site", metavar="CODE", help="the institution, where one has several")
    parser.add_argument("--json", action="store_true", help="print one JSON object or list")
    parser.set_defaults(run=run, prose=prose or plainly)
    return parser


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
    """Return a time as RFC 3339: HH:MM is today, and what has no zone is local.

    Raises
    ------
    ValueError
        When it cannot be read.
    """
    written = f"{datetime.now().astimezone():%Y-%m-%d} {text}" if len(text) <= len("HH:MM:SS") and ":" in text else text
    try:
        return datetime.fromisoformat(written).astimezone().isoformat()
    except ValueError as error:
        msg = f"'{text}' is not a time: write HH:MM, YYYY-MM-DD HH:MM, or RFC 3339"
        raise ValueError(msg) from error
