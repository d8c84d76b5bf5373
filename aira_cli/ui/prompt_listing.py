"""A prompt as it would be sent, segment by segment, for --dry-run."""

from __future__ import annotations

from typing import Any

from aira_cli.printable import printable, printable_json
from aira_cli.prompts.segments import Control, Prompt


def prompt_lines(prompt: Prompt) -> list[str]:
    """One line a segment, then the ids."""
    lines = []
    for segment in prompt.segments:
        if isinstance(segment, Control):
            lines.append(f"  control {segment.id:>6}  {printable(segment.piece)}")
        else:
            lines.append(f"  text            {printable_json(segment.text)}")
    return [*lines, "  ids             " + " ".join(map(str, prompt.ids))]


def prompt_object(model: str, prompt_format: str, prompt: Prompt) -> dict[str, Any]:
    """The same as one JSON object."""
    segments = [
        {"control": s.id, "piece": s.piece} if isinstance(s, Control) else {"text": s.text}
        for s in prompt.segments
    ]
    return {
        "model": model,
        "prompt_format": prompt_format,
        "segments": segments,
        "ids": list(prompt.ids),
    }
