"""Collect from the source every word the console may say.

`python tests/console/said.py` prints those the Chinese catalogue does not have yet, ready to be filled in.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from console.words import FOLDER, catalogue

CONSOLE = Path(__file__).parents[2] / "console"
_TITLED = {"TITLE", "HELP"}  # of pages
_TABLES = {"Command": 2, "PageEntry": 1, "Column": 1}  # where the words stand in a call


def said_in(path: Path) -> Iterator[str]:
    """Yield the English words of one module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            place = 0 if node.func.id == "_" else _TABLES.get(node.func.id)
            if place is not None and len(node.args) > place:
                yield from _text(node.args[place])
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in _TITLED:
            yield from _text(node.value)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict) and path.name == "states.py":
            yield from _looks(node.value)


def _text(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and any(mark.isalpha() for mark in node.value):
        yield node.value


def _looks(table: ast.Dict) -> Iterator[str]:
    for value in table.values:
        yield from _text(value.elts[2] if isinstance(value, ast.Tuple) else value)


def everything() -> set[str]:
    """Return every word of the screens; line mode speaks English to scripts."""
    paths = [path for path in CONSOLE.rglob("*.py") if "line" not in path.relative_to(CONSOLE).parts]
    return {text for path in paths for text in said_in(path)} - {"photopeak"}


def missing(language: str = "zh") -> list[str]:
    """Return what a catalogue does not have."""
    known = catalogue((FOLDER / f"{language}.po").read_text(encoding="utf-8"))
    return sorted(everything() - set(known))


if __name__ == "__main__":
    import json

    for text in missing():
        print(f'msgid {json.dumps(text, ensure_ascii=False)}\nmsgstr ""\n')  # noqa: T201 - that is what it is for
