"""`python -m aira_cli` and the `aira` command."""

from __future__ import annotations

import sys


def main() -> None:
    from aira_cli.cli.boundary import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
