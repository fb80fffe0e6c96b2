"""The worklist page over 200,000 exams against the same page over 200, through a real service and a real terminal.

Run: .venv/bin/python -m tests.bench.worklist [EXAMS]. Asked for is a ratio within 2 for each line.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from console.client import Client, TokenFile
from tests.bench import long_list
from tests.bench.terminal import Terminal

PASSWORD = "bench-of-the-worklist"
PHOTOPEAKD = (sys.executable, "-m", "core")
TIMES = 12


@contextmanager
def served(folder: Path, exams: int) -> Iterator[str]:
    """Run photopeakd over so many exams; yields its address."""
    folder.mkdir()
    long_list.fill(folder, exams).close()
    database = f"sqlite:///{folder / f'{exams}.sqlite'}"
    settings = {"database": database, "http": "127.0.0.1:0", "dicom": "127.0.0.1:0"}
    lines = [f'{key} = "{value}"\n' for key, value in settings.items()]
    (folder / "photopeak.toml").write_text("".join(lines), encoding="utf-8")
    data = ("--data", str(folder))
    staff = (*PHOTOPEAKD, "staff", "add", "zhao.min", "--role", "doctor", "--password-stdin", *data)
    subprocess.run(staff, input=f"{PASSWORD}\n", text=True, check=True, timeout=60, stdout=subprocess.DEVNULL)
    command = (*PHOTOPEAKD, "serve", "--json", *data)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as service:
        try:
            yield "http://" + json.loads("".join(_object(service.stdout)))["http"]
        finally:
            service.terminate()


def _object(said: Iterable[str] | None) -> Iterator[str]:
    """Yield the lines of the first JSON object."""
    for line in said or ():
        yield line
        if line.rstrip() == "}":
            return


@contextmanager
def opened(server: str, home: Path) -> Iterator[Terminal]:
    """Open the console on the doctor's worklist."""
    client = Client(server)
    client.sign_in("zhao.min", PASSWORD)
    TokenFile(server, home / "state" / "photopeak").write(client.token)
    client.close()
    places = {"XDG_STATE_HOME": str(home / "state"), "XDG_CONFIG_HOME": str(home / "config"), "LANG": "C.UTF-8"}
    console = Terminal([sys.executable, "-m", "console"], {**places, "PHOTOPEAK_SERVER": server}, 160, 50)
    try:
        console.settle(2.5)
        yield console
    finally:
        console.close()


def main() -> None:
    """Print a line for each thing a person does."""
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with (
            served(home / "few", 200) as few,
            served(home / "many", many) as lots,
            opened(few, home / "a") as small,
            opened(lots, home / "b") as large,
        ):
            _compare(small, large, many)


def _compare(small: Terminal, large: Terminal, many: int) -> None:
    doings = {
        "open department": ("1", "2"), "open late": ("2", "3"), "open latest": ("2", "4"),
        "page down": ("home", "pagedown"), "to the end": ("home", "end"), "to the top": ("end", "home"),
        "one down": ("", "down"),
    }  # fmt: skip
    for name, (before, key) in doings.items():
        took: dict[int, list[float]] = {200: [], many: []}
        for _ in range(TIMES):
            for size, console in ((200, small), (many, large)):
                if before:
                    console.key(before, 0.4)
                took[size].append(1000 * console.key(key, 0.4))
        few, lots = (median(one) for one in took.values())
        print(f"{name:16} {few:7.1f} ms over 200   {lots:7.1f} ms over {many}   ratio {lots / few:5.2f}")


if __name__ == "__main__":
    main()
