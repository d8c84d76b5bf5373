"""The Engine protocol: what a session may ask of whatever answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from aira_cli.prompts.segments import Prompt
from aira_cli.types import Chunk, Request


class Engine(Protocol):
    """Answers requests, one at a time."""

    @property
    def context_length(self) -> int:
        """How many tokens a prompt and its answer may have together."""
        ...

    def prompt(self, request: Request) -> Prompt:
        """What would be sent. ContextError, with its `tokens`, where no answer would fit."""
        ...

    def stream(self, request: Request) -> Iterator[Chunk]:
        """Chunks of all rows as they are generated. Closing the iterator stops the work.

        Each row ends with a chunk that has a `finish_reason`; the last chunk has `stats`.
        Raises ContextError, before the first chunk, for a prompt that does not fit.
        """
        ...

    def stop(self, row: int) -> None:
        """Ends one row of the request under way, as interrupted; the others go on."""
        ...

    def close(self) -> None:
        """Gives memory and connections back; the engine answers nothing after that."""
        ...
