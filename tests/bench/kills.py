"""Kill the service at 50 random moments of an ingest by four senders.

.venv/bin/python -m tests.bench.kills [ROUNDS] [SEED]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.scenarios.killing import killed_under_load

if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    with tempfile.TemporaryDirectory() as folder:
        kept = killed_under_load(Path(folder), rounds, per_sender=60, seed=seed, tell=print)
    print(f"{rounds} kills: {kept} acknowledged objects, all present and intact")
