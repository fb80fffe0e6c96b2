"""Put the same worklist before DCMTK's wlmscpfs and before our matching, and ask both the same questions."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import ModalityWorklistInformationFind

AET = "ORACLE"
PENDING = {0xFF00, 0xFF01}


@dataclass(frozen=True)
class Oracle:
    """A running wlmscpfs."""

    port: int

    @contextlib.contextmanager
    def association(self) -> Iterator[Association]:
        """Open one association, for as many queries as wanted."""
        ae = AE("CAMERA")
        ae.add_requested_context(ModalityWorklistInformationFind, ExplicitVRLittleEndian)
        association = ae.associate("127.0.0.1", self.port, ae_title=AET)
        assert association.is_established, "wlmscpfs refused the association"
        try:
            yield association
        finally:
            association.release()


@contextlib.contextmanager
def wlmscpfs(folder: Path, items: Sequence[Dataset]) -> Iterator[Oracle]:
    """Run wlmscpfs on the items: a file each, in a folder named as the AE title, beside the lockfile it insists on."""
    worklist = folder / AET
    worklist.mkdir(parents=True)
    (worklist / "lockfile").touch()
    for number, item in enumerate(items):
        item.save_as(worklist / f"{number:04}.wl", implicit_vr=False, little_endian=True, enforce_file_format=False)
    program = shutil.which("wlmscpfs")
    assert program, "wlmscpfs is not installed"
    port = free_port()
    log = (folder / "wlmscpfs.log").open("w")
    process = subprocess.Popen(
        [program, "-v", "-csk", "-s", "-dfp", str(folder), str(port)], stdout=log, stderr=subprocess.STDOUT
    )
    try:
        _wait_until_listening(port, process)
        yield Oracle(port)
    finally:
        process.terminate()
        process.wait(timeout=10)
        log.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(100):
        assert process.poll() is None, "wlmscpfs ended at once"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError("wlmscpfs does not listen")


def ask(association: Association, keys: Dataset) -> list[Dataset] | None:
    """Return what the oracle answers, or None where it calls the query malformed."""
    answers = []
    for status, identifier in association.send_c_find(keys, ModalityWorklistInformationFind):
        if "Status" not in status or status.Status not in PENDING | {0}:
            return None
        if status.Status in PENDING and identifier is not None:
            answers.append(identifier)
    return answers
