"""photopeak: the console, and the same operations without a screen.

Without a command the screens open; nothing heavy is imported before the first paint.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the console or one command and return its exit status."""
    from console import line  # noqa: PLC0415 - the screens open without waiting for argparse's tables

    return line.main(list(sys.argv[1:] if argv is None else argv))


if __name__ == "__main__":
    sys.exit(main())
