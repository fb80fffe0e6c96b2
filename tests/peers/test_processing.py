"""Images that arrive are processed by themselves; what is made is looked at, accepted, filed, and the exam is ready."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid

from core import access, wire
from core.dicom.compose import Camera, Ordered, compose
from core.dicom.tracers import TRACERS
from core.errors import Forbidden, Refused
from core.imaging import phantom
from core.imaging.acquisition import Phantom
from core.model import Image
from core.vocabulary import ProcessingState, Role
from core.workflow import viewing
from core.workflow.processing import asking, deciding, looking
from tests.peers.serving import Department, serving

pytestmark = pytest.mark.peer("storescu")

PHYSICIST = access.person("physicist.he", "MAIN", Role.PHYSICIST)
NURSE = access.person("nurse.an", "MAIN", Role.NURSE)
_PATIENCE = 120.0


@pytest.fixture
def department(tmp_path: Path) -> Iterator[Department]:
    with serving(tmp_path / "data") as department:
        yield department


def as_camera(department: Department, accession: str, made: Phantom, folder: Path, product: str = "MIBI") -> list[Path]:
    """Write the objects a camera makes of a phantom for an exam."""
    exam = department.exam(accession)
    ordered = Ordered(
        exam.patient_number, f"{exam.patient_name}={exam.patient_name_ideographic}", exam.patient_birth_date, exam.patient_sex, accession=accession,
        study_instance_uid=exam.study_instance_uid, step_id=exam.steps[0].sps_id,
    )  # fmt: skip
    camera, now = Camera("CAM1"), datetime.now(UTC).astimezone()
    objects = compose(made.acquisitions, ordered, camera, TRACERS[product], uid=generate_uid, clock=lambda: now)
    folder.mkdir(parents=True, exist_ok=True)
    return [written(one, folder) for one in objects]


def written(one: Dataset, folder: Path) -> Path:
    path = folder / f"{one.SOPInstanceUID}.dcm"
    one.save_as(path, enforce_file_format=True)
    return path


def sent(department: Department, paths: list[Path]) -> None:
    """Send by DCMTK."""
    command = ["storescu", "-aet", "CAM1", "-aec", "PHOTOPEAK", "127.0.0.1", str(department.port), *map(str, paths)]
    subprocess.run(command, check=True, timeout=60)


def imaged(department: Department, accession: str, made: Phantom, folder: Path, procedure: str = "MPI-STRESS") -> None:
    """Register an exam, acquire it and end it."""
    department.scheduled("Zhang^Wei=张^伟", accession, procedure=procedure)
    for act in ("arrive", "start"):
        department.act(act, accession)
    sent(department, as_camera(department, accession, made, folder))
    department.act("finish", accession)


def listed(department: Department, accession: str) -> list[wire.Processing]:
    with department.records.reading() as work:
        return asking.listing(work, PHYSICIST, exam=accession)


def until(department: Department, accession: str, fits: Callable[[wire.Processing], bool]) -> wire.Processing:
    """Wait until the latest processing of an exam is as wanted."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        found = listed(department, accession)
        if found and fits(found[0]):
            return found[0]
        time.sleep(0.05)
    raise AssertionError(f"not so within {_PATIENCE:g} s: {listed(department, accession)}")


def decided(department: Department, accession: str) -> wire.Processing:
    """Wait until the latest is made, or failed for good."""
    return until(department, accession, lambda one: one.state in (ProcessingState.MADE, ProcessingState.FAILED))


