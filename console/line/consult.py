"""consult request, list, show, schedule, gather, start, opinion, conclude, withdraw."""

from __future__ import annotations

from typing import Any

from console.client import Client
from console.line.speaking import Arguments, command, moment, noun, spelled


def add_to(commands: Any) -> None:  # noqa: ANN401 - argparse's own
    """Declare the verbs of a consultation."""
    verbs = noun(commands, "consult", "put cases before colleagues")
    request = command(verbs, "request", _request, "ask for a consultation")
    request.add_argument("exam")
    request.add_argument("--question", required=True)
    listing = command(verbs, "list", _list, "the cases waiting, by time")
    listing.add_argument("--state", action="append", type=spelled)
    schedule = command(verbs, "schedule", _schedule, "set the time (the head)")
    schedule.add_argument("id", type=int)
    schedule.add_argument("--at", type=moment, required=True, metavar="TIME")
    for verb, text in (("opinion", "give an opinion"), ("conclude", "close the case with its conclusion (the head)")):
        saying = command(verbs, verb, _say, text)
        saying.add_argument("id", type=int)
        saying.add_argument("--text", required=True)
        saying.set_defaults(verb=verb)
    for verb, text in (
        ("gather", "note that images are at hand"),
        ("start", "begin the session"),
        ("withdraw", "take it back"),
    ):
        doing = command(verbs, verb, _do, text)
        doing.add_argument("id", type=int)
        doing.set_defaults(verb=verb)
    command(verbs, "show", _show, "show one case").add_argument("id", type=int)


def _request(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.post("consultations", {"accession": arguments.exam, "question": arguments.question})


def _list(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.get("consultations", state=arguments.state)


def _schedule(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.post(f"consultations/{arguments.id}/schedule", {"at": arguments.at})


def _say(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.post(f"consultations/{arguments.id}/{arguments.verb}", {"text": arguments.text})


def _do(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.post(f"consultations/{arguments.id}/{arguments.verb}")


def _show(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.get(f"consultations/{arguments.id}")
