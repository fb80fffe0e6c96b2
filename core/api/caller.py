"""Who calls: the bearer token of a request turned into an actor."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Path, Request

from core.access import Actor
from core.errors import Unauthenticated


def bearer(request: Request) -> str:
    """Return the request's token.

    Raises
    ------
    Unauthenticated
        When there is none.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        msg = "sign in first: photopeak login USER"
        raise Unauthenticated(msg)
    return token.strip()


def signed_in(request: Request) -> Actor:
    """Return who calls."""
    who: Callable[[str], Actor] = request.app.state.who
    return who(bearer(request))


Caller = Annotated[Actor, Depends(signed_in)]
Bearer = Annotated[str, Depends(bearer)]
RowId = Annotated[int, Path(ge=1, lt=2**63)]  # what a database can count to
