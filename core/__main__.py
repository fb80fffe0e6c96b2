"""photopeakd: the service and its administration.

Each command translates to one call and prints its answer: facts as `--json`, errors as one line on standard error.
Exit status 0, 1 when refused or failed, 2 when called wrongly.
"""

from __future__ import annotations

import getpass
import logging
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import select

from core import settings
from core.commands import (
    Arguments,
    OneLine,
    command,
    demo,
    devices,
    importing,
    jobs,
    objects,
    operator,
    papers,
    printing,
    say,
    sending,
    spelled,
    tier,
)
from core.errors import CoreError, Invalid, place_of
from core.model import Site
from core.service import FolderLock, Service, make_folder, open_records, sign_ins
from core.settings import Settings
from core.vocabulary import Role
from core.workflow import registration, staffing

_PUBLIC_KEY = re.compile(r"(sk-)?(ssh|ecdsa)-[a-z0-9@.-]+ AAAA[A-Za-z0-9+/=]+( [^\n]*)?$")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    arguments = _parser().parse_args(argv)
    _keep_values_quiet()
    try:
        given = settings.load(vars(arguments), os.environ)
        answer = arguments.command(given, arguments)
    except CoreError as error:
        print(f"photopeakd: {error.detail}", file=sys.stderr)
        return 1
    except (OSError, SQLAlchemyError) as error:
        print(f"photopeakd: {_cause(error)}: look at the data folder, its rights and the disk", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 1
    return answer if isinstance(answer, int) else 0


def _cause(error: OSError | SQLAlchemyError) -> str:
    """Name a fault in one line, without the statement and the values SQLAlchemy would quote."""
    cause = getattr(error, "orig", None) or error
    return f"{type(cause).__name__} ({str(cause).splitlines()[0]})" if str(cause) else type(cause).__name__


def _keep_values_quiet() -> None:
    """Keep the values pydicom quotes in its warnings out of logs: they may name patients."""
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module="pydicom")


