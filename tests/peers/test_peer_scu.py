"""Our calls, answered by DCMTK's storescp and wlmscpfs."""

import random
import subprocess
import time
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.data import get_testdata_file

from core.errors import PeerFailed
from core.scu.peer import Peer, Timeouts
from tests.peers.wlmscpfs import AET, free_port, wlmscpfs
from tests.peers.worklist_questions import worklist

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")


@pytest.mark.peer("storescp")
def test_objects_arrive_at_a_storescp(tmp_path: Path) -> None:
    port = free_port()
    process = subprocess.Popen(["storescp", "-od", str(tmp_path), str(port)])
    try:
        peer = Peer("STORESCP", "127.0.0.1", port)
        _wait_for(peer)
        stored = list(
            peer.store([Path(str(get_testdata_file("CT_small.dcm"))), Path(str(get_testdata_file("MR_small.dcm")))])
        )
        assert [one.kept for one in stored] == [True, True]
        assert len(list(tmp_path.iterdir())) == 2
    finally:
        process.terminate()
        process.wait(timeout=10)


@pytest.mark.peer("wlmscpfs")
def test_the_worklist_of_wlmscpfs_is_read(tmp_path: Path) -> None:
    items = worklist(random.Random(1), 5)
    keys = Dataset()
    keys.PatientID = None
    keys.ScheduledProcedureStepSequence = []
    with wlmscpfs(tmp_path, items) as oracle:
        peer = Peer(AET, "127.0.0.1", oracle.port)
        assert len(list(peer.find_worklist(keys))) == 5


def test_a_silent_address_is_named_with_what_to_do() -> None:
    peer = Peer("NOBODY", "127.0.0.1", free_port(), timeouts=Timeouts(connect=2))
    with pytest.raises(PeerFailed, match=r"NOBODY at 127\.0\.0\.1:\d+ cannot be reached; check"):
        peer.echo()


def _wait_for(peer: Peer) -> None:
    for _ in range(50):
        try:
            peer.echo()
        except PeerFailed:
            time.sleep(0.1)
        else:
            return
    peer.echo()
