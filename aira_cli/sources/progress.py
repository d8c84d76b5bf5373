"""How a fetch tells the face how far it is. Sources count bytes; drawing them is the UI's."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called with the bytes that are there; `total` is None where nobody knows it."""

    def __call__(self, label: str, done: int, total: int | None, /) -> None: ...


class Tally:
    """One growing count over several files; a retry that starts a file again never shrinks it."""

    def __init__(self, progress: Progress, label: str, total: int | None) -> None:
        self._progress = progress
        self._label = label
        self._total = total
        self._done = 0
        self._shown = 0

    def add(self, count: int) -> None:
        self._done += count
        done = self._done if self._total is None else min(self._done, self._total)
        if done > self._shown:
            self._shown = done
            self._progress(self._label, self._shown, self._total)

    def settle(self, done: int) -> None:
        """The true count after a whole file, whatever a cached or resumed download reported."""
        self.add(done - self._done)
