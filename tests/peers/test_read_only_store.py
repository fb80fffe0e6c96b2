"""A store that takes no file: what is there is looked at and found; what is sent is refused, and taken later."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.peers.process import Photopeakd, acknowledged, photopeakd, slices

pytestmark = pytest.mark.peer("storescu", "findscu")
READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'


class WithReadOnlyStore(Photopeakd):
    """The service, on whose store the disk has been made read-only."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.within = ("unshare", "-rm", "sh", "-c", READ_ONLY, str(folder / "archive"))

    def ready(self) -> bool:
        return bool(self.parts())

    def parts(self) -> dict[str, tuple[bool, str]]:
        try:
            with urllib.request.urlopen(f"http://{self.facts['http']}/readyz", timeout=5) as answer:
                said: list[dict[str, Any]] = json.load(answer)
        except urllib.error.HTTPError as unready:
            with unready:
                said = json.load(unready)
        return {part["name"]: (part["ready"], part["detail"]) for part in said}


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    tried = subprocess.run(["unshare", "-rm", "sh", "-c", "mount --bind /tmp /tmp"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip("nothing can be mounted read-only here: the kernel grants no namespace of mounts")


def test_a_read_only_store_gives_out_and_refuses_and_takes_again_later(tmp_path: Path) -> None:
    first, second = slices(tmp_path / "first", 2, number="P1"), slices(tmp_path / "second", 2, number="P2")
    data = tmp_path / "data"
    with Photopeakd(data) as service:
        assert len(acknowledged(service.call("storescu", "-v", *first).stdout)) == 2
    with WithReadOnlyStore(data) as service:
        parts = service.parts()
        assert parts["database"][0]
        assert not parts["store"][0]
        assert "does not take a file (Read-only file system)" in parts["store"][1]
        refused = service.call("storescu", "-v", *second)
        assert acknowledged(refused.stdout) == []
        assert "Refused: OutOfResources" in refused.stdout
        assert "P1" in service.found("STUDY", "PatientID=P*")
        assert "Traceback" not in service.log.read_text()
    proven = photopeakd("verify", "--deep", "--json", folder=data)
    assert (proven.returncode, json.loads(proven.stdout)["objects"]) == (0, 2)
    with Photopeakd(data) as service:
        assert len(acknowledged(service.call("storescu", "-v", *second).stdout)) == 2
