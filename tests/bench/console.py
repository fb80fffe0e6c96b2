"""The console on a real terminal: start to first paint, key to painted frame on each page, bytes a key and at rest.

Run: .venv/bin/python -m tests.bench.console [PAGE ...]. Asked for: start at most twice that of a minimal Textual app,
keys within 50 ms (p95), nothing sent at rest. The department has sixty exams of today, the first with images: a dynamic
study of the kidneys, so that each frame of the viewer is another picture.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from pydicom.uid import generate_uid

from console.client import Client, TokenFile
from core import access, wire
from core.dicom.compose import Camera, Ordered, compose
from core.dicom.tracers import Tracer
from core.imaging.phantom import OF_PROCEDURE
from core.scu.peer import Peer
from core.service import Service
from core.settings import Settings
from core.vocabulary import Role
from core.workflow import devices, staffing
from tests.bench.terminal import Terminal, p95

PASSWORD = "bench-of-the-console"
MINIMAL = """
from textual.app import App
from textual.widgets import Static
class Minimal(App):
    def compose(self):
        yield Static("photopeak")
Minimal().run()
"""
STARTS, KEYS = 9, 60
SIZES = ((80, 24), (160, 50))
# page: whose home it is, how one gets there from it, and the keys that are timed
PAGES = {
    "front_desk": (Role.CLERK, (), ("z", "backspace")),
    "registration": (Role.CLERK, ("f2",), ("z", "backspace")),
    "triage": (Role.NURSE, (), ("down", "down", "up")),
    "worklist": (Role.DOCTOR, ("2",), ("down", "down", "up")),
    "exam": (Role.DOCTOR, ("2", "enter"), ("down", "down", "up")),
    "patient": (Role.DOCTOR, ("1", "o"), ("down", "up")),
    "camera": (Role.TECHNOLOGIST, (), ("down", "down", "up")),
    "filing": (Role.PHYSICIST, ("7",), ("6", "7")),
    "viewer": (Role.DOCTOR, ("1", "v"), ("right",)),
    "viewer_window": (Role.DOCTOR, ("1", "v"), ("+", "+", "-")),
    "report": (Role.DOCTOR, ("1", "r"), ("x", "y", "z", "backspace")),
    "consultation": (Role.HEAD, ("alt+5",), ("down", "up")),
    "service": (Role.ADMIN, ("5",), ("down", "down", "up")),
}


def furnish(service: Service) -> None:
    """Give the department people, a camera and sixty exams of today in several states."""
    operator = access.operator("bench", "MAIN")
    with service.records.writing() as work:
        hashed = staffing.hashed(service.sign_ins.hasher, PASSWORD)
        for role in Role:
            staffing.add(work, operator, role.value, [role], full_name=role.title(), password_hash=hashed)
        camera = wire.Device(aet="NMCAM1", host="127.0.0.1", port=104, modalities=["NM"])
        devices.add(work, operator, camera)
    head = Client(f"http://127.0.0.1:{service.http_port}")
    head.sign_in("head", PASSWORD)
    names = ("Zhang^Wei=张^伟", "Ouyang^Nana=欧阳^娜娜", "García Márquez^Ana María", "Li^Na=李^娜")
    for number in range(60):
        patient = {"name": names[number % 4], "birth_date": f"19{40 + number}-03-04", "accept_similar": True}
        exam = {
            "procedure": ("BONE-WB", "MPI-GATED", "THYROID")[number % 3],
            "urgency": ("stat", "routine")[number % 2],
        }
        made = head.post("registrations", {"patient": patient, "exam": exam})
        if number % 3:
            head.post(f"exams/{made['accession']}/protocol", {"device": "NMCAM1"})
    _image(service, head)
    head.close()


def _image(service: Service, head: Client) -> None:
    """Give the doctor a patient with a dynamic study, and the head a question about it."""
    patient = {"name": "Wang^Fang=王^芳", "birth_date": "1958-03-04", "sex": "F", "accept_similar": True}
    exam = head.post("registrations", {"patient": patient, "exam": {"procedure": "RENO-MAG3", "urgency": "stat"}})
    accession = exam["accession"]
    head.post(f"exams/{accession}/protocol", {"device": "NMCAM1"})
    head.post(f"exams/{accession}/assign", {"to": Role.DOCTOR.value})
    _send(service, exam)
    head.post("consultations", {"accession": accession, "question": "Is the left kidney obstructed?"})


def _send(service: Service, exam: dict[str, Any]) -> None:
    made = OF_PROCEDURE[exam["procedure"]](np.random.default_rng(1))
    ordered = Ordered(
        patient_id=exam["patient_number"], patient_name="Wang^Fang=王^芳", birth_date="19580304", sex="F",
        accession=exam["accession"], study_instance_uid=exam["study_instance_uid"],
    )  # fmt: skip
    objects = compose(
        made.acquisitions, ordered, Camera("NMCAM1"), Tracer(), uid=generate_uid, clock=lambda: datetime.now(UTC)
    )
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.dcm" for number, _ in enumerate(objects)]
        for path, dataset in zip(paths, objects, strict=True):
            dataset.save_as(path, enforce_file_format=True)
        if not all(stored.kept for stored in Peer("PHOTOPEAK", "127.0.0.1", service.dicom_port).store(paths)):
            raise SystemExit("the images did not arrive")


def served(folder: Path) -> None:
    """Serve until standard input ends, in a process of its own."""
    service = Service(Settings(folder, http="127.0.0.1:0", dicom="127.0.0.1:0"))
    service.start()
    furnish(service)
    print(json.dumps(service.http_port), flush=True)
    sys.stdin.read()
    service.stop()


def starts(home: Path) -> None:
    """Print how the start compares with a minimal Textual app's, taken in turns."""
    environment = {"PHOTOPEAK_SERVER": "http://127.0.0.1:9", "XDG_STATE_HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    commands = {"minimal": ["-c", MINIMAL], "photopeak": ["-m", "console"]}
    took: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(STARTS):
        for name, command in commands.items():
            terminal = Terminal([sys.executable, *command], environment)
            took[name].append(1000 * terminal.first_paint())
            terminal.close()
    minimal, ours = median(took["minimal"]), median(took["photopeak"])
    print(f"start to first paint: minimal {minimal:.0f} ms, photopeak {ours:.0f} ms, ratio {ours / minimal:.2f}")


def page(server: str, home: Path, name: str, size: tuple[int, int]) -> None:
    """Print the key times of one page."""
    role, there, keys = PAGES[name]
    client = Client(server)
    client.sign_in(role.value, PASSWORD)
    TokenFile(server, home / "photopeak").write(client.token)
    client.close()
    environment = {"PHOTOPEAK_SERVER": server, "XDG_STATE_HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    terminal = Terminal([sys.executable, "-m", "console"], {**environment, "LANG": "C.UTF-8"}, *size)
    terminal.settle(2.5)
    for key in there:
        terminal.key(key, 1.0)
    sent = terminal.sent
    times = [1000 * terminal.frame(keys[number % len(keys)]) for number in range(KEYS)]
    sent = (terminal.sent - sent) // KEYS
    terminal.settle(2.0)
    idle = terminal.idle_bytes()
    terminal.close()
    said = f"key p50 {median(times):5.1f} ms  p95 {p95(times):5.1f} ms"
    print(f"{name:13} {size[0]}x{size[1]}  {said}  {sent} bytes a key, {idle} at rest", flush=True)


def main() -> None:
    """Print every figure."""
    if sys.argv[1:2] == ["serve"]:
        served(Path(sys.argv[2]))
        return
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        starts(home / "home")
        command = [sys.executable, "-m", "tests.bench.console", "serve", str(home / "data")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as service:
            port = json.loads(service.stdout.readline() if service.stdout else "0")
            for name in sys.argv[1:] or PAGES:
                for size in SIZES:
                    page(f"http://127.0.0.1:{port}", home / "home", name, size)
            if service.stdin:
                service.stdin.close()


if __name__ == "__main__":
    main()
