"""Answers that go round in circles: found where they do, and nowhere else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aira_cli.engine.loops import is_looping


def looping_text(text: str) -> bool:
    for start in range(len(text)):
        stretch = text[start:]
        if len(stretch) < 48:
            return False
        for period in range(1, 17):
            whole = -(-len(stretch) // period)
            if len(stretch) >= 4 * period and (stretch[:period] * whole)[: len(stretch)] == stretch:
                return True
    return False


@given(st.text("ab", max_size=20), st.text("abc", min_size=1, max_size=18), st.integers(1, 60))
def test_it_is_what_a_slow_reading_says(start: str, period: str, repeats: int) -> None:
    text = start + period * repeats
    assert is_looping([ord(c) for c in text]) == looping_text(text)


def test_the_bounds() -> None:
    assert is_looping([1] * 48) and not is_looping([1] * 47)
    sixteen = list(range(16))
    assert is_looping(sixteen * 4) and not is_looping((sixteen * 4)[1:])
    assert not is_looping(list(range(17)) * 6)
    assert not is_looping([*[1, 2] * 40, 3])
