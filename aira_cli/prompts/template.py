"""A model's own Jinja chat template → segments, without showing it what anyone wrote.

The template runs in Jinja's sandbox on messages whose texts are placeholders; the texts are put
back into the rendered string as `Text`, so what they say cannot act as a control token. The
rest of the string is the template's own: control pieces in it become `Control`. A placeholder
keeps the white space around a text, so templates may trim; a template that looks inside the
text (splitting off a `</think>`, escaping it as JSON) sees none of it, and one that rewrites it
(`upper`) is refused.

The sandbox bounds ranges and attributes, not time: a checkpoint's template that loops for long
can still make the program wait, as its tensors could.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NoReturn

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.parser
import jinja2.utils
from jinja2.sandbox import ImmutableSandboxedEnvironment

from aira_cli.errors import CheckpointError, UsageError
from aira_cli.printable import one_line
from aira_cli.prompts.segments import Segment, Text
from aira_cli.prompts.tokenizer import Tokenizer
from aira_cli.types import Message

# What Jinja and the Python operations in a template raise.
_FAILURES = (
    jinja2.TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


def render_template(
    template: str, messages: Sequence[Message], tokenizer: Tokenizer
) -> list[Segment]:
    """The segments of `messages` in `template`, ending where the answer begins.

    Raises UsageError where the template refuses the conversation and CheckpointError where it
    fails, drops the last message or rewrites a text.
    """
    nonce = "m" + secrets.token_hex(16)
    masked = [
        {"role": message.role, "content": _masked(message.text, f"{nonce}i{index}i")}
        for index, message in enumerate(messages)
    ]
    rendered = _render(template, masked, tokenizer)
    texts = [message.text.strip() for message in messages]
    parts = re.split(rf"{nonce}i(\d+)i", rendered)  # literal, index, literal, index, …, literal
    literals, shown = parts[0::2], [int(index) for index in parts[1::2]]
    if texts[-1] and len(texts) - 1 not in shown:
        raise CheckpointError("template_drops_message")
    if any(nonce[1:] in literal.lower() for literal in literals):
        raise CheckpointError("template_rewrites_text")
    segments = list(_literal_segments(literals[0], tokenizer))
    for index, literal in zip(shown, literals[1:], strict=True):
        segments += [Text(texts[index]), *_literal_segments(literal, tokenizer)]
    return segments


def _masked(text: str, placeholder: str) -> str:
    """`text` with all but its surrounding white space replaced; white space alone stays."""
    core = text.strip()
    if not core:
        return text
    start = text.index(core)
    return text[:start] + placeholder + text[start + len(core) :]


def _render(template: str, messages: list[dict[str, str]], tokenizer: Tokenizer) -> str:
    tokens = {f"{role}_token": piece for role, piece in tokenizer.roles.items()}
    try:
        compiled = _sandbox().from_string(template)
        return compiled.render(messages=messages, add_generation_prompt=True, **tokens)
    except _Refusal as error:
        raise UsageError("template_refuses", reason=one_line(str(error))) from error
    except _FAILURES as error:
        reason = one_line(f"{type(error).__name__}: {error}")
        raise CheckpointError("template_fails", reason=reason) from error


def _literal_segments(literal: str, tokenizer: Tokenizer) -> Iterator[Segment]:
    """The template's own text, with its control pieces (longest first) as control tokens."""
    pieces = sorted(tokenizer.control_pieces, key=len, reverse=True)
    if not pieces:
        yield Text(literal)
        return
    found = re.split("(" + "|".join(map(re.escape, pieces)) + ")", literal)
    for index, part in enumerate(found):
        if index % 2:
            yield tokenizer.control(part)
        elif part:
            yield Text(part)


def _sandbox() -> ImmutableSandboxedEnvironment:
    """The environment chat templates are written for, as transformers sets it up."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[_GenerationTag, jinja2.ext.loopcontrols],
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _strftime_now
    environment.globals["namespace"] = _Namespace
    return environment


class _Refusal(jinja2.TemplateError):
    """The template called raise_exception."""


def _refuse(reason: object) -> NoReturn:
    raise _Refusal(str(reason))


def _strftime_now(pattern: str) -> str:
    return datetime.now().strftime(pattern)


def _tojson(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Jinja's own escapes HTML; templates mean plain JSON."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


class _Namespace(jinja2.utils.Namespace):
    """A namespace without underscored names, through which templates reached Python's internals."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        self, *positional = args
        attributes = dict(*positional, **kwargs)
        for name in attributes:
            _check_name(name)
        jinja2.utils.Namespace.__init__(self, attributes)

    def __setitem__(self, name: str, value: object) -> None:
        _check_name(name)
        super().__setitem__(name, value)


def _check_name(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise jinja2.exceptions.SecurityError(name)


class _GenerationTag(jinja2.ext.Extension):
    """{% generation %} marks the assistant's text for training; here its body is just rendered."""

    tags = {"generation"}  # noqa: RUF012 - Jinja reads a plain set

    def parse(self, parser: jinja2.parser.Parser) -> jinja2.nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.Scope(body).set_lineno(line)
