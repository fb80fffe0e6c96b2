"""How fast two images are fused, beside the wavelet transforms alone, on the same arrays in one run.

    .venv/bin/python -m tests.bench.fusion [--rounds 3]

Fusing takes both images apart and puts one together. Processor time of one thread is counted, the best of the rounds;
PyWavelets' own time is given for one image taken apart and put together, and for the three transforms fusion needs.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pywt

from core.imaging.fusion import FusionRule, fused

GRID = (128, 256, 256)


def main() -> None:
    """Print seconds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    one, other = (np.random.default_rng(seed).random(GRID, np.float32) for seed in (0, 1))
    rule = FusionRule()
    parts = pywt.wavedecn(one, rule.wavelet, "periodization", rule.levels)
    apart = _best(lambda: pywt.wavedecn(one, rule.wavelet, "periodization", rule.levels), rounds)
    together = _best(lambda: pywt.waverecn(parts, rule.wavelet, "periodization"), rounds)
    ours = _best(lambda: fused(one, other, rule), rounds)
    print(f"{GRID}, {rule.wavelet}, {rule.levels} levels, float32, one thread")
    print(f"wavedecn {apart:.2f} s, waverecn {together:.2f} s, fused {ours:.2f} s, peak {_peak_mb(one, other):.0f} MB")
    print(f"fused takes {ours / (apart + together):.2f} of wavedecn + waverecn of one image")
    print(f"fused takes {ours / (2 * apart + together):.2f} of the three transforms")


def _best(work: Callable[[], object], rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return min(taken)


def _peak_mb(one: np.ndarray, other: np.ndarray) -> float:
    """Return what fusing needs at most beside the images themselves."""
    tracemalloc.start()
    fused(one, other)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


if __name__ == "__main__":
    main()
