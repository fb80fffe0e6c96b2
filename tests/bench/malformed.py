"""Two hundred malformed inputs against one service.

.venv/bin/python -m tests.bench.malformed
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.peers.test_malformed import endured

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        count, left = endured(Path(folder), share=1.0)
    print(f"{count} malformed inputs: the service stayed up; {left}")
