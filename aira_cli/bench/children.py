"""Starts measuring processes, one at a time, and waits for them; none outlives its call.

Whatever ends the wait, Ctrl-C included, ends the process. What it says on stderr is kept for
the error message.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from aira_cli.bench.orders import Order, written
from aira_cli.errors import (
    AiraError,
    CheckpointError,
    ContextError,
    ModelUnavailable,
    UsageError,
)
from aira_cli.printable import one_line

CHILD = (sys.executable, "-m", "aira_cli.bench.child")

_KINDS = {
    kind.exit_code: kind for kind in (CheckpointError, UsageError, ModelUnavailable, ContextError)
}


@dataclass(frozen=True)
class Running:
    """A started process whose stdout is a pipe."""

    process: subprocess.Popen[bytes]
    stderr: IO[bytes]

    def finish(self) -> bytes:
        """The rest of its stdout. Raises what it reported, or AiraError with how it ended."""
        rest, _ = self.process.communicate()
        if self.process.returncode:
            raise self._failure(rest)
        return rest

    def _failure(self, out: bytes) -> AiraError:
        code = self.process.returncode
        report = _last_object(out)
        if report is not None and "error" in report:
            return _KINDS.get(code, AiraError)(report["error"], **report["fields"])
        self.stderr.seek(0)
        said = self.stderr.read().decode(errors="replace").strip().splitlines()
        reason = said[-1] if said else ""
        if code < 0:
            reason = " ".join(filter(None, (signal.Signals(-code).name, reason)))
        return AiraError("bench_child_failed", code=code, reason=one_line(reason or "?"))


@dataclass(frozen=True)
class Children:
    """What the processes are given: the environment variables."""

    variables: Mapping[str, str]

    def ask(self, order: Order) -> dict[str, Any]:
        """What the measuring process answers to `order`. Raises what it raised there."""
        with self._started(CHILD, written(order)) as running:
            answer = _last_object(running.finish())
            assert answer is not None
            return answer

    def seconds_to_first_byte(self, command: Sequence[str], given: str = "") -> float:
        """From the start of `command` to the first byte on its stdout."""
        began = time.perf_counter()
        with self._started(command, given) as running:
            assert running.process.stdout is not None
            first = os.read(running.process.stdout.fileno(), 1)
            seconds = time.perf_counter() - began
            running.finish()
        if not first:
            raise AiraError("bench_child_silent", command=one_line(" ".join(command)))
        return seconds

    def seconds_to_end(self, command: Sequence[str]) -> float:
        began = time.perf_counter()
        with self._started(command, "") as running:
            running.finish()
        return time.perf_counter() - began

    @contextmanager
    def _started(self, command: Sequence[str], given: str) -> Iterator[Running]:
        with (
            tempfile.TemporaryFile() as stdin,
            tempfile.TemporaryFile() as stderr,
        ):
            stdin.write(given.encode())
            stdin.seek(0)
            process = subprocess.Popen(
                command, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr,
                env=dict(self.variables),
            )  # fmt: skip
            try:
                yield Running(process, stderr)
            finally:
                process.kill()
                process.wait()
                assert process.stdout is not None
                process.stdout.close()


def _last_object(out: bytes) -> dict[str, Any] | None:
    """The JSON object on the last line of `out`, or None."""
    lines = out.decode(errors="replace").splitlines()
    try:
        found = json.loads(lines[-1]) if lines else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
