"""Every object the simulated camera makes is judged by dicom3tools: no error, whatever its kind or character set."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest

from core.dicom.charset import Charset, mend_pydicom
from core.dicom.compose import Camera, Ordered, compose
from core.dicom.tracers import TRACERS, Tracer
from core.imaging import phantom
from core.imaging.acquisition import Acquisition, Phantom

pytestmark = pytest.mark.peer("dciodvfy")

AT = datetime(2026, 10, 12, 9, 30, tzinfo=UTC)
PATIENT = Ordered(
    "P0008123",
    "Zhang^Wei=张^伟",
    date(1961, 3, 4),
    "M",
    accession="A20261012001",
    requested_procedure_id="R1",
    procedure_description="全身骨显像 whole-body bone scan",
    step_id="S1",
    step_description="Delayed",
    weight_kg=70,
    size_m=1.72,
)

FEWER: dict[str, Callable[[np.random.Generator], Phantom]] = {
    "pet": lambda rng: phantom.pet_slices(rng, slices=3, lesion=(0, 0, 0)),
    "ct": lambda rng: phantom.ct_slices(rng, slices=2),
    "pet-spheres": lambda rng: phantom.pet_spheres(rng, slices=3),
    "rods-and-spheres": lambda rng: phantom.rods_and_spheres(rng, views=16),
}
"""Slices and views of one make are judged alike: a few of them do."""


def _uids() -> Iterator[str]:
    return (f"1.2.826.0.1.3680043.10.1511.{number}" for number in itertools.count(1))


def _errors(dataset: pydicom.Dataset, folder: Path) -> list[str]:
    path = folder / "object.dcm"
    dataset.save_as(path, enforce_file_format=True)
    judged = subprocess.run(
        ["dciodvfy", str(path)], capture_output=True, text=True, timeout=60, check=False, errors="replace"
    )
    return [line for line in (judged.stdout + judged.stderr).splitlines() if line.startswith("Error")]


def _composed(
    acquisitions: tuple[Acquisition, ...], tracer: Tracer, charset: Charset = ("ISO_IR 192",)
) -> list[pydicom.Dataset]:
    uids = _uids()
    camera = Camera("CAM1", charset=charset, institution="核医学科")
    return compose(acquisitions, PATIENT, camera, tracer, uid=lambda: next(uids), clock=lambda: AT)


@pytest.mark.parametrize("name", [name for name in phantom.BY_NAME if name != "petct"])
def test_no_object_of_any_kind_has_an_error(name: str, tmp_path: Path) -> None:
    make, tracer = phantom.BY_NAME[name]
    objects = _composed(FEWER.get(name, make)(np.random.default_rng(1)).acquisitions, TRACERS[tracer])
    assert objects
    for dataset in objects:
        assert _errors(dataset, tmp_path) == []


@pytest.mark.parametrize("charset", [(), ("ISO_IR 100",), ("ISO_IR 192",), ("GB18030",), ("", "ISO 2022 IR 58")])
def test_no_character_set_makes_an_object_wrong(charset: Charset, tmp_path: Path) -> None:
    mend_pydicom()
    (dataset,) = _composed(phantom.thyroid(np.random.default_rng(1)).acquisitions, TRACERS["TCO4"], charset)
    assert _errors(dataset, tmp_path) == []


def test_an_object_with_a_vector_too_short_is_found_out(tmp_path: Path) -> None:
    (dataset,) = _composed(phantom.renogram(np.random.default_rng(1)).acquisitions, TRACERS["MAG3"])
    del dataset.RadiopharmaceuticalInformationSequence
    assert _errors(dataset, tmp_path)
