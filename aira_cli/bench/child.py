"""The measuring process: `python -m aira_cli.bench.child`, an order on stdin, carried out once.

The last line on stdout is one JSON object: what was measured, or {"error": …, "fields": …} for
a failure of ours, whose exit code is then the process's. Each order imports what it needs and
no more, so that no contender pays for another's libraries.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from aira_cli.bench.orders import Describe, FirstToken, Measure, Order, Perplexity, WriteShape, read
from aira_cli.errors import AiraError


def main() -> int:
    """Carries out the order on stdin; the exit code."""
    try:
        answer = carry_out(read(sys.stdin.read()))
    except AiraError as error:
        fields = {name: str(value) for name, value in error.fields.items()}
        print(json.dumps({"error": error.key, "fields": fields}))
        return error.exit_code
    print(json.dumps(answer))
    return 0


def carry_out(order: Order) -> dict[str, Any]:
    """What the order asks for, as plain values."""
    match order:
        case Describe():
            from aira_cli.bench.ours import describe

            return describe(order)
        case WriteShape():
            from aira_cli.bench.shapes import write_shape

            return write_shape(order)
        case Measure():
            from aira_cli.bench.timing import measure

            return measure(order)
        case FirstToken():
            from aira_cli.bench.timing import first_token

            return first_token(order)
        case Perplexity():
            from aira_cli.bench.perplexity import perplexities

            return perplexities(order)


if __name__ == "__main__":
    sys.exit(main())
