"""What a person has set for their console, in `console.toml` of their folder; the environment is read here alone."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from platformdirs import user_config_path

DEFAULT_SERVER = "http://127.0.0.1:11180"


@dataclass(frozen=True)
class Preferences:
    """Settings of one person at one terminal; `complaints` tell what could not be read."""

    folder: Path
    server: str = DEFAULT_SERVER
    language: str = "en"
    theme: str = "dark"
    ascii: bool = False
    complaints: tuple[str, ...] = field(default=(), compare=False)

    def keep(self, **settings: str) -> Preferences:
        """Return these preferences with `settings` changed, and write them to the person's file."""
        kept = _read(self.folder)[0] | settings
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in sorted(kept.items())]
        (self.folder / "console.toml").write_text("".join(lines), encoding="utf-8")
        return replace(self, language=kept.get("language", self.language), theme=kept.get("theme", self.theme))


def read(environment: Mapping[str, str] | None = None, folder: Path | None = None, server: str = "") -> Preferences:
    """Read the person's file; what it leaves out comes from the environment, and `server` goes before both."""
    environment = os.environ if environment is None else environment
    folder = folder or user_config_path("photopeak")
    kept, complaints = _read(folder)
    spoken = environment.get("LC_ALL") or environment.get("LC_MESSAGES") or environment.get("LANG") or "en"
    return Preferences(
        folder=folder,
        server=server or environment.get("PHOTOPEAK_SERVER") or kept.get("server") or DEFAULT_SERVER,
        language=kept.get("language") or spoken,
        theme=kept.get("theme") or "dark",
        ascii=kept.get("glyphs", _glyphs(environment, spoken)) == "ascii",
        complaints=complaints,
    )


def _glyphs(environment: Mapping[str, str], spoken: str) -> str:
    """Tell whether this terminal draws more than ASCII; the Linux console's font does not."""
    utf8 = "utf" in (environment.get("LC_ALL") or environment.get("LC_CTYPE") or spoken).lower()
    return "unicode" if environment.get("TERM") != "linux" and (utf8 or spoken == "en") else "ascii"


def _read(folder: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    path = folder / "console.toml"
    if not path.exists():
        return {}, ()
    try:
        kept = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return {}, (f"{path}: {error}",)
    return {name: str(value) for name, value in kept.items()}, ()
