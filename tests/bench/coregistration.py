"""How well and how fast images are coregistered, beside SimpleITK's mutual information (Mattes) on the same arrays.

    .venv/bin/python -m tests.bench.coregistration [--starts 20] [--rounds 2] [--small]

First a SPECT of 64^3 is laid on a CT from starts away from the truth, near (within 15 degrees and 20 mm) and far (20
degrees and 30 mm), there and back, each way from a start of its own. Then a SPECT of 128^3 is laid on a CT of
256 x 256 x 128 by either program from the same starts; SimpleITK looks at 5 % of the voxels, in three levels. Errors
are mean distances over places of chance (TRE). Every job has a process of its own, and so has its peak of memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from core.imaging.coregistration.mutual_information import coregister
from core.imaging.coregistration.rigid import Rigid
from core.imaging.volume import Volume
from tests.phantoms.bodies import body, noisy

ITK: Any = SimpleITK  # its types are not those of its functions
TRUE = Rigid(np.array([3.0, -5.0, 4.0]), np.array([6.0, -4.0, 8.0]))
TARGETS = np.random.default_rng(2).uniform(-80, 80, (200, 3))
Points = NDArray[np.float64]
Move = Callable[[Points], Points]
NEAR, FAR = ((3.0, 15.0), (4.0, 20.0)), ((20.0, 20.0), (30.0, 30.0))


def main() -> None:
    """Print errors, seconds, peaks and ratios, or run one job of them."""
    given = _arguments()
    if given.one:
        print(json.dumps(_measured(given.one, Path(given.arrays), given.rounds)))
        return
    if given.starts:
        _try_starts(given.starts)
    with tempfile.TemporaryDirectory(prefix="photopeak-coregistration-") as name:
        _compare(Path(name) / "arrays.npz", given)


def _try_starts(count: int) -> None:
    spect = noisy(body((64, 64, 64), (6.0,) * 3, "NM", blur=1.1), 40)
    ct = _grainy(body((96, 128, 128), (4.0, 3.2, 3.2), "CT", TRUE))
    for title, bounds in (("within 15 degrees, 20 mm", NEAR), ("20 degrees, 30 mm", FAR)):
        errors, returns = [], []
        for number in range(count):
            there = coregister(spect, ct, started(number, bounds)).transform
            back = coregister(ct, spect, started(1000 + number, bounds).inverse()).transform
            errors.append(_error(there.apply))
            returns.append(float(np.linalg.norm(back.apply(there.apply(TARGETS)) - TARGETS, axis=1).mean()))
        within = sum(error < 6 for error in errors)
        print(
            f"{count} starts {title}: {within} within a voxel, TRE {_spread(errors)}, there and back {_spread(returns)}"
        )


def started(seed: int, bounds: tuple[tuple[float, float], tuple[float, float]]) -> Rigid:
    """A start away from the truth by so many degrees and millimetres, in directions of chance."""
    chance = np.random.default_rng(seed)
    axis, way = (vector / np.linalg.norm(vector) for vector in chance.normal(size=(2, 3)))
    degrees, millimetres = (chance.uniform(low, high) for low, high in bounds)
    return Rigid(TRUE.turn_deg + axis * degrees, TRUE.move_mm + way * millimetres)


def _compare(arrays: Path, given: argparse.Namespace) -> None:
    part = 2 if given.small else 1
    spect = noisy(body((128 // part,) * 3, (3.0 * part,) * 3, "NM", blur=2.2 / part), 40)
    ct = _grainy(body((128 // part, 256 // part, 256 // part), (3.0 * part, 1.6 * part, 1.6 * part), "CT", TRUE))
    np.savez(arrays, spect=spect.array, spect_affine=spect.affine, ct=ct.array, ct_affine=ct.affine)
    print(f"{spect.grid} onto {ct.grid}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    found = {name: _apart(name, arrays, given.rounds) for name in JOBS}
    for name, told in found.items():
        print(
            f"{name:28} {told['seconds']:6.2f} s wall {told['cpu']:6.2f} s cpu  "
            f"peak {told['peak_mb']:5.0f} MB (arrays alone {told['before_mb']:.0f})  TRE {_spread(told['errors'])}"
        )
    ours, theirs = (found[name] for name in ("photopeak, 1 thread", "SimpleITK, all threads"))
    print(f"photopeak takes {ours['seconds'] / theirs['seconds']:.2f} of SimpleITK's time on all cores")
    print(f"photopeak takes {ours['cpu'] / theirs['cpu']:.2f} of SimpleITK's processor time")


def _apart(name: str, arrays: Path, rounds: int) -> dict[str, Any]:
    """Run one job in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.coregistration", "--one", name, "--arrays", str(arrays)]
    alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    made = subprocess.run(
        [*command, "--rounds", str(rounds)], check=True, capture_output=True, env=os.environ | alone, timeout=3000
    )
    told: dict[str, Any] = json.loads(made.stdout)
    return told