def _parser() -> OneLine:
    parser = OneLine(prog="photopeakd", description="The service of photopeak and its administration.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(commands)
    _add_staff(commands)
    _add_site(commands)
    _add_migrate(commands)
    for room in (devices, importing, objects, sending, printing, jobs, papers, demo, tier):
        room.add_to(commands)
    return parser


# -- serve -----------------------------------------------------------------------------------------------------------


def _add_serve(commands: Any) -> None:  # noqa: ANN401 - argparse's own
    serve = command(commands, "serve", _serve, "run the service until SIGTERM")
    serve.add_argument("--http", metavar="HOST:PORT")
    serve.add_argument("--dicom", metavar="HOST:PORT")
    serve.add_argument("--aet")
    serve.add_argument("--known-only", action="store_const", const=True, help="answer registered devices only")


def _serve(given: Settings, arguments: Arguments) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    for handler in logging.getLogger().handlers:
        handler.addFilter(without_values)
    threading.excepthook = _say_thread_ended
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    service = Service(given)
    service.start()
    signal.signal(signal.SIGHUP, lambda *_: service.reload())
    said = {
        "http": f"{given.http_address[0]}:{service.http_port}",
        "dicom": f"{given.dicom_address[0]}:{service.dicom_port}",
        "aet": given.aet, "data": str(given.data), "pid": os.getpid(),
    }  # fmt: skip
    say(arguments, said, "photopeakd serves {data} on http {http} and, as {aet}, on dicom {dicom}".format(**said))
    sys.stdout.flush()
    ended.wait()
    service.stop()
    return 0


def without_values(record: logging.LogRecord) -> bool:
    """Let a record say what went wrong and where, without the exception's text: it may name a patient."""
    error = record.exc_info[1] if record.exc_info else None
    if error:
        record.msg = f"{record.getMessage().strip()}: {type(error).__name__} in {place_of(error)}"
        record.args = record.exc_info = record.exc_text = None
    return True


def _say_thread_ended(ended: threading.ExceptHookArgs) -> None:
    """Log that a thread broke off, in one line without the exception's text: it may hold what a device sent."""
    name, place = ended.thread.name if ended.thread else "?", place_of(ended.exc_value)
    logging.getLogger("photopeakd").warning("thread %s broke off: %s in %s", name, ended.exc_type.__name__, place)


# -- staff -----------------------------------------------------------------------------------------------------------


def _add_staff(commands: Any) -> None:  # noqa: ANN401 - argparse's own
    kinds = commands.add_parser("staff", help="who works here").add_subparsers(required=True, metavar="ACTION")
    adding = command(kinds, "add", _staff_add, "add a member of staff")
    adding.add_argument("name")
    adding.add_argument("--role", action="append", required=True, type=spelled, choices=[role.value for role in Role])
    adding.add_argument("--full-name", default="")
    adding.add_argument("--site", dest="works_at", metavar="CODE")
    adding.add_argument("--specialty", action="append", default=[])
    adding.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    adding.add_argument("--key", metavar="FILE", help="an SSH public key")
    command(kinds, "list", _staff_list, "list the staff")
    for name, text in (("disable", "let someone in no more"), ("enable", "let someone in again")):
        command(kinds, name, _staff_enable, text).add_argument("name")
        kinds.choices[name].set_defaults(enabled=name == "enable")
    passwd = command(kinds, "passwd", _staff_passwd, "set a password")
    passwd.add_argument("name")
    passwd.add_argument("--password-stdin", action="store_true")
    role = command(kinds, "role", _staff_role, "set the roles")
    role.add_argument("name")
    role.add_argument("--role", action="append", required=True, type=spelled, choices=[role.value for role in Role])


def _staff_add(given: Settings, arguments: Arguments) -> None:
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


def _staff_list(given: Settings, arguments: Arguments) -> None:
    with open_records(given).reading() as work:
        staff = staffing.listing(work, operator(given))
    lines = [f"{s.username:16} {', '.join(s.roles):30} {'' if s.enabled else 'disabled'}  {s.full_name}" for s in staff]
    say(arguments, staff, "\n".join(lines))


def _staff_enable(given: Settings, arguments: Arguments) -> None:
    _staff_change(given, arguments, enabled=arguments.enabled)


def _staff_role(given: Settings, arguments: Arguments) -> None:
    _staff_change(given, arguments, roles=[Role(role) for role in arguments.role])


def _staff_passwd(given: Settings, arguments: Arguments) -> None:
    hasher = sign_ins(given, open_records(given)).hasher
    _staff_change(given, arguments, password_hash=staffing.hashed(hasher, _password(arguments)))


def _staff_change(given: Settings, arguments: Arguments, **what: Any) -> None:  # noqa: ANN401 - as staffing.change takes
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


# -- sites and tables ------------------------------------------------------------------------------------------------


def _add_site(commands: Any) -> None:  # noqa: ANN401 - argparse's own
    kinds = commands.add_parser("site", help="the institutions served").add_subparsers(required=True, metavar="ACTION")
    adding = command(kinds, "add", _site_add, "add an institution")
    adding.add_argument("code")
    adding.add_argument("name")
    command(kinds, "list", _site_list, "list the institutions")


def _site_add(given: Settings, arguments: Arguments) -> None:
    with open_records(given).writing() as work:
        site = registration.add_site(work, operator(given), arguments.code, arguments.name)
        said = {"code": site.code, "name": site.name}
    say(arguments, said, f"site {said['code']} added")


def _site_list(given: Settings, arguments: Arguments) -> None:
    with open_records(given).reading() as work:
        sites = [{"code": site.code, "name": site.name} for site in work.session.exec(select(Site))]
    say(arguments, sites, "\n".join(f"{site['code']:16} {site['name']}" for site in sites))


def _add_migrate(commands: Any) -> None:  # noqa: ANN401 - argparse's own
    command(commands, "migrate", _migrate, "bring the tables to this version; refuses beside a running service")


def _migrate(given: Settings, arguments: Arguments) -> None:
    make_folder(given)
    lock = FolderLock(given.data)
    lock.hold()
    open_records(given)
    lock.release()
    say(arguments, {"at_head": True}, "the tables are this version's")


if __name__ == "__main__":
    sys.exit(main())
