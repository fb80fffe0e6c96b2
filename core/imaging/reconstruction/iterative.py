"""Iterative reconstruction: MLEM, OSEM and MAP, one loop.

The model of the measurement is y ~ Poisson(A x + scatter); scatter is in the denominator and never taken from the
counts. MAP is De Pierro's (1995), monotone; one-step-late (Green 1990) is offered with a guard, for it diverges above a
modest beta.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.imaging.reconstruction import priors
from core.imaging.reconstruction.priors import Prior, Slab
from core.imaging.reconstruction.projections import Projections
from core.imaging.reconstruction.projector import Projector, Rays

Body: TypeAlias = NDArray[np.float32]
Told = Callable[[int, int], None]
"""Called with updates done and due; may raise to stop."""

_LITTLE = np.float32(1e-7)


class Method(StrEnum):
    """How a prior enters the update."""

    DE_PIERRO = auto()
    ONE_STEP_LATE = auto()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done: `subsets` of 1 is MLEM; with a prior it is MAP."""

    iterations: int = 4
    subsets: int = 10
    prior: Prior | None = None
    method: Method = Method.DE_PIERRO

    def __post_init__(self) -> None:
        """Refuse what is no plan."""
        if self.iterations < 1 or self.subsets < 1:
            raise ValueError("at least one iteration and one subset are needed")


@dataclass(eq=False)
class Estimate:
    """A reconstructed body, (row, column, slice), and what happened on the way."""

    body: Body
    objective: list[float] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def subsets_of(views: int, count: int, angles_deg: NDArray[np.float64] | None = None) -> list[list[int]]:
    """Deal views into subsets of equal spacing, in an order that keeps the next one far from those before.

    Views are dealt by their angles, whichever detector took them; in their own order without.

    Raises
    ------
    ValueError
        There are fewer views than two a subset.
    """
    if views < 2 * count and count > 1:
        raise ValueError(f"{views} views cannot be dealt into {count} subsets: at most {views // 2}")
    order = sorted(range(count), key=lambda number: int(f"{number:0{count.bit_length()}b}"[::-1], 2))
    along = np.arange(views) if angles_deg is None else np.argsort(np.mod(angles_deg, 360.0), kind="stable")
    return [along[start::count].tolist() for start in order]


def reconstruct(
    scan: Projections, camera: Projector, plan: Plan, *, watch: bool = False, told: Told | None = None
) -> Estimate:
    """Return the estimate after the plan; with `watch` the objective is noted after every iteration.

    Raises
    ------
    ValueError
        The views cannot be dealt into so many subsets.
    """
    counts = scan.in_slices()
    scatter = None if scan.scatter is None else np.ascontiguousarray(scan.scatter.swapaxes(1, 2), np.float32)
    subsets = subsets_of(scan.views, plan.subsets, scan.angles_deg)
    seen = [camera.sensitivity(views) for views in subsets]
    support = np.add.reduce(seen) > 0
    mean_seen = float(np.mean(np.add.reduce(seen)[support]))
    level = float(counts.sum()) / (mean_seen * int(support.sum()))
    estimate = Estimate(np.where(support, np.float32(level), np.float32(0)))
    slabs = priors.slabs_of(support.any(axis=2), 4 * scan.rows)
    along = priors.weights(scan.slice_mm, scan.pixel_mm)
    strength = _Strength(plan.prior, mean_seen, level, along, len(subsets), slabs)
    for iteration in range(plan.iterations):
        for number, views in enumerate(subsets):
            ratio = _ratio(counts, scatter, camera, estimate.body, views)
            _update(estimate, camera.back(ratio, views), seen[number], strength, plan)
            if told:
                told(iteration * len(subsets) + number + 1, plan.iterations * len(subsets))
        if watch:
            estimate.objective.append(_objective(counts, scatter, camera, estimate.body, strength))
    if not np.isfinite(estimate.body).all():  # an update that diverged in spite of the guard is not shown as an image
        estimate.body = np.nan_to_num(estimate.body, nan=0.0, posinf=0.0, neginf=0.0)
        estimate.warnings.append("some values grew beyond all bounds and were set to 0: use less beta")
    return estimate


