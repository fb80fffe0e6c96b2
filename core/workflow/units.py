"""Which units a reader may ask for, and what an object says of them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from pydicom import Dataset

from core.dicom.volumes import suv_factor
from core.errors import Refused

Kind = Literal["bw", "lbm", "lbmj"]
Uptake = Literal["suvbw", "suvlbm", "suvlbmj"]
Unit = Literal["best", "own", "suvbw", "suvlbm", "suvlbmj"]

SUV: Mapping[Uptake, tuple[Kind, str]] = MappingProxyType(
    {"suvbw": ("bw", "SUVbw"), "suvlbm": ("lbm", "SUVlbm"), "suvlbmj": ("lbmj", "SUVlbmj")}
)
"""What is asked for, by what it is divided, what stands beside the number."""


def suv_of(header: Dataset, wanted: Uptake) -> tuple[str, float | None, str]:
    """Return the name of a unit of `SUV`, the factor to it from the object's own values, and why there is none."""
    kind, name = SUV[wanted]
    try:
        return name, suv_factor(header, kind), ""
    except Refused as error:
        return name, None, f"there is no {name}: {error}"
