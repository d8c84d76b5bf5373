"""Token ids into printable text, a piece at a time: never half a letter, nothing after a stop.

A token may hold part of a letter ("ç" is two bytes, an emoji four), so text is given out only
once the letters it ends in are complete. Joined, the pieces equal the decoding of all ids,
made printable and cut at the first stop string.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aira_cli.printable import printable

_INCOMPLETE = "\ufffd"

# An UTF-8 letter is at most four bytes, so at most three tokens can wait for its last one.
_LONGEST_WAIT = 3


class TextStream:
    """One row's text. `decode` turns ids into text, leaving control tokens out."""

    def __init__(self, decode: Callable[[Sequence[int]], str], stop: Sequence[str] = ()) -> None:
        self._decode = decode
        self._stop = tuple(stop)
        self._ids: list[int] = []
        self._start = 0  # the ids from here on are decoded: earlier ones cannot change any more
        self._settled = 0  # the ids up to here have been given out or are in `_held`
        self._held = ""  # complete text that may be the beginning of a stop string
        self.stopped = False

    def push(self, token_id: int) -> str:
        """The text that is certain after one more token; "" while a letter or a stop is open."""
        self._ids.append(token_id)
        fresh = self._fresh()
        waiting = len(self._ids) - self._settled
        if not fresh or (fresh.endswith(_INCOMPLETE) and waiting <= _LONGEST_WAIT):
            return ""
        return self._settle(fresh)

    def finish(self) -> str:
        """What was still held back, at the end of the row."""
        if self.stopped:
            return ""
        text = self._settle(self._fresh()) if self._settled < len(self._ids) else ""
        if self.stopped:
            return text
        text, self._held = text + self._held, ""
        return text

    def _fresh(self) -> str:
        """The text of the ids after `_settled`, decoded behind a few earlier ids for context."""
        before = self._decode(self._ids[self._start : self._settled])
        both = self._decode(self._ids[self._start :])
        return both[len(before) :]

    def _settle(self, fresh: str) -> str:
        self._start, self._settled = self._settled, len(self._ids)
        text = self._held + printable(fresh)
        found = [at for at in (text.find(stop) for stop in self._stop) if at >= 0]
        if found:
            self.stopped, self._held = True, ""
            return text[: min(found)]
        keep = self._open_stop(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def _open_stop(self, text: str) -> int:
        """How many characters at the end of `text` could be the beginning of a stop string."""
        longest = min(max(map(len, self._stop), default=1) - 1, len(text))
        for size in range(longest, 0, -1):
            if any(stop.startswith(text[-size:]) for stop in self._stop):
                return size
        return 0
