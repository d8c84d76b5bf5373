"""The "tokenizer.*" metadata of a GGUF file → the blueprint of its tokenizer.

Two vocabularies are known: "gpt2" (byte-level BPE with merges) and "llama" (SentencePiece BPE,
whose merges follow from the scores). The pre-tokenizer is chosen from `tokenizer.ggml.pre` in
an explicit table; what is not in it is refused by name. Reading the file is left to
`checkpoints`, encoding to `tokenizer`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as Backend

from aira_cli.errors import CheckpointError
from aira_cli.prompts.vocabulary import Blueprint, with_tokens

# Token types of llama.cpp's `llama_token_type`.
UNKNOWN, CONTROL, USER_DEFINED, BYTE = 2, 3, 4, 6

_ROLE_KEYS = {
    "bos": "bos_token_id",
    "eos": "eos_token_id",
    "unk": "unknown_token_id",
    "sep": "seperator_token_id",  # spelled so in the GGUF specification
    "pad": "padding_token_id",
}
_END_KEYS = ("eos_token_id", "eot_token_id", "eom_token_id")

# Split patterns of the tokenizer.json files of Llama 3 and Qwen 2.
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def gguf_blueprint(fields: Mapping[str, Any], origin: str) -> Blueprint:
    """The blueprint that the metadata `fields` describe. Raises CheckpointError."""
    kind = fields.get("tokenizer.ggml.model")
    build = {"gpt2": _byte_level_state, "llama": _sentencepiece_state}.get(str(kind))
    if build is None:
        raise CheckpointError("gguf_tokenizer_unsupported", path=origin, kind=kind)
    try:
        return _blueprint(fields, build(fields, origin), origin)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise CheckpointError("tokenizer_damaged", path=origin, reason=repr(error)) from error


def _blueprint(fields: Mapping[str, Any], state: dict[str, Any], origin: str) -> Blueprint:
    tokens = fields["tokenizer.ggml.tokens"]
    ids = {role: fields.get(f"tokenizer.ggml.{key}") for role, key in _ROLE_KEYS.items()}
    roles = {role: tokens[index] for role, index in ids.items() if index is not None}
    ends = (fields.get(f"tokenizer.ggml.{key}") for key in _END_KEYS)
    contents = {token: kind == CONTROL for token, kind in _typed(fields, CONTROL, USER_DEFINED)}
    return Blueprint(
        state=with_tokens(state, {**contents, **dict.fromkeys(roles.values(), True)}),
        roles=roles,
        origin=origin,
        add_bos=bool(fields.get("tokenizer.ggml.add_bos_token", _adds_bos(fields))),
        chat_template=fields.get("tokenizer.chat_template"),
        end_ids=frozenset(index for index in ends if index is not None),
    )


def _adds_bos(fields: Mapping[str, Any]) -> bool:
    """llama.cpp's default where the file does not say."""
    kinds = (fields["tokenizer.ggml.model"], fields.get("tokenizer.ggml.pre"))
    return kinds[0] == "llama" or kinds[1] in ("llama-bpe", "llama3", "llama-v3")


def _typed(fields: Mapping[str, Any], *types: int) -> list[tuple[str, int]]:
    """(token, type) of the tokens that have one of `types`."""
    listed = zip(
        fields["tokenizer.ggml.tokens"], fields.get("tokenizer.ggml.token_type") or (), strict=False
    )
    return [(token, kind) for token, kind in listed if kind in types]


def _byte_level_state(fields: Mapping[str, Any], origin: str) -> dict[str, Any]:
    pre = str(fields.get("tokenizer.ggml.pre", "default"))
    configure = PRE_TOKENIZERS.get(pre)
    if configure is None:
        raise CheckpointError("gguf_pre_unsupported", path=origin, pre=pre)
    backend = Backend(models.BPE())
    backend.decoder = decoders.ByteLevel()
    configure(backend)
    return _state(backend, fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.merges"])


def _sentencepiece_state(fields: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """SentencePiece BPE with a dummy prefix: "▁" before every run of text between control tokens.

    llama.cpp and the tokenizer.json that transformers' LlamaConverter writes agree on that.
    """
    tokens, scores = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.scores"]
    bare = {token for token, _ in _typed(fields, UNKNOWN, CONTROL, USER_DEFINED, BYTE)}
    unknown = next((token for token, _ in _typed(fields, UNKNOWN)), None)
    backend = Backend(models.BPE(unk_token=unknown, fuse_unk=True, byte_fallback=True))
    prefix = fields.get("tokenizer.ggml.add_space_prefix", True)
    prepend = [normalizers.Prepend("▁")] if prefix else []
    backend.normalizer = normalizers.Sequence([*prepend, normalizers.Replace(" ", "▁")])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*steps, *([decoders.Strip(" ", 1, 0)] if prefix else [])])
    return _state(backend, tokens, merges_from_scores(tokens, scores, bare))


def merges_from_scores(
    tokens: Sequence[str], scores: Sequence[float], bare: set[str]
) -> list[tuple[str, str]]:
    """Every pair of pieces that makes a piece, best score first (transformers' generate_merges).

    Pieces in `bare` neither merge nor result: SentencePiece matches them whole or not at all.
    """
    ids = {token: index for index, token in enumerate(tokens) if token not in bare}
    ranked: list[tuple[float, int, int, str, str]] = []
    for token, index in ids.items():
        halves = ((token[:cut], token[cut:]) for cut in range(1, len(token)))
        pairs = [pair for pair in halves if pair[0] in ids and pair[1] in ids]
        pairs.sort(key=lambda pair: (ids[pair[0]], ids[pair[1]]))
        ranked += [(-scores[index], -len(left), -len(right), left, right) for left, right in pairs]
    ranked.sort(key=lambda entry: entry[:3])
    return [(left, right) for *_, left, right in ranked]


def _state(backend: Backend, tokens: Sequence[str], merges: Sequence[Any]) -> dict[str, Any]:
    """The tokenizer.json content of `backend` with a vocabulary, which it needs not load first."""
    state: dict[str, Any] = json.loads(backend.to_str())
    state["model"]["vocab"] = {token: index for index, token in enumerate(tokens)}
    state["model"]["merges"] = list(merges)
    return state


def _gpt2(backend: Backend) -> None:
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)


def _smollm(backend: Backend) -> None:
    digits = pre_tokenizers.Digits(individual_digits=True)
    split = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([digits, split])


def _llama_bpe(backend: Backend) -> None:
    backend.pre_tokenizer = _split_by(_CONTRACTIONS + r"\p{N}{1,3}" + _REST)
    backend.model.ignore_merges = True


def _qwen2(backend: Backend) -> None:
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = _split_by(_CONTRACTIONS + r"\p{N}" + _REST)


def _split_by(pattern: str) -> pre_tokenizers.Sequence:
    split = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    spelling = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([split, spelling])


#: `tokenizer.ggml.pre` → what splits the text before merging.
PRE_TOKENIZERS: dict[str, Callable[[Backend], None]] = {
    "default": _gpt2,
    "gpt-2": _gpt2,
    "smollm": _smollm,
    "llama-bpe": _llama_bpe,
    "llama3": _llama_bpe,
    "llama-v3": _llama_bpe,
    "qwen2": _qwen2,
}
