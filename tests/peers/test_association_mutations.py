"""Recorded associations with anything wrong in them are answered or hung up on; nothing breaks, hangs or grows."""

from __future__ import annotations

import pytest

from tests.peers.mutating import endure


@pytest.mark.peer("echoscu", "storescu", "findscu", "getscu")
def test_a_thousand_mutations_break_nothing() -> None:
    """The full count is run by tests/bench/hostile.py."""
    done = endure(1000, seed=11)
    assert done.broke_off == []
    assert done.hung == []
    assert (done.left_open, done.threads) == (0, 0)
    assert done.grown_mb < 32
