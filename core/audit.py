"""Who did what: a chain of entries, each hash covering the entry and the hash before it.

Entries are written in the transaction of the act itself; a chain that does not verify was changed by hand.
"""

from __future__ import annotations

import hashlib
import json

from sqlmodel import col, select

from core.access import Actor
from core.model import AuditEntry
from core.records import Work

START = "0" * 64


def record(work: Work, actor: Actor, action: str, subject: str, **detail: object) -> AuditEntry:
    """Append an entry; `action` is a verb phrase such as `report.sign`, `subject` a number or UID."""
    work.session.flush()
    last = work.session.exec(select(AuditEntry.hash).order_by(col(AuditEntry.id).desc()).limit(1)).first()
    entry = AuditEntry(
        site=actor.site, at=work.now, actor=str(actor), actor_kind=actor.kind, action=action, subject=subject,
        detail=json.loads(json.dumps(detail, default=str)), previous=last or START, hash="",
    )  # fmt: skip
    entry.hash = link(entry)
    work.session.add(entry)
    work.session.flush()
    return entry


def link(entry: AuditEntry) -> str:
    """Return the hash that binds `entry` to the one before it."""
    said = [
        entry.previous,
        entry.site,
        entry.at.isoformat(),
        entry.actor,
        entry.actor_kind,
        entry.action,
        entry.subject,
    ]
    text = json.dumps([*said, entry.detail], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def broken_link(work: Work) -> int | None:
    """Return the id of the first entry that does not follow from the one before it; None when the chain holds."""
    previous = START
    for entry in work.session.exec(select(AuditEntry).order_by(col(AuditEntry.id))).yield_per(1000):
        if entry.previous != previous or entry.hash != link(entry):
            return entry.id
        previous = entry.hash
    return None
