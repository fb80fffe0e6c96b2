"""`photopeakd import`: files in, whatever they are."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from core import audit
from core.archive.keeper import Outcome
from core.commands import Arguments, command, operator, progress, say
from core.dicom.convert import Subject
from core.errors import CoreError, Invalid
from core.opening import open_records
from core.service import open_keeper
from core.settings import Settings
from core.workflow import intake
from core.workflow.intake import Brought, Intake
from core.workflow.reception import Reception

_CONTENTS = "DICOMDIR"
_COUNTS = frozenset({".img", ".i33", ".ima"})
_LISTED = 500


def add_to(commands: Any) -> None:  # noqa: ANN401 - argparse's own
    """Declare the command."""
    bringing = command(commands, "import", _import, "take files or folders into the archive: DICOM, or made so")
    bringing.add_argument("paths", nargs="+", metavar="PATH")
    whose = bringing.add_argument_group("whom pictures, papers and Interfile are of")
    whose.add_argument("--exam", metavar="ACCESSION", help="a registered exam, which knows it all")
    whose.add_argument("--patient-id", metavar="NUMBER")
    whose.add_argument("--patient-name", metavar="NAME", help="as DICOM has it: Zhang^Wei=张^伟")
    whose.add_argument("--birth-date", metavar="YYYY-MM-DD")
    whose.add_argument("--sex", choices=("M", "F", "O"), default="")
    whose.add_argument("--accession", metavar="NUMBER", default="")
    whose.add_argument("--description", metavar="TEXT", default="")


def _import(given: Settings, arguments: Arguments) -> int:
    actor, records = operator(given), open_records(given)
    bringing = Intake(Reception(records, open_keeper(given)))
    subject = _subject(given, arguments)
    brought: list[tuple[Path, Brought]] = []
    refused: list[dict[str, str]] = []
    for path in progress(_files(arguments.paths), "import"):
        try:
            brought.append((path, bringing.bring(actor, path, subject)))
        except (CoreError, OSError) as error:
            reason = str(error) if path.exists() else "there is no such file or folder"
            refused.append({"path": str(path), "reason": reason})
            print(f"photopeakd: {path}: {reason}", file=sys.stderr)
    facts = _facts(brought, refused)
    with records.writing() as work:
        counted = {name: value for name, value in facts.items() if isinstance(value, int)}
        audit.record(work, actor, "object.import", "", **counted, refused=len(refused))
    say(arguments, facts, "\n".join(_lines(brought, facts)))
    return 1 if refused else 0


def _facts(brought: list[tuple[Path, Brought]], refused: list[dict[str, str]]) -> dict[str, Any]:
    outcomes = Counter(one.outcome for _, one in brought)
    mended = [
        {"path": str(path), "sop_instance_uid": one.sop_uid, "kind": one.kind, "repairs": list(one.repairs)}
        for path, one in brought
        if one.repairs
    ]
    return {
        "imported": outcomes[Outcome.STORED], "already": outcomes[Outcome.ALREADY],
        "quarantined": outcomes[Outcome.QUARANTINED], "mended": len(mended), "repairs": mended[:_LISTED],
        "refused": refused,
    }  # fmt: skip


def _lines(brought: list[tuple[Path, Brought]], facts: dict[str, Any]) -> Iterator[str]:
    for path, one in brought[:_LISTED]:
        yield from (f"{path}: {repair}" for repair in one.repairs)
    yield (
        f"imported {facts['imported']}, already there {facts['already']}, kept apart {facts['quarantined']},"
        f" mended {facts['mended']}"
    )


def _subject(given: Settings, arguments: Arguments) -> Subject | None:
    """Whom the files are of: a registered exam, or what was said; None where nothing was."""
    if arguments.exam:
        with open_records(given).reading() as work:
            return intake.subject_of(work, operator(given), arguments.exam, arguments.description)
    if not arguments.patient_id and not arguments.patient_name:
        return None
    if not (arguments.patient_id and arguments.patient_name):
        raise Invalid("give both --patient-id and --patient-name, or --exam")
    try:
        born = date.fromisoformat(arguments.birth_date) if arguments.birth_date else None
    except ValueError as error:
        raise Invalid(f"'{arguments.birth_date}' is not a date: write YYYY-MM-DD") from error
    return Subject(
        arguments.patient_id, arguments.patient_name, born, arguments.sex, arguments.accession,
        description=arguments.description,
    )  # fmt: skip


def _files(given: list[str]) -> list[Path]:
    """Return every file of the paths given, in order; tables of contents and counts beside a header are no objects."""
    found: list[Path] = []
    for path in map(Path, given):
        if path.is_dir():
            for folder, folders, names in os.walk(path):
                folders.sort()
                found += [Path(folder) / name for name in sorted(names) if not _belongs(Path(folder) / name)]
        else:
            found.append(path)
    return found


def _belongs(path: Path) -> bool:
    """Whether a file in a folder is part of others."""
    if path.name.upper() == _CONTENTS:
        return True
    headers = (path.with_suffix(end) for end in (".hdr", ".h33", ".HDR"))
    return path.suffix.lower() in _COUNTS and any(header.is_file() for header in headers)
