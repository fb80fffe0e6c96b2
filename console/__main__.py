"""photopeak: the console, and the same operations without a screen.

Without a command the screens open; nothing heavy is imported before the first paint.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the console or one command and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if _wants_screens(words):
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            print("photopeak: the screens need a terminal; 'photopeak --help' says what needs none", file=sys.stderr)
            return 2
        from console import app  # noqa: PLC0415 - a command without a screen does not wait for Textual

        return app.run(server=words[1] if words else "")
    if words[0] == "demo":
        from console import demo  # noqa: PLC0415 - only this command starts a department

        return demo.main(words[1:])
    from console import line  # noqa: PLC0415 - the screens open without waiting for argparse's tables

    return line.main(words)


def _wants_screens(words: list[str]) -> bool:
    """Without a command the screens open; `--server URL` alone is no command."""
    return not words or (len(words) == len(("--server", "URL")) and words[0] == "--server")


if __name__ == "__main__":
    sys.exit(main())
