"""Read values of strangers' headers: what is broken or no number is absent, and nothing raises."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pydicom import Dataset


def value(dataset: Dataset, name: str) -> Any:  # noqa: ANN401 - a stranger's value
    """Return an element's value, None where it is absent or cannot be read."""
    try:
        return dataset.get(name)
    except Exception:  # noqa: BLE001 - pydicom raises many kinds for broken values
        return None


def items(dataset: Dataset, name: str) -> list[Dataset]:
    """Return the items of a sequence."""
    found = value(dataset, name)
    return [item for item in found if isinstance(item, Dataset)] if isinstance(found, Sequence) else []


def item(dataset: Dataset, *path: str) -> Dataset:
    """Return the first item of a sequence within the first item of the next one, empty where one is absent."""
    for name in path:
        dataset = next(iter(items(dataset, name)), Dataset())
    return dataset


def texts(dataset: Dataset, name: str) -> list[str]:
    """Return all values as trimmed text."""
    found = value(dataset, name)
    listed = found if isinstance(found, Sequence) and not isinstance(found, str | bytes) else [found]
    return [str(one).strip(" \0") for one in listed if one is not None]


def text(dataset: Dataset, name: str) -> str:
    """Return the first value as trimmed text."""
    return next(iter(texts(dataset, name)), "")


def numbers(dataset: Dataset, name: str) -> list[float]:
    """Return all values that are finite numbers; none where one of them is not."""
    try:
        found = [float(one) for one in texts(dataset, name)]
    except ValueError:
        return []
    return found if all(map(math.isfinite, found)) else []


def number(dataset: Dataset, name: str) -> float | None:
    """Return the first value as a finite number."""
    return next(iter(numbers(dataset, name)), None)


def whole(dataset: Dataset, name: str) -> int | None:
    """Return the first value as a whole number above 0."""
    found = number(dataset, name)
    return int(found) if found is not None and found >= 1 else None
