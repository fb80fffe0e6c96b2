"""How verifications of the archive, and the damage they found, are told in a list."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from console.widgets.cells import Cell
from console.widgets.people import clock, moment
from console.words import _

Item = Mapping[str, Any]
_STOPPED_AFTER = timedelta(minutes=2)


def proof_row(proof: Item, now: datetime) -> dict[str, Cell | str]:
    """Return one verification: how deep, how far, and what it found."""
    found = _("{objects} objects, {faults} faults").format(objects=proof["objects"], faults=proof["faults"])
    broken = proof["audit_chain_broken_at"]
    changed = _("the audit trail was changed at entry {entry}").format(entry=broken) if broken is not None else ""
    return {
        "what": _("every byte") if proof["deep"] else _("presence and size"),
        "state": _state(proof, now),
        "when": clock(proof["ended_at"] or proof["started_at"], now),
        "more": "  ".join(part for part in (found, changed, proof["by"]) if part),
    }


def _state(proof: Item, now: datetime) -> Cell:
    if proof["ended_at"]:
        harmed = proof["faults"] or proof["audit_chain_broken_at"] is not None
        return Cell(_("damage found"), "bad") if harmed else Cell(_("all is whole"), "good")
    percent = f"{proof['done'] / max(1, proof['of']):.0%}"
    words = _("at {percent}") if is_running(proof, now) else _("stopped at {percent}")
    return Cell(words.format(percent=percent), "warn")


def is_running(proof: Item, now: datetime) -> bool:
    """Whether a verification goes on: it has not ended, and moved lately."""
    moved = moment(proof["moved_at"])
    return proof["ended_at"] is None and moved is not None and now - moved < _STOPPED_AFTER


def damage_row(damage: Item, now: datetime) -> dict[str, Cell | str]:
    """Return one damaged object, and what depends on it."""
    resting = [_("under {report}").format(report=one) for one in damage["reports"]]
    return {
        "what": ", ".join(damage["exams"]) or _("not filed"),
        "state": Cell(damage["fault"], "bad"),
        "when": clock(damage["found_at"], now),
        "more": "  ".join([*resting, damage["sop_instance_uid"]]),
    }
