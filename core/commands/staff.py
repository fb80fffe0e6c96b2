"""photopeakd staff add, list, disable, enable, passwd, role."""

from __future__ import annotations

import getpass
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.commands import Arguments, command, operator, say, spelled
from core.errors import Invalid
from core.opening import open_records, sign_ins
from core.settings import Settings
from core.vocabulary import Role
from core.workflow import staffing

_PUBLIC_KEY = re.compile(r"(sk-)?(ssh|ecdsa)-[a-z0-9@.-]+ AAAA[A-Za-z0-9+/=]+( [^\n]*)?$")


def add_to(commands: Any) -> None:  # noqa: ANN401 - argparse's own
    """Declare the commands."""
    kinds = commands.add_parser("staff", help="who works here").add_subparsers(required=True, metavar="ACTION")
    adding = command(kinds, "add", _add, "add a member of staff")
    adding.add_argument("name")
    adding.add_argument("--role", action="append", required=True, type=spelled, choices=[role.value for role in Role])
    adding.add_argument("--full-name", default="")
    adding.add_argument("--site", dest="works_at", metavar="CODE")
    adding.add_argument("--specialty", action="append", default=[])
    adding.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    adding.add_argument("--key", metavar="FILE", help="an SSH public key")
    command(kinds, "list", _list, "list the staff")
    for name, text in (("disable", "let someone in no more"), ("enable", "let someone in again")):
        command(kinds, name, _enable, text).add_argument("name")
        kinds.choices[name].set_defaults(enabled=name == "enable")
    passwd = command(kinds, "passwd", _passwd, "set a password")
    passwd.add_argument("name")
    passwd.add_argument("--password-stdin", action="store_true")
    role = command(kinds, "role", _role, "set the roles")
    role.add_argument("name")
    role.add_argument("--role", action="append", required=True, type=spelled, choices=[role.value for role in Role])


def _add(given: Settings, arguments: Arguments) -> None:
    records = open_records(given)
    password = _password(arguments) if arguments.password_stdin or not arguments.key else None
    key = _read_key(Path(arguments.key)) if arguments.key else None
    hashed = staffing.hashed(sign_ins(given, records).hasher, password) if password is not None else None
    with records.writing() as work:
        staff = staffing.add(
            work, replace(operator(given), site=arguments.works_at or given.site), arguments.name,
            [Role(role) for role in arguments.role], full_name=arguments.full_name, specialty=arguments.specialty,
            password_hash=hashed, key=key,
        )  # fmt: skip
        shape = staffing.shape(staff)
    say(arguments, shape, f"{shape.username} added as {', '.join(shape.roles)}")


def _list(given: Settings, arguments: Arguments) -> None:
    with open_records(given).reading() as work:
        staff = staffing.listing(work, operator(given))
    lines = [f"{s.username:16} {', '.join(s.roles):30} {'' if s.enabled else 'disabled'}  {s.full_name}" for s in staff]
    say(arguments, staff, "\n".join(lines))


def _enable(given: Settings, arguments: Arguments) -> None:
    _change(given, arguments, enabled=arguments.enabled)


def _role(given: Settings, arguments: Arguments) -> None:
    _change(given, arguments, roles=[Role(role) for role in arguments.role])


def _passwd(given: Settings, arguments: Arguments) -> None:
    hasher = sign_ins(given, open_records(given)).hasher
    _change(given, arguments, password_hash=staffing.hashed(hasher, _password(arguments)))


def _change(given: Settings, arguments: Arguments, **what: Any) -> None:  # noqa: ANN401 - as staffing.change takes
    with open_records(given).writing() as work:
        shape = staffing.shape(staffing.change(work, operator(given), arguments.name, **what))
    say(arguments, shape, f"{shape.username} changed")


def _password(arguments: Arguments) -> str:
    if arguments.password_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if sys.stdin.isatty():
        return getpass.getpass("Password: ")
    msg = "give the password with --password-stdin"
    raise Invalid(msg)


def _read_key(path: Path) -> str:
    try:
        key = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read as a public key: {error}"
        raise Invalid(msg) from error
    if not _PUBLIC_KEY.match(key):
        msg = f"{path} is no SSH public key: give the .pub file, such as ~/.ssh/id_ed25519.pub"
        raise Invalid(msg)
    return key
