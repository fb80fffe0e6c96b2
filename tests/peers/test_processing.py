"""Images that arrive are processed by themselves; what is made is looked at, accepted, filed, and the exam is ready."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import SpatialRegistrationStorage, generate_uid
from sqlmodel import select

from console import line
from core import access, wire
from core.dicom.compose import Camera, Ordered, compose
from core.dicom.tracers import TRACERS
from core.dicom.volumes import transform_of
from core.errors import Forbidden, Invalid, Refused
from core.imaging import phantom
from core.imaging.acquisition import Acquisition, Kind, Orbit, Phantom
from core.model import Job
from core.opening import open_records
from core.settings import Settings
from core.vocabulary import JobState, ProcessingState, Role
from core.workflow import acquisition, queue, staffing, triage, viewing
from core.workflow.processing import asking, deciding, looking
from tests.peers.process import Photopeakd
from tests.peers.serving import HEAD, OPERATOR, TECHNOLOGIST, Department, serving
from tests.tables import HASHER

pytestmark = pytest.mark.peer("storescu", "dciodvfy")

PHYSICIST = access.person("physicist.he", "MAIN", Role.PHYSICIST)
NURSE = access.person("nurse.an", "MAIN", Role.NURSE)
_PATIENCE = 120.0


@pytest.fixture(scope="module")
def department(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Department]:
    """Serve all tests: each has exams of its own."""
    with serving(tmp_path_factory.mktemp("processing") / "data") as department:
        yield department


def as_camera(department: Department, accession: str, made: Phantom, folder: Path, product: str = "MIBI") -> list[Path]:
    """Write the objects a camera makes of a phantom for an exam."""
    exam = department.exam(accession)
    ordered = Ordered(
        exam.patient_number, f"{exam.patient_name}={exam.patient_name_ideographic}", exam.patient_birth_date,
        exam.patient_sex, accession=accession, study_instance_uid=exam.study_instance_uid,
        step_id=exam.steps[0].sps_id, weight_kg=70.0,
    )  # fmt: skip
    camera, now = Camera("CAM1"), datetime.now(UTC).astimezone()
    objects = compose(made.acquisitions, ordered, camera, TRACERS[product], uid=generate_uid, clock=lambda: now)
    folder.mkdir(parents=True, exist_ok=True)
    return [written(one, folder) for one in objects]


def written(one: Dataset, folder: Path) -> Path:
    path = folder / f"{one.SOPInstanceUID}.dcm"
    one.save_as(path, enforce_file_format=True)
    return path


def small(*, counts: float = 40.0, views: int = 16, slots: int = 1) -> Phantom:
    """Return a warm cylinder of 32 x 8 bins: seen from all sides alike."""
    across = np.arange(32) - 15.5
    profile = np.sqrt(np.maximum(11.0**2 - across**2, 0)) / 11
    expected = np.broadcast_to(counts * profile, (slots * views, 8, 32))
    frames = np.random.default_rng(2).poisson(expected).astype(np.uint16)
    orbit = Orbit(views, 180.0, 360.0 / views, 200.0)
    kind: Kind = "GATED TOMO" if slots > 1 else "TOMO"
    beat = 800 if slots > 1 else 0
    scan = Acquisition(kind, frames, 6.0, "Cylinder", orbit=orbit, frame_ms=10_000, time_slots=slots, beat_ms=beat)
    return Phantom((scan,), {})


def sent(department: Department, paths: list[Path]) -> None:
    """Send by DCMTK."""
    command = ["storescu", "-aet", "CAM1", "-aec", "PHOTOPEAK", "127.0.0.1", str(department.port), *map(str, paths)]
    subprocess.run(command, check=True, timeout=60)


def imaged(
    department: Department,
    accession: str,
    made: Phantom,
    folder: Path,
    processing: list[dict[str, object]] | None = None,
    procedure: str = "MPI-STRESS",
    product: str = "MIBI",
) -> list[Path]:
    """Register an exam, acquire it and end it; `processing` is what its protocol names instead of the catalogue's."""
    department.registered("Zhang^Wei=张^伟", accession, procedure=procedure)
    form = wire.ProtocolExam.model_validate({"device": "CAM1", "processing": processing})
    with department.records.writing() as work:
        triage.protocol(work, HEAD, accession, form)
    for act in ("arrive", "start"):
        department.act(act, accession)
    paths = as_camera(department, accession, made, folder, product)
    sent(department, paths)
    department.act("finish", accession)
    return paths


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
    imaged(department, "A1", phantom.heart_spect(np.random.default_rng(1)), tmp_path)
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
    assert len({one.uid for one in series}) == 5
    filed = filed_objects(department, made.results)
    assert [one.ImageType[2] for one in filed] == ["RECON TOMO"] * 4
    for one in filed:
        assert (one.PatientName, one.AccessionNumber) == ("Zhang^Wei=张^伟", "A1")
        assert [str(item.ReferencedSOPInstanceUID) for item in one.SourceImageSequence] == made.inputs
        assert "butterworth" in str(one.DerivationDescription)
        assert made.version in str(one.SoftwareVersions)
        assert errors_of(path_of(department, one.SOPInstanceUID)) == []


