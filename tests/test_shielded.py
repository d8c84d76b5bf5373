"""The prepared tokenizer: equal to a fresh one, private, and made anew when it is unusable."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from aira_cli.engine.open import Place, open_prompter
from aira_cli.profiles.schema import Profile
from aira_cli.profiles.store import ProfileStore
from aira_cli.prompts.tokenizer import Tokenizer
from tests import tiny_tokenizers
from tests.tiny_checkpoints import save_tiny

TEXTS = ["Olá, mundo!", " a  b\n", "</s><s> não", "<unk>", "ação 123 🤖"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save_tiny(tmp_path / "model")
    return tmp_path / "model"


def no_progress(label: str, done: int, total: int | None) -> None:
    raise AssertionError("nothing is fetched")


def opened(model: Path) -> Tokenizer:
    """As a start of the program opens it, which leaves a prepared one or uses that."""
    profile: Profile = ProfileStore(model.parent / "config").find(str(model))
    place = Place(model.parent / "cache", offline=True, progress=no_progress)
    return open_prompter(profile, place)[1].tokenizer


def kept(model: Path) -> Path:
    (path,) = (model.parent / "cache" / "prepared").iterdir()
    return path


def facts(tokenizer: Tokenizer) -> list[object]:
    """All that a prompt and an answer can depend on."""
    ids = [tokenizer.encode_text(text, first=first) for text in TEXTS for first in (True, False)]
    words = [tokenizer.decode([token]) for token in range(tokenizer.vocab_size)]
    names = {piece: tokenizer.control(piece).id for piece in tokenizer.control_pieces}
    own = (tokenizer.roles, tokenizer.prefix, tokenizer.end_ids, tokenizer.chat_template)
    return [ids, words, names, tokenizer.control_ids, tokenizer._silent, tokenizer._strips, *own]


@pytest.mark.parametrize("kind", sorted(tiny_tokenizers.KINDS))
def test_a_prepared_tokenizer_is_the_one_it_was_made_from(model: Path, kind: str) -> None:
    tiny_tokenizers.save(tiny_tokenizers.KINDS[kind](), model)
    first = opened(model)
    before = kept(model).read_bytes()
    second = opened(model)
    assert kept(model).read_bytes() == before
    assert second._nonce == first._nonce  # it was read, not made
    assert facts(second) == facts(first)


def test_only_its_owner_reads_the_names_of_control_tokens(model: Path) -> None:
    mask = os.umask(0)
    try:
        opened(model)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(kept(model).stat().st_mode) == 0o600


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda whole: b"",
    "cut": lambda whole: whole[: len(whole) // 2],
    "no line": lambda whole: whole.replace(b"\n", b" "),
    "a letter": lambda whole: whole[:-20] + b"x" + whole[-19:],
    "another's": lambda whole: whole.replace(b"model", b"other", 1),
    "a bit of the ids": lambda whole: whole.replace(b'"hidden": [', b'"hidden": [9', 1),
    "deep": lambda whole: b"[" * 100000,
    "noise": lambda whole: os.urandom(2000),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_one_is_made_anew(model: Path, damage: str) -> None:
    expected = facts(opened(model))
    path = kept(model)
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    assert facts(opened(model)) == expected
    written = kept(model).read_bytes()
    assert facts(opened(model)) == expected
    assert kept(model).read_bytes() == written


def test_a_changed_file_of_the_checkpoint_makes_another(model: Path) -> None:
    opened(model)
    (model / "chat_template.jinja").write_text("hello")
    assert opened(model).chat_template == "hello"


def test_a_folder_that_cannot_be_written_is_no_error(model: Path) -> None:
    cache = model.parent / "cache"
    cache.write_text("no folder")
    assert opened(model).encode_text("a", first=True)
