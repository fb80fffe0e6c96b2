"""Ten thousand random mutations of recorded associations against one listener.

.venv/bin/python -m tests.bench.hostile [COUNT] [SEED]
"""

from __future__ import annotations

import sys
import time

from tests.peers.mutating import endure

if __name__ == "__main__":
    given = [int(said) for said in sys.argv[1:]]
    count, seed = (*given, *(10_000, 1)[len(given) :])
    began = time.perf_counter()
    done = endure(count, seed)
    print(
        f"{done.count} mutations in {time.perf_counter() - began:.0f} s: {len(done.broke_off)} threads broke off, "
        f"{len(done.hung)} hung, {done.left_open} connections and {done.threads} threads left, "
        f"memory grew by {done.grown_mb:.1f} MB"
    )
    for said in sorted(set(done.broke_off)):
        print(said)
