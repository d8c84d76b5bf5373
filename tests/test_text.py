"""Streaming text against the decoding of all ids at once, which shares no code with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gguf
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aira_cli.engine.text import TextStream
from aira_cli.printable import printable
from aira_cli.prompts.tokenizer import Tokenizer, tokenizer_from_gguf


def bytes_to_text(ids: Sequence[int]) -> str:
    """A byte-level vocabulary at its plainest: every id is a byte."""
    return bytes(ids).decode("utf-8", errors="replace")


def pieces(stream: TextStream, ids: Sequence[int]) -> list[str]:
    out = []
    for token_id in ids:
        out.append(stream.push(token_id))
        if stream.stopped:
            return out
    return [*out, stream.finish()]


@given(st.lists(st.integers(0, 255), max_size=40))
@example(list(b"\xff\xc3\xa7"))
@example(list("ção 👩‍🔬".encode()))
@example(list(b"\xf0\x9f\x98\xff\xff\xff\xff\xc3\xa7ok"))
def test_joined_pieces_equal_the_full_decoding(ids: list[int]) -> None:
    assert "".join(pieces(TextStream(bytes_to_text), ids)) == printable(bytes_to_text(ids))


@given(st.text(max_size=30))
def test_no_piece_ends_in_half_a_letter(text: str) -> None:
    given_out = pieces(TextStream(bytes_to_text), list(text.encode(errors="ignore")))
    whole = text.encode(errors="ignore").decode()
    assert "".join(given_out) == printable(whole)
    assert sum(p.count("\ufffd") for p in given_out) == whole.count("\ufffd")


@given(
    st.text(alphabet="abç\n", max_size=30),
    st.lists(st.text(alphabet="abç\n", min_size=1, max_size=4), max_size=3),
)
def test_text_ends_before_the_first_stop_string(text: str, stops: list[str]) -> None:
    given_out = "".join(pieces(TextStream(bytes_to_text, stops), list(text.encode())))
    # Oracle: the text after each byte, cut where a stop string is first complete.
    ends = [text.find(s) for s in stops if s in text]
    complete = min((text.find(s) + len(s) for s in stops if s in text), default=len(text))
    first = text[:complete]
    expected = first[: min(first.find(s) for s in stops if s in first)] if ends else text
    assert given_out == expected


def test_nothing_follows_a_stop_string() -> None:
    stream = TextStream(bytes_to_text, ["FIM"])
    shown = "".join(stream.push(b) for b in b"antes FIM")
    assert (shown, stream.stopped, stream.finish()) == ("antes ", True, "")


def test_escape_and_control_characters_never_come_out() -> None:
    evil = "a\x1b[2Jb\x07\x9bc\u202ed\r\ne\x00"
    assert "".join(pieces(TextStream(bytes_to_text), list(evil.encode()))) == "a[2Jbcd\ne"


@pytest.fixture(scope="module")
def tokenizer(embedded_gguf: Path) -> Tokenizer:
    fields = gguf.GGUFReader(embedded_gguf).fields
    return tokenizer_from_gguf(
        {n: f.contents() for n, f in fields.items() if n.startswith("tokenizer.")}
    )


@given(st.text(max_size=40))
@example("ação e coração — café às 7h, 😀👩‍🔬 日本語")
def test_real_tokenizer_streams_what_it_encoded(tokenizer: Tokenizer, text: str) -> None:
    text = text.encode(errors="ignore").decode()
    ids = tokenizer.encode_text(text, first=True)
    # Not `text` itself: this vocabulary lacks the first byte of some rare planes.
    assert "".join(pieces(TextStream(tokenizer.decode), ids)) == printable(tokenizer.decode(ids))


def test_sentencepiece_byte_tokens_wait_for_the_whole_letter() -> None:
    """Byte-fallback decoders turn a whole run of bytes into � until its last letter is there."""
    from tokenizers import decoders

    decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])

    def decode(ids: Sequence[int]) -> str:
        return str(decoder.decode([f"<0x{i:02X}>" for i in ids]))

    given_out = pieces(TextStream(decode), list("çã😀!".encode()))
    assert "".join(given_out) == "çã😀!"
    assert "\ufffd" not in "".join(given_out)
