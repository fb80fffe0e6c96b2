"""A frame change of the viewer over SSH at 160x50: key to painted frame, and bytes a frame on the wire.

Run: .venv/bin/python -m tests.bench.over_ssh. Asked for: p95 under 60 ms. A real sshd (apt install openssh-server) and
the ssh of the system talk on loopback through a relay that counts; once as they are, once with ssh -C. The same keys on
a terminal without SSH stand beside them. Every frame is another picture: a dynamic study of the kidneys.
"""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median

from console.client import Client, TokenFile
from core.vocabulary import Role
from tests.bench.console import PASSWORD
from tests.bench.terminal import Terminal, p95

SIZE, KEYS = (160, 50), 50
TO_THE_VIEWER = ("1", "v")
VIEWS = {"frames": (), "hot iron": ("m", "m"), "grid of 4": ("g",)}


class Relay:
    """Hands bytes on between a client and the sshd, and counts what comes back."""

    def __init__(self, port: int) -> None:
        self._to, self.back = port, 0
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                near, _address = self._door.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._to))
            for line in (near, far):
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._hand_on, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self._hand_on, args=(far, near, True), daemon=True).start()

    def _hand_on(self, source: socket.socket, target: socket.socket, counted: bool) -> None:  # noqa: FBT001 - a thread's
        with suppress(OSError):  # either end may hang up first
            while data := source.recv(1 << 16):
                self.back += len(data) if counted else 0
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._door.close()


@contextmanager
def sshd(folder: Path) -> Iterator[tuple[int, Path]]:
    """Run an sshd of our own; yields its port and the key that opens it."""
    for name in ("host", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = folder / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/key.pub\n"
        f"PidFile {folder}/pid\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"
        "Compression yes\nPrintMotd no\n"
    )
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise SystemExit("there is no sshd: apt install openssh-server")
    Path("/run/sshd").mkdir(exist_ok=True)  # sshd wants it, whoever starts it
    with subprocess.Popen([program, "-D", "-e", "-f", str(config)], stderr=subprocess.DEVNULL) as running:
        time.sleep(1)
        try:
            yield port, folder / "key"
        finally:
            running.terminate()


def command_over(port: int, key: Path, environment: dict[str, str], *, compressed: bool) -> list[str]:
    """Return the ssh command that opens the console at the other end."""
    far = " ".join([*(f"{name}={value}" for name, value in environment.items()), sys.executable, "-m", "console"])
    quiet = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR")
    flags = ["-C"] if compressed else []
    here = f"cd {Path.cwd()} && COLORTERM=truecolor {far}"
    return ["ssh", "-tt", *flags, *quiet, "-i", str(key), "-p", str(port), f"{getpass.getuser()}@127.0.0.1", here]


def measured(name: str, terminal: Terminal, relay: Relay | None) -> None:
    """Print how long each key takes to its frame, view by view."""
    terminal.settle(3.0)
    for key in TO_THE_VIEWER:
        terminal.key(key, 1.0)
    terminal.settle(2.0)
    for view, keys in VIEWS.items():
        for key in keys:
            terminal.key(key, 1.0)
        terminal.key("home", 1.0)
        painted, wire, worked = terminal.sent, relay.back if relay else 0, terminal.cpu_ms()
        count = KEYS if view != "grid of 4" else 12
        times = [1000 * terminal.frame("right") for _key in range(count)]
        terminal.settle(1.0)
        painted = (terminal.sent - painted) // count
        wire = ((relay.back if relay else 0) - wire) // count
        said = f"p50 {median(times):5.1f} ms  p95 {p95(times):5.1f} ms  {painted:6d} bytes a frame"
        cpu = (terminal.cpu_ms() - worked) / count
        print(
            f"{name:8} {view:10} {said}  " + (f"{wire:6d} on the wire" if relay else f"{cpu:.0f} ms of CPU"), flush=True
        )
    terminal.close()


def run(server: str, home: Path, folder: Path) -> None:
    """Measure without SSH, with it, and with its compression."""
    client = Client(server)
    client.sign_in(Role.DOCTOR.value, PASSWORD)
    TokenFile(server, home / "photopeak").write(client.token)
    client.close()
    own = {"PHOTOPEAK_SERVER": server, "XDG_STATE_HOME": str(home), "XDG_CONFIG_HOME": str(home), "LANG": "C.UTF-8"}
    measured("no ssh", Terminal([sys.executable, "-m", "console"], own, *SIZE), None)
    with sshd(folder) as (port, key):
        for name, compressed in (("ssh", False), ("ssh -C", True)):
            relay = Relay(port)
            command = command_over(relay.port, key, own, compressed=compressed)
            measured(name, Terminal(command, {}, *SIZE), relay)
            relay.close()


def main() -> None:
    """Print every figure."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "ssh").mkdir(mode=0o700)
        command = [sys.executable, "-m", "tests.bench.console", "serve", str(home / "data")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as service:
            port = json.loads(service.stdout.readline() if service.stdout else "0")
            print(f"160x50, {KEYS} keys, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
            run(f"http://127.0.0.1:{port}", home / "home", home / "ssh")
            if service.stdin:
                service.stdin.close()


if __name__ == "__main__":
    main()
