"""Drives `source_child` as a person with one hub and one cache; nothing may reach its stderr."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

CHILD = Path(__file__).with_name("source_child.py")


class Caller:
    """Calls the sources in another process, as a person with this hub and this cache."""

    def __init__(self, endpoint: str, home: Path) -> None:
        self.home = home
        hermetic = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
        self.variables = {
            **hermetic,
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(home / "hf"),
            "PYTHONPATH": str(CHILD.parent.parent),
            "NO_PROXY": "127.0.0.1",
        }
        self._stderr = (home / "stderr").open("a+")
        self._child: subprocess.Popen[str] | None = None

    def start(self, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(CHILD)],
            env={**self.variables, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
        )

    def line(self, verb: str, source: dict[str, Any], **call: Any) -> str:
        call |= {"verb": verb, "source": source, "cache_dir": str(self.home / "aira")}
        return json.dumps(call) + "\n"

    def __call__(self, verb: str, source: dict[str, Any], **call: Any) -> dict[str, Any]:
        """In the one process that stays for all tests."""
        self._child = self._child or self.start()
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(self.line(verb, source, **call))
        self._child.stdin.flush()
        return self._checked(self._child.stdout.readline())

    def fresh(self, verb: str, source: dict[str, Any], **variables: str) -> dict[str, Any]:
        """In a new process with more environment variables."""
        with self.start(**variables) as child:
            return self._checked(child.communicate(self.line(verb, source), timeout=60)[0])

    def _checked(self, line: str) -> dict[str, Any]:
        self._stderr.seek(0)
        said = self._stderr.read()
        self._stderr.truncate(0)
        assert said == "", said
        answer: dict[str, Any] = json.loads(line)
        assert answer["heavy"] == []
        return answer

    def blobs(self) -> list[Path]:
        return [path for path in (self.home / "hf").rglob("blobs/*") if path.is_file()]

    def close(self) -> None:
        if self._child is not None:
            self._child.communicate(timeout=30)
        self._stderr.close()
