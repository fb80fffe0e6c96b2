"""Whoever asks for what moved to the archive tier gets it as before, and does not notice."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEGLosslessSV1

from tests.peers.process import ROOT, SHARED, Photopeakd, acknowledged, photopeakd, slices

pytestmark = pytest.mark.peer("storescu", "getscu", "findscu")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Photopeakd]:
    with Photopeakd(tmp_path / "data") as running:
        yield running


def _facts(service: Photopeakd, *arguments: object) -> dict[str, object]:
    said = photopeakd(*arguments, "--json", folder=service.folder)
    assert said.returncode == 0, said.stderr
    facts: dict[str, object] = json.loads(said.stdout)
    return facts


def test_what_moved_is_retrieved_as_it_was_sent(service: Photopeakd, tmp_path: Path) -> None:
    sent = slices(tmp_path / "in", 3)
    heart = tmp_path / "in" / "heart.dcm"
    shutil.copy(SHARED / "nm" / "heart_recon_tomo.dcm", heart)
    said = service.call("storescu", "-v", "-aet", "CAM1", *sent, heart)
    assert len(acknowledged(said.stdout)) == 4

    moved = _facts(service, "tier", "move", "--older-than", 0)
    assert (moved["objects"], moved["codecs"], moved["faults"]) == (4, {"jpeg-lossless": 4}, [])
    assert _facts(service, "tier", "clean", "--grace", 0) == {"removed": 4}
    assert {row[0] for row in service.rows("select transfer_syntax from image")} == {JPEGLosslessSV1}
    assert _facts(service, "verify", "--deep")["faults"] == []

    for path in (sent[0], heart):
        before = pydicom.dcmread(path)
        out = tmp_path / path.stem
        out.mkdir()
        keys = ["QueryRetrieveLevel=STUDY", f"StudyInstanceUID={before.StudyInstanceUID}"]
        said = service.call("getscu", "-aet", "CAM1", "-od", out, *(part for key in keys for part in ("-k", key)))
        assert said.returncode == 0, said.stderr
        [got] = [one for one in map(pydicom.dcmread, out.iterdir()) if one.SOPInstanceUID == before.SOPInstanceUID]
        assert not got.file_meta.TransferSyntaxUID.is_compressed
        assert np.array_equal(got.pixel_array, before.pixel_array)
        assert (got.PatientName, got.Modality) == (before.PatientName, before.Modality)


def test_a_study_is_recalled_and_sent_again_byte_for_byte(service: Photopeakd, tmp_path: Path) -> None:
    [sent] = slices(tmp_path / "in", 1)
    service.call("storescu", "-aet", "CAM1", sent)
    [(path, digest)] = service.rows("select path, sha256 from image")
    _facts(service, "tier", "move", "--older-than", 0)
    assert acknowledged(service.call("storescu", "-v", "-aet", "CAM1", sent).stdout) == [str(sent)]
    _facts(service, "tier", "recall", pydicom.dcmread(sent).StudyInstanceUID)
    assert service.rows("select path, sha256, tier from image") == [(path, digest, "online")]
    assert _facts(service, "verify", "--deep")["faults"] == []


def test_the_codecs_and_rules_in_force_are_told(service: Photopeakd) -> None:
    facts = _facts(service, "tier", "codecs")
    assert facts["rules"] == ["important: jpeg-lossless", "backup: 10:1"]


def test_a_move_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    slices(tmp_path / "in", 24)
    assert photopeakd("import", tmp_path / "in", folder=folder).returncode == 0
    tier = folder / "archive" / "tier"
    command = [sys.executable, "-m", "core", "tier", "move", "--older-than", "0", "--data", str(folder)]
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while running.poll() is None and len(list(tier.rglob("*.dcm"))) < 7:
        time.sleep(0.002)
    running.kill()
    running.wait()
    said = photopeakd("verify", "--deep", "--json", folder=folder)
    assert json.loads(said.stdout)["faults"] == []
    assert photopeakd("tier", "move", "--older-than", 0, folder=folder).returncode == 0
    assert photopeakd("tier", "clean", "--grace", 0, folder=folder).returncode == 0
    facts = json.loads(photopeakd("verify", "--deep", "--json", folder=folder).stdout)
    assert (facts["objects"], facts["faults"]) == (24, [])
    assert not [path for path in (folder / "archive").rglob("*.dcm") if tier not in path.parents]
