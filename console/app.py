"""The console's app: signing in, changing pages, what every page can do, and the news it hands them.

How to add a page
-----------------
1. Write `console/screens/NAME.py` with a class derived from `console.screens.page.Page`. Give it `NAME`, `TITLE`,
   `HELP` (English; they are translated when shown) and `HEARS`, the kinds of news that outdate its rows ("exam",
   "patient", "unfiled", "report", "consultation", ...). Make its widgets in `body()`; read its rows in `refresh_rows()`
   and call that in `on_mount`. `console/screens/triage.py` is the one to copy.
2. Add one `PageEntry` to `console/pages.py`: who may use it, whose home it is. Alt+1..9 count a person's pages.
3. Add its commands to the table in `console/commands.py`, ids `NAME.verb`; each calls `action_verb` of the page. Keys,
   key line, palette, help and keymap follow from the table: a page has no BINDINGS of its own.
4. Ask the service by `self.ask(lambda: self.desk.client.post(...), then)`: it works in a thread and `then(answer)`
   runs here; without `then` the rows are read again. A refusal is shown as the service worded it, or goes to
   `otherwise=`. Widgets are never touched from a worker. `self.done(text, undo=...)` says what happened.
5. Lists are `PagedList(columns, row, key)`: `.source(fetch)` for what the service pages, `.show(items)` for what is
   here. A container of class "preview" beside it is shown from 120 columns on. States look as
   `console/widgets/states.py` says.
6. Dialogs: `Choose`, `Confirm`, `AskText`, `Read` of `console/screens/dialogs.py`, by
   `self.app.push_screen(dialog, then)`. Forms: `console/widgets/form.py`; a page with a form keeps its draft by
   `PUT drafts/NAME` and in `keep_drafts()`, which is called when the terminal goes away. A further screen of a page is
   a `Page` too, pushed with `self.app.push_screen`.
7. Every word a person reads goes through `_()` when it is shown, and into `console/locale/zh.po`.
8. A screen at rest sends nothing: no clocks, no spinners, no animation. `self.desk.now()` is the clock.

To go to a page from another: `self.app.post_message(GoTo("triage", exam=...))` of `console/going.py`.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from textual import events
from textual.binding import Binding
from textual.message import Message

from console import commands, keymap, pages, preferences, theming, words
from console.going import GoTo
from console.rest import PAUSE, Rest
from console.screens.login import LoginScreen
from console.typeahead import TypeAhead
from console.words import _

if TYPE_CHECKING:  # not to hide a circle: these bring httpx along, and are imported after the first paint
    from console.client import Client
    from console.desk import Desk
    from console.events import Ear, Heard

UNAUTHORIZED = 401


def _now() -> datetime:
    return datetime.now().astimezone()


class Console(TypeAhead[None]):
    """The console of one person at one terminal."""

    TITLE = "photopeak"
    ENABLE_COMMAND_PALETTE = False
    ESCAPE_TO_MINIMIZE = False
    AUTO_FOCUS = ""
    BINDINGS = [
        Binding("ctrl+q", "quit", show=False, priority=True),
        # Before the field has the key: what is typed behind a Tab must not reach the field before it.
        Binding("tab", "app.focus_next", show=False, priority=True),
        Binding("shift+tab", "app.focus_previous", show=False, priority=True),
    ]
    CSS = """
    Input { &.-textual-compact { background: $surface; } &.-textual-compact:focus { background: $panel; } }
    Toast { width: 56; padding: 0 1; margin-top: 0; }
    """

    class _Loaded(Message):
        """The client is in memory; `me` when the kept token is still good."""

        def __init__(self, client: Client, me: dict[str, Any] | None, said: str) -> None:
            super().__init__()
            self.client, self.me, self.said = client, me, said

    class _SignedIn(Message):
        def __init__(self, me: dict[str, Any]) -> None:
            super().__init__()
            self.me = me

    class _NotSignedIn(Message):
        def __init__(self, said: str) -> None:
            super().__init__()
            self.said = said

    class _TodayRead(Message):
        def __init__(self, today: dict[str, Any]) -> None:
            super().__init__()
            self.today = today

    def __init__(self, chosen: preferences.Preferences, now: Callable[[], datetime] = _now, greeting: str = "") -> None:
        super().__init__()
        self._greeting = greeting
        self.animation_level = "none"
        self._preferences, self._now = chosen, now
        self._keys = keymap.read(chosen.folder / "keymap.toml")
        self._client: Client | None = None
        self._desk: Desk | None = None
        self._ear: Ear | None = None
        self._today_due = False
        self._rest: Rest | None = None
        self._theme_complaint = self._use_theme(chosen.theme)

    # -- coming and going --------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Paint the login, then load what it needs."""
        self._sign_in_screen()
        self.call_after_refresh(self._begin)
        if not self.is_headless:
            self._own_the_process()
        complaints = (*self._preferences.complaints, *self._keys.complaints, self._theme_complaint)
        if any(complaints):
            self.notify("\n".join(filter(None, complaints)), severity="warning", timeout=20, markup=False)

    async def on_event(self, event: events.Event) -> None:
        """Note that somebody is there."""
        if self._rest and isinstance(event, events.InputEvent):
            self._rest.touch()
        await super().on_event(event)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Let no cursor blink: it breaks input methods, and an idle screen sends nothing."""
        if hasattr(event.widget, "cursor_blink"):
            event.widget.cursor_blink = False

    def _own_the_process(self) -> None:
        import asyncio  # noqa: PLC0415 - textual has it in memory already

        self._rest = Rest()
        self.set_interval(2 * PAUSE, self._rest.use)
        if hasattr(signal, "SIGHUP"):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._hang_up)

    def _hang_up(self) -> None:
        """The terminal went away: keep what was typed, then leave."""
        self._keep_drafts()
        self.exit()

    def _keep_drafts(self) -> None:
        for screen in [screen for stack in self._screen_stacks.values() for screen in stack]:
            if keep := getattr(screen, "keep_drafts", None):
                keep()

    def _sign_in_screen(self, said: str = "") -> None:
        server, plain = self._preferences.server, self._preferences.ascii
        self.push_screen(LoginScreen(server, ascii_only=plain, said=said))

    def _begin(self) -> None:
        self.run_worker(self._load, thread=True, group="session")

    def _load(self) -> None:
        from console.client import Client, ServiceAway, ServiceRefused, TokenFile  # noqa: PLC0415 - after the first paint

        server = self._preferences.server
        client = Client(server, TokenFile(server).read())
        me, said = None, ""
        try:
            me = client.get("session") if client.token else None
        except ServiceRefused:
            client.token = None
        except ServiceAway as away:
            said = away.detail
        self.post_message(self._Loaded(client, me, said))

    def on_console__loaded(self, message: _Loaded) -> None:
        """Go to the person's own page, or let them sign in."""
        self._client = message.client
        if message.me is not None:
            self._open_department(message.me)
        elif message.said and isinstance(self.screen, LoginScreen):
            self.screen.say(message.said, bad=True)

    def on_login_screen_sign_in(self, message: LoginScreen.SignIn) -> None:
        """Sign in, in a worker."""
        if self._client is None:  # typed faster than the client loads
            self.set_timer(0.1, partial(self.post_message, message))
            return
        job = partial(self._sign_in, self._client, message.username, message.password)
        self.run_worker(job, thread=True, group="session", exclusive=True)

    def _sign_in(self, client: Client, username: str, password: str) -> None:
        from console.client import ServiceAway, ServiceRefused, TokenFile  # noqa: PLC0415 - after the first paint

        try:
            me = client.sign_in(username, password)
        except (ServiceRefused, ServiceAway) as error:
            self.post_message(self._NotSignedIn(error.detail))
            return
        TokenFile(client.server).write(client.token)
        self.post_message(self._SignedIn(me))

    def on_console__not_signed_in(self, message: _NotSignedIn) -> None:
        """Say why."""
        if isinstance(self.screen, LoginScreen):
            self.screen.refused(message.said)

    def on_console__signed_in(self, message: _SignedIn) -> None:
        """Go to work."""
        self._open_department(message.me)

    def _open_department(self, me: dict[str, Any]) -> None:
        from console.desk import Desk  # noqa: PLC0415 - after the first paint
        from console.events import Ear  # noqa: PLC0415 - after the first paint

        if self._client is None:
            return
        self._desk = Desk(self._client, me, self._preferences, self._keys, self._now, heard_at=self._now())
        self._bind_commands()
        for page in self._pages():
            self.add_mode(page.name, partial(self._make_page, page))
        self.switch_mode(pages.home_of(self._desk.roles).name)
        self._ear = Ear(self._client, self.post_message)
        self._ear.start()
        self._read_today()
        if self._greeting:
            self.notify(self._greeting, timeout=45, markup=False)
            self._greeting = ""

    def _make_page(self, page: pages.PageEntry) -> Any:  # noqa: ANN401 - a Page, imported when it is first shown
        return page.load()(self._desk)

    def _pages(self) -> list[pages.PageEntry]:
        return pages.pages_of(self._desk.roles) if self._desk else []

    def _bind_commands(self) -> None:
        for command in commands.of_page(commands.EVERYWHERE, ()):
            for key in filter(None, self._keys.key(command).split(",")):
                self._bind(key, command.action)
        for number, page in enumerate(self._pages()[:9], 1):
            self._bind(f"alt+{number}", f"go('{page.name}')")

    def _bind(self, key: str, action: str) -> None:
        if not any(one.action == action for one in self._bindings.key_to_bindings.get(key, [])):
            self._bindings.bind(key, action, show=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Before signing in there is nothing but leaving; under a dialog, nothing but the dialog."""
        if action in {"quit", "theme", "language"} or self._desk is not None:
            return super().check_action(action, parameters)
        return action not in {one.action for one in commands.COMMANDS} | {"go"}

    def on_unmount(self) -> None:
        """Hang up, whichever way the console is left."""
        if self._ear:
            self._ear.stop()
        if self._client is not None:
            self._client.close()

    async def action_quit(self) -> None:
        """Leave, keeping what was typed."""
        self._hang_up()

    def action_sign_out(self) -> None:
        """Sign out at the service, forget the token, and ask who is next."""
        self._keep_drafts()
        if self._client is not None:
            self.run_worker(partial(self._forget, self._client), thread=True, group="session")
        self._leave_department("")

    def _forget(self, client: Client) -> None:
        from console.client import ServiceAway, ServiceRefused, TokenFile  # noqa: PLC0415 - after the first paint

        with suppress(ServiceRefused, ServiceAway):  # the token is forgotten here in any case
            client.delete("session")
        TokenFile(client.server).write(None)
        client.token = None

    def on_signed_out(self) -> None:
        """The service does not know us any more."""
        if self._desk is not None:
            self._leave_department(_("You were signed out: sign in again."))

    def _leave_department(self, said: str) -> None:
        if self._ear:
            self._ear.stop()
        self._ear = self._desk = None
        self._back_to_login(said)

    def _back_to_login(self, said: str) -> None:
        async def change() -> None:
            gone = [name for name in self._modes if name != "_default"]
            await self.switch_mode("_default")
            for name in gone:
                await self.remove_mode(name)
            while len(self.screen_stack) > 1:
                await self.pop_screen()
            self._sign_in_screen(said)

        self.run_worker(change(), group="session")

    def notify(self, message: str, **how: Any) -> None:  # noqa: ANN401 - as Textual has it
        """Show one toast at a time: a pile of them hides the work."""
        self.clear_notifications()
        super().notify(message, **how)

    # -- what every page can do --------------------------------------------------------------------------------------

    def action_go(self, page: str) -> None:
        """Go to a page."""
        if page in self._modes and self.current_mode != page:
            self.switch_mode(page)

    def on_go_to(self, message: GoTo) -> None:
        """Go to a page, and there to an exam or a patient."""
        if message.page not in {page.name for page in self._pages()}:
            self.notify(_("That page is not among yours."), severity="warning")
            return

        async def go() -> None:
            await self.switch_mode(message.page)
            if point := getattr(self.screen_stack[0], "point_at", None):
                self.call_after_refresh(point, **message.what)

        self.run_worker(go(), group="going")

    async def action_back(self) -> None:
        """Step back: within the page, then to the one under it."""
        screen = self.screen
        if (step := getattr(screen, "step_back", None)) and step():
            return
        if self._desk is not None and len(self.screen_stack) > 1:
            screen.dismiss(None)

    def action_reload(self) -> None:
        """Read the page's rows again."""
        if refresh_rows := getattr(self.screen, "refresh_rows", None):
            refresh_rows()
            self._read_today()

    def action_help(self) -> None:
        """Say what this page is for, and its keys."""
        from console.screens.dialogs import Read  # noqa: PLC0415 - after the first paint

        screen = self.screen
        own = commands.of_page(getattr(screen, "NAME", ""), self._desk.roles if self._desk else ())
        keys = [f"{self._keys.shown(one) or '-':>10}  {one.words}" for one in own]
        keys += [f"{f'Alt+{number}':>10}  {page.words}" for number, page in enumerate(self._pages()[:9], 1)]
        text = "\n".join([screen.help_text() if hasattr(screen, "help_text") else "", "", *keys])
        self.push_screen(Read(_("Help: {page}").format(page=_(getattr(screen, "TITLE", "") or "")), text.strip()))

    def action_find(self) -> None:
        """Find a patient or an exam from anywhere."""
        from console.screens.find import Find  # noqa: PLC0415 - after the first paint

        if self._desk is not None:
            self.push_screen(Find(self._desk), self._found)

    def _found(self, what: tuple[str, str] | None) -> None:
        from console.screens.patient import PatientPage  # noqa: PLC0415 - after the first paint

        if what is not None and self._desk is not None:
            self.push_screen(PatientPage(self._desk, what[0], accession=what[1]))

    def action_palette(self) -> None:
        """Show every command that can be given here."""
        from console.screens.dialogs import Choose  # noqa: PLC0415 - after the first paint

        if self._desk is None:
            return
        here = commands.of_page(getattr(self.screen, "NAME", ""), self._desk.roles)
        options = [(f"do {one.id}", one.words, self._keys.shown(one)) for one in here if one.id != "palette"]
        numbered = enumerate(self._pages(), 1)
        options += [(f"go {one.name}", _("Go to {page}").format(page=one.words), f"Alt+{n}") for n, one in numbered]
        self.push_screen(Choose(_("All commands"), options), self._command)

    async def _command(self, chosen: str | None) -> None:
        verb, _space, name = (chosen or "").partition(" ")
        if verb == "go":
            self.action_go(name)
        elif verb == "do":
            command = next(one for one in commands.COMMANDS if one.id == name)
            where = "app" if command.page == commands.EVERYWHERE else "screen"
            await self.run_action(f"{where}.{command.action}")

    def action_copy_row(self) -> None:
        """Copy what is selected, over SSH too (OSC 52)."""
        taken = getattr(self.screen, "selected_text", str)()
        if taken:
            self.copy_to_clipboard(taken)
            self.notify(_("Copied: {text}").format(text=taken), markup=False)

    def action_theme(self) -> None:
        """Choose a theme; it is kept."""
        from console.screens.dialogs import Choose  # noqa: PLC0415 - after the first paint

        names = theming.names(self._preferences.folder / "themes")
        options = [(name, name, "") for name in names]
        self.push_screen(Choose(_("Theme"), options, at=self.theme), self._keep_theme)

    def _keep_theme(self, name: str | None) -> None:
        if name and (wrong := self._use_theme(name)):
            self.notify(wrong, severity="warning", timeout=10, markup=False)
        elif name:
            self._preferences = self._preferences.keep(theme=name)

    def _use_theme(self, name: str) -> str:
        """Use a theme, or the fallback; returns what is wrong with it."""
        theme, wrong = theming.choose(name, self._preferences.folder / "themes")
        self.register_theme(theme)
        self.theme = theme.name
        return wrong

    def action_language(self) -> None:
        """Choose a language; screens opened from now on speak it."""
        from console.screens.dialogs import Choose  # noqa: PLC0415 - after the first paint

        named = {"en": "English", "zh": "中文"}
        options = [(one, named.get(one, one), one) for one in words.languages()]
        self.push_screen(Choose(_("Language"), options), self._keep_language)

    def _keep_language(self, language: str | None) -> None:
        if language:
            self._preferences = self._preferences.keep(language=language)
            self.notify(_("The console speaks it when it is opened next."))

    # -- news --------------------------------------------------------------------------------------------------------

    def on_heard(self, message: Heard) -> None:
        """Hand news to every page, and count anew what needs the person."""
        self._line_is_up()
        self._hand_on(message.news.kind)
        self._count_again()

    def on_line_up(self) -> None:
        """Catch up: what the pages show may be old."""
        self._line_is_up()
        self._hand_on("")
        self._count_again()

    def on_line_down(self) -> None:
        """Say that the service is not there, and since when the screen is old."""
        from console.desk import Line  # noqa: PLC0415 - after the first paint

        if self._desk is not None:
            self._desk.line = Line.STALE if self._desk.line is not Line.CONNECTED else Line.RETRYING
            self._tell_status()

    def _line_is_up(self) -> None:
        from console.desk import Line  # noqa: PLC0415 - after the first paint

        if self._desk is not None:
            changed, self._desk.line, self._desk.heard_at = (
                self._desk.line is not Line.CONNECTED,
                Line.CONNECTED,
                self._now(),
            )
            if changed:
                self._tell_status()

    def _hand_on(self, kind: str) -> None:
        for stack in self._screen_stacks.values():
            for screen in stack:
                if hear := getattr(screen, "hear", None):
                    hear(kind)

    def _count_again(self) -> None:
        if not self._today_due:
            self._today_due = True
            self.set_timer(0.3, self._read_today)

    def _read_today(self) -> None:
        self._today_due = False
        if self._client is not None and self._desk is not None:
            self.run_worker(partial(self._ask_today, self._client), thread=True, group="today", exclusive=True)

    def _ask_today(self, client: Client) -> None:
        from console.client import ServiceAway, ServiceRefused  # noqa: PLC0415 - after the first paint
        from console.events import LineDown, SignedOut  # noqa: PLC0415 - after the first paint

        try:
            self.post_message(self._TodayRead(client.get("today")))
        except ServiceAway:
            self.post_message(LineDown())
        except ServiceRefused as refused:
            if refused.status == UNAUTHORIZED:
                self.post_message(SignedOut())

    def on_console__today_read(self, message: _TodayRead) -> None:
        """Say what needs the person."""
        if self._desk is not None:
            self._desk.today = message.today
            self._tell_status()

    def _tell_status(self) -> None:
        for screen in self.screen_stack:
            if tell := getattr(screen, "tell_status", None):
                tell()


def run(server: str = "", greeting: str = "") -> int:
    """Open the console, with a word at the beginning where there is one to say; returns the exit status."""
    chosen = preferences.read(server=server)
    words.speak(chosen.language)
    keymap.give_alt_digits_back()
    app = Console(chosen, greeting=greeting)
    app.run()
    return app.return_code or 0
