"""What every shape is made of: bounded words, quantities with units, and the refusal of unknown keys."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Short = Annotated[str, StringConstraints(strip_whitespace=True, max_length=64)]
Long = Annotated[str, StringConstraints(strip_whitespace=True, max_length=4000)]
Number = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
AeTitle = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=16, pattern=r"^[\x20-\x5b\x5d-\x7e]+$")
]
Sex = Annotated[str, StringConstraints(pattern=r"^[MFO]?$")]
Kilograms = Annotated[float, Field(gt=0, lt=700)]
Centimetres = Annotated[float, Field(gt=0, lt=300)]
Fence = Annotated[int, Field(ge=0, lt=2**63)]
Megabecquerels = Annotated[float, Field(ge=0, lt=100_000)]


class Shape(BaseModel):
    """Any shape: unknown keys are refused, so that a misspelt one is told."""

    model_config = ConfigDict(extra="forbid")


def local(at: datetime) -> datetime:
    """Return the moment in this machine's own zone, for RFC 3339 with offset."""
    return at.astimezone()