def test_projections_that_arrive_are_reconstructed_looked_at_accepted_and_filed(
    department: Department, tmp_path: Path
) -> None:
    imaged(department, "A1", phantom.heart_spect(np.random.default_rng(1)), tmp_path / "in")
    made = decided(department, "A1")
    assert (made.state, made.error, made.by, made.due) == (ProcessingState.MADE, "", "rule", True)
    assert department.exam("A1").state == "acquired"
    assert [one.name for one in made.stages] == [
        "projections", "corrected", "sinogram", "linogram", "reconstructed", "short_axis", "vertical_long_axis",
        "horizontal_long_axis",
    ]  # fmt: skip
    for stage in made.stages:
        picture = looking.picture(department.service.shelf, made.id, stage, wire.Look(frame=stage.frames // 2))
        assert picture["maximum"], stage.name

    accepted = deciding.accept(department.service.reception, department.service.shelf, PHYSICIST, made.id)

    assert (accepted.state, accepted.accepted_by) == (ProcessingState.ACCEPTED, "physicist.he")
    exam = department.exam("A1")
    assert (exam.state, exam.images.received, exam.images.uncounted) == ("ready", 60, 4)
    with department.records.reading() as work:
        series = viewing.exam_series(work, PHYSICIST, "A1")
    assert {one.uid for one in series} and len(series) == 5
    filed = filed_objects(department, made.results)
    assert [one.ImageType[2] for one in filed] == ["RECON TOMO"] * 4
    for one in filed:
        assert (one.PatientName, one.AccessionNumber) == ("Zhang^Wei=张^伟", "A1")
        assert [str(item.ReferencedSOPInstanceUID) for item in one.SourceImageSequence] == made.inputs
        assert "butterworth" in str(one.DerivationDescription) and made.version in str(one.SoftwareVersions)


def filed_objects(department: Department, uids: list[str]) -> list[Dataset]:
    with department.records.reading() as work:
        rows = [viewing.image(work, PHYSICIST, uid) for uid in uids]
    return [pydicom.dcmread(path_of(department, row)) for row in rows]


def path_of(department: Department, row: Image) -> Path:
    return department.service.keeper.local(row)


# -- changed, repeated, cancelled --------------------------------------------------------------------------------------


def asked(department: Department, accession: str, recipe: str, **said: object) -> wire.Processing:
    form = wire.AskProcessing.model_validate({"recipe": recipe, **said})
    with department.records.writing() as work:
        return asking.ask(work, PHYSICIST, accession, form)


def accepted(department: Department, number: int) -> wire.Processing:
    return deciding.accept(department.service.reception, department.service.shelf, PHYSICIST, number)


def test_what_is_repeated_with_other_parameters_takes_the_place_of_what_was_accepted(
    department: Department, tmp_path: Path
) -> None:
    imaged(department, "A1", phantom.heart_spect(np.random.default_rng(1)), tmp_path / "in")
    first = accepted(department, decided(department, "A1").id)
    with department.records.writing() as work:
        form = wire.RepeatProcessing(parameters={"method": "osem", "iterations": 2, "heart_axes": False})
        again = asking.repeat(work, PHYSICIST, first.id, form)
    assert (again.replaces, again.due, department.exam("A1").state) == (first.id, True, "acquired")
    made = decided(department, "A1")
    assert (made.id, made.error) == (again.id, "")
    assert any("OSEM, 2 iterations of 8 subsets" in one for one in made.said)

    accepted(department, made.id)

    with department.records.reading() as work:
        assert asking.one(work, PHYSICIST, first.id).state == ProcessingState.DISCARDED
    assert department.exam("A1").state == "ready"
    with pytest.raises(Refused, match="only what is made"):
        accepted(department, made.id)


def test_who_may_not_process_images_is_refused(department: Department, tmp_path: Path) -> None:
    imaged(department, "A1", phantom.heart_spect(np.random.default_rng(1)), tmp_path / "in")
    made = decided(department, "A1")
    with pytest.raises(Forbidden):
        deciding.accept(department.service.reception, department.service.shelf, NURSE, made.id)
    with department.records.writing() as work, pytest.raises(Forbidden):
        asking.cancel(work, NURSE, made.id)


def test_what_runs_is_cancelled_within_a_second_and_what_is_discarded_is_waited_for_no_more(
    department: Department, tmp_path: Path
) -> None:
    imaged(department, "A1", phantom.gated_heart_spect(np.random.default_rng(1)), tmp_path / "in", "MPI-STRESS")
    decided(department, "A1")
    slow = asked(department, "A1", "spect", parameters={"method": "mlem", "iterations": 200, "resolution": True})
    until(department, "A1", lambda one: one.state == ProcessingState.RUNNING and 1 < one.done < one.total)
    with department.records.writing() as work:
        assert asking.cancel(work, PHYSICIST, slow.id).state == ProcessingState.CANCELLED
    busy = department.service.pool
    end = time.monotonic() + 1.0
    while busy.busy and time.monotonic() < end:
        time.sleep(0.02)
    assert busy.busy == 0
    assert listed(department, "A1")[0].results == []

    with department.records.writing() as work:
        for one in listed(department, "A1"):
            deciding.discard(work, department.service.shelf, PHYSICIST, one.id)
    assert department.exam("A1").state == "ready"