@dataclass(frozen=True, slots=True)
class _Strength:
    """A prior with its numbers made free of scale: beta' * mean sensitivity / (mean activity * sum of weights)."""

    prior: Prior | None
    mean_seen: float
    level: float
    along: tuple[float, float, float]
    subsets: int
    slabs: list[Slab]

    @property
    def beta(self) -> np.float32:
        """The beta of one subset."""
        if self.prior is None:
            return np.float32(0)
        whole = self.prior.beta * self.mean_seen / (self.level * 2 * sum(self.along))
        return np.float32(whole / self.subsets)


def _ratio(counts: Rays, scatter: Rays | None, camera: Projector, body: Body, views: list[int]) -> Rays:
    expected = camera.forward(body, views)
    if scatter is not None:
        expected += scatter[views]
    measured = counts[views]
    np.maximum(expected, _LITTLE, out=expected)
    np.divide(measured, expected, out=expected)
    return expected


def _update(estimate: Estimate, ratio: Body, seen: Body, strength: _Strength, plan: Plan) -> None:
    if plan.prior is None or plan.prior.beta == 0:
        estimate.body = _expected(estimate.body, ratio, seen, strength.slabs)
    elif plan.method is Method.DE_PIERRO:
        estimate.body = _de_pierro(estimate.body, ratio, seen, strength, plan.prior)
    else:
        _one_step_late(estimate, ratio, seen, strength, plan.prior)


def _expected(body: Body, ratio: Body, seen: Body, slabs: list[Slab]) -> Body:
    """Return x A'(y/yhat) / s, in place of the ratio; where nothing is seen the ratio is 0 already."""

    def update(slab: Slab) -> None:
        here = ratio[slab]
        here *= body[slab]
        here /= np.maximum(seen[slab], _LITTLE)

    priors.each_slab(slabs, update)
    return ratio


def _de_pierro(body: Body, ratio: Body, seen: Body, strength: _Strength, prior: Prior) -> Body:
    """Solve 2 beta W x^2 + B x - e = 0 with B = s - beta V, V = 2 x W - dU/dx, in place of the ratio."""

    def solve(slab: Slab) -> None:
        weight, pulled = priors.neighbours(body, slab, prior, strength.level, strength.along)
        ratio[slab] = _root(body[slab], ratio[slab], seen[slab], weight, pulled, strength.beta)

    priors.each_slab(strength.slabs, solve)
    return ratio


def _root(body: Body, ratio: Body, seen: Body, weight: Body, pulled: Body, beta: np.float32) -> Body:
    """Return the positive root, by whichever form does not cancel."""
    weight *= beta  # beta W
    pulled *= beta
    pulled += seen
    both = weight * body
    both *= 2
    pulled -= both  # B
    np.multiply(ratio, body, out=both)  # e
    root = weight * both
    root *= 8
    sides = np.abs(pulled)
    root += sides * sides
    np.sqrt(root, out=root)
    root += sides
    np.maximum(root, _LITTLE, out=root)
    both *= 2
    both /= root
    negative = pulled < 0
    if negative.any():
        both[negative] = root[negative] / np.maximum(4 * weight[negative], _LITTLE)
    both[seen <= 0] = 0
    return both


def _one_step_late(estimate: Estimate, ratio: Body, seen: Body, strength: _Strength, prior: Prior) -> None:
    """Green 1990: x A'(y/yhat) / (s + beta dU). Where the denominator falls below a third of s it is held there."""
    body = estimate.body
    below = seen + strength.beta * priors.slope(body, prior, strength.level, strength.along)
    held = (below < seen / 3) & (seen > 0)
    if held.any():
        said = "beta is above what one-step-late bears: the update was held back; use De Pierro or less beta"
        if said not in estimate.warnings:
            estimate.warnings.append(said)
        below = np.maximum(below, seen / 3)
    estimate.body = np.where(seen > 0, body * ratio / np.maximum(below, _LITTLE), np.float32(0)).astype(np.float32)


def _objective(counts: Rays, scatter: Rays | None, camera: Projector, body: Body, strength: _Strength) -> float:
    """Return log likelihood minus beta U: what MLEM and De Pierro never let fall."""
    views = list(range(len(counts)))
    expected = camera.forward(body, views).astype(np.float64)
    if scatter is not None:
        expected += scatter
    expected = np.maximum(expected, float(_LITTLE))
    likelihood = float((counts * np.log(expected) - expected).sum())
    if strength.prior is None:
        return likelihood
    weight = float(strength.beta) * strength.subsets
    return likelihood - weight * priors.energy(body, strength.prior, strength.level, strength.along)
