"""What is believed of a body before it is measured: neighbours resemble each other.

A prior is U(x) = sum over pairs of neighbours of w phi(xj - xk), pairs along the three axes, w = 1 / distance. A
potential is given by its weight phi'(t)/t, which is what both De Pierro's surrogate and one-step-late need.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Body: TypeAlias = NDArray[np.float32]
Pair: TypeAlias = tuple[float, tuple[slice, ...], tuple[slice, ...]]

THREADS = 2
_SLICES = (slice(None),) * 3
_SLAB = 16  # rows


class Potential(StrEnum):
    """How a difference of neighbours is punished."""

    QUADRATIC = auto()
    HUBER = auto()
    LOG_COSH = auto()
    RELATIVE_DIFFERENCE = auto()


@dataclass(frozen=True, slots=True)
class Prior:
    """A potential, its scale-free strength, and its edge.

    Attributes
    ----------
    beta
        Strength, free of scale: the beta used is beta * mean sensitivity / (mean activity * sum of weights).
    edge
        For Huber and log-cosh: the difference, as a fraction of the mean activity, from which on edges are spared. For
        relative differences: gamma (Nuyts 2002).
    """

    potential: Potential = Potential.LOG_COSH
    beta: float = 0.3
    edge: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what is no prior."""
        if not self.beta >= 0 or not self.edge > 0:
            raise ValueError("the strength of a prior is not negative and its edge is greater than 0")


def weights(slice_mm: float, pixel_mm: float) -> tuple[float, float, float]:
    """Return the weight of a neighbour along row, column and slice: nearer ones count more."""
    return 1.0, 1.0, pixel_mm / slice_mm


def surrogate(
    body: Body, prior: Prior, scale: float, along: tuple[float, float, float], threads: int = THREADS
) -> tuple[Body, Body]:
    """Return (W, V): the sums over neighbours of w and of w * (xj + xk), with w weighted by phi'(t)/t.

    De Pierro (1995) with the half-quadratic weights of a non-quadratic potential (Erdogan & Fessler 1999). Worked
    through in slabs that stay in the processor's cache.
    """
    total, pulled = np.zeros_like(body), np.zeros_like(body)
    starts = range(0, len(body), _SLAB)

    def within(start: int) -> None:
        rows = slice(start, start + _SLAB)
        for weight, here, there in _pairs(body.ndim, along):
            _add(body[rows], total[rows], pulled[rows], (weight, here, there), prior, scale)

    def between(start: int) -> None:
        rows = slice(start - 1, start + 1)
        first = next(_pairs(body.ndim, along))
        _add(body[rows], total[rows], pulled[rows], first, prior, scale)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(within, starts))
        list(pool.map(between, starts[1:]))
    return total, pulled


def _add(
    body: Body,
    total: Body,
    pulled: Body,
    pair: Pair,
    prior: Prior,
    scale: float,
) -> None:
    weight, here, there = pair
    one, other = body[here], body[there]
    together = one + other
    mine, theirs = _weights(prior, one, other, together, scale)
    alike = mine is theirs
    for own, places in ((mine, (here, there) if alike else (here,)), (theirs, () if alike else (there,))):
        if weight != 1:
            np.multiply(own, np.float32(weight), out=own)
        for place in places:
            total[place] += own
        np.multiply(own, together, out=own)
        for place in places:
            pulled[place] += own


def energy(body: Body, prior: Prior, scale: float, along: tuple[float, float, float]) -> float:
    """Return U(x), to watch the objective."""
    total = 0.0
    for weight, here, there in _pairs(body.ndim, along):
        one, other = body[here].astype(np.float64), body[there].astype(np.float64)
        total += weight * float(_potential(prior, one, other, scale).sum())
    return total


def slope(body: Body, prior: Prior, scale: float, along: tuple[float, float, float]) -> Body:
    """Return dU/dx, for one-step-late: for relative differences as Nuyts 2002, eq. 5."""
    total = np.zeros_like(body)
    for weight, here, there in _pairs(body.ndim, along):
        one, other = body[here], body[there]
        mine, theirs = _weights(prior, one, other, one + other, scale)
        difference = (one - other) * np.float32(weight)
        total[here] += mine * difference
        total[there] -= theirs * difference
    return total


def _pairs(
    axes: int, along: tuple[float, float, float]
) -> Iterator[tuple[float, tuple[slice, ...], tuple[slice, ...]]]:
    for axis in range(axes):
        here, there = list(_SLICES[:axes]), list(_SLICES[:axes])
        here[axis], there[axis] = slice(None, -1), slice(1, None)
        yield along[axis], tuple(here), tuple(there)


def _weights(prior: Prior, one: Body, other: Body, together: Body, scale: float) -> tuple[Body, Body]:
    """Return phi'(t)/t, t = one - other, as each of both sees it; they differ for relative differences alone."""
    t = one - other
    np.abs(t, out=t)
    edge = np.float32(prior.edge * scale)
    if prior.potential is Potential.RELATIVE_DIFFERENCE:
        t *= np.float32(prior.edge)
        t += together
        t += np.float32(1e-6 * scale)
        mine = (t + 2 * other) * np.float32(scale)
        theirs = (t + 2 * one) * np.float32(scale)
        t *= t
        return mine / t, theirs / t
    if prior.potential is Potential.QUADRATIC:
        t.fill(1)
    elif prior.potential is Potential.HUBER:
        np.maximum(t, edge, out=t)
        np.divide(edge, t, out=t)
    else:
        t *= 1 / edge
        np.maximum(t, np.float32(1e-3), out=t)
        t = np.tanh(t) / t
    return t, t


def _potential(prior: Prior, one: NDArray[np.float64], other: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    t = np.abs(one - other)
    edge = prior.edge * scale
    if prior.potential is Potential.QUADRATIC:
        return np.asarray(t**2 / 2)
    if prior.potential is Potential.HUBER:
        return np.where(t <= edge, t**2 / 2, edge * (t - edge / 2))
    if prior.potential is Potential.LOG_COSH:
        r = t / edge
        return np.asarray(edge**2 * (r + np.log1p(np.exp(-2 * r)) - np.log(2)))
    return np.asarray(scale * t**2 / (one + other + 1e-6 * scale + prior.edge * t))
