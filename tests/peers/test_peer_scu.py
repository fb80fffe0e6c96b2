"""Our calls, answered by DCMTK's storescp and wlmscpfs."""

import random
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file

from core.errors import Invalid, PeerFailed
from core.scu.peer import Object, Peer, Timeouts, tls_context
from tests.peers.certifying import Authority
from tests.peers.receiving import storescp
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


@pytest.mark.peer("storescp", "openssl")
def test_a_node_is_called_by_tls_and_shows_who_it_is(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path / "ca"), Authority(tmp_path / "other", "other")
    ours, theirs, port = authority.certify("photopeak"), authority.certify("pacs"), free_port()
    tls = ("+tls", str(theirs.key), str(theirs.certificate), "+cf", str(authority.certificate))
    path = Path(str(get_testdata_file("CT_small.dcm")))
    header = dcmread(path, stop_before_pixels=True)
    one = Object(header.SOPClassUID, header.SOPInstanceUID, header.file_meta.TransferSyntaxUID, path)
    with storescp(tmp_path / "out", port, *tls) as out:
        known = tls_context(str(authority.certificate), str(ours.certificate), str(ours.key))
        peer = Peer("PACS", "127.0.0.1", port, tls=known)
        peer.echo()
        assert [sent.kept for sent in peer.send([one])] == [True]
        assert len(list(out.iterdir())) == 1
        stranger = tls_context(str(other.certificate), str(ours.certificate), str(ours.key))
        with pytest.raises(PeerFailed, match=r"PACS at .* certificate"):
            list(replace(peer, tls=stranger).send([one]))
        with pytest.raises(PeerFailed, match="PACS at "):
            list(replace(peer, tls=None).send([one]))


def test_tls_files_that_are_not_there_are_told() -> None:
    with pytest.raises(Invalid, match="look at tls_ca"):
        tls_context("/nowhere.pem")
