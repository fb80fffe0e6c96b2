"""Which pages there are, whose they are, and whose home.

A page is a module of `console.screens`, imported when it is first shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from console.words import _
from core.vocabulary import Role

_C, _N, _T, _P = Role.CLERK, Role.NURSE, Role.TECHNOLOGIST, Role.PHYSICIST
_D, _H, _A, _O = Role.DOCTOR, Role.HEAD, Role.ADMIN, Role.OUTSIDE_READER


@dataclass(frozen=True)
class PageEntry:
    """A page: `name` begins the ids of its commands, `place` is module:class, `home_of` the roles that start there."""

    name: str
    title: str
    place: str
    roles: frozenset[Role]
    home_of: frozenset[Role] = frozenset()

    @property
    def words(self) -> str:
        """The title in the person's language."""
        return _(self.title)

    def load(self) -> Any:  # noqa: ANN401 - a class of screens, imported when it is first shown
        """Return the class of the page."""
        module, _colon, name = self.place.partition(":")
        return getattr(import_module(module), name)


PAGES: tuple[PageEntry, ...] = (
    PageEntry(
        "front_desk",
        "Front desk",
        "console.screens.front_desk:FrontDesk",
        frozenset({_C, _N, _T, _P, _D, _H, _A}),
        frozenset({_C}),
    ),
    PageEntry("triage", "Triage", "console.screens.triage:Triage", frozenset({_N, _D, _H, _T}), frozenset({_N})),
    PageEntry(
        "worklist",
        "Worklist",
        "console.screens.worklist:Worklist",
        frozenset({_D, _H, _P, _O}),
        frozenset({_D, _H, _O}),
    ),
    PageEntry("camera", "Camera", "console.screens.camera:Camera", frozenset({_T, _N, _H}), frozenset({_T})),
    PageEntry("filing", "Filing", "console.screens.filing:Filing", frozenset({_T, _P, _D, _H, _A})),
    PageEntry("service", "Service", "console.screens.service:Service", frozenset({_A, _H}), frozenset({_A})),
    PageEntry("consultation", "Consultation", "console.screens.consultation:ConsultationPage", frozenset({_D, _H, _O})),
    PageEntry(
        "preprocessing",
        "Preprocessing",
        "console.screens.preprocessing:Preprocessing",
        frozenset({_P, _D, _H}),
        frozenset({_P}),
    ),
)


def pages_of(roles: Iterable[Role], pages: tuple[PageEntry, ...] = PAGES) -> list[PageEntry]:
    """Return the pages these roles may use, in the order of Alt+1, Alt+2 ..."""
    may = frozenset(roles)
    return [one for one in pages if one.roles & may]


def home_of(roles: Iterable[Role], pages: tuple[PageEntry, ...] = PAGES) -> PageEntry:
    """Return the page the first of the roles starts on; without one of its own, the first they may use."""
    roles = list(roles)
    for role in roles:
        for page in pages:
            if role in page.home_of:
                return page
    return (pages_of(roles, pages) or [pages[0]])[0]
