"""photopeakd site add and list, and migrate."""

from __future__ import annotations

from typing import Any

from sqlmodel import select

from core.commands import Arguments, command, operator, say
from core.model import Site
from core.opening import FolderLock, make_folder, open_records
from core.settings import Settings


def add_to(commands: Any) -> None:  # noqa: ANN401 - argparse's own
    """Declare the commands."""
    command(commands, "migrate", _migrate, "bring the tables to this version; refuses beside a running service")
    kinds = commands.add_parser("site", help="the institutions served").add_subparsers(required=True, metavar="ACTION")
    adding = command(kinds, "add", _add, "add an institution")
    adding.add_argument("code")
    adding.add_argument("name")
    command(kinds, "list", _list, "list the institutions")


def _add(given: Settings, arguments: Arguments) -> None:
    from core.workflow import registration  # noqa: PLC0415 - slow to load, for this command alone

    with open_records(given).writing() as work:
        site = registration.add_site(work, operator(given), arguments.code, arguments.name)
        said = {"code": site.code, "name": site.name}
    say(arguments, said, f"site {said['code']} added")


def _list(given: Settings, arguments: Arguments) -> None:
    with open_records(given).reading() as work:
        sites = [{"code": site.code, "name": site.name} for site in work.session.exec(select(Site))]
    say(arguments, sites, "\n".join(f"{site['code']:16} {site['name']}" for site in sites))


def _migrate(given: Settings, arguments: Arguments) -> None:
    make_folder(given)
    lock = FolderLock(given.data)
    lock.hold()
    open_records(given)
    lock.release()
    say(arguments, {"at_head": True}, "the tables are this version's")
