"""How fast projections become slices, beside scikit-image and PyTomography, on the same arrays in one run.

    .venv/bin/python -m tests.bench.reconstruction [--views 120] [--size 128] [--rounds 2] [--pytomography PYTHON]

Every job has a process of its own, so that its peak of memory is its own; each reads the same arrays. `first` is what a
user waits for with nothing kept from before; `again` is the best of the rounds after it; `cpu` is the least work of all
threads together, which tells more where others use the machine. All include everything from counts and map of
attenuation to slices. PyTomography wants PyTorch and a virtual environment of its own, outside the
checkout:

    python3 -m venv /tmp/pytomography && /tmp/pytomography/bin/pip install pytomography torch
    .venv/bin/python -m tests.bench.reconstruction --pytomography /tmp/pytomography/bin/python
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from core.imaging.phantom.cameras import NARROW_BEAM_PER_MM, Optics, primary
from core.imaging.phantom.quality import CYLINDER_MM, full_circle, jaszczak
from core.imaging.reconstruction.backprojection import filtered_backprojection
from core.imaging.reconstruction.filters import Filter, Window
from core.imaging.reconstruction.iterative import Plan, reconstruct
from core.imaging.reconstruction.priors import Potential, Prior
from core.imaging.reconstruction.projections import Projections
from core.imaging.reconstruction.projector import THREADS, Resolution, projector

Array = NDArray[np.float32]
Arrays = Mapping[str, Any]
RESOLUTION = Resolution(3.8, 0.05)
COUNTS = 20_000_000
_PEER = Path(__file__).with_name("pytomography_osem.py")


def main() -> None:
    """Print seconds, peaks and ratios, or run one job of them."""
    given = _arguments()
    if given.one:
        print(json.dumps(_measured(given.one, np.load(given.arrays), given.rounds, given.out)))
        return
    with tempfile.TemporaryDirectory(prefix="photopeak-reconstruction-") as name:
        arrays = Path(name) / "arrays.npz"
        _make(arrays, given.size, given.views)
        print(f"{given.size} x {given.size} x {given.views} views, {os.cpu_count()} cores, {THREADS} threads each")
        print(f"{'':36}{'first s':>10}{'again s':>10}{'cpu s':>10}{'peak MB':>10}{'like truth':>12}", flush=True)
        _ratios(_all(given, arrays, Path(name)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--views", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--pytomography", metavar="PYTHON", default="")
    parser.add_argument("--only", default="", help="jobs whose name holds this")
    parser.add_argument("--one", default="", help=argparse.SUPPRESS)
    parser.add_argument("--arrays", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


# -- the arrays ------------------------------------------------------------------------------------------------------


def _make(path: Path, size: int, views: int) -> None:
    """Count the rods and spheres once, 64 slices for iterations and twice as many for back-projection."""
    voxel, optics = 422.4 / size, Optics(attenuation_per_mm=NARROW_BEAM_PER_MM)
    body = jaszczak(size, voxel, 64)
    orbit = full_circle(views, body.torso)
    expected = primary(body.activity, voxel, orbit, body.torso, optics)
    counts = np.random.default_rng(1).poisson(expected * (COUNTS / expected.sum())).astype(np.float32)
    across = (np.arange(size) - (size - 1) / 2) * voxel
    inside = np.hypot(across[:, None], across[None, :]) < CYLINDER_MM
    mu = np.repeat((inside * np.float32(NARROW_BEAM_PER_MM))[:, :, None], 64, axis=2)
    truth = np.moveaxis(body.activity[::-1], 0, 2)
    angles, radii = np.asarray(orbit.angles_deg()), np.asarray(orbit.distances_mm())
    np.savez(path, counts=counts, mu=mu, truth=truth, angles=angles, radii=radii, voxel_mm=np.float64(voxel))


def _scan(arrays: Arrays, slices: int = 64) -> Projections:
    """Return the scan; more slices are the same ones again."""
    voxel = float(arrays["voxel_mm"])
    counts = np.concatenate([arrays["counts"]] * -(-slices // 64), axis=1)[:, :slices]
    return Projections(counts, arrays["angles"], voxel, voxel, radius_mm=arrays["radii"])


# -- the jobs --------------------------------------------------------------------------------------------------------


def _fbp(arrays: Arrays) -> Callable[[], Array]:
    scan = _scan(arrays, 128)
    return lambda: filtered_backprojection(scan, Filter(Window.RAMP))


def _iradon(arrays: Arrays) -> Callable[[], Array]:
    from skimage.transform import iradon  # noqa: PLC0415 - the peer's process alone pays for it

    scan, sliced = _scan(arrays, 128), cast("Callable[..., Array]", iradon)

    def each() -> Array:
        made = [sliced(scan.counts[:, row].T, scan.angles_deg, filter_name="ramp") for row in range(scan.rows)]
        return np.stack(made, axis=2).astype(np.float32)

    return each


def _iterated(arrays: Arrays, resolution: Resolution | None = None, prior: Prior | None = None) -> Callable[[], Array]:
    scan, mu = _scan(arrays), np.asarray(arrays["mu"])
    return lambda: reconstruct(scan, projector(scan, mu, resolution), Plan(4, 10, prior)).body


_JOBS: dict[str, Callable[[Arrays], Callable[[], Array]]] = {
    "FBP 128 slices": _fbp,
    "skimage.iradon 128 slices": _iradon,
    "OSEM 10x4": _iterated,
    "OSEM 10x4 resolution": lambda arrays: _iterated(arrays, RESOLUTION),
    "MAP log-cosh": lambda arrays: _iterated(arrays, prior=Prior(Potential.LOG_COSH)),
    "MAP relative difference": lambda arrays: _iterated(arrays, prior=Prior(Potential.RELATIVE_DIFFERENCE, 0.5, 2.0)),
    "MAP log-cosh resolution": lambda arrays: _iterated(arrays, RESOLUTION, Prior(Potential.LOG_COSH)),
}
_PEERS = {"PyTomography OSEM 10x4": (), "PyTomography OSEM 10x4 resolution": ("--resolution",)}
_AGAINST = {
    "FBP 128 slices": ("skimage.iradon 128 slices", 10.0),
    "OSEM 10x4": ("PyTomography OSEM 10x4", 20.0),
    "OSEM 10x4 resolution": ("PyTomography OSEM 10x4 resolution", 8.0),
}


def _measured(name: str, arrays: Arrays, rounds: int, out: Path) -> dict[str, Any]:
    """Time one job; memory is what it took beyond the arrays it was given."""
    job = _JOBS[name](arrays)
    before = _resident_mb()
    times, worked = [], []
    for _ in range(1 + rounds):
        started, used = time.perf_counter(), time.process_time()
        body = job()
        times.append(time.perf_counter() - started)
        worked.append(time.process_time() - used)
    np.save(out, body)
    peak = _resident_mb(peak=True) - before
    return {"first": times[0], "again": min(times[1:] or times), "cpu": min(worked), "peak_mb": peak}


def _resident_mb(*, peak: bool = False) -> float:
    """Return what the process holds, or held at most, as Linux counts it."""
    word = "VmHWM:" if peak else "VmRSS:"
    line = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith(word))
    return int(line.split()[1]) / 1024


# -- all of them -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Result:
    """What a job took: seconds, and memory beyond the arrays it was given."""

    first: float
    again: float
    cpu: float
    peak_mb: float


def _all(given: argparse.Namespace, arrays: Path, folder: Path) -> dict[str, Result]:
    """Run them one by one, and tell each as it ends."""
    truth = np.load(arrays)["truth"]
    own = [(name, [sys.executable, "-m", "tests.bench.reconstruction", "--one", name]) for name in _JOBS]
    peers = [(name, [given.pytomography, str(_PEER), *more]) for name, more in _PEERS.items() if given.pytomography]
    results = {}
    for name, command in own + peers:
        if given.only.lower() not in name.lower():
            continue
        out = folder / "body.npy"
        rounds = str(0 if name in _PEERS else given.rounds)
        command += ["--arrays", str(arrays), "--rounds", rounds, "--out", str(out)]
        said = subprocess.run(command, check=True, capture_output=True, text=True, env=_environment())
        results[name] = Result(**json.loads(said.stdout.splitlines()[-1]))
        _tell(name, results[name], np.load(out), truth)
    return results


def _tell(name: str, one: Result, body: Array, truth: Array) -> None:
    alike = f"{_alike(body, truth):.3f}" if body.shape == truth.shape else ""
    print(f"{name:36}{one.first:10.2f}{one.again:10.2f}{one.cpu:10.2f}{one.peak_mb:10.0f}{alike:>12}", flush=True)


def _environment() -> dict[str, str]:
    return dict(os.environ) | {"OMP_NUM_THREADS": str(THREADS), "OPENBLAS_NUM_THREADS": str(THREADS)}


def _ratios(results: Mapping[str, Result]) -> None:
    for name, (peer, wanted) in _AGAINST.items():
        if name in results and peer in results:
            own, other = results[name], results[peer]
            first, again, cpu = other.first / own.first, other.again / own.again, other.cpu / own.cpu
            print(f"{name}: {first:.1f} times {peer} at first, {again:.1f} again, {cpu:.1f} by cpu (wanted {wanted:g})")
    for plain, with_prior in (
        ("OSEM 10x4", "MAP log-cosh"),
        ("OSEM 10x4", "MAP relative difference"),
        ("OSEM 10x4 resolution", "MAP log-cosh resolution"),
    ):
        if plain in results and with_prior in results:
            own, other = results[with_prior], results[plain]
            again, cpu = own.again / other.again, own.cpu / other.cpu
            print(f"{with_prior}: {again:.2f} of {plain}, {cpu:.2f} by cpu (wanted at most 1.3)")


def _alike(body: Array, truth: Array) -> float:
    """Return the correlation with the truth, in whichever of the eight orientations the peer has its slices."""
    turned = [np.rot90(body, number) for number in range(4)]
    each = [one for two in turned for one in (two, two[::-1])]
    ways = [one for two in each for one in (two, two[:, :, ::-1])]
    return max(float(np.corrcoef(one.ravel(), truth.ravel())[0, 1]) for one in ways)


if __name__ == "__main__":
    main()
