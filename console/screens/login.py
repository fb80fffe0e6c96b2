"""Signing in: the first thing painted, before the client is even loaded."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Grid, Vertical
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, Static

from console.words import _


class LoginScreen(Screen[None]):
    """Asks for user and password; says what the service answered."""

    AUTO_FOCUS = "#user"
    DEFAULT_CSS = """
    LoginScreen { align: center middle; background: $background; }
    LoginScreen > Vertical { width: 64; height: auto; border: round $primary; padding: 1 2; background: $surface; }
    LoginScreen .name { text-style: bold; color: $primary; }
    LoginScreen .muted { color: $foreground 60%; }
    LoginScreen Grid { grid-size: 2; grid-columns: 12 1fr; grid-rows: 1; height: auto; margin: 1 0; }
    LoginScreen #said { height: auto; min-height: 1; }
    LoginScreen #said.-bad { color: $error; }
    LoginScreen.-ascii > Vertical { border: ascii $primary; }
    """

    class SignIn(Message):
        """The person gave a name and a password."""

        def __init__(self, username: str, password: str) -> None:
            super().__init__()
            self.username, self.password = username, password

    def __init__(self, server: str, *, ascii_only: bool = False, said: str = "") -> None:
        super().__init__(classes="-ascii" if ascii_only else None)
        self._server, self._said = server, said

    def compose(self) -> ComposeResult:
        """Two fields in a frame."""
        with Vertical():
            yield Static("photopeak", classes="name")
            yield Static(self._server, classes="muted", markup=False)
            with Grid():
                yield Static(_("User"))
                yield Input(id="user", compact=True)
                yield Static(_("Password"))
                yield Input(id="password", password=True, compact=True)
            yield Static(self._said or _("Enter signs in, Ctrl+Q quits."), id="said", markup=False)

    def say(self, text: str, *, bad: bool = False) -> None:
        """Say something under the fields."""
        said = self.query_one("#said", Static)
        said.set_class(bad, "-bad")
        said.update(text)

    def refused(self, text: str) -> None:
        """Say why signing in failed, and let the password be typed again."""
        self.say(text, bad=True)
        password = self.query_one("#password", Input)
        password.clear()
        password.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go on to the password, or sign in."""
        user, password = self.query_one("#user", Input), self.query_one("#password", Input)
        if event.input is user or not user.value:
            (password if user.value else user).focus()
        elif password.value:
            self.say(_("Signing in"))
            self.post_message(self.SignIn(user.value.strip(), password.value))
