"""photopeak demo: a throw-away department of simulated colleagues and cameras, and the console opened in it.

The department is a process of its own that ends with the console: it listens to a pipe, and when the pipe ends, however
that comes about, it stops and takes its folder away. Without a terminal the day is played at speed instead.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Any

from console import preferences, words
from console.client import Client, ServiceAway, ServiceRefused, TokenFile
from console.words import _
from core.vocabulary import Role

_SERVICE = (sys.executable, "-m", "core", "demo")
_STOP_WITHIN = 20
_PIECE = 1024
# Who plays which role, and what there is to do.
_PLAYED = {
    Role.CLERK: ("clerk", "register patients and exams at the front desk"),
    Role.NURSE: ("nurse", "triage, assign, answer checks"),
    Role.TECHNOLOGIST: ("tech", "inject, start, finish at the camera"),
    Role.PHYSICIST: ("physicist", "look at what is processed, accept it, put misfiled images right"),
    Role.DOCTOR: ("doctor", "protocol, view, report, sign"),
    Role.HEAD: ("head", "see everything, consult, review"),
    Role.ADMIN: ("admin", "devices, staff, the service itself"),
}


def main(argv: Sequence[str]) -> int:
    """Open the demo, or play it where there is no terminal; returns the exit status."""
    arguments = _parser().parse_args(argv)
    if arguments.play or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return subprocess.call([*_SERVICE, "--play", *(["--json"] if arguments.json else [])])
    words.speak(preferences.read().language)
    role = Role(arguments.role) if arguments.role else _ask_role()
    return _open(role, arguments.pace) if role else 1


def _parser() -> argparse.ArgumentParser:
    text = "A throw-away department with simulated colleagues and cameras."
    parser = argparse.ArgumentParser(prog="photopeak demo", description=text)
    parser.add_argument(
        "--role", choices=[role.value for role in _PLAYED], help="the role to play; asked for otherwise"
    )
    parser.add_argument("--pace", choices=("human", "fast"), default="human", help="how fast the others work")
    parser.add_argument("--play", action="store_true", help="play the day at speed, as without a terminal")
    parser.add_argument("--json", action="store_true", help="with --play: print one JSON object")
    return parser


def _ask_role() -> Role | None:
    """Ask which role to play; None when there is no answer."""
    roles = list(_PLAYED)
    print(_("Which role do you want to play?"))
    for number, role in enumerate(roles, 1):
        print(f"  {number}  {role.value:14} {_PLAYED[role][1]}")
    for _try in range(3):
        try:
            said = input(_("Number or name: ")).strip().lower()
        except (EOFError, KeyboardInterrupt):
            return None
        if said in {str(number) for number in range(1, len(roles) + 1)}:
            return roles[int(said) - 1]
        if said in roles:
            return Role(said)
    return None


def _open(role: Role, pace: str) -> int:
    command = [*_SERVICE, "--json", "--leash", "--role", role.value, "--pace", pace]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True) as service:
        ready = threading.Event()
        threading.Thread(target=_relay, args=(service.stderr, ready), name="progress", daemon=True).start()
        settled = None
        try:
            settled = _settled(service.stdout)
            ready.set()
            return _play(settled, role)
        except KeyboardInterrupt:
            return 1
        finally:
            ready.set()
            _let_go(service, settled)


def _play(settled: dict[str, Any] | None, role: Role) -> int:
    if settled is None:
        print(_("photopeak: the department did not open; run 'photopeakd demo' to see why"), file=sys.stderr)
        return 1
    return _console(settled, role)


def _relay(said: IO[bytes] | None, ready: threading.Event) -> None:
    """Show how far the department is; once it is open the terminal is the console's."""
    while said and (piece := said.read1(_PIECE)):  # type: ignore[attr-defined]
        if not ready.is_set():
            sys.stderr.buffer.write(piece)
            sys.stderr.buffer.flush()


def _settled(said: IO[bytes] | None) -> dict[str, Any] | None:
    """Read where the department is and who works there; None when it ended instead."""
    text = ""
    while said and (line := said.readline()):
        text += line.decode()
        if line.rstrip() == b"}":
            settled: dict[str, Any] = json.loads(text)
            return settled
    return None


def _console(settled: dict[str, Any], role: Role) -> int:
    from console import app  # noqa: PLC0415 - the department opens while Textual is not needed yet

    server, name = settled["http"], _PLAYED[role][0]
    password = next(one["password"] for one in settled["staff"] if one["username"] == name)
    kept = TokenFile(server)
    client = Client(server)
    try:
        client.sign_in(name, password)
    except (ServiceRefused, ServiceAway) as error:
        print(f"photopeak: {error.detail}", file=sys.stderr)
        return 1
    kept.write(client.token)
    others = " ".join(one["username"] for one in settled["staff"])
    greeting = _("You are {name}. Everyone's password today, for signatures and for changing roles: {password}")
    said = f"{greeting.format(name=name, password=password)}\n{others}"
    print(f"\n{said}")
    try:
        return app.run(server=server, greeting=said)
    finally:
        kept.write(None)
        client.close()


def _let_go(service: subprocess.Popen[bytes], settled: dict[str, Any] | None) -> None:
    """End the department, which takes its folder away; when it does not end, take both away."""
    with suppress(OSError):
        if service.stdin:
            service.stdin.close()
    try:
        service.wait(_STOP_WITHIN)
    except subprocess.TimeoutExpired:
        service.kill()
        service.wait()
        if settled:
            shutil.rmtree(settled["data"], ignore_errors=True)
