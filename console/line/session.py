"""login, whoami, logout."""

from __future__ import annotations

import getpass
import sys
from typing import Any

from console.client import Client, ServiceRefused, TokenFile
from console.line.speaking import Arguments, command


def add_to(commands: Any) -> None:  # noqa: ANN401 - argparse's own
    """Declare the commands of the session."""
    login = command(commands, "login", _login, "sign in and keep the token", _welcome)
    login.add_argument("user")
    login.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    command(commands, "whoami", _whoami, "say who is signed in", _welcome)
    command(commands, "logout", _logout, "sign out")


def password(arguments: Arguments) -> str:
    """Return the password from standard input, or asked for on the terminal.

    Raises
    ------
    ValueError
        When there is no terminal to ask on.
    """
    if arguments.password_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise ValueError("give the password with --password-stdin")
    return getpass.getpass("Password: ")


def _login(client: Client, arguments: Arguments) -> dict[str, Any]:
    me = client.sign_in(arguments.user, password(arguments))
    if arguments.site not in {None, me["site"]}:
        client.delete("session")
        msg = f"{me['username']} works at {me['site']}, not at {arguments.site}: nobody was signed in"
        raise ValueError(msg)
    TokenFile(client.server).write(client.token)
    return me


def _whoami(client: Client, _arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.get("session")


def _logout(client: Client, _arguments: Arguments) -> dict[str, bool]:
    try:
        client.delete("session")
    except ServiceRefused as refused:
        if refused.status != 401:  # noqa: PLR2004 - already signed out
            raise
    TokenFile(client.server).write(None)
    return {"signed_in": False}


def _welcome(me: dict[str, Any]) -> str:
    return f"{me['username']} ({', '.join(me['roles'])}) at {me['site']}"
