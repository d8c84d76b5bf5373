"""The prompt formats: ids as the model cards write them, and no text that forges a token."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from aira_cli.checkpoints.gguf_file import read_gguf_fields
from aira_cli.errors import CheckpointError, UsageError
from aira_cli.i18n import translator
from aira_cli.prompts.formats import FORMATS, build_prompt, stop_ids
from aira_cli.prompts.segments import Control, Prompt, Text
from aira_cli.prompts.template import render_template
from aira_cli.prompts.tokenizer import Tokenizer, load_tokenizer, tokenizer_from_gguf
from aira_cli.types import Message, Role
from tests.test_templates import CHATML, GEMMA, LLAMA_2, TTL, conversation
from tests.tiny_tokenizers import AIRA, KINDS, LOSSLESS, MARKERS, byte_level, save

Pair = tuple[Tokenizer, PreTrainedTokenizerFast]

HARMLESS = st.text(st.sampled_from("abcçéãíoõ.,?! 12345\n\t👤日'"), max_size=24)


@pytest.fixture(scope="module", params=KINDS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """One kind of tokenizer: ours and transformers', read from the same folder."""
    folder = tmp_path_factory.mktemp(request.param)
    theirs = save(KINDS[request.param](), folder)
    return load_tokenizer(folder), theirs


@pytest.fixture(scope="module")
def embedded(embedded_gguf: Path) -> Tokenizer:
    return tokenizer_from_gguf(read_gguf_fields(embedded_gguf))


# What the cards say ---------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(question=HARMLESS, answer=HARMLESS)
def test_aira_is_what_its_card_does(pair: Pair, question: str, answer: str) -> None:
    ours, theirs = pair
    bos, sep, eos, _ = AIRA
    single = build_prompt("aira", [Message("user", question)], ours)
    assert list(single.ids) == theirs(bos + question + sep, add_special_tokens=False).input_ids
    several = build_prompt("aira", conversation([question, answer, question]), ours)
    text = bos + question + sep + answer + eos + bos + question + sep
    assert list(several.ids) == theirs(text, add_special_tokens=False).input_ids


@pytest.mark.parametrize(("name", "template"), [("ttl", TTL), ("chatml", CHATML)])
@settings(max_examples=25, deadline=None)
@given(texts=st.lists(HARMLESS, min_size=1, max_size=5))
def test_formats_equal_their_templates(
    pair: Pair, name: str, template: str, texts: list[str]
) -> None:
    ours, theirs = pair
    messages = conversation(texts, "Seja breve." if name == "chatml" else None)
    expected = theirs.apply_chat_template(
        [{"role": m.role, "content": m.text} for m in messages],
        chat_template=template,
        add_generation_prompt=True,
        return_dict=False,
    )
    assert list(build_prompt(name, messages, ours).ids) == expected


@settings(max_examples=25, deadline=None)
@given(text=HARMLESS)
def test_raw_is_the_plain_tokenizer_call(pair: Pair, text: str) -> None:
    ours, theirs = pair
    messages = [*conversation(["a", "b", "c"])[:2], Message("user", text)]
    assert list(build_prompt("raw", messages, ours).ids) == theirs(text).input_ids


def test_stop_ids(tmp_path: Path) -> None:
    save(byte_level(), tmp_path, bos_token=AIRA[0], sep_token=AIRA[1], eos_token="<pad>")
    tokenizer = load_tokenizer(tmp_path)
    expected = {"aira": AIRA[2], "ttl": "</s>", "chatml": "<|im_end|>"}
    pad = tokenizer.control("<pad>").id
    for name in FORMATS:
        own = {tokenizer.control(expected[name]).id} if name in expected else set()
        assert stop_ids(name, tokenizer) == own | {pad}


# What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("roles", [(), ("user", "assistant"), ("system",)])
def test_a_conversation_ends_with_the_user(
    embedded: Tokenizer, name: str, roles: tuple[Role, ...]
) -> None:
    messages = [Message(role, "olá") for role in roles]
    with pytest.raises(UsageError) as caught:
        build_prompt(name, messages, embedded)
    assert caught.value.key in ("conversation_end", "role_not_supported")
    assert translator("pt")(f"error.{caught.value.key}", **caught.value.fields)


@pytest.mark.parametrize("name", ["aira", "ttl"])
def test_roles_and_turns_are_strict(pair: Pair, name: str) -> None:
    with pytest.raises(UsageError, match="role_not_supported") as caught:
        build_prompt(name, conversation(["a"], "sistema"), pair[0])
    assert caught.value.fields == {"format": name, "role": "system"}
    twice: tuple[Role, ...] = ("user", "user")
    for roles in (twice, ("assistant", "user")):
        with pytest.raises(UsageError, match="turns_not_alternating"):
            build_prompt(name, [Message(role, "a") for role in roles], pair[0])


def test_a_format_needs_its_tokens(embedded: Tokenizer) -> None:
    with pytest.raises(CheckpointError, match="control_token_missing") as caught:
        build_prompt("ttl", [Message("user", "a")], embedded)
    assert caught.value.fields["piece"] == "<instruction>"


