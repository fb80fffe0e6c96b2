"""Draw the README's pictures of the console: a demo department, opened as a doctor, saved as SVG.

Run: make picture. The names in it are made up, as everything in the demo is.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from textual.pilot import Pilot  # noqa: E402 - as above

from console import preferences  # noqa: E402 - the checkout's own code
from console.app import Console  # noqa: E402 - as above
from console.client import Client, TokenFile  # noqa: E402 - as above

SIZE = (140, 36)
DOCS = ROOT / "docs"


def main() -> None:
    """Open a department, draw, close it."""
    with tempfile.TemporaryDirectory() as home:
        os.environ |= {
            "XDG_STATE_HOME": f"{home}/state",
            "XDG_CONFIG_HOME": f"{home}/config",
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
        }
        command = [sys.executable, "-m", "core", "demo", "--json", "--leash", "--role", "doctor"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as department:
            try:
                asyncio.run(_draw(_opened(department)))
            finally:
                if department.stdin:
                    department.stdin.close()


def _opened(department: subprocess.Popen[bytes]) -> dict[str, Any]:
    said = b""
    while department.stdout and (line := department.stdout.readline()):
        said += line
        if line.rstrip() == b"}":
            break
    opened: dict[str, Any] = json.loads(said)
    return opened


async def _draw(opened: dict[str, Any]) -> None:
    server = opened["http"]
    os.environ["PHOTOPEAK_SERVER"] = server
    client = Client(server)
    client.sign_in("doctor", next(one["password"] for one in opened["staff"] if one["username"] == "doctor"))
    TokenFile(server).write(client.token)
    console = Console(preferences.read())
    async with console.run_test(size=SIZE) as pilot:
        await pilot.pause(4)
        await _down_to_images(pilot, client)
        (DOCS / "console.svg").write_text(console.export_screenshot(), encoding="utf-8")
        await pilot.press("v")
        await pilot.pause(3)
        await pilot.press("m", "m")
        await pilot.pause(2)
        (DOCS / "viewer.svg").write_text(console.export_screenshot(), encoding="utf-8")


async def _down_to_images(pilot: Pilot[None], client: Client) -> None:
    """Go to the first whole-body scan that has its images."""
    rows = client.get("exams", assigned_to="me", order="queue", limit=200)["items"]
    rows = [row for row in rows if row["state"] not in {"reported", "cancelled", "not_done"}]
    ready = [row["procedure"] == "BONE-WB" and row["images"]["state"] == "complete" for row in rows]
    for _ in range(ready.index(True) if True in ready else 0):
        await pilot.press("down")
    await pilot.pause(1)


if __name__ == "__main__":
    main()
