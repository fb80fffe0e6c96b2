"""report open, save, preliminary, return, sign, amend, release, withdraw, show, pdf."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from console.client import Client
from console.line.patient import path
from console.line.session import password
from console.line.speaking import Arguments, command, noun, spelled


def add_to(commands: Any) -> None:  # noqa: ANN401 - argparse's own
    """Declare the verbs of a report."""
    verbs = noun(commands, "report", "write, sign and show reports")
    _add_opening(verbs)
    _add_writing(verbs)
    _add_signing(verbs)
    show = command(verbs, "show", _show, "show a report, its versions, or texts kept from late writes")
    show.add_argument("exam")
    which = show.add_mutually_exclusive_group()
    which.add_argument("--versions", action="store_true")
    which.add_argument("--rejected", action="store_true")
    page = command(verbs, "pdf", _pdf, "write the report's page to a file")
    page.add_argument("exam")
    page.add_argument("--out", metavar="FILE", help="default report-EXAM.pdf")
    call = command(verbs, "call", _call, "tell the technologist that images are missing")
    call.add_argument("exam")
    call.add_argument("--text", default="")


def _add_opening(verbs: Any) -> None:  # noqa: ANN401 - argparse's own
    opening = command(verbs, "open", _open, "take a report for writing; prints it with its fence")
    opening.add_argument("exam")
    opening.add_argument("--take-over", action="store_true", help="take it from whoever holds it")
    opening.add_argument("--override", action="store_true", help="open a locked report (the head, with a reason)")
    opening.add_argument("--reason", default="")
    amending = command(verbs, "amend", _amend, "take a signed report for an amendment")
    amending.add_argument("exam")
    amending.add_argument("--take-over", action="store_true")
    amending.add_argument("--reason", required=True)
    command(verbs, "ask", _ask, "ask the holder for the report").add_argument("exam")


def _add_writing(verbs: Any) -> None:  # noqa: ANN401 - argparse's own
    saving = command(verbs, "save", _save, "save what was written")
    saving.add_argument("exam")
    saving.add_argument("--fence", type=int, required=True)
    saving.add_argument("--findings")
    saving.add_argument("--impression")
    saving.add_argument(
        "--text", action="append", type=_part, default=[], metavar="PART=TEXT", help="any other part of the report"
    )
    saving.add_argument("--file", metavar="FILE", help="read the findings from a file")
    for verb, run, text in (
        ("preliminary", _preliminary, "hand the report to a reviewer"),
        ("return", _return, "return a preliminary report with a comment"),
        ("release", _release, "let go of the report"),
    ):
        fenced = command(verbs, verb, run, text)
        fenced.add_argument("exam")
        fenced.add_argument("--fence", type=int, required=True)
        fenced.add_argument("--comment", default="")


def _add_signing(verbs: Any) -> None:  # noqa: ANN401 - argparse's own
    signing = command(verbs, "sign", _sign, "sign the report with the password")
    signing.add_argument("exam")
    signing.add_argument("--fence", type=int, required=True)
    signing.add_argument("--reason", default="")
    signing.add_argument("--password-stdin", action="store_true")
    withdrawing = command(verbs, "withdraw", _withdraw, "withdraw a signed report (the head)")
    withdrawing.add_argument("exam")
    withdrawing.add_argument("--reason", required=True)
    withdrawing.add_argument("--password-stdin", action="store_true")


def _at(arguments: Arguments, verb: str = "") -> str:
    return f"exams/{path(arguments.exam)}/report/{verb}".rstrip("/")


def _open(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    body = {"take_over": arguments.take_over, "override": arguments.override, "reason": arguments.reason}
    return client.post(_at(arguments, "open"), body)


def _amend(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.post(_at(arguments, "amend"), {"take_over": arguments.take_over, "reason": arguments.reason})


def _ask(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.post(_at(arguments, "ask"))


def _part(text: str) -> tuple[str, str]:
    name, equals, words = text.partition("=")
    if not equals or not name:
        msg = f"'{text}' is no part of a report: write PART=TEXT, such as technique='Bone scan'"
        raise argparse.ArgumentTypeError(msg)
    return spelled(name), words


def _save(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    text = dict(arguments.text)
    if arguments.file:
        text["findings"] = Path(arguments.file).read_text(encoding="utf-8")
    text |= {
        name: getattr(arguments, name) for name in ("findings", "impression") if getattr(arguments, name) is not None
    }
    return client.put(_at(arguments, "draft"), {"fence": arguments.fence, "text": text})


def _fenced(client: Client, arguments: Arguments, verb: str) -> Any:  # noqa: ANN401 - JSON
    return client.post(_at(arguments, verb), {"fence": arguments.fence, "comment": arguments.comment})


def _preliminary(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return _fenced(client, arguments, "preliminary")


def _return(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return _fenced(client, arguments, "return")


def _release(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return _fenced(client, arguments, "release")


def _sign(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    body = {"fence": arguments.fence, "reason": arguments.reason, "password": password(arguments)}
    return client.post(_at(arguments, "sign"), body)


def _withdraw(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.post(_at(arguments, "withdraw"), {"reason": arguments.reason, "password": password(arguments)})


def _show(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    part = "versions" if arguments.versions else "rejected" if arguments.rejected else ""
    return client.get(_at(arguments, part))


def _pdf(client: Client, arguments: Arguments) -> dict[str, object]:
    page: bytes = client.get(_at(arguments, "pdf"))
    file = Path(arguments.out or f"report-{arguments.exam}.pdf".replace("/", "_"))
    file.write_bytes(page)
    return {"accession": arguments.exam, "file": str(file), "bytes": len(page)}


def _call(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.post(_at(arguments, "call"), {"text": arguments.text})
