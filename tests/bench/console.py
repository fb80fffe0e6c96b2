"""The console on a real terminal: start to first paint, key to painted frame on each page, bytes at rest.

Run: .venv/bin/python -m tests.bench.console [PAGE ...]. Asked for: start at most twice that of a minimal Textual app,
keys within 50 ms (p95), nothing sent at rest. The department has sixty exams of today.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from console.client import Client, TokenFile
from core import access, wire
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
# page: whose home it is or how one gets there from it
PAGES = {
    "front_desk": (Role.CLERK, ()), "triage": (Role.NURSE, ()), "worklist": (Role.DOCTOR, ("2",)),
    "exam": (Role.DOCTOR, ("2", "enter")), "camera": (Role.TECHNOLOGIST, ()), "filing": (Role.PHYSICIST, ("3",)),
    "service": (Role.ADMIN, ("5",)),
}  # fmt: skip


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
    head.close()


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
    role, there = PAGES[name]
    client = Client(server)
    client.sign_in(role.value, PASSWORD)
    TokenFile(server, home / "photopeak").write(client.token)
    client.close()
    environment = {"PHOTOPEAK_SERVER": server, "XDG_STATE_HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    terminal = Terminal([sys.executable, "-m", "console"], {**environment, "LANG": "C.UTF-8"}, *size)
    terminal.settle(2.5)
    for key in there:
        terminal.key(key, 1.0)
    keys = ("z", "backspace") if name == "front_desk" else ("down", "down", "up")
    times = [1000 * terminal.frame(keys[number % len(keys)]) for number in range(KEYS)]
    terminal.settle(2.0)
    idle = terminal.idle_bytes()
    terminal.close()
    said = f"key p50 {median(times):5.1f} ms  p95 {p95(times):5.1f} ms"
    print(f"{name:12} {size[0]}x{size[1]}  {said}  at rest {idle} bytes", flush=True)


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
