"""The same operations without a screen: for scripts, screen readers and tests.

Each noun has its room and adds its commands; `--json` prints one object or one list and nothing else.
"""

from __future__ import annotations

import json
import os
import sys

from console.client import DEFAULT_SERVER, Client, ServiceAway, ServiceRefused, TokenFile
from console.line import consult, dose, exam, images, patient, process, report, session
from console.line.speaking import Arguments, OneLine, common_options

_ROOMS = (session, patient, exam, dose, images, process, report, consult)


def main(argv: list[str]) -> int:
    """Run one command; 0 done, 1 refused or failed, 2 called wrongly."""
    arguments = _parser().parse_args(argv)
    server = arguments.server or os.environ.get("PHOTOPEAK_SERVER") or DEFAULT_SERVER
    client = Client(server, TokenFile(server).read())
    try:
        _stay_at(client, arguments)
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


def _stay_at(client: Client, arguments: Arguments) -> None:
    """Refuse to work at another site than the one named by --site; a login has no site before it."""
    if arguments.site is None or client.token is None:
        return
    me = client.get("session")
    if me["site"] != arguments.site:
        msg = f"{me['username']} works at {me['site']}, not at {arguments.site}: sign in as somebody of that site"
        raise ValueError(msg)


def _say(text: str) -> None:
    """Print; a reader that has heard enough (head, less) is no fault."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> OneLine:
    text = "The console of photopeak, and its operations line by line."
    parser = OneLine(prog="photopeak", description=text)
    common_options(parser)
    parser.set_defaults(server=None, site=None, json=False)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for room in _ROOMS:
        room.add_to(commands)
    return parser
