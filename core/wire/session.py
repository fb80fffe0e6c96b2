"""Signing in."""

from pydantic import AwareDatetime, Field

from core.vocabulary import (
    Role,
)
from core.wire.shape import Shape


class Login(Shape):
    username: str = Field(max_length=64)
    password: str = Field(max_length=1024)


class Me(Shape):
    username: str
    full_name: str
    roles: list[Role]
    site: str
    site_name: str = ""
    expires_at: AwareDatetime | None = None


class Token(Me):
    token: str


class Password(Shape):
    password: str = Field(max_length=1024)
