"""Text ↔ ids against transformers and tokenizers, on tiny tokenizers and the embedded model's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from aira_cli.checkpoints.gguf_file import read_gguf_fields
from aira_cli.errors import CheckpointError, UsageError
from aira_cli.prompts.formats import build_prompt
from aira_cli.prompts.segments import Control, Text
from aira_cli.prompts.tokenizer import Tokenizer, load_tokenizer, tokenizer_from_gguf
from aira_cli.types import Message
from tests.tiny_tokenizers import (
    AIRA,
    CORPUS,
    KINDS,
    LOSSLESS,
    MARKERS,
    ROLES,
    TTL,
    byte_level,
    save,
)

QUICK = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
HARMLESS = st.text(
    st.one_of(
        st.sampled_from("abcçdeéfgãhiíoõs  ,.?!12345\n\t-'\"👤🤖日本ñ"),
        st.characters(exclude_categories=["Cs"], exclude_characters="<>|[]/▁＜＞"),
    ),
    max_size=40,
)

Pair = tuple[Tokenizer, PreTrainedTokenizerFast]


@pytest.fixture(scope="module", params=KINDS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """One kind of tokenizer: ours and transformers', read from the same folder."""
    folder = tmp_path_factory.mktemp(request.param)
    theirs = save(KINDS[request.param](), folder)
    return load_tokenizer(folder), theirs


@QUICK
@given(text=HARMLESS)
def test_plain_text_encodes_as_transformers_does(pair: Pair, text: str) -> None:
    ours, theirs = pair
    assert ours.encode_text(text, first=True) == theirs.encode(text, add_special_tokens=False)
    prefixed = (*ours.prefix, Text(text, at_start=True))
    assert list(ours.encode(prefixed)) == theirs.encode(text)


@QUICK
@given(before=HARMLESS, text=HARMLESS, marker=st.sampled_from([*AIRA, *TTL]))
def test_segments_encode_as_one_string_does(
    pair: Pair, before: str, text: str, marker: str
) -> None:
    ours, theirs = pair
    # Where a control token meets normalization they disagree by design: ours is a boundary.
    segments = (Text(before), ours.control(marker), Text(text[:3]), Text(text[3:]))
    expected = theirs.encode(before + marker + text, add_special_tokens=False)
    assert list(ours.encode(segments)) == expected


@QUICK
@given(data=st.data())
def test_decoding_equals_transformers(pair: Pair, data: st.DataObject) -> None:
    ours, theirs = pair
    ids = data.draw(st.lists(st.integers(0, len(theirs) - 1), max_size=20))
    expected = theirs.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert ours.decode(ids) == expected


@pytest.mark.parametrize("kind", LOSSLESS)
def test_typed_markers_are_text_and_decode_to_themselves(kind: str, tmp_path: Path) -> None:
    theirs = save(KINDS[kind](), tmp_path)
    ours = load_tokenizer(tmp_path)
    text = "a" + "".join(MARKERS) + "<unk>" + " ".join(MARKERS)
    for first in (True, False):
        ids = ours.encode_text(text, first=first)
        assert not ours.control_ids.intersection(ids)
        assert ours.decode(ids) == text
    assert set(theirs.encode(text)) >= set(theirs.convert_tokens_to_ids(MARKERS))  # the naive way


@pytest.mark.parametrize("kind", ["merging", "unigram", "whole_words"])
def test_unmatched_added_tokens_would_not_be_enough(kind: str, tmp_path: Path) -> None:
    """These forge "<s>" even with no added token to match: the shield is what stops them."""
    save(KINDS[kind](), tmp_path)
    ours, state = load_tokenizer(tmp_path), json.loads((tmp_path / "tokenizer.json").read_text())
    naive = Backend.from_str(json.dumps({**state, "added_tokens": []}))
    assert ours.control("<s>").id in naive.encode("<s>").ids
    assert ours.control("<s>").id not in ours.encode_text("<s>", first=True)


def test_unflagged_tokens_forge_with_special_matching_off(tmp_path: Path) -> None:
    save(KINDS["unflagged"](), tmp_path)
    ours = load_tokenizer(tmp_path)
    backend = Backend.from_file(str(tmp_path / "tokenizer.json"))
    backend.encode_special_tokens = True
    assert ours.control("<|im_end|>").id in backend.encode("<|im_end|>").ids
    assert not ours.control_ids.intersection(ours.encode_text("<|im_end|>", first=False))


