"""The keys of the commands, as the person's `keymap.toml` changes them.

```toml
"front_desk.new_patient" = "f9"        # one key, or several: "f9,ctrl+n"
```
A line that names no command, no key, or a key another command of the same page has is told and left out.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS

from console.commands import COMMANDS, EVERYWHERE, Command
from console.words import _

_KEY = re.compile(r"((ctrl|alt|shift)\+)*(f([1-9]|1[0-9]|2[0-4])|[a-z0-9]|[a-z]+(_[a-z]+)*)")
_NAMED = frozenset(
    [
        "enter",
        "escape",
        "tab",
        "space",
        "backspace",
        "delete",
        "insert",
        "home",
        "end",
        "pageup",
        "pagedown",
        "up",
        "down",
        "left",
        "right",
        "slash",
        "backslash",
        "comma",
        "full_stop",
        "minus",
        "plus",
        "equals_sign",
        "question_mark",
        "exclamation_mark",
        "semicolon",
        "colon",
        "asterisk",
        "at",
        "number_sign",
        "left_square_bracket",
        "right_square_bracket",
        "less_than_sign",
        "greater_than_sign",
        "underscore",
        "apostrophe",
    ]
)
_SHOWN = {
    "slash": "/",
    "escape": "Esc",
    "question_mark": "?",
    "comma": ",",
    "full_stop": ".",
    "plus": "+",
    "minus": "-",
}


@dataclass(frozen=True)
class Keymap:
    """Which key does which command, and what was wrong with the person's file."""

    keys: dict[str, str]
    complaints: tuple[str, ...] = ()

    def key(self, command: Command) -> str:
        """Return the keys of a command, separated by commas; empty when it has none."""
        return self.keys.get(command.id, command.key)

    def shown(self, command: Command) -> str:
        """Return the first key of a command as it is printed on a keyboard."""
        return printed(self.key(command).partition(",")[0])


def printed(key: str) -> str:
    """Return a key as people write it: ctrl+g is Ctrl+G, slash is /, a single letter stays."""
    if key in _SHOWN or len(key) == 1:
        return _SHOWN.get(key, key)
    return "+".join(_SHOWN.get(part, part.capitalize()) for part in key.split("+"))


def read(path: Path, commands: tuple[Command, ...] = COMMANDS) -> Keymap:
    """Read the person's keymap; without a file every command has its own key."""
    if not path.exists():
        return Keymap({})
    try:
        lines = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return Keymap({}, (_("{file}: {error}").format(file=path, error=error),))
    return _checked(lines, {one.id: one for one in commands})


def _checked(lines: dict[str, object], known: dict[str, Command]) -> Keymap:
    keys: dict[str, str] = {}
    complaints = []
    for name, wanted in lines.items():
        if wrong := _wrong(name, wanted, known, keys):
            complaints.append(_("keymap: {wrong}").format(wrong=wrong))
        else:
            keys[name] = str(wanted).replace(" ", "")
    return Keymap(keys, tuple(complaints))


def _wrong(name: str, wanted: object, known: dict[str, Command], keys: dict[str, str]) -> str:
    if name not in known:
        return _("there is no command {name}").format(name=name)
    if not isinstance(wanted, str):
        return _("{name}: a key is written as text").format(name=name)
    for key in filter(None, wanted.replace(" ", "").split(",")):
        if not _is_key(key):
            return _("{name}: there is no key {key}").format(name=name, key=key)
        if taken := _taken(key, known[name], known, keys):
            return _("{name}: {key} is the key of {other}").format(name=name, key=key, other=taken)
    return ""


def _is_key(key: str) -> bool:
    last = key.rpartition("+")[2]
    fits = _KEY.fullmatch(key) is not None
    return fits and (len(last) == 1 or last in _NAMED or re.fullmatch(r"f\d+", last) is not None)


def _taken(key: str, command: Command, known: dict[str, Command], keys: dict[str, str]) -> str:
    for other in known.values():
        meets = EVERYWHERE in (other.page, command.page) or other.page == command.page
        if other is not command and meets and key in keys.get(other.id, other.key).split(","):
            return other.id
    return ""


def give_alt_digits_back() -> None:
    """Let Alt+1 be Alt+1: Textual reads it as the letter a Macintosh makes of it, and would type that into fields."""
    if isinstance(ANSI_SEQUENCES_KEYS, dict):
        for digit in "0123456789":
            ANSI_SEQUENCES_KEYS.pop(f"\x1b{digit}", None)
