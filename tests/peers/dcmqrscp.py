"""DCMTK's archive, run for a test or a bench."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.peers.receiving import until

AET = "QRSCP"
_CONFIG = """NetworkTCPPort = {port}
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
sink = (SINK, 127.0.0.1, {sink})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
QRSCP {folder} RW (500, 1024mb) ANY
AETable END
"""


@contextmanager
def dcmqrscp(folder: Path, port: int, sink: int = 104) -> Iterator[None]:
    """Run it as QRSCP; it moves to SINK at that port."""
    (folder / "store").mkdir(parents=True)
    config = folder / "dcmqrscp.cfg"
    config.write_text(_CONFIG.format(port=port, sink=sink, folder=folder / "store"))
    process = subprocess.Popen(["dcmqrscp", "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    echo = ["echoscu", "-aec", AET, "127.0.0.1", str(port)]
    try:
        until(lambda: not subprocess.run(echo, check=False, capture_output=True).returncode)
        yield
    finally:
        process.terminate()
        process.wait(20)
