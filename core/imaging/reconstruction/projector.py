"""The camera as a linear map: body to projections, and its exact adjoint.

Without depth-dependent resolution a pixel falls on the two bins beside it, dimmed by what lies between it and the
detector. With it, the body is turned towards each view and its planes are blurred on their way to the detector, each a
little more than the one before (McCarthy & Miller 1991), so that the farthest plane is blurred the most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Protocol, TypeAlias, TypeVar

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from core.imaging.reconstruction.projections import Projections

Body: TypeAlias = NDArray[np.float32]
Rays: TypeAlias = NDArray[np.float32]
Parts: TypeAlias = NDArray[np.uint16]
Sparse: TypeAlias = "scipy.sparse.csr_matrix[np.float32]"
Item = TypeVar("Item")
Made = TypeVar("Made")
THREADS = 2

FWHM_PER_SIGMA = float(np.sqrt(8 * np.log(2)))
_PIECE = 1 << 20  # bytes
_PARTS = np.float32(65535)
_ONE_PART = np.float32(1 / 65535)


class Projector(Protocol):
    """Body (row, column, slice) to rays (view, bin, slice) and back, for some of the views."""

    views: int

    def forward(self, body: Body, views: Sequence[int]) -> Rays:
        """Project."""

    def back(self, rays: Rays, views: Sequence[int]) -> Body:
        """Apply the adjoint."""

    def sensitivity(self, views: Sequence[int]) -> Body:
        """Return A'1: how much of each pixel some of the views see."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """Depth-dependent blur of collimator and crystal: FWHM(d) = hypot(intrinsic, slope * d), in mm."""

    intrinsic_mm: float = 3.8
    slope: float = 0.05

    def sigma_mm(self, distance_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the Gaussian's sigma at a distance from the collimator's face."""
        distance = np.maximum(distance_mm, 0)
        return np.asarray(np.hypot(self.intrinsic_mm, self.slope * distance) / FWHM_PER_SIGMA)


class DirectProjector:
    """Pixels fall on bins; `attenuation` per mm, (row, column, slice), lies between them.

    Pixels are worked through in pieces that stay in the processor's cache.
    """

    def __init__(self, scan: Projections, attenuation: Body | None = None, threads: int = THREADS) -> None:
        self.views, self._size, self._slices = scan.views, scan.bins, scan.rows
        self._threads = threads
        self._places = _inside(scan.bins)
        self._pieces = _pieces(len(self._places), scan.rows)
        angles, centres = tuple(scan.angles_deg), tuple(scan.centres())
        length = len(range(*self._pieces[0].indices(len(self._places))))
        self._onto = [_falls(angle, centre, scan.bins, length) for angle, centre in zip(angles, centres, strict=True)]
        self._down = [[piece.T for piece in view] for view in self._onto]
        self._seen = None if attenuation is None else _seen_inside(scan, attenuation, threads)

    def forward(self, body: Body, views: Sequence[int]) -> Rays:
        """Project."""
        flat = body.reshape(-1, self._slices)[self._places]
        if self._seen is not None:
            flat *= _ONE_PART
        return np.stack(_each(lambda view: self._towards(flat, view), views, self._threads))

    def _towards(self, flat: Body, view: int) -> Rays:
        rays = np.zeros((self._size, self._slices), np.float32)
        for piece, falls in zip(self._pieces, self._down[view], strict=True):
            here = flat[piece] if self._seen is None else flat[piece] * self._seen[view, piece]
            rays += falls @ here
        return rays

    def back(self, rays: Rays, views: Sequence[int]) -> Body:
        """Apply the adjoint."""
        return self._gathered(lambda number: self._away(rays, views, number))

    def _away(self, rays: Rays, views: Sequence[int], number: int) -> Body:
        piece = self._pieces[number]
        total: Body | None = None
        for view, ray in zip(views, rays, strict=True):
            here = self._onto[view][number] @ ray
            if self._seen is not None:
                here *= self._seen[view, piece]
            total = here if total is None else np.add(total, here, out=total)
        return self._whole(np.empty((0, self._slices), np.float32) if total is None else total)

    def _whole(self, total: Body) -> Body:
        if self._seen is not None:
            total *= _ONE_PART
        return total

    def sensitivity(self, views: Sequence[int]) -> Body:
        """Return A'1: how much of each pixel some of the views see."""
        return self._gathered(lambda number: self._of_all(views, number))

    def _of_all(self, views: Sequence[int], number: int) -> Body:
        piece = self._pieces[number]
        total = np.zeros((len(self._places[piece]), self._slices), np.float32)
        for view in views:
            onto = np.asarray(self._onto[view][number].sum(axis=1), np.float32)
            total += onto if self._seen is None else onto * self._seen[view, piece]
        return self._whole(total)

    def _gathered(self, of_piece: Callable[[int], Body]) -> Body:
        body = np.zeros((self._size * self._size, self._slices), np.float32)
        body[self._places] = np.concatenate(_each(of_piece, range(len(self._pieces)), self._threads))
        return body.reshape(self._size, self._size, self._slices)


class DepthProjector:
    """The body is turned towards each view; its planes are dimmed, blurred and summed."""

    def __init__(
        self, scan: Projections, resolution: Resolution, attenuation: Body | None = None, threads: int = THREADS
    ) -> None:
        self.views, self._size, self._slices = scan.views, scan.bins, scan.rows
        self._threads = threads
        angles, centres = tuple(scan.angles_deg), tuple(scan.centres())
        self._turns = [_turned(angle, centre, scan.bins) for angle, centre in zip(angles, centres, strict=True)]
        self._seen = None if attenuation is None else _seen_turned(scan, attenuation, threads)
        self._spread = _spreads(scan, resolution)

    @cached_property
    def _shape(self) -> tuple[int, int, int]:
        return self._size, self._size, self._slices

    def forward(self, body: Body, views: Sequence[int]) -> Rays:
        """Project."""
        planes = np.empty((self._size, len(views), self._size, self._slices), np.float32)
        flat = body.reshape(-1, self._slices)
        if self._seen is not None:
            flat = flat * _ONE_PART

        def turn(place: int) -> None:
            turned = (self._turns[views[place]] @ flat).reshape(self._shape)
            if self._seen is not None:
                turned *= self._seen[views[place]]
            planes[:, place] = turned

        _each(turn, range(len(views)), self._threads)
        parts = _shared(range(len(views)), self._threads)
        return np.concatenate(_each(lambda part: self._towards(planes, part, views), parts, self._threads))

    def _towards(self, planes: NDArray[np.float32], part: Sequence[int], views: Sequence[int]) -> Rays:
        """Sum planes from the farthest to the nearest, blurring the sum at each step."""
        here = list(part)
        total = np.zeros((len(here), self._size, self._slices), np.float32)
        for depth in range(self._size):
            total += planes[depth, here]
            _blur(total, self._spread[depth, [views[place] for place in here]])
        return total

    def back(self, rays: Rays, views: Sequence[int]) -> Body:
        """Apply the adjoint."""
        parts = _shared(range(len(views)), self._threads)
        sums = _each(lambda part: self._away(rays, part, views), parts, self._threads)
        for more in sums[1:]:
            sums[0] += more
        if self._seen is not None:
            sums[0] *= _ONE_PART
        return sums[0].reshape(self._shape)

    def sensitivity(self, views: Sequence[int]) -> Body:
        """Return A'1: how much of each pixel some of the views see."""
        return self.back(np.ones((len(views), self._size, self._slices), np.float32), views)

    def _away(self, rays: Rays, part: Sequence[int], views: Sequence[int]) -> Body:
        here = list(part)
        spread = rays[here].copy()
        planes = np.empty((len(here), *self._shape), np.float32)
        for depth in reversed(range(self._size)):
            _blur(spread, self._spread[depth, [views[place] for place in here]])
            planes[:, depth] = spread
        body = np.zeros((self._size * self._size, self._slices), np.float32)
        for place, turned in zip(here, planes, strict=True):
            if self._seen is not None:
                np.multiply(turned, self._seen[views[place]], out=turned)
            body += self._turns[views[place]].T @ turned.reshape(-1, self._slices)
        return body


def projector(
    scan: Projections,
    attenuation: Body | None = None,
    resolution: Resolution | None = None,
    threads: int = THREADS,
) -> Projector:
    """Return the camera of a scan, with what is to be modelled of it.

    Raises
    ------
    ValueError
        Resolution needs the distance of the detector; the map of attenuation must fit the scan.
    """
    shape = (scan.bins, scan.bins, scan.rows)
    if attenuation is not None and attenuation.shape != shape:
        raise ValueError(f"the map of attenuation is {attenuation.shape}, the scan makes {shape}: resample it first")
    if resolution is None:
        return DirectProjector(scan, attenuation, threads)
    if not scan.radius_mm.size:
        raise ValueError("depth-dependent resolution needs Radial Position (0018,1142), which the camera left out")
    return DepthProjector(scan, resolution, attenuation, threads)


# -- attenuation on the way ------------------------------------------------------------------------------------------


def seen_from(scan: Projections, attenuation: Body, threads: int = THREADS) -> Body:
    """Return what part of each pixel's photons reaches the detector in the mean of all views, (row, column, slice)."""
    seen = _seen_inside(scan, attenuation, threads)
    mean = np.zeros((seen.shape[1], scan.rows), np.float32)
    for one in seen:
        mean += one
    mean *= _ONE_PART / np.float32(scan.views)
    body = np.ones((scan.bins * scan.bins, scan.rows), np.float32)
    body[_inside(scan.bins)] = mean
    return body.reshape(scan.bins, scan.bins, scan.rows)


def _seen_inside(scan: Projections, attenuation: Body, threads: int) -> Parts:
    """Return what part of each pixel's photons reaches the detector, (view, pixel inside the circle, slice).

    Opposite views look along the same lines: the body is turned once for both.
    """
    size, slices = scan.bins, scan.rows
    seen = np.empty((scan.views, len(_inside(size)), slices), np.uint16)
    flat = _thinning(scan, attenuation)

    def look(alike: tuple[float, list[tuple[int, bool]]]) -> None:
        angle, views = alike
        behind, whole = _summed((_turned(angle, (size - 1) / 2, size) @ flat).reshape(size, size, slices))
        back = _back_turned(angle, size)
        for view, opposite in views:
            depth = behind if opposite else whole - behind
            _write(seen[view], back @ depth.reshape(-1, slices))

    _each(look, _opposite(scan.angles_deg), threads)
    return seen


def _seen_turned(scan: Projections, attenuation: Body, threads: int) -> Parts:
    """As `_seen_inside`, in planes turned towards each view: (view, depth, bin, slice)."""
    size, slices = scan.bins, scan.rows
    seen = np.empty((scan.views, size, size, slices), np.uint16)
    flat = _thinning(scan, attenuation)

    def look(view: int) -> None:
        turn = _turned(float(scan.angles_deg[view]), float(scan.centres()[view]), size)
        behind, whole = _summed((turn @ flat).reshape(size, size, slices))
        _write(seen[view], whole - behind)

    _each(look, range(scan.views), threads)
    return seen


def _thinning(scan: Projections, attenuation: Body) -> Body:
    """Return the logarithm of what a pixel lets through, (row * column, slice)."""
    return np.multiply(attenuation, np.float32(-scan.pixel_mm), dtype=np.float32).reshape(-1, scan.rows)


def _summed(turned: Body) -> tuple[Body, Body]:
    """Return the sum from the farthest plane to the middle of each, and the sum of all; depth 0 is the farthest."""
    behind = np.empty_like(turned)
    so_far = np.zeros_like(turned[0])
    for plane, out in zip(turned, behind, strict=True):
        plane *= np.float32(0.5)  # noqa: PLW2901 - its two halves lie on both sides of its middle
        np.add(so_far, plane, out=out)
        np.add(out, plane, out=so_far)
    return behind, so_far


def _write(seen: Parts, depth: Body) -> None:
    """Note what part comes through a depth, in 65535ths: half the memory, and exact to less than a ten-thousandth."""
    np.exp(depth, out=depth)
    depth *= _PARTS
    depth += np.float32(0.5)
    np.copyto(seen, depth, casting="unsafe")


def _opposite(angles_deg: NDArray[np.float64]) -> list[tuple[float, list[tuple[int, bool]]]]:
    """Group views along the same lines: the angle of the first, and each view with whether it looks from behind."""
    groups: dict[float, list[tuple[int, bool]]] = {}
    for view, angle in enumerate(angles_deg):
        line = round(float(angle) % 180, 6) % 180
        groups.setdefault(line, []).append((view, round(float(angle) % 360, 6) % 360 >= 180))  # noqa: PLR2004 - degrees
    return list(groups.items())


# -- blur on the way -------------------------------------------------------------------------------------------------


def _spreads(scan: Projections, resolution: Resolution) -> NDArray[np.float32]:
    """Return the variance each step towards the detector adds, (depth, view, 2: across bins and slices), in pixels^2.

    At the last step the nearest plane and all before get what the nearest needs by itself.
    """
    size = scan.bins
    planes = (np.arange(size) - (size - 1) / 2) * scan.pixel_mm
    distance = np.maximum(scan.radius_mm[None, :] - planes[:, None], 0)
    variance = resolution.sigma_mm(distance) ** 2
    steps = variance - np.vstack((variance[1:], np.zeros((1, scan.views))))
    return np.stack((steps / scan.pixel_mm**2, steps / scan.slice_mm**2), axis=2).astype(np.float32)


_GENTLE = 0.3  # pixels^2 that one pass of three taps may add


def _blur(rays: Rays, variance: NDArray[np.float32]) -> None:
    """Blur (view, bin, slice) in place, in passes of three taps each; symmetric, so its own adjoint."""
    for axis in (1, 2):
        wanted = variance[:, axis - 1]
        passes = max(1, int(np.ceil(float(wanted.max()) / _GENTLE)))
        half = (wanted / (2 * passes)).astype(np.float32)[:, None, None]
        for _ in range(passes):
            _three_taps(rays, half, axis)


def _three_taps(rays: Rays, half: NDArray[np.float32], axis: int) -> None:
    """Move `half` of each bin to both neighbours; what would leave the detector is lost on neither side."""
    if rays.shape[axis] < 2:  # noqa: PLR2004 - nothing beside it
        return
    step = np.diff(rays, axis=axis)
    step *= half
    if axis == 1:
        rays[:, :-1] += step
        rays[:, 1:] -= step
    else:
        rays[:, :, :-1] += step
        rays[:, :, 1:] -= step


# -- geometry --------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def _inside(size: int) -> NDArray[np.intp]:
    """Return which pixels every view sees, as places in (row * column)."""
    y, x = _pixels(size)
    return np.flatnonzero(np.hypot(x, y) <= (size - 1) / 2)


def _pieces(pixels: int, slices: int) -> list[slice]:
    """Cut pixels into pieces of about a megabyte."""
    length = max(256, _PIECE // (4 * slices))
    return [slice(start, min(start + length, pixels)) for start in range(0, pixels, length)]


@lru_cache(maxsize=256)
def _falls(angle_deg: float, centre: float, size: int, length: int) -> list[Sparse]:
    """Return the matrix of one view: how pixels inside the circle fall onto bins, (pixel, bin), in pieces."""
    turn = np.deg2rad(angle_deg)
    y, x = (axis[_inside(size)] for axis in _pixels(size))
    place = -x * np.cos(turn) + y * np.sin(turn) + centre
    left = np.floor(place).astype(np.int32)
    share = place - left
    columns = np.stack((left, left + 1), axis=1)
    weights = np.stack((1 - share, share), axis=1)
    starts = range(0, len(x), length)
    return [_rows(weights[at : at + length], columns[at : at + length], size) for at in starts]


@lru_cache(maxsize=256)
def _turned(angle_deg: float, centre: float, size: int) -> Sparse:
    """Return the matrix that turns a body towards a view, (depth * bin, row * column); depth grows to the detector."""
    turn = np.deg2rad(angle_deg)
    t, u = _pixels(size)
    u = u + ((size - 1) / 2 - centre)
    inside = np.hypot(t, u) <= (size - 1) / 2
    return _bilinear(u * np.sin(turn) + t * np.cos(turn), -u * np.cos(turn) + t * np.sin(turn), inside, size)


@lru_cache(maxsize=256)
def _back_turned(angle_deg: float, size: int) -> Sparse:
    """Return the matrix that reads a turned body at the pixels inside the circle: (pixel, depth * bin)."""
    turn = np.deg2rad(angle_deg)
    y, x = (axis[_inside(size)] for axis in _pixels(size))
    everywhere = np.ones(len(x), bool)
    return _bilinear(x * np.sin(turn) + y * np.cos(turn), -x * np.cos(turn) + y * np.sin(turn), everywhere, size)


def _pixels(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return row and column of each pixel from the middle."""
    across = np.arange(size) - (size - 1) / 2
    rows, columns = np.meshgrid(across, across, indexing="ij")
    return rows.ravel(), columns.ravel()


def _bilinear(rows: NDArray[np.float64], columns: NDArray[np.float64], inside: NDArray[np.bool_], size: int) -> Sparse:
    """Return the matrix that reads an image at places given from its middle."""
    y, x = rows + (size - 1) / 2, columns + (size - 1) / 2
    top, left = np.floor(y).astype(np.int32), np.floor(x).astype(np.int32)
    down, right = y - top, x - left
    corners = [(i, j) for i in (0, 1) for j in (0, 1)]
    at = np.stack([(top + i) * size + left + j for i, j in corners], axis=1)
    weights = np.stack([(down if i else 1 - down) * (right if j else 1 - right) for i, j in corners], axis=1)
    for place, (i, j) in enumerate(corners):
        outside = (top + i < 0) | (top + i >= size) | (left + j < 0) | (left + j >= size) | ~inside
        weights[outside, place] = 0
    return _rows(weights, at, size * size)


def _rows(weights: NDArray[np.float64], columns: NDArray[np.int32], width: int) -> Sparse:
    """Return a matrix of as many entries in each row, those beyond its width and those of nothing left out."""
    kept = (columns >= 0) & (columns < width) & (weights > 0)
    starts = np.concatenate(([0], np.cumsum(kept.sum(axis=1)))).astype(np.int32)
    shape = (len(weights), width)
    return scipy.sparse.csr_matrix((weights[kept].astype(np.float32), columns[kept].astype(np.int32), starts), shape)


# -- threads ---------------------------------------------------------------------------------------------------------


def _each(work: Callable[[Item], Made], over: Sequence[Item], threads: int) -> list[Made]:
    if threads < 2 or len(over) < 2:  # noqa: PLR2004 - alone
        return [work(one) for one in over]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, over))


def _shared(items: Sequence[Item], threads: int) -> list[Sequence[Item]]:
    """Deal items out to threads, in order, so that sums do not depend on who is quicker."""
    share = -(-len(items) // max(1, min(threads, len(items))))
    return [items[start : start + share] for start in range(0, len(items), share)]
