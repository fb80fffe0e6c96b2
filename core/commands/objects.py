"""`photopeakd verify` and `reindex`: objects proven, and found again."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

from core import wire
from core.archive import proof
from core.commands import Arguments, bar, command, operator, progress, say
from core.opening import FolderLock, make_folder, open_records
from core.service import open_keeper
from core.settings import Settings
from core.workflow import integrity, recovery
from core.workflow.integrity import Verifier


def add_to(commands: Any) -> None:  # noqa: ANN401 - argparse's own
    """Declare the commands."""
    proving = command(commands, "verify", _verify, "prove that every acknowledged object is present and intact")
    proving.add_argument("--deep", action="store_true", help="read every byte")
    proving.add_argument("--resume", action="store_true", help="go on where the last one was stopped")
    command(commands, "reindex", _reindex, "rebuild the index from the files; refuses beside a running service")


# -- verify ----------------------------------------------------------------------------------------------------------


def _verify(given: Settings, arguments: Arguments) -> int:
    actor, records = operator(given), open_records(given)
    verifier = Verifier(records, open_keeper(given).store)
    with records.writing() as work:
        taken_up = integrity.unfinished(work, actor, deep=arguments.deep) if arguments.resume else None
        row = taken_up or integrity.begin(work, actor, deep=arguments.deep)
    try:
        with bar("verify") as draw:
            row = verifier.run(row.id or 0, draw)
    except KeyboardInterrupt:
        print(f"photopeakd: {_stopped(arguments)}", file=sys.stderr)
        raise
    with records.reading() as work:
        receipts, damages = proof.receipts(work), integrity.found_by(work, row)
    facts = {
        "objects": row.objects, "receipts": receipts, "bytes": row.bytes, "deep": row.deep, "resumed": bool(taken_up),
        "faults": [damage.model_dump(mode="json") for damage in damages], "audit_chain_broken_at": row.audit_broken_at,
    }  # fmt: skip
    lines = [line for damage in damages for line in _damage_lines(damage)]
    broken = row.audit_broken_at is not None
    lines += [f"the audit trail was changed by hand at entry {row.audit_broken_at}"] if broken else []
    count = len(damages) + broken
    ended = f"{count} fault{'s' * (count > 1)}" if count else "all present and intact" if row.deep else "all present"
    say(arguments, facts, "\n".join([*lines, f"{row.objects} objects, {receipts} receipts: {ended}"]))
    return 1 if count else 0


def _stopped(arguments: Arguments) -> str:
    deep = " --deep" if arguments.deep else ""
    return f"stopped; 'photopeakd verify{deep} --resume' goes on from here"


def _damage_lines(damage: wire.Damage) -> list[str]:
    depending = [f"  of exam {exam}" for exam in damage.exams] + [f"  under report {one}" for one in damage.reports]
    return [f"{damage.sop_instance_uid}: {damage.fault} ({damage.path})", *depending]


# -- reindex ---------------------------------------------------------------------------------------------------------


def _reindex(given: Settings, arguments: Arguments) -> int:
    make_folder(given)
    lock = FolderLock(given.data)
    lock.hold()
    try:
        keeper, records = open_keeper(given), open_records(given)
        files, apart = list(keeper.store.files()), list(keeper.store.files(recovery.APART))
        with records.writing() as work:
            shown = progress(files, "reindex")
            rebuilt = recovery.reindex(work, keeper, operator(given), shown, apart)
    finally:
        lock.release()
    for one in rebuilt.left_out:
        print(f"photopeakd: {one['path']}: {one['reason']}", file=sys.stderr)
    said = f"{rebuilt.objects} objects, {rebuilt.quarantined} kept apart, {len(rebuilt.left_out)} files left out"
    say(arguments, asdict(rebuilt), said)
    return 1 if rebuilt.left_out else 0
