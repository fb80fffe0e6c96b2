"""Write the pages of the manual that come from the code: who may do what, every key, and what DICOM is spoken.

`make manual` runs it; a test fails while a page is not what the code says.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from console.commands import COMMANDS, EVERYWHERE, Command  # noqa: E402 - the checkout's own code, installed or not
from console.pages import PAGES  # noqa: E402 - as above
from core.dicom.conformance import statement  # noqa: E402 - as above
from core.scp import OFFERED  # noqa: E402 - as above
from core.vocabulary import OPERATION_TITLES, RIGHTS, Extent, Operation, Role  # noqa: E402 - as above
from core.workflow.processing.recipes import FORMS, Parameter  # noqa: E402 - as above

_MARK = {Extent.ALL: "x", Extent.OWN: "own"}


def rights() -> str:
    """Return the table of rights as the core checks it."""
    heads = [role.value.replace("_", " ") for role in Role]
    lines = [
        "# Who may do what",
        "",
        "Written from the code by `make manual`. The core checks it at every call, whatever the screen shows.",
        "*own*: cases assigned to oneself. The operator at photopeakd's own command line may do everything, and is",
        "in the audit trail under their Unix user.",
        "",
        f"| operation | {' | '.join(heads)} |",
        f"|---|{'---|' * len(heads)}",
        *(_right(operation) for operation in Operation),
    ]
    return "\n".join(lines) + "\n"


def _right(operation: Operation) -> str:
    marks = [_MARK[RIGHTS[operation][role]] if role in RIGHTS[operation] else "" for role in Role]
    return f"| {OPERATION_TITLES[operation]} | {' | '.join(marks)} |"


def keys() -> str:
    """Return every command with its key, page by page."""
    lines = [
        "# Every key",
        "",
        "Written from the table of commands by `make manual`. Any of them can be moved in the file",
        "`~/.config/photopeak/keymap.toml`:",
        '`"triage.urgency" = "f9"`. What the file says wrongly is told at start, not ignored.',
        "",
        *_section("Everywhere", [command for command in COMMANDS if command.page == EVERYWHERE]),
    ]
    titles = {page.name: page.title for page in PAGES}
    for name in dict.fromkeys(command.page for command in COMMANDS if command.page != EVERYWHERE):
        title = titles.get(name, name.replace("_", " ").capitalize())
        lines += _section(title, [command for command in COMMANDS if command.page == name])
    return "\n".join(lines).rstrip() + "\n"


def _section(title: str, commands: list[Command]) -> list[str]:
    rows = [f"| `{command.key or '-'}` | {command.title} | `{command.id}` |" for command in commands]
    return [f"## {title}", "", "| key | does | id |", "|---|---|---|", *rows, ""]


def conformance() -> str:
    """Return the DICOM conformance statement, as `photopeakd conformance` prints it."""
    return statement(OFFERED).rstrip() + "\n"


def recipes() -> str:
    """Return what can be made of images, and every parameter."""
    lines = [
        "# Recipes",
        "",
        "Written from the code by `make manual`: [what can be made of images](processing.md), and what can be chosen.",
        "",
    ]
    for form in FORMS.values():
        lines += [f"## {form.recipe}: {form.title}", "", f"Takes {form.takes}.", "", _HEAD, "|---|---|---|---|"]
        lines += [*map(_parameter, form.parameters), ""]
    return "\n".join(lines).rstrip() + "\n"


_HEAD = "| parameter | usual | may be | |"


def _parameter(one: Parameter) -> str:
    usual = str(one.default).lower() if isinstance(one.default, bool) else f"{one.default} {one.unit}".strip()
    bounds = f"{one.lowest:g} to {one.highest:g}" if one.lowest is not None else ""
    when = "; ".join(f"{name} {' or '.join(map(str, values))}" for name, values in one.depends_on.items())
    said = ". ".join(part for part in (one.label, f"With {when.lower()}" if when else "", one.help) if part)
    return f"| `{one.name}` | {usual} | {', '.join(one.choices) or bounds or one.kind} | {said} |"


WRITTEN = {"recipes.md": recipes, "rights.md": rights, "keys.md": keys, "conformance.md": conformance}


def main() -> None:
    """Write the pages."""
    for name, text in WRITTEN.items():
        (ROOT / "docs" / name).write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
