"""Takes an object in: bytes first, then the row; and gives it out again.

`stage` works outside any transaction: the file is written, synced, hashed and read. `keep` works inside the unit of
work: the file gets its final name and its rows. Nothing of a received dataset is changed; only the file meta is ours. A
temporary name lives until the rows are committed, so that `sweep` finds what a crash left by looking there alone.
"""

from core.archive.keeper.arriving import Arriving
from core.archive.keeper.bulk import Grown, Placed, add_all
from core.archive.keeper.keeping import KEPT_APART, STORED, Keeper, Kept, Outcome
from core.archive.keeper.rows import batch_of, image_row, index_rows, quarantined_row
from core.archive.keeper.staged import Mismatch, NoRoom, Staged, Unreadable

__all__ = [
    "KEPT_APART", "STORED", "Arriving", "Grown", "Keeper", "Kept", "Mismatch", "NoRoom", "Outcome", "Placed",
    "Staged", "Unreadable", "add_all", "batch_of", "image_row", "index_rows", "quarantined_row",
]  # fmt: skip
