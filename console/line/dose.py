"""dose draw, inject, residual."""

from __future__ import annotations

from typing import Any

from console.client import Client
from console.line.exam import say
from console.line.patient import path
from console.line.speaking import Arguments, command, given, moment, noun

_ACTS = {
    "draw": "note the activity drawn",
    "inject": "note that the dose was given",
    "residual": "note what was left in the syringe",
}


def add_to(commands: Any) -> None:  # noqa: ANN401 - argparse's own
    """Declare the commands about doses."""
    verbs = noun(commands, "dose", "doses drawn, given and measured back")
    for name, text in _ACTS.items():
        act = command(verbs, name, _act, text, say)
        act.set_defaults(act=name)
        act.add_argument("exam", help="an accession number, a patient number, or an id")
        act.add_argument("--mbq", "--activity", type=float, required=name != "inject", metavar="MBQ")
        act.add_argument("--at", type=moment, metavar="TIME")
        act.add_argument("--radiopharmaceutical", metavar="TEXT")
        act.add_argument("--route")
        act.add_argument("--vial")
        act.add_argument("--step", action="append", dest="steps", type=int, metavar="ID", help="a step it serves")
        act.add_argument("--confirm", action="append", metavar="TEXT", help="an identifier the patient says")


def _act(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    body = given(arguments, "mbq", "at", "radiopharmaceutical", "route", "vial", "steps", "confirm")
    return client.post(f"exams/{path(arguments.exam)}/dose/{arguments.act}", body)