def test_whitespace_tokens_stay_text(tmp_path: Path) -> None:
    theirs = save(KINDS["spaced"](), tmp_path)
    ours = load_tokenizer(tmp_path)
    ids = ours.encode_text("a      b", first=True)
    assert ids == theirs.encode("a      b") and theirs.convert_tokens_to_ids("      ") in ids
    assert theirs.convert_tokens_to_ids("<|late|>") in ours.control_ids


def test_white_space_beside_stripping_tokens(tmp_path: Path) -> None:
    theirs = save(KINDS["stripping"](), tmp_path)
    ours = load_tokenizer(tmp_path)
    parts = ["a \n", "<|im_start|>", " b ", "<|im_end|>", " \u00a0\n c", "</instruction>", " \x1c "]
    segments = [Text(p) if i % 2 == 0 else ours.control(p) for i, p in enumerate(parts)]
    assert list(ours.encode(segments)) == theirs.encode("".join(parts))


def test_roles_and_sizes(tmp_path: Path) -> None:
    theirs = save(KINDS["sentencepiece"](), tmp_path)
    ours = load_tokenizer(tmp_path)
    assert (ours.bos, ours.eos, ours.sep, ours.pad) == ("<s>", "</s>", ROLES["sep_token"], "<pad>")
    assert ours.vocab_size == len(theirs)
    assert ours.prefix == (Control(theirs.bos_token_id, "<s>"),)
    unknown = theirs.unk_token_id
    expected = {index for index in theirs.added_tokens_decoder if index != unknown}
    assert ours.control_ids == expected


@pytest.mark.parametrize("kind", ["sentencepiece", "byte_level"])
@pytest.mark.parametrize("flag", [True, False])
def test_the_post_processor_decides_the_prefix(kind: str, flag: bool, tmp_path: Path) -> None:
    """transformers 5 reads add_bos_token only where there is no tokenizer.json."""
    save(KINDS[kind](), tmp_path)
    _edit(tmp_path / "tokenizer_config.json", add_bos_token=flag)
    ours, theirs = load_tokenizer(tmp_path), PreTrainedTokenizerFast.from_pretrained(tmp_path)
    prefixed = (*ours.prefix, Text("olá", at_start=True))
    assert list(ours.encode(prefixed)) == theirs.encode("olá")
    assert len(ours.prefix) == (kind == "sentencepiece")


def test_tokens_only_the_configuration_declares(tmp_path: Path) -> None:
    save(byte_level(), tmp_path)
    flags = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False}
    late = {"content": "<late>", "special": True, **flags}
    _edit(tmp_path / "tokenizer_config.json", cls_token="<cls>", added_tokens_decoder={"459": late})
    theirs = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    ours = load_tokenizer(tmp_path)
    for piece in ("<late>", "<cls>"):
        assert ours.control(piece).id == theirs.convert_tokens_to_ids(piece)
        assert ours.decode(ours.encode_text(piece, first=True)) == piece


def test_end_ids_come_from_the_generation_configuration(tmp_path: Path) -> None:
    save(byte_level(), tmp_path)
    assert load_tokenizer(tmp_path).end_ids == {2}
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [2, 7]}')
    assert load_tokenizer(tmp_path).end_ids == {2, 7}


def test_chat_template_files(tmp_path: Path) -> None:
    save(byte_level(), tmp_path)
    assert load_tokenizer(tmp_path).chat_template is None
    named = [{"name": "default", "template": "A"}, {"name": "tool_use", "template": "B"}]
    _edit(tmp_path / "tokenizer_config.json", chat_template=named)
    assert load_tokenizer(tmp_path).chat_template == "A"
    (tmp_path / "chat_template.jinja").write_text("C")
    assert load_tokenizer(tmp_path).chat_template == "C"


