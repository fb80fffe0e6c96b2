"""Ask wlmscpfs and our matching many random worklist queries, and count where they differ.

Run by hand: `python -m tests.bench.worklist_oracle [QUERIES=3000] [SEED=1]`; exit status 1 where they differ.
"""

import random
import sys
import tempfile
from pathlib import Path

from tests.peers.wlmscpfs import ask, wlmscpfs
from tests.peers.worklist_questions import differences, question, worklist


def main(queries: int = 3000, seed: int = 1) -> int:
    """Ask, print each difference and the totals, and return the exit status."""
    chance = random.Random(seed)
    items = worklist(chance, 60)
    differing = answered = refused = 0
    with (
        tempfile.TemporaryDirectory() as folder,
        wlmscpfs(Path(folder), items) as oracle,
        oracle.association() as association,
    ):
        for _ in range(queries):
            keys = question(chance, items)
            theirs = ask(association, keys)
            refused += theirs is None
            answered += len(theirs or ())
            found = differences(keys, items, theirs)
            differing += bool(found)
            if found:
                print(keys, *found, sep="\n")
    print(f"{queries} queries, {refused} refused by wlmscpfs, {answered} answers, {differing} queries differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:3])))
