"""Kill the service again and again while four senders work, and hold it to every object it acknowledged."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pydicom

from tests.peers.process import Photopeakd, acknowledged, slices

SENDERS = 4
_BEGIN_WITHIN = 20


def killed_under_load(
    folder: Path, rounds: int, *, per_sender: int = 40, seed: int = 7, tell: Callable[[str], None] = lambda _: None
) -> int:
    """Send from four senders, kill at a random moment, restart; return how many objects were acknowledged.

    Everything acknowledged must be there and intact, nothing half visible, nothing repaired by hand; and what was not
    acknowledged is taken when it is sent again.
    """
    chance = random.Random(seed)
    service = Photopeakd(folder / "data")
    kept: dict[str, Path] = {}
    for number in range(rounds):
        service.start()
        folders = [_own(folder / f"r{number}s{sender}", per_sender, sender) for sender in range(SENDERS)]
        senders = [_sender(service, each) for each in folders]
        _wait_for_work(service)
        time.sleep(chance.uniform(0.0, 1.5))
        service.kill()
        said = [sender.communicate(timeout=60)[0].decode("utf-8", "replace") for sender in senders]
        answered = [Path(file) for text in said for file in acknowledged(text)]
        kept |= {_uid(path): path for path in answered}
        tell(f"round {number + 1}: {len(answered)} acknowledged before the kill, {len(kept)} in all")
    service.start()
    try:
        _hold_to(service, kept)
        last = folder / f"r{rounds - 1}s0"
        again = service.call("storescu", "-v", "-R", "+sd", last)
        assert len(acknowledged(again.stdout)) == per_sender, again.stdout[-1000:]
        _hold_to(service, kept)
    finally:
        service.stop()
    return len(kept)


def _wait_for_work(service: Photopeakd) -> None:
    """Wait until something arrives: a kill before that proves nothing."""
    before, until = service.rows("select count(*) from receipt"), time.monotonic() + _BEGIN_WITHIN
    while service.rows("select count(*) from receipt") == before and time.monotonic() < until:
        time.sleep(0.02)


def _own(folder: Path, count: int, sender: int) -> Path:
    slices(folder, count, number=f"P{sender}", size=64)
    return folder


def _sender(service: Photopeakd, folder: Path) -> subprocess.Popen[bytes]:
    command = ["storescu", "-v", "-R", "+sd", "-aec", "PHOTOPEAK", "127.0.0.1", str(service.port), str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def _uid(path: Path) -> str:
    return str(pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"]).SOPInstanceUID)


def _hold_to(service: Photopeakd, kept: dict[str, Path]) -> None:
    there = {uid for (uid,) in service.rows("select sop_uid from image")}
    assert kept.keys() <= there, f"{len(kept.keys() - there)} acknowledged objects are lost"
    service.verified()
    half = service.rows(
        "select batch.id from batch left join image on image.batch_id = batch.id"
        " group by batch.id having batch.received != count(image.id)"
    )
    assert half == []
    assert service.rows("select count(*) from receipt") >= [(len(there),)]
