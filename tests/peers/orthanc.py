"""Orthanc as the archive of others."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.conftest import find_peer
from tests.peers.receiving import until


@contextlib.contextmanager
def orthanc(folder: Path, http: int, dicom: int, ours: int) -> Iterator[httpx.Client]:
    """Run Orthanc as ORTHANC on a port; it knows PHOTOPEAK at `ours`, and lets it do everything."""
    folder.mkdir()
    settings = {
        "StorageDirectory": str(folder), "IndexDirectory": str(folder), "HttpPort": http, "DicomPort": dicom,
        "RemoteAccessAllowed": False, "AuthenticationEnabled": False, "DicomAet": "ORTHANC",
        "DicomAlwaysAllowFind": True, "DicomAlwaysAllowMove": True, "DicomCheckCalledAet": True,
        "DicomModalities": {"us": {
            "AET": "PHOTOPEAK", "Host": "127.0.0.1", "Port": ours, "AllowStorageCommitment": True,
            "AllowFind": True, "AllowMove": True, "AllowStore": True, "AllowEcho": True,
        }},
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(settings))
    command = [str(find_peer("Orthanc")), str(folder / "orthanc.json")]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{http}", timeout=60) as client:
            until(lambda: _answers(client))
            yield client
    finally:
        process.terminate()
        process.wait(20)


def _answers(client: httpx.Client) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return client.get("/system").status_code == 200
    return False
