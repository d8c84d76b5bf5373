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
        # Only the ids from `_start` on are decoded: those up to `_settled` are there for their
        # context (a word's leading space), and `_given` characters of it all went out already.
        self._start = self._settled = self._given = 0
        self._held = ""  # complete text that may be the beginning of a stop string
        self.stopped = False

    def push(self, token_id: int) -> str:
        """The text that is certain after one more token; "" while a letter or a stop is open."""
        self._ids.append(token_id)
        fresh = self._fresh()
        if not fresh:
            return ""
        if not fresh.endswith(_INCOMPLETE):
            self._settle()
        elif len(self._ids) - self._settled <= _LONGEST_WAIT:
            return ""
        else:  # bytes that are no letters: only the last of them can still become one
            fresh = fresh[:-1]
            self._given += len(fresh)
        return self._give(fresh)

    def finish(self) -> str:
        """What was still held back, at the end of the row."""
        if self.stopped:
            return ""
        text = self._give(self._fresh())
        if not self.stopped:
            text, self._held = text + self._held, ""
        return text

    def _fresh(self) -> str:
        return self._decode(self._ids[self._start :])[self._given :]

    def _settle(self) -> None:
        """All ids so far are complete letters: the newest become the context of the next."""
        self._start, self._settled = self._settled, len(self._ids)
        self._given = len(self._decode(self._ids[self._start :]))

    def _give(self, fresh: str) -> str:
        """Printable text up to a stop string; what may begin one is held."""
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