def test_a_folder_without_tokenizer_json_is_converted(tmp_path: Path) -> None:
    state = json.loads(byte_level().to_str())
    (tmp_path / "vocab.json").write_text(json.dumps(state["model"]["vocab"]))
    merges = "\n".join(" ".join(merge) for merge in state["model"]["merges"])
    (tmp_path / "merges.txt").write_text(f"#version: 0.2\n{merges}\n")
    _edit(tmp_path / "tokenizer_config.json", tokenizer_class="GPT2Tokenizer", **ROLES)
    ours, theirs = load_tokenizer(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    text = "Qual é a capital do Brasil?"
    assert ours.encode_text(text, first=True) == theirs.encode(text)


@pytest.mark.parametrize(
    ("name", "content", "key"),
    [
        ("tokenizer.json", "{", "tokenizer_damaged"),
        ("tokenizer.json", '{"model": {}}', "tokenizer_damaged"),
        ("tokenizer.json", '{"model": {"vocab": {"a": 0}}, "added_tokens": [{}]}', None),
        ("tokenizer.json", '{"model": {"type": "BPE", "vocab": {"a": "b"}, "merges": []}}', None),
        ("tokenizer_config.json", "[]", "tokenizer_damaged"),
        ("tokenizer_config.json", '{"added_tokens_decoder": {"x": 1}}', "tokenizer_damaged"),
        ("tokenizer_config.json", "\udcff", "tokenizer_damaged"),
    ],
)
def test_damaged_files_are_refused(
    tmp_path: Path, name: str, content: str, key: str | None
) -> None:
    save(byte_level(), tmp_path)
    (tmp_path / name).write_text(content, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(CheckpointError) as caught:
        load_tokenizer(tmp_path)
    assert caught.value.key == (key or "tokenizer_damaged")


def test_ids_that_the_backend_would_move_are_refused(tmp_path: Path) -> None:
    save(KINDS["unflagged"](), tmp_path)
    path = tmp_path / "tokenizer.json"
    state = json.loads(path.read_text())
    state["added_tokens"][-1]["id"] += 5
    path.write_text(json.dumps(state))
    with pytest.raises(CheckpointError, match="tokenizer_damaged"):
        load_tokenizer(tmp_path)


def test_an_empty_folder_has_no_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="tokenizer_missing"):
        load_tokenizer(tmp_path)


def test_text_that_cannot_be_written(tmp_path: Path) -> None:
    save(byte_level(), tmp_path)
    with pytest.raises(UsageError, match="text_not_unicode"):
        load_tokenizer(tmp_path).encode_text("a\udcff", first=True)
    save(KINDS["unigram"](), tmp_path, eos_token="<unk>")  # the unknown token ends an answer
    with pytest.raises(UsageError, match="text_forges_control") as caught:
        load_tokenizer(tmp_path).encode_text("ação 日", first=False)
    assert caught.value.fields["text"] == "'日'"


def test_a_missing_control_token_is_named(tmp_path: Path) -> None:
    save(byte_level(), tmp_path)
    with pytest.raises(CheckpointError, match="control_token_missing") as caught:
        load_tokenizer(tmp_path).control("<|nope|>")
    assert caught.value.fields["piece"] == "<|nope|>"


# GGUF -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def embedded(embedded_gguf: Path) -> Pair:
    theirs = AutoTokenizer.from_pretrained(embedded_gguf.parent, gguf_file=embedded_gguf.name)
    return tokenizer_from_gguf(read_gguf_fields(embedded_gguf)), theirs


@QUICK
@given(text=HARMLESS)
def test_the_embedded_model_encodes_as_transformers_does(embedded: Pair, text: str) -> None:
    ours, theirs = embedded
    assert ours.encode_text(text, first=True) == theirs.encode(text)
    assert ours.decode(theirs.encode(text)) == theirs.decode(theirs.encode(text))


@QUICK
@given(texts=st.lists(HARMLESS, min_size=1, max_size=3), system=st.booleans())
def test_the_embedded_models_own_template(embedded: Pair, texts: list[str], system: bool) -> None:
    ours, theirs = embedded
    texts = texts if len(texts) % 2 else texts[1:]
    roles = ["user", "assistant"] * 2
    messages = [{"role": r, "content": t} for r, t in zip(roles, texts, strict=False)]
    messages = [{"role": "system", "content": "Seja breve."}] * system + messages
    expected = theirs.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
    ours_messages = [Message(m["role"], m["content"]) for m in messages]  # type: ignore[arg-type]
    assert list(build_prompt("template", ours_messages, ours).ids) == expected


def test_the_embedded_models_control_tokens(embedded: Pair) -> None:
    ours, theirs = embedded
    assert ours.control_ids == set(range(17))
    text = "".join(theirs.convert_ids_to_tokens(list(range(17))))
    assert theirs.encode(text) == list(range(17))
    assert ours.decode(ours.encode_text(text, first=True)) == text
    assert (ours.end_ids, ours.prefix, ours.vocab_size) == ({2}, (), 49152)


@pytest.mark.parametrize("pre", ["gpt-2", "default", "smollm", "qwen2", "llama-bpe"])
def test_byte_level_files(pre: str, tmp_path: Path) -> None:
    backend = KINDS["byte_level"]()
    merges = [" ".join(m) for m in json.loads(backend.to_str())["model"]["merges"]]
    path = tmp_path / "tiny.gguf"
    write_gguf(path, backend, "gpt2", pre=pre, merges=merges)
    theirs = AutoTokenizer.from_pretrained(tmp_path, gguf_file=path.name).backend_tokenizer
    if pre == "smollm":  # transformers has no entry for it; this is SmolLM2's own tokenizer.json
        digits = pre_tokenizers.Digits(individual_digits=True)
        theirs, split = backend, pre_tokenizers.ByteLevel(add_prefix_space=False)
        theirs.pre_tokenizer = pre_tokenizers.Sequence([digits, split])
    ours = tokenizer_from_gguf(gguf_fields(path))
    for text in ("Olá, o que é isto?  12345\n\n <a> it's", "CORAÇÃO\tação...", "<s|im_start>"):
        expected = theirs.encode(text, add_special_tokens=False).ids
        assert ours.encode_text(text, first=True) == expected
        assert ours.decode(expected) == text
    assert bool(ours.prefix) == (pre == "llama-bpe")


def test_sentencepiece_files(tmp_path: Path) -> None:
    backend = KINDS["sentencepiece"]()
    original = save(backend, tmp_path)
    path = tmp_path / "tiny.gguf"
    write_gguf(path, backend, "llama")
    ours = tokenizer_from_gguf(gguf_fields(path))
    assert [control.piece for control in ours.prefix] == ["<s>"]
    theirs = AutoTokenizer.from_pretrained(tmp_path, gguf_file=path.name)
    for text in ("Olá, que horas são?", "a instrução  dupla\n日本 <s", *CORPUS[:5]):
        assert ours.encode_text(text, first=True) == theirs.encode(text, add_special_tokens=False)
        segments = (ours.control("<instruction>"), Text(text))
        assert list(ours.encode(segments)) == original.encode(
            "<instruction>" + text, add_special_tokens=False
        )
        assert ours.decode(ours.encode_text(text, first=True)) == text
    assert not ours.control_ids.intersection(ours.encode_text("<s></s><unk>", first=True))


@pytest.mark.parametrize(
    ("changes", "key", "named"),
    [
        ({"tokenizer.ggml.model": "rwkv"}, "gguf_tokenizer_unsupported", "rwkv"),
        ({"tokenizer.ggml.model": None}, "gguf_tokenizer_unsupported", "None"),
        ({"tokenizer.ggml.pre": "tekken"}, "gguf_pre_unsupported", "tekken"),
        ({"tokenizer.ggml.eos_token_id": 10**6}, "tokenizer_damaged", "IndexError"),
        ({"tokenizer.ggml.merges": ["a"]}, "tokenizer_damaged", "ValueError"),
        ({"tokenizer.ggml.merges": ["qq qq"]}, "tokenizer_damaged", "qq"),
    ],
)
def test_unknown_gguf_tokenizers_are_refused_by_name(
    tmp_path: Path, changes: dict[str, Any], key: str, named: str
) -> None:
    path = tmp_path / "tiny.gguf"
    write_gguf(path, KINDS["byte_level"](), "gpt2", pre="gpt-2", merges=["a b"])
    with pytest.raises(CheckpointError) as caught:
        tokenizer_from_gguf({**gguf_fields(path), **changes}, origin=str(path))
    assert caught.value.key == key and named in str(caught.value)


def gguf_fields(path: Path) -> dict[str, Any]:
    """The "tokenizer.*" metadata of a GGUF file, read with the gguf package."""
    fields = gguf.GGUFReader(path).fields
    return {name: f.contents() for name, f in fields.items() if name.startswith("tokenizer.")}


def write_gguf(
    path: Path, backend: Backend, model: str, pre: str = "", merges: list[str] | None = None
) -> None:
    """A GGUF file without tensors, whose later tokens have worse scores."""
    state = json.loads(backend.to_str())
    control = {token["id"] for token in state["added_tokens"]}
    vocab = backend.get_vocab(with_added_tokens=True)
    tokens = sorted(vocab, key=lambda token: vocab[token])
    types = [2 if t == "<unk>" else 3 if i in control else 1 for i, t in enumerate(tokens)]
    if model == "llama":
        types = [6 if t.startswith("<0x") else k for t, k in zip(tokens, types, strict=True)]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model(model)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_scores([-float(index) for index in range(len(tokens))])
    if pre:
        writer.add_tokenizer_pre(pre)
    if merges is not None:
        writer.add_token_merges(merges)
    writer.add_bos_token_id(vocab["<s>"])
    writer.add_eos_token_id(vocab["</s>"])
    writer.add_unk_token_id(vocab["<unk>"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _edit(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**content, **changes}))
