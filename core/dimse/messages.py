"""DIMSE messages: command sets as PS3.7 has them, always Implicit VR Little Endian."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Status:
    """What a peer, or we, said to a request: the status (PS3.7 C) and its Error Comment."""

    code: int
    comment: str = ""
