"""What a prompt is made of: control tokens that a format wrote, and text that anyone may bring.

Formats make segments, `tokenizer` turns them into ids. Only formats may make a `Control`
(through `Tokenizer.control`), and a `Text` can never become one, whatever it says.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Control:
    """One control token: its id and how the vocabulary spells it."""

    id: int
    piece: str


@dataclass(frozen=True)
class Text:
    """Ordinary text. `at_start` encodes it as the beginning of a text even behind a control token:
    a tokenizer puts its own prefix (BOS) before a text it has already encoded."""

    text: str
    at_start: bool = False


Segment = Control | Text


@dataclass(frozen=True)
class Prompt:
    """The segments that a format made and the token ids they encode to."""

    segments: tuple[Segment, ...]
    ids: tuple[int, ...]
