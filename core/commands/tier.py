"""`photopeakd tier`: what is old to the archive tier and back, second copies, and the codecs there are."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

from core.commands import Arguments, bar, command, operator, say
from core.dicom.codecs import rules
from core.dicom.codecs.table import TABLE
from core.opening import open_records
from core.service import open_keeper, open_tiering
from core.settings import Settings
from core.workflow import tiering
from core.workflow.tiering import GRACE, Tiering, Told

_MINUTES = int(GRACE.total_seconds() // 60)


def add_to(commands: Any) -> None:  # noqa: ANN401 - argparse's own
    """Declare the commands."""
    kinds = commands.add_parser("tier", help="the archive behind the online store, and second copies")
    actions = kinds.add_subparsers(required=True, metavar="ACTION")
    moving = command(actions, "move", _move, "move what is old to the archive tier, each file proven before it goes")
    moving.add_argument("--older-than", type=int, metavar="DAYS", help="days since it came (the setting online_days)")
    copying = command(actions, "copy", _copy, "keep a second copy of every object that has none")
    for limited in (moving, copying):
        limited.add_argument("--limit", type=int, metavar="N", help="at most N objects")
    back = command(actions, "recall", _recall, "bring a study back online, byte for byte as it came")
    back.add_argument("study", metavar="STUDY_UID")
    leaving = command(actions, "clean", _clean, "remove the files that moves left behind")
    leaving.add_argument("--grace", type=int, default=_MINUTES, metavar="MINUTES", help=f"left longer ago ({_MINUTES})")
    command(actions, "status", _status, "tell what each tier holds")
    command(actions, "codecs", _codecs, "list the codecs there are, and the rules in force")


def _open(given: Settings) -> Tiering:
    return open_tiering(given, open_records(given), open_keeper(given))


def _move(given: Settings, arguments: Arguments) -> int:
    days = given.online_days if arguments.older_than is None else arguments.older_than
    with bar("move") as draw:
        told = _open(given).move(operator(given), timedelta(days=days), draw, most=arguments.limit)
    return _say(arguments, told, "moved to the archive tier")


def _copy(given: Settings, arguments: Arguments) -> int:
    with bar("copy") as draw:
        told = _open(given).back_up(operator(given), draw, most=arguments.limit)
    return _say(arguments, told, "copied")


def _recall(given: Settings, arguments: Arguments) -> int:
    with bar("recall") as draw:
        told = _open(given).recall(operator(given), arguments.study, draw)
    return _say(arguments, told, "brought back online")


def _say(arguments: Arguments, told: Told, done: str) -> int:
    for fault in told.faults:
        print(f"photopeakd: {fault['fault']}", file=sys.stderr)
    facts = {
        "objects": told.objects, "bytes_before": told.bytes_before, "bytes_after": told.bytes_after,
        "ratio": round(told.ratio, 3), "codecs": dict(told.codecs), "faults": told.faults,
    }  # fmt: skip
    say(arguments, facts, f"{told.objects} objects {done}, {told.ratio:.2f}:1; {len(told.faults)} left as they are")
    return 1 if told.faults else 0


def _clean(given: Settings, arguments: Arguments) -> None:
    removed = _open(given).let_go(timedelta(minutes=arguments.grace))
    say(arguments, {"removed": removed}, f"{removed} files removed")


def _status(given: Settings, arguments: Arguments) -> None:
    with open_records(given).reading() as work:
        facts = tiering.state(work, operator(given))
    lines = [
        f"{tier:8} {held.title:44} {held.objects:9} objects {held.bytes:16} bytes"
        for tier, rows in facts.tiers.items()
        for held in rows
    ]
    copies = f"copies   {facts.copies} objects, {facts.lossy_copies} of them lossy, {facts.copied_bytes} bytes"
    say(arguments, facts.as_json(), "\n".join([*lines, copies]))


def _codecs(given: Settings, arguments: Arguments) -> None:
    table = [
        {
            "name": codec.name, "transfer_syntax": codec.syntax, "title": codec.title, "lossless": codec.lossless,
            "library": codec.library, "licence": codec.licence, "available": codec.available,
        }
        for codec in TABLE
    ]  # fmt: skip
    written = [str(rule) for rule in rules.read(given.codecs)]
    lines = [
        f"{'' if one['available'] else 'absent: '}{one['name']:15} {'lossless' if one['lossless'] else 'lossy':9}"
        f"{one['title']:44} {one['library']} ({one['licence']})"
        for one in table
    ]
    say(arguments, {"codecs": table, "rules": written}, "\n".join([*lines, "", *written]))
