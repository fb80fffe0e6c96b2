"""Films are printed on DCMTK's printer, which keeps what it was sent."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from core import access, wire
from core.errors import Forbidden, NotFound, PeerFailed, Refused
from core.imaging.raster import levels
from core.imaging.window import Window
from core.model import Job as Queued
from core.scu.printing import Job, Printer
from core.vocabulary import JobState, Role
from core.workflow import corrections, devices, printing, queue, staffing
from tests.conftest import find_peer
from tests.peers.process import altered, photopeakd
from tests.peers.receiving import until
from tests.peers.serving import HEAD, OPERATOR, Department, serving
from tests.tables import HASHER

pytestmark = [
    pytest.mark.peer("dcmprscp"),
    # pynetdicom leaves sockets of ended associations to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
]

CONFIG = """\
[[GENERAL]]
[PRINT]
Directory = {folder}
[DATABASE]
Directory = {folder}
[[COMMUNICATION]]
[FILMS]
Aetitle = FILMS
Description = a film printer
Hostname = localhost
Port = {port}
Type = LOCALPRINTER
DisplayFormat=1,1\\1,2\\2,2\\2,3\\3,3\\3,4\\4,5
FilmSizeID = 8INX10IN\\14INX17IN
MagnificationType = REPLICATE\\BILINEAR\\CUBIC\\NONE
MediumType = PAPER\\CLEAR FILM\\BLUE FILM
MaxPDU = 32768
Supports12Bit = {deep}
SupportsPresentationLUT = {lut}
PresentationLUTMatchRequired = false
"""


@contextlib.contextmanager
def printer(folder: Path, port: int, *, deep: bool = True, lut: bool = True) -> Iterator[Path]:
    """Run dcmprscp, and give the folder it keeps its films in."""
    folder.mkdir()
    (folder / "print.cfg").write_text(
        CONFIG.format(folder=folder, port=port, deep=str(deep).lower(), lut=str(lut).lower())
    )
    command = [str(find_peer("dcmprscp")), "-c", str(folder / "print.cfg"), "-p", "FILMS"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*command, "-v"], stdout=log, stderr=subprocess.STDOUT, cwd=folder)
    try:
        _wait_for(port, process)
        yield folder
    finally:
        process.terminate()
        process.wait(20)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until_then = time.monotonic() + 30
    while time.monotonic() < until_then:
        assert process.poll() is None, "dcmprscp ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError("dcmprscp does not listen")


def films(folder: Path) -> list[tuple[Dataset, list[NDArray[Any]]]]:
    """Return the films a printer keeps: what was said of each, and its images in their order."""
    kept = {one.SOPInstanceUID: one for one in (dcmread(path) for path in folder.glob("HG_*.dcm"))}
    found: list[tuple[Dataset, list[NDArray[Any]]]] = []
    for stored in sorted((dcmread(path) for path in folder.glob("SP_*.dcm")), key=lambda one: str(one.SOPInstanceUID)):
        boxes = sorted(stored.ImageBoxContentSequence, key=lambda box: box.ImageBoxPosition)
        images = [kept[box.ReferencedImageSequence[0].ReferencedSOPInstanceUID] for box in boxes]
        found.append((stored, [image.pixel_array for image in images]))
    return found


@pytest.fixture(scope="module")
def department(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Department]:
    """Serve a department with a bone scan of three frames and its printer, which is off."""
    with serving(tmp_path_factory.mktemp("films")) as running:
        running.device("FILMS", port=free_port())
        running.registered("Printed^On=张^伟", "F1", number="PF1")
        scan = ramps(3)
        staged = tmp_path_factory.mktemp("in") / "scan.dcm"
        scan.save_as(staged)
        reception = running.service.reception
        reception.receive(OPERATOR, reception.keeper.stage_file(staged))
        with running.records.writing() as work:
            form = wire.FileBatch(accession="F1", reason="it is hers")
            corrections.file_batch(work, HEAD, str(scan.StudyInstanceUID), form)
        yield running


def ramps(frames: int) -> Any:  # noqa: ANN401 - pydicom's attributes
    """Return counts from 0 to 4000 that rise to the right, as much higher in each frame as its number."""
    model = dcmread(str(get_testdata_file("MR_small.dcm")))
    one = altered(model, StudyInstanceUID=generate_uid(), PatientID="PF1", NumberOfFrames=frames, Modality="OT")
    one.Rows, one.Columns, one.PixelSpacing = 32, 64, [1, 1]
    one.SmallestImagePixelValue = one.LargestImagePixelValue = None
    ramp = np.tile(np.linspace(0, 4000, 64), (32, 1))
    one.PixelData = np.stack([ramp * (n + 1) / frames for n in range(frames)]).astype("<i2").tobytes()
    one.WindowCenter, one.WindowWidth = 2000.5, 4001
    return one


def port_of(department: Department) -> int:
    with department.records.reading() as work:
        return devices.named(work, "FILMS").port


def asked(department: Department, **said: Any) -> wire.Job:  # noqa: ANN401 - whatever the form takes
    with department.records.writing() as work:
        return printing.enqueue(
            work, HEAD, "F1", wire.PrintFilms.model_validate({"aet": "FILMS", "film_size": "8INX10IN", **said})
        )


def ended(department: Department, job: wire.Job) -> wire.Job:
    """Wait until a job has ended, or waits for its next attempt."""

    def look() -> wire.Job:
        with department.records.reading() as work:
            return queue.one(work, OPERATOR, job.id)

    until(lambda: look().state not in queue.OPEN or bool(look().error))
    return look()


@pytest.mark.parametrize("bits", [8, 12])
def test_an_exam_is_printed_with_its_true_values(department: Department, tmp_path: Path, bits: int) -> None:
    with printer(tmp_path / "p", port_of(department)) as kept:
        done = ended(department, asked(department, bits=bits, layout="2x2", caption=False))
        assert (done.state, done.error, done.result["films"]) == (JobState.DONE, "", 1)
        ((film, images),) = films(kept)
    assert film.FilmBoxContentSequence[0].ImageDisplayFormat == "STANDARD\\2,2"
    assert len(images) == 3
    for number, image in enumerate(images, 1):
        shown = np.argwhere(image.max(axis=1) > 0)
        row = image[int(shown[len(shown) // 2, 0])]
        values = np.interp((np.arange(len(row)) + 0.5) * 64 / len(row) - 0.5, np.arange(64), np.linspace(0, 4000, 64))
        due = levels((values * number / 3)[None], Window(0, 4000), bits)[0]
        assert np.abs(row.astype(int) - due.astype(int)).max() <= max(1, 2**bits // 1000)


def test_a_printer_of_eight_bits_refuses_twelve_and_prints_nothing(department: Department, tmp_path: Path) -> None:
    with printer(tmp_path / "p", port_of(department), deep=False) as kept:
        refused = ended(department, asked(department, bits=12))
        assert "answered N-SET of image 1" in refused.error
        assert films(kept) == []
    with department.records.writing() as work:
        queue.cancel(work, OPERATOR, refused.id)


def test_every_film_says_who_it_shows(department: Department, tmp_path: Path) -> None:
    with printer(tmp_path / "p", port_of(department)) as kept:
        done = ended(department, asked(department, layout="1x2"))
        assert (done.state, done.result["films"]) == (JobState.DONE, 2)
        found = films(kept)
        assert sorted(len(images) for _, images in found) == [1, 2]
        written = found[0][1][0]
        strip = written[-written.shape[0] // 20 :]
        assert strip.max() > 200
        assert (strip > 128).mean() < 0.3
        inverse = ended(department, asked(department, layout="1x2", inverse=True, frames="3"))
        assert inverse.state is JobState.DONE
        bright = films(kept)[-1][1][0]
        assert np.median(bright[-bright.shape[0] // 20 :]) == 255


def test_a_printer_without_presentation_lut_prints_all_the_same(department: Department, tmp_path: Path) -> None:
    with printer(tmp_path / "p", port_of(department), lut=False) as kept:
        assert ended(department, asked(department)).state is JobState.DONE
        assert len(films(kept)) == 1


def test_a_job_waits_for_a_printer_that_is_off_and_then_prints(department: Department, tmp_path: Path) -> None:
    waiting = ended(department, asked(department))
    assert waiting.state is JobState.QUEUED
    assert "cannot be reached" in waiting.error
    with printer(tmp_path / "p", port_of(department)) as kept:
        with department.records.writing() as work:
            queue.retry(work, OPERATOR, waiting.id)
        until(lambda: _state(department, waiting.id) is JobState.DONE)
        assert len(films(kept)) == 1


def test_a_film_that_is_printed_is_not_printed_again(department: Department, tmp_path: Path) -> None:
    port = port_of(department)
    with printer(tmp_path / "p", port) as kept:
        first = asked(department, layout="1x1")
        assert ended(department, first).result["films"] == 3
        with department.records.writing() as work:
            again = work.enqueue("MAIN", printing.KIND, dict(_arguments(department, first.id)), lane="print:FILMS")
            again.result = {"films": 2}
            number = again.id
        until(lambda: _state(department, number) is JobState.DONE)
        assert len(films(kept)) == 4


def _arguments(department: Department, number: int) -> dict[str, object]:
    with department.records.reading() as work:
        return dict(work.session.get_one(Queued, number).arguments)


def _state(department: Department, number: int | None) -> JobState:
    with department.records.reading() as work:
        return JobState(work.session.get_one(Queued, number).state)


def test_what_cannot_be_printed_is_refused_when_it_is_asked_for(department: Department) -> None:
    with pytest.raises(NotFound):
        asked(department, series=["1.2.3"])
    with pytest.raises(NotFound):
        asked(department, aet="NOBODY")
    clerk = access.person("clerk", "MAIN", Role.CLERK)
    with department.records.writing() as work, pytest.raises(Forbidden):
        printing.enqueue(work, clerk, "F1", wire.PrintFilms(aet="FILMS"))
    department.registered("Many^Frames", "F2", number="PF2")
    scan = ramps(40)
    with department.records.writing() as work, pytest.raises(NotFound):
        printing.enqueue(work, HEAD, "F2", wire.PrintFilms(aet="FILMS"))
    place = department.service.settings.data / "many.dcm"
    scan.PatientID = "PF2"
    scan.save_as(place)
    reception = department.service.reception
    reception.receive(OPERATOR, reception.keeper.stage_file(place))
    with department.records.writing() as work:
        corrections.file_batch(work, HEAD, str(scan.StudyInstanceUID), wire.FileBatch(accession="F2", reason="his"))
    with department.records.writing() as work, pytest.raises(Refused, match="40 films"):
        printing.enqueue(work, HEAD, "F2", wire.PrintFilms(aet="FILMS", layout="1x1"))


def test_films_are_asked_for_over_http(department: Department, tmp_path: Path) -> None:
    password = "a password that is long enough"
    hashed = staffing.hashed(HASHER, password)
    with department.records.writing() as work:
        for role in (Role.DOCTOR, Role.CLERK):
            staffing.add(work, OPERATOR, role.value, [role], password_hash=hashed)
    root = f"http://127.0.0.1:{department.service.http_port}/api/v1"
    with printer(tmp_path / "p", port_of(department)) as kept, httpx.Client(base_url=root, timeout=60) as client:
        status, number = {}, 0
        for name in ("clerk", "doctor"):
            token = client.post("session", json={"username": name, "password": password}).json()["token"]
            client.headers["Authorization"] = f"Bearer {token}"
            answer = client.post("exams/F1/print", json={"aet": "FILMS", "layout": "2x2"})
            status[name], number = answer.status_code, answer.json().get("id", 0)
        assert status == {"clerk": 403, "doctor": 202}
        assert client.get("devices/FILMS/printer").json()["status"] == "NORMAL"
        assert client.post("exams/F1/print", json={"aet": "FILMS", "layout": "0x2"}).status_code == 422
        until(lambda: _state(department, number) is JobState.DONE)
        assert len(films(kept)) == 1


def test_the_command_prints_and_asks_the_printer_how_it_is(department: Department, tmp_path: Path) -> None:
    folder = department.service.settings.data
    with printer(tmp_path / "p", port_of(department)) as kept:
        said = photopeakd("printer", "FILMS", "--json", folder=folder)
        assert json.loads(said.stdout)["status"] == "NORMAL", said.stderr
        done = photopeakd("print", "FILMS", "F1", "--layout", "2x2", "--bits", "12", "--json", folder=folder)
        assert json.loads(done.stdout)["result"]["films"] == 1, done.stderr
        assert len(films(kept)) == 1


def test_a_node_that_prints_nothing_is_named(department: Department) -> None:
    ours = Printer("PHOTOPEAK", "127.0.0.1", department.port)
    with pytest.raises(PeerFailed, match="PHOTOPEAK"):
        ours.print_film(Job(), [np.zeros((8, 8), np.uint16)], generate_uid)
