"""A program on a terminal of its own, timed from key to painted frame.

It answers the query for synchronised output, so that the end of each frame is known exactly.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_FRAME_END, _ASKED, _ANSWER = b"\x1b[?2026l", b"\x1b[?2026$p", b"\x1b[?2026;2$y"
KEYS = {
    "up": b"\x1b[A", "down": b"\x1b[B", "pagedown": b"\x1b[6~", "pageup": b"\x1b[5~", "end": b"\x1b[F",
    "home": b"\x1b[H", "enter": b"\r", "escape": b"\x1b", "right": b"\x1b[C", "left": b"\x1b[D",
    "backspace": b"\x7f", "f2": b"\x1bOQ", "alt+5": b"\x1b5",
}  # fmt: skip


class Terminal:
    """A running program and the terminal it believes to have."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], columns: int = 80, rows: int = 24
    ) -> None:
        self.began = time.perf_counter()
        self._pid, self._line = pty.fork()
        if self._pid == 0:  # the program itself
            wanted = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **environment}
            os.execvpe(command[0], list(command), wanted)  # noqa: S606 - no shell is meant
        fcntl.ioctl(self._line, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.seen = bytearray()
        self.sent = 0  # bytes so far

    def _read(self, timeout: float) -> bytes:
        if not select.select([self._line], [], [], timeout)[0]:
            return b""
        try:
            data = os.read(self._line, 1 << 16)
        except OSError:
            return b""
        if _ASKED in data:
            os.write(self._line, _ANSWER)
        self.seen += data
        self.sent += len(data)
        return data

    def first_paint(self, limit: float = 60.0) -> float:
        """Return the seconds from start to the end of the first frame."""
        end = self.began + limit
        while _FRAME_END not in self.seen and time.perf_counter() < end:
            self._read(0.5)
        return time.perf_counter() - self.began

    def settle(self, quiet: float = 1.0, limit: float = 60.0) -> None:
        """Read on until nothing has come for a while."""
        end = time.perf_counter() + limit
        while self._read(quiet) and time.perf_counter() < end:
            pass

    def key(self, name: str, quiet: float = 0.1) -> float:
        """Press a key and return the seconds to the end of the last frame it brought before the screen fell quiet."""
        began, painted = time.perf_counter(), 0.0
        os.write(self._line, KEYS.get(name, name.encode()))
        while data := self._read(quiet if painted else 2.0):
            if _FRAME_END in data or not painted:
                painted = time.perf_counter() - began
        return painted

    def frame(self, name: str) -> float:
        """Press a key and return the seconds to the end of the first frame; the rest is read before the next key."""
        began, painted = time.perf_counter(), 0.0
        os.write(self._line, KEYS.get(name, name.encode()))
        while data := self._read(0.08 if painted else 0.5):
            if not painted and _FRAME_END in data:
                painted = time.perf_counter() - began
        return painted

    def idle_bytes(self, seconds: float = 5.0) -> int:
        """Return how many bytes come while nobody does anything."""
        size, end = 0, time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            size += len(self._read(left))
        return size

    def cpu_ms(self) -> float:
        """Return the milliseconds of processor time the program itself has used, which others cannot lengthen."""
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End the program."""
        os.kill(self._pid, signal.SIGKILL)
        os.close(self._line)
        os.waitpid(self._pid, 0)


def p95(times: Sequence[float]) -> float:
    """Return the time nineteen of twenty stay under."""
    return sorted(times)[min(len(times) - 1, int(len(times) * 0.95))]
