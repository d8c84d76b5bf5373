"""Words to be found: as SQLite's full-text query, by reading where there is no index, in a text.

Both ways ignore case and diacritics: "ola" finds "Olá". A word with blanks in it is a phrase.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_TOKEN = re.compile(r"[^\W_]+")


def match_expression(words: Sequence[str]) -> str:
    """A query for texts with all `words`; quoted, so that none is taken for an operator."""
    return " ".join('"{}"'.format(word.replace("\0", " ").replace('"', '""')) for word in words)


def has_words(text: str, words: Sequence[str]) -> bool:
    """Whether `text` has all `words`, as the index would say. Words without letters count not."""
    wanted = [tokens for tokens in map(_tokens, words) if tokens.strip()]
    present = _tokens(text)
    return bool(wanted) and all(tokens in present for tokens in wanted)


def excerpt(text: str, words: Sequence[str], width: int = 80) -> str:
    """About `width` characters of `text` around the first of `words` that is found in it."""
    folded, origins = _folded(text)
    starts = []
    for word in words:
        tokens = _TOKEN.findall(_folded(word)[0])
        pattern = r"[\W_]+".join(map(re.escape, tokens))
        found = re.search(rf"(?<![^\W_]){pattern}(?![^\W_])", folded) if tokens else None
        starts += [origins[found.start()]] if found else []
    start = max(min(starts, default=0) - width // 3, 0)
    end = start + width
    if start:  # not within a word, unless it is a very long one
        start = max(start, text.find(" ", start, start + 20) + 1)
    before, after = "…" if start else "", "…" if end < len(text) else ""
    return before + text[start:end] + after


def _tokens(text: str) -> str:
    """The words of `text`, folded, each between two blanks."""
    return f" {' '.join(_TOKEN.findall(_folded(text)[0]))} "


def _folded(text: str) -> tuple[str, list[int]]:
    """`text` without case and diacritics, and where in `text` each of its characters was."""
    characters, origins = [], []
    for origin, character in enumerate(text):
        for part in unicodedata.normalize("NFKD", character).casefold():
            if not unicodedata.combining(part):
                characters.append(part)
                origins.append(origin)
    return "".join(characters), origins
