"""A tokenizer's description as plain data, and the surgery that keeps text from forging tokens.

The description is the content of a tokenizer.json, whatever file it came from. `shield` renames
every control token in it to a random name nobody can type: the ids stay what they are, and no
matching, merging or piece lookup can lead from a text to them. Reading files is left to
`tokenizer_files` and `gguf_tokenizer`, encoding to `tokenizer`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

#: Roles a control token can have; "bos" is `bos_token` in tokenizer_config.json.
ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
#: Roles whose token is a control token even where it is also the unknown token.
CONTROL_ROLES = ("bos", "eos", "sep", "pad")


@dataclass(frozen=True)
class Blueprint:
    """Everything a tokenizer is built from. `state` is a tokenizer.json's content.

    `add_bos` None leaves the prefix to the state's post-processor, as transformers 5 does with
    every tokenizer.json whatever its configuration's add_bos_token says; `end_ids` are the ids
    that end an answer according to the model's own configuration; `origin` is named in errors.
    """

    state: Mapping[str, Any]
    roles: Mapping[str, str]
    origin: str
    add_bos: bool | None = None
    chat_template: str | None = None
    end_ids: frozenset[int] = frozenset()


@dataclass(frozen=True)
class AddedToken:
    """One entry of "added_tokens" under its effective id."""

    id: int
    content: str
    special: bool
    lstrip: bool
    rstrip: bool


def pieces(model: Mapping[str, Any]) -> Iterable[tuple[str, int]]:
    """(piece, id) of a model's own vocabulary: a dict, or Unigram's list of (piece, score)."""
    vocab = model["vocab"]
    if isinstance(vocab, Mapping):
        return vocab.items()
    return [(piece, index) for index, (piece, _) in enumerate(vocab)]


def unknown_id(model: Mapping[str, Any]) -> int | None:
    """The id that the model gives to what it cannot encode."""
    if not isinstance(model["vocab"], Mapping):
        index = model.get("unk_id")
        return int(index) if index is not None else None
    piece = model.get("unk_token")
    return model["vocab"].get(piece) if piece is not None else None


def added_tokens(state: Mapping[str, Any]) -> list[AddedToken]:
    """The added tokens; one that the model's vocabulary also has takes the id from there."""
    ids = dict(pieces(state["model"]))
    return [
        AddedToken(
            id=ids.get(token["content"], token["id"]),
            content=token["content"],
            special=bool(token.get("special")),
            lstrip=bool(token.get("lstrip")),
            rstrip=bool(token.get("rstrip")),
        )
        for token in state.get("added_tokens") or ()
    ]


def control_tokens(state: Mapping[str, Any], roles: Mapping[str, str]) -> list[AddedToken]:
    """Added tokens that no text may become: all but whitespace and the model's unknown token.

    Runs of spaces are added tokens in some vocabularies and are ordinary text there.
    """
    firm = {roles[role] for role in CONTROL_ROLES if role in roles}
    unknown = unknown_id(state["model"])
    return [
        token
        for token in added_tokens(state)
        if token.content in firm or (token.content.strip() and token.id != unknown)
    ]


def with_tokens(state: Mapping[str, Any], contents: Mapping[str, bool]) -> dict[str, Any]:
    """`state` with each content of `contents` among its added tokens (value: whether special).

    One that neither the model nor the list has gets the next free id, as transformers does.
    """
    ids = dict(pieces(state["model"]))
    listed = list(state.get("added_tokens") or ())
    known = {token["content"] for token in listed}
    free = max([*ids.values(), *(token["id"] for token in listed)], default=-1) + 1
    for content, special in contents.items():
        if content in known:
            continue
        token = {"id": ids.get(content, free), "content": content, "special": special}
        free += content not in ids
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        listed.append({**token, **flags})
    return {**state, "added_tokens": listed}


def shield(state: Mapping[str, Any], ids: frozenset[int], nonce: str) -> dict[str, Any]:
    """`state` with the tokens `ids` renamed to `hidden_name`s and with `nonce` as an added token.

    Ids do not move: tokens keep their places in the vocabulary and among the added tokens under
    their new names. Truncation, padding and BPE dropout are off.
    """
    tokens = sorted(_shielded_tokens(state, ids, nonce), key=lambda token: token["id"])
    taken = [*(index for _, index in pieces(state["model"])), *(token["id"] for token in tokens)]
    anchor = {"id": max(taken) + 1, "content": nonce, **_RIGID}
    model = _shielded_model(state["model"], ids, nonce)
    added = [*tokens, anchor]
    return {**state, "model": model, "added_tokens": added, "truncation": None, "padding": None}


def hidden_name(token_id: int, nonce: str) -> str:
    """What a shielded token is called."""
    return f"{nonce}x{token_id}"


_RIGID = {
    "single_word": False,
    "lstrip": False,
    "rstrip": False,
    "normalized": False,
    "special": True,
}


def _shielded_tokens(
    state: Mapping[str, Any], ids: frozenset[int], nonce: str
) -> Iterator[dict[str, Any]]:
    """The added tokens under their effective ids; those in `ids` under their hidden names."""
    for token, known in zip(state.get("added_tokens") or (), added_tokens(state), strict=True):
        if known.id in ids:
            yield {"id": known.id, "content": hidden_name(known.id, nonce), **_RIGID}
        else:
            yield {**token, "id": known.id}


def _shielded_model(model: Mapping[str, Any], ids: frozenset[int], nonce: str) -> dict[str, Any]:
    names = {piece: hidden_name(index, nonce) for piece, index in pieces(model) if index in ids}
    shielded = {**model, "vocab": _renamed(model["vocab"], names)}
    if model.get("unk_token") in names:
        shielded["unk_token"] = names[model["unk_token"]]
    if "merges" in model:
        shielded["merges"] = list(_harmless(model["merges"], names))
    if "dropout" in model:
        shielded["dropout"] = None
    return shielded


def _renamed(vocab: Any, names: Mapping[str, str]) -> Any:
    if isinstance(vocab, Mapping):
        return {names.get(piece, piece): index for piece, index in vocab.items()}
    return [[names.get(piece, piece), score] for piece, score in vocab]


def _harmless(merges: Iterable[Any], names: Mapping[str, str]) -> Iterator[Any]:
    """The BPE merges ("a b" or ["a", "b"]) that neither read nor yield one of `names`.

    There are tens of thousands of merges and a few names, at every start: the many that do not
    begin like a name go by without being split.
    """
    heads = tuple({name[:1] for name in names})
    tails = tuple(f" {name}" for name in names)
    for merge in merges:
        whole = isinstance(merge, str) and " " in merge
        if whole and not merge.startswith(heads) and not merge.endswith(tails):
            yield merge
            continue
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        if left not in names and right not in names and left + right not in names:
            yield merge
