"""What photopeak says of itself: its DICOM conformance statement and the description of its HTTP API."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.commands import Arguments, command, say, write
from core.dicom import conformance as spoken
from core.scp import OFFERED
from core.settings import Settings


def add_to(commands: Any) -> None:  # noqa: ANN401 - argparse's own
    """Declare the commands."""
    command(commands, "conformance", _conformance, "print the DICOM conformance statement, in Markdown")
    command(commands, "openapi", _openapi, "print the description of the HTTP API, in JSON")


def _conformance(_given: Settings, arguments: Arguments) -> None:
    facts = [
        {"service": each.name, "role": each.role, "sop_classes": list(each.uids), "part": each.part}
        | {"transfer_syntaxes": list(each.transfer_syntaxes)}
        for each in OFFERED
    ]
    say(arguments, facts, spoken.statement(OFFERED))


def _openapi(given: Settings, _arguments: Arguments) -> None:
    from core.service import Service  # noqa: PLC0415 - slow to load, for this command alone

    with tempfile.TemporaryDirectory() as folder:  # the real one may be in use
        service = Service(replace(given, data=Path(folder), database="", store=""))
        write(json.dumps(service.app.openapi(), ensure_ascii=False, indent=2))
        service.stop()
