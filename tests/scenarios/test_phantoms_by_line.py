"""`photopeakd phantom`: what it writes is what the reconstruction reads, and the same chance makes the same counts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest

from core.__main__ import main
from core.dicom.volumes import acquired_in
from core.imaging.phantom import BY_NAME
from core.imaging.reconstruction.corrections import centre_of_rotation


def test_a_phantom_is_written_with_its_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["phantom", "points", "--out", str(tmp_path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    acquired = acquired_in(Path(said["files"][0]))
    (scan,) = acquired.projections[acquired.main]
    assert centre_of_rotation(scan) == pytest.approx(said["truth"]["centre_bin"], abs=0.1)


def test_windows_and_an_orbit_along_the_body_come_back_from_the_object(tmp_path: Path) -> None:
    assert main(["phantom", "torso-with-heart", "--out", str(tmp_path), "--patient", "P7", "--accession", "A7"]) == 0
    path = tmp_path / "torso-with-heart-001.dcm"
    header = pydicom.dcmread(path, stop_before_pixels=True)
    assert (header.PatientID, header.AccessionNumber) == ("P7", "A7")
    acquired = acquired_in(path)
    assert acquired.beside(acquired.main) == ("Tc99m lower", "Tc99m upper")
    (scan,) = acquired.projections[acquired.main]
    made = BY_NAME["torso-with-heart"][0](np.random.default_rng(1)).acquisitions[0]
    assert made.orbit is not None
    assert np.sort(scan.angles_deg) == pytest.approx(np.sort(made.orbit.angles_deg()))
    by_angle = dict(zip(np.round(made.orbit.angles_deg(), 3), made.orbit.distances_mm(), strict=True))
    wanted = [by_angle[round(float(angle), 3)] for angle in scan.angles_deg]
    assert scan.radius_mm == pytest.approx(wanted, abs=0.01)


def test_phantoms_are_listed_and_one_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["phantom"]) == 0
    assert capsys.readouterr().out.split() == list(BY_NAME)
    assert main(["phantom", "unicorn"]) == 1
    assert "there is no phantom unicorn: one of bone-whole-body" in capsys.readouterr().err
