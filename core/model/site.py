"""A site is an institution; a department with one never sees it."""

from sqlmodel import Field, SQLModel

from core.model.columns import document


class Site(SQLModel, table=True):
    """An institution and its own rules."""

    code: str = Field(primary_key=True, max_length=16)
    name: str = ""
    # under "filing": whether "ignore_zeros_and_hyphens" holds; under "numbering": the prefixes
    rules: dict[str, object] = document()


class Serial(SQLModel, table=True):
    """The last serial given out under a prefix; numbers made from it are never reused."""

    site: str = Field(primary_key=True, foreign_key="site.code", max_length=16)
    prefix: str = Field(primary_key=True, max_length=16)
    last: int = 0
