"""The slip a patient takes along: who, what, when, by which number; plain text, printed or saved."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from console.widgets.cells import fit
from console.widgets.people import born, name
from console.words import _

_WIDTH = 40


def text(exam: Mapping[str, Any], site: str, now: datetime) -> str:
    """Return the slip, 40 cells wide."""
    when = exam["booked_at"] or exam["arrived_at"] or exam["registered_at"]
    at = datetime.fromisoformat(when).astimezone().strftime("%Y-%m-%d %H:%M")
    facts = [
        (_("Name"), name(exam, "patient_")),
        (_("Number"), exam["patient_number"]),
        (_("Born"), born(exam, "patient_")),
        (_("Exam"), exam["procedure_name"] or exam["procedure"]),
        (_("Booked for") if exam["booked_at"] else _("Arrived"), at),
        (_("Device"), exam["device"] or ""),
        (_("Accession"), exam["accession"]),
    ]
    lines = [f"{fit(label, 12)} {value}" for label, value in facts if value]
    printed = _("printed {time}").format(time=now.astimezone().strftime("%Y-%m-%d %H:%M"))
    return "\n".join([site, _("Nuclear medicine"), "-" * _WIDTH, *lines, "-" * _WIDTH, printed, ""])


def save(slip: str, accession: str, folder: Path | None = None) -> Path:
    """Write the slip beside the person's other files and say where."""
    path = (folder or Path.home()) / f"receipt-{accession}.txt"
    path.write_text(slip, encoding="utf-8")
    return path


def send_to_printer(slip: str) -> str:
    """Send the slip to the default printer; returns what went wrong, nothing when it went."""
    program = shutil.which("lp") or shutil.which("lpr")
    if program is None:
        return _("There is no printer here (neither lp nor lpr): save it instead.")
    try:
        subprocess.run([program], input=slip.encode(), check=True, timeout=20, capture_output=True)  # noqa: S603 - found on PATH, no shell
    except (OSError, subprocess.SubprocessError) as error:
        return _("The printer refused it: {error}").format(error=error)
    return ""
