"""YAML files into validated models, with errors that name file, line and key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from aira_cli.errors import UsageError
from aira_cli.printable import one_line

Model = TypeVar("Model", bound=BaseModel)


def read_mapping(path: Path) -> tuple[dict[str, Any], yaml.MappingNode | None]:
    """A YAML file's mapping and its node tree, which knows the line of every key."""
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        raise UsageError("yaml_not_utf8", path=path) from error
    except OSError as error:
        raise UsageError("file_unreadable", path=path, reason=error.strerror) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        reason = one_line(error.problem or str(error))
        raise UsageError("yaml_malformed", path=path, line=line, reason=reason) from error
    except yaml.YAMLError as error:
        raise UsageError(
            "yaml_malformed", path=path, line=1, reason=one_line(str(error))
        ) from error
    if content is None:
        return {}, None
    if not isinstance(content, dict) or not isinstance(node, yaml.MappingNode):
        raise UsageError("yaml_not_a_mapping", path=path)
    return content, node


def validate(
    model: type[Model], content: dict[str, Any], path: Path, node: yaml.Node | None
) -> Model:
    """`content` as a `model`; the first thing wrong with it is a UsageError with its line."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = _most_telling(error)
        loc = [part for part in first["loc"] if not str(part).endswith("Source")]
        key, line = ".".join(map(str, loc)), _line_of(node, loc)
        if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            known = ", ".join(name for name in model.model_fields if name != "name")
            raise UsageError(
                "profile_unknown_key", path=path, line=line, key=key, known=known
            ) from error
        if first["type"] in ("missing", "missing_argument"):
            raise UsageError("profile_missing_key", path=path, line=line, key=key) from error
        raise UsageError(
            "profile_bad_value", path=path, line=line, key=key,
            value=one_line(repr(first["input"])), allowed=_allowed(first),
        ) from error  # fmt: skip


def _allowed(error: Any) -> str:
    """What would have been right: the words of a choice, a limit, or the kind of value."""
    limits = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    context = error.get("ctx", {})
    if "expected" in context:
        return str(context["expected"]).replace(" or ", ", ")
    found = [f"{sign} {context[name]}" for name, sign in limits.items() if name in context]
    return ", ".join(found) or str(error["type"]).removesuffix("_type").removesuffix("_parsing")


def _most_telling(error: ValidationError) -> Any:
    """An unknown key first: inside the union of sources it explains the others."""
    found = error.errors(include_url=False)
    unknown = [e for e in found if e["type"] == "extra_forbidden"]
    return (unknown or found)[0]


def _line_of(node: yaml.Node | None, loc: Sequence[Any]) -> int:
    """The line of the deepest key of `loc` that the file really has, from 1."""
    line = 1 if node is None else node.start_mark.line + 1
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line
