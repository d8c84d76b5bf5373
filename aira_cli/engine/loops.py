"""Whether an answer goes round in circles: small models repeat themselves and never end."""

from __future__ import annotations

from collections.abc import Sequence

#: The longest stretch that is looked for, in tokens.
LONGEST_PERIOD = 16

_LEAST_TOKENS = 48
_LEAST_REPEATS = 4


def is_looping(ids: Sequence[int]) -> bool:
    """Whether `ids` end in at least 4 exact repeats, 48 tokens or more, of at most 16 tokens."""
    if len(ids) < _LEAST_TOKENS:
        return False
    return any(_repeats(ids, period) for period in range(1, LONGEST_PERIOD + 1))


def _repeats(ids: Sequence[int], period: int) -> bool:
    if ids[-1] != ids[-1 - period]:  # nearly always: the slices below are rarely made
        return False
    span = max(_LEAST_TOKENS, _LEAST_REPEATS * period)
    end = ids[-span:]
    return len(end) == span and end[period:] == end[:-period]
