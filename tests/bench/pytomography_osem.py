"""PyTomography's OSEM on the arrays of `tests.bench.reconstruction`, run by a Python that has it."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pytomography
import torch
from pytomography.algorithms import OSEM
from pytomography.likelihoods import PoissonLogLikelihood
from pytomography.metadata.SPECT import SPECTObjectMeta, SPECTProjMeta, SPECTPSFMeta
from pytomography.projectors.SPECT import SPECTSystemMatrix
from pytomography.transforms.SPECT import SPECTAttenuationTransform, SPECTPSFTransform

FWHM_PER_SIGMA = 2.3548
INTRINSIC_CM, SLOPE = 0.38, 0.05


def main() -> None:
    """Reconstruct, and say what it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--arrays", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--resolution", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(2)
    pytomography.set_device("cpu")
    arrays = np.load(given.arrays)
    before, times, worked = _resident_mb(), [], []
    for _ in range(1 + given.rounds):
        started, used = time.perf_counter(), time.process_time()
        body = _osem(arrays, resolution=given.resolution)
        times.append(time.perf_counter() - started)
        worked.append(time.process_time() - used)
    np.save(given.out, body)
    peak = _resident_mb(peak=True) - before
    print(json.dumps({"first": times[0], "again": min(times), "cpu": min(worked), "peak_mb": peak}))


def _osem(arrays: np.lib.npyio.NpzFile, *, resolution: bool) -> np.ndarray:
    counts = np.ascontiguousarray(arrays["counts"].swapaxes(1, 2))
    cm = float(arrays["voxel_mm"]) / 10
    _, bins, rows = counts.shape
    body = SPECTObjectMeta(dr=(cm, cm, cm), shape=(bins, bins, rows))
    rays = SPECTProjMeta((bins, rows), (cm, cm), arrays["angles"], radii=arrays["radii"] / 10)
    mu = np.ascontiguousarray(arrays["mu"]) * 10  # per cm; the same from all sides
    before = [SPECTAttenuationTransform(attenuation_map=torch.tensor(mu))]
    if resolution:
        width = SPECTPSFMeta((SLOPE, INTRINSIC_CM), lambda r, a, b: np.hypot(a * r, b) / FWHM_PER_SIGMA)
        before.append(SPECTPSFTransform(width))
    matrix = SPECTSystemMatrix(before, [], body, rays)
    likelihood = PoissonLogLikelihood(matrix, torch.tensor(counts))
    return np.asarray(OSEM(likelihood)(n_iters=4, n_subsets=10).cpu().numpy(), np.float32)


def _resident_mb(*, peak: bool = False) -> float:
    word = "VmHWM:" if peak else "VmRSS:"
    line = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith(word))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
