"""What an image has between its voxels, and how fast it changes there.

Compiled where numba is installed (the extra `[fast]`); the same arithmetic in the same order where it is not.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

try:
    from numba import njit
except ImportError:
    njit = None

Array: TypeAlias = NDArray[np.float32]
Places: TypeAlias = NDArray[np.float64]


def by_arrays(places: Places, image: Array) -> Array:
    """Return (4, place): linearly interpolated values, and their slopes per slice, row and column.

    Parameters
    ----------
    places
        (3, place) slice, row and column, all of them before the last voxel of each axis.
    image
        (slice, row, column).
    """
    corner = places.astype(np.intp)
    c, b, a = (places - corner).astype(np.float32)
    down, across = image.shape[1] * image.shape[2], image.shape[2]
    first, flat = corner[0] * down + corner[1] * across + corner[2], image.ravel()
    # lines along columns, planes of two lines, the cube of two planes
    offsets = (0, across, down, down + across)
    starts = [flat[first + offset] for offset in offsets]
    rises = [flat[first + offset + 1] - start for start, offset in zip(starts, offsets, strict=True)]
    lines = [start + rise * a for start, rise in zip(starts, rises, strict=True)]
    top, bottom = lines[1] - lines[0], lines[3] - lines[2]
    plane, under = lines[0] + top * b, lines[2] + bottom * b
    near, far = rises[0] + (rises[1] - rises[0]) * b, rises[2] + (rises[3] - rises[2]) * b
    depth = under - plane
    return np.stack((plane + depth * c, depth, top + (bottom - top) * c, near + (far - near) * c))


def _by_places(places: Any, image: Any, made: Any) -> None:  # noqa: ANN401 - compiled for the types it meets
    for n in range(places.shape[1]):
        k, j, i = int(places[0, n]), int(places[1, n]), int(places[2, n])
        c, b, a = np.float32(places[0, n] - k), np.float32(places[1, n] - j), np.float32(places[2, n] - i)
        start_0, start_1 = image[k, j, i], image[k, j + 1, i]
        start_2, start_3 = image[k + 1, j, i], image[k + 1, j + 1, i]
        rise_0, rise_1 = image[k, j, i + 1] - start_0, image[k, j + 1, i + 1] - start_1
        rise_2, rise_3 = image[k + 1, j, i + 1] - start_2, image[k + 1, j + 1, i + 1] - start_3
        line_0, line_1 = start_0 + rise_0 * a, start_1 + rise_1 * a
        line_2, line_3 = start_2 + rise_2 * a, start_3 + rise_3 * a
        top, bottom = line_1 - line_0, line_3 - line_2
        plane, under = line_0 + top * b, line_2 + bottom * b
        near, far = rise_0 + (rise_1 - rise_0) * b, rise_2 + (rise_3 - rise_2) * b
        depth = under - plane
        made[0, n], made[1, n] = plane + depth * c, depth
        made[2, n], made[3, n] = top + (bottom - top) * c, near + (far - near) * c


_compiled = njit(cache=True, nogil=True)(_by_places) if njit else None


def between(places: Places, image: Array) -> Array:
    """Return what `by_arrays` returns, by what is installed."""
    if _compiled is None:
        return by_arrays(places, image)
    made = np.empty((4, places.shape[1]), np.float32)
    _compiled(places, image, made)
    return made
