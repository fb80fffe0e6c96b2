"""The real program on a real terminal: it signs in, rests without a byte, keeps what was typed when the line drops."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.client import Client
from tests.console.conftest import PASSWORD, Department

PATIENCE = 60.0


class Terminal:
    """A terminal of 80x24 with the console on it."""

    def __init__(self, url: str, folder: Path) -> None:
        own = {"XDG_CONFIG_HOME": str(folder), "XDG_STATE_HOME": str(folder), "LANG": "C.UTF-8"}
        environment = {**os.environ, **own, "TERM": "xterm-256color"}
        self.pid, self.line = pty.fork()
        if self.pid == 0:
            os.execve(sys.executable, [sys.executable, "-m", "console", "--server", url], environment)  # noqa: S606 - the real program, on a terminal of its own
        fcntl.ioctl(self.line, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.seen = ""

    def read(self, seconds: float) -> str:
        if not select.select([self.line], [], [], seconds)[0]:
            return ""
        try:
            text = os.read(self.line, 1 << 16).decode("utf-8", "replace")
        except OSError:  # the program has gone
            return ""
        self.seen += text
        return text

    def shows(self, text: str) -> bool:
        end = time.monotonic() + PATIENCE
        while text not in self.seen and time.monotonic() < end:
            self.read(0.5)
        return text in self.seen

    def type(self, text: str) -> None:
        for key in text:
            os.write(self.line, key.encode())
            self.read(0.05)

    def type_at_once(self, text: str) -> None:
        os.write(self.line, text.encode())

    def rests(self) -> bool:
        end = time.monotonic() + PATIENCE
        while self.read(2.0):
            if time.monotonic() > end:
                return False
        return True

    def status(self) -> int:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.read(0.1)
            gone, status = os.waitpid(self.pid, os.WNOHANG)
            if gone:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
        return -1

    def close(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.line)


@pytest.fixture
def terminal(department: Department, tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal(department.url, tmp_path / "own")
    try:
        assert opened.shows("Password")
        opened.type_at_once(f"wang.li\r{PASSWORD}\r")
        assert opened.shows("Front desk"), opened.seen[-3000:]
        assert opened.rests(), "the screen never came to rest"
        yield opened
    finally:
        opened.close()


def test_an_idle_screen_sends_no_byte_and_ctrl_q_leaves(terminal: Terminal) -> None:
    assert terminal.read(4.0) == ""
    terminal.type("\x11")
    assert terminal.status() == 0


def test_what_was_typed_is_kept_when_the_line_drops(terminal: Terminal, department: Department) -> None:
    terminal.type("\x1bOQ")  # F2
    assert terminal.shows("Registration")
    assert terminal.rests()
    terminal.type("Li Na")
    os.kill(terminal.pid, signal.SIGHUP)
    assert terminal.status() == 0
    line = Client(department.url)
    line.sign_in("wang.li", PASSWORD)
    assert line.get("drafts/registration")["name"] == "Li Na"
    line.close()
