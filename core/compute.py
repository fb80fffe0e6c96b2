"""Where heavy work is executed: processes of this machine, kept warm between tasks.

A task is the name of a function and an argument that fits into JSON, so that another executor can take it elsewhere.
Each worker does one task at a time. To cancel is to end its process; a worker that dies takes only its own task along.
When the service dies its workers see their input end, and leave too.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from core.errors import Broken, CoreError, Refused, place_of

Told = Callable[[int, int], None]
Task = Callable[[Mapping[str, Any], Told], dict[str, Any]]

_LOOK_EVERY = 0.1
_TASKS_OF_A_LIFE = 32  # what libraries keep is given back then
_KINDER_THAN_THE_SERVICE = 5
_TOLD_EVERY = 0.2
_END_WITHIN = 5.0


class Pool:
    """Workers of this machine; at most `kept` of them wait for the next task."""

    def __init__(self, kept: int = 2, preload: str = "") -> None:
        self._kept, self._preload = kept, preload
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._turn = threading.Lock()

    def run(
        self, task: str, argument: Mapping[str, Any], told: Told, stop: Callable[[], bool]
    ) -> dict[str, Any] | None:
        """Have a task done; return what it returns, None when `stop` said so.

        Parameters
        ----------
        task
            `module:function`; the function takes the argument and `told`.
        argument
            What fits into JSON.

        Raises
        ------
        Refused, Broken
            As the task raises them; Broken too when its process ended.
        """
        worker = self._take()
        try:
            answer = worker.do(task, argument, told, stop)
        except BaseException:
            self._drop(worker)
            raise
        if answer is None:
            self._drop(worker)
            return None
        self._give_back(worker)
        return _result(answer)

    def _take(self) -> _Worker:
        with self._turn:
            while self._idle:
                worker = self._idle.pop()
                if worker.alive():
                    self._busy.add(worker)
                    return worker
                worker.end()
            worker = _Worker(self._preload)
            self._busy.add(worker)
            return worker

    def _give_back(self, worker: _Worker) -> None:
        with self._turn:
            self._busy.discard(worker)
            if len(self._idle) < self._kept and worker.tasks < _TASKS_OF_A_LIFE:
                self._idle.append(worker)
                return
        worker.end()

    def _drop(self, worker: _Worker) -> None:
        with self._turn:
            self._busy.discard(worker)
        worker.end()

    @property
    def busy(self) -> int:
        """How many tasks run."""
        with self._turn:
            return len(self._busy)

    def pids(self) -> list[int]:
        """Return the processes of the tasks that run."""
        with self._turn:
            return [worker.pid for worker in self._busy]

    def close(self) -> None:
        """End every worker."""
        with self._turn:
            workers = [*self._idle, *self._busy]
            self._idle.clear()
            self._busy.clear()
        for worker in workers:
            worker.end()


def _result(answer: Mapping[str, Any]) -> dict[str, Any]:
    if "refused" in answer:
        raise Refused(answer["refused"])
    if "broken" in answer:
        raise Broken(answer["broken"])
    result: dict[str, Any] = answer["result"]
    return result


class _Worker:
    """One process and the lines that go to and fro."""

    def __init__(self, preload: str) -> None:
        self.tasks = 0
        command = [sys.executable, "-m", "core.compute", preload]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 - ourselves
        self._heard = b""

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def do(
        self, task: str, argument: Mapping[str, Any], told: Told, stop: Callable[[], bool]
    ) -> Mapping[str, Any] | None:
        """Say what is to be done and listen until it is."""
        self.tasks += 1
        assert self._process.stdin  # noqa: S101 - it was opened with one
        try:
            self._process.stdin.write(json.dumps({"task": task, "argument": argument}).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            return {"broken": self._gone()}
        with selectors.DefaultSelector() as ready:
            ready.register(self._out(), selectors.EVENT_READ)
            while not stop():
                for line in self._lines(ready):
                    said = json.loads(line)
                    if "done" not in said:
                        return dict(said)
                    told(said["done"], said["of"])
                if not self.alive():
                    return {"broken": self._gone()}
        return None

    def _out(self) -> int:
        assert self._process.stdout  # noqa: S101 - as above
        return self._process.stdout.fileno()

    def _lines(self, ready: selectors.BaseSelector) -> list[bytes]:
        """Return the whole lines that came within a short time."""
        if not ready.select(_LOOK_EVERY):
            return []
        self._heard += os.read(self._out(), 1 << 16)
        *lines, self._heard = self._heard.split(b"\n")
        return lines

    def _gone(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        code = self._process.returncode
        why = f"signal {-code}" if code is not None and code < 0 else f"status {code}"
        return f"the process that worked on this ended ({why}): it may have run out of memory"

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_WITHIN)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()


# -- in the worker ---------------------------------------------------------------------------------------------------


def main(preload: str = "") -> None:
    """Work off the tasks that stand on standard input, one a line."""
    os.nice(_KINDER_THAN_THE_SERVICE)
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)  # what a library prints is no answer
        if preload:
            importlib.import_module(preload)
        waiting: list[str] = []
        there = threading.Condition()
        threading.Thread(target=_listen, args=(waiting, there), daemon=True).start()
        while True:
            with there:
                there.wait_for(lambda: waiting)
                line = waiting.pop(0)
            _say(out, _answer(json.loads(line), _Telling(out)))


def _listen(waiting: list[str], there: threading.Condition) -> None:
    """Take tasks from standard input; when it ends nobody wants the answer any more."""
    for line in sys.stdin:
        with there:
            waiting.append(line)
            there.notify()
    os._exit(0)


class _Telling:
    """Progress, said now and then."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._said_at = out, 0.0

    def __call__(self, done: int, of: int) -> None:
        now = time.monotonic()
        if now - self._said_at >= _TOLD_EVERY:
            self._said_at = now
            _say(self._out, {"done": done, "of": of})


def _answer(said: Mapping[str, Any], told: Told) -> dict[str, Any]:
    module, _, name = str(said["task"]).partition(":")
    try:
        task: Task = getattr(importlib.import_module(module), name)
        return {"result": task(said["argument"], told)}
    except Refused as error:
        return {"refused": error.detail}
    except CoreError as error:
        return {"broken": error.detail}
    except MemoryError:
        return {"broken": "the memory of this machine was not enough: fewer processings side by side, or more memory"}
    except Exception as error:  # noqa: BLE001 - whatever it is, the worker lives on and the queue decides
        return {"broken": f"broke off: {type(error).__name__} in {place_of(error)}"}


def _say(out: TextIO, what: Mapping[str, Any]) -> None:
    out.write(json.dumps(what) + "\n")
    out.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
