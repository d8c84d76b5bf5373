"""From a request to the ids that are sent, with no weights at hand."""

from __future__ import annotations

from dataclasses import dataclass

from aira_cli.errors import ContextError, UsageError
from aira_cli.prompts.formats import build_prompt
from aira_cli.prompts.segments import Prompt
from aira_cli.prompts.tokenizer import Tokenizer
from aira_cli.types import Request


@dataclass(frozen=True)
class Prompter:
    """One model's prompt format, tokenizer, stop ids and context length (in tokens)."""

    tokenizer: Tokenizer
    prompt_format: str
    stop_ids: frozenset[int]
    context_length: int

    def prompt(self, request: Request) -> Prompt:
        """The segments and ids for `request`. ContextError if no token could be added to them."""
        name = "raw" if request.raw else self.prompt_format
        prompt = build_prompt(name, request.messages, self.tokenizer)
        if not prompt.ids:
            raise UsageError("empty_prompt")
        if len(prompt.ids) >= self.context_length:
            raise ContextError(
                "prompt_too_long", tokens=len(prompt.ids), context=self.context_length
            )
        return prompt
