"""`photopeakd demo`: a throw-away department, to play in or to be played through."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.commands import Arguments, command, say, spelled
from core.demo.claims import Claim, at_noon, in_the_evening
from core.demo.day import Day, Say
from core.demo.department import Department, demo_settings
from core.demo.life import PACES, Life
from core.errors import Refused
from core.settings import Settings
from core.vocabulary import Role

_ANY_PORT = "127.0.0.1:0"
_BAR = 30
_TRIES = 10


def add_to(commands: Any) -> None:  # noqa: ANN401 - argparse's own
    """Declare the command."""
    demo = command(commands, "demo", _demo, "run a throw-away department with simulated colleagues and cameras")
    demo.add_argument("--http", metavar="HOST:PORT", default=_ANY_PORT)
    demo.add_argument("--dicom", metavar="HOST:PORT", default=_ANY_PORT)
    demo.add_argument("--play", action="store_true", help="play the day at speed, say what happened, and end")
    demo.add_argument("--pace", choices=list(PACES), default="human", help="how fast colleagues and cameras work")
    demo.add_argument(
        "--role", type=spelled, choices=[role.value for role in Role], help="leave this role's work to you"
    )
    demo.add_argument("--leash", action="store_true", help="end when standard input ends")


def _demo(_given: Settings, arguments: Arguments) -> int:
    with _folder(arguments.data) as data:
        return _play(arguments, data) if arguments.play else _live(arguments, data)


@contextmanager
def _folder(given: str | None) -> Iterator[Path]:
    """Yield an empty folder: the one given, or one that goes when the demo ends.

    Raises
    ------
    Refused
        When the folder given holds something: a made-up department never mixes with a real one.
    """
    if given is None:
        made = Path(tempfile.mkdtemp(prefix="photopeak-demo-"))
        try:
            yield made
        finally:
            _remove(made)
        return
    data = Path(given).expanduser().absolute()
    if data.is_dir() and any(data.iterdir()):
        raise Refused(f"{data} is not empty: a made-up department needs a folder of its own")
    yield data


def _remove(folder: Path) -> None:
    """Remove the folder, though a thread that ends last may still write into it."""
    for _ in range(_TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.2)


# -- played at speed -------------------------------------------------------------------------------------------------


def _play(arguments: Arguments, data: Path) -> int:
    began = time.monotonic()
    department = Department(demo_settings(data, arguments.http, arguments.dicom))
    try:
        day = Day(department, _progress)
        day.prepare()
        claims = at_noon(day)
        day.play()
        claims += in_the_evening(day)
    finally:
        department.close()
    held = all(claim.holds for claim in claims)
    facts = {
        "held": held,
        "seconds": round(time.monotonic() - began, 1),
        "claims": [{**asdict(claim), "holds": claim.holds} for claim in claims],
        "faults": day.tally.wrong_statuses,
    }
    say(arguments, facts, "\n".join([*map(_line, claims), *day.tally.wrong_statuses, _ended(claims, facts["seconds"])]))
    return 0 if held else 1


def _line(claim: Claim) -> str:
    if claim.holds:
        return f"  ok    {claim.found:5}  {claim.text}"
    return f"  WRONG {claim.found:5}  {claim.text}: {claim.expected} expected"


def _ended(claims: list[Claim], seconds: object) -> str:
    wrong = sum(not claim.holds for claim in claims)
    return f"The day was played in {seconds} s: {f'{wrong} claims do not hold' if wrong else 'all of it held'}."


# -- alive, for a player ---------------------------------------------------------------------------------------------


def _live(arguments: Arguments, data: Path) -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    if arguments.leash:
        threading.Thread(target=_until_let_go, args=(stop,), name="leash", daemon=True).start()
    pace = PACES[arguments.pace]
    opened = threading.Event()
    department = Department(demo_settings(data, arguments.http, arguments.dicom), _pause(opened, stop, pace.object))
    try:
        day = Day(department, _unless(stop, _bar if arguments.leash else _progress))
        day.prepare()
        opened.set()
        say(arguments, asdict(department.settled()), _welcome(department))
        sys.stdout.flush()
        Life(day, pace, Role(arguments.role) if arguments.role else None, stop).go_on()
    finally:
        department.close()
    return 0


def _pause(opened: threading.Event, stop: threading.Event, seconds: float) -> Any:  # noqa: ANN401 - a function
    def pause() -> None:
        if opened.is_set():
            stop.wait(seconds)

    return pause


def _unless(stop: threading.Event, say_it: Say) -> Say:
    """Say how far it is, and go no further when it is to stop."""

    def said(what: str, done: int, of: int) -> None:
        if stop.is_set():
            raise Refused("the demo was closed before it was open")
        say_it(what, done, of)

    return said


def _until_let_go(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


def _welcome(department: Department) -> str:
    settled = department.settled()
    lines = [f"  {one['username']:10} {one['role']:16} {one['password']}" for one in settled.staff]
    where = f"The department is open at {settled.http}, DICOM {settled.aet} at {settled.dicom}."
    return "\n".join([where, *lines, "Ctrl+C closes it; nothing of it stays."])


def _progress(what: str, done: int, of: int) -> None:
    """Draw how far the made-up days have come, on a terminal."""
    if sys.stderr.isatty():
        _bar(what, done, of)


def _bar(what: str, done: int, of: int) -> None:
    filled = _BAR * (done + 1) // max(of, 1)
    end = "\n" if done + 1 >= of else ""
    bar = "#" * filled + "." * (_BAR - filled)
    print(f"\r{what:10} [{bar}] {done + 1}/{of}", end=end, file=sys.stderr, flush=True)
