"""Calls into aira_cli.sources in a process of their own: JSON lines in, JSON lines out.

huggingface_hub reads its environment when it is imported, so each environment needs a process.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from aira_cli.errors import AiraError
from aira_cli.sources import resolve as sources
from aira_cli.types import HubSource, LocalSource, WheelSource

KINDS = {"hub": HubSource, "path": LocalSource, "wheel": WheelSource}


def answer_to(call: dict[str, Any]) -> dict[str, Any]:
    fields = call["source"]
    source = next(kind for name, kind in KINDS.items() if name in fields)(**fields)
    cache_dir = Path(call["cache_dir"])
    seen: list[tuple[str, int, int | None]] = []

    def progress(label: str, done: int, total: int | None) -> None:
        seen.append((label, done, total))

    def resolve() -> Path:
        chosen = {"offline": call.get("offline", False), "weights": call.get("weights", True)}
        return sources.resolve(source, cache_dir=cache_dir, progress=progress, **chosen)

    verbs = {
        "resolve": resolve,
        "find": lambda: sources.find_cached(
            source, cache_dir=cache_dir, weights=call.get("weights", True)
        ),
        "size": lambda: sources.cached_size(source, cache_dir=cache_dir),
        "remove": lambda: sources.remove(source, cache_dir=cache_dir),
        "reachable": lambda: sources.reachable(source),
    }
    started = time.monotonic()
    try:
        result = verbs[call["verb"]]()
    except AiraError as error:
        named = {name: str(value) for name, value in error.fields.items()}
        answer: dict[str, Any] = {"error": error.key, "fields": named, "exit_code": error.exit_code}
    else:
        answer = {"result": str(result) if isinstance(result, Path) else result}
    answer |= {"progress": seen, "seconds": time.monotonic() - started}
    heavy = {"torch", "transformers"} & sys.modules.keys()
    return answer | {"heavy": sorted(heavy)}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer_to(json.loads(line))), flush=True)