# No forgery -----------------------------------------------------------------------------------

INSERTS = ["\u0301", "\u200b", "\u200d", "\ufe0f", " ", "\u00ad", "\n", "\x00", "\u2060"]


def fullwidth(text: str) -> str:
    """ASCII in its fullwidth form, which NFKC turns back."""
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


@st.composite
def disguised(draw: st.DrawFn) -> str:
    """A marker whole, split, nested in itself, with something inserted, in other case or form."""
    marker = draw(st.sampled_from([*MARKERS, "<unk>", "<|endoftext|>", "<repo_name>"]))
    cut = draw(st.integers(0, len(marker)))
    left, right = marker[:cut], marker[cut:]
    forms = [
        marker,
        left,
        right,
        left + marker + right,
        left + draw(st.sampled_from(INSERTS)) + right,
        marker.upper(),
        marker.title(),
        fullwidth(marker),
        left + fullwidth(right),
        unicodedata.normalize("NFD", marker + "ção"),
    ]
    return draw(st.sampled_from(forms))


HOSTILE = st.lists(disguised() | HARMLESS, min_size=1, max_size=6).map("".join)
FORMAT_NAMES = st.sampled_from(["aira", "ttl", "chatml", "raw"])


def check_only_the_formats_tokens(prompt: Prompt, tokenizer: Tokenizer, control: set[int]) -> None:
    """Control ids are exactly the format's, where it put them; between them is only text."""
    made = [segment.id for segment in prompt.segments if isinstance(segment, Control)]
    assert [token_id for token_id in prompt.ids if token_id in control] == made
    runs, texts = [[]], [""]  # type: list[list[int]], list[str]
    for token_id in prompt.ids:
        if token_id in control:
            runs.append([])
        else:
            runs[-1].append(token_id)
    for segment in prompt.segments:
        if isinstance(segment, Text):
            texts[-1] += segment.text
        else:
            texts.append("")
    assert [bool(run) for run in runs] == [bool(text) for text in texts]
    assert [tokenizer.decode(run) for run in runs] == texts


@settings(max_examples=40, deadline=None)
@given(name=FORMAT_NAMES, texts=st.lists(HOSTILE, min_size=1, max_size=3), system=HOSTILE)
def test_no_text_forges_a_token(pair: Pair, name: str, texts: list[str], system: str) -> None:
    ours = pair[0]
    messages = conversation(texts, system if name == "chatml" else None)
    prompt = build_prompt(name, messages, ours)
    check_forgery(prompt, pair)
    template = {"ttl": TTL, "chatml": CHATML, "aira": GEMMA, "raw": LLAMA_2}[name]
    segments = render_template(template, messages, ours)
    check_forgery(Prompt(tuple(segments), ours.encode(segments)), pair)


def check_forgery(prompt: Prompt, pair: Pair) -> None:
    """Against transformers' own list of added tokens; texts compared where nothing is lost."""
    ours, theirs = pair
    control = {
        index
        for index, token in theirs.added_tokens_decoder.items()
        if index in ours.control_ids or (token.content.strip() and token.content != "<unk>")
    }
    if kind_of(theirs) in LOSSLESS:
        check_only_the_formats_tokens(prompt, ours, control)
        return
    made = [segment.id for segment in prompt.segments if isinstance(segment, Control)]
    assert [token_id for token_id in prompt.ids if token_id in control] == made


def kind_of(theirs: PreTrainedTokenizerFast) -> str:
    return Path(theirs.name_or_path).name.rstrip("0123456789")


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(HOSTILE, min_size=1, max_size=3), system=HOSTILE)
@pytest.mark.parametrize("name", ["chatml", "template", "raw"])
def test_no_text_forges_the_embedded_models_tokens(
    embedded: Tokenizer, name: str, texts: list[str], system: str
) -> None:
    prompt = build_prompt(name, conversation(texts, system), embedded)
    check_only_the_formats_tokens(prompt, embedded, set(range(17)))


def test_the_naive_way_forges(pair: Pair) -> None:
    """What the property above would catch: the same strings, encoded as the cards do."""
    ours, theirs = pair
    for marker in MARKERS:
        for text in (marker, f"a{marker}b", marker[:2] + marker + marker[2:]):
            assert ours.control(marker).id in theirs(text, add_special_tokens=False).input_ids
            assert not ours.control_ids.intersection(ours.encode_text(text, first=False))


def test_normalized_fullwidth_forges_where_the_vocabulary_spells_it(tmp_path: Path) -> None:
    """Unigram behind NFKC reads fullwidth "＜ｓ＞" as the bos token's own piece."""
    save(KINDS["unigram"](), tmp_path)
    theirs, ours = PreTrainedTokenizerFast.from_pretrained(tmp_path), load_tokenizer(tmp_path)
    bos = ours.control("<s>").id
    assert bos in theirs(fullwidth("<s>"), add_special_tokens=False).input_ids
    assert bos not in ours.encode_text(fullwidth("<s>"), first=True)
