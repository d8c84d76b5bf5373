"""Tiny tokenizers of every kind that matters here, trained on the spot and saved by transformers.

Each has the control tokens of all the prompt formats. A kind is a function that returns a
trained `tokenizers.Tokenizer`; `save` writes the folder that a checkpoint would have.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tokenizers import (
    AddedToken,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

BASIC = ["<unk>", "<s>", "</s>", "<pad>"]
AIRA = ["<|startofinstruction|>", "<|endofinstruction|>", "<|endofcompletion|>", "<|pad|>"]
TTL = ["<instruction>", "</instruction>"]
CHAT = ["<|im_start|>", "<|im_end|>", "[INST]", "[/INST]", "<start_of_turn>", "<end_of_turn>"]
MARKERS = [*BASIC[1:], *AIRA, *TTL, *CHAT]

ROLES = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "sep_token": "<|endofinstruction|>",
}

CORPUS = [
    "A capital do Brasil é Brasília, e a instrução começa no início da conversa.",
    "Um modelo de linguagem é uma distribuição de probabilidade sobre um vocabulário.",
    "start of instruction, end of instruction; end of completion, im start, im end | < > / [ ]",
    "Qual é a soma de 12 e 345? Coração, ação, pão, você, João; 👤 pergunta 🤖 responde.",
    "<instr <s </ |> [INS im_start im_end turn user assistant system INST instruction",
] * 4


def byte_level() -> Tokenizer:
    """GPT-2's and BLOOM's kind; all control tokens in the vocabulary."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return _trained_bpe(tokenizer, [*BASIC, *AIRA, *TTL, *CHAT])


def composed() -> Tokenizer:
    """Byte-level behind NFKC, which turns fullwidth letters into ASCII before matching."""
    tokenizer = byte_level()
    tokenizer.normalizer = normalizers.NFKC()
    return tokenizer


def whole_words() -> Tokenizer:
    """Llama 3's `ignore_merges`: a word that the vocabulary has needs no merges."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return _trained_bpe(tokenizer, [*BASIC, *AIRA, *TTL, *CHAT])


def merging() -> Tokenizer:
    """Merges that lead from "<", "s", ">" to the bos token itself."""
    state = json.loads(whole_words().to_str())
    state["model"]["ignore_merges"] = False
    vocab = state["model"]["vocab"]
    vocab["<s"] = len(vocab)
    state["model"]["merges"] = [["<", "s"], ["<s", ">"], *state["model"]["merges"]]
    return Tokenizer.from_str(json.dumps(state))


def unflagged() -> Tokenizer:
    """Control tokens added later and not flagged special: switching matching off misses them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer = _trained_bpe(tokenizer, BASIC)
    tokenizer.add_tokens([AddedToken(piece, special=False) for piece in [*AIRA, *TTL, *CHAT]])
    return tokenizer


def spaced() -> Tokenizer:
    """GPT-NeoX's runs of spaces as added tokens, which are ordinary text."""
    tokenizer = byte_level()
    tokenizer.add_tokens([AddedToken(" " * n, normalized=False) for n in range(8, 1, -1)])
    tokenizer.add_special_tokens(["<|late|>"])
    return tokenizer


def stripping() -> Tokenizer:
    """Phi-3's control tokens, which swallow the white space beside them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer = _trained_bpe(tokenizer, BASIC)
    right = ["<|im_end|>", "<|endofinstruction|>", "<instruction>"]
    left = ["<|im_start|>", "<|endofcompletion|>", "</instruction>"]
    rest = [piece for piece in [*AIRA, *TTL, *CHAT] if piece not in (*right, *left)]
    tokenizer.add_special_tokens(
        [AddedToken(piece, rstrip=True, special=True) for piece in right]
        + [AddedToken(piece, lstrip=True, special=True) for piece in left]
        + [AddedToken(piece, special=True) for piece in rest]
    )
    return tokenizer


def sentencepiece() -> Tokenizer:
    """TeenyTinyLlama's kind: "▁" before each run of text, byte fallback, bos by post-processor."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = _sentencepiece_decoder()
    return _finished_sentencepiece(tokenizer)


def metaspace() -> Tokenizer:
    """Newer Llama's kind: "▁" only where the whole prompt begins."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = _sentencepiece_decoder()
    return _finished_sentencepiece(tokenizer)


def unigram() -> Tokenizer:
    """Unigram behind NFKC: its vocabulary spells the control tokens as pieces, at best score."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    trainer = trainers.UnigramTrainer(
        vocab_size=200,
        special_tokens=[*BASIC, *AIRA, *TTL, *CHAT],
        unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


KINDS: dict[str, Callable[[], Tokenizer]] = {
    kind.__name__: kind
    for kind in (
        byte_level,
        composed,
        whole_words,
        merging,
        unflagged,
        spaced,
        stripping,
        sentencepiece,
        metaspace,
        unigram,
    )
}

#: Kinds whose decoding gives every text back as it was.
LOSSLESS = ("byte_level", "whole_words", "merging", "unflagged", "spaced", "sentencepiece")


def save(tokenizer: Tokenizer, folder: Path, **roles: str) -> PreTrainedTokenizerFast:
    """Writes the tokenizer's files to `folder`; returns transformers' own reading of them."""
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **(roles or ROLES)).save_pretrained(folder)
    return PreTrainedTokenizerFast.from_pretrained(folder)


def _trained_bpe(tokenizer: Tokenizer, special: list[str]) -> Tokenizer:
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=special,
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def _sentencepiece_decoder() -> decoders.Decoder:
    return decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )


def _finished_sentencepiece(tokenizer: Tokenizer) -> Tokenizer:
    """Trained with byte pieces in the vocabulary; TTL's two tokens come behind it, as there."""
    pieces = [*BASIC, *AIRA, *CHAT, *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=pieces, show_progress=False)
    words = [sentence.split(" ") for sentence in CORPUS]
    tokenizer.train_from_iterator(("▁" + word for line in words for word in line), trainer)
    state = json.loads(tokenizer.to_str())
    state["added_tokens"] = [
        token for token in state["added_tokens"] if not token["content"].startswith("<0x")
    ]
    tokenizer = Tokenizer.from_str(json.dumps(state))
    tokenizer.add_special_tokens(TTL)
    bos = [("<s>", tokenizer.token_to_id("<s>"))]
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A $B", bos)
    return tokenizer