def _measured(name: str, arrays: Path, rounds: int) -> dict[str, Any]:
    held = np.load(arrays)
    spect = Volume(held["spect"], held["spect_affine"], "counts", "NM")
    ct = Volume(held["ct"], held["ct_affine"], "HU", "CT")
    before = _peak_mb()
    wall, cpu = time.perf_counter(), time.process_time()
    errors = [_error(JOBS[name](spect, ct, started(number, NEAR))) for number in range(rounds)]
    wall, cpu = ((now - then) / rounds for now, then in ((time.perf_counter(), wall), (time.process_time(), cpu)))
    return {"seconds": wall, "cpu": cpu, "peak_mb": _peak_mb(), "before_mb": before, "errors": errors}


def _ours(spect: Volume, ct: Volume, start: Rigid) -> Move:
    return coregister(spect, ct, start).transform.apply


def _theirs(spect: Volume, ct: Volume, start: Rigid, threads: int) -> Move:
    """SimpleITK: Mattes, 50 bins, 5 %, levels of 4, 2 and 1; its descent set as was most accurate here."""
    method = ITK.ImageRegistrationMethod()
    method.SetNumberOfThreads(threads)
    method.SetMetricAsMattesMutualInformation(50)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.05, 1)
    method.SetInterpolator(ITK.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 1e-3, 300, 0.7, 1e-10)
    method.SetOptimizerScales([1e4] * 3 + [1.0] * 3)  # radians at 100 mm against mm; its own estimate ends 7 mm away
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2, 1, 0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
    transform = ITK.Euler3DTransform()
    transform.SetCenter(start.centre.tolist())
    transform.SetMatrix(start.matrix[:3, :3].ravel().tolist())
    transform.SetTranslation(start.move_mm.tolist())
    method.SetInitialTransform(transform, inPlace=True)
    method.Execute(_image(spect), _image(ct))
    return lambda points: np.array([transform.TransformPoint(point.tolist()) for point in points])


def _image(volume: Volume) -> object:
    image: Any = ITK.GetImageFromArray(volume.array.astype(np.float32))
    spacing = np.linalg.norm(volume.affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((volume.affine[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(volume.affine[:3, 3].tolist())
    return image


JOBS: dict[str, Callable[[Volume, Volume, Rigid], Move]] = {
    "photopeak, 1 thread": _ours,
    "SimpleITK, 1 thread": partial(_theirs, threads=1),
    "SimpleITK, all threads": partial(_theirs, threads=os.cpu_count() or 1),
}


def _grainy(ct: Volume) -> Volume:
    grain = np.random.default_rng(1).normal(0, 0.02, ct.array.shape).astype(np.float32)
    return Volume(ct.array + grain, ct.affine, "HU", "CT")


def _spread(values: list[float]) -> str:
    return f"mean {np.mean(values):.3f} worst {max(values):.3f} mm"


def _error(move: Move) -> float:
    return float(np.linalg.norm(move(TARGETS) - TRUE.apply(TARGETS), axis=1).mean())


def _peak_mb() -> float:
    """Return this process's own peak; `getrusage` would begin with that of who started it."""
    said = Path("/proc/self/status").read_text(encoding="ascii")
    return float(next(line.split()[1] for line in said.splitlines() if line.startswith("VmHWM"))) / 1024


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=20, help="0 leaves them out")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--small", action="store_true", help="half as many voxels along each axis")
    parser.add_argument("--one", choices=JOBS, help="run this one job, as the bench itself does")
    parser.add_argument("--arrays")
    return parser.parse_args()


if __name__ == "__main__":
    main()
