"""photopeakd: the service and its administration.

Each command translates to one call and prints its answer: facts as `--json`, errors as one line on standard error.
Exit status 0, 1 when refused or failed, 2 when called wrongly.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import warnings
from collections.abc import Iterable, Sequence

from sqlalchemy.exc import SQLAlchemyError

from core import settings
from core.commands import OneLine
from core.errors import CoreError

ROOMS = {
    "serve": "serving", "staff": "staff", "site": "sites", "migrate": "sites", "device": "devices",
    "import": "importing", "verify": "objects", "reindex": "objects", "send": "sending", "fetch": "sending",
    "query": "sending", "print": "printing", "printer": "printing", "jobs": "jobs", "conformance": "papers",
    "openapi": "papers", "demo": "demo", "tier": "tier", "phantom": "phantoms",
}  # fmt: skip
"""Where each command stands; the others are not loaded, for the service behind some of them is slow to load."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    words = sys.argv[1:] if argv is None else argv
    rooms = [ROOMS[words[0]]] if words and words[0] in ROOMS else dict.fromkeys(ROOMS.values())
    arguments = parser(rooms).parse_args(words)
    _keep_values_quiet()
    try:
        given = settings.load(vars(arguments), os.environ)
        answer = arguments.command(given, arguments)
    except CoreError as error:
        print(f"photopeakd: {error.detail}", file=sys.stderr)
        return 1
    except (OSError, SQLAlchemyError) as error:
        print(f"photopeakd: {_cause(error)}: look at the data folder, its rights and the disk", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 1
    return answer if isinstance(answer, int) else 0


def _cause(error: OSError | SQLAlchemyError) -> str:
    """Name a fault in one line, without the statement and the values SQLAlchemy would quote."""
    cause = getattr(error, "orig", None) or error
    return f"{type(cause).__name__} ({str(cause).splitlines()[0]})" if str(cause) else type(cause).__name__


def _keep_values_quiet() -> None:
    """Keep the values pydicom quotes in its warnings out of logs: they may name patients."""
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module="pydicom")


def parser(rooms: Iterable[str]) -> OneLine:
    """Return what reads the commands of some rooms."""
    reader = OneLine(prog="photopeakd", description="The service of photopeak and its administration.")
    commands = reader.add_subparsers(required=True, metavar="COMMAND")
    for room in rooms:
        importlib.import_module(f"core.commands.{room}").add_to(commands)
    return reader


if __name__ == "__main__":
    sys.exit(main())
