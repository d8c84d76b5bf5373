"""Prompt formats: messages → segments → ids. The only place that decides on control tokens.

Each format is one function; `FORMATS` names them. How a text becomes ids is left to
`tokenizer`, a model's own Jinja template to `template`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aira_cli.errors import CheckpointError, UsageError
from aira_cli.prompts.segments import Prompt, Segment, Text
from aira_cli.prompts.template import render_template
from aira_cli.prompts.tokenizer import Tokenizer
from aira_cli.types import Message

Format = Callable[[Sequence[Message], Tokenizer], list[Segment]]


def build_prompt(format_name: str, messages: Sequence[Message], tokenizer: Tokenizer) -> Prompt:
    """The prompt of `messages` in the format of that name, ready for an answer.

    Raises UsageError for a conversation that the format has no words for and CheckpointError
    where the tokenizer lacks what the format needs.
    """
    segments = FORMATS[format_name](messages, tokenizer)
    return Prompt(tuple(segments), tokenizer.encode(segments))


def stop_ids(format_name: str, tokenizer: Tokenizer) -> frozenset[int]:
    """The tokens that end an answer: the format's own and the model's end-of-text tokens."""
    piece = _END_PIECES.get(format_name)
    own = {tokenizer.control(piece).id} if piece is not None else set()
    return tokenizer.end_ids | own


def aira(messages: Sequence[Message], tokenizer: Tokenizer) -> list[Segment]:
    """<|startofinstruction|>question<|endofinstruction|>answer<|endofcompletion|>…"""
    _check_turns("aira", messages)
    begin = tokenizer.control("<|startofinstruction|>")
    middle = tokenizer.control("<|endofinstruction|>")
    end = tokenizer.control("<|endofcompletion|>")
    segments: list[Segment] = []
    for message in messages:
        text = Text(message.text)
        segments += [begin, text, middle] if message.role == "user" else [text, end]
    return segments


def ttl(messages: Sequence[Message], tokenizer: Tokenizer) -> list[Segment]:
    """<s>, then <instruction>question</instruction>answer</s>…, all texts stripped."""
    _check_turns("ttl", messages)
    begin, end = tokenizer.control("<instruction>"), tokenizer.control("</instruction>")
    eos = tokenizer.control("</s>")
    segments: list[Segment] = [tokenizer.control("<s>")]
    for message in messages:
        text = Text(message.text.strip())
        segments += [begin, text, end] if message.role == "user" else [text, eos]
    return segments


def chatml(messages: Sequence[Message], tokenizer: Tokenizer) -> list[Segment]:
    """<|im_start|>role⏎text<|im_end|>⏎…<|im_start|>assistant⏎, without a default system text."""
    _check_end(messages)
    start, end = tokenizer.control("<|im_start|>"), tokenizer.control("<|im_end|>")
    segments: list[Segment] = []
    for message in messages:
        segments += [start, Text(f"{message.role}\n"), Text(message.text), end, Text("\n")]
    return [*segments, start, Text("assistant\n")]


def template(messages: Sequence[Message], tokenizer: Tokenizer) -> list[Segment]:
    """The chat template that the checkpoint brings."""
    _check_end(messages)
    if tokenizer.chat_template is None:
        raise CheckpointError("no_chat_template")
    return render_template(tokenizer.chat_template, messages, tokenizer)


def raw(messages: Sequence[Message], tokenizer: Tokenizer) -> list[Segment]:
    """The last message's text as any plain text is encoded, behind the tokenizer's prefix."""
    _check_end(messages)
    return [*tokenizer.prefix, Text(messages[-1].text, at_start=True)]


FORMATS: dict[str, Format] = {
    "aira": aira,
    "ttl": ttl,
    "chatml": chatml,
    "template": template,
    "raw": raw,
}

_END_PIECES = {"aira": "<|endofcompletion|>", "ttl": "</s>", "chatml": "<|im_end|>"}


def _check_end(messages: Sequence[Message]) -> None:
    """An answer answers a user message."""
    if not messages or messages[-1].role != "user":
        raise UsageError("conversation_end")


def _check_turns(format_name: str, messages: Sequence[Message]) -> None:
    """User and assistant take turns, the user first and last; there is no other role."""
    for message in messages:
        if message.role not in ("user", "assistant"):
            raise UsageError("role_not_supported", format=format_name, role=message.role)
    _check_end(messages)
    for index, message in enumerate(messages):
        if (message.role == "user") != (index % 2 == 0):
            raise UsageError("turns_not_alternating", format=format_name, number=index + 1)
