"""What a picture of a volume costs: `python -m tests.bench.viewing [SIZE]`, beside SimpleITK for the same view.

A volume of SIZE^3 (128), with another of the same size over it turned by ten degrees, drawn for a terminal of 160 x 50.
The first picture of a kind includes what is worked out once; what travels is counted in bytes. Milliseconds are those
of the processor, so that a busy machine tells the same.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import SimpleITK as sitk  # noqa: N813 - as its makers write it
from numpy.typing import NDArray
from scipy import ndimage

from core import wire
from core.imaging.volume import Volume, centred_affine
from core.workflow import planes
from core.workflow.planes import Above
from core.workflow.volumes import Standing

ROUNDS = 30
TERMINAL = {"rows": 50, "columns": 160}


def body(size: int, seed: int) -> NDArray[np.float32]:
    """A smooth thing with a few hot spots."""
    noise = np.random.default_rng(seed).random((size, size, size), np.float32)
    return np.asarray(ndimage.gaussian_filter(noise, 3) ** 8, np.float32)


def timed(act: Callable[[int], object], rounds: int = ROUNDS) -> tuple[float, float, float]:
    """Return milliseconds of the first call, the median and the 95th percentile of the others."""
    taken = []
    for number in range(rounds + 1):
        begun = time.process_time()
        act(number)
        taken.append((time.process_time() - begun) * 1000)
    return taken[0], statistics.median(taken[1:]), float(np.percentile(taken[1:], 95))


def said(name: str, figures: tuple[float, float, float], more: str = "") -> None:
    """Print one line of the table."""
    first, middle, last = figures
    print(f"{name:34} first {first:7.1f} ms   median {middle:6.1f} ms   p95 {last:6.1f} ms   {more}")


def theirs(array: NDArray[np.float32], size: int) -> Callable[[int], object]:
    """The view through by SimpleITK: turned, resampled linearly, its maximum taken."""
    image = sitk.GetImageFromArray(array)
    centre = [(size - 1) / 2] * 3

    def seen(number: int) -> object:
        turn = sitk.Euler3DTransform(centre, 0.0, 0.0, np.deg2rad(5 * number + 5))  # type: ignore[no-untyped-call]
        turned = sitk.Resample(image, image, turn, sitk.sitkLinear, 0.0)
        return sitk.GetArrayFromImage(sitk.MaximumProjection(turned, 1))  # type: ignore[no-untyped-call]

    return seen


def main() -> None:
    """Print the table."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 128
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)  # type: ignore[no-untyped-call]
    grid, voxel = (size, size, size), (4.0, 4.0, 4.0)
    array = body(size, 1)
    lower = Standing(Volume(array, centred_affine(grid, voxel), unit="counts", modality="NM"))
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.17), -np.sin(0.17)], [np.sin(0.17), np.cos(0.17)]]
    upper = Standing(Volume(body(size, 2), turn @ centred_affine(grid, voxel), unit="counts", modality="NM"))
    above = Above(upper, np.eye(4), "as_they_lie")
    print(f"{size}^3, one thread of {os.cpu_count()}, a terminal of {TERMINAL['columns']} x {TERMINAL['rows']}")

    def shown(over: Above | None = None, **query: object) -> Callable[[int], dict[str, object]]:
        def act(number: int) -> dict[str, object]:
            where = {"angle": float(5 * number + 5)} if query.get("plane") == "mip" else {"slice": 30.0 + number}
            return planes.picture(lower, wire.VolumeLook.model_validate({**TERMINAL, **query, **where}), over)

        return act

    travelling = len(json.dumps(shown()(1)).encode())
    for plane in ("axial", "coronal", "sagittal"):
        said(plane, timed(shown(plane=plane)), f"{travelling} bytes")
    for mode in ("blend", "checkerboard", "fused"):
        said(f"{mode} of two", timed(shown(above, mode=mode)))
    own = timed(shown(plane="mip"))
    said("view through, each angle new", own)
    said("view through, again", timed(shown(plane="mip")))
    said("view through both, each angle new", timed(shown(above, plane="mip")))
    peer = timed(theirs(array, size), 10)
    said("view through by SimpleITK", peer, f"{peer[1] / own[1]:.1f} times ours, which draws it too")


if __name__ == "__main__":
    main()
