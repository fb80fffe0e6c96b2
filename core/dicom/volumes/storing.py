"""Turn values into the 16-bit words an image stores, as exactly as they allow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.dicom.volumes.made import decimal
from core.errors import Refused

_FULL = {"u": 65535, "i": 32767}


def in_words(values: NDArray[np.floating], *, signed: bool | None = None) -> tuple[NDArray[np.generic], float]:
    """Return values as 16-bit words, and what one of them stands for: 1 where they are whole numbers that fit.

    Words are signed where a value is below 0, or where asked for. What is off is at most half a word.

    Raises
    ------
    Refused
        A value is no number.
    """
    if not np.isfinite(values).all():
        raise Refused("the volume holds values that are no numbers: nothing was written")
    lowest, highest = float(values.min()), float(values.max())
    kind = "i" if lowest < 0 or signed else "u"
    largest = max(-lowest, highest)
    whole = largest <= _FULL[kind] and bool((values == np.rint(values)).all())
    slope = 1.0 if whole else _upwards(largest / _FULL[kind])
    return np.rint(values / slope).astype(f"<{kind}2"), slope


def _upwards(slope: float) -> float:
    """Return a slope as a decimal string holds it, none smaller."""
    written = float(decimal(slope))
    return written if written >= slope else float(decimal(slope * (1 + 1e-9)))
