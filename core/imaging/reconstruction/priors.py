"""What is believed of a body before it is measured: neighbours resemble each other.

A prior is U(x) = sum over pairs of neighbours of w phi(xj - xk), pairs along the three axes, w = 1 / distance. A
potential is given by its weight phi'(t)/t, which is what both De Pierro's surrogate and one-step-late need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Body: TypeAlias = NDArray[np.float32]
Slab: TypeAlias = tuple[slice, slice]
Place: TypeAlias = slice | tuple[slice, ...]
Pair: TypeAlias = tuple[Place, Place, Body, Body, tuple[slice, slice]]

THREADS = 2
_SLAB_BYTES = 1 << 18


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


def slabs_of(support: NDArray[np.bool_], slice_bytes: int) -> list[Slab]:
    """Cut the rows and columns of a support, (row, column), into slabs that stay in the processor's cache.

    Columns beside the support are left out, but for one neighbour on each side.
    """
    length, columns = len(support), support.shape[1]
    rows = max(2, _SLAB_BYTES // max(1, columns * slice_bytes))
    slabs = []
    for start in range(0, length, rows):
        within = np.flatnonzero(support[start : start + rows].any(axis=0))
        if within.size:
            first, last = max(int(within[0]) - 1, 0), min(int(within[-1]) + 2, columns)
            slabs.append((slice(start, min(start + rows, length)), slice(first, last)))
    return slabs


def each_slab(slabs: Sequence[Slab], work: Callable[[Slab], None], threads: int = THREADS) -> None:
    """Do a piece of work on every slab, each by itself."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, slabs))


def neighbours(
    body: Body, slab: Slab, prior: Prior, scale: float, along: tuple[float, float, float]
) -> tuple[Body, Body]:
    """Return (W, dU/dx) of a slab: the sums over neighbours of w and of w * (xj - xk), w weighted by phi'(t)/t.

    De Pierro (1995) with the half-quadratic weights of a non-quadratic potential (Erdogan & Fessler 1999) wants W, and
    2 xj W - dU/dx for its sum of w * (xj + xk); one-step-late wants dU/dx, for relative differences Nuyts 2002, eq. 5.
    """
    own = body[slab]
    total, pull = np.zeros_like(own), np.zeros_like(own)
    for axis, weight in enumerate(along):
        for here, there, one, other, share in _pairs(body, slab, axis):
            mine, theirs, difference = _weights(prior, one, other, scale)
            if weight != 1:
                mine *= np.float32(weight)
                if theirs is not mine:
                    theirs *= np.float32(weight)
            total[here] += mine[share[0]]
            total[there] += theirs[share[1]]
            mine *= difference
            if theirs is not mine:
                theirs *= difference
            pull[here] += mine[share[0]]
            pull[there] -= theirs[share[1]]
    return total, pull


def _pairs(body: Body, slab: Slab, axis: int) -> Iterator[Pair]:
    """Give the pairs of neighbours along an axis that touch the rows of a slab.

    Each is where its first and its second lie within the slab, their values, and which pairs touch it by the first and
    by the second: a pair across the border of a slab belongs to it by one of them.
    """
    rows, columns = slab
    whole = slice(None)
    if axis:
        first, second = [whole] * 3, [whole] * 3
        first[axis], second[axis] = slice(None, -1), slice(1, None)
        own = body[slab]
        yield tuple(first), tuple(second), own[tuple(first)], own[tuple(second)], (whole, whole)
        return
    low, high = max(rows.start - 1, 0), min(rows.stop + 1, len(body))
    near, size = body[low:high, columns], rows.stop - rows.start
    before, after = rows.start - low, high - rows.stop
    here, there = slice(0, size - 1 + after), slice(1 - before, size)
    yield here, there, near[:-1], near[1:], (slice(before, None), slice(None, len(near) - 1 - after))


def slope(body: Body, prior: Prior, scale: float, along: tuple[float, float, float]) -> Body:
    """Return dU/dx of the whole body, for one-step-late."""
    made = np.empty_like(body)
    slabs = slabs_of(np.ones(body.shape[:2], bool), body[0, 0].nbytes)

    def fill(slab: Slab) -> None:
        made[slab] = neighbours(body, slab, prior, scale, along)[1]

    each_slab(slabs, fill)
    return made


def energy(body: Body, prior: Prior, scale: float, along: tuple[float, float, float]) -> float:
    """Return U(x), to watch the objective."""
    total, whole = 0.0, (slice(0, len(body)), slice(None))
    for axis, weight in enumerate(along):
        for _, _, one, other, _ in _pairs(body, whole, axis):
            total += weight * float(_potential(prior, one.astype(np.float64), other.astype(np.float64), scale).sum())
    return total


def _weights(prior: Prior, one: Body, other: Body, scale: float) -> tuple[Body, Body, Body]:
    """Return phi'(t)/t as each of both sees it, and t = one - other; they differ for relative differences alone."""
    difference = one - other
    t = np.abs(difference)
    edge = np.float32(prior.edge * scale)
    if prior.potential is Potential.RELATIVE_DIFFERENCE:
        return *_relative(t, one, other, prior, scale), difference
    if prior.potential is Potential.QUADRATIC:
        t.fill(1)
    elif prior.potential is Potential.HUBER:
        np.maximum(t, edge, out=t)
        np.divide(edge, t, out=t)
    else:
        t *= 1 / edge
        np.maximum(t, np.float32(1e-3), out=t)
        risen = np.tanh(t)
        np.divide(risen, t, out=t)
    return t, t, difference


def _relative(t: Body, one: Body, other: Body, prior: Prior, scale: float) -> tuple[Body, Body]:
    """Return (gamma |t| + one + 3 other) / (one + other + gamma |t|)^2, and the same with both changed (Nuyts 2002)."""
    t *= np.float32(prior.edge)
    t += one
    t += other
    t += np.float32(1e-6 * scale)
    squared = np.square(t)
    np.divide(np.float32(scale), squared, out=squared)
    mine = other * np.float32(2)
    mine += t
    mine *= squared
    t += one
    t += one
    t *= squared
    return mine, t


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