def filed_objects(department: Department, uids: list[str]) -> list[Dataset]:
    return [pydicom.dcmread(path_of(department, uid)) for uid in uids]


def path_of(department: Department, uid: str) -> Path:
    with department.records.reading() as work:
        return department.service.keeper.local(viewing.image(work, PHYSICIST, uid))


def errors_of(path: Path) -> list[str]:
    """Return what dciodvfy finds wrong with an object."""
    said = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, timeout=60, check=False).stderr
    return [line for line in said.splitlines() if line.startswith("Error")]


# -- two images --------------------------------------------------------------------------------------------------------


def series_of(department: Department, accession: str) -> dict[str, str]:
    """Return the UID of the latest series of each modality."""
    with department.records.reading() as work:
        return {one.modality: one.uid for one in viewing.exam_series(work, PHYSICIST, accession)}


def test_two_images_are_coregistered_moved_by_hand_fused_and_a_lesion_measured(
    department: Department, tmp_path: Path
) -> None:
    made = phantom.BY_NAME["petct"][0](np.random.default_rng(3))
    imaged(department, "D1", made, tmp_path, [], procedure="PETCT-FDG", product="FDG")
    assert department.exam("D1").state == "ready"
    uids = series_of(department, "D1")

    asked(department, "D1", "coregister", inputs=[uids["PT"]], over=[uids["CT"]])
    found = decided(department, "D1")
    assert (found.error, found.title) == ("", "Coregistration")
    assert [one.name for one in found.stages] == ["fixed", "before", "after", "checkerboard", "blend"]
    for stage in found.stages:
        looking.picture(department.service.shelf, found.id, stage, wire.Look(frame=stage.frames // 2))
    assert found.numbers["mutual_information"] > 1
    assert np.abs(found.numbers["move_mm"]).max() < 6  # both were taken of one patient who lay still

    with department.records.writing() as work:
        asking.repeat(work, PHYSICIST, found.id, wire.RepeatProcessing(parameters={"nudge_x_mm": 5}))
    moved = decided(department, "D1")
    assert moved.numbers["found"] == found.numbers["found"]
    shifted = np.asarray(moved.numbers["transform"]) - np.asarray(found.numbers["transform"])
    assert np.linalg.norm(shifted[:3, 3]) == pytest.approx(5)
    assert moved.numbers["mutual_information"] < found.numbers["mutual_information"]
    registration, *slices = filed_objects(department, accepted(department, moved.id).results)
    assert ({one.Modality for one in slices}, len(slices)) == ({"CT"}, found.stages[0].frames)
    assert errors_of(path_of(department, slices[0].SOPInstanceUID)) == []
    assert registration.SOPClassUID == SpatialRegistrationStorage
    assert np.allclose(transform_of(registration), moved.numbers["transform"], atol=1e-4)

    for method in ("alpha", "wavelet"):
        fusing = {"inputs": [uids["PT"]], "over": [uids["CT"]], "parameters": {"method": method}}
        asked(department, "D1", "fuse", **fusing)
        fused = decided(department, "D1")
        assert (fused.error, "laid by the registration that is filed" in fused.said) == ("", True)
        [capture] = filed_objects(department, accepted(department, fused.id).results)
        assert capture.pixel_array.shape[-1] == 3

    asked(department, "D1", "lesion", inputs=[uids["PT"]], parameters={"hottest": True})
    lesion = decided(department, "D1")
    assert (lesion.error, lesion.numbers["unit"]) == ("", "SUVbw")
    [regions] = filed_objects(department, accepted(department, lesion.id).results)
    voxels = np.count_nonzero(regions.pixel_array)
    assert voxels == lesion.numbers["voxels"]
    assert department.exam("D1").state == "ready"


# -- line by line ------------------------------------------------------------------------------------------------------


def test_a_physicist_works_line_by_line(
    department: Department, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with department.records.writing() as work:
        staffing.add(work, OPERATOR, "he.jun", [Role.PHYSICIST], password_hash=staffing.hashed(HASHER, "quite long 1"))
    monkeypatch.setenv("PHOTOPEAK_SERVER", f"http://127.0.0.1:{department.service.http_port}")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("sys.stdin", io.StringIO("quite long 1\n"))

    def ask(*words: str) -> Any:  # noqa: ANN401 - JSON
        capsys.readouterr()
        assert line.main([*words, "--json"]) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    ask("login", "he.jun", "--password-stdin")
    imaged(department, "E1", small(), tmp_path, PLAIN)
    first = decided(department, "E1")
    assert [one["id"] for one in ask("process", "list", "--waiting", "--exam", "E1")] == [first.id]
    again = ask("process", "repeat", str(first.id), "--set", "method=osem", "--set", "iterations=1", "--wait")
    assert (again["state"], again["replaces"]) == ("made", first.id)
    assert again["said"][-1] == "OSEM, 1 iterations of 8 subsets"
    assert ask("process", "accept", str(again["id"]))["accepted_by"] == "he.jun"
    assert {one["state"] for one in ask("process", "list", "--exam", "E1")} == {"accepted", "discarded"}
    assert ask("exam", "show", "E1")["state"] == "ready"
    spect = ask("process", "recipes", "spect")[0]
    assert {one["kind"] for one in spect["parameters"]} == {"number", "choice", "flag"}
    assert line.main(["process", "run", "E1", "--set", "sharpness=3"]) == 1
    assert "has no parameter 'sharpness'" in capsys.readouterr().err
    assert line.main(["process", "show", str(again["id"])]) == 0
    assert "step reconstructed: 8 frames 32 x 32" in capsys.readouterr().out


# -- changed, repeated, cancelled --------------------------------------------------------------------------------------


SLOW: list[dict[str, object]] = [
    {"recipe": "spect", "parameters": {"method": "mlem", "iterations": 60, "resolution": True}}
]
PLAIN: list[dict[str, object]] = [{"recipe": "spect", "parameters": {"cut_off": 0.5}}]


def asked(department: Department, accession: str, recipe: str, **said: object) -> wire.Processing:
    form = wire.AskProcessing.model_validate({"recipe": recipe, **said})
    with department.records.writing() as work:
        return asking.ask(work, PHYSICIST, accession, form)


def accepted(department: Department, number: int) -> wire.Processing:
    return deciding.accept(department.service.reception, department.service.shelf, PHYSICIST, number)


def test_what_is_repeated_with_other_parameters_takes_the_place_of_what_was_accepted(
    department: Department, tmp_path: Path
) -> None:
    imaged(department, "A2", small(), tmp_path, PLAIN)
    first = accepted(department, decided(department, "A2").id)
    assert "hann 0.5 Nyquist (0.42 cycles/cm)" in " ".join(first.said)
    with department.records.writing() as work:
        form = wire.RepeatProcessing(parameters={"method": "osem", "iterations": 2})
        again = asking.repeat(work, PHYSICIST, first.id, form)
    assert (again.replaces, again.due, department.exam("A2").state) == (first.id, True, "acquired")
    made = decided(department, "A2")
    assert (made.id, made.error) == (again.id, "")
    assert "OSEM, 2 iterations of 8 subsets" in made.said

    accepted(department, made.id)

    with department.records.reading() as work:
        assert asking.one(work, PHYSICIST, first.id).state == ProcessingState.DISCARDED
    assert department.exam("A2").state == "ready"
    with pytest.raises(Refused, match="only what is made"):
        accepted(department, made.id)


def test_who_may_not_process_images_may_neither_ask_nor_decide(department: Department, tmp_path: Path) -> None:
    imaged(department, "A3", small(), tmp_path, PLAIN)
    made = decided(department, "A3")
    with pytest.raises(Forbidden):
        deciding.accept(department.service.reception, department.service.shelf, NURSE, made.id)
    with department.records.writing() as work, pytest.raises(Forbidden):
        asking.cancel(work, NURSE, made.id)


def test_what_runs_stops_within_a_second_of_its_cancelling_and_what_is_discarded_is_waited_for_no_more(
    department: Department, tmp_path: Path
) -> None:
    endless: list[dict[str, object]] = [
        {"recipe": "spect", "parameters": {"method": "mlem", "iterations": 200, "resolution": True}}
    ]
    imaged(department, "A4", small(slots=8), tmp_path, endless)
    slow = until(department, "A4", lambda one: one.state == ProcessingState.RUNNING and 1 < one.done < one.total)
    with department.records.writing() as work:
        assert asking.cancel(work, PHYSICIST, slow.id).state == ProcessingState.CANCELLED
    end = time.monotonic() + 1.0
    while department.service.pool.busy and time.monotonic() < end:
        time.sleep(0.02)
    assert department.service.pool.busy == 0
    [left] = listed(department, "A4")
    assert (left.state, left.results, department.exam("A4").state) == (ProcessingState.CANCELLED, [], "acquired")

    with department.records.writing() as work:
        deciding.discard(work, department.service.shelf, PHYSICIST, slow.id)
    assert department.exam("A4").state == "ready"


def test_a_worker_that_dies_costs_no_other_and_its_work_is_tried_again(department: Department, tmp_path: Path) -> None:
    imaged(department, "A5", small(), tmp_path, SLOW)
    until(department, "A5", lambda one: one.state == ProcessingState.RUNNING)
    end = time.monotonic() + _PATIENCE
    while not department.service.pool.pids() and time.monotonic() < end:
        time.sleep(0.02)
    for pid in department.service.pool.pids():
        os.kill(pid, signal.SIGKILL)
    waits = until(department, "A5", lambda one: one.state == ProcessingState.QUEUED)
    assert "the process that worked on this ended (signal 9)" in waits.error
    with department.records.writing() as work:
        [job] = work.session.exec(select(Job).where(Job.kind == "processing", Job.state == JobState.QUEUED)).all()
        queue.retry(work, OPERATOR, job.id or 0)
    assert decided(department, "A5").error == ""


def _workers(service: Photopeakd) -> list[Path]:
    """Return the processes a service has work done by."""
    return [path.parent for path in Path("/proc").glob("[0-9]*/cmdline") if _is_worker(path, service.process.pid)]


def _is_worker(command: Path, parent: int) -> bool:
    try:
        said, status = command.read_bytes(), (command.parent / "status").read_text()
    except OSError:  # it ended meanwhile
        return False
    return b"core.compute" in said and f"PPid:\t{parent}\n" in status


def test_a_service_killed_while_it_works_begins_again_by_itself(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as department:
        department.registered("Zhang^Wei=张^伟", "A1", procedure="MPI-STRESS")
        with department.records.writing() as work:
            form = wire.ProtocolExam.model_validate({"device": "CAM1", "processing": SLOW})
            triage.protocol(work, HEAD, "A1", form)
        department.act("start", "A1")
        sent(department, as_camera(department, "A1", small(), tmp_path))
    records = open_records(Settings(tmp_path / "data"))
    with records.writing() as work:
        acquisition.finish(work, TECHNOLOGIST, "A1", wire.StepAct())
    records.close()
    with Photopeakd(tmp_path / "data") as service:
        _wait_for(service, "select 1 from processing where state = 'running'")
        end = time.monotonic() + _PATIENCE
        while not (workers := _workers(service)) and time.monotonic() < end:
            time.sleep(0.02)
        service.kill()
        assert workers
        end = time.monotonic() + _PATIENCE
        while any(one.exists() for one in workers) and time.monotonic() < end:
            time.sleep(0.05)
        assert not any(one.exists() for one in workers)
        assert service.rows("select state from processing") == [("running",)]
        service.start()
        _wait_for(service, "select 1 from processing where state = 'made'")
        assert service.rows("select count(*) from processing") == [(1,)]
        [(number, results)] = service.rows("select id, results from processing")
        place = tmp_path / "data" / "processing"
        assert [one.name for one in place.iterdir()] == [str(number)]
        assert [one.stem for one in (place / str(number) / "objects").iterdir()] == json.loads(results)


def _wait_for(service: Photopeakd, query: str) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        if service.rows(query):
            return
        time.sleep(0.05)
    raise AssertionError(service.rows("select state, error, done, total from processing"))


# -- bad input ---------------------------------------------------------------------------------------------------------


def spoilt(change: Callable[[Dataset], None], path: Path) -> Path:
    """Change an object and give it a UID of its own."""
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    return written(dataset, path.parent)


def _no_counts(one: Dataset) -> None:
    one.PixelData = bytes(len(one.PixelData))


def _no_angles(one: Dataset) -> None:
    del one.RotationInformationSequence[0].AngularStep
    del one.RotationInformationSequence[0].ScanArc


def _quarter(one: Dataset) -> None:
    one.RotationInformationSequence[0].AngularStep = 90 / 16


def _no_pixel_size(one: Dataset) -> None:
    del one.PixelSpacing


@pytest.mark.parametrize(
    ("change", "parameters", "said"),
    [
        (_no_counts, {}, "no counts at all"),
        (_no_angles, {}, "an angle is missing"),
        (_quarter, {}, "an arc of 90 degrees: 180 or 360 are needed"),
        (_no_pixel_size, {}, "the size of a pixel is missing"),
        (lambda _: None, {"scatter": "tew"}, "no energy window below"),
        (lambda _: None, {"attenuation": "ct"}, "none is named: name its series"),
        (lambda _: None, {"uniformity": True}, "no flood is named"),
        (lambda _: None, {"method": "osem", "subsets": 60}, "16 views cannot be dealt into 60 subsets"),
    ],
)
def test_images_that_cannot_be_used_are_told_with_their_object_and_break_no_worker(
    department: Department, tmp_path: Path, change: Callable[[Dataset], None], parameters: dict[str, object], said: str
) -> None:
    accession = f"B{len(said)}{len(parameters)}"
    department.registered("Zhang^Wei=张^伟", accession, procedure="MPI-STRESS")
    form = wire.ProtocolExam.model_validate(
        {"device": "CAM1", "processing": [{"recipe": "spect", "parameters": parameters}]}
    )
    with department.records.writing() as work:
        triage.protocol(work, HEAD, accession, form)
    department.act("start", accession)
    [whole] = as_camera(department, accession, small(), tmp_path)
    path = spoilt(change, whole)
    sent(department, [path])
    department.act("finish", accession)
    failed = decided(department, accession)
    assert (failed.state, failed.results) == (ProcessingState.FAILED, [])
    assert said in failed.error
    assert str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID) in failed.error or parameters


def test_what_no_recipe_knows_is_refused_when_it_is_asked_for(department: Department) -> None:
    department.registered("Zhang^Wei=张^伟", "C1", procedure="MPI-STRESS")
    for given, why in (
        ({"sharpness": 3}, "no parameter 'sharpness'"),
        ({"cut_off": -1}, "runs from 0.01 to 5"),
        ({"method": "magic"}, "is one of fbp, osem"),
    ):
        with pytest.raises(Invalid, match=why):
            asked(department, "C1", "spect", parameters=given)
    with pytest.raises(Refused, match="has no images to process"):
        asked(department, "C1", "spect")
