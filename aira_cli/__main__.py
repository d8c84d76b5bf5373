"""`python -m aira_cli` and the `aira` command."""

from __future__ import annotations

import gc
import signal
import sys
from types import FrameType


def main() -> None:
    # Looking for garbage among what an import makes is a third of torch's import; it begins
    # once a model is open (cli/opening).
    gc.disable()
    # While nothing is there yet, and when all is said, Ctrl-C ends the process without a word.
    ours = signal.getsignal(signal.SIGINT)
    quiet = ours if ours is signal.SIG_IGN else signal.SIG_DFL
    signal.signal(signal.SIGINT, quiet)
    from aira_cli.cli.boundary import run

    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, ours)
    code = run(sys.argv[1:])
    signal.signal(signal.SIGINT, quiet)
    sys.exit(code)


def _end(number: int, frame: FrameType | None) -> None:
    """Leaves as Ctrl-C would, so that the terminal gets its cursor back."""
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
