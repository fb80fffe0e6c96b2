"""The same operations without a screen: for scripts, screen readers and tests.

Each noun has its room and adds its commands; `--json` prints one object or one list and nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import sys

from console.client import DEFAULT_SERVER, Client, ServiceAway, ServiceRefused, TokenFile
from console.line import consult, dose, exam, images, patient, report, session

_ROOMS = (session, patient, exam, dose, images, report, consult)


def main(argv: list[str]) -> int:
    """Run one command; 0 done, 1 refused or failed, 2 called wrongly."""
    arguments = _parser().parse_args(argv)
    server = arguments.server or os.environ.get("PHOTOPEAK_SERVER") or DEFAULT_SERVER
    client = Client(server, TokenFile(server).read())
    try:
        answer = arguments.run(client, arguments)
    except (ServiceRefused, ServiceAway) as error:
        print(f"photopeak: {error.detail}", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f"photopeak: {error}", file=sys.stderr)
        return 1
    finally:
        client.close()
    if answer is not None:
        _say(json.dumps(answer, ensure_ascii=False, indent=2) if arguments.json else arguments.prose(answer))
    return 0


def _say(text: str) -> None:
    """Print; a reader that has heard enough (head, less) is no fault."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    text = "The console of photopeak, and its operations line by line."
    parser = argparse.ArgumentParser(prog="photopeak", description=text)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for room in _ROOMS:
        room.add_to(commands)
    return parser
