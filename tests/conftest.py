"""What every test may ask for: the programs of others, a free port, a PostgreSQL of its own.

A peer that is absent skips its tests with the reason; under CI=true it fails them: nothing goes untested unseen.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("photopeak", deadline=None, derandomize=True)  # no assertion is timed, no run is a lottery
settings.register_profile("explore", deadline=None)  # --hypothesis-profile=explore looks for what nobody has seen yet
settings.load_profile("photopeak")

NODE_MODULES = Path(__file__).parent / "peers" / "node_modules"
OUTSIDE_PATH = ("/usr/sbin", "/usr/local/sbin", "/usr/local/bin")


def _program(name: str) -> Path | None:
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), *OUTSIDE_PATH])
    found = shutil.which(name, path=places)
    return Path(found) if found else None


def _postgres() -> Path | None:
    """Find the newest server's folder of programs: Debian keeps them away from PATH."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = installed[-1] if installed else _program("initdb")
    return found.parent if found else None


def _node_module(name: str) -> Path | None:
    module = NODE_MODULES / name
    return module if _program("node") and module.is_dir() else None


def _orthanc_plugin() -> Path | None:
    found = sorted(Path("/usr").glob("share/orthanc/plugins/libOrthancDicomWeb.so"))
    return found[0] if found else None


FINDERS: dict[str, Callable[[], Path | None]] = {
    "postgres": _postgres,
    "orthanc-dicomweb": _orthanc_plugin,
    "dcmjs-dimse": lambda: _node_module("dcmjs-dimse"),
}


def find_peer(name: str) -> Path:
    """Tell where the peer lies.

    Parameters
    ----------
    name
        A program (storescu, wlmscpfs, Orthanc, tmux, dciodvfy, node ...), ``postgres`` (the folder of its programs),
        ``orthanc-dicomweb`` (Orthanc's plugin) or ``dcmjs-dimse`` (the folder of the node module).

    Raises
    ------
    pytest.skip.Exception
        The peer is absent; under ``CI=true`` the test fails instead.
    """
    found = FINDERS.get(name, lambda: _program(name))()
    if found is not None:
        return found
    reason = f"{name} is not installed here: make test-peers brings it"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Look for the peers a test is marked with before it starts."""
    for mark in item.iter_markers("peer"):
        for name in mark.args:
            find_peer(name)


@pytest.fixture(scope="session")
def peer() -> Callable[[str], Path]:
    """Give ``peer("storescu")``: the path of that program, or the end of this test."""
    return find_peer


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Give ``free_port()``: a port on 127.0.0.1 nobody listened on a moment ago, another one at each call."""
    given: set[int] = set()

    def take() -> int:
        while True:
            with socket.socket() as sock:
                sock.bind(("127.0.0.1", 0))
                port = int(sock.getsockname()[1])
            if port not in given:
                given.add(port)
                return port

    return take


@pytest.fixture(scope="session")
def postgres_url(free_port: Callable[[], int]) -> Iterator[str]:
    """Run a throw-away PostgreSQL on loopback and give the address of its empty database."""
    programs = find_peer("postgres")
    # Not in pytest's own folder: every session that starts makes that one private again, and the server locked out.
    home = Path(tempfile.mkdtemp(prefix="photopeak-postgres-"))
    cluster, port = home / "cluster", free_port()
    as_owner = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if as_owner:  # PostgreSQL refuses to run as root, and its own user must reach the folder
        home.chmod(0o755)
        shutil.chown(home, "postgres")

    def run(program: str, *arguments: str) -> None:
        command = [*as_owner, str(programs / program), *arguments]
        subprocess.run(command, check=True, timeout=60, cwd=home, stdout=subprocess.DEVNULL)

    run("initdb", "-D", str(cluster), "-U", "photopeak", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
    settings = f"-p {port} -k {home} -c listen_addresses=127.0.0.1 -c fsync=off"
    run("pg_ctl", "-D", str(cluster), "-w", "-t", "30", "-l", str(home / "log"), "-o", settings, "start")
    try:
        run("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "photopeak", "photopeak")
        yield f"postgresql+psycopg://photopeak@127.0.0.1:{port}/photopeak"
    finally:
        run("pg_ctl", "-D", str(cluster), "-m", "immediate", "-w", "stop")
        shutil.rmtree(home)
