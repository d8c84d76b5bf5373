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
    from aira_cli.cli.boundary import run

    signal.signal(signal.SIGTERM, _end)
    sys.exit(run(sys.argv[1:]))


def _end(number: int, frame: FrameType | None) -> None:
    """Leaves as Ctrl-C would, so that the terminal gets its cursor back."""
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
