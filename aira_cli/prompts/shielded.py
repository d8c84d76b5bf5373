"""A blueprint made ready for the backend, and the file in which the next start finds it.

Reading a vocabulary, shielding it and writing it down for the backend takes several times as
long as the backend's own loading; a start that has the file does only that. The file is as
private as the random names in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aira_cli.errors import CheckpointError
from aira_cli.printable import one_line
from aira_cli.prompts.vocabulary import (
    AddedToken,
    Blueprint,
    control_tokens,
    shield,
    unknown_id,
)

_DIGEST = 32  # bytes


@dataclass(frozen=True)
class Shielded:
    """What a tokenizer is made of.

    `state` is a tokenizer.json as `vocabulary.shield` leaves it with `nonce`; `added` gives the
    id and the name of each of its added tokens, the nonce's last; `controls` are the control
    tokens as they were named before, `hidden` the ids of all that were renamed.
    """

    state: str
    nonce: str
    added: tuple[tuple[int, str], ...]
    controls: tuple[AddedToken, ...]
    hidden: frozenset[int]
    roles: Mapping[str, str]
    add_bos: bool | None
    chat_template: str | None
    end_ids: frozenset[int]


def shielded(blueprint: Blueprint) -> Shielded:
    """The blueprint with random names for its control tokens. Raises CheckpointError."""
    nonce = secrets.token_hex(16)
    try:
        controls = control_tokens(blueprint.state, blueprint.roles)
        unknown = unknown_id(blueprint.state["model"])
        hidden = {token.id for token in controls} | ({unknown} if unknown is not None else set())
        state = shield(blueprint.state, frozenset(hidden), nonce)
        added = tuple((token["id"], token["content"]) for token in state["added_tokens"])
        text = json.dumps(state, ensure_ascii=False)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = one_line(repr(error))
        raise CheckpointError("tokenizer_damaged", path=blueprint.origin, reason=reason) from error
    return Shielded(
        text, nonce, added, tuple(controls), frozenset(hidden), blueprint.roles,
        blueprint.add_bos, blueprint.chat_template, blueprint.end_ids,
    )  # fmt: skip


def write_shielded(path: Path, identity: str, tokenizer: Shielded) -> None:
    """Writes the file whole or not at all: a line of JSON, the state, the SHA-256 of both.

    Raises OSError.
    """
    fields = {name: value for name, value in asdict(tokenizer).items() if name != "state"}
    fields |= {"hidden": sorted(tokenizer.hidden), "end_ids": sorted(tokenizer.end_ids)}
    head = json.dumps({"identity": identity, "tokenizer": fields})
    content = f"{head}\n{tokenizer.state}".encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(suffix=".partial", dir=path.parent)  # of mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content + hashlib.sha256(content).digest())
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def read_shielded(path: Path, identity: str) -> Shielded:
    """What was written under this identity.

    Raises OSError where there is no file, ValueError where it is damaged or belongs to
    something else.
    """
    whole = path.read_bytes()
    content, digest = whole[:-_DIGEST], whole[-_DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError("its bytes are not those that were written")
    head, _, state = content.partition(b"\n")
    own: dict[str, Any] = json.loads(head)
    if own["identity"] != identity:
        raise ValueError("it belongs to another checkpoint")
    fields = own["tokenizer"]
    return Shielded(
        state=state.decode(),
        nonce=fields["nonce"],
        added=tuple((token_id, content) for token_id, content in fields["added"]),
        controls=tuple(AddedToken(**token) for token in fields["controls"]),
        hidden=frozenset(fields["hidden"]),
        roles=fields["roles"],
        add_bos=fields["add_bos"],
        chat_template=fields["chat_template"],
        end_ids=frozenset(fields["end_ids"]),
    )
