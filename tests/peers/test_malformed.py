"""Whatever a peer sends, the service answers it or hangs up, stays up, and lets go of everything."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.peers.malformed import endure
from tests.peers.process import Photopeakd


def endured(folder: Path, share: float) -> tuple[int, str]:
    """Run the cases against a service of its own; return their number and what was left of threads and files."""
    with Photopeakd(folder / "data", artim_seconds=2, idle_seconds=3) as service:
        assert service.call("echoscu").returncode == 0
        threads, files = service.threads(), service.open_files()
        count = endure(service.port, share, lambda: service.process.poll() is None)
        until = time.monotonic() + 30
        while (service.threads() > threads + 2 or service.open_files() > files + 4) and time.monotonic() < until:
            time.sleep(0.5)
        left = f"{service.threads()} threads after {threads}, {service.open_files()} files after {files}"
        assert service.threads() <= threads + 2, left
        assert service.open_files() <= files + 4, left
        assert service.call("echoscu").returncode == 0
        assert service.ready()
        assert not list((service.folder / "archive" / ".incoming").iterdir())
        assert service.verified()["faults"] == []
        assert not Path("/tmp/escaped").exists()
        log = service.log.read_text(errors="replace")
    assert "Traceback" not in log, log[-3000:]
    assert "CompressedSamples" not in log, "the log names a patient"
    return count, left


@pytest.mark.slow
@pytest.mark.peer("echoscu")
def test_malformed_peers_are_answered_or_dropped_and_nothing_leaks(tmp_path: Path) -> None:
    count, _ = endured(tmp_path, share=0.2)
    assert count >= 40
