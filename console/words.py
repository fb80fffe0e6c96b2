"""The words a person reads, in their language.

`_()` is asked when a word is shown, never when a module is imported. Catalogues are plain .po files read as they are,
so that a clean clone needs no compile step; a language without a word shows the English one.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path

FOLDER = Path(__file__).parent / "locale"
_SPOKEN: ContextVar[Mapping[str, str]] = ContextVar("spoken")
_ENTRY = re.compile(r'^(msgid|msgstr)\s+(".*")\s*$|^(".*")\s*$')


def _(text: str) -> str:
    """Return the word as the person's language has it."""
    return _SPOKEN.get({}).get(text, text)


def languages() -> list[str]:
    """Return the languages there are, English first."""
    return ["en", *sorted(path.stem for path in FOLDER.glob("*.po"))]


def speak(language: str) -> str:
    """Use the catalogue nearest to `language` (zh, zh_CN.UTF-8) from here on; returns which that is."""
    name = re.split(r"[_.@-]", language, maxsplit=1)[0].lower()
    path = FOLDER / f"{name}.po"
    _SPOKEN.set(catalogue(path.read_text(encoding="utf-8")) if path.exists() else {})
    return name if path.exists() else "en"


def catalogue(text: str) -> dict[str, str]:
    """Read a .po file: msgid, msgstr and their continued lines; entries without a translation are left out."""
    words: dict[str, str] = {}
    parts: dict[str, str] = {}
    field = ""
    for line in [*text.splitlines(), 'msgid ""']:
        if not (found := _ENTRY.match(line)):
            continue
        if found[1] == "msgid" and parts:
            words[parts["msgid"]] = parts.get("msgstr", "")
            parts = {}
        field = found[1] or field
        parts[field] = parts.get(field, "") + ast.literal_eval(found[2] or found[3])
    return {source: said for source, said in words.items() if source and said}
