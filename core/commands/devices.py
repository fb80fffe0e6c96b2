"""`photopeakd device`: the nodes known by AE title."""

from __future__ import annotations

from typing import Any

from core import wire
from core.commands import Arguments, command, operator, say
from core.opening import open_records
from core.settings import Settings
from core.workflow import devices


def add_to(commands: Any) -> None:  # noqa: ANN401 - argparse's own
    """Declare the commands."""
    kinds = commands.add_parser("device", help="cameras and other nodes").add_subparsers(
        required=True, metavar="ACTION"
    )
    adding = command(kinds, "add", _add, "register a node, or change one")
    adding.add_argument("aet")
    adding.add_argument("host")
    adding.add_argument("port", type=int)
    adding.add_argument("--modality", action="append", default=[], metavar="NM")
    adding.add_argument("--alias", action="append", default=[], metavar="AET", help="another AE title it calls itself")
    adding.add_argument("--pool", default="", help="cameras that stand in for each other")
    adding.add_argument("--tls", action="store_true")
    adding.add_argument("--charset", default="", help="the Specific Character Set it can show, such as ISO_IR 100")
    adding.add_argument("--site", dest="stands_at", metavar="CODE")
    command(kinds, "list", _list, "list the nodes")
    command(kinds, "echo", _echo, "ask a node whether it is there (C-ECHO)").add_argument("aet")
    command(kinds, "remove", _remove, "let a node be unknown again").add_argument("aet")


def _add(given: Settings, arguments: Arguments) -> None:
    device = wire.Device(
        aet=arguments.aet, host=arguments.host, port=arguments.port, modalities=arguments.modality,
        aliases=arguments.alias, pool=arguments.pool, tls=arguments.tls, charset=arguments.charset,
    )  # fmt: skip
    with open_records(given).writing() as work:
        shape = devices.shape(devices.add(work, operator(given), device, site=arguments.stands_at or given.site))
    say(arguments, shape, f"{shape.aet} is known at {shape.host}:{shape.port}")


def _list(given: Settings, arguments: Arguments) -> None:
    with open_records(given).reading() as work:
        known = devices.listing(work, operator(given))
    lines = [f"{d.aet:16} {d.host}:{d.port}  {' '.join(d.modalities)}  {' '.join(d.aliases)}" for d in known]
    say(arguments, known, "\n".join(lines))


def _echo(given: Settings, arguments: Arguments) -> None:
    from core.service import peer_of  # noqa: PLC0415 - slow to load, for this command alone

    with open_records(given).reading() as work:
        device = devices.shape(devices.named(work, arguments.aet))
    peer_of(given, device).echo()
    say(arguments, {"aet": device.aet, "answered": True}, f"{device.aet} at {device.host}:{device.port} answers")


def _remove(given: Settings, arguments: Arguments) -> None:
    with open_records(given).writing() as work:
        devices.remove(work, operator(given), arguments.aet)
    say(arguments, {"aet": arguments.aet, "removed": True}, f"{arguments.aet} is unknown now")
