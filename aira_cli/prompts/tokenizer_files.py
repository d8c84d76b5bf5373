"""A checkpoint folder's tokenizer files → the blueprint of its tokenizer.

Reads tokenizer.json, tokenizer_config.json, special_tokens_map.json, the chat template's own
file and the end-of-text ids of the generation configuration. A folder without tokenizer.json
brings its state from elsewhere (`tokenizer` asks transformers to convert it).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aira_cli.errors import CheckpointError
from aira_cli.prompts.vocabulary import ROLES, Blueprint, with_tokens


def read_state(folder: Path) -> dict[str, Any] | None:
    """tokenizer.json's content, None where the folder has none. Raises CheckpointError."""
    path = folder / "tokenizer.json"
    return _read_json(path) if path.is_file() else None


def read_blueprint(folder: Path, state: Mapping[str, Any]) -> Blueprint:
    """The blueprint of `folder`, whose tokenizer.json says `state`. Raises CheckpointError."""
    config = _read_json(folder / "tokenizer_config.json")
    roles_file = _read_json(folder / "special_tokens_map.json")
    roles = dict(_roles(roles_file)) | dict(_roles(config))
    try:
        state = with_tokens(state, {**_declared(config), **dict.fromkeys(roles.values(), True)})
        template = _chat_template(folder, config)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError("tokenizer_damaged", path=folder, reason=repr(error)) from error
    return Blueprint(
        state=state,
        roles=roles,
        origin=str(folder),
        chat_template=template,
        end_ids=_end_ids(folder),
    )


def _read_json(path: Path) -> dict[str, Any]:
    """The object in `path`, an empty one where the file does not exist."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError("tokenizer_damaged", path=path, reason=str(error)) from error
    if not isinstance(content, dict):
        raise CheckpointError("tokenizer_damaged", path=path, reason=type(content).__name__)
    return content


def _content(token: object) -> str | None:
    """How a token is spelled: configurations write a string or an object with "content"."""
    if isinstance(token, Mapping):
        token = token.get("content")
    return token if isinstance(token, str) and token else None


def _roles(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for role in ROLES:
        content = _content(config.get(f"{role}_token"))
        if content is not None:
            yield role, content


def _declared(config: Mapping[str, Any]) -> dict[str, bool]:
    """Added tokens that tokenizer_config.json lists, by content: whether they are special."""
    declared: dict[str, bool] = {}
    decoder = config.get("added_tokens_decoder")
    for _, token in sorted((decoder or {}).items(), key=lambda item: int(item[0])):
        content = _content(token)
        if content is not None:
            declared[content] = bool(token.get("special"))
    for key in ("additional_special_tokens", "extra_special_tokens"):
        listed = config.get(key) or ()
        contents = map(_content, listed.values() if isinstance(listed, Mapping) else listed)
        declared |= {content: True for content in contents if content is not None}
    return declared


def _chat_template(folder: Path, config: Mapping[str, Any]) -> str | None:
    """The template's own file wins over the one in tokenizer_config.json, as in transformers."""
    path = folder / "chat_template.jinja"
    if path.is_file():
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise CheckpointError("tokenizer_damaged", path=path, reason=str(error)) from error
    legacy = _read_json(folder / "chat_template.json").get("chat_template")
    template = legacy or config.get("chat_template")
    if isinstance(template, list):  # several, by name
        template = {entry["name"]: entry["template"] for entry in template}.get("default")
    return template if isinstance(template, str) else None


def _end_ids(folder: Path) -> frozenset[int]:
    """eos_token_id of generation_config.json, else of config.json: a number or a list."""
    for name in ("generation_config.json", "config.json"):
        ids = _read_json(folder / name).get("eos_token_id")
        if ids is not None:
            listed = ids if isinstance(ids, list) else [ids]
            return frozenset(index for index in listed if isinstance(index, int))
    return frozenset()
