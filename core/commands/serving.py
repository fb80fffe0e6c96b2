"""photopeakd serve."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from typing import Any

from core.commands import Arguments, command, say
from core.errors import place_of
from core.service import Service
from core.settings import Settings


def add_to(commands: Any) -> None:  # noqa: ANN401 - argparse's own
    """Declare the command."""
    serve = command(commands, "serve", _serve, "run the service until SIGTERM")
    serve.add_argument("--http", metavar="HOST:PORT")
    serve.add_argument("--dicom", metavar="HOST:PORT")
    serve.add_argument("--aet")
    serve.add_argument("--known-only", action="store_const", const=True, help="answer registered devices only")


def _serve(given: Settings, arguments: Arguments) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    for handler in logging.getLogger().handlers:
        handler.addFilter(without_values)
    threading.excepthook = _say_thread_ended
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    service = Service(given)
    service.start()
    signal.signal(signal.SIGHUP, lambda *_: service.reload())
    said = {
        "http": f"{given.http_address[0]}:{service.http_port}",
        "dicom": f"{given.dicom_address[0]}:{service.dicom_port}",
        "aet": given.aet, "data": str(given.data), "pid": os.getpid(),
    }  # fmt: skip
    say(arguments, said, "photopeakd serves {data} on http {http} and, as {aet}, on dicom {dicom}".format(**said))
    sys.stdout.flush()
    ended.wait()
    service.stop()
    return 0


def without_values(record: logging.LogRecord) -> bool:
    """Let a record say what went wrong and where, without the exception's text: it may name a patient."""
    error = record.exc_info[1] if record.exc_info else None
    if error:
        record.msg = f"{record.getMessage().strip()}: {type(error).__name__} in {place_of(error)}"
        record.args = record.exc_info = record.exc_text = None
    return True


def _say_thread_ended(ended: threading.ExceptHookArgs) -> None:
    """Log that a thread broke off, in one line without the exception's text: it may hold what a device sent."""
    name, place = ended.thread.name if ended.thread else "?", place_of(ended.exc_value)
    logging.getLogger("photopeakd").warning("thread %s broke off: %s in %s", name, ended.exc_type.__name__, place)
